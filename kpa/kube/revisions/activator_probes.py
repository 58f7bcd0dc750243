"""Probes whether activators answer for a revision, before its last pod goes, so that no request is lost.

A probe runs in a task of its own, with a deadline: an activator that hangs delays nothing else.

Source: `knative/serving pkg/reconciler/autoscaling/kpa/scaler.go`; there one pass waits for the answer.
"""

import asyncio
import logging
import time
from collections.abc import Callable, Mapping

import aiohttp

from kpa.kube.objects import PodAutoscaler
from kpa.kube.objects.pa_status import ACTIVE
from metrics.key import Key

_log = logging.getLogger(__name__)

_DEADLINE = 2.0
"""Seconds for one probe."""

_TRUE_FOR = 5.0
"""Seconds for which an answer counts; the revision is reconciled at once when it comes."""

_PORTS = {"http1": 80, "h2c": 81}
_BODY = b"activator"
_HEADERS = {"User-Agent": "Knative-Autoscaling-Probe", "K-Network-Probe": "activator"}


class ActivatorProbes:
    """Probes activators, at most one probe a revision at a time.

    Parameters
    ----------
    podautoscalers : Mapping
        By key.
    domain : str
        Suffix of the cluster's names, such as `cluster.local`.
    answered : callable (key)
        Called when a probe has succeeded.
    clock : callable
        Seconds that only go forward.
    """

    def __init__(
        self,
        podautoscalers: Mapping[Key, PodAutoscaler],
        domain: str,
        answered: Callable[[Key], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._podautoscalers = podautoscalers
        self._domain = domain
        self._answered = answered
        self._clock = clock
        self._good: dict[Key, float] = {}
        self._probing: dict[Key, asyncio.Task[None]] = {}
        self._session: aiohttp.ClientSession | None = None

    def answer(self, key: Key) -> bool:
        """Tell whether an activator has just answered for a revision; if not, probe one if it is inactive."""
        good_at = self._good.pop(key, None)
        if good_at is not None and self._clock() - good_at <= _TRUE_FOR:
            return True
        pa = self._podautoscalers.get(key)
        if pa is not None and key not in self._probing and _is_inactive(pa):
            self._probing[key] = asyncio.create_task(self._probe(pa))
        return False

    async def close(self) -> None:
        """Cancel all probes."""
        for task in self._probing.values():
            task.cancel()
        await asyncio.gather(*self._probing.values(), return_exceptions=True)
        if self._session is not None:
            await self._session.close()

    async def _probe(self, pa: PodAutoscaler) -> None:
        try:
            if await self._is_activator(pa) and pa.key in self._podautoscalers:
                self._good[pa.key] = self._clock()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            _log.info("%s: activator probe failed: %s", pa.key, error or "probe timed out")
        finally:
            del self._probing[pa.key]
        if pa.key in self._good:
            self._answered(pa.key)

    async def _is_activator(self, pa: PodAutoscaler) -> bool:
        service = pa.status.service_name
        if not service:
            return False
        host = f"{service}.{pa.key.namespace}.svc.{self._domain}:{_PORTS.get(pa.protocol_type, 80)}"
        if self._session is None:
            connector = aiohttp.TCPConnector(force_close=True)
            timeout = aiohttp.ClientTimeout(total=_DEADLINE)
            self._session = aiohttp.ClientSession(connector=connector, timeout=timeout)
        async with self._session.get(f"http://{host}//healthz", headers=_HEADERS) as answer:
            return answer.status == 200 and await _read(answer.content, len(_BODY) + 1) == _BODY


async def _read(content: aiohttp.StreamReader, limit: int) -> bytes:
    """Read at most so many bytes, in however many pieces they come."""
    body = b""
    while len(body) < limit and (piece := await content.read(limit - len(body))):
        body += piece
    return body


def _is_inactive(pa: PodAutoscaler) -> bool:
    return any(each.type == ACTIVE and each.status == "False" for each in pa.status.conditions)
