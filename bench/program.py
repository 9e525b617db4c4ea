"""Programs that a benchmark runs: none outlives it."""

import importlib.metadata
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent
BIN = Path(sys.executable).parent
HOST = "127.0.0.1"

# What is not gone by then is killed; `ambidex up` gives its own tasks 3 s.
_END_S = 10.0


class BenchError(Exception):
    """A question cannot be answered; the message says what is missing or wrong."""


class Cost(NamedTuple):
    """What a program took from its start to its end."""

    cpu_s: float  # user and system
    wall_s: float


class Running(NamedTuple):
    """A program at work."""

    process: subprocess.Popen[bytes]
    started: float  # by time.perf_counter


@contextmanager
def running(
    command: Sequence[str],
    folder: Path,
    stdout: int = subprocess.DEVNULL,
    stderr: int = subprocess.DEVNULL,
    stdin: int = subprocess.DEVNULL,
    variables: Mapping[str, str] | None = None,
) -> Iterator[Running]:
    """Run a program in the background; it is gone at the end, whatever happens.

    Args:
        command: program and arguments.
        folder: the working directory.
        stdout: where that goes, as subprocess has it; so for the other two.
        stderr: see stdout.
        stdin: see stdout.
        variables: of its environment, besides those that every program has.
    """
    started = perf_counter()
    process = subprocess.Popen(
        command,
        cwd=folder,
        env=environ() | dict(variables or {}),
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=True,  # Ctrl-C is for the benchmark, which then ends everything itself
    )
    try:
        yield Running(process, started)
    finally:
        try:
            process.terminate()
            with suppress(subprocess.TimeoutExpired):
                process.wait(_END_S)
        finally:  # a second Ctrl-C comes here at once
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            for stream in (process.stdin, process.stdout):
                if stream is not None:
                    stream.close()


def cost(command: Sequence[str], folder: Path) -> Cost:
    """Run a program to its end, and say what it took.

    Raises:
        BenchError: it failed.
    """
    started = perf_counter()
    with subprocess.Popen(
        command, cwd=folder, env=environ(), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL
    ) as process:
        try:
            _, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.kill()
            raise
        process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise BenchError(f"`{shown(command)}` ended with status {process.returncode}")
    return Cost(usage.ru_utime + usage.ru_stime, perf_counter() - started)


def environ() -> dict[str, str]:
    """The environment of every program: nothing that changes what Python does."""
    return {name: os.environ[name] for name in ("HOME", "LANG", "PATH") if name in os.environ}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


def versions(*names: str) -> str:
    """The versions of installed packages; they must be those that constraints.txt pins.

    Raises:
        BenchError: one is not installed, not pinned, or another version than the one pinned.
    """
    pins = dict(re.findall(r"(?m)^([\w.-]+)==([\w.]+)", (ROOT / "constraints.txt").read_text()))
    found = []
    for name in names:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            raise BenchError(f"{name} is not installed: make .venv") from None
        if pins.get(name) != version:
            pinned = pins.get(name, "nothing")
            raise BenchError(
                f"{name} {version} is installed, and constraints.txt pins {pinned}: make .venv"
            )
        found.append(f"{name} {version}")
    return ", ".join(found)


def shown(command: Sequence[str]) -> str:
    """A command as one would type it in the project's folder."""
    return shlex.join(command).replace(f"{ROOT}/", "")
