"""`kpa queue-proxy` by its environment; `python -m kpa.dataplane.queue_proxy` is the same."""

import asyncio
import os
import sys
from collections.abc import Callable
from contextlib import suppress

from kpa.dataplane.queue_proxy.server import QueueProxy
from kpa.dataplane.queue_proxy.settings import SettingsError, read_settings

new_event_loop: Callable[[], asyncio.AbstractEventLoop] = asyncio.new_event_loop
with suppress(ImportError):
    import uvloop

    new_event_loop = uvloop.new_event_loop  # cheaper, where it is installed


async def _serve() -> None:
    await QueueProxy(read_settings(os.environ)).run()


def main() -> int:
    """Run until drained and return 0; 2 when settings cannot be used, 1 when a port cannot be listened on."""
    try:
        with asyncio.Runner(loop_factory=new_event_loop) as runner:
            runner.run(_serve())
    except SettingsError as error:
        print(error, file=sys.stderr)
        return 2
    except OSError as error:
        print(f"cannot listen: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
