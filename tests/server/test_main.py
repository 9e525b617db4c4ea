import json
import os
import signal
import socket
import subprocess
import sys
from pathlib import Path

import httpx
import pytest

import ambidex
from tests.server.serving import AS_PID_1, HERE, SERVE, running, serving

SLOW_IMPORT = """
import time
print("importing", flush=True)
try:
    time.sleep(3600)
except BaseException:
    time.sleep(3600)
"""

SLOW_STARTUP = """
import asyncio
async def app(scope, receive, send):
    await receive()
    print("starting", flush=True)
    await asyncio.sleep(3600)
"""

RAISES_IN_IMPORT = """
def connect():
    raise RuntimeError("no database")
connect()
"""

RAISES_IN_FACTORY = """
def make():
    raise RuntimeError("no database")
"""

RAISES_IN_STARTUP = """
async def app(scope, receive, send):
    await receive()
    raise RuntimeError("no database")
"""

SAYS_THAT_STARTUP_FAILED = """
async def app(scope, receive, send):
    await receive()
    await send({"type": "lifespan.startup.failed", "message": "no database at 10.0.0.7"})
"""

FASTAPI_STARTUP = """
from contextlib import asynccontextmanager
from fastapi import FastAPI

@asynccontextmanager
async def lifespan(app):
    raise RuntimeError("no database\\nat 10.0.0.7")
    yield

app = FastAPI(lifespan=lifespan)
"""

GROUP_IN_STARTUP = """
import asyncio
from contextlib import asynccontextmanager
from fastapi import FastAPI

async def connect():
    raise RuntimeError("no database")

@asynccontextmanager
async def lifespan(app):
    async with asyncio.TaskGroup() as group:
        group.create_task(connect())
    yield

app = FastAPI(lifespan=lifespan)
"""

WSGI = "def app(environ, start_response): pass"


def as_pid_1_works() -> bool:
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    try:
        return subprocess.run([*AS_PID_1, "true"], check=False, capture_output=True).returncode == 0
    except FileNotFoundError:
        return False


PID_1 = pytest.param(
    AS_PID_1,
    id="PID 1",
    marks=pytest.mark.skipif(not as_pid_1_works(), reason="needs root on Linux and `unshare`"),
)
ANY_PID = pytest.param((), id="any PID")


@pytest.mark.parametrize("prefix", [ANY_PID, PID_1])
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_stop_is_no_failure(prefix: tuple[str, ...], number: signal.Signals) -> None:
    with running((*prefix, *SERVE, "probe:app"), AMBIDEX_ECS_DRAIN="0") as served:
        assert served.port
        served.signal(number)
        assert served.status() == 0
        assert served.out == ["lifespan startup", "lifespan shutdown", "lifespan end"]


