"""The init phase of one environment: how long it has taken, and why it failed if it did.

Source: lambda/latest/dg/lambda-runtime-environment.html, "Init phase"
"""

import asyncio
from collections.abc import Callable
from time import perf_counter
from typing import NamedTuple

OVERRAN = "Sandbox.Timedout"


class InitFailure(NamedTuple):
    """Why an environment did not come up."""

    error_type: str
    message: str


class InitPhase:
    """An init that has begun.

    Args:
        on_failure: is told of each failure: after how many milliseconds, its status and error type.
    """

    def __init__(self, on_failure: Callable[[float, str, str], None]) -> None:
        self._on_failure = on_failure
        self._outcome: asyncio.Future[InitFailure | None]
        self._outcome = asyncio.get_running_loop().create_future()
        self._started = perf_counter()

    @property
    def is_over(self) -> bool:
        """Whether it has succeeded or failed."""
        return self._outcome.done()

    @property
    def has_succeeded(self) -> bool:
        """Whether the environment came up."""
        return self._outcome.done() and self._outcome.result() is None

    def milliseconds(self) -> float:
        """How long it has taken so far."""
        return (perf_counter() - self._started) * 1000

    def succeed(self) -> None:
        """The environment has come up."""
        self._outcome.set_result(None)

    def fail(self, error_type: str, message: str, status: str = "error") -> None:
        """It has failed; the first failure counts."""
        self._on_failure(self.milliseconds(), status, error_type)
        if not self._outcome.done():
            self._outcome.set_result(InitFailure(error_type, message))

    async def wait(self, limit_s: float | None) -> InitFailure | None:
        """Wait until it is over; it fails if it takes longer than it may.

        Args:
            limit_s: how long to wait; None for ever, while somebody debugs.

        Returns:
            Why it failed; None if it did not.
        """
        done, _ = await asyncio.wait({self._outcome}, timeout=limit_s)
        if not done:
            self.fail(OVERRAN, f"Init took longer than {limit_s:g} seconds", "timeout")
        return self._outcome.result()
