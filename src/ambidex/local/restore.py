"""The restore of one environment from its snapshot, for the invocation that comes first.

It is over when the runtime asks for an event, and may take 10 s.

Source: lambda/latest/dg/lambda-runtime-environment.html, "Restore phase"
"""

import asyncio
from collections.abc import Callable
from time import perf_counter

from ambidex.local import report
from ambidex.local.invocation import Invocation, failure

OVERRAN = "SnapStartTimeoutException"
FAILED = "SnapStartException"

STATUSES = {OVERRAN: 408, FAILED: 400}
"""Of the Invoke API: a restore that fails is an error of the call, not one of the function.

Source: lambda/latest/api/API_Invoke.html, "Errors"
"""


class Restore:
    """A restore that has begun.

    Args:
        invocation: the one that waits for it.
        on_log: takes each line of the function's log.
    """

    def __init__(self, invocation: Invocation, on_log: Callable[[str], None]) -> None:
        self.invocation = invocation
        self._on_log = on_log
        self._started = perf_counter()
        self._timer: asyncio.TimerHandle | None = None
        on_log(report.restore_start())

    def limit(self, seconds: float, on_overran: Callable[[], None]) -> None:
        """Have something called if it is not over in time."""
        self._timer = asyncio.get_running_loop().call_later(seconds, on_overran)

    def end(self, status: str = "", error_type: str = "") -> float:
        """It is over, well if there is no status; how long it took, in milliseconds."""
        if self._timer is not None:
            self._timer.cancel()
        milliseconds = (perf_counter() - self._started) * 1000
        self._on_log(report.restore_report(milliseconds, status, error_type))
        return milliseconds

    def overran(self) -> None:
        """It has taken too long."""
        self.end("timeout")
        # Source: lambda/latest/dg/snapstart-troubleshooting.html, "Example CloudWatch log"
        message = "Lambda couldn't restore the snapshot within the timeout limit."
        self._settle(OVERRAN, message)

    def fail(self, error_type: str, message: str) -> None:
        """What runs after it has failed.

        Args:
            error_type: the runtime's, or Runtime.ExitError.
            message: the runtime's.
        """
        self.end("error", error_type)
        self._settle(FAILED, f"What runs after the restore has failed: {message}")

    def _settle(self, kind: str, message: str) -> None:
        self.invocation.settle(failure(kind, message))
        self.invocation.finish()