@pytest.mark.parametrize("prefix", [ANY_PID, PID_1])
@pytest.mark.parametrize(
    ("source", "line"),
    [
        pytest.param(SLOW_IMPORT, "importing", id="import"),
        pytest.param(SLOW_STARTUP, "starting", id="startup"),
    ],
)
def test_sigterm_before_anything_is_served_ends_at_once(
    prefix: tuple[str, ...], source: str, line: str, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(source)
    with running((*prefix, *SERVE, "main:app"), tmp_path) as served:
        served.line(line)
        served.signal(signal.SIGTERM)
        assert served.status() == 128 + signal.SIGTERM
        assert served.err == []


def test_the_app_can_come_from_the_environment() -> None:
    with running(SERVE, AMBIDEX_APP="probe:app") as served:
        assert httpx.get(served.url).text == "ok"


def test_the_argument_wins_over_the_environment() -> None:
    with running((*SERVE, "probe:app"), AMBIDEX_APP="nowhere:app") as served:
        assert httpx.get(served.url).text == "ok"


@pytest.mark.parametrize(
    ("app", "source", "variables", "error"),
    [
        pytest.param("", "", {}, "no app is named", id="no app"),
        pytest.param("nowhere:app", "", {}, "there is no module 'nowhere' in ", id="no module"),
        pytest.param(
            "main:app", "ap = 1", {}, "there is no 'app' in module 'main'", id="no attribute"
        ),
        pytest.param(
            "main:app",
            WSGI,
            {},
            "main:app is not an ASGI app: it takes two arguments, as a WSGI app does, ",
            id="WSGI",
        ),
        pytest.param(
            "main:app",
            RAISES_IN_IMPORT,
            {},
            "importing main failed: RuntimeError: no database",
            id="raises in its import",
        ),
        pytest.param(
            "main:app", "def", {}, "importing main failed: SyntaxError: ", id="syntax error"
        ),
        pytest.param(
            "main:make()",
            RAISES_IN_FACTORY,
            {},
            "calling main:make() failed: RuntimeError: no database",
            id="raises in its factory",
        ),
        pytest.param(
            "main:app",
            RAISES_IN_STARTUP,
            {},
            "the app's startup failed: RuntimeError: no database",
            id="raises in its startup",
        ),
        pytest.param(
            "main:app",
            SAYS_THAT_STARTUP_FAILED,
            {},
            "the app's startup failed: no database at 10.0.0.7",
            id="says that its startup failed",
        ),
        pytest.param(
            "main:app",
            FASTAPI_STARTUP,
            {},
            "the app's startup failed: RuntimeError: no database",
            id="FastAPI, raises in its lifespan",
        ),
        pytest.param(
            "main:app",
            GROUP_IN_STARTUP,
            {},
            "the app's startup failed: ExceptionGroup: unhandled errors in a TaskGroup",
            id="FastAPI, raises an exception group",
        ),
        pytest.param(
            "main:app",
            "",
            {"AMBIDEX_ECS_DRIAN": "1"},
            "there is no setting AMBIDEX_ECS_DRIAN",
            id="unknown setting",
        ),
        pytest.param(
            "main:app",
            "",
            {"AMBIDEX_ECS_PORT": "http"},
            "[tool.ambidex.ecs] port = 'http' must be a whole number",
            id="bad setting",
        ),
        pytest.param(
            "main:app",
            "async def app(scope, receive, send): raise NotImplementedError",
            {"AMBIDEX_ECS_HOST": "192.0.2.1"},
            "cannot listen on 192.0.2.1:0: ",
            id="address of another machine",
        ),
    ],
)
def test_what_keeps_it_from_starting_is_one_sentence(
    app: str, source: str, variables: dict[str, str], error: str, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(source)
    command = (*SERVE, app) if app else SERVE
    with running(command, tmp_path, **variables) as served:
        assert served.status() == 3
        errors = [line for line in served.err if line.startswith("error: ")]
        assert len(errors) == 1
        assert errors[0].startswith(f"error: {error}")
        assert served.err.index(errors[0]) >= len(served.err) - 2
        assert served.err[-1].startswith(("error: ", "hint: "))
        frames = [line for line in served.err if line.startswith('  File "')]
        package = str(Path(ambidex.__file__).parent)
        ours = [f for f in frames if package in f or "importlib" in f or "/uvicorn/" in f]
        assert ours == []


@pytest.mark.parametrize(
    ("source", "variables", "message", "kind"),
    [
        pytest.param(
            "", {"AMBIDEX_ECS_PORT": "http"}, "[tool.ambidex.ecs] port = 'http' must be", None,
            id="bad setting",
        ),
        pytest.param("", {}, "there is no 'app' in module 'main'", None, id="no app"),
        pytest.param(
            RAISES_IN_IMPORT, {}, "importing main failed: RuntimeError: no database",
            "RuntimeError", id="raises in its import",
        ),
        pytest.param(
            RAISES_IN_STARTUP, {}, "the app's startup failed: RuntimeError: no database",
            "RuntimeError", id="raises in its startup",
        ),
    ],
)  # fmt: skip
def test_in_json_what_keeps_it_from_starting_is_one_record(
    source: str, variables: dict[str, str], message: str, kind: str | None, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(source)
    with serving("main:app", tmp_path, AWS_LAMBDA_LOG_FORMAT="JSON", **variables) as served:
        assert served.status() == 3
    (record,) = map(json.loads, served.err)
    assert record["level"] == "ERROR"
    assert record["message"].startswith(message)
    assert record.get("errorType") == kind


@pytest.mark.parametrize(
    ("app", "source", "line"),
    [
        pytest.param("main:app", RAISES_IN_IMPORT, "connect()", id="import"),
        pytest.param("main:make()", RAISES_IN_FACTORY, "make", id="factory"),
        pytest.param("main:app", RAISES_IN_STARTUP, "in app", id="startup"),
        pytest.param("main:app", FASTAPI_STARTUP, "in lifespan", id="FastAPI's lifespan"),
        pytest.param("main:app", GROUP_IN_STARTUP, "in connect", id="exception group"),
    ],
)
def test_what_the_app_raised_is_shown_with_its_own_frames(
    app: str, source: str, line: str, tmp_path: Path
) -> None:
    (tmp_path / "main.py").write_text(source)
    with serving(app, tmp_path) as served:
        assert served.status() == 3
        frames = [text for text in served.err if f'{tmp_path}/main.py"' in text]
        assert any(line in text for text in [*frames, *served.err[served.err.index(frames[0]) :]])


def test_a_hint_follows_the_error() -> None:
    with serving("prob:app") as served:
        assert served.status() == 3
        assert served.err[-1] == "hint: did you mean 'probe'?"


def test_a_port_that_is_taken_is_told_before_the_app_starts() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        with serving(AMBIDEX_ECS_PORT=port) as served:
            assert served.status() == 3
            assert served.out == []
            assert served.err == [
                f"error: cannot listen on 127.0.0.1:{port}: address already in use",
                "hint: stop what listens there, or set AMBIDEX_ECS_PORT; 0 is any free port",
            ]


def test_an_app_without_a_lifespan_is_served(tmp_path: Path) -> None:
    (tmp_path / "main.py").write_text(
        "from tests.server.probe import ok\n"
        "async def app(scope, receive, send):\n"
        "    assert scope['type'] == 'http'\n"
        "    await ok(scope, send)\n"
    )
    with serving("main:app", tmp_path, AMBIDEX_ECS_DRAIN="0") as served:
        assert httpx.get(served.url).text == "ok"
        assert served.status_within(30) == 0


WITHOUT_UVICORN = """
import os, sys
sys.modules["uvicorn"] = None  # an import raises ModuleNotFoundError, as when it is not installed
from ambidex.cli import run
sys.exit(run(["serve", "probe:app"]))
"""


def test_an_image_without_uvicorn_is_told_what_to_install() -> None:
    with running((sys.executable, "-c", WITHOUT_UVICORN)) as served:
        assert served.status() == 3
        assert served.err == [
            "error: uvicorn is not installed",
            "hint: install ambidex with its extra `image`",
        ]


LOADED = """
import os, sys
from ambidex.server.main import serve
early = set(sys.modules)
status = serve("probe:app", os.environ)
print("early", *sorted(early & {"asyncio", "uvicorn", "ambidex.server.life"}), flush=True)
print("rooms", *sorted({n.split(".")[1] for n in sys.modules if n.startswith("ambidex.")}))
sys.exit(status)
"""


def test_only_what_the_image_needs_is_imported() -> None:
    with running((sys.executable, "-c", LOADED), HERE, AMBIDEX_ECS_DRAIN="0") as served:
        assert httpx.get(served.url).text == "ok"
        assert served.status_within(30) == 0
        assert served.line("rooms") == "rooms asgi errors log server settings"


def test_nothing_slow_is_imported_before_the_signal_handlers_are_there() -> None:
    with running((sys.executable, "-c", LOADED), HERE, AMBIDEX_ECS_DRAIN="0") as served:
        assert served.port
        assert served.status_within(30) == 0
        assert served.line("early") == "early"
