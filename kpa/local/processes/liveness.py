"""Whether a queue-proxy still answers: one that hangs would take requests and never answer them."""

import asyncio

INTERVAL = 3.0
"""Seconds between two questions."""

TIMEOUT = 3.0
"""Seconds for an answer."""

FAILURES = 4
"""Questions without an answer, in a row, that make a queue-proxy a hanging one: with the above 12 to 24 s. A
busy machine may starve it for some; the kubelet's defaults (10 s, 3 times) take 30."""

_QUESTION = b"GET / HTTP/1.1\r\nHost: queue\r\nUser-Agent: kube-probe/kpa\r\nK-Network-Probe: queue\r\n\r\n"


async def until_silent(host: str, port: int, interval: float = INTERVAL, seconds: float = TIMEOUT) -> None:
    """Ask the health check of a queue-proxy again and again; returns once it hangs.

    Any answer counts; the queue-proxy reports readiness by itself.
    """
    failures = 0
    while failures < FAILURES:
        await asyncio.sleep(interval)
        failures = 0 if await _answers(host, port, seconds) else failures + 1


async def _answers(host: str, port: int, seconds: float) -> bool:
    try:
        async with asyncio.timeout(seconds):
            reader, writer = await asyncio.open_connection(host, port)
            try:
                writer.write(_QUESTION)
                return bool(await reader.readline())
            finally:
                writer.transport.abort()
    except (OSError, TimeoutError):
        return False
