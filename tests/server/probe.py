"""The app under test, plain ASGI so that nothing stands between it and the server."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from ambidex.asgi.types import Message, Receive, Scope, Send


def say(text: str) -> None:
    print(text, flush=True)  # noqa: T201 – the test reads it


async def app(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "lifespan":
        await lifespan(scope, receive, send)
    elif scope["type"] == "websocket":
        await websocket(scope, receive, send)
    else:
        await ROUTES[scope["path"]](scope, send)


async def lifespan(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    scope["state"].update(shared=[], name="probe")
    say("lifespan startup")
    await send({"type": "lifespan.startup.complete"})
    await receive()
    say("lifespan shutdown")
    await exists(os.environ.get("PROBE_SHUTDOWN_WAITS_FOR"))
    say("lifespan end")
    await send({"type": "lifespan.shutdown.complete"})


async def websocket(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": seen(scope)})
    message = await receive()
    say(f"websocket {message['type']} {message.get('code')}")


def seen(scope: Scope) -> str:
    """What the state holds; then a mark on the copy and one on what it shares."""
    state = scope["state"]
    answer = {"keys": sorted(state), "shared": list(state["shared"])}
    state["mine"] = True
    state["shared"].append(scope["type"])
    return json.dumps(answer)


async def state(scope: Scope, send: Send) -> None:
    await respond(send, seen(scope))


async def origin(scope: Scope, send: Send) -> None:
    keys = ("client", "scheme", "path", "raw_path", "query_string")
    await respond(send, json.dumps({key: str(scope[key]) for key in keys}))


async def ok(_scope: Scope, send: Send) -> None:
    await respond(send, "ok")


async def work(_scope: Scope, send: Send) -> None:
    await asyncio.sleep(0.005)
    await respond(send, "ok")


async def hold(scope: Scope, send: Send) -> None:
    """Answer once the file that the query names is there."""
    say("holding")
    await exists(scope["query_string"].decode())
    await respond(send, "held")


async def thread(_scope: Scope, send: Send) -> None:
    say("holding")
    await asyncio.to_thread(time.sleep, 3600)
    await respond(send, "never")


async def stream(_scope: Scope, send: Send) -> None:
    """Server-sent events without an end."""
    headers = [(b"content-type", b"text/event-stream")]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    while True:
        await send({"type": "http.response.body", "body": b"data: tick\n\n", "more_body": True})
        await asyncio.sleep(0.01)


async def kept(_scope: Scope, send: Send) -> None:
    await respond(send, "ok", (b"Connection", b"keep-alive"))


async def fails(_scope: Scope, _send: Send) -> None:
    raise RuntimeError("on purpose")


ROUTES: dict[str, Callable[[Scope, Send], Awaitable[None]]] = {
    "/": ok,
    "/health": ok,
    "/state": state,
    "/origin": origin,
    "/work": work,
    "/hold": hold,
    "/thread": thread,
    "/stream": stream,
    "/kept": kept,
    "/fails": fails,
}


async def respond(send: Send, text: str, *headers: tuple[bytes, bytes]) -> None:
    body = text.encode()
    length = (b"content-length", b"%d" % len(body))
    start: Message = {"type": "http.response.start", "status": 200, "headers": [length, *headers]}
    await send(start)
    await send({"type": "http.response.body", "body": body})


async def exists(path: str | None) -> None:
    while path and not Path(path).exists():  # noqa: ASYNC110, ASYNC240 – the test makes it
        await asyncio.sleep(0.01)
