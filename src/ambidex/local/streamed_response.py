"""Responses that a front door sends on piece by piece, as the function streams them.

What goes wrong before the first byte of the response is a `Refusal`, as it is where nothing is
streamed. Later the client has its status: the connection is cut, so that it does not take what it
has for all.

Source: apigateway/latest/developerguide/response-transfer-mode.html,
apigateway/latest/developerguide/response-streaming-troubleshoot.html. What a Function URL's client
sees of a stream that breaks off is on no page.
"""

import asyncio
import logging
from collections.abc import Callable

from ambidex.events import prelude
from ambidex.events.fields import EventError
from ambidex.http import Headers, Response
from ambidex.local.bandwidth import Bucket
from ambidex.local.forwarded import HOP_BY_HOP
from ambidex.local.front_door import Cause, Refusal
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.messages import ProtocolError, is_bodiless
from ambidex.local.invocation import Outcome
from ambidex.local.result_stream import ResultStream

logger = logging.getLogger("ambidex.local")


def stream_of(outcome: Outcome) -> ResultStream:
    """A result as a front door that streams takes it: one that is not streamed is one piece."""
    return outcome.stream or ResultStream.complete(outcome.content_type, outcome.payload)


async def begin(
    stream: ResultStream,
    from_prelude: Callable[[object], Response],
    limit_bytes: int | None = None,
    idle_s: float | None = None,
) -> Response:
    """Status and headers of a response by its prelude; its body is what has come of it.

    Args:
        stream: the result.
        from_prelude: the event source's.
        limit_bytes: within how many bytes the prelude must end.
        idle_s: how long to wait for bytes; None for as long as the function may take.

    Raises:
        Refusal: there is no prelude, or a wrong one, or the function failed.
    """
    parser = prelude.Parser(limit_bytes)
    try:
        while piece := await _next(stream, idle_s):
            found = parser.feed(piece)
            if found is not None:
                document, body = found
                return from_prelude(document)._replace(body=body)
        parser.end()
        raise AssertionError("the end of a parser is an error")
    except EventError as error:
        reason = f"the function's result is no streamed response: {error}"
        raise Refusal(Cause.NO_PRELUDE, reason) from None


async def begin_raw(stream: ResultStream) -> Response:
    """A response to bytes without a prelude.

    Raises:
        Refusal: the function failed before the first of them.
    """
    content_type = stream.content_type or "application/octet-stream"
    body = await _next(stream, None)
    return Response(200, ((b"Content-Type", content_type.encode("latin-1")),), body)


async def send(
    exchange: ServerExchange,
    begun: Response,
    stream: ResultStream,
    added: Headers,
    idle_s: float | None = None,
    bucket: Bucket | None = None,
) -> None:
    """Send a response to its end, each piece as soon as it comes.

    Args:
        exchange: the client's.
        begun: what there is of the response.
        stream: the rest of its body.
        added: the front door's own headers.
        idle_s: how long to wait for bytes; None for as long as the function may take.
        bucket: the front door's own limit of bandwidth.

    Raises:
        Refusal: the response cannot be sent, for one because of a line end in a header.
        PeerError: the client left.
    """
    kept = tuple(pair for pair in begun.headers if pair[0].lower() not in HOP_BY_HOP)
    try:
        exchange.start(begun.status, kept + added)
    except ProtocolError as error:
        reason = f"the function's result is malformed: {error}"
        raise Refusal(Cause.MALFORMED, reason) from None
    try:
        has_body = not is_bodiless(exchange.head.method, begun.status)
        piece = has_body and (begun.body or await _next(stream, idle_s))
        while piece:
            if bucket is not None:
                await bucket.taken(len(piece))
            await exchange.write(piece)
            piece = await _next(stream, idle_s)
        await exchange.end()
    except (Refusal, ProtocolError) as error:  # too late for a page
        target = exchange.head.target.decode("latin-1")
        logger.info("%s %s: the response broke off: %s", exchange.head.method, target, error)
        exchange.break_off()


async def _next(stream: ResultStream, idle_s: float | None) -> bytes:
    """The next bytes, `b""` at the end."""
    try:
        async with asyncio.timeout(idle_s):
            piece = await anext(stream, b"")
    except TimeoutError:
        raise Refusal(Cause.TIMED_OUT, f"no byte for {idle_s:g} seconds") from None
    if not piece and stream.error is not None:
        raise Refusal(Cause.FAILED, f"the function failed: {stream.error.error_type}")
    return piece
