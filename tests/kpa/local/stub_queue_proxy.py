"""A queue-proxy of 60 lines: the environment and events of the real one, bytes passed through untouched.

Run as a script. Starts in 40 ms, so that tests of processes need not wait for the real one.
"""

import asyncio
import json
import os
import signal

USER_PORT = int(os.environ.get("USER_PORT", "0"))
QUIET = float(os.environ.get("QUEUE_DRAIN_QUIET_SECONDS", "0")) / 10
CONNECTIONS: set[asyncio.StreamWriter] = set()


def tell(**event: object) -> None:
    os.write(int(os.environ["QUEUE_EVENTS_FD"]), json.dumps(event).encode() + b"\n")


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while part := await reader.read(65536):
            writer.write(part)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    CONNECTIONS.add(writer)
    try:
        user_reader, user_writer = await asyncio.open_connection("127.0.0.1", USER_PORT)
        await asyncio.gather(copy(reader, user_writer), copy(user_reader, writer))
    except OSError:
        writer.close()
    finally:
        CONNECTIONS.discard(writer)


async def probe() -> None:
    while True:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", USER_PORT)
        except OSError:
            await asyncio.sleep(0.02)
            continue
        writer.close()
        tell(event="ready")
        return


async def main() -> None:
    stopping = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stopping.set)
    serving = await asyncio.start_server(serve, "127.0.0.1", 0)
    metrics = await asyncio.start_server(serve, "127.0.0.1", 0)
    ports = [server.sockets[0].getsockname()[1] for server in (serving, metrics)]
    tell(event="listening", serving=ports[0], metrics=ports[1], admin=1)
    probing = asyncio.create_task(probe())
    await stopping.wait()
    await asyncio.sleep(QUIET)
    while CONNECTIONS:
        await asyncio.sleep(0.01)
    probing.cancel()
    tell(event="drained")


if __name__ == "__main__":
    asyncio.run(main())
