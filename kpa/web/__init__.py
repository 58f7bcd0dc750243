"""The HTTP server of a process: API, dashboard, telemetry and health at one port."""
