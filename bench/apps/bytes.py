"""Takes and gives many bytes, with nothing between the app and its platform.

`/take` answers how many bytes the request's body has, `/text/BYTES` and `/binary/BYTES` give a body
at once, and `/stream/BYTES` gives it in pieces of 64 KiB.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

PIECE = bytes(64 * 1024)
LINE = 'Ein Satz mit "Anführung" und einem Zeilenende, es hat 64 Bytes\n'.encode()
# Of every byte, and not UTF-8.
BINARY = bytes(range(256))

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]


async def app(scope: dict[str, Any], receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await live(receive, send)
        return
    _, kind, *rest = scope["path"].split("/")
    size = int(rest[0]) if rest else 0
    if kind == "stream":
        await stream(size, send)
    elif kind == "text":
        await answer(LINE * (size // len(LINE)), b"text/plain; charset=utf-8", send)
    elif kind == "binary":
        await answer(BINARY * (size // len(BINARY)), b"application/octet-stream", send)
    else:
        await answer(b"%d" % await taken(receive), b"text/plain; charset=utf-8", send)


async def live(receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.complete"})
    await receive()
    await send({"type": "lifespan.shutdown.complete"})


async def taken(receive: Receive) -> int:
    size = 0
    while True:
        message = await receive()
        size += len(message.get("body", b""))
        if not message.get("more_body", False):
            return size


async def answer(body: bytes, content_type: bytes, send: Send) -> None:
    headers = [(b"content-type", content_type), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def stream(size: int, send: Send) -> None:
    headers = [(b"content-type", b"application/octet-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    for _ in range(size // len(PIECE)):
        await send({"type": "http.response.body", "body": PIECE, "more_body": True})
        await asyncio.sleep(0)
    await send({"type": "http.response.body", "body": b""})
