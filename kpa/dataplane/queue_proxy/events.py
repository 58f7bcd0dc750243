"""Events of a queue-proxy for the process that started it: one JSON object per line."""

import json
import os


class EventWriter:
    """Writes events to a file descriptor, if there is one.

    A reader that has gone or does not read is no reason to stop serving: what cannot be written is dropped.
    """

    def __init__(self, descriptor: int | None) -> None:
        self._descriptor = descriptor
        if descriptor is not None:
            os.set_blocking(descriptor, False)

    def send(self, event: str, **values: object) -> None:
        """Write one event."""
        if self._descriptor is None:
            return
        line = json.dumps({"event": event, **values}, separators=(",", ":")) + "\n"
        try:
            os.write(self._descriptor, line.encode())
        except OSError:
            self._descriptor = None
