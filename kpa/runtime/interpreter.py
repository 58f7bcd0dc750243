"""What a process that looks after a large fleet asks of its interpreter and of the system."""

import asyncio
import ctypes
import gc
import resource
from collections.abc import Callable
from contextlib import suppress

new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with suppress(ImportError):
    import uvloop

    new_event_loop = uvloop.new_event_loop  # cheaper, where it is installed

_PR_SET_THP_DISABLE = 41
"""Of prctl (linux/prctl.h); absent where the system is another one."""

_YOUNG = 20_000
"""Objects made before the youngest are looked through; 700 by default, once for every few requests."""


def raise_file_limit() -> None:
    """Let as many files be open as we may: each pod that is asked for its load has a connection."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def use_small_pages() -> None:
    """Have memory come in small pages, before the fleet's arrays are made.

    A ring has room for thousands of revisions, a row for each second. In huge pages, which numpy asks for,
    the first revision costs memory for all of them: 22 MiB. A tick of 10,000 takes as long without.
    """
    with suppress(OSError, AttributeError):
        ctypes.CDLL(None).prctl(_PR_SET_THP_DISABLE, 1, 0, 0, 0)


def settle_memory() -> None:
    """Keep the collector of cyclic garbage from what is there now.

    A fleet of 10,000 revisions is a million objects that stay; to look through them all holds up everything
    for a quarter of a second. Garbage without cycles goes as before.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_YOUNG, 20, 20)
