"""Where a response goes piece by piece."""

from typing import Protocol


class Stream(Protocol):
    """A response under way; its status and headers were there when it was opened."""

    @property
    def is_closed(self) -> bool:
        """Whether nobody takes what is written any more."""

    async def write(self, piece: bytes) -> None:
        """Send a piece, and wait until there is room for the next.

        Raises:
            OSError: the stream is closed.
        """

    def end(self, piece: bytes) -> None:
        """Send the last piece, if the stream is not closed."""

    def abort(self, error: BaseException | None) -> None:
        """Say that the response ends before its end, if the stream is not closed.

        Args:
            error: what the app raised; none if it just returned.
        """
