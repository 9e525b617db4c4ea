"""The runtime's way through SnapStart's snapshot, as AWS documents it: a scripted Runtime API."""

import asyncio
import json
import os
import sys
from pathlib import Path
from subprocess import run
from textwrap import dedent
from typing import Any, NamedTuple, cast

import pytest

from ambidex.local import runtime_api_server
from ambidex.local.http1.exchange import ServerExchange
from tests.runtime.test_loop import event

# Each ping shows among the calls, at its time.
APP = """
import asyncio, os, urllib.request

def ping(name):
    url = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/{name}"
    urllib.request.urlopen(url).read()

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        await startup()
        ping("startup")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return
    body = await answer()
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": body.encode()})

async def startup():
    pass

async def answer():
    return ""
"""


class Api:
    """A Runtime API that has one event, and then is in a bad state."""

    def __init__(self, restore_status: int = 200) -> None:
        self.restore_status = restore_status
        self.events = [event()]
        self.calls: list[str] = []
        self.bodies: dict[str, bytes] = {}
        self.error_types: dict[str, str] = {}

    async def __call__(self, exchange: ServerExchange) -> None:
        body = await exchange.read_body()
        call = exchange.head.target.decode().removeprefix("/2018-06-01/runtime/")
        headers = {name.lower(): value.decode() for name, value in exchange.head.headers}
        self.calls.append(call)
        self.bodies[call] = body
        self.error_types[call] = headers.get(b"lambda-runtime-function-error-type", "")
        if exchange.head.method == "POST":
            exchange.respond(202, (), b'{"status":"OK"}')
        elif call == "restore/next":
            exchange.respond(self.restore_status, (), b"")
        elif call != "invocation/next":
            exchange.respond(200, (), b"pong")
        elif self.events:
            exchange.respond(200, ((b"Lambda-Runtime-Aws-Request-Id", b"r"),), self.events.pop())
        else:
            exchange.respond(500, (), b"bad state")


class Ended(NamedTuple):
    """A process of `ambidex serve` that has come to its end."""

    status: int
    log: str


async def served(folder: Path, app: str, address: str, **environ: str) -> Ended:
    (folder / "main.py").write_text(dedent(APP) + dedent(app))
    variables = {
        "PATH": os.environ["PATH"],
        "AWS_LAMBDA_RUNTIME_API": address,
        "AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start",
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "ambidex", "serve", "main:app"),
        cwd=folder,
        env=variables | environ,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await process.communicate()
    assert process.returncode is not None
    return Ended(process.returncode, output.decode())


def serve(folder: Path, app: str, api: Api, **environ: str) -> Ended:
    """Serve an app until the script is in a bad state, or something fails."""

    async def main() -> Ended:
        server = await runtime_api_server.listen(api)
        ended = await served(folder, app, f"127.0.0.1:{server.port}", **environ)
        server.abort()
        await server.closed()
        return ended

    return asyncio.run(main())


INVOCATION = ["invocation/next", "invocation/r/response", "invocation/next"]

HOOKS = """
import ambidex
from functools import partial
from snapshot_restore_py import register_after_restore, register_before_snapshot

ambidex.before_snapshot(partial(ping, "own-before-1"))
register_before_snapshot(ping, "aws-before-1")
register_after_restore(ping, name="aws-after-1")
ambidex.after_restore(partial(ping, "own-after-1"))

@ambidex.before_snapshot
async def own_before_2():
    ping("own-before-2")

@register_before_snapshot
def aws_before_2():
    ping("aws-before-2")

@register_after_restore
async def aws_after_2():
    ping("aws-after-2")

@ambidex.after_restore
def own_after_2():
    ping("own-after-2")

handler = ambidex.Handler(app)  # another form of the image uses it, and here it must do nothing
"""


def test_the_hooks_of_both_packages_run_around_the_snapshot_in_their_order(tmp_path: Path) -> None:
    api = Api()
    serve(tmp_path, HOOKS, api)
    assert api.calls == [
        "startup",
        "own-before-2",
        "own-before-1",
        "aws-before-2",
        "aws-before-1",
        "restore/next",
        "aws-after-1",
        "aws-after-2",
        "own-after-1",
        "own-after-2",
        *INVOCATION,
    ]


def test_with_the_lifespan_of_a_restore_the_app_starts_when_all_hooks_have_run(
    tmp_path: Path,
) -> None:
    api = Api()
    serve(tmp_path, HOOKS, api, AMBIDEX_LAMBDA_LIFESPAN="restore")
    assert api.calls[api.calls.index("restore/next") :] == [
        "restore/next",
        "aws-after-1",
        "aws-after-2",
        "own-after-1",
        "own-after-2",
        "startup",
        *INVOCATION,
    ]


