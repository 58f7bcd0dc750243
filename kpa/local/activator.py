"""The activator as a child: started, heard, started again if it ends."""

import asyncio
import json
import logging
import os
import sys

from kpa.local.processes.process import LineReader, Process

log = logging.getLogger(__name__)

_GRACE = 10.0
"""Seconds in which requests may finish at the end."""

_PAUSE = 0.5
"""Seconds before an activator that ended is started again."""


class ActivatorChild:
    """An activator process of our own.

    Parameters
    ----------
    host, port : str, int
        The public address; a port 0 is replaced by the one found at the first start, and kept.
    routes : str
        URL of the stream of routing tables.
    autoscaler : str
        URL of the stat server.
    log_format : str

    Attributes
    ----------
    port : int
    connected : bool
        It has a connection to the stat server: requests at zero are reported.
    listening : Event
        It takes requests.
    """

    def __init__(self, host: str, port: int, routes: str, autoscaler: str, log_format: str) -> None:
        self.host, self.port = host, port
        self.connected = False
        self.listening = asyncio.Event()
        self._arguments = ["--host", host, "--routes", routes, "--autoscaler", autoscaler]
        self._arguments += ["--grace", f"{_GRACE:g}", "--log-format", log_format]
        self._process: Process | None = None

    async def run(self) -> None:
        """Keep it running until cancelled, then end it: requests in flight may finish.

        Raises
        ------
        OSError
            It ended before it ever listened; its own log says why.
        """
        while True:
            reading, writing = os.pipe()
            events = LineReader(reading, self._hear)
            try:
                self._process = self._start(writing)
            finally:
                os.close(writing)
            try:
                code = await self._process.wait()
            finally:
                await self._process.stop(_GRACE + 1.0)
                events.close()
                self.connected = False
            if not self.listening.is_set():
                raise OSError(f"the activator cannot take requests at {self.host}:{self.port}")
            log.warning("activator exited with code %d; restarting", code)
            await asyncio.sleep(_PAUSE)

    def _start(self, events: int) -> Process:
        return Process(
            [
                *(sys.executable, "-m", "kpa.dataplane.activator"),
                *("--port", str(self.port), "--events-fd", str(events)),
                *self._arguments,
            ],
            {**os.environ, "POD_NAME": "activator"},
            lambda line: log.info("activator: %s", line),
            pass_fds=(events,),
        )

    def _hear(self, line: str) -> None:
        """Take one event; one that cannot be understood is logged and changes nothing."""
        try:
            event = json.loads(line)
            if event["event"] == "listening":
                self.port = int(event["port"])
                self.listening.set()
            else:
                self.connected = {"connected": True, "disconnected": False}[event["event"]]
        except (ValueError, KeyError, TypeError):
            log.warning("unreadable event from the activator: %.200s", line)
