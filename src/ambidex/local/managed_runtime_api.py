"""The Runtime API's other end with Managed Instances: several attempts at once in an environment.

- The environment has one state, by which a call for the next event or a failed init is taken.
- Each attempt has one of its own, by which its result is: they come in any order. An attempt that
  takes too long ends here, and not in the runtime, whose late result is told so.

Source: lambda/latest/dg/lambda-managed-instances-execution-environment.html; the states, and the
refusals, which that page does not name, are those of aws-lambda-runtime-interface-emulator.
"""

from collections import OrderedDict
from enum import Enum

from ambidex.local.runtime_api import Answer, Call, refused

# Source: aws-lambda-runtime-interface-emulator, timeout_cache.go.
REMEMBERED_TIMEOUTS = 1000


class State(Enum):
    """Where an environment is in its life."""

    INIT = "started, has not asked for an event"
    READY = "has asked for an event"
    FAILED = "has reported that its init failed"


TRANSITIONS = {
    (State.INIT, Call.NEXT): State.READY,
    (State.INIT, Call.INIT_ERROR): State.FAILED,
    (State.READY, Call.NEXT): State.READY,
}
"""By calls for the environment; any other is refused with a 403, so the second INIT_ERROR is."""


class AttemptState(Enum):
    """Where an attempt is in its life."""

    UNKNOWN = "was never given, or is over"
    RUNNING = "has been given to a runtime"
    POSTING = "its result is being posted"
    TIMED_OUT = "has taken longer than the function may"


ATTEMPT_TRANSITIONS = {
    (AttemptState.RUNNING, Call.RESULT): AttemptState.POSTING,
    (AttemptState.RUNNING, Call.ERROR): AttemptState.POSTING,
    (AttemptState.POSTING, Call.ERROR): AttemptState.POSTING,  # the result breaks off
}
"""By calls for an attempt; what is posted to its end makes it UNKNOWN, the time-out TIMED_OUT."""

INVALID_REQUEST_ID = refused(400, "InvalidRequestID", "Invalid request ID")
INVOKE_TIMEOUT = refused(410, "InvokeTimeout", "Invoke timeout")
TOO_MANY_NEXT = refused(500, "InternalServerError", "Internal Server Error")


def refusal(state: AttemptState, call: Call) -> Answer | None:
    """The refusal of a result that may not come now; None if it may."""
    if (state, call) in ATTEMPT_TRANSITIONS:
        return None
    return INVOKE_TIMEOUT if state is AttemptState.TIMED_OUT else INVALID_REQUEST_ID


class TimedOut:
    """The request ids of the attempts that took too long and have not been answered since."""

    def __init__(self) -> None:
        self._ids: OrderedDict[str, None] = OrderedDict()

    def add(self, request_id: str) -> None:
        """Remember one, and forget the oldest if there are too many."""
        self._ids[request_id] = None
        self._ids.move_to_end(request_id)
        if len(self._ids) > REMEMBERED_TIMEOUTS:
            self._ids.popitem(last=False)

    def take(self, request_id: str) -> bool:
        """Whether it is one of them; from then on it is not."""
        return self._ids.pop(request_id, self) is None
