"""What comes beside an event and reaches the app: trace context, tenant, Authorization."""

import json
from typing import Any

import pytest
from awslambdaric.lambda_context import LambdaContext as AwsContext

from ambidex import Handler
from ambidex.asgi.types import Receive, Scope, Send
from ambidex.local.http1.exchange import ServerExchange
from ambidex.log import context as log_context
from ambidex.runtime.context import LambdaContext
from ambidex.runtime.messages import Invocation
from tests.runtime.test_loop import Script, event, ok, talk

PARENT = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
OTHER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


def headers_of(
    document: bytes, *told: tuple[bytes, bytes], **settings: Any
) -> list[tuple[bytes, bytes]]:
    """The headers that an app gets, but for those that each event here has."""
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        seen.append(scope)
        await ok(scope, receive, send)

    talk(Script([document], told), app, **settings)
    names = (b"host", b"content-type", b"content-length")
    return [pair for pair in seen[0]["headers"] if pair[0] not in names]


class FirstTold(Script):
    """Has its headers with the first event only."""

    async def __call__(self, exchange: ServerExchange) -> None:
        await super().__call__(exchange)
        self.headers = []


def client_context(**w3c: Any) -> tuple[bytes, bytes]:
    return b"Lambda-Runtime-Client-Context", json.dumps({"w3c": w3c}).encode()


@pytest.mark.parametrize(
    "sent",
    [
        pytest.param("", id="no client context"),
        pytest.param('{"custom": {"a": 1}}', id="none in it"),
        pytest.param(f'{{"w3c": {{"traceparent": "{PARENT}"}}}}', id="nothing else in it"),
        pytest.param(
            '{"w3c": {"traceparent": "p", "tracestate": "s", "baggage": "b", "other": "o"}, '
            '"custom": {"a": 1}, "client": {"installation_id": "i"}}',
            id="all of it, and more",
        ),
        pytest.param('{"w3c": {"traceparent": 7, "baggage": "b"}}', id="of another type"),
        pytest.param('{"w3c": "traceparent"}', id="no object"),
    ],
)
def test_w3c_is_what_it_is_under_awss_own_runtime(sent: str) -> None:
    ours = LambdaContext(Invocation("r-1", b"{}", client_context=sent), {})
    theirs = AwsContext("r-1", json.loads(sent) if sent else None, None, 0)
    assert ours.w3c() == theirs.w3c()
    assert (ours.client_context is None) == (theirs.client_context is None)
    if ours.client_context is not None:
        assert ours.client_context.custom == theirs.client_context.custom
        assert not hasattr(ours.client_context, "w3c")


def test_a_client_context_that_is_no_object_has_none() -> None:
    assert LambdaContext(Invocation("r-1", b"{}", client_context="[1]"), {}).w3c() == {}


ALL = {"traceparent": PARENT, "tracestate": "a=b", "baggage": "k=v"}


@pytest.mark.parametrize(
    ("in_event", "beside_it", "headers"),
    [
        pytest.param({}, {}, [], id="none"),
        pytest.param(
            {},
            ALL,
            [(b"traceparent", PARENT.encode()), (b"tracestate", b"a=b"), (b"baggage", b"k=v")],
            id="beside the event",
        ),
        pytest.param(
            {"TraceParent": OTHER},
            ALL,
            [(b"traceparent", OTHER.encode())],
            id="the event's own wins, with all that belongs to it",
        ),
        pytest.param(
            {"tracestate": "c=d"},
            ALL,
            [(b"traceparent", PARENT.encode()), (b"tracestate", b"a=b"), (b"baggage", b"k=v")],
            id="none is there twice",
        ),
        pytest.param(
            {}, {"traceparent": PARENT, "baggage": "k=v\r\nx: y"},
            [(b"traceparent", PARENT.encode())], id="what could be no header",
        ),
    ],
)  # fmt: skip
def test_the_app_finds_the_trace_context_among_the_headers(
    in_event: dict[str, str], beside_it: dict[str, str], headers: list[tuple[bytes, bytes]]
) -> None:
    assert headers_of(event(headers=in_event), client_context(**beside_it)) == headers


def test_so_it_does_with_an_event_that_is_no_request() -> None:
    document = b'{"Records": []}'
    found = headers_of(document, client_context(traceparent=PARENT), events_path="/events")
    assert found == [(b"traceparent", PARENT.encode())]


def test_so_it_does_under_awss_own_runtime() -> None:
    seen: list[Scope] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            seen.append(scope)
            await ok(scope, receive, send)

    Handler(app)(json.loads(event()), AwsContext("r-1", {"w3c": ALL}, None, 0))
    assert (b"traceparent", PARENT.encode()) in seen[0]["headers"]


@pytest.mark.parametrize(
    ("sent", "headers"),
    [
        pytest.param({}, [], id="neither"),
        pytest.param(
            {"authorization": "AWS4-HMAC-SHA256 …"},
            [(b"authorization", "AWS4-HMAC-SHA256 …".encode())],
            id="without the other header it is what it is",
        ),
        pytest.param(
            {"x-token": "Bearer t"}, [(b"authorization", b"Bearer t")], id="the other header only"
        ),
        pytest.param(
            {"Authorization": "AWS4", "X-TOKEN": "Bearer t", "x-else": "1"},
            [(b"x-else", b"1"), (b"authorization", b"Bearer t")],
            id="it replaces the one there is, whatever the case",
        ),
    ],
)
def test_authorization_is_what_its_source_says(
    sent: dict[str, str], headers: list[tuple[bytes, bytes]]
) -> None:
    assert headers_of(event(headers=sent), authorization_source="X-Token") == headers


def test_without_a_source_authorization_is_left_alone() -> None:
    sent = {"authorization": "a", "x-token": "b"}
    assert headers_of(event(headers=sent)) == [(b"authorization", b"a"), (b"x-token", b"b")]


def test_what_is_logged_is_marked_with_request_trace_and_tenant_of_each_event() -> None:
    seen: list[tuple[str, str, str]] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request_id, tenant_id = log_context.request_id(), log_context.tenant_id()
        seen.append((request_id, log_context.trace_id(), tenant_id))
        await ok(scope, receive, send)

    told = [
        (b"Lambda-Runtime-Trace-Id", b"Root=1-2-3;Parent=4;Sampled=1"),
        (b"Lambda-Runtime-Aws-Tenant-Id", b"blue"),
    ]
    talk(FirstTold([event(), event()], told), app)
    assert seen == [("r-1", "1-2-3", "blue"), ("r-1", "", "")]
