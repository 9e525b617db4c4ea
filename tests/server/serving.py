"""`ambidex serve` in a process of its own, and what it has written so far."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import Condition, Thread
from typing import IO

import httpx

HERE = Path(__file__).parent
SERVE = (sys.executable, "-m", "ambidex", "serve")
AS_PID_1 = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")

# A bound for what never comes, so that a test fails and does not hang; nothing is measured with it.
_BOUND_S = 60.0


class Served:
    """A process under test; its log is read as it is written."""

    def __init__(self, command: Sequence[str], folder: Path, environ: Mapping[str, str]) -> None:
        self._process = subprocess.Popen(
            command,
            cwd=folder,
            env=environ,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.out: list[str] = []
        self.err: list[str] = []
        self._changed = Condition()
        self._readers = [
            Thread(target=self._read, args=(self._process.stdout, self.out)),
            Thread(target=self._read, args=(self._process.stderr, self.err)),
        ]
        for reader in self._readers:
            reader.start()

    def _read(self, stream: IO[str], lines: list[str]) -> None:
        for line in stream:
            with self._changed:
                lines.append(line.rstrip("\n"))
                self._changed.notify_all()
        with self._changed:
            self._changed.notify_all()

    def line(self, text: str) -> str:
        """The first line with this text in it; waits for it."""
        return self.lines(text, 1)[0]

    def lines(self, text: str, count: int) -> list[str]:
        """The lines with this text in them; waits for so many."""

        def found() -> list[str]:
            return [line for line in [*self.out, *self.err] if text in line]

        def is_over() -> bool:
            return len(found()) >= count or not any(r.is_alive() for r in self._readers)

        with self._changed:
            self._changed.wait_for(is_over, _BOUND_S)
            lines = found()
        assert len(lines) >= count, f"no {text!r} in {self.out} {self.err}"
        return lines

    @property
    def port(self) -> int:
        line = self.line("Uvicorn running on")
        found = re.search(r"Uvicorn running on http://[^ \"]*:(\d+)", line)
        assert found
        return int(found[1])

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process that serves, which under `unshare` is its child."""
        parent = self._process.pid
        if self._process.args[: len(AS_PID_1)] != AS_PID_1:  # type: ignore[index]  # a tuple
            return parent
        return int(Path(f"/proc/{parent}/task/{parent}/children").read_text().split()[0])

    def signal(self, number: signal.Signals) -> None:
        os.kill(self.pid, number)

    def status(self) -> int:
        """Wait for the end; the exit status."""
        status = self._process.wait(_BOUND_S)
        for reader in self._readers:
            reader.join(_BOUND_S)
        return status

    def status_within(self, stop_timeout_s: float) -> int:
        """As ECS ends a task: SIGTERM, and SIGKILL (a status of -9) after the stop time-out."""
        self.signal(signal.SIGTERM)
        try:
            self._process.wait(stop_timeout_s)
        except subprocess.TimeoutExpired:
            self._process.kill()
        return self.status()

    def close(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
        self.status()
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self._process.stdout.close()
        self._process.stderr.close()


def environ(**variables: str) -> dict[str, str]:
    """This process's environment without settings of ours, but for those of the test."""
    inherited = {k: v for k, v in os.environ.items() if not k.startswith(("AMBIDEX_", "AWS_"))}
    return {
        **inherited,
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYTHONUNBUFFERED": "",
        "AWS_LAMBDA_LOG_FORMAT": "Text",
        "AMBIDEX_ECS_HOST": "127.0.0.1",
        "AMBIDEX_ECS_PORT": "0",
        **variables,
    }


@contextmanager
def running(command: Sequence[str], folder: Path = HERE, /, **variables: str) -> Iterator[Served]:
    served = Served(tuple(command), folder, environ(**variables))
    try:
        yield served
    finally:
        served.close()


@contextmanager
def serving(app: str = "probe:app", folder: Path = HERE, /, **variables: str) -> Iterator[Served]:
    with running((*SERVE, app), folder, **variables) as served:
        yield served


@contextmanager
def in_flight(request: Callable[[], httpx.Response]) -> Iterator[list[httpx.Response]]:
    """A request under way in the body; its response is in the list afterwards."""
    responses: list[httpx.Response] = []
    thread = Thread(target=lambda: responses.append(request()))
    thread.start()
    try:
        yield responses
    finally:
        thread.join(_BOUND_S)
