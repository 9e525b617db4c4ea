"""Who runs on Lambda: ambidex serve, what people have today, and the floor.

All run the same app, in an environment of the same variables, none of which changes what Python
does. AWS_EXECUTION_ENV is not set, as in an image on a base of one's own: where it names one of
AWS's Python runtimes awslambdaric asks for events in a thread, which costs it more.
"""

import compileall
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

from bench.program import BIN, HOST, ROOT, BenchError, free_port, shown, versions
from bench.project import EXAMPLE, remove_handler
from bench.result import Contestant

AMBIDEX = "ambidex serve"
MANGUM = "Mangum + awslambdaric"
ADAPTER = "Lambda Web Adapter + uvicorn"
FLOOR = "the floor"

MATH_SERVICE = EXAMPLE / "main.py"
APPS = ROOT / "bench" / "apps"

_PYTHON = sys.executable
_ADAPTER = ROOT / "build" / "lambda-web-adapter" / "bin" / "lambda-adapter"
ADAPTER_VERSION = "1.0.0-rc1"  # which `make lambda-web-adapter` installs
_FLOOR = ROOT / "bench" / "programs" / "floor.py"

_AMBIDEX = (str(BIN / "ambidex"), "serve", "main:app")
_MANGUM = (_PYTHON, "-m", "awslambdaric", "main.handler")
_UVICORN = (
    *(str(BIN / "uvicorn"), "main:app", "--host", HOST, "--port", "{port}"),
    *("--loop", "uvloop", "--http", "httptools", "--no-access-log"),
)
_MANGUM_LINES = "\n\nfrom mangum import Mangum\n\nhandler = Mangum(app)\n"

# What Lambda sets, beside the address of its Runtime API.
VARIABLES = {
    "AWS_DEFAULT_REGION": "eu-west-1",
    "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "1769",
    "AWS_LAMBDA_FUNCTION_NAME": "bench",
    "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
    "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
    "AWS_LAMBDA_LOG_GROUP_NAME": "/aws/lambda/bench",
    "AWS_LAMBDA_LOG_STREAM_NAME": "2026/11/25/[$LATEST]0123456789abcdef0123456789abcdef",
    "AWS_REGION": "eu-west-1",
}


class Program(NamedTuple):
    """How one of the contestants is started, in a folder of its own."""

    name: str
    commands: tuple[tuple[str, ...], ...]  # the last is the runtime, those before are extensions
    folder: Path
    variables: Mapping[str, str]


@contextmanager
def program(
    name: str,
    source: Path,
    variables: Mapping[str, str] | None = None,
    result: str = "",
) -> Iterator[Program]:
    """A contestant with an app, in a folder that lasts as long as the measurement.

    Args:
        name: one of the four.
        source: the app's module.
        variables: of its environment, besides Lambda's.
        result: what the floor answers, or what it streams, as its docstring has it.

    Raises:
        BenchError: the contestant is not there.
    """
    with TemporaryDirectory(prefix="ambidex-bench-") as temporary:
        folder = Path(temporary)
        main = folder / "main.py"
        shutil.copy(source, main)
        if source == MATH_SERVICE:
            remove_handler(folder)
        port = str(free_port())
        more = {"LAMBDA_TASK_ROOT": str(folder), "_HANDLER": "main.handler"}
        commands: tuple[tuple[str, ...], ...]
        if name == AMBIDEX:
            commands = (_AMBIDEX,)
        elif name == MANGUM:
            main.write_text(main.read_text("utf-8") + _MANGUM_LINES, encoding="utf-8")
            commands = (_MANGUM,)
        elif name == ADAPTER:
            if not _ADAPTER.exists():
                raise BenchError(f"{_ADAPTER.relative_to(ROOT)}: make lambda-web-adapter")
            commands = ((str(_ADAPTER),), tuple(each.format(port=port) for each in _UVICORN))
            more["AWS_LWA_PORT"] = port
        else:
            if not result.startswith("stream:"):
                (folder / "result").write_text(result, encoding="utf-8")
                result = str(folder / "result")
            commands = ((_PYTHON, str(_FLOOR), result),)
        compileall.compile_dir(folder, quiet=2)
        yield Program(name, commands, folder, VARIABLES | more | dict(variables or {}))


def described(
    names: Sequence[str], remarks: Mapping[str, str] | None = None
) -> tuple[Contestant, ...]:
    """What the table says of contestants.

    Raises:
        BenchError: one is another version than the one that is pinned.
    """
    remarks = remarks or {}
    python = platform.python_version()
    told: Mapping[str, Callable[[], tuple[str, str]]] = {
        AMBIDEX: lambda: (versions("uvloop", "orjson", "fastapi"), shown(_AMBIDEX)),
        MANGUM: lambda: (versions("mangum", "awslambdaric", "fastapi"), shown(_MANGUM)),
        ADAPTER: lambda: (
            f"lambda_web_adapter {ADAPTER_VERSION}, "
            + versions("uvicorn", "uvloop", "httptools", "fastapi"),
            f"{shown([str(_ADAPTER)])} & {shown(_UVICORN).replace('{port}', 'PORT')}",
        ),
        FLOOR: lambda: (f"Python {python}", f"{shown([_PYTHON, str(_FLOOR)])} RESULT"),
    }
    return tuple(Contestant(name, *told[name](), remarks.get(name, "")) for name in names)
