"""`python -m bench`: asks the questions, prints the tables, and fails where a bar is missed."""

import argparse
import signal
import sys
from collections.abc import Callable
from contextlib import nullcontext
from datetime import UTC, datetime
from types import FrameType

from bench import (
    bodies,
    cold,
    ecs,
    front_doors,
    import_cpu,
    in_flight,
    ready,
    rie,
    streaming,
    table,
    turnaround,
)
from bench.machine import machine, one_core
from bench.page import RESULTS, paste
from bench.program import ROOT, BenchError
from bench.result import Result, Run, misses, write

QUESTIONS: dict[str, Callable[[float], Result]] = {
    "turnaround": turnaround.measure,
    "cold": cold.measure,
    "in_flight": in_flight.measure,
    "streaming": streaming.measure,
    "bodies": bodies.measure,
    "rie": rie.measure,
    "ecs": ecs.measure,
    "front_doors": front_doors.measure,
    "import_cpu": import_cpu.measure,
    "ready": ready.measure,
}
ON_ONE_CORE = {"turnaround", "cold", "bodies", "import_cpu"}
"""A function has less than two cores up to 1,769 MB, and these ask about one event at a time."""

SECONDS = 3

MISSED = 1
COULD_NOT_START = 3


def main() -> int:
    """Run what the command line asks for.

    Returns:
        The exit status: 0 all bars are reached, 1 one is missed, 3 a question has no answer.
    """
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--only", choices=QUESTIONS, help="one question")
    parser.add_argument(
        "--seconds", type=int, default=SECONDS, help="length of a round of requests (%(default)s)"
    )
    parser.add_argument(
        "--paste", action="store_true", help="paste the newest whole run into docs/performance.md"
    )
    options = parser.parse_args()
    signal.signal(signal.SIGTERM, _end)
    try:
        if options.paste:
            print(f"{paste(QUESTIONS, SECONDS).relative_to(ROOT)} is in docs/performance.md")
            return 0
        return _run([options.only] if options.only else list(QUESTIONS), options.seconds)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return COULD_NOT_START
    except KeyboardInterrupt:
        return 128 + signal.SIGINT


def _run(names: list[str], seconds: float) -> int:
    date = f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}"
    here = machine()
    results: dict[str, Result] = {}
    unanswered = []
    for name in names:
        print(f"{name} …", file=sys.stderr)
        try:
            with one_core() if name in ON_ONE_CORE else nullcontext():
                results[name] = QUESTIONS[name](seconds)
        except BenchError as error:
            unanswered.append(f"{name}: {error}")
    run = Run(date, seconds, here, results)
    print(table.page(run))
    if results:
        print(f"\n{write(run, RESULTS).relative_to(ROOT)}", file=sys.stderr)
    missed = [sentence for result in results.values() for sentence in misses(result)]
    for sentence in (*missed, *unanswered):
        print(f"error: {sentence}", file=sys.stderr)
    if unanswered:
        return COULD_NOT_START
    return MISSED if missed else 0


def _end(number: int, _frame: FrameType | None) -> None:
    """End as on Ctrl-C: what was started is ended on the way out."""
    sys.exit(128 + number)


if __name__ == "__main__":
    sys.exit(main())
