"""SIGTERM and the extension that brings it, by a scripted Runtime API."""

import asyncio
import logging
import os
import signal
import threading
from collections.abc import Awaitable, Callable

import pytest

from ambidex.asgi.lifespan import Lifespan, StartupError
from ambidex.asgi.types import App, Receive, Scope, Send
from ambidex.local import runtime_api_server
from ambidex.local.http1.exchange import ServerExchange
from ambidex.runtime import extension, shutdown
from ambidex.runtime.blocking_connection import BlockingConnection
from ambidex.runtime.connection import Connection
from ambidex.runtime.messages import next_request
from tests.runtime.misbehaving_peer import Peer, request, send

REGISTER = "POST /2020-01-01/extension/register"
NEXT = "GET /2020-01-01/extension/event/next"


class Extensions:
    """An Extensions API that answers a registration as told, and no event."""

    def __init__(self, status: int = 200, identifier: bytes = b"id-7") -> None:
        self.status = status
        self.identifier = identifier
        self.calls: list[tuple[str, dict[str, bytes], bytes]] = []
        self.asked = asyncio.Event()

    async def __call__(self, exchange: ServerExchange) -> None:
        body = await exchange.read_body()
        names = {name.decode().lower(): value for name, value in exchange.head.headers}
        call = f"{exchange.head.method} {exchange.head.target.decode()}"
        self.calls.append((call, names, body))
        if call == REGISTER:
            headers = ((b"Lambda-Extension-Identifier", self.identifier),)
            exchange.respond(self.status, headers if self.identifier else (), b"{}")
        else:
            self.asked.set()
            await asyncio.Event().wait()


def with_lifespan(events: list[str], failure: str = "") -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return
        await receive()
        if failure:
            raise ValueError(failure)
        await send({"type": "lifespan.startup.complete"})
        await receive()
        events.append("shutdown")
        await send({"type": "lifespan.shutdown.complete"})

    return app


def run(
    app: App,
    test: Callable[[Lifespan, asyncio.Task[None] | None, Extensions], Awaitable[None]],
    status: int = 200,
    identifier: bytes = b"id-7",
) -> Extensions:
    async def main() -> Extensions:
        api = Extensions(status, identifier)
        server = await runtime_api_server.listen(api)
        connection = Connection(f"127.0.0.1:{server.port}")
        lifespan = Lifespan(app)
        try:
            await test(lifespan, await shutdown.startup(lifespan, connection), api)
        finally:
            connection.close()
            server.abort()
            await server.closed()
        return api

    return asyncio.run(main())


async def forever() -> None:
    await asyncio.Event().wait()


def test_an_app_with_a_lifespan_registers_for_no_events_and_asks_for_one() -> None:
    async def test(
        lifespan: Lifespan, registered: asyncio.Task[None] | None, api: Extensions
    ) -> None:
        assert registered is not None
        await api.asked.wait()
        registered.cancel()
        await lifespan.shutdown()

    api = run(with_lifespan([]), test)
    (register, headers, body), (asked, asked_headers, _) = api.calls
    assert (register, body) == (REGISTER, b'{"events":[]}')
    assert headers["lambda-extension-name"] == b"ambidex"
    assert (asked, asked_headers["lambda-extension-identifier"]) == (NEXT, b"id-7")


def test_it_has_asked_when_the_event_loop_may_stand_still() -> None:
    asked = threading.Event()
    answer = (
        b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: id-7\r\nConnection: close\r\n"
        b"Content-Length: 2\r\n\r\n{}"
    )
    calls = [[request, send(answer)], [request, lambda _: asked.set()]]
    with Peer(calls).running() as peer:

        async def main() -> None:
            registered = await extension.register(Connection(peer.address))
            assert registered is not None
            assert asked.wait(60)  # the loop stands still here
            await registered

        asyncio.run(main())


def test_sigterm_that_another_thread_gets_ends_a_wait_that_blocks() -> None:
    ended: list[str] = []
    is_ended_by_it: list[bool] = []

    def signal_self(_: object) -> None:
        signal.pthread_kill(threading.get_ident(), signal.SIGTERM)
        is_ended_by_it.append(stopped.wait(60))

    async def serve(connection: BlockingConnection) -> None:
        await connection.call(next_request(connection.host))

    before, stopped = signal.getsignal(signal.SIGTERM), threading.Event()
    try:
        with Peer([[request, signal_self]]).running() as peer:

            async def main() -> None:
                lifespan = Lifespan(with_lifespan(ended))
                await lifespan.startup()
                connection = BlockingConnection(peer.address)
                await shutdown.until_sigterm(
                    serve(connection), lifespan, None, interrupt=connection.interrupt
                )
                stopped.set()
                connection.close()

            asyncio.run(main())
    finally:
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGTERM, before)
    assert (ended, is_ended_by_it) == (["shutdown"], [True])


