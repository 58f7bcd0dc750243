"""A stream of lines of any length."""

from collections.abc import AsyncIterator

import aiohttp


async def lines(stream: aiohttp.StreamReader) -> AsyncIterator[bytes]:
    """Yield each line once it is whole, without its end; what follows the last end is part of a line, and dropped.

    The lines of `StreamReader` itself may be no longer than its buffer; objects may be of megabytes.
    """
    parts: list[bytes] = []
    async for chunk in stream.iter_any():
        head, *tail = chunk.split(b"\n")
        parts.append(head)
        if tail:
            yield b"".join(parts)
            parts = [tail.pop()]
            for line in tail:
                yield line
