"""Responses in the Runtime API's streaming mode: what is on the wire, and what ends it early."""

import asyncio
import json
import logging
import socket
from base64 import b64decode
from collections.abc import Awaitable, Callable
from time import time
from typing import Any

import pytest

from ambidex.asgi.types import App, Message, Receive, Scope, Send
from ambidex.http import Response
from ambidex.local.http1 import server as http1_server
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.runtime_api_server import LIMITS, refuse
from ambidex.runtime import loop, response_stream
from ambidex.runtime.connection import Connection
from ambidex.runtime.deadline import Deadlines
from ambidex.runtime.invocation import function
from ambidex.runtime.messages import Invocation, PeerError
from ambidex.settings import from_environ

_CONTEXT = {"domainName": "x.lambda-url.eu-west-1.on.aws", "http": {"method": "GET"}}
FUNCTION_URL: dict[str, Any] = {
    "version": "2.0",
    "rawPath": "/",
    "rawQueryString": "",
    "headers": {"host": "x.lambda-url.eu-west-1.on.aws"},
    "requestContext": _CONTEXT,
    "isBase64Encoded": False,
}
REST_API: dict[str, Any] = {
    "resource": "/{proxy+}",
    "path": "/",
    "httpMethod": "GET",
    "headers": {},
    "multiValueHeaders": {"Host": ["x.execute-api.eu-west-1.amazonaws.com"]},
    "requestContext": {"path": "/", "stage": "prod", "httpMethod": "GET"},
    "isBase64Encoded": False,
}
HTTP_API: dict[str, Any] = FUNCTION_URL | {
    "requestContext": {"stage": "$default", "http": {"method": "GET"}}
}
RECORDS: dict[str, Any] = {"Records": [{"eventSource": "aws:sqs"}]}

Taker = Callable[[ServerExchange], Awaitable[None]]


class Posted:
    """What the runtime posted, as the Runtime API read it."""

    def __init__(self, exchange: ServerExchange) -> None:
        self.call = exchange.head.target.decode().rpartition("/")[2]
        self.headers = {
            name.decode().lower(): value.decode() for name, value in exchange.head.headers
        }
        self.body = b""
        self.trailers: dict[str, str] = {}

    @property
    def prelude(self) -> Any:
        return json.loads(self.body.partition(b"\0" * 8)[0])

    @property
    def streamed(self) -> bytes:
        return self.body.partition(b"\0" * 8)[2]

    @property
    def error(self) -> Any:
        return json.loads(b64decode(self.trailers["lambda-runtime-function-error-body"]))


class RuntimeApi:
    """Hands out events, reads results or does as it was told; then it is in a bad state."""

    def __init__(
        self, event: dict[str, Any], take: Taker | None = None, left_s: float | None = None
    ) -> None:
        self.events = [event]
        self.left_s = left_s
        self.posted: list[Posted] = []
        self.pieces: list[bytes] = []
        self._take = take

    async def __call__(self, exchange: ServerExchange) -> None:
        if exchange.head.method == "GET":
            if not self.events:
                exchange.respond(500, (), b"bad state")
                return
            headers = [(b"Lambda-Runtime-Aws-Request-Id", b"r-1")]
            if self.left_s is not None:
                deadline_ms = int((time() + self.left_s) * 1000)
                headers.append((b"Lambda-Runtime-Deadline-Ms", b"%d" % deadline_ms))
            exchange.respond(200, tuple(headers), json.dumps(self.events.pop()).encode())
            return
        posted = Posted(exchange)
        self.posted.append(posted)
        if self._take is not None:
            await self._take(exchange)
            return
        while data := await exchange.read_chunk():
            self.pieces.append(data)
            posted.body += data
        posted.trailers = {
            name.decode().lower(): value.decode() for name, value in exchange.trailers
        }
        exchange.respond(202, (), b"")


def talk(api: RuntimeApi, app: App, **settings: Any) -> None:
    answering = function(app, {}, from_environ({}).aws_lambda._replace(**settings))

    async def main() -> None:
        server = await http1_server.listen(
            api, "127.0.0.1", 0, limits=LIMITS, refuse=refuse, keep_alive_s=None
        )
        connection = Connection(f"127.0.0.1:{server.port}")
        with pytest.raises(PeerError):
            await loop.run(connection, answering, {}, Deadlines(0.25))
        connection.close()
        server.abort()
        await server.closed()

    asyncio.run(main())


def answer(app: App, event: dict[str, Any], **settings: Any) -> Posted:
    """What is posted for an event, with responses streamed."""
    api = RuntimeApi(event)
    talk(api, app, **{"response": "stream", **settings})
    (posted,) = api.posted
    return posted


START: Message = {
    "type": "http.response.start",
    "status": 201,
    "headers": [(b"content-type", b"text/plain"), (b"set-cookie", b"a=1"), (b"set-cookie", b"b=2")],
}


def piece(data: bytes, *, more: bool = True) -> Message:
    return {"type": "http.response.body", "body": data, "more_body": more}


