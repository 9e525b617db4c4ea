"""The invocation loop: ask for an event, run the app, post the result, let the app finish, again.

The result leaves as soon as the response is complete. Background tasks run after it, and only then
is the next event asked for, for that is when Lambda freezes the environment.

Source: lambda/latest/dg/runtimes-custom.html, lambda/latest/dg/lambda-runtime-environment.html
"""

import asyncio
import logging
from collections.abc import Generator, Mapping, MutableMapping
from types import coroutine
from typing import TYPE_CHECKING

from ambidex.events.detect import Prelude
from ambidex.events.event_json import MalformedJsonError, loads
from ambidex.events.fields import EventError
from ambidex.log.context import enter
from ambidex.runtime import messages
from ambidex.runtime.blocking_connection import BlockingConnection
from ambidex.runtime.connection import Connection
from ambidex.runtime.context import LambdaContext, variables
from ambidex.runtime.deadline import Deadlines, Running
from ambidex.runtime.eager_task import eager_task
from ambidex.runtime.errors import InvocationError, error_document
from ambidex.runtime.invocation import Answer, Function, invoke, is_streamed, result_json
from ambidex.runtime.messages import Invocation, PeerError, Reply

if TYPE_CHECKING:
    from ambidex.runtime.response_stream import ResponseStream

logger = logging.getLogger("ambidex")

# From here on an event or a result has blocks that the C library gives back to the kernel.
_LARGE_BYTES = 128 * 1024

_TRACE_ID = "_X_AMZN_TRACE_ID"

# To a second answer: 403 from Lambda, 400 from Managed Instances and after the next event.
_ANSWERED = (400, 403)


async def run(
    connection: Connection | BlockingConnection,
    function: Function,
    environ: MutableMapping[str, str],
    deadlines: Deadlines | None = None,
) -> None:
    """Answer events, one at a time, for as long as the environment lives.

    Args:
        connection: to the Runtime API.
        function: the app, started, and its settings.
        environ: the process's environment, where the trace id goes.
        deadlines: where each event is noted while it is at work; none: nothing but Lambda ends it.

    Raises:
        PeerError: the Runtime API is gone or in a bad state; the process must exit.
    """
    deadlines = deadlines or Deadlines(0)
    next_request = messages.next_request(connection.host)
    of_all = variables(environ)
    while True:
        invocation = messages.parse_invocation(await connection.call(next_request))
        running = await turn(connection, function, invocation, environ, of_all, deadlines)
        if running.is_expired and deadlines.is_alone:
            from ambidex.runtime import too_late

            await too_late.leave_if_threads_are_at_work(running)
        # What the app has left running has its turn, for the wait for an event may hold the loop.
        await _turn_of_the_loop()


@coroutine
def _turn_of_the_loop() -> Generator[None, None, None]:
    yield  # asyncio.sleep(0), in half its time


async def turn(
    connection: Connection | BlockingConnection,
    function: Function,
    invocation: Invocation,
    environ: MutableMapping[str, str],
    variables: Mapping[str, str | None],
    deadlines: Deadlines,
) -> Running:
    """Answer one event.

    Args:
        connection: the one that it has come on.
        function: see `run`.
        invocation: the event.
        environ: see `run`.
        variables: what is the same for all invocations.
        deadlines: see `run`.

    Returns:
        What is noted of it, which is over.

    Raises:
        PeerError: see `run`.
    """
    if len(invocation.event) >= _LARGE_BYTES:
        _keep_memory()
    _trace(invocation, environ)
    enter(invocation.request_id, invocation.trace_id, invocation.tenant_id)
    attempt = _Attempt(connection, function, invocation, deadlines)
    try:
        # A task of its own, so that context variables that the app sets end with the request.
        attempt.running.task = task = eager_task(_answer(attempt, variables))
        await task
    except asyncio.CancelledError as error:
        own_task = asyncio.current_task()
        if own_task is None or own_task.cancelling():
            raise
        attempt.cancelled(error)
    running = attempt.running
    if not deadlines.end(running):
        await asyncio.Event().wait()  # the watchdog ends the process
    if running.is_posted:  # else the watchdog has, and there are others at work
        _check(await connection.reply(), invocation, connection.is_repeat)
    return running


