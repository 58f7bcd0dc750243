"""The activator as a process: its parts, their start, and their end."""

import asyncio
import json
import logging
import os
import signal
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass

from kpa.dataplane.activator.load import RequestLoad
from kpa.dataplane.activator.reporter import Reporter
from kpa.dataplane.activator.server import Activator
from kpa.dataplane.activator.source import follow
from kpa.dataplane.http.server import ProxyServer
from kpa.runtime.logs import FORMATS, configure

new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with suppress(ImportError):
    import uvloop

    new_event_loop = uvloop.new_event_loop

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ActivatorOptions:
    """What an activator is started with.

    Attributes
    ----------
    host, port : str, int
        The public address; port 0 is any free one.
    routes : str
        URL of the stream of routing tables.
    autoscaler : str
        URL of the autoscaler's stat server.
    pod_name : str
        Who reports.
    grace : float
        Seconds in which requests may finish after the first SIGTERM or SIGINT.
    events_fd : int or None
        File descriptor for events, one JSON object a line.
    log_format : str
        `text` or `json`.

    Raises
    ------
    ValueError
        A value is not allowed; the message names it and what is.
    """

    host: str
    port: int
    routes: str
    autoscaler: str
    pod_name: str
    grace: float = 30.0
    events_fd: int | None = None
    log_format: str = "text"

    def __post_init__(self) -> None:
        for name, value, schemes in (
            ("routes", self.routes, ("http://", "https://")),
            ("autoscaler", self.autoscaler, ("ws://", "wss://")),
        ):
            if not value.startswith(schemes):
                raise ValueError(
                    f"{name} is {value!r}: it must be a URL that starts with {' or '.join(schemes)}"
                )
        if not 0 <= self.port < 65536:
            raise ValueError(f"port is {self.port}: it must be 0..65535")
        if self.log_format not in FORMATS:
            raise ValueError(f"log format is {self.log_format!r}: it must be one of {', '.join(FORMATS)}")
        if not self.grace >= 0:
            raise ValueError(f"grace is {self.grace}: it must be at least 0 seconds")


def run(options: ActivatorOptions) -> int:
    """Run until SIGTERM or SIGINT; the exit status, 1 if the port cannot be had."""
    configure(options.log_format)
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        try:
            runner.run(serve(options))
        except OSError as error:
            log.error("cannot listen on %s port %d: %s", options.host, options.port, error)
            return 1
    return 0


async def serve(options: ActivatorOptions) -> None:
    """Serve until the first SIGTERM or SIGINT, then let requests finish; a second one ends at once.

    Load is reported and routes are followed to the very end, so that a request that waits for a revision at
    zero still gets its backend.

    Raises
    ------
    OSError
        The address cannot be listened on.
    """
    emit = _emitter(options.events_fd)

    def connection_changed(connected: bool) -> None:
        emit({"event": "connected" if connected else "disconnected"})

    reporter = Reporter(options.autoscaler, RequestLoad(options.pod_name), connection_changed)
    activator = Activator(reporter)
    server = ProxyServer(activator.handle)
    stop = _stop_signals()
    port = await server.start(options.host, options.port)
    emit({"event": "listening", "port": port})
    async with asyncio.TaskGroup() as tasks:
        running = [
            tasks.create_task(reporter.run()),
            tasks.create_task(follow(options.routes, activator.apply)),
        ]
        await stop.get()
        again = asyncio.create_task(stop.get())
        closing = asyncio.create_task(server.close(options.grace))
        await asyncio.wait((again, closing), return_when=asyncio.FIRST_COMPLETED)
        for task in (again, closing, *running):
            task.cancel()


def _stop_signals() -> asyncio.Queue[None]:
    loop, queue = asyncio.get_running_loop(), asyncio.Queue[None]()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, queue.put_nowait, None)
    return queue


def _emitter(descriptor: int | None) -> Callable[[dict[str, object]], None]:
    def emit(event: dict[str, object]) -> None:
        if descriptor is not None:
            with suppress(BrokenPipeError):  # the reader has gone
                os.write(descriptor, json.dumps(event).encode() + b"\n")

    return emit