def scripted(*messages: Message) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in messages:
            await send(message)

    return app


IN_PIECES = scripted(START, piece(b"a"), piece(b""), piece(b"\xff\0"), piece(b"c", more=False))
AT_ONCE = scripted(START, piece(b"a\xff\0c", more=False))


@pytest.mark.parametrize("app", [IN_PIECES, AT_ONCE], ids=["in pieces", "at once"])
@pytest.mark.parametrize(
    ("event", "prelude"),
    [
        pytest.param(
            FUNCTION_URL,
            {
                "statusCode": 201,
                "headers": {"content-type": "text/plain"},
                "cookies": ["a=1", "b=2"],
            },
            id="function URL",
        ),
        pytest.param(
            REST_API,
            {
                "statusCode": 201,
                "multiValueHeaders": {
                    "content-type": ["text/plain"],
                    "set-cookie": ["a=1", "b=2"],
                },
            },
            id="REST API",
        ),
    ],
)
def test_a_response_is_posted_in_streaming_mode(
    app: App, event: dict[str, Any], prelude: dict[str, Any]
) -> None:
    posted = answer(app, event)

    assert posted.call == "response"
    assert posted.headers["lambda-runtime-function-response-mode"] == "streaming"
    assert posted.headers["transfer-encoding"] == "chunked"
    assert posted.headers["content-type"] == "application/vnd.awslambda.http-integration-response"
    assert posted.headers["trailer"] == (
        "Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body"
    )
    assert posted.prelude == prelude
    assert posted.streamed == b"a\xff\0c"
    assert posted.trailers == {}


@pytest.mark.parametrize(
    ("event", "settings"),
    [
        pytest.param(HTTP_API, {}, id="an HTTP API streams nothing"),
        pytest.param(FUNCTION_URL, {"response": "buffered"}, id="buffered by the settings"),
        pytest.param(RECORDS, {"events_path": "/"}, id="no HTTP request"),
    ],
)
def test_what_takes_no_stream_gets_a_plain_result(
    event: dict[str, Any], settings: dict[str, Any]
) -> None:
    app = scripted(START, piece(b'{"a":'), piece(b"1}", more=False))
    posted = answer(app, event, **settings)

    assert posted.call == "response"
    assert "lambda-runtime-function-response-mode" not in posted.headers
    result = json.loads(posted.body)
    assert result == {"a": 1} or result["body"] == '{"a":1}'


def test_a_failing_status_fails_the_invocation_though_responses_are_streamed() -> None:
    posted = answer(IN_PIECES, FUNCTION_URL, error_statuses=("201",))

    assert posted.call == "error"
    assert posted.headers["lambda-runtime-function-error-type"] == "Function.ErrorStatus"


def raising(*before: Message) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        for message in before:
            await send(message)
        raise ValueError("the app's own")

    return app


@pytest.mark.parametrize("before", [(), (START,)], ids=["at once", "after the headers"])
def test_an_app_that_raises_before_its_first_byte_is_a_500(before: tuple[Message, ...]) -> None:
    posted = answer(raising(*before), FUNCTION_URL)

    assert posted.prelude["statusCode"] == 500
    assert posted.streamed == b"Internal Server Error"
    assert posted.trailers == {}


def test_an_app_that_raises_after_its_first_byte_ends_the_stream_with_the_error() -> None:
    posted = answer(raising(START, piece(b"a")), FUNCTION_URL)

    assert posted.prelude["statusCode"] == 201
    assert posted.streamed == b"a"
    assert posted.trailers["lambda-runtime-function-error-type"] == "Function.ResponseError"
    assert posted.error["errorType"] == "Function.ResponseError"
    assert posted.error["errorMessage"] == (
        "the app raised in its response: ValueError: the app's own"
    )
    assert "raise ValueError" in posted.error["stackTrace"][-1]


def test_an_app_that_returns_before_its_response_ends_ends_the_stream_with_an_error() -> None:
    posted = answer(scripted(START, piece(b"a")), FUNCTION_URL)

    assert posted.streamed == b"a"
    assert posted.error == {
        "errorType": "Function.IncompleteResponse",
        "errorMessage": "the app returned before its response ended",
        "stackTrace": [],
    }


def test_each_piece_leaves_before_the_app_sends_the_next() -> None:
    api = RuntimeApi(FUNCTION_URL)
    seen: list[bytes] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        for data in (b"one", b"two"):
            await send(piece(data))
            while not b"".join(api.pieces).endswith(data):  # noqa: ASYNC110 – there is no event
                await asyncio.sleep(0)
            seen.append(b"".join(api.pieces).partition(b"\0" * 8)[2])
        await send(piece(b"", more=False))

    talk(api, app, response="stream")

    assert seen == [b"one", b"onetwo"]


