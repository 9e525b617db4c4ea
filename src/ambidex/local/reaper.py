"""Ends the processes of an `up` that died: run as a process of its own, it outlives a `kill -9`.

Frozen environments would stay stopped for ever. It reads the ids of process groups from its
standard input, `+id` when one starts and `-id` when one has ended; at the end of the input, which
comes when `up` is gone however it went, it kills those that are left.
"""

import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path


class Reaper:
    """The side of `up`: starts the process and tells it what to watch."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(  # noqa: S603 – this file, by this Python
            [sys.executable, "-I", "-S", str(Path(__file__))],
            stdin=subprocess.PIPE,
            start_new_session=True,  # Ctrl-C is for `up`, which then ends everything itself
        )

    def watch(self, group: int) -> None:
        """A process group has started."""
        self._tell(f"+{group}\n")

    def forget(self, group: int) -> None:
        """A process group has ended."""
        self._tell(f"-{group}\n")

    def close(self) -> None:
        """End the process, after it has killed what is left."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # somebody killed it; `up` works without
            self._process.stdin.write(line.encode())
            self._process.stdin.flush()


def main() -> None:
    """Read group ids until `up` is gone, then kill the groups that are left."""
    groups: set[int] = set()
    for line in sys.stdin:
        group = int(line[1:])
        if line.startswith("+"):
            groups.add(group)
        else:
            groups.discard(group)
    for group in groups:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
