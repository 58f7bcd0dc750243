"""Files as commands are given them, and files that are there as a whole or not at all."""

import sys
from pathlib import Path


def read_given(name: str) -> bytes:
    """Return what a file holds; `-` is standard input.

    Raises
    ------
    OSError
        It cannot be read.
    """
    return sys.stdin.buffer.read() if name == "-" else Path(name).read_bytes()


def write_whole(path: Path, content: bytes) -> None:
    """Write a file so that nobody sees half of it.

    Raises
    ------
    OSError
        It cannot be written.
    """
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)