def test_an_app_without_a_lifespan_registers_nothing() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        assert scope["type"] == "http"

    async def test(
        lifespan: Lifespan, registered: asyncio.Task[None] | None, _: Extensions
    ) -> None:
        assert registered is None
        assert not lifespan.is_started

    assert run(app, test).calls == []


@pytest.mark.parametrize(
    ("status", "identifier"),
    [
        pytest.param(404, b"", id="no such call"),
        pytest.param(403, b"", id="refused"),
        pytest.param(500, b"", id="an error"),
        pytest.param(200, b"", id="no identifier"),
    ],
)
def test_where_there_is_no_extensions_api_the_app_starts_without_a_word(
    status: int, identifier: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(
        lifespan: Lifespan, registered: asyncio.Task[None] | None, _: Extensions
    ) -> None:
        assert registered is None
        assert lifespan.is_started
        await lifespan.shutdown()

    caplog.set_level("INFO")
    run(with_lifespan([]), test, status, identifier)
    assert caplog.records == []


def test_nobody_at_the_address_is_no_extensions_api() -> None:
    async def main() -> None:
        lifespan = Lifespan(with_lifespan([]))
        assert await shutdown.startup(lifespan, Connection("127.0.0.1:1")) is None
        await lifespan.shutdown()

    asyncio.run(main())


def test_a_startup_that_fails_is_told_though_the_extension_has_registered() -> None:
    async def main() -> None:
        lifespan = Lifespan(with_lifespan([], "no database"))
        with pytest.raises(StartupError, match="no database"):
            await shutdown.startup(lifespan, Connection("127.0.0.1:1"))

    asyncio.run(main())


def test_sigterm_shuts_the_app_down() -> None:
    events: list[str] = []

    async def serving() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await forever()
        finally:
            events.append("cancelled")

    async def test(
        lifespan: Lifespan, registered: asyncio.Task[None] | None, _: Extensions
    ) -> None:
        await shutdown.until_sigterm(serving(), lifespan, registered)

    run(with_lifespan(events), test)
    assert events == ["cancelled", "shutdown"]


def test_what_finishes_the_events_at_work_comes_before_they_are_cancelled() -> None:
    events: list[str] = []

    async def serving() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await forever()
        finally:
            events.append("cancelled")

    async def finish() -> None:
        await asyncio.sleep(0)
        events.append("finished")

    async def test(
        lifespan: Lifespan, registered: asyncio.Task[None] | None, _: Extensions
    ) -> None:
        await shutdown.until_sigterm(serving(), lifespan, registered, finish)

    run(with_lifespan(events), test)
    assert events == ["finished", "cancelled", "shutdown"]


def test_events_that_keep_the_app_from_its_shutdown_are_a_line_in_the_log() -> None:
    events: list[str] = []
    said = asyncio.Event()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            events.append(record.getMessage())
            said.set()

    async def serving() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        await forever()

    async def finish() -> None:
        await asyncio.wait_for(said.wait(), 10)
        events.append("finished")

    async def test(
        lifespan: Lifespan, registered: asyncio.Task[None] | None, _: Extensions
    ) -> None:
        await shutdown.until_sigterm(serving(), lifespan, registered, finish)

    handler = Handler()
    shutdown.logger.addHandler(handler)
    try:
        run(with_lifespan(events), test)
    finally:
        shutdown.logger.removeHandler(handler)
    assert events[0].startswith("requests are still at work 0.4 s after SIGTERM")
    assert events[1:] == ["finished", "shutdown"]


def test_an_event_that_cannot_be_cancelled_does_not_keep_the_app_from_its_shutdown() -> None:
    events: list[str] = []
    released = asyncio.Event()

    async def serving() -> None:
        os.kill(os.getpid(), signal.SIGTERM)
        while not released.is_set():
            try:
                await released.wait()
            except asyncio.CancelledError:
                events.append("goes on")

    async def test(
        lifespan: Lifespan, registered: asyncio.Task[None] | None, _: Extensions
    ) -> None:
        await shutdown.until_sigterm(serving(), lifespan, registered)
        released.set()

    run(with_lifespan(events), test)
    assert events[:2] == ["goes on", "shutdown"]


def test_what_ends_the_serving_is_raised() -> None:
    async def serving() -> None:
        raise ValueError("bad state")

    async def test(
        lifespan: Lifespan, registered: asyncio.Task[None] | None, _: Extensions
    ) -> None:
        with pytest.raises(ValueError, match="bad state"):
            await shutdown.until_sigterm(serving(), lifespan, registered)
        await lifespan.shutdown()

    run(with_lifespan([]), test)
