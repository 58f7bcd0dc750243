"""`kpa local`: everything that autoscales services on one machine, put together.

files ──> LocalCluster ── replicas ──> queue-proxies ──> processes
              │  ^                        ^   │
     revisions│  │replicas          requests  │stats
              v  │                        │   v
           Reconciler <── Collector ──────┼───┘
              ^                           │
              └── StatServer <── stats ── activator <── requests, routes
"""

import asyncio
import json
import logging
import signal
from collections.abc import Sequence
from pathlib import Path

from config.autoscaler import AutoscalerConfig
from config.problems import ConfigError
from kpa.controller.reconciler import Reconciler
from kpa.local.activator import ActivatorChild
from kpa.local.cluster import LocalCluster
from kpa.local.live import apply_files
from kpa.local.manifests.watcher import Watcher
from kpa.local.options import LOOPBACK, LocalError, LocalOptions, read_config
from kpa.runtime.files import write_whole
from kpa.runtime.heartbeat import Heartbeat
from kpa.runtime.logs import configure
from kpa.telemetry.telemetry import Telemetry
from kpa.telemetry.wiring import follow_failures, hooks
from kpa.web.api.route_stream import RouteFeed
from kpa.web.server import Server
from metrics.key import Key
from metrics.stat_server import StatServer

log = logging.getLogger(__name__)


