"""A Runtime API that holds every call of next until a test hands out an event."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from typing import NamedTuple

from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.runtime_api_server import listen
from tests.runtime.test_loop import event

DROPPED = 0
"""In the place of a status: the connection is dropped, without an answer."""

# A bound for what never comes, so that a test fails and does not hang; nothing is measured with it.
_BOUND_S = 60.0


class Post(NamedTuple):
    """What was posted for an event."""

    kind: str  # response or error
    headers: Mapping[str, str]
    body: bytes

    @property
    def text(self) -> str:
        """The body of the response in the result."""
        return str(json.loads(self.body)["body"])


class _Event(NamedTuple):
    request_id: str
    document: bytes
    headers: tuple[tuple[bytes, bytes], ...]


class HeldRuntimeApi:
    """Hands out what it is told to, to whoever has asked first.

    Attributes:
        next_statuses: what calls of next are answered with, before any is held.
        statuses: what is answered to what is posted, by request id; 202 to all else.
        init_status: what is answered to an error of the init.
        posted: what was posted, by request id.
        init_errors: the errors of the init, in their order.
        calls: the paths of all calls, in their order.
    """

    def __init__(self) -> None:
        self.next_statuses: list[int] = []
        self.statuses: dict[str, int] = {}
        self.init_status = 202
        self.posted: dict[str, Post] = {}
        self.init_errors: list[dict[str, str]] = []
        self.calls: list[str] = []
        self.address = ""
        self._held: list[asyncio.Future[_Event]] = []
        self._changed = asyncio.Condition()

    @property
    def held(self) -> int:
        """How many calls of next are held."""
        return len(self._held)

    async def until(self, is_so: Callable[[], bool]) -> None:
        """Wait for something to become true by what is called."""
        async with asyncio.timeout(_BOUND_S), self._changed:
            await self._changed.wait_for(is_so)

    async def hand_out(
        self, request_id: str, path: str = "/", trace_id: str = "", deadline_ms: int = 0
    ) -> None:
        """Answer the call that is held longest; one is waited for."""
        await self.until(lambda: self.held > 0)
        headers = (
            (b"Lambda-Runtime-Trace-Id", trace_id.encode()),
            (b"Lambda-Runtime-Deadline-Ms", b"%d" % deadline_ms),
        )
        self._held.pop(0).set_result(_Event(request_id, event(rawPath=path), headers))

    async def answer(self, request_id: str) -> Post:
        """What is posted for an event; waits for it."""
        await self.until(lambda: request_id in self.posted)
        return self.posted[request_id]

    async def __call__(self, exchange: ServerExchange) -> None:
        """Answer one call."""
        body = await exchange.read_body()
        _, prefix, path = exchange.head.target.decode().partition("/2018-06-01/runtime/")
        if not prefix:
            exchange.respond(404, ())  # there are no extensions here
            return
        self.calls.append(path)
        if path == "invocation/next":
            await self._next(exchange)
            return
        if path == "init/error":
            self.init_errors.append(json.loads(body))
            status = self.init_status
        else:
            _, request_id, kind = path.split("/")
            names = {name.decode().lower(): value.decode() for name, value in exchange.head.headers}
            self.posted[request_id] = Post(kind, names, body)
            status = self.statuses.get(request_id, 202)
        _respond(exchange, status)
        await self._notify()

    async def _next(self, exchange: ServerExchange) -> None:
        if self.next_statuses:
            _respond(exchange, self.next_statuses.pop(0))
            await self._notify()
            return
        event = asyncio.get_running_loop().create_future()
        self._held.append(event)
        await self._notify()
        await asyncio.wait({event, exchange.disconnected}, return_when=asyncio.FIRST_COMPLETED)
        if event.done():
            request_id, document, headers = event.result()
            name = b"Lambda-Runtime-Aws-Request-Id"
            exchange.respond(200, ((name, request_id.encode()), *headers), document)
        else:
            self._held.remove(event)
            await self._notify()

    async def _notify(self) -> None:
        async with self._changed:
            self._changed.notify_all()


def _respond(exchange: ServerExchange, status: int) -> None:
    if status == DROPPED:
        exchange.abort()
    else:
        exchange.respond(status, (), b'{"errorType":"Told"}')


@asynccontextmanager
async def held_runtime_api() -> AsyncIterator[HeldRuntimeApi]:
    """One that listens, at its `address`."""
    api = HeldRuntimeApi()
    server = await listen(api)
    api.address = f"127.0.0.1:{server.port}"
    try:
        yield api
    finally:
        server.abort()
        await server.closed()
