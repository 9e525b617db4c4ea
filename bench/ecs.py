"""How many requests a second does `ambidex serve` answer on ECS, beside uvicorn alone?

Straight to the server, without a load balancer, and with an access log on all sides: a line for
each request, to /dev/null. granian is there for its figure only; nothing of ambidex uses it.
"""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from time import monotonic, sleep
from typing import NamedTuple

from bench import processes, wrk
from bench.answer import PATH, checked
from bench.contestants import AMBIDEX
from bench.math_service import ANSWER as MATH_ANSWER
from bench.program import BIN, HOST, BenchError, free_port, running, shown, versions
from bench.project import project, remove_handler
from bench.race import Figure, Figures, Race
from bench.result import Bar, Contestant, Relation, Result

QUESTION = "How many requests a second does `ambidex serve` answer on ECS, beside uvicorn alone?"
ROUNDS = 10
_SECONDS = 1
_CONNECTIONS = {"1 connection": 1, "64 connections": 64}
_CPU = "CPU of a request, 64 connections"
_READY_S = 30.0

_UVICORN = "uvicorn, access log"
_GRANIAN = "granian, access log"

_BAR = Bar(Relation.AT_LEAST, 1, is_with_spread=True)
_FIGURES = (
    *(Figure(name, "requests/s", {_UVICORN: _BAR, _GRANIAN: None}) for name in _CONNECTIONS),
    Figure(_CPU, "µs", {_UVICORN: None, _GRANIAN: None}),
)
_COMMANDS = {
    AMBIDEX: (str(BIN / "ambidex"), "serve", "main:app"),
    _UVICORN: (
        *(str(BIN / "uvicorn"), "main:app", "--host", HOST, "--port", "{port}"),
        *("--workers", "1", "--loop", "uvloop", "--http", "httptools"),
    ),
    _GRANIAN: (
        *(str(BIN / "granian"), "main:app", "--interface", "asgi", "--host", HOST),
        *("--port", "{port}", "--workers", "1", "--loop", "uvloop", "--access-log"),
    ),
}
_VERSIONS = {
    AMBIDEX: ("uvicorn", "uvloop", "httptools", "fastapi"),
    _UVICORN: ("uvicorn", "uvloop", "httptools", "fastapi"),
    _GRANIAN: ("granian", "uvloop", "fastapi"),
}


class _Server(NamedTuple):
    url: str
    session: int  # of its processes


_PROJECT = '[tool.ambidex]\napp = "main:app"\n'


def measure(_seconds: float) -> Result:
    """Measure; rounds are short, so that all sides have the same of what else the machine does.

    Raises:
        BenchError: wrk is missing.
    """
    client = Contestant("the client", wrk.version(), shown(wrk.command("URL", 1, _SECONDS)))
    race = Race(_COMMANDS, MATH_ANSWER)
    with ExitStack() as stack:
        folder = stack.enter_context(project(_PROJECT))
        remove_handler(folder)
        servers = race.enter(stack, lambda name: _server(name, folder))
        race.run(ROUNDS, lambda name: _round(servers[name]))
    contestants = [
        Contestant(name, versions(*_VERSIONS[name]), shown(command).replace("{port}", "PORT"))
        for name, command in _COMMANDS.items()
        if name not in race.missing
    ]
    return Result(QUESTION, (*contestants, client), tuple(race.rows(_FIGURES, AMBIDEX)))


@contextmanager
def _server(name: str, folder: Path) -> Iterator["_Server"]:
    versions(*_VERSIONS[name])
    port = str(free_port())
    command = [each.format(port=port) for each in _COMMANDS[name]]
    variables = {"AMBIDEX_ECS_HOST": HOST, "AMBIDEX_ECS_PORT": port} if name == AMBIDEX else {}
    url = f"http://{HOST}:{port}"
    until = monotonic() + _READY_S
    with running(command, folder, variables=variables) as program:
        while True:
            try:
                checked(name, url)
            except BenchError:
                if program.process.poll() is not None or monotonic() > until:
                    raise
                sleep(0.05)
            else:
                break
        yield _Server(url, program.process.pid)


def _round(server: _Server) -> Figures:
    figures = {}
    for figure, connections in _CONNECTIONS.items():
        before_ns = _cpu_ns(server)
        done = wrk.run(server.url + PATH, connections, _SECONDS)
        cpu_ns = _cpu_ns(server) - before_ns
        if done.failed:
            raise BenchError(f"{done.failed} requests failed")
        figures[figure] = done.requests_per_s
        if connections > 1:
            figures[_CPU] = cpu_ns / 1e3 / (done.requests_per_s * _SECONDS)
    return figures


def _cpu_ns(server: _Server) -> int:
    return processes.cpu_ns(processes.of_sessions([server.session]))
