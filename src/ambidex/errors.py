"""The root of the error tree: every error that ambidex raises on purpose derives from it."""

COULD_NOT_START = 3
"""The exit status of what could not start."""


class AmbidexError(Exception):
    """What went wrong, where, and what to do, in one sentence without a full stop.

    Each room's errors derive from this class and live in that room.

    Args:
        message: the sentence.
        hint: what to do about it, where that needs a line of its own.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message)
        self.message = message
        self.hint = hint


def shown(value: object) -> str:
    """A value as an error message shows it: its `repr`, cut at 200 characters."""
    text = repr(value)
    return text if len(text) <= 200 else f"{text[:197]}..."