def test_a_hook_may_be_registered_by_the_startup_before_the_snapshot(tmp_path: Path) -> None:
    app = """
    import ambidex
    from functools import partial

    async def startup():
        ambidex.before_snapshot(partial(ping, "before"))
        ambidex.after_restore(partial(ping, "after"))
    """
    api = Api()
    serve(tmp_path, app, api)
    assert api.calls == ["startup", "before", "restore/next", "after", *INVOCATION]


def test_async_hooks_run_on_the_event_loop_of_the_app(tmp_path: Path) -> None:
    app = """
    import ambidex
    loops = []

    @ambidex.before_snapshot
    @ambidex.after_restore
    async def hook():
        await asyncio.sleep(0)
        loops.append(asyncio.get_running_loop())

    async def answer():
        return str([each is asyncio.get_running_loop() for each in loops])
    """
    api = Api()
    serve(tmp_path, app, api)
    assert json.loads(api.bodies["invocation/r/response"])["body"] == "[True, True]"


@pytest.mark.parametrize(
    "kind", ["on-demand", "provisioned-concurrency", "lambda-managed-instances"]
)
def test_without_snapstart_no_hook_is_called_and_no_snapshot_asked_for(
    tmp_path: Path, kind: str
) -> None:
    api = Api()
    serve(tmp_path, HOOKS, api, AWS_LAMBDA_INITIALIZATION_TYPE=kind)
    assert [call for call in api.calls if "extension" not in call] == ["startup", *INVOCATION]


FAILING = [
    pytest.param("ambidex.{name}(fail)", "the hook fail", id="a function"),
    pytest.param("ambidex.{name}(fail_late)", "the hook fail_late", id="an async function"),
    pytest.param("snapshot_restore_py.register_{name}(fail)", "the hook fail", id="AWS's package"),
]
FAIL = """
import ambidex, snapshot_restore_py

def fail():
    raise ValueError("no pool")

async def fail_late():
    await asyncio.sleep(0)
    fail()
"""


@pytest.mark.parametrize(("registers", "hook"), FAILING)
def test_a_hook_that_fails_before_the_snapshot_is_an_error_of_the_init_and_the_process_exits(
    tmp_path: Path, registers: str, hook: str
) -> None:
    api = Api()
    ended = serve(tmp_path, FAIL + registers.format(name="before_snapshot"), api)
    assert (api.calls, ended.status) == (["startup", "init/error"], 64)
    assert api.error_types["init/error"] == "Runtime.BeforeSnapshotError"
    document = json.loads(api.bodies["init/error"])
    assert document["errorType"] == "Runtime.BeforeSnapshotError"
    assert document["errorMessage"] == f"{hook} before the snapshot failed: ValueError: no pool"
    assert "in fail" in document["stackTrace"][-1]
    assert "ValueError: no pool" in ended.log


@pytest.mark.parametrize(("registers", "hook"), FAILING)
def test_a_hook_that_fails_after_the_restore_is_an_error_of_the_restore_and_the_process_exits(
    tmp_path: Path, registers: str, hook: str
) -> None:
    api = Api()
    ended = serve(tmp_path, FAIL + registers.format(name="after_restore"), api)
    assert (api.calls, ended.status) == (["startup", "restore/next", "restore/error"], 65)
    assert api.error_types["restore/error"] == "Runtime.AfterRestoreError"
    document = json.loads(api.bodies["restore/error"])
    assert document["errorMessage"] == f"{hook} after the restore failed: ValueError: no pool"
    assert "in fail" in document["stackTrace"][-1]


STARTUP_FAILS = """
async def startup():
    raise ValueError("no database")
"""


@pytest.mark.parametrize(
    ("lifespan", "calls", "status"),
    [
        pytest.param("snapshot", ["init/error"], 1, id="before the snapshot"),
        pytest.param("restore", ["restore/next", "restore/error"], 65, id="after the restore"),
    ],
)
def test_a_startup_that_fails_is_an_error_of_its_phase(
    tmp_path: Path, lifespan: str, calls: list[str], status: int
) -> None:
    api = Api()
    ended = serve(tmp_path, STARTUP_FAILS, api, AMBIDEX_LAMBDA_LIFESPAN=lifespan)
    assert (api.calls, ended.status) == (calls, status)
    assert api.error_types[calls[-1]] == "Runtime.StartupFailed"
    document = json.loads(api.bodies[calls[-1]])
    assert document["errorMessage"] == "the app's startup failed: ValueError: no database"
    assert "in startup" in document["stackTrace"][-1]


