"""How much CPU does importing `ambidex serve` take on Lambda, beyond the app's own imports?

What it imports is not written down here, where it would rot: an app asks itself, running on Lambda
behind an HTTP API, which modules there are when its first request has come.
"""

import subprocess
import sys
from collections.abc import Mapping, Sequence, Set
from json import dumps, loads
from pathlib import Path

from bench.answer import ask
from bench.program import BIN, BenchError, cost, environ, shown, versions
from bench.project import project, remove_handler
from bench.result import Bar, Comparison, Contestant, Relation, Result, Row
from bench.up import up

QUESTION = (
    "How much CPU does importing `ambidex serve` take on Lambda, beyond the app's own imports?"
)
ROUNDS = 30
_BAR = Bar(Relation.AT_MOST, 10)

_APP = "the app"
_ALL = "the app, and all that ambidex serve imports"

_PROJECT = f"""\
[tool.ambidex]
app = "witness:app"
lambda.command = {dumps([str(BIN / "ambidex"), "serve"])}
"""
# In the order in which their imports began; modules without a spec are made by other modules.
_MODULES = '[name for name, module in sys.modules.items() if getattr(module, "__spec__", None)]'
_WITNESS = f"""\
import json
import sys

import main


async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await main.app(scope, receive, send)
        return
    body = json.dumps({_MODULES}).encode()
    await send({{"type": "http.response.start", "status": 200, "headers": []}})
    await send({{"type": "http.response.body", "body": body}})
"""


def measure(_seconds: float) -> Result:
    """Measure; it takes the seconds that it takes.

    Raises:
        BenchError: the app does not start.
    """
    pinned = versions("uvloop", "orjson", "fastapi")
    with project(_PROJECT) as folder:
        remove_handler(folder)
        (folder / "witness.py").write_text(_WITNESS, encoding="utf-8")
        imports = _imports(folder)
        commands = {
            name: _program(folder, f"imports_{number}", modules)
            for number, (name, modules) in enumerate(imports.items())
        }
        cpu_ms = _cpu_ms(commands, folder)
    contestants = tuple(
        Contestant(
            name,
            pinned,
            shown(command),
            f"a file of imports: {', '.join(f'`{module}`' for module in ('main', *imports[name]))}",
        )
        for name, command in commands.items()
    )
    return Result(QUESTION, contestants, tuple(_row(name, cpu_ms) for name in commands))


def _imports(folder: Path) -> dict[str, Sequence[str]]:
    """What each program imports after the app, by the program's name."""
    with up(folder) as platforms:
        status, _, body = ask(platforms.lambda_url, "/")
    if status != 200:
        raise BenchError(f"the app that asks for its modules answers {status}")
    listing = f"import json, main, sys; print(json.dumps({_MODULES}))"
    alone = subprocess.run(
        [sys.executable, "-c", listing], cwd=folder, env=environ(), capture_output=True, check=True
    )
    app = {*loads(alone.stdout), "__main__", "witness"}
    added = [name for name in loads(body) if not _is_the_apps(name, app)]
    return {_APP: [], _ALL: added} | {
        f"the app and {package}": modules
        for package in ("ambidex", "uvloop", "orjson")
        if (modules := [name for name in added if name.split(".")[0] == package])
    }


def _is_the_apps(name: str, app: Set[str]) -> bool:
    """Whether a module is one that the app's packages import late, at a request."""
    package = name.split(".")[0]
    return name in app or (package in app and package not in sys.stdlib_module_names)


def _program(folder: Path, name: str, modules: Sequence[str]) -> Sequence[str]:
    lines = [f"import {module}\n" for module in ("main", *modules)]
    (folder / f"{name}.py").write_text("".join(lines), encoding="utf-8")
    # As in `serve` nobody looks for garbage, and what the end of an interpreter takes is no import.
    program = f"import gc, os; gc.disable(); import {name}; os._exit(0)"
    return (sys.executable, "-c", program)


def _cpu_ms(commands: Mapping[str, Sequence[str]], folder: Path) -> dict[str, tuple[float, ...]]:
    cpu_ms: dict[str, list[float]] = {name: [] for name in commands}
    for number in range(ROUNDS + 1):
        # There and back again, so that nobody always comes after the same other.
        for name in commands if number % 2 == 0 else reversed(list(commands)):
            cpu_ms[name].append(cost(commands[name], folder).cpu_s * 1000)
    # The first round wrote the .pyc files.
    return {name: tuple(values[1:]) for name, values in cpu_ms.items()}


def _row(name: str, cpu_ms: Mapping[str, tuple[float, ...]]) -> Row:
    comparisons: tuple[Comparison, ...] = ()
    if name != _APP:
        pairs = zip(cpu_ms[name], cpu_ms[_APP], strict=True)
        beyond = tuple(ours - app for ours, app in pairs)
        bar = _BAR if name == _ALL else None
        comparisons = (Comparison("less the app", "ms", beyond, bar),)
    return Row(name, "ms", cpu_ms[name], comparisons=comparisons)
