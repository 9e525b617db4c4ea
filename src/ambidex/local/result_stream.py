"""A streamed result on its way from the runtime to whoever has invoked the function."""

import asyncio
from typing import Self

from ambidex.local.invocation import Outcome

# How much waits for a caller that reads slowly, before the runtime has to wait.
_AHEAD_BYTES = 64 * 1024


class ResultStream:
    """The bytes of a result as they come.

    The caller iterates over pieces, then `error` tells how it ended. The runtime waits for a caller
    that does not read; one that leaves says so, and the function streams on, to nobody.

    Attributes:
        content_type: what the runtime says of the bytes; empty if it says nothing.
        error: why the stream broke off; None while it has not, and if it is complete.
    """

    def __init__(self, content_type: str) -> None:
        self.content_type = content_type
        self.error: Outcome | None = None
        self._loop = asyncio.get_running_loop()
        self._pieces: list[bytes] = []
        self._size = 0
        self._is_over = False
        self._is_left = False
        self._reader: asyncio.Future[None] | None = None
        self._writer: asyncio.Future[None] | None = None

    @classmethod
    def complete(cls, content_type: str, data: bytes) -> Self:
        """A stream that has ended."""
        stream = cls(content_type)
        stream._pieces = [data] if data else []
        stream.end()
        return stream

    # The runtime's side

    async def write(self, data: bytes) -> None:
        """Pass on a piece, and wait while the caller does not read."""
        if not self._is_read:
            return
        self._pieces.append(data)
        self._size += len(data)
        _wake(self._reader)
        while self._size > _AHEAD_BYTES and self._is_read:
            self._writer = self._loop.create_future()
            await self._writer

    @property
    def _is_read(self) -> bool:
        return not (self._is_left or self._is_over)

    def end(self, error: Outcome | None = None) -> None:
        """No more comes; the first end counts.

        Args:
            error: why, if the result is not complete.
        """
        if self._is_over:
            return
        self._is_over = True
        self.error = error
        _wake(self._reader)
        _wake(self._writer)

    # The caller's side

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        """All that has come since, as one piece."""
        while not self._pieces:
            if self._is_over:
                raise StopAsyncIteration
            self._reader = self._loop.create_future()
            await self._reader
        piece = b"".join(self._pieces)
        self._pieces.clear()
        self._size = 0
        _wake(self._writer)
        return piece

    def leave(self) -> None:
        """Read no more; what still comes is thrown away."""
        self._is_left = True
        self._pieces.clear()
        _wake(self._writer)


def _wake(waiter: "asyncio.Future[None] | None") -> None:
    if waiter is not None and not waiter.done():
        waiter.set_result(None)
