"""A server with a fleet that tests make up: thousands of revisions in all states, changed at will."""

import asyncio
import math
import random
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import numpy as np

from config.provenance import SettingSource
from kpa.controller.explain import Explanation
from kpa.controller.status import NextEvent, RevisionStatus
from kpa.runtime.heartbeat import Heartbeat
from kpa.telemetry.telemetry import Telemetry
from kpa.web.api.route_stream import RouteFeed
from kpa.web.server import Server
from metrics.key import Key
from scaler.engine.history import INTERVAL, SLOTS, Samples
from tests.kpa.controller.status_samples import explained, sample

SETTINGS = (
    SettingSource("stable-window", "20s", "annotation autoscaling.knative.dev/window"),
    SettingSource("pod-autoscaler-class", "kpa.autoscaling.knative.dev", "default"),
    SettingSource("scale-down-delay", "2m", "ConfigMap config-autoscaler"),
)


class Synthetic:
    """A running dashboard over `statuses`, which tests may change.

    Parameters
    ----------
    count : int
        Revisions at first.
    """

    def __init__(self, count: int = 0) -> None:
        chance = random.Random(7)
        self.statuses = {status.key: status for status in (_status(place, chance) for place in range(count))}
        self.failing = False
        self.url = ""
        self._port = 0
        self._server: Server | None = None

    async def start(self) -> None:
        """Listen, at the same port as before if there was one."""
        self._server = Server(
            Telemetry(),
            lambda: self.read(),
            self._explain,
            self._past,
            heartbeat=Heartbeat(asyncio.get_running_loop().time(), 600.0),
            ready=lambda: None,
            profile=lambda: "inference",
            routes=RouteFeed('{"routes": []}'),
        )
        self._port = await self._server.start("127.0.0.1", self._port)
        self.url = f"http://127.0.0.1:{self._port}"

    async def close(self) -> None:
        """Stop listening."""
        if self._server is not None:
            await self._server.close()
            self._server = None

    def change(self, name: str, **changes: Any) -> None:
        """Change the status of one revision; its name is that within its namespace."""
        key = next(key for key in self.statuses if key.name == name)
        self.statuses[key] = replace(self.statuses[key], **changes)

    def remove(self, name: str) -> None:
        """Let a revision be gone."""
        self.statuses = {key: status for key, status in self.statuses.items() if key.name != name}

    def read(self) -> Iterable[RevisionStatus]:
        """Give all statuses, as the reconciler does."""
        if self.failing:
            raise RuntimeError("a look that fails")
        return list(self.statuses.values())

    def _explain(self, key: Key) -> Explanation | None:
        status = self.statuses.get(key)
        if status is None:
            return None
        now = time.time()
        said = explained(status)
        past = tuple(one._replace(at=now - 60) for one in said.past)
        return replace(said, time=now, settings=SETTINGS, past=past)

    def _past(self, key: Key) -> Samples | None:
        return None if key not in self.statuses else samples_of(self.statuses[key], time.time())


def samples_of(status: RevisionStatus, now: float) -> Samples:
    """An hour of waves up to the present load, with a panic and a time of delay in it."""
    ago = np.arange(SLOTS)[::-1] * INTERVAL
    load = (status.stable or 0.0) * (1.2 + np.sin(ago / 400 + len(status.key.name)))
    asked = np.ceil(load / max(status.target, 1e-9))
    panicking = (ago > 1000) & (ago < 1400)
    recommended = np.maximum(asked, np.roll(asked, 6))
    pods = np.minimum(recommended, 500)
    return Samples(
        at=now - ago,
        stable=load.astype(np.float32),
        panic=(load * np.where(panicking, 2.2, 1.05)).astype(np.float32),
        recommended=pods.astype(np.uint16),
        requested=pods.astype(np.uint16),
        ready=np.roll(pods, 2).astype(np.uint16),
        lower=(pods / 1.3).astype(np.uint16),
        upper=(pods * 3 + 1).astype(np.uint16),
        held=np.minimum(asked, 500).astype(np.uint16),
        panicking=panicking,
    )


_KINDS = (
    "load",
    "load",
    "load",
    "idle",
    "zero",
    "zero",
    "panic",
    "rps",
    "starting",
    "silent",
    "max",
    "fixed",
)

_NOTHING: dict[str, Any] = {"stable": None, "panic": None, "mode": "no data"}
_RETENTION = "scale-to-zero-pod-retention-period"


def _status(place: int, chance: random.Random) -> RevisionStatus:
    kind = _KINDS[place % len(_KINDS)]
    service = f"{chance.choice(['chat', 'embed', 'rank', 'speech', 'vision'])}-{place}"
    pods = 0 if kind in ("zero", "starting") else 1 if kind == "idle" else chance.randint(1, 60)
    load = pods * 7.0 * chance.uniform(0.4, 1.1)
    base = sample(
        key=Key(f"team-{place % 23:02}", f"{service}-{chance.randint(1, 40):05}"),
        service=service, configuration=service, recommended=pods, requested=pods, replicas=pods, ready=pods,
        not_ready=0, stable=load, panic=load * 1.1, panicking=False, mode="stable", activity="active",
        next_event=None, rule="load",
    )  # fmt: skip
    soon = NextEvent("scale to zero", math.floor(time.time()) + chance.randint(20, 3000))
    changes: dict[str, dict[str, Any]] = {
        "idle": {"stable": 0.0, "panic": 0.0, "rule": _RETENTION, "next_event": soon},
        "zero": _NOTHING | {"activity": "inactive", "rule": "no-traffic"},
        "panic": {"requested": pods * 2, "mode": "panic", "panicking": True, "rule": "panic"},
        "rps": {"metric": "rps", "target": 150.0, "stable": pods * 110.0, "panic": pods * 120.0},
        "starting": _NOTHING | {"requested": 1, "activity": "activating", "rule": "initial-scale"},
        "silent": _NOTHING | {"rule": "no-data"},
        "max": {"requested": pods, "max_scale": pods, "rule": "max-scale", "stable": load * 2},
        "fixed": {"mode": "fixed", "min_scale": pods, "max_scale": pods, "rule": "min-scale"},
    }
    return replace(base, **changes.get(kind, {}))
