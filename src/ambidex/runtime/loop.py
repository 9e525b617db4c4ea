"""The invocation loop: ask for an event, run the app, post the result, let the app finish, again.

The result leaves as soon as the response is complete. Background tasks run after it, and only then
is the next event asked for, for that is when Lambda freezes the environment.

Source: lambda/latest/dg/runtimes-custom.html, lambda/latest/dg/lambda-runtime-environment.html
"""

import asyncio
import logging
from collections.abc import Mapping, MutableMapping
from typing import TYPE_CHECKING

from ambidex.events.detect import Prelude
from ambidex.events.fields import EventError
from ambidex.log.context import enter
from ambidex.runtime import messages
from ambidex.runtime.connection import Connection
from ambidex.runtime.context import LambdaContext, variables
from ambidex.runtime.errors import InvocationError, error_document
from ambidex.runtime.event_json import MalformedEventError, loads
from ambidex.runtime.invocation import Answer, Function, invoke, is_streamed, result_json
from ambidex.runtime.messages import Invocation, PeerError, Reply

if TYPE_CHECKING:
    from ambidex.runtime.response_stream import ResponseStream

logger = logging.getLogger("ambidex")

_TRACE_ID = "_X_AMZN_TRACE_ID"


async def run(
    connection: Connection, function: Function, environ: MutableMapping[str, str]
) -> None:
    """Answer events, one at a time, for as long as the environment lives.

    Args:
        connection: to the Runtime API.
        function: the app, started, and its settings.
        environ: the process's environment, where the trace id goes.

    Raises:
        PeerError: the Runtime API is gone or in a bad state; the process must exit.
    """
    next_request = messages.next_request(connection.host)
    create_task = asyncio.get_running_loop().create_task
    of_all = variables(environ)
    while True:
        invocation = messages.parse_invocation(await connection.call(next_request))
        _trace(invocation, environ)
        enter(invocation.request_id, invocation.trace_id, invocation.tenant_id)
        # A task of its own, so that context variables that the app sets end with the request.
        await create_task(_answer(connection, function, invocation, of_all))
        _check(await connection.reply(), invocation)


async def _answer(
    connection: Connection,
    function: Function,
    invocation: Invocation,
    variables: Mapping[str, str | None],
) -> None:
    def open_stream(answer: Answer) -> "ResponseStream":
        return _open_stream(connection, invocation, answer)

    def respond(answer: Answer) -> None:
        if is_streamed(function, answer):
            _post_stream(connection, invocation, answer)
            return
        try:
            document = result_json(function, answer)
        except InvocationError as error:
            _fail(connection, invocation, error.kind, error.message)
        else:
            connection.start(messages.result_request(connection.host, invocation, document))

    context = LambdaContext(invocation, variables)
    try:
        event = loads(invocation.event)
        await invoke(function, event, invocation.event, context, respond, open_stream)
    except MalformedEventError as error:
        _fail(connection, invocation, "Runtime.UnmarshalError", error.message)
    except EventError as error:
        _fail(connection, invocation, "Runtime.UnsupportedEvent", error.message)


def _post_stream(connection: Connection, invocation: Invocation, answer: Answer) -> None:
    from ambidex.runtime.response_stream import whole

    prelude = _prelude(answer)
    connection.start(whole(connection.host, invocation, answer.response, prelude))


def _open_stream(
    connection: Connection, invocation: Invocation, answer: Answer
) -> "ResponseStream":
    from ambidex.runtime.response_stream import ResponseStream

    return ResponseStream(connection, invocation, answer.response, _prelude(answer))


def _prelude(answer: Answer) -> Prelude:
    assert answer.source is not None
    assert answer.source.to_prelude is not None
    return answer.source.to_prelude


def _fail(connection: Connection, invocation: Invocation, kind: str, message: str) -> None:
    logger.error("%s: %s", kind, message)
    document = error_document(kind, message)
    connection.start(messages.error_request(connection.host, invocation, kind, document))


def _trace(invocation: Invocation, environ: MutableMapping[str, str]) -> None:
    if invocation.trace_id:
        environ[_TRACE_ID] = invocation.trace_id
    else:
        environ.pop(_TRACE_ID, None)


def _check(reply: Reply, invocation: Invocation) -> None:
    if reply.status == 202:
        return
    text = reply.body.decode("latin-1")
    if reply.status >= 500:
        raise PeerError(f"the Runtime API is in a bad state ({reply.status}): {text}")
    logger.error(
        "the Runtime API refused the result of %s (%d): %s",
        invocation.request_id,
        reply.status,
        text,
    )
