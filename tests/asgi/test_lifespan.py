"""An app's lifespan: started once, its state shared, shut down once; and how it may fail."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from fastapi import FastAPI
from starlette.applications import Starlette

from ambidex.asgi.lifespan import Lifespan, StartupError
from ambidex.asgi.scope import http_scope
from ambidex.asgi.types import App, Message, Receive, Scope, Send
from ambidex.http import Request

STARTED: Message = {"type": "lifespan.startup.complete"}
STOPPED: Message = {"type": "lifespan.shutdown.complete"}


def lived(app: App, during: Callable[[Lifespan], Awaitable[None]] | None = None) -> Lifespan:
    """The lifespan of an app that was started and shut down."""

    async def live() -> Lifespan:
        lifespan = Lifespan(app)
        await lifespan.startup()
        if during is not None:
            await during(lifespan)
        await lifespan.shutdown()
        return lifespan

    return asyncio.run(live())


class Recorder:
    """A hand-written app that keeps what it receives and answers as it should."""

    def __init__(self) -> None:
        self.received: list[str] = []
        self.scope: Scope = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.scope = scope
        while True:
            message = await receive()
            self.received.append(message["type"])
            await send({"type": f"{message['type']}.complete"})
            if message["type"] == "lifespan.shutdown":
                return


def test_an_app_is_started_once_and_shut_down_once() -> None:
    app = Recorder()

    async def twice(lifespan: Lifespan) -> None:
        await lifespan.shutdown()

    lived(app, during=twice)

    assert app.received == ["lifespan.startup", "lifespan.shutdown"]


def test_the_app_gets_a_lifespan_scope_with_a_state() -> None:
    app = Recorder()
    lifespan = lived(app)

    assert app.scope["type"] == "lifespan"
    assert app.scope["asgi"] == {"version": "3.0", "spec_version": "2.0"}
    assert app.scope["state"] is lifespan.state


def test_startup_waits_for_the_app_and_the_app_lives_on() -> None:
    order: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await asyncio.sleep(0)
        order.append("app started")
        await send(STARTED)
        await receive()
        await asyncio.sleep(0)
        order.append("app stopped")
        await send(STOPPED)

    async def during(lifespan: Lifespan) -> None:
        order.append("requests")

    lived(app, during)

    assert order == ["app started", "requests", "app stopped"]


@pytest.mark.parametrize("framework", [FastAPI, Starlette])
def test_a_frameworks_lifespan_runs_once_around_all_requests(framework: Any) -> None:
    order: list[str] = []

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[dict[str, Any]]:
        order.append("started")
        yield {"pool": ["connection"]}
        order.append("stopped")

    async def requests(lifespan: Lifespan) -> None:
        first = http_scope(Request("GET", "/"), lifespan.state)["state"]
        second = http_scope(Request("GET", "/"), lifespan.state)["state"]
        first["own"] = 1
        assert second == {"pool": ["connection"]}
        assert first["pool"] is second["pool"]
        order.append("requests")

    lived(framework(lifespan=lifespan), requests)

    assert order == ["started", "requests", "stopped"]


async def _returns_at_once(scope: Scope, receive: Receive, send: Send) -> None:
    return


async def _refuses_the_scope(scope: Scope, receive: Receive, send: Send) -> None:
    assert scope["type"] == "http", "only http"


async def _has_no_such_key(scope: Scope, receive: Receive, send: Send) -> None:
    scope["path"]


async def _returns_after_asking(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()


async def _speaks_without_asking(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200})


@pytest.mark.parametrize(
    "app",
    [
        pytest.param(_returns_at_once, id="returns at once"),
        pytest.param(_refuses_the_scope, id="refuses the scope"),
        pytest.param(_has_no_such_key, id="takes it for a request"),
        pytest.param(_returns_after_asking, id="asks and returns"),
        pytest.param(_speaks_without_asking, id="answers as if to a request"),
    ],
)
def test_an_app_without_a_lifespan_is_served_without(
    app: App, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    assert lived(app).state == {}
    assert caplog.records == []


async def _says_why(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database at db:5432"})


async def _says_why_and_raises(scope: Scope, receive: Receive, send: Send) -> None:
    await _says_why(scope, receive, send)
    raise ConnectionError("not this one")


async def _says_nothing(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send({"type": "lifespan.startup.failed"})


async def _raises(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    raise ConnectionError("no database at db:5432")


async def _waits_after_failing(scope: Scope, receive: Receive, send: Send) -> None:
    await _says_why(scope, receive, send)
    await receive()


@pytest.mark.parametrize(
    ("app", "sentence"),
    [
        pytest.param(_says_why, "no database at db:5432", id="startup.failed"),
        pytest.param(_says_why_and_raises, "no database at db:5432", id="startup.failed and raise"),
        pytest.param(_says_nothing, "it gave no reason", id="no reason"),
        pytest.param(_raises, "ConnectionError: no database at db:5432", id="exception"),
        pytest.param(_waits_after_failing, "no database at db:5432", id="startup.failed and wait"),
    ],
)
def test_a_startup_that_fails_is_an_error_in_the_apps_own_words(app: App, sentence: str) -> None:
    with pytest.raises(StartupError) as error:
        lived(app)

    assert str(error.value) == f"the app's startup failed: {sentence}"


@pytest.mark.parametrize("app", [_raises, _says_why_and_raises])
def test_what_a_failing_startup_raises_is_the_cause_of_the_error(app: App) -> None:
    with pytest.raises(StartupError) as error:
        lived(app)

    assert isinstance(error.value.__cause__, ConnectionError)


@pytest.mark.parametrize("framework", [FastAPI, Starlette])
def test_a_frameworks_failing_startup_says_what_was_raised(framework: Any) -> None:
    def connect() -> None:
        raise ConnectionError("no database at db:5432")

    @asynccontextmanager
    async def lifespan(app: Any) -> AsyncIterator[None]:
        connect()
        yield

    with pytest.raises(StartupError, match=r"ConnectionError: no database at db:5432"):
        lived(framework(lifespan=lifespan))


def test_an_app_whose_startup_failed_is_not_shut_down() -> None:
    received: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        received.append((await receive())["type"])
        await send({"type": "lifespan.startup.failed"})
        received.append((await receive())["type"])

    async def live() -> None:
        lifespan = Lifespan(app)
        with pytest.raises(StartupError):
            await lifespan.startup()
        await lifespan.shutdown()

    asyncio.run(live())

    assert received == ["lifespan.startup"]


def test_an_app_that_was_never_started_is_not_shut_down() -> None:
    app = Recorder()
    asyncio.run(Lifespan(app).shutdown())

    assert app.received == []


async def _fails_to_stop(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send(STARTED)
    await receive()
    await send({"type": "lifespan.shutdown.failed", "message": "still writing"})


async def _raises_in_shutdown(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send(STARTED)
    await receive()
    raise OSError("still writing")


async def _dies_in_between(scope: Scope, receive: Receive, send: Send) -> None:
    await receive()
    await send(STARTED)
    raise OSError("lost")


async def _stops_twice(scope: Scope, receive: Receive, send: Send) -> None:
    await Recorder()(scope, receive, send)
    await send(STOPPED)


@pytest.mark.parametrize(
    ("app", "logged"),
    [
        pytest.param(_fails_to_stop, "the app's shutdown failed: still writing", id="failed"),
        pytest.param(_raises_in_shutdown, "the app's lifespan raised", id="exception"),
        pytest.param(_dies_in_between, "the app's lifespan raised", id="between the two"),
        pytest.param(_stops_twice, "the app's lifespan raised", id="message out of order"),
    ],
)
def test_a_failure_after_startup_is_logged_and_stops_nobody(
    app: App, logged: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def a_moment(lifespan: Lifespan) -> None:
        await asyncio.sleep(0)

    lived(app, a_moment)

    assert [record.message for record in caplog.records] == [logged]


@pytest.mark.parametrize(
    "kind",
    [
        "lifespan.startup.complete",
        "lifespan.startup.failed",
        "lifespan.shutdown.complete",
        "lifespan.shutdown.failed",
        "http.response.start",
    ],
)
def test_a_message_out_of_order_is_an_error_to_the_app(kind: str) -> None:
    sentences: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(STARTED)
        try:
            await send({"type": kind})
        except RuntimeError as error:
            sentences.append(str(error))
        await receive()
        await send(STOPPED)

    lived(app)

    assert sentences == [f"unexpected ASGI message {kind!r} in the lifespan"]


@pytest.mark.parametrize("error", [SystemExit(3), KeyboardInterrupt()], ids=repr)
def test_what_is_no_exception_goes_on(error: BaseException) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        raise error

    with pytest.raises(type(error)):
        lived(app)
