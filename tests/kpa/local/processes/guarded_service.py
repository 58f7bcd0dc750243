"""A service below guardians: `python guarded_service.py guard` starts itself again as the service.

The service runs one replica whose process starts what users start: children, grandchildren, some in sessions
of their own, one that ignores SIGTERM. It tells its own id and its parent's, and ends on signals as the
command `kpa local` does.
"""

import asyncio
import os
import signal
import sys

from kpa.local.cluster import LocalCluster
from kpa.local.processes.guardian import run_guarded
from tests.kpa.local.helpers import STUB, service

FAMILY = "sleep 1000 & setsid sleep 1000 & (setsid sh -c 'trap \"\" TERM; sleep 1000 & sleep 1000' &) ; wait"
CODES = {signal.SIGINT: 41, signal.SIGTERM: 42, signal.SIGHUP: 43}


async def serve() -> int:
    """Run the replica until a signal comes; the exit code says which."""
    stop: asyncio.Future[int] = asyncio.get_running_loop().create_future()
    for number in CODES:
        asyncio.get_running_loop().add_signal_handler(number, stop.set_result, CODES[number])
    cluster = LocalCluster(output=lambda _pod, _line: None, queue_proxy=STUB)
    cluster.apply([service(argv=("sh", "-c", FAMILY), grace=0.2)])
    await asyncio.sleep(0)
    if "exit" in sys.argv:
        os._exit(7)
    print(os.getpid(), os.getppid(), flush=True)
    code = await stop
    await cluster.close(patience=2.0)
    return code


if __name__ == "__main__":
    if sys.argv[1] == "guard":
        sys.exit(run_guarded([sys.executable, __file__, "serve", *sys.argv[2:]]))
    sys.exit(asyncio.run(serve()))
