"""The invocation loop against the conversations that AWS documents, by a scripted Runtime API."""

import asyncio
import json
import re
from collections.abc import Iterable
from typing import Any, cast

import pytest

from ambidex.asgi.types import App, Receive, Scope, Send
from ambidex.events.detect import LAMBDA_RESULT_BYTES
from ambidex.local.http1 import server as http1_server
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.runtime_api_server import LIMITS, refuse
from ambidex.runtime import loop
from ambidex.runtime.connection import Connection
from ambidex.runtime.invocation import Function, function
from ambidex.runtime.messages import PeerError
from ambidex.settings import from_environ

EVENT: dict[str, Any] = {
    "version": "2.0",
    "rawPath": "/",
    "rawQueryString": "",
    "headers": {"host": "x.execute-api.eu-west-1.amazonaws.com"},
    "requestContext": {"stage": "$default", "http": {"method": "GET"}},
    "isBase64Encoded": False,
}


class Script:
    """A Runtime API that hands out events, answers results as told, and then is in a bad state."""

    def __init__(
        self,
        events: Iterable[bytes],
        headers: Iterable[tuple[bytes, bytes]] = (),
        status: int = 202,
    ) -> None:
        self.events = list(events)
        self.headers = list(headers)
        self.status = status
        self.calls: list[tuple[str, dict[str, str], bytes]] = []

    async def __call__(self, exchange: ServerExchange) -> None:
        body = await exchange.read_body()
        path = exchange.head.target.decode()
        names = {name.decode().lower(): value.decode() for name, value in exchange.head.headers}
        self.calls.append((path.removeprefix("/2018-06-01/runtime/"), names, body))
        if exchange.head.method == "POST":
            exchange.respond(self.status, (), b'{"errorType":"Told"}')
        elif self.events:
            headers = ((b"Lambda-Runtime-Aws-Request-Id", b"r-1"), *self.headers)
            exchange.respond(200, headers, self.events.pop(0))
        else:
            exchange.respond(500, (), b"bad state")


def function_of(app: App, **settings: Any) -> Function:
    return function(app, {}, from_environ({}).aws_lambda._replace(**settings))


def talk(
    script: Script, app: App, environ: dict[str, str] | None = None, **settings: Any
) -> list[Any]:
    """Run the loop until the script is in a bad state; what it was asked."""

    answering = function_of(app, **settings)

    async def main() -> None:
        server = await http1_server.listen(
            script, "127.0.0.1", 0, limits=LIMITS, refuse=refuse, keep_alive_s=None
        )
        connection = Connection(f"127.0.0.1:{server.port}")
        with pytest.raises(PeerError):
            await loop.run(connection, answering, {} if environ is None else environ)
        connection.close()
        server.abort()
        await server.closed()

    asyncio.run(main())
    return script.calls


def event(**changes: Any) -> bytes:
    return json.dumps(EVENT | changes).encode()


