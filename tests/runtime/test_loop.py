"""The invocation loop against the conversations that AWS documents, by a scripted Runtime API."""

import asyncio
import json
from collections.abc import Iterable
from typing import Any, cast

import pytest

from ambidex.asgi.types import App, Receive, Scope, Send
from ambidex.events.detect import LAMBDA_RESULT_BYTES
from ambidex.local.environment import _LIMITS, _refuse
from ambidex.local.http1 import server as http1_server
from ambidex.local.http1.exchange import ServerExchange
from ambidex.runtime import loop
from ambidex.runtime.connection import Connection
from ambidex.runtime.messages import PeerError

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


def talk(script: Script, app: App, environ: dict[str, str] | None = None) -> list[Any]:
    """Run the loop until the script is in a bad state; what it was asked."""

    async def main() -> None:
        server = await http1_server.listen(
            script, "127.0.0.1", 0, limits=_LIMITS, refuse=_refuse, keep_alive_s=None
        )
        connection = Connection(f"127.0.0.1:{server.port}")
        with pytest.raises(PeerError):
            await loop.run(connection, app, {}, "", {} if environ is None else environ)
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
            await loop.run(connection, ok, {}, "", {})
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
            await loop.run(connection, ok, {}, "", {})
        connection.close()
        server.close()

    asyncio.run(main())
    assert paths == [b"next", b"response", b"next"]


def test_nobody_at_the_address_is_one_clear_error() -> None:
    connection = Connection("127.0.0.1:1")
    with pytest.raises(PeerError, match=r"no Runtime API answers at '127\.0\.0\.1:1'"):
        asyncio.run(connection.call(b""))
