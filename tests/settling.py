"""What is ending may end before its event loop does.

A connection is closed some turns of the loop after either side has said so. A loop that ends at once breaks
off whoever closes it and leaves it open: Python warns of that, and warnings are errors here.
"""

import asyncio

TURNS = 30
"""Turns in which what one side of a connection does reaches the other one, by way of a proxy as well."""

_close = asyncio.Runner.close


async def _turns() -> None:
    for _ in range(TURNS):
        await asyncio.sleep(0)


def _settle_and_close(runner: asyncio.Runner) -> None:
    try:
        runner.get_loop()
    except RuntimeError:
        return  # it is closed
    runner.run(_turns())
    _close(runner)


def install() -> None:
    """Let all event loops turn for a moment before they end."""
    asyncio.Runner.close = _settle_and_close  # type: ignore[method-assign]