def test_an_app_does_not_run_ahead_of_a_peer_that_reads_slowly() -> None:
    """What is on its way at most is what the two sockets and the transport hold."""
    ahead: list[int] = []
    sent = 0
    piece_bytes = 1024 * 1024

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal sent
        await send(START)
        for _ in range(40):
            await send(piece(bytes(piece_bytes)))
            sent += piece_bytes
        await send(piece(b"", more=False))

    async def take(exchange: ServerExchange) -> None:
        read = 0
        while data := await exchange.read_chunk():
            read += len(data)
            ahead.append(sent - read)
        exchange.respond(202, (), b"")

    talk(RuntimeApi(FUNCTION_URL, take), app, response="stream")

    assert sent == 40 * piece_bytes
    assert max(ahead) < 12 * piece_bytes


def test_an_app_that_gives_up_on_one_send_may_send_on() -> None:
    received: list[bytes] = []
    trailers: list[object] = []
    is_reading = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        other = asyncio.create_task(send_until_full(send))
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05):
                await send_until_full(send)
        is_reading.set()
        await other
        await send(piece(b"end", more=False))

    async def send_until_full(send: Send) -> None:
        while not is_reading.is_set():
            await send(piece(bytes(1024 * 1024)))

    async def take(exchange: ServerExchange) -> None:
        await is_reading.wait()
        while data := await exchange.read_chunk():
            received.append(data)
        trailers.extend(exchange.trailers)
        exchange.respond(202, (), b"")

    talk(RuntimeApi(FUNCTION_URL, take), app, response="stream")

    assert received[-1].endswith(b"end")
    assert not trailers


async def send_forever(send: Send) -> None:
    while True:
        await send(piece(bytes(64 * 1024)))


@pytest.mark.parametrize("status", [400, 403, 410, 413])
def test_an_app_stops_when_the_runtime_api_takes_no_more(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    ended: list[Message] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await receive()
        await send(START)
        with pytest.raises(BrokenPipeError, match="nobody takes more"):
            await send_forever(send)
        ended.append(await receive())

    async def take(exchange: ServerExchange) -> None:
        exchange.respond(status, (), b"no more")

    api = RuntimeApi(FUNCTION_URL, take)
    api.events *= 2
    talk(api, app, response="stream")

    assert ended == [{"type": "http.disconnect"}] * 2, "the second event came, and went the same"
    assert [record.message for record in caplog.records if record.levelno >= logging.ERROR] == [
        f"the Runtime API refused the result of r-1 ({status}): no more"
    ] * 2


def test_a_stream_that_could_not_be_begun_does_not_end_as_if_it_were_whole() -> None:
    """The connection is gone, nobody takes a new one, and the app takes no notice."""
    posted: list[Posted] = []

    async def take(exchange: ServerExchange) -> None:
        posted.append(Posted(exchange))
        await exchange.read_body()
        exchange.respond(202, (), b"")

    async def main() -> None:
        with socket.create_server(("127.0.0.1", 0)) as closed:
            port = closed.getsockname()[1]
        connection = Connection(f"127.0.0.1:{port}")
        invocation = Invocation("r-1", b"")
        response = Response(200, ())
        stream = response_stream.ResponseStream(
            connection, invocation, response, lambda _response: {}
        )
        with pytest.raises(PeerError):
            await stream.write(b"lost")
        server = await http1_server.listen(
            take, "127.0.0.1", port, limits=LIMITS, refuse=refuse, keep_alive_s=None
        )
        stream.end(b"rest")
        await connection.reply()
        connection.close()
        server.abort()
        await server.closed()

    asyncio.run(main())

    assert [(each.call, each.headers["lambda-runtime-function-error-type"]) for each in posted] == [
        ("error", "Function.IncompleteResponse")
    ]


def test_a_response_larger_than_lambda_streams_ends_with_an_error(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(response_stream, "STREAM_BYTES", 3)
    posted = answer(
        scripted(START, piece(b"ab"), piece(b"c"), piece(b"d"), piece(b"", more=False)),
        FUNCTION_URL,
    )

    assert posted.streamed == b"abc"
    assert posted.error["errorType"] == "Function.ResponseSizeTooLarge"
    assert "hand out a link to S3" in caplog.records[0].message


def test_lambda_streams_200_mb() -> None:
    assert response_stream.STREAM_BYTES == 200 * 1024 * 1024


def test_a_stream_that_comes_to_its_deadline_ends_with_an_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send(START)
        await send(piece(b"a"))
        await asyncio.Event().wait()

    api = RuntimeApi(FUNCTION_URL, left_s=0.3)
    talk(api, app, response="stream")
    (posted,) = api.posted
    assert posted.streamed == b"a"
    assert posted.trailers["lambda-runtime-function-error-type"] == "Function.Timeout"
    assert "did not answer the request within the function's time-out" in str(posted.error)
    assert "the response did not end in time: it was cut off" in caplog.text
    assert "await asyncio.Event().wait()" in caplog.text


def test_what_does_not_answer_is_a_504_in_streaming_mode_too() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await asyncio.Event().wait()

    api = RuntimeApi(FUNCTION_URL, left_s=0.3)
    talk(api, app, response="stream")
    (posted,) = api.posted
    assert posted.prelude["statusCode"] == 504
    assert posted.headers["lambda-runtime-function-response-mode"] == "streaming"
