"""The attempt that an invocation becomes when an environment gets its event."""

from time import time

from ambidex.local.ids import hex_id
from ambidex.local.invocation import Invocation
from ambidex.local.runtime_api import Attempt
from ambidex.local.variables import Function

# How far off the deadline is while somebody debugs, for runtimes heed it by themselves.
_DEBUGGING_S = 24 * 3600.0


def new_attempt(invocation: Invocation, function: Function, *, has_timeouts: bool) -> Attempt:
    """An attempt that begins now; without time-outs its deadline is far off."""
    timeout_s = function.timeout_s if has_timeouts else _DEBUGGING_S
    return Attempt(
        invocation.request_id,
        hex_id(32),
        invocation.event,
        int((time() + timeout_s) * 1000),
        function.invoked_arn,
        invocation.trace_id,
        invocation.client_context,
    )
