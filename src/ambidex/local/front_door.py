"""What the front doors of Lambda have in common: a request on its way in, a response out.

Whatever keeps a request from being answered by the function has a `Cause`. Each front door has a
table of its own statuses for these, and its own form for the answer.
"""

import logging
from collections.abc import Callable, Mapping
from enum import Enum, auto
from time import time
from typing import Any, NamedTuple

from ambidex.errors import AmbidexError
from ambidex.events import prelude
from ambidex.events.event_json import MalformedJsonError, dumps, loads
from ambidex.events.fields import EventError
from ambidex.http import Headers, Request, Response, header
from ambidex.local.forwarded import HOP_BY_HOP, Hop, to_target
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.messages import BodyTooLarge, ProtocolError
from ambidex.local.ids import hex_id
from ambidex.local.invocation import Invocation, Outcome, ThrottledError

logger = logging.getLogger("ambidex.local")

# Source: lambda/latest/dg/gettingstarted-limits.html, "Invocation payload"
EVENT_BYTES = 6 * 1024 * 1024


class Cause(Enum):
    """Why a front door answers itself."""

    BAD_TARGET = auto()  # no path of ASCII characters
    UPGRADE = auto()  # no function has another protocol
    BODY_TOO_LARGE = auto()
    NO_STAGE = auto()  # the path is below no stage of the API
    NO_MAPPING = auto()  # the path is below no API mapping of the custom domain
    EVENT_TOO_LARGE = auto()
    TIMED_OUT = auto()  # the front door itself has waited long enough
    THROTTLED = auto()
    FAILED = auto()  # the function raised, crashed or took longer than its time-out
    MALFORMED = auto()
    NO_PRELUDE = auto()  # a stream is to begin with one
    RESULT_TOO_LARGE = auto()


class Refusal(AmbidexError):
    """The front door answers in place of the function.

    Args:
        cause: what the answer depends on.
        reason: for the log.
    """

    def __init__(self, cause: Cause, reason: str) -> None:
        super().__init__(reason)
        self.cause = cause


class Page(NamedTuple):
    """A front door's own answer."""

    status: int
    headers: Headers
    body: bytes


async def request(exchange: ServerExchange, body_bytes: int) -> Request:
    """The request as the front door passes it on, with the headers that it adds.

    Args:
        exchange: the client's.
        body_bytes: the most that the front door takes of a body.

    Raises:
        Refusal: the target is no path, or the body is too large.
        PeerError: the client left, or its body is malformed.
    """
    try:
        body = await exchange.read_body(body_bytes)
    except BodyTooLarge as error:
        raise Refusal(Cause.BODY_TOO_LARGE, str(error)) from None
    path, query = _path_and_query(exchange.head.target)
    hop = Hop(exchange.peer[0], "http", exchange.local[1], time(), hex_id(24))
    headers = to_target(exchange.head.headers, hop)
    if body and header(headers, b"content-length") is None:
        headers = (*headers, (b"Content-Length", b"%d" % len(body)))
    return Request(
        method=exchange.head.method,
        path=path,
        query=query,
        headers=headers,
        body=body,
        scheme="http",
        http_version=exchange.head.http_version,
        client=(exchange.peer[0], 0),
    )


def event_json(event: Mapping[str, Any]) -> bytes:
    """An event as Lambda takes it.

    Raises:
        Refusal: it is larger than that.
    """
    data = dumps(event)
    if len(data) > EVENT_BYTES:
        reason = f"the event is {len(data)} bytes, and Lambda takes {EVENT_BYTES}"
        raise Refusal(Cause.EVENT_TOO_LARGE, reason)
    return data


async def result(invocation: Invocation, timeout_s: float | None = None) -> Outcome:
    """The function's result, which is none of a failure.

    Args:
        invocation: under way; it goes on after the front door has given up, as it does on AWS.
        timeout_s: how long the front door waits; None for as long as the function may take.

    Raises:
        Refusal: there is none.
    """
    if not await invocation.is_settled(timeout_s):
        invocation.leave()
        raise Refusal(Cause.TIMED_OUT, f"no result after {timeout_s:g} seconds")
    try:
        outcome = invocation.outcome.result()
    except ThrottledError as error:
        raise Refusal(Cause.THROTTLED, f"the function is throttled: {error}") from None
    if outcome.is_error:
        raise Refusal(Cause.FAILED, f"the function failed: {outcome.error_type}")
    return outcome


def response(outcome: Outcome, to_response: Callable[[object], Response]) -> Response:
    """The response that a result stands for.

    Args:
        outcome: the function's result, JSON. Of one in the form of streams, which this front door
            does not take, there is the prelude only.
        to_response: the event source's.

    Raises:
        Refusal: it stands for none.
    """
    payload = outcome.payload
    if outcome.content_type == prelude.CONTENT_TYPE:
        payload, _, body = payload.partition(prelude.DELIMITER)
        logger.warning(
            "%d bytes of a response are lost, for it is streamed and its front door takes no "
            "streams: answer its events buffered, or set response = 'stream'",
            len(body),
        )
    try:
        return to_response(loads(payload))
    except (MalformedJsonError, EventError) as error:
        raise _malformed(error) from None


def respond(exchange: ServerExchange, response: Response, added: Headers = ()) -> None:
    """Send a function's response; what concerns a connection is the front door's own.

    Args:
        exchange: the client's.
        response: the function's.
        added: the front door's own headers.

    Raises:
        Refusal: it cannot be sent, for one because of a line end in a header.
    """
    is_head = exchange.head.method == "HEAD"
    kept = tuple(
        (name, value)
        for name, value in response.headers
        if (lower := name.lower()) not in HOP_BY_HOP and (is_head or lower != b"content-length")
    )
    try:
        exchange.respond(response.status, kept + added, response.body)
    except ProtocolError as error:
        raise _malformed(error) from None


def answer(exchange: ServerExchange, page: Page, reason: str) -> None:
    """Send the front door's own answer; the log says why."""
    target = exchange.head.target.decode("latin-1")
    logger.info("%d %s %s: %s", page.status, exchange.head.method, target, reason)
    exchange.respond(page.status, page.headers, page.body)


def trace_id(headers: Headers) -> str:
    """The X-Ray header of a request, as the front door sends it on."""
    return (header(headers, b"x-amzn-trace-id") or b"").decode("latin-1")


def _malformed(error: Exception) -> Refusal:
    return Refusal(Cause.MALFORMED, f"the function's result is malformed: {error}")


def _path_and_query(target: bytes) -> tuple[str, bytes]:
    if target.startswith((b"http://", b"https://")):  # absolute form, RFC 9112 3.2.2
        _, _, rest = target.partition(b"://")
        _, slash, path = rest.partition(b"/")
        target = slash + path or b"/"
    path, _, query = target.partition(b"#")[0].partition(b"?")
    if not target.isascii() or not path.startswith(b"/"):
        reason = "the request target must be a path of ASCII characters"
        raise Refusal(Cause.BAD_TARGET, reason)
    return path.decode("ascii"), query
