"""The execution environment of the soak, `ambidex serve` in a process, and what it takes."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, NamedTuple

from tests.project import ROOT

_KB = 1024
_LOG_TAIL_BYTES = 3000


class Usage(NamedTuple):
    """What the process holds at a moment."""

    rss_bytes: int
    pss_bytes: int
    descriptors: int
    threads: int


class Environment(NamedTuple):
    """A running `ambidex serve`."""

    process: subprocess.Popen[bytes]
    log: IO[bytes]

    def usage(self) -> Usage:
        """What it holds now."""
        folder = Path("/proc") / str(self.process.pid)
        sizes = dict(re.findall(r"(?m)^(\w+): +(\d+) kB", (folder / "smaps_rollup").read_text()))
        return Usage(
            int(sizes["Rss"]) * _KB,
            int(sizes["Pss"]) * _KB,
            len(list((folder / "fd").iterdir())),
            len(list((folder / "task").iterdir())),
        )

    def log_tail(self) -> str:
        """The end of its log."""
        self.log.seek(max(0, self.log.seek(0, os.SEEK_END) - _LOG_TAIL_BYTES))
        return self.log.read().decode("utf-8", "replace").replace("\r", "\n")


@contextmanager
def environment(address: str) -> Iterator[Environment]:
    """Run the soak's app against a Runtime API; it is gone at the end."""
    variables = {
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_LAMBDA_FUNCTION_NAME": "soak",
        "AMBIDEX_LAMBDA_EVENTS_PATH": "/events",
        "AMBIDEX_LAMBDA_DEADLINE_MARGIN": "0.25",
        "AMBIDEX_LAMBDA_RESPONSE": "stream",  # Function URL and REST API; the others gather
    }
    command = [str(Path(sys.executable).parent / "ambidex"), "serve", "tests.soak.app:app"]
    with TemporaryFile() as log:
        process = subprocess.Popen(
            command, cwd=ROOT, env=variables, stdin=subprocess.DEVNULL, stdout=log, stderr=log
        )
        try:
            yield Environment(process, log)
        finally:
            process.send_signal(signal.SIGKILL)
            process.wait()
