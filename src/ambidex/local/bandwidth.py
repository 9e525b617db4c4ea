"""How fast a streamed result may go: a bucket that a stream empties and that fills again.

Source: lambda/latest/dg/configuration-response-streaming.html, "Bandwidth limits for response
streaming"; the bucket and its sizes are those of aws-lambda-runtime-interface-emulator.
"""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

# How often a bucket is refilled.
_TICK_S = 0.125


class Bandwidth(NamedTuple):
    """A limit of bandwidth."""

    burst_bytes: int  # at full speed
    rate_bytes_s: int  # from then on, and how fast the bucket fills again


LAMBDA = Bandwidth(6 * 1024 * 1024, 2 * 1024 * 1024)


class Bucket:
    """What a stream may still send at once; full at first.

    Args:
        bandwidth: the limit.
        now_s: a clock, seconds.
    """

    __slots__ = ("_filled_s", "_left_bytes", "_limit", "_now_s")

    def __init__(self, bandwidth: Bandwidth, now_s: Callable[[], float]) -> None:
        self._limit = bandwidth
        self._now_s = now_s
        self._left_bytes = bandwidth.burst_bytes
        self._filled_s = now_s()

    def take(self, size: int) -> float:
        """Take bytes out.

        Args:
            size: how many; what is not there is owed.

        Returns:
            How many seconds to wait before they are sent; 0 if all were there.
        """
        ticks = int((self._now_s() - self._filled_s) / _TICK_S)
        tick_bytes = int(self._limit.rate_bytes_s * _TICK_S)
        self._filled_s += ticks * _TICK_S
        self._left_bytes = min(self._limit.burst_bytes, self._left_bytes + ticks * tick_bytes)
        self._left_bytes -= size
        if self._left_bytes >= 0:
            return 0
        owed_ticks = -(self._left_bytes // tick_bytes)
        return self._filled_s + owed_ticks * _TICK_S - self._now_s()

    async def taken(self, size: int) -> None:
        """Take bytes out, and wait until they may be sent."""
        delay_s = self.take(size)
        if delay_s > 0:
            await asyncio.sleep(delay_s)