async def _answer(attempt: "_Attempt", variables: Mapping[str, str | None]) -> None:
    invocation = attempt.invocation
    running = attempt.running = attempt.deadlines.begin(
        invocation.deadline_ms, invocation, attempt.connection
    )
    context = LambdaContext(invocation, variables)
    try:
        event = loads(invocation.event)
        await invoke(
            attempt.function,
            event,
            invocation.event,
            context,
            attempt.respond,
            attempt.open_stream,
        )
    except MalformedJsonError as error:
        attempt.fail("Runtime.UnmarshalError", f"the event is {error.message}")
    except EventError as error:
        attempt.fail("Runtime.UnsupportedEvent", error.message)
    except asyncio.CancelledError:
        if not running.is_expired:
            raise
    if running.is_expired:
        from ambidex.runtime import too_late

        too_late.finish(attempt.function, running, attempt.post)


class _Attempt:
    """One event and the posting of its result, once: the watchdog may have come first."""

    __slots__ = ("connection", "deadlines", "function", "invocation", "running")

    def __init__(
        self,
        connection: Connection | BlockingConnection,
        function: Function,
        invocation: Invocation,
        deadlines: Deadlines,
    ) -> None:
        self.connection = connection
        self.function = function
        self.invocation = invocation
        self.deadlines = deadlines
        self.running: Running

    def respond(self, answer: Answer) -> None:
        try:
            request = answer_request(self.connection.host, self.function, self.invocation, answer)
        except InvocationError as error:
            self.fail(error.kind, error.message)
        else:
            self.post(request)

    def open_stream(self, answer: Answer) -> "ResponseStream | None":
        if not self.running.claim():
            return None
        self.running.is_posted = True
        self.running.stream = _open_stream(self.connection, self.invocation, answer)
        return self.running.stream

    def cancelled(self, error: asyncio.CancelledError) -> None:
        """The app has cancelled its own task, which ends its request and no other."""
        if self.running.stream is not None:
            self.running.stream.abort(error)
        elif not self.running.is_posted:
            self.fail("Function.Cancelled", "the app cancelled the task of its own request")

    def fail(self, kind: str, message: str) -> None:
        logger.error("%s: %s", kind, message)
        document = error_document(kind, message)
        self.post(messages.error_request(self.connection.host, self.invocation, kind, document))

    def post(self, request: bytes) -> None:
        if self.running.claim():
            self.running.is_posted = True
            self.connection.start(request)
            if len(request) >= _LARGE_BYTES:
                _keep_memory()


def answer_request(host: str, function: Function, invocation: Invocation, answer: Answer) -> bytes:
    """The request that posts a response which is all there.

    Raises:
        InvocationError: the response fails the invocation.
    """
    if is_streamed(function, answer):
        from ambidex.runtime.response_stream import whole

        return whole(host, invocation, answer.response, _prelude(answer))
    return messages.result_request(host, invocation, result_json(function, answer))


def _open_stream(
    connection: Connection | BlockingConnection, invocation: Invocation, answer: Answer
) -> "ResponseStream":
    from ambidex.runtime.response_stream import ResponseStream

    assert isinstance(connection, Connection)  # where there are streams, it is one

    return ResponseStream(connection, invocation, answer.response, _prelude(answer))


def _prelude(answer: Answer) -> Prelude:
    assert answer.source is not None
    assert answer.source.to_prelude is not None
    return answer.source.to_prelude


def _keep_memory() -> None:
    from ambidex.runtime.kept_memory import keep_memory

    keep_memory()


def _trace(invocation: Invocation, environ: MutableMapping[str, str]) -> None:
    if invocation.trace_id:
        environ[_TRACE_ID] = invocation.trace_id
    else:
        environ.pop(_TRACE_ID, None)


def _check(reply: Reply, invocation: Invocation, is_repeat: bool) -> None:
    if 200 <= reply.status < 300:
        return
    text = reply.body.decode("latin-1")
    if reply.status >= 500:
        raise PeerError(f"the Runtime API is in a bad state ({reply.status}): {text}")
    if is_repeat and reply.status in _ANSWERED:
        logger.warning(
            "the connection to the Runtime API broke when the result of %s was sent; sent again, "
            "it is refused, for there is an answer (%d): %s",
            invocation.request_id,
            reply.status,
            text,
        )
        return
    logger.error(
        "the Runtime API refused the result of %s (%d): %s",
        invocation.request_id,
        reply.status,
        text,
    )
