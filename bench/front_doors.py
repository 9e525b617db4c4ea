"""How many requests a second get through the front doors, beside uvicorn alone?

Held to a bar at ECS is the load balancer: its task and its rival are the same uvicorn, without an
access log. The default task, `ambidex serve`, writes one, which `up` then shows: there the rival
writes one, too, and since the front door is no longer all that differs, there is no bar.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from bench import wrk
from bench.answer import PATH, checked
from bench.program import BIN, HOST, BenchError, free_port, running, shown, versions
from bench.project import project
from bench.result import Bar, Comparison, Contestant, Relation, Result, Row
from bench.up import COMMAND, up

QUESTION = "How many requests a second get through the front doors, beside uvicorn alone?"
ROUNDS = 7
_READY_S = 30.0

# One worker, and the loop and the parser that uvicorn[standard] brings.
_LOGGED = (
    *(str(BIN / "uvicorn"), "main:app", "--host", "{host}", "--port", "{port}"),
    *("--workers", "1", "--loop", "uvloop", "--http", "httptools"),
)
_SILENT = (*_LOGGED, "--no-access-log")

_ONE_ENVIRONMENT = f"""\
[tool.ambidex]
app = "main:app"
lambda.concurrency = 1
ecs.command = {list(_SILENT)}
"""
_MANY_ENVIRONMENTS = """\
[tool.ambidex]
app = "main:app"
lambda.concurrency = 16
"""


class _Door(NamedTuple):
    """One way to the app, with a number of connections."""

    name: str
    url: str
    connections: int
    rival: str = ""  # its name; empty: it is one itself
    at_least: float | None = None  # of its rival's requests


def measure(seconds: float) -> Result:
    """Measure.

    Args:
        seconds: the length of a round.

    Raises:
        BenchError: something is missing, does not start, or answers wrongly.
    """
    client = wrk.version()
    uvicorn = versions("uvicorn", "uvloop", "httptools", "fastapi")
    image = versions("uvloop", "orjson", "fastapi")
    with ExitStack() as stack:
        doors = _doors(stack)
        rows = _rows(doors, seconds)
    return Result(
        QUESTION,
        (
            Contestant("uvicorn alone", uvicorn, shown(_SILENT)),
            Contestant("uvicorn alone, access log", uvicorn, shown(_LOGGED), "to /dev/null"),
            Contestant("Lambda, 1 connection; ECS, uvicorn", image, shown(COMMAND),
                       "one environment; the task is the command of uvicorn alone"),
            Contestant("Lambda, 16 connections; ECS, ambidex serve", image, shown(COMMAND),
                       "up to 16 environments; the task is the default, with its access log"),
            Contestant("client", client, shown(wrk.command("URL", 1, seconds))),
        ),
        rows,
    )  # fmt: skip


def _doors(stack: ExitStack) -> Sequence[_Door]:
    one = stack.enter_context(project(_ONE_ENVIRONMENT))
    many = stack.enter_context(project(_MANY_ENVIRONMENTS))
    alone = stack.enter_context(_uvicorn("uvicorn alone", _SILENT, one))
    logged = stack.enter_context(_uvicorn("uvicorn alone, access log", _LOGGED, one))
    up_one = stack.enter_context(up(one))
    up_many = stack.enter_context(up(many))
    of_alone = "uvicorn alone, {}"
    of_logged = "uvicorn alone, access log, {}"
    return (
        _Door("uvicorn alone, 1", alone, 1),
        _Door("Lambda, HTTP API, 1", up_one.lambda_url, 1, "uvicorn alone, 1", 0.25),
        _Door("ECS, ALB, uvicorn, 1", up_one.ecs_url, 1, "uvicorn alone, 1", 0.35),
        _Door("uvicorn alone, access log, 1", logged, 1),
        _Door("ECS, ALB, ambidex serve, 1", up_many.ecs_url, 1, "uvicorn alone, access log, 1"),
        _Door("uvicorn alone, 16", alone, 16),
        _Door("Lambda, HTTP API, 16", up_many.lambda_url, 16, "uvicorn alone, 16"),
        _Door("ECS, ALB, uvicorn, 16", up_one.ecs_url, 16, "uvicorn alone, 16", 0.8),
        _Door("uvicorn alone, access log, 16", logged, 16),
        _Door("ECS, ALB, ambidex serve, 16", up_many.ecs_url, 16, "uvicorn alone, access log, 16"),
    )


@contextmanager
def _uvicorn(name: str, command: Sequence[str], folder: Path) -> Iterator[str]:
    port = free_port()
    filled = [part.format(host=HOST, port=port) for part in command]
    url = f"http://{HOST}:{port}"
    with running(filled, folder) as program:
        until = monotonic() + _READY_S
        while True:
            try:
                checked(name, url)
            except BenchError:
                if program.process.poll() is not None or monotonic() > until:
                    raise
                sleep(0.05)
            else:
                break
        yield url


def _rows(doors: Sequence[_Door], seconds: float) -> tuple[Row, ...]:
    for door in doors:  # dropped; a front door's environments start here
        _round(door, seconds)
    rounds: dict[str, list[wrk.Round]] = {door.name: [] for door in doors}
    for number in range(ROUNDS):
        # There and back again, so that nobody always comes after the same other.
        for door in doors if number % 2 == 0 else reversed(doors):
            rounds[door.name].append(_round(door, seconds))
    return tuple(_row(door, rounds) for door in doors)
