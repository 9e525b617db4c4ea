"""`ambidex up` as a program of its own."""

import select
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from json import loads
from pathlib import Path
from time import perf_counter
from typing import NamedTuple

from bench.program import BIN, BenchError, running, shown

COMMAND = (
    str(BIN / "ambidex"),
    *("up", "--json", "--lambda-port", "0", "--ecs-port", "0", "--invoke-port", "0"),
)
_READY_S = 60.0


class Up(NamedTuple):
    """Both platforms, ready."""

    lambda_url: str
    ecs_url: str
    ready_s: float  # from the exec to the line of JSON


@contextmanager
def up(folder: Path) -> Iterator[Up]:
    """Run `ambidex up` for a project.

    Raises:
        BenchError: it did not become ready.
    """
    with running(COMMAND, folder, subprocess.PIPE) as program:
        output = program.process.stdout
        assert output is not None
        select.select([output], [], [], _READY_S)
        ready_s = perf_counter() - program.started
        if ready_s >= _READY_S:
            raise BenchError(f"`{shown(COMMAND)}` was not ready after {_READY_S:g} s")
        line = output.readline()
        if not line:
            raise BenchError(f"`{shown(COMMAND)}` ended with status {program.process.wait()}")
        targets = loads(line)["targets"]
        yield Up(targets["lambda"]["url"], targets["ecs"]["url"], ready_s)