async def ok(scope: Scope, receive: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


def test_an_event_is_asked_for_answered_and_the_next_one_asked_for() -> None:
    calls = talk(Script([event(), event()]), ok)
    assert [path for path, _, _ in calls] == [
        "invocation/next",
        "invocation/r-1/response",
        "invocation/next",
        "invocation/r-1/response",
        "invocation/next",
    ]
    assert json.loads(calls[1][2]) == {
        "statusCode": 200,
        "headers": {},
        "body": "ok",
        "isBase64Encoded": False,
    }


def test_one_connection_carries_all_requests_each_in_one_piece() -> None:
    requests: list[bytes] = []
    connections: list[None] = []

    class Pieces(asyncio.Protocol):
        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            connections.append(None)
            self.transport = cast("asyncio.Transport", transport)

        def data_received(self, data: bytes) -> None:
            requests.append(data)
            if data.startswith(b"POST"):
                self.transport.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            elif len(requests) < 5:
                head = b"Lambda-Runtime-Aws-Request-Id: r\r\nContent-Length: %d" % len(event())
                self.transport.write(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (head, event()))
            else:
                self.transport.write(b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n")

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Pieces, "127.0.0.1", 0)
        connection = Connection(f"127.0.0.1:{server.sockets[0].getsockname()[1]}")
        with pytest.raises(PeerError):
            await loop.run(connection, function_of(ok), {})
        connection.close()
        server.close()

    asyncio.run(main())
    assert len(connections) == 1
    assert [data.partition(b" ")[0] for data in requests] == [b"GET", b"POST"] * 2 + [b"GET"]


def test_the_invocation_id_of_an_attempt_is_echoed() -> None:
    script = Script([event()], [(b"Lambda-Runtime-Invocation-Id", b"attempt-7")])
    assert talk(script, ok)[1][1]["lambda-runtime-invocation-id"] == "attempt-7"


def test_the_trace_id_is_in_the_environment_for_its_invocation_only() -> None:
    environ = {"_X_AMZN_TRACE_ID": "of another invocation"}
    seen: list[str | None] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(environ.get("_X_AMZN_TRACE_ID"))
        await ok(scope, receive, send)

    talk(Script([event()], [(b"Lambda-Runtime-Trace-Id", b"Root=1-2-3")]), app, environ)
    talk(Script([event()]), app, environ)
    assert seen == ["Root=1-2-3", None]


def test_event_and_context_are_in_the_scope_under_mangums_names() -> None:
    scopes: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        scopes.append(scope)
        await ok(scope, receive, send)

    script = Script(
        [event()],
        [
            (b"Lambda-Runtime-Deadline-Ms", b"99999999999999"),
            (b"Lambda-Runtime-Invoked-Function-Arn", b"arn:x"),
            (b"Lambda-Runtime-Client-Context", b'{"custom": {"a": 1}, "client": {"b": "c"}}'),
            (b"Lambda-Runtime-Cognito-Identity", b'{"cognitoIdentityId": "me"}'),
            (b"Lambda-Runtime-Aws-Tenant-Id", b"tenant"),
        ],
    )
    talk(script, app, {"AWS_LAMBDA_FUNCTION_NAME": "f", "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512"})
    context = scopes[0]["aws.context"]
    assert scopes[0]["aws.event"] == EVENT
    assert (context.aws_request_id, context.invoked_function_arn) == ("r-1", "arn:x")
    assert (context.function_name, context.memory_limit_in_mb) == ("f", "512")
    assert context.tenant_id == "tenant"
    assert context.client_context.custom == {"a": 1}
    assert context.client_context.client.b == "c"
    assert context.identity.cognito_identity_id == "me"
    assert context.get_remaining_time_in_millis() > 10**6


@pytest.mark.parametrize(
    ("document", "kind"),
    [
        pytest.param(b'{"Records": []}', "Runtime.UnsupportedEvent", id="no HTTP event"),
        pytest.param(b"{not json", "Runtime.UnmarshalError", id="no JSON"),
        pytest.param(event(headers=7), "Runtime.UnsupportedEvent", id="a malformed HTTP event"),
    ],
)
def test_an_event_that_is_no_request_is_an_error_of_the_invocation(
    document: bytes, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    calls = talk(Script([document, event()]), ok)
    path, headers, body = calls[1]
    assert path == "invocation/r-1/error"
    assert headers["lambda-runtime-function-error-type"] == kind
    assert json.loads(body)["errorType"] == kind
    assert calls[3][0] == "invocation/r-1/response"
    assert kind in caplog.text


@pytest.mark.parametrize("status", [400, 403, 410, 413])
def test_a_refused_result_is_logged_and_the_next_event_asked_for(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    calls = talk(Script([event(), event()], status=status), ok)
    assert [path for path, _, _ in calls].count("invocation/next") == 3
    assert f"refused the result of r-1 ({status})" in caplog.text


def test_a_bad_state_ends_the_loop() -> None:
    calls = talk(Script([event(), event()], status=500), ok)
    assert [path for path, _, _ in calls] == ["invocation/next", "invocation/r-1/response"]


def test_an_app_that_raises_is_a_plain_500_and_one_log_event(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("the app's own words")

    result = json.loads(talk(Script([event()]), app)[1][2])
    assert (result["statusCode"], result["body"]) == (500, "Internal Server Error")
    assert len(caplog.records) == 1
    assert "the app's own words" in caplog.text


def test_a_result_that_is_too_large_is_a_500_and_a_log_line_that_names_the_way_out(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b"x" * LAMBDA_RESULT_BYTES})

    result = json.loads(talk(Script([event()]), app)[1][2])
    assert result["statusCode"] == 500
    assert "too large" in result["body"]
    assert "stream it" in caplog.text
    assert "serve this route from ECS" in caplog.text


def test_context_variables_that_an_app_sets_end_with_the_request() -> None:
    from contextvars import ContextVar

    variable: ContextVar[int] = ContextVar("variable", default=0)
    seen: list[int] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(variable.get())
        variable.set(1)
        await ok(scope, receive, send)

    talk(Script([event(), event()]), app)
    assert seen == [0, 0]


def test_the_result_is_posted_before_background_work_and_the_next_event_asked_for_after() -> None:
    script = Script([event()])
    at_the_end: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await ok(scope, receive, send)
        while len(script.calls) < 2:  # noqa: ASYNC110 – the script is not told of waiting
            await asyncio.sleep(0)
        at_the_end.extend(path for path, _, _ in script.calls)

    talk(script, app)
    assert at_the_end == ["invocation/next", "invocation/r-1/response"]


def test_a_connection_that_the_peer_closes_while_it_is_idle_is_opened_again() -> None:
    answers = [
        b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: r-1\r\nContent-Length: %d\r\n\r\n%b"
        % (len(event()), event()),
        b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n",
        b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
    ]
    paths: list[bytes] = []

    async def one_request_a_connection(
        reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        paths.append(head.split(b" ")[1].rpartition(b"/")[2])
        writer.write(answers[len(paths) - 1])
        writer.close()

    async def main() -> None:
        server = await asyncio.start_server(one_request_a_connection, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        connection = Connection(f"127.0.0.1:{port}")
        with pytest.raises(PeerError, match="500"):
            await loop.run(connection, function_of(ok), {})
        connection.close()
        server.close()

    asyncio.run(main())
    assert paths == [b"next", b"response", b"next"]


def test_nobody_at_the_address_is_one_clear_error() -> None:
    connection = Connection("127.0.0.1:1")
    with pytest.raises(PeerError, match=r"no Runtime API answers at '127\.0\.0\.1:1'"):
        asyncio.run(connection.call(b""))


SQS = b'{"Records": [{"eventSource": "aws:sqs", "body": "\\u00e9"}],  "n": 1.50}'


def answering(status: int, body: bytes) -> App:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": status, "headers": []})
        await send({"type": "http.response.body", "body": body})

    return app


@pytest.mark.parametrize(
    "document",
    [
        pytest.param(SQS, id="object"),
        pytest.param(b'[1, "two"]', id="list"),
        pytest.param(b'"warm up"', id="string"),
        pytest.param(b"null", id="null"),
        pytest.param(b"123456789012345678901234567890", id="number above 64 bit"),
    ],
)
def test_an_event_that_is_no_request_is_posted_to_the_events_path_as_it_came(
    document: bytes,
) -> None:
    seen: list[tuple[Scope, bytes]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append((scope, (await receive())["body"]))
        await ok(scope, receive, send)

    talk(Script([document]), app, events_path="/ev%C3%A9nts")
    ((scope, body),) = seen
    assert body == document
    assert (scope["method"], scope["path"], scope["root_path"]) == ("POST", "/evénts", "")
    assert scope["headers"] == [
        (b"host", b"localhost"),
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(document)),
    ]
    assert (scope["client"], scope["scheme"]) == (None, "https")
    assert scope["aws.event"] == json.loads(document)
    assert scope["aws.context"].aws_request_id == "r-1"


@pytest.mark.parametrize(
    ("status", "body", "result"),
    [
        pytest.param(200, b'{"a":  1.0}\n', b'{"a":  1.0}\n', id="an object, byte for byte"),
        pytest.param(299, b"[]", b"[]", id="another status of success"),
        pytest.param(204, b"", b"null", id="no body is null"),
        pytest.param(202, b'"\\ud800"', b'"\\ud800"', id="a lone surrogate is JSON"),
    ],
)
def test_the_apps_json_is_the_result(status: int, body: bytes, result: bytes) -> None:
    path, _, document = talk(Script([SQS]), answering(status, body), events_path="/events")[1]
    assert (path, document) == ("invocation/r-1/response", result)


@pytest.mark.parametrize(
    ("status", "body", "kind", "message"),
    [
        pytest.param(
            503,
            b"no more",
            "Function.ErrorStatus",
            "the app answered POST /events with 503: 'no more'",
            id="an error",
        ),
        pytest.param(
            307,
            b"",
            "Function.ErrorStatus",
            "the app answered POST /events with 307: ''",
            id="a redirect",
        ),
        pytest.param(
            199,
            b"{}",
            "Function.ErrorStatus",
            "the app answered POST /events with 199: '{}'",
            id="less than a success",
        ),
        pytest.param(
            404,
            b"x" * 1000,
            "Function.ErrorStatus",
            f"the app answered POST /events with 404: '{'x' * 196}...",
            id="200 characters of a body",
        ),
        pytest.param(
            200,
            b"ok",
            "Runtime.MarshalError",
            "the app answered POST /events with a body that is no JSON: 'ok'",
            id="no JSON",
        ),
        pytest.param(
            200,
            b"NaN",
            "Runtime.MarshalError",
            "the app answered POST /events with a body that is no JSON: 'NaN'",
            id="NaN",
        ),
        pytest.param(
            200,
            b'"\xff"',
            "Runtime.MarshalError",
            "the app answered POST /events with a body that is no JSON: '\"\ufffd\"'",
            id="no UTF-8",
        ),
        pytest.param(
            200,
            b"[" * 100_000,
            "Runtime.MarshalError",
            f"the app answered POST /events with a body that is no JSON: '{'[' * 196}...",
            id="too deep",
        ),
        pytest.param(
            200,
            b"1" * (LAMBDA_RESULT_BYTES + 1),
            "Function.ResponseSizeTooLarge",
            "the app answered POST /events with 6291557 bytes of JSON, and Lambda takes 6291556: "
            "put the data where the caller can fetch it, such as S3",
            id="too large",
        ),
    ],
)
def test_an_answer_that_is_no_success_or_no_result_fails_the_invocation(
    status: int, body: bytes, kind: str, message: str, caplog: pytest.LogCaptureFixture
) -> None:
    path, headers, document = talk(Script([SQS]), answering(status, body), events_path="/events")[1]
    assert path == "invocation/r-1/error"
    assert headers["lambda-runtime-function-error-type"] == kind
    # The emulator's rule; what does not follow it becomes Runtime.Unknown or Function.Unknown.
    assert re.fullmatch(r"(Runtime|Function)\.[A-Z][A-Za-z]+", kind)
    assert json.loads(document) == {"errorMessage": message, "errorType": kind, "stackTrace": []}
    assert [record.getMessage() for record in caplog.records] == [f"{kind}: {message}"]


def test_a_body_of_the_largest_size_is_a_result() -> None:
    body = b"1" * LAMBDA_RESULT_BYTES
    assert talk(Script([SQS]), answering(200, body), events_path="/events")[1][2] == body


def test_an_app_that_raises_at_an_event_fails_the_invocation_and_is_logged_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        raise ValueError("the app's own words")

    path, headers, _ = talk(Script([SQS]), app, events_path="/events")[1]
    assert path == "invocation/r-1/error"
    assert headers["lambda-runtime-function-error-type"] == "Function.ErrorStatus"
    assert caplog.text.count("ValueError: the app's own words") == 1


def test_without_an_events_path_the_error_names_the_event_and_the_setting() -> None:
    _, headers, document = talk(Script([SQS]), ok)[1]
    assert headers["lambda-runtime-function-error-type"] == "Runtime.UnsupportedEvent"
    message = json.loads(document)["errorMessage"]
    assert "it holds records of 'aws:sqs'" in message
    assert "set `events-path` in [tool.ambidex.lambda]" in message


def test_a_malformed_http_event_does_not_go_to_the_events_path() -> None:
    calls: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append(scope)

    path, headers, document = talk(Script([event(headers=7)]), app, events_path="/events")[1]
    assert path == "invocation/r-1/error"
    assert headers["lambda-runtime-function-error-type"] == "Runtime.UnsupportedEvent"
    assert "events-path" not in json.loads(document)["errorMessage"]
    assert calls == []


@pytest.mark.parametrize(
    ("method", "body"),
    [("POST", "Not Found"), ("GET", "Not Found"), ("HEAD", ""), ("OPTIONS", "Not Found")],
)
def test_an_http_event_for_the_events_path_is_a_404_without_the_app(
    method: str, body: str, caplog: pytest.LogCaptureFixture
) -> None:
    context = {"stage": "$default", "http": {"method": method}}
    document = event(rawPath="//events/", requestContext=context)
    calls: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        calls.append(scope)

    result = json.loads(talk(Script([document]), app, events_path="/events")[1][2])
    assert (result["statusCode"], result["body"]) == (404, body)
    assert calls == []
    assert caplog.records == []


@pytest.mark.parametrize(
    ("status", "fails"), [(499, False), (500, True), (504, True), (505, False), (429, True)]
)
def test_a_status_that_the_settings_name_fails_the_invocation_of_a_request_too(
    status: int, fails: bool
) -> None:
    path, headers, document = talk(
        Script([event(rawPath="/orders")]),
        answering(status, b"busy"),
        error_statuses=("500-504", "429"),
    )[1]
    assert path == f"invocation/r-1/{'error' if fails else 'response'}"
    if fails:
        assert headers["lambda-runtime-function-error-type"] == "Function.ErrorStatus"
        message = f"the app answered GET /orders with {status}: 'busy'"
        assert json.loads(document)["errorMessage"] == message
