"""The machine that a run was on."""

import os
import platform
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Machine:
    """What a figure depends on besides the code."""

    cpu: str
    cores: int
    kernel: str
    python: str
    load: float  # processes at work, averaged over the minute before the run


def machine() -> Machine:
    """This machine, now."""
    return Machine(
        _cpu(),
        os.cpu_count() or 1,
        f"{platform.system()} {platform.release()}",
        f"{platform.python_implementation()} {platform.python_version()}",
        round(os.getloadavg()[0], 2),
    )


@contextmanager
def one_core() -> Iterator[None]:
    """Have this process, and what it starts, share one core; where the system cannot, all of them.

    Which core a process is on decides else how long the next one takes to wake, and a figure is one
    of two, as it happens.
    """
    if sys.platform != "linux":
        yield
        return
    cores = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {max(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def _cpu() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
