"""What `up` shows while it runs: each line with the target it is from, coloured on a terminal."""

import os
import sys
from collections.abc import Callable
from typing import TextIO

_COLOURS = {"lambda": "\x1b[33m", "ecs": "\x1b[36m", "up": "\x1b[2m"}
_RESET = "\x1b[0m"
_WIDTH = max(map(len, _COLOURS))


def printer(source: str, stream: TextIO | None = None) -> Callable[[str], None]:
    """A function that prints lines of a source to a stream, standard error if none is given.

    Carriage returns, by which a traceback stays one event on Lambda, are line ends here.
    """
    out = sys.stderr if stream is None else stream
    prefix = f"{source:<{_WIDTH}} | "
    if is_coloured(out):
        prefix = f"{_COLOURS[source]}{source:<{_WIDTH}} |{_RESET} "

    def show(line: str) -> None:
        parts = line.rstrip("\r\n").replace("\t", "  ").replace("\n", "\r").split("\r")
        try:
            out.write("".join(f"{prefix}{part}\n" for part in parts))
            out.flush()
        except OSError:  # a pipe without a reader, a terminal that was closed
            _discard(out)

    return show


def _discard(out: TextIO) -> None:
    # Whoever read it has left, and the rest goes on: what is in the buffer and all that follows
    # goes nowhere, and not even Python's own flush at its end finds anything wrong.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, out.fileno())
    os.close(nowhere)


def is_coloured(stream: TextIO) -> bool:
    """Whether a stream is a terminal that wants colour. Source: no-color.org."""
    return stream.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