WITHOUT_LIFESPAN = """
inner = app

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await inner(scope, receive, send)
"""


@pytest.mark.parametrize(
    ("status", "line"),
    [
        pytest.param(403, "the Runtime API answered restore/next with status 403", id="too late"),
        pytest.param(500, "the Runtime API answered restore/next with status 500", id="bad state"),
    ],
)
def test_a_runtime_api_that_refuses_the_snapshot_ends_the_process_with_one_line(
    tmp_path: Path, status: int, line: str
) -> None:
    api = Api(status)
    ended = serve(tmp_path, HOOKS + WITHOUT_LIFESPAN, api)
    assert ended.status == 1
    assert api.calls[-1] == "restore/next"
    assert line in ended.log
    assert len(ended.log.splitlines()) == 1


def test_where_there_is_no_snapshot_the_app_goes_on_and_its_hooks_run_all_the_same(
    tmp_path: Path,
) -> None:
    api = Api(404)
    ended = serve(tmp_path, HOOKS, api)
    assert api.calls[5:] == [
        "restore/next", "aws-after-1", "aws-after-2", "own-after-1", "own-after-2", *INVOCATION
    ]  # fmt: skip
    assert "there is no snapshot" in ended.log.splitlines()[0]


@pytest.mark.parametrize("is_closed", [True, False], ids=["closed by the peer", "still open"])
def test_the_first_event_comes_on_a_connection_made_after_the_restore(
    tmp_path: Path, is_closed: bool
) -> None:
    connections: list[list[bytes]] = []

    class Closing(asyncio.Protocol):
        """May close the connection of restore/next with its answer, without saying so there."""

        def connection_made(self, transport: asyncio.BaseTransport) -> None:
            self.transport = cast("asyncio.Transport", transport)
            self.requests: list[bytes] = []
            connections.append(self.requests)

        def data_received(self, data: bytes) -> None:
            target = data.split(b" ", 2)[1].removeprefix(b"/2018-06-01/runtime/")
            self.requests.append(target)
            status, head, body = b"200 OK", b"", b""
            if data.startswith(b"POST"):
                status = b"202 Accepted"
            elif target == b"invocation/next":
                asked = sum(requests.count(target) for requests in connections)
                status = b"200 OK" if asked == 1 else b"500 No"
                head, body = b"Lambda-Runtime-Aws-Request-Id: r\r\n", event()
            length = b"Content-Length: %d\r\n\r\n" % len(body)
            self.transport.write(b"HTTP/1.1 %b\r\n%b%b%b" % (status, head, length, body))
            if target == b"restore/next" and is_closed:
                self.transport.close()

    async def main() -> None:
        server = await asyncio.get_running_loop().create_server(Closing, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        await served(tmp_path, "ping = print", f"127.0.0.1:{port}")
        server.close()

    asyncio.run(main())
    assert connections == [
        [b"restore/next"],
        [b"invocation/next", b"invocation/r/response", b"invocation/next"],
    ]


def test_what_a_stream_needs_is_imported_before_the_snapshot(tmp_path: Path) -> None:
    app = """
    import ambidex, json, sys
    seen = set()

    @ambidex.after_restore
    def look():
        seen.update(sys.modules)

    async def answer():
        return json.dumps(sorted(set(sys.modules) - seen))
    """
    api = Api()
    context = {"domainName": "x.lambda-url.eu-west-1.on.aws", "http": {"method": "GET"}}
    api.events = [event(requestContext=context)] * 2
    serve(tmp_path, app, api, AMBIDEX_LAMBDA_RESPONSE="stream")
    _, delimiter, body = api.bodies["invocation/r/response"].partition(bytes(8))
    assert (delimiter, json.loads(body)) == (bytes(8), [])


def test_a_handler_whose_hooks_nobody_calls_says_so(tmp_path: Path) -> None:
    code = """
import sys
sys.modules["snapshot_restore_py"] = None  # as if it were not installed
from ambidex import Handler

async def app(scope, receive, send): ...
Handler(app)
"""
    environ = os.environ | {"AWS_LAMBDA_INITIALIZATION_TYPE": "snap-start"}
    ran = run([sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True)
    assert ran.stderr.startswith("SnapStart: hooks are not called")


@pytest.mark.parametrize("value", [7, None, "hook"])
def test_what_is_no_function_is_no_hook(value: Any) -> None:
    import ambidex

    with pytest.raises(TypeError, match="needs a function without arguments, not"):
        ambidex.before_snapshot(value)
    with pytest.raises(TypeError, match="needs a function without arguments, not"):
        ambidex.after_restore(value)
