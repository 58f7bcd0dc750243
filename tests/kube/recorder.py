"""What an autoscaler made of its revisions over time, as step functions, and how two of them compare."""

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

from tests.kube.api import Api, Json, path

KINDS = ("podautoscalers", "deployments", "serverlessservices", "metrics")
CONDITIONS = ("Ready", "Active", "SKSReady", "ScaleTargetInitialized")
GRID_SECONDS = 0.1
UNIQUE = frozenset(
    {
        *("uid", "resourceVersion", "creationTimestamp", "managedFields", "namespace", "lastTransitionTime"),
        *("generation", "observedGeneration", "serving.knative.dev/revisionUID"),
    }
)

Value = int | str


@dataclass
class Series:
    """A value over time.

    Attributes
    ----------
    steps : list of (float, value)
        Seconds since the recording's origin, and the value from then on; neighbours differ.
    """

    steps: list[tuple[float, Value]] = field(default_factory=list)

    def note(self, at: float, value: Value) -> None:
        """Add a value if it is new."""
        if not self.steps or self.steps[-1][1] != value:
            self.steps.append((at, value))

    def between(self, begin: float, end: float) -> list[Value]:
        """Return the values that it had in an interval."""
        pairs = itertools.pairwise([*self.steps, (float("inf"), "")])
        return [value for (since, value), (until, _) in pairs if since <= end and until > begin]

    def held(self, seconds: float, begin: float, end: float) -> list[Value]:
        """Return the values between two times that stayed for so long at least, in order.

        Those in force at the two times count however long they stayed within.
        """
        pairs = itertools.pairwise([*self.steps, (float("inf"), "")])
        stayed = [
            value
            for (since, value), (until, _) in pairs
            if since <= end and until > begin and (until - since >= seconds or since <= begin or until > end)
        ]
        return [value for value, _ in itertools.groupby(stayed)]

    def strays(self, other: "Series", begin: float, end: float, tolerance: float) -> list[float]:
        """Return the times at which no moment of the other, within the tolerance, had our value.

        Numbers may lie between those that the other had: a step in two steps is the same step.
        """
        count = int((end - begin) / GRID_SECONDS)
        times = (begin + GRID_SECONDS * number for number in range(count))
        return [at for at in times if not self._near(other, at, tolerance)]

    def _near(self, other: "Series", at: float, tolerance: float) -> bool:
        mine = self.between(at, at)
        theirs = other.between(at - tolerance, at + tolerance)
        if not mine or not theirs:
            return mine == theirs
        numbers = [value for value in theirs if isinstance(value, int)]
        if isinstance(mine[-1], int) and numbers:
            return min(numbers) <= mine[-1] <= max(numbers)
        return mine[-1] in theirs


@dataclass
class Recording:
    """All that was seen of the revisions of one run.

    Attributes
    ----------
    origin : float
        `time.monotonic` at which the script began.
    end : float
        Seconds after it.
    series : dict
        By revision and name of the value.
    objects : dict
        Last objects, by revision and kind.
    changes : dict
        Number of versions of the objects of each kind.
    cpu_seconds : float
    """

    origin: float = field(default_factory=time.monotonic)
    end: float = 0.0
    series: dict[str, dict[str, Series]] = field(default_factory=dict)
    objects: dict[str, dict[str, Json]] = field(default_factory=dict)
    changes: dict[str, int] = field(default_factory=dict)
    cpu_seconds: float = 0.0

    def saw(self, kind: str, document: Json) -> None:
        """Take note of a version of an object."""
        name = document["metadata"]["name"].removesuffix("-deployment")
        self.objects.setdefault(name, {})[kind] = document
        self.changes[kind] = self.changes.get(kind, 0) + 1
        series, now = self.series.setdefault(name, {}), time.monotonic() - self.origin
        for what, value in values(kind, document):
            series.setdefault(what, Series()).note(now, value)


def values(kind: str, document: Json) -> Iterable[tuple[str, Value]]:
    """Yield what an object says, by name."""
    spec, status = document["spec"], document.get("status", {})
    match kind:
        case "deployments":
            yield "replicas", spec["replicas"]
        case "serverlessservices":
            yield "mode", spec["mode"]
            yield "numActivators", spec.get("numActivators", 0)
        case "metrics":
            for condition in status.get("conditions", []):
                yield "Metric Ready", told(condition)
        case "podautoscalers":
            for name in ("desiredScale", "actualScale"):
                if name in status:
                    yield name, status[name]
            found = {each["type"]: each for each in status.get("conditions", [])}
            for name in CONDITIONS:
                if name in found:
                    yield name, told(found[name])


def told(condition: Json) -> str:
    """Return status, reason and message of a condition."""
    words = (condition["status"], condition.get("reason", ""), condition.get("message", ""))
    return " ".join(word for word in words if word)


@contextlib.asynccontextmanager
async def recording(api: Api, namespace: str) -> AsyncIterator[Recording]:
    """Record what becomes of the objects of a namespace for a while."""
    result = Recording()

    async def follow(kind: str) -> None:
        async for change, document in api.watch(path(kind, namespace)):
            if change != "DELETED":
                result.saw(kind, document)

    followers = [asyncio.create_task(follow(kind)) for kind in KINDS]
    try:
        yield result
    finally:
        result.end = time.monotonic() - result.origin
        for follower in followers:
            follower.cancel()
        await asyncio.gather(*followers, return_exceptions=True)


def bare(document: Json) -> Json:
    """Return an object without what the API server, the hour or chance puts into it.

    How often it was changed counts as that: what remains is whether its status is about the last change.
    """
    plain: Json = _without(document, UNIQUE)
    if "observedGeneration" in document.get("status", {}):
        plain["status"]["isAboutTheLastChange"] = (
            document["status"]["observedGeneration"] == document["metadata"]["generation"]
        )
    return plain


def _without(value: Any, keys: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {key: _without(each, keys) for key, each in value.items() if key not in keys}
    if isinstance(value, list):
        return [_without(each, keys) for each in value]
    return value
