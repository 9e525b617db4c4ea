"""What is done about an event that is not done in time; imported when there is one.

The client gets a 504 in the form of the event's source. An event that is no HTTP request, or for
which the settings say that a 504 fails the invocation, is an error of the invocation.
"""

import asyncio
import logging
from collections.abc import Callable
from time import time

from ambidex.asgi import stacks
from ambidex.events.detect import detect
from ambidex.events.event_json import MalformedJsonError, loads
from ambidex.events.fields import EventError
from ambidex.http import Response
from ambidex.runtime import messages
from ambidex.runtime.deadline import Running
from ambidex.runtime.errors import InvocationError, error_document
from ambidex.runtime.invocation import Answer, Function
from ambidex.runtime.loop import answer_request
from ambidex.runtime.messages import Invocation
from ambidex.runtime.watchdog import leave

logger = logging.getLogger("ambidex")

STATUS = 504
ERROR_TYPE = "Function.Timeout"
_SENTENCE = b"The app did not answer within the function's time-out"
_HEADERS = ((b"content-type", b"text/plain; charset=utf-8"),)

# How often it is looked whether a thread has come to its end, and how long before the deadline the
# process leaves by itself.
_LOOK_S = 0.01
_EXIT_S = 0.02


def answer(function: Function, event: object) -> Answer:
    """The answer to an event in the app's place.

    Raises:
        InvocationError: the event is no HTTP request, or a 504 fails the invocation.
    """
    try:
        source = detect(event)
        request = source.to_request(event, function.base_path)  # type: ignore[arg-type]  # detect has checked
    except EventError:
        raise _error("the event") from None
    if STATUS in function.failing_statuses:
        raise _error(f"{request.method} {request.path}")
    body = b"" if request.method == "HEAD" else _SENTENCE
    return Answer(source, request, Response(STATUS, _HEADERS, body))


def post_request(host: str, function: Function, invocation: Invocation) -> bytes:
    """The request that posts the answer to an event in the app's place."""
    try:
        late = answer(function, loads(invocation.event))
        return answer_request(host, function, invocation, late)
    except (InvocationError, MalformedJsonError) as error:
        error_json = error_document(ERROR_TYPE, error.message)
        return messages.error_request(host, invocation, ERROR_TYPE, error_json)


def finish(function: Function, running: Running, post: Callable[[bytes], None]) -> None:
    """Answer an event whose task was cancelled because it was due, and log where it was.

    Args:
        function: the app and its settings.
        running: the event; an answer that the app has given in the meantime counts.
        post: posts a request to the Runtime API.
    """
    is_answered = running.is_answered
    if running.stream is not None:
        running.stream.fail(ERROR_TYPE, _error("the request").message)
    elif not is_answered:
        assert running.invocation is not None
        assert running.connection is not None
        post(post_request(running.connection.host, function, running.invocation))
    log(running, is_answered)


def log(running: Running, is_answered: bool) -> None:
    """Log where the app was when it was cancelled.

    Args:
        running: the event.
        is_answered: whether the app has answered by now.
    """
    before_s = running.ends_s - running.due_s
    when = f"{before_s:.2f} s before the function's time-out"
    if running.was_answered:
        text = f"the app was still at work after its response, and was cancelled {when}"
    elif is_answered:
        text = f"the app answered only when it was cancelled, {when}"
    elif running.stream is not None:
        text = f"the response did not end in time: it was cut off {when}"
    else:
        text = f"the app did not answer in time: it was cancelled {when}, and a 504 is the answer"
    logger.error("%s. It was here:\n%s", text, stacks.rendered(running.stacks))


async def leave_if_threads_are_at_work(running: Running) -> None:
    """End the process if a thread of the cancelled task goes on: the next event shall not meet it.

    A thread cannot be cancelled. The one that was given a `def` endpoint, or what was passed to
    `to_thread`, goes on when the task that waits for it has ended; it has until Lambda's deadline.
    """
    while at_work := stacks.at_work_in_pools() - running.own_threads:
        if time() >= running.ends_s - _EXIT_S:
            logger.error(
                "the process ends, so that the next event does not share it with what cannot be "
                "cancelled: %s",
                ", ".join(sorted(at_work)),
            )
            leave(1)
        await asyncio.sleep(_LOOK_S)


def _error(what: str) -> InvocationError:
    return InvocationError(
        ERROR_TYPE, f"the app did not answer {what} within the function's time-out"
    )
