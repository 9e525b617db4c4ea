"""wrk, the client of all rounds of requests."""

import shutil
import subprocess
from json import loads
from pathlib import Path
from typing import NamedTuple

from bench.program import BenchError

_SCRIPT = Path(__file__).with_name("wrk.lua")


class Round(NamedTuple):
    """What came of one round of requests."""

    requests_per_s: float
    failed: int  # no answer, or a status of 400 and more


def version() -> str:
    """The version of wrk.

    Raises:
        BenchError: it is not installed.
    """
    if shutil.which("wrk") is None:
        raise BenchError("wrk is not installed: apt-get install wrk, or brew install wrk")
    # It prints its version as a part of its usage, and ends with status 1.
    usage = subprocess.run(["wrk", "-v"], capture_output=True, text=True, check=False)
    return " ".join((usage.stdout or usage.stderr).split()[:2])


def command(url: str, connections: int, seconds: float) -> list[str]:
    """The command of one round.

    Args:
        url: what is asked for.
        connections: how many there are, each with one request under way at any time.
        seconds: the length of the round, rounded up to whole ones.
    """
    # A cold start may take longer than wrk's own 2 s.
    return [
        *("wrk", "--threads", "1", "--connections", str(connections), "--timeout", "30s"),
        *("--duration", f"{-int(-seconds // 1)}s", "--script", str(_SCRIPT), url),
    ]


def run(url: str, connections: int, seconds: float) -> Round:
    """Run one round; the arguments are those of `command`.

    Raises:
        BenchError: wrk failed.
    """
    done = subprocess.run(
        command(url, connections, seconds), capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise BenchError(f"wrk ended with status {done.returncode}: {done.stderr.strip()}")
    counted = loads(done.stdout.splitlines()[-1])
    return Round(counted["requests"] * 1e6 / counted["duration_us"], counted["failed"])
