"""The request record on Lambda: there if the logger of requests was told so, after the result."""

import asyncio
import json
import logging
import socket
from collections.abc import Iterator
from threading import Event, Thread

import pytest

from ambidex.asgi.exchange import Exchange
from ambidex.asgi.scope import http_scope
from ambidex.asgi.types import Receive, Scope, Send
from ambidex.http import Request
from ambidex.log.access import AccessLog
from ambidex.runtime import loop
from ambidex.runtime.connection import Connection
from ambidex.runtime.messages import PeerError
from tests.runtime.test_loop import Script, event, function_of, ok, talk
from tests.runtime.test_response_stream import FUNCTION_URL, RuntimeApi
from tests.runtime.test_response_stream import talk as stream

LOGGER = logging.getLogger("ambidex.access")


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    yield
    LOGGER.setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    ("root", "own", "is_logged"),
    [
        pytest.param("WARNING", "NOTSET", False, id="nobody has said anything"),
        pytest.param("INFO", "NOTSET", False, id="the app's level is not the requests'"),
        pytest.param("WARNING", "INFO", True, id="told to"),
        pytest.param("INFO", "WARNING", False, id="told not to"),
    ],
)
def test_requests_are_logged_if_their_logger_was_told_to(
    root: str, own: str, is_logged: bool, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(root)
    LOGGER.setLevel(own)
    function = function_of(ok, events_path="/events")
    assert isinstance(function.app, AccessLog) == is_logged
    assert isinstance(function.outside, AccessLog) == is_logged


def records_of(document: bytes, caplog: pytest.LogCaptureFixture) -> list[tuple[str, object]]:
    LOGGER.setLevel(logging.INFO)
    talk(Script([document]), ok, events_path="/events")
    found = [record for record in caplog.records if record.name == LOGGER.name]
    return [(record.getMessage(), vars(record)["path"]) for record in found]


def test_a_request_has_one_record(caplog: pytest.LogCaptureFixture) -> None:
    document = event(rawPath="/a b", rawQueryString="x=%201")
    assert records_of(document, caplog) == [("GET /a%20b?x=%201 200", "/a%20b")]


def test_so_has_an_event_that_is_no_request(caplog: pytest.LogCaptureFixture) -> None:
    assert records_of(b"{}", caplog) == [("POST /events 200", "/events")]


def test_so_has_one_that_a_caller_sends_to_the_events_path(
    caplog: pytest.LogCaptureFixture,
) -> None:
    assert records_of(event(rawPath="/events"), caplog) == [("GET /events 404", "/events")]


def test_what_is_cancelled_from_outside_is_too_late_and_what_cancels_itself_has_failed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    LOGGER.setLevel(logging.INFO)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["query_string"] == b"outside":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        raise asyncio.CancelledError

    async def main(query: bytes) -> None:
        scope = http_scope(Request("GET", "/", query), {})
        task = asyncio.create_task(Exchange(b"", False, print).run(function_of(app).app, scope))
        await asyncio.wait({task})

    asyncio.run(main(b"outside"))
    asyncio.run(main(b"inside"))
    records = [record for record in caplog.records if record.name == LOGGER.name]
    assert [record.getMessage() for record in records] == ["GET /?outside 504", "GET /?inside 500"]


@pytest.mark.parametrize(
    ("response", "more_body", "is_cancelled", "status"),
    [
        pytest.param("buffered", False, False, 500, id="headers, and it raises"),
        pytest.param("buffered", True, False, 500, id="a piece that is gathered, and it raises"),
        pytest.param(
            "buffered", True, True, 504, id="a piece that is gathered, and it is too late"
        ),
        pytest.param("stream", False, False, 500, id="headers of a stream, and it raises"),
        pytest.param("stream", False, True, 504, id="headers of a stream, and it is too late"),
        pytest.param("stream", True, False, 201, id="a piece that is streamed, and it raises"),
        pytest.param("stream", True, True, 201, id="a piece that is streamed, and it is too late"),
    ],
)
def test_the_status_is_the_one_that_the_client_gets(
    response: str,
    more_body: bool,
    is_cancelled: bool,
    status: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    LOGGER.setLevel(logging.INFO)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 201, "headers": []})
        if more_body:
            await send({"type": "http.response.body", "body": b"a", "more_body": True})
        if is_cancelled:
            await asyncio.Event().wait()
        raise ValueError

    api = RuntimeApi(FUNCTION_URL, left_s=0.3)
    stream(api, app, response=response)
    records = [record for record in caplog.records if record.name == LOGGER.name]
    assert [vars(record)["status"] for record in records] == [status]
    (posted,) = api.posted
    result = posted.prelude if response == "stream" else json.loads(posted.body)
    assert result["statusCode"] == status


def test_it_is_written_when_the_result_has_left() -> None:
    posted = Event()
    seen: list[bool] = []
    document = event()

    def api(listener: socket.socket) -> None:
        peer, _ = listener.accept()
        with peer, peer.makefile("rb") as requests:
            head = b"Lambda-Runtime-Aws-Request-Id: r-1\r\nContent-Length: %d" % len(document)
            for answer in (
                b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (head, document),
                b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
                b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
            ):
                if requests.readline().startswith(b"POST"):
                    posted.set()
                length = 0
                while line := requests.readline().strip():
                    if line.lower().startswith(b"content-length:"):
                        length = int(line.split(b":")[1])
                requests.read(length)
                peer.sendall(answer)

    class Waits(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            # The loop stands still here: what the Runtime API gets now was sent before.
            seen.append(posted.wait(60))

    async def main(address: str) -> None:
        connection = Connection(address)
        with pytest.raises(PeerError):
            await loop.run(connection, function_of(ok), {})
        connection.close()

    handler = Waits()
    LOGGER.setLevel(logging.INFO)
    LOGGER.addHandler(handler)
    try:
        with socket.create_server(("127.0.0.1", 0)) as listener:
            thread = Thread(target=api, args=(listener,))
            thread.start()
            asyncio.run(main(f"127.0.0.1:{listener.getsockname()[1]}"))
            thread.join()
    finally:
        LOGGER.removeHandler(handler)
    assert seen == [True]
