"""What InvokeWithResponseStream answers: a result in pieces, then how it ended.

A result that is not streamed comes in pieces as well. The pieces are those of the runtime's post, a
prelude among them: it is the front doors that take it apart.

Source: lambda/latest/api/API_InvokeWithResponseStream.html. That an error's code is Unhandled, as
Invoke calls it, and its details are the error's JSON, is on no page: emulators of others agree.
"""

from base64 import b64encode

from ambidex.http import Headers
from ambidex.local import event_stream
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.invocation import Invocation, Outcome
from ambidex.local.result_stream import ResultStream


async def answer(
    exchange: ServerExchange,
    invocation: Invocation,
    outcome: Outcome,
    headers: Headers,
    has_log: bool,
) -> None:
    """Send the events of an invocation, each as soon as there is one.

    Args:
        exchange: the caller's.
        invocation: under way; it goes on if the caller leaves.
        outcome: of it.
        headers: of the answer.
        has_log: whether the caller asks for the log.

    Raises:
        PeerError: the caller left.
    """
    content_type = (b"Content-Type", event_stream.CONTENT_TYPE.encode())
    exchange.start(200, (content_type, *headers))
    error = outcome if outcome.is_error else None
    if error is None:
        stream = outcome.stream or ResultStream.complete(outcome.content_type, outcome.payload)
        try:
            async for piece in stream:
                for event in event_stream.payload_chunks(piece):
                    await exchange.write(event)
        finally:
            stream.leave()
        error = stream.error
    log = ""
    if has_log:
        await invocation.finished
        log = b64encode(invocation.log_tail()).decode()
    code, details = ("Unhandled", error.payload.decode(errors="replace")) if error else ("", "")
    await exchange.write(event_stream.invoke_complete(code, details, log))
    await exchange.end()
