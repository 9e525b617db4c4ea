"""The attempt that an invocation becomes when an environment gets its event."""

from time import time

from ambidex.local.ids import hex_id
from ambidex.local.invocation import Invocation
from ambidex.local.runtime_api import Attempt
from ambidex.local.variables import Function


def new_attempt(invocation: Invocation, function: Function) -> Attempt:
    """An attempt that begins now."""
    return Attempt(
        invocation.request_id,
        hex_id(32),
        invocation.event,
        int((time() + function.timeout_s) * 1000),
        function.invoked_arn,
        invocation.trace_id,
        invocation.client_context,
    )
