"""Results as runtimes post them: whole or streamed, a success or an error.

A caller that takes streams gets a streamed result as it comes; any other gets it when it is
complete, if it is no larger than a result may be that is not streamed.

Source: lambda/latest/dg/runtimes-api.html, lambda/latest/dg/runtimes-custom.html,
lambda/latest/dg/gettingstarted-limits.html. The refusals, and what becomes of a stream that is
too large or breaks off, are those of aws-lambda-runtime-interface-emulator.
"""

import asyncio
from base64 import b64decode
from collections.abc import Awaitable, Callable
from typing import NamedTuple

from ambidex.http import header
from ambidex.local.bandwidth import LAMBDA, Bandwidth, Bucket
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.messages import BodyTooLarge, PeerError
from ambidex.local.invocation import Invocation, Outcome, failure
from ambidex.local.result_stream import ResultStream
from ambidex.local.runtime_api import ACCEPTED, RESULT_BYTES, Answer, Call, refused

_MODE = b"lambda-runtime-function-response-mode"
_ERROR_TYPE = b"lambda-runtime-function-error-type"
_ERROR_BODY = b"lambda-runtime-function-error-body"


class StreamLimits(NamedTuple):
    """What Lambda takes of a streamed result."""

    # Source: gettingstarted-limits.html, "Invocation payload", where it is 200 MB; those that are
    # buffered and 6 MB there are 6 MiB.
    size_bytes: int = 200 * 1024 * 1024
    bandwidth: Bandwidth = LAMBDA


class Received(NamedTuple):
    """What became of a post."""

    answer: Answer  # for the runtime
    # A stream that broke off, for the caller. A runtime that dies breaks off, too, and its exit is
    # the better reason: so it is told only if the runtime lives.
    broken: Outcome | None = None


async def receive(
    exchange: ServerExchange, call: Call, invocation: Invocation, limits: StreamLimits
) -> Received:
    """Read what a runtime posts, and give it to the caller.

    Args:
        exchange: the runtime's request.
        call: RESULT or ERROR.
        invocation: what is answered; it is settled here.
        limits: for streams.

    Returns:
        What the runtime is answered, when all was read. The invocation is settled then, unless a
        stream broke off.

    Raises:
        PeerError: the runtime left, or sent what is no HTTP, before all of a result that is not
            streamed had come; the invocation is not settled then.
    """
    mode = _header(exchange, _MODE)
    if call is Call.ERROR or not mode:
        return Received(await _buffered(exchange, call, invocation))
    if mode != "streaming":
        message = f"the response mode must be streaming, not {mode[:100]}"
        invocation.settle(failure("Runtime.InvalidResponseModeHeader", message))
        return Received(refused(400, "InvalidFunctionResponseMode", message))
    content_type = _header(exchange, b"content-type")
    if invocation.takes_stream:
        stream = ResultStream(content_type)
        invocation.settle(Outcome(b"", stream=stream))
        try:
            answer, error = await _pump(exchange, stream.write, limits)
        except PeerError as broken:
            return _broken(broken)
        stream.end(error)
        return Received(answer)
    pieces: list[bytes] = []

    async def keep(piece: bytes) -> None:
        pieces.append(piece)

    try:
        answer, error = await _pump(exchange, keep, limits._replace(size_bytes=RESULT_BYTES))
    except PeerError as broken:
        return _broken(broken)
    invocation.settle(error or Outcome(b"".join(pieces), "", content_type))
    return Received(answer)


async def _buffered(exchange: ServerExchange, call: Call, invocation: Invocation) -> Answer:
    try:
        payload = await exchange.read_body(RESULT_BYTES)
    except BodyTooLarge:
        invocation.settle(_too_large(RESULT_BYTES))
        return _refused_as_too_large(RESULT_BYTES)
    kind = _header(exchange, _ERROR_TYPE) or "Unhandled"
    content_type = _header(exchange, b"content-type")
    invocation.settle(Outcome(payload, kind if call is Call.ERROR else "", content_type))
    return ACCEPTED


async def _pump(
    exchange: ServerExchange, write: Callable[[bytes], Awaitable[None]], limits: StreamLimits
) -> tuple[Answer, Outcome | None]:
    """Pass a stream on; what the runtime is answered, and the error with which it ended."""
    bucket = Bucket(limits.bandwidth, asyncio.get_running_loop().time)
    left_bytes = limits.size_bytes
    while piece := await exchange.read_chunk():
        fits = piece[:left_bytes]
        left_bytes -= len(fits)
        await bucket.taken(len(fits))
        await write(fits)
        if len(fits) < len(piece):
            return _refused_as_too_large(limits.size_bytes), _too_large(limits.size_bytes)
    return ACCEPTED, _trailing_error(exchange)


def _broken(error: PeerError) -> Received:
    answer = refused(400, "TruncatedHTTPRequest", error.message)
    return Received(answer, failure("Runtime.TruncatedResponse", error.message))


def _too_large(limit_bytes: int) -> Outcome:
    """The outcome of a result that is larger than it may be."""
    return failure("Function.ResponseSizeTooLarge", _too_large_message(limit_bytes))


def _too_large_message(limit_bytes: int) -> str:
    return f"Response payload size exceeded maximum allowed payload size ({limit_bytes} bytes)."


def _refused_as_too_large(limit_bytes: int) -> Answer:
    return refused(413, "RequestEntityTooLarge", _too_large_message(limit_bytes))


def _trailing_error(exchange: ServerExchange) -> Outcome | None:
    kind = (header(exchange.trailers, _ERROR_TYPE) or b"").decode("latin-1")
    body = header(exchange.trailers, _ERROR_BODY) or b""
    if not kind and not body:
        return None
    try:
        document = b64decode(body, validate=True)
    except ValueError:  # a runtime may send anything
        document = body
    return Outcome(document, kind or "Unhandled")


def _header(exchange: ServerExchange, name: bytes) -> str:
    return (header(exchange.head.headers, name) or b"").decode("latin-1")
