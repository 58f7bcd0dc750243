"""The port of profiles: it answers as Knative's does while profiling is off, since we have none of Go's.

Source: `knative/pkg observability/runtime`; ConfigMap `config-observability`, key `runtime-profiling`.
"""

from aiohttp import web


async def serve_no_profiles(host: str | None, port: int) -> web.AppRunner:
    """Answer 404 to everything until the runner is cleaned up.

    Raises
    ------
    OSError
        The address cannot be had.
    """
    runner = web.AppRunner(web.Application(), access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner
