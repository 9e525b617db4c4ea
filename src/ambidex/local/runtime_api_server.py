"""The server of one environment's Runtime API and Extensions API."""

import asyncio
from collections.abc import Callable
from json import loads

from ambidex.http import Headers, header
from ambidex.local.extensions_api import Call, Extensions
from ambidex.local.free_port import HOST
from ambidex.local.http1 import server as http1_server
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.http1.messages import Limits
from ambidex.local.http1.server import Handler, Server
from ambidex.local.process import CommandError
from ambidex.local.runtime_api import ACCEPTED, Answer, refused

# A runtime's own requests are small: what does not fit is no runtime.
LIMITS = Limits(request_line_bytes=8192, header_line_bytes=1024 * 1024, head_bytes=1024 * 1024)


async def listen(answer: Handler) -> Server:
    """Listen on a free port of this machine.

    Args:
        answer: takes each request.

    Raises:
        CommandError: nothing can be listened on.
    """
    try:
        return await http1_server.listen(
            answer, HOST, 0, limits=LIMITS, refuse=refuse, keep_alive_s=None
        )
    except OSError as error:
        raise CommandError(f"no environment can be started: {error.strerror}") from None


def respond(exchange: ServerExchange, answer: Answer) -> None:
    """Send an answer; nothing happens if the runtime has left."""
    exchange.respond(answer.status, answer.headers, answer.body)


def header_text(exchange: ServerExchange, name: bytes) -> str:
    """The value of a request's header; empty without it."""
    return (header(exchange.head.headers, name) or b"").decode("latin-1")


async def answer_extension(
    exchange: ServerExchange, call: Call, extensions: Extensions, on_asked: Callable[[], None]
) -> None:
    """Answer a call of an extension; one for the next event when there is one.

    Args:
        exchange: the extension's.
        call: what it asks.
        extensions: those of the environment.
        on_asked: called when it waits for an event.
    """
    document = await exchange.read_body()
    answer = extensions.answer(call, exchange.head.headers, document)
    if isinstance(answer, asyncio.Future):
        on_asked()
        answer = await answer
    respond(exchange, answer)


async def reported_error(exchange: ServerExchange) -> tuple[str, str]:
    """Type and message of the error that a runtime reports; it is told that we have it."""
    document = await exchange.read_body()
    respond(exchange, ACCEPTED)
    kind = header_text(exchange, b"lambda-runtime-function-error-type") or "Runtime.Unknown"
    return kind, error_message(document)


def error_message(document: bytes) -> str:
    """What a runtime says of an error: its `errorMessage`, or all of it if it has none."""
    try:
        return str(loads(document)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return document.decode(errors="replace")


def refuse(status: int) -> tuple[Headers, bytes]:
    """The Runtime API's own answer to what is no request."""
    answer = refused(status, "InvalidRequest", "this is no request of the Runtime API")
    return answer.headers, answer.body