class LocalApp:
    """The parts of `kpa local` and their life: start in order, run, stop in the opposite order."""

    def __init__(self, options: LocalOptions) -> None:
        self._options = options
        self._telemetry = Telemetry(legacy=options.legacy_metrics)
        self._cluster = LocalCluster()
        self._routes = RouteFeed(self._cluster.routes().to_json())
        self._activator: ActivatorChild | None = None
        config = self._first_config()
        self._heartbeat = Heartbeat(asyncio.get_running_loop().time(), config.tick_interval)
        self.reconciler = Reconciler(
            self._cluster,
            config,
            activator_answers=self._activator_answers,
            hooks=hooks(self._telemetry, self._heartbeat, lambda: self._stat_server.dropped),
        )
        self._stat_server = StatServer(self.reconciler.on_stats)
        follow_failures(self._telemetry, self.reconciler, self._stat_server)
        self._server = Server(
            self._telemetry,
            self.reconciler.statuses,
            self.reconciler.explain,
            self.reconciler.history,
            heartbeat=self._heartbeat,
            ready=self._not_ready,
            profile=lambda: self.reconciler.config.defaults,
            routes=self._routes,
        )

    def _first_config(self) -> AutoscalerConfig:
        try:
            return read_config(self._options.config)
        except (ConfigError, OSError) as error:
            raise LocalError(_explain(self._options.config, error)) from error

    # Start.

    async def run(self) -> None:
        """Serve until SIGINT or SIGTERM, then let requests finish and end everything.

        Raises
        ------
        LocalError
            A file, a port or a setting cannot be used.
        """
        stop = asyncio.Event()
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        try:
            activator = await self._start()
            await self._serve(activator, stop)
        finally:
            await self._cluster.close()
            await self.reconciler.collector.close()
            await self._stat_server.close()
            await self._server.close()

    async def _start(self) -> ActivatorChild:
        options = self._options
        stats = await self._stat_server.start(LOOPBACK, 0)
        try:
            self._telemetry_port = await self._server.start(LOOPBACK, options.telemetry_port)
        except OSError as error:
            raise LocalError(
                f"telemetry cannot be served at port {options.telemetry_port}: {error}"
            ) from error
        if not apply_files(self._cluster, options.files, self.reconciler.config):
            raise LocalError("the manifests cannot be used")
        self._activator = ActivatorChild(
            options.host,
            options.port,
            f"http://{LOOPBACK}:{self._telemetry_port}/api/routes",
            f"ws://{LOOPBACK}:{stats}",
            options.log_format,
        )
        return self._activator

    # Run.

    async def _serve(self, activator: ActivatorChild, stop: asyncio.Event) -> None:
        """Run all parts until asked to stop; the activator ends first, while replicas still answer it."""
        front = asyncio.create_task(activator.run())
        watchers = [Watcher(self._options.files, self._files_changed).run()]
        if self._options.config is not None:
            watchers.append(Watcher([self._options.config], self._config_changed).run())
        parts = [
            self.reconciler.run(),
            self.reconciler.collector.run(),
            self._telemetry.watch_event_loop(),
            self._publish_routes(),
            self._announce(activator),
            *watchers,
        ]
        tasks = [asyncio.create_task(part) for part in parts]
        stopping = asyncio.create_task(stop.wait())
        try:
            await self._first_end([front, stopping, *tasks])
        finally:
            stopping.cancel()
            await _cancel([front])
            await _cancel(tasks)

    async def _first_end(self, tasks: Sequence["asyncio.Task[None] | asyncio.Task[bool]"]) -> None:
        """Wait until a task ends that should not, or we are asked to stop; what a part raised is raised."""
        running = set(tasks)
        while running:
            done, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                try:
                    task.result()
                except OSError as error:
                    raise LocalError(str(error)) from error
            if tasks[1] in done:
                return

    async def _announce(self, activator: ActivatorChild) -> None:
        """Say where requests are taken, once they are."""
        await activator.listening.wait()
        log.info("listening for requests at http://%s:%d", activator.host, activator.port)
        for spec in self._cluster.services:
            for name in spec.host_names:
                log.info("service %s: http://%s.localhost:%d", spec.name, name, activator.port)
        log.info("telemetry and API: http://%s:%d", LOOPBACK, self._telemetry_port)
        if self._options.ready_file is not None:
            ports = {"port": activator.port, "telemetry_port": self._telemetry_port}
            await asyncio.to_thread(write_whole, self._options.ready_file, json.dumps(ports).encode())

    async def _publish_routes(self) -> None:
        version = -1
        while True:
            version = await self._cluster.wait_routes(version)
            self._routes.publish(self._cluster.routes().to_json())

    def _files_changed(self, paths: tuple[Path, ...]) -> None:
        if apply_files(self._cluster, paths, self.reconciler.config):
            log.info("manifests reloaded")

    def _config_changed(self, paths: tuple[Path, ...]) -> None:
        if not paths:
            log.warning("%s is missing; its last settings stay in force", self._options.config)
            return
        try:
            config = read_config(self._options.config)
        except (ConfigError, OSError) as error:
            problems = len(error.problems) if isinstance(error, ConfigError) else 0
            self._telemetry.set_config_problems(problems or 1)  # or the whole document
            log.error("%s; the last good settings stay in force", _explain(self._options.config, error))
            return
        self._telemetry.set_config_problems(0)
        self._heartbeat.interval = config.tick_interval
        self._cluster.config = config
        self.reconciler.apply_config(config)
        log.info("%s reloaded", self._options.config)

    # What others ask.

    def _activator_answers(self, key: Key) -> bool:
        return self._activator is not None and self._activator.connected

    def _not_ready(self) -> str | None:
        if self._activator is None or not self._activator.listening.is_set():
            return "the activator does not take requests yet"
        return None if self._activator.connected else "the activator has no connection to the stat server"


def _explain(path: Path | None, error: Exception) -> str:
    return "; ".join(f"{path}: {line}" for line in str(error).splitlines())


async def _cancel(tasks: Sequence["asyncio.Task[None]"]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def run(options: LocalOptions, log_level: str = "info") -> int:
    """Run `kpa local` in this process and return its exit code."""
    writer = configure(options.log_format, log_level)
    try:
        asyncio.run(_run(options))
    except LocalError as error:
        log.error("%s", error)
        return 2
    finally:
        writer.close()
    return 0


async def _run(options: LocalOptions) -> None:
    await LocalApp(options).run()
