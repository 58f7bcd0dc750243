"""A server whose answers come in parts, each part when the test has seen the one before.

GET /events?next=N   server-sent events 0..N-1; before each it waits for a POST /next
POST /next           lets the next event out of all streams
POST /upload         answers each part of the body with its length as a line, while the body still comes
GET /chat            a websocket that answers each message with the same in capitals; `close` closes it
"""

import asyncio
import os

from aiohttp import WSMsgType, web

NEXT: asyncio.Queue[int] = asyncio.Queue()


async def events(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
    await response.prepare(request)
    for number in range(int(request.query["next"])):
        await NEXT.get()
        await response.write(f"data: {number}\n\n".encode())
    return response


async def let_next(request: web.Request) -> web.Response:
    NEXT.put_nowait(0)
    return web.Response(text="ok")


async def upload(request: web.Request) -> web.StreamResponse:
    response = web.StreamResponse()
    await response.prepare(request)
    async for part in request.content.iter_any():
        await response.write(b"%d\n" % len(part))
    return response


async def chat(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        if message.type is WSMsgType.TEXT and message.data == "close":
            await socket.close(code=4001)
        elif message.type is WSMsgType.TEXT:
            await socket.send_str(message.data.upper())
        elif message.type is WSMsgType.BINARY:
            await socket.send_bytes(message.data[::-1])
    return socket


if __name__ == "__main__":
    application = web.Application(client_max_size=2**40)
    application.router.add_get("/events", events)
    application.router.add_post("/next", let_next)
    application.router.add_post("/upload", upload)
    application.router.add_get("/chat", chat)
    web.run_app(application, host="127.0.0.1", port=int(os.environ["PORT"]), print=None)
