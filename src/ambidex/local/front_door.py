"""What the front doors of Lambda have in common: a request on its way in, a response out."""

import logging
from collections.abc import Callable
from time import time
from typing import NamedTuple

from ambidex.errors import AmbidexError
from ambidex.http import Headers, Request, Response, header
from ambidex.local.forwarded import HOP_BY_HOP, Hop, to_target
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.messages import ProtocolError
from ambidex.local.ids import hex_id

logger = logging.getLogger("ambidex.local")


class TargetError(AmbidexError):
    """A request target that no front door takes; the client's fault."""


class Page(NamedTuple):
    """A front door's own answer, in place of the function's."""

    status: int
    headers: Headers
    body: bytes
    reason: str  # for the log


# What went wrong and is not the request's own fault, as the doors' logs say it.
THROTTLED = "the function is throttled: %s"
FAILED = "the function failed: %s"
MALFORMED = "the function's result is malformed: %s"


def request(exchange: ServerExchange, body: bytes, port: int) -> Request:
    """The request as the front door passes it on, with the headers that it adds.

    Args:
        exchange: the client's.
        body: the request's, whole.
        port: the front door's own.

    Raises:
        TargetError: the target is not a path of ASCII characters.
    """
    path, query = _path_and_query(exchange.head.target)
    hop = Hop(exchange.peer[0], "http", port, time(), hex_id(24))
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


def respond(
    exchange: ServerExchange, response: Response, added: Headers, otherwise: Callable[[str], Page]
) -> None:
    """Send a function's response; what concerns a connection is the front door's own.

    Args:
        exchange: the client's.
        response: the function's.
        added: the front door's own headers.
        otherwise: the front door's own answer to a response that cannot be sent, such as one with
            a line end in a header, by the reason.
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
        answer(exchange, otherwise(MALFORMED % error))


def answer(exchange: ServerExchange, page: Page) -> None:
    """Send the front door's own answer; the log says why."""
    target = exchange.head.target.decode("latin-1")
    logger.info("%d %s %s: %s", page.status, exchange.head.method, target, page.reason)
    exchange.respond(page.status, page.headers, page.body)


def trace_id(headers: Headers) -> str:
    """The X-Ray header of a request, as the front door sends it on."""
    return (header(headers, b"x-amzn-trace-id") or b"").decode("latin-1")


def _path_and_query(target: bytes) -> tuple[str, bytes]:
    if target.startswith((b"http://", b"https://")):  # absolute form, RFC 9112 3.2.2
        _, _, rest = target.partition(b"://")
        _, slash, path = rest.partition(b"/")
        target = slash + path or b"/"
    path, _, query = target.partition(b"#")[0].partition(b"?")
    if not target.isascii() or not path.startswith(b"/"):
        raise TargetError("the request target must be a path of ASCII characters")
    return path.decode("ascii"), query
