"""The Runtime API's other end: its calls, and the states an environment goes through by them.

Source: lambda/latest/dg/runtimes-api.html; the states and refusals are those of
aws-lambda-runtime-interface-emulator.
"""

from enum import Enum
from json import dumps
from typing import NamedTuple

from ambidex.http import Headers

_BASE = "/2018-06-01"

# 6 MiB and what Lambda's own error message adds to them.
RESULT_BYTES = 6 * 1024 * 1024 + 100


class Call(Enum):
    """What a runtime asks of the Runtime API."""

    NEXT = "GET /runtime/invocation/next"
    RESULT = "POST /runtime/invocation/{id}/response"
    ERROR = "POST /runtime/invocation/{id}/error"
    INIT_ERROR = "POST /runtime/init/error"
    RESTORE_NEXT = "GET /runtime/restore/next"
    RESTORE_ERROR = "POST /runtime/restore/error"
    PING = "GET /ping"


class State(Enum):
    """Where an execution environment is in its life."""

    INIT = "started, has not asked for an event"
    READY = "has asked for an event, and is frozen"
    RUNNING = "has an event"
    ANSWERING = "is posting its result"
    ANSWERED = "has posted its result, and may be at work still"
    FAILED = "has reported that its init failed"
    SNAPSHOT = "has asked to be restored, and is frozen"
    RESTORING = "has been restored, and has not asked for an event"
    RESTORE_FAILED = "has reported that its restore failed"


TRANSITIONS = {
    (State.INIT, Call.NEXT): State.READY,
    (State.INIT, Call.INIT_ERROR): State.FAILED,
    (State.READY, Call.NEXT): State.READY,
    (State.RUNNING, Call.NEXT): State.RUNNING,
    (State.RUNNING, Call.RESULT): State.ANSWERING,
    (State.RUNNING, Call.ERROR): State.ANSWERING,
    (State.ANSWERED, Call.NEXT): State.READY,
    (State.INIT, Call.RESTORE_NEXT): State.SNAPSHOT,
    (State.RESTORING, Call.NEXT): State.READY,
    (State.RESTORING, Call.RESTORE_ERROR): State.RESTORE_FAILED,
    (State.RESTORING, Call.INIT_ERROR): State.RESTORE_FAILED,
}
"""By calls; an event makes RUNNING of READY, and RESTORING of SNAPSHOT, and a result that is read
ANSWERED of ANSWERING. Any other call is refused with a 403."""

OF_SNAPSHOTS = (Call.RESTORE_NEXT, Call.RESTORE_ERROR)
"""Calls that there are with SnapStart only."""


class Answer(NamedTuple):
    """What the Runtime API answers."""

    status: int
    headers: Headers
    body: bytes


class Attempt(NamedTuple):
    """One attempt at an invocation, as invocation/next tells it."""

    request_id: str
    invocation_id: str
    event: bytes
    deadline_ms: int
    function_arn: str
    trace_id: str = ""
    client_context: str = ""


JSON = ((b"Content-Type", b"application/json"),)
RESTORED = Answer(200, (), b"")
ACCEPTED = Answer(202, JSON, b'{"status":"OK"}\n')
PONG = Answer(200, ((b"Content-Type", b"text/plain"),), b"pong")


_GETS = {
    "/runtime/invocation/next": Call.NEXT,
    "/runtime/restore/next": Call.RESTORE_NEXT,
    "/ping": Call.PING,
}
_POSTS = {"/runtime/init/error": Call.INIT_ERROR, "/runtime/restore/error": Call.RESTORE_ERROR}


def parse_call(method: str, target: bytes) -> tuple[Call, str] | None:
    """The call that a request is, and the request id in its path; None if it is none."""
    path = target.decode("latin-1").partition("?")[0].removeprefix(_BASE)
    if method == "GET":
        return (_GETS[path], "") if path in _GETS else None
    if method != "POST":
        return None
    if path in _POSTS:
        return _POSTS[path], ""
    parts = path.split("/")
    if len(parts) == 5 and path.startswith("/runtime/invocation/"):
        call = {"response": Call.RESULT, "error": Call.ERROR}.get(parts[4])
        return (call, parts[3]) if call else None
    return None


def event_answer(attempt: Attempt) -> Answer:
    """The answer of invocation/next."""
    headers = [
        (b"Content-Type", b"application/json"),
        (b"Lambda-Runtime-Aws-Request-Id", attempt.request_id.encode()),
        (b"Lambda-Runtime-Invocation-Id", attempt.invocation_id.encode()),
        (b"Lambda-Runtime-Deadline-Ms", b"%d" % attempt.deadline_ms),
        (b"Lambda-Runtime-Invoked-Function-Arn", attempt.function_arn.encode()),
    ]
    if attempt.trace_id:
        headers.append((b"Lambda-Runtime-Trace-Id", attempt.trace_id.encode("latin-1")))
    if attempt.client_context:
        headers.append((b"Lambda-Runtime-Client-Context", attempt.client_context.encode()))
    return Answer(200, tuple(headers), attempt.event)


def refused(status: int, kind: str, message: str) -> Answer:
    """A refusal, in the Runtime API's form."""
    body = dumps({"errorMessage": message, "errorType": kind})
    return Answer(status, JSON, body.encode())


def wrong_state(call: Call, state: str) -> Answer:
    """The refusal of a call that may not come now."""
    message = f"{call.value} may not come now: the environment {state}"
    return refused(403, "InvalidStateTransition", message)


def wrong_attempt(attempt: Attempt | None, request_id: str, invocation_id: str) -> Answer | None:
    """The refusal of a result that is for another attempt; None if it is for this one."""
    if attempt is None or attempt.request_id != request_id:
        return refused(400, "InvalidRequestID", "Invalid request ID")
    if invocation_id and invocation_id != attempt.invocation_id:
        return refused(400, "InvalidInvocationId", "Invalid invocation ID")
    return None
