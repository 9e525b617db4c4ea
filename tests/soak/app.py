"""The app of the soak, plain ASGI: what it answers follows from the path and the event's id."""

import asyncio
import json
import threading

from ambidex.asgi.types import Receive, Scope, Send

_PIECE_BYTES = 100_000


def made(event_id: str, length: int, is_text: bool) -> bytes:
    """The body that an event's answer has; no other event's is the same."""
    unit = event_id.encode() if is_text else event_id.encode() + bytes(range(256))
    return (unit * (length // len(unit) + 1))[:length]


class App:
    """Counts what it has done, for the report."""

    def __init__(self) -> None:
        self.startups = 0
        self.background = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request, or run the lifespan."""
        if scope["type"] == "lifespan":
            await receive()
            self.startups += 1
            await send({"type": "lifespan.startup.complete"})
        else:
            await self._http(scope, receive, send)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        event_id = dict(scope["headers"]).get(b"x-soak-id", b"").decode()
        path = scope["path"].removeprefix(scope["root_path"])
        _, name, *arguments = path.split("/")
        body = (await receive())["body"]
        match name:
            case "echo" | "events":
                await _answer(send, event_id, 200, body)
            case "make":
                is_text, length = arguments[0] == "text", int(arguments[1])
                await _answer(send, event_id, 200, made(event_id, length, is_text))
            case "status":
                await _answer(send, event_id, int(arguments[0]), event_id.encode())
            case "context":
                await _answer(send, event_id, 200, _context(scope))
            case "raise" | "raise-late":
                if name == "raise-late":
                    await send({"type": "http.response.start", "status": 200, "headers": []})
                raise ValueError(event_id)
            case "hang":
                await asyncio.Event().wait()
            case "background":
                await _answer(send, event_id, 200, event_id.encode())
                await asyncio.gather(*(asyncio.create_task(asyncio.sleep(0)) for _ in range(3)))
                self.background += 1
            case "report":
                await _answer(send, event_id, 200, self._report())
            case _:  # "/nothing" gets no response
                return

    def _report(self) -> bytes:
        report = {
            "startups": self.startups,
            "background": self.background,
            "tasks": len(asyncio.all_tasks()),
            "threads": threading.active_count(),
        }
        return json.dumps(report).encode()


async def _answer(send: Send, event_id: str, status: int, body: bytes) -> None:
    headers = [(b"x-soak-id", event_id.encode()), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    pieces = range(0, len(body), _PIECE_BYTES)
    for start in pieces[:-1]:
        piece = body[start : start + _PIECE_BYTES]
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    last = body[pieces[-1] :] if pieces else b""
    await send({"type": "http.response.body", "body": last})


def _context(scope: Scope) -> bytes:
    context = scope["aws.context"]
    return json.dumps(
        [
            context.client_context.custom["id"],
            context.identity.cognito_identity_id,
            context.aws_request_id,
            context.get_remaining_time_in_millis() > 0,
        ]
    ).encode()


app = App()
