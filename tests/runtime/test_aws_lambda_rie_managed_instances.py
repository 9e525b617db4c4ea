"""`ambidex serve` on AWS's own emulator of Managed Instances.

It runs the runtime as user 993, as Lambda does, so it needs root, and it starts what is in
/var/task, so it gets a /var of its own. Capabilities that outlive the change of user stand in for
the permissions that an image's files have.
"""

import os
import platform
import shlex
import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import pytest

from ambidex.local.free_port import free_port
from tests.project import ROOT, project
from tests.runtime.test_loop import event
from tests.server.serving import SERVE, Served, running

_ARCHITECTURE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
RIE = ROOT / "build" / "aws-lambda-rie" / f"aws-lambda-rie-{_ARCHITECTURE}"
NAMESPACE = ("unshare", "--mount")

AS_ROOT = (
    "setpriv --inh-caps=+dac_override --ambient-caps=+dac_override --securebits=+no_setuid_fixup"
)


def namespaces_work() -> bool:
    if sys.platform != "linux" or os.geteuid() != 0:
        return False
    try:
        run = subprocess.run([*NAMESPACE, "true"], check=False, capture_output=True)
    except FileNotFoundError:
        return False
    return run.returncode == 0


pytestmark = [
    pytest.mark.skipif(not RIE.exists(), reason="no aws-lambda-rie: run `make aws-lambda-rie`"),
    pytest.mark.skipif(not namespaces_work(), reason="needs root on Linux and `unshare`"),
]


class Emulator:
    """The emulator, which has started the runtime."""

    def __init__(self, served: Served, port: int) -> None:
        self.served = served
        self._url = f"http://127.0.0.1:{port}/2015-03-31/functions/function/invocations"

    def has_been_asked(self, times: int) -> None:
        """Wait until the runtime has asked for an event so often: until then there is no room."""
        self.served.lines("Received Runtime /next", times)

    def invoke(self, path: str, request_id: str) -> httpx.Response:
        """Invoke the function with an HTTP API's event."""
        headers = {"X-Amzn-RequestId": request_id, "X-Amzn-Trace-Id": f"Root={request_id}"}
        return httpx.post(self._url, content=event(rawPath=path), headers=headers, timeout=60)

    def at_once(self, path: str, ids: list[str]) -> list[str]:
        """The bodies of as many answers, all asked for at the same time."""
        with ThreadPoolExecutor(len(ids)) as pool:
            answers = list(pool.map(lambda request_id: self.invoke(path, request_id), ids))
        return [answer.json()["body"] for answer in answers]


@contextmanager
def emulator(folder: Path, app: str, /, **variables: str) -> Iterator[Emulator]:
    project(folder, app)
    ports = {free_port(())}
    ports.add(free_port(ports))
    port, runtime_api = ports
    start = f"#!/bin/sh\ncd {shlex.quote(str(folder))} && exec {shlex.join(SERVE)} main:app\n"
    script = (
        "mount -t tmpfs tmpfs /var && mkdir /var/task && "
        f"printf %s {shlex.quote(start)} > /var/task/bootstrap && "
        f"chmod +x /var/task/bootstrap && exec {AS_ROOT} {shlex.quote(str(RIE))} "
        f"--log-level debug --runtime-interface-emulator-address 127.0.0.1:{port} "
        f"--runtime-api-address 127.0.0.1:{runtime_api}"
    )
    with running((*NAMESPACE, "sh", "-c", script), folder, **variables) as served:
        served.line("LocalProcessSupervisor.Exec")  # it listens by then
        yield Emulator(served, port)
        with suppress(ProcessLookupError):
            served.signal(signal.SIGTERM)  # it ends the runtime
        served.status()


# Nobody passes before as many have come as the path says, and all are in the body's process.
APP = """
import asyncio, os

barriers = {}


async def app(scope, receive, send):
    count = int(scope["path"][1:])
    await barriers.setdefault(count, asyncio.Barrier(count)).wait()
    request_id = scope["aws.context"].aws_request_id
    trace_id = os.environ["_X_AMZN_TRACE_ID"]
    text = f"{os.getpid()} {os.getuid()} {request_id} {trace_id.partition(';')[0]}"
    await answer(send, body=text.encode())
"""


def test_one_process_answers_sixteen_invocations_at_once(tmp_path: Path) -> None:
    with emulator(tmp_path, APP, AWS_LAMBDA_MAX_CONCURRENCY="16") as rie:
        for turn, asked in (("a", 16), ("b", 32)):
            rie.has_been_asked(asked)
            ids = [f"{turn}-{n}" for n in range(16)]
            answers = [text.split() for text in rie.at_once("/16", ids)]
            assert len({pid for pid, *_ in answers}) == 1
            assert [rest for _, *rest in answers] == [["993", i, f"Root={i}"] for i in ids]


def test_workers_share_the_sixteen(tmp_path: Path) -> None:
    variables = {"AWS_LAMBDA_MAX_CONCURRENCY": "16", "AMBIDEX_LAMBDA_WORKERS": "2"}
    with emulator(tmp_path, APP, **variables) as rie:
        rie.has_been_asked(16)
        answers = rie.at_once("/8", [f"r-{n}" for n in range(16)])
        assert sorted(Counter(text.split()[0] for text in answers).values()) == [8, 8]


LATE = """
import asyncio

timed_out = asyncio.Event()


async def app(scope, receive, send):
    if scope["path"] == "/slow":
        await timed_out.wait()
    else:
        timed_out.set()
    await answer(send, body=scope["aws.context"].aws_request_id.encode())
"""


def test_an_answer_after_its_time_out_is_refused_and_the_process_goes_on(tmp_path: Path) -> None:
    variables = {"AWS_LAMBDA_MAX_CONCURRENCY": "2", "AWS_LAMBDA_FUNCTION_TIMEOUT": "1"}
    with emulator(tmp_path, LATE, AMBIDEX_LAMBDA_DEADLINE_MARGIN="0", **variables) as rie:
        rie.has_been_asked(2)
        late = rie.invoke("/slow", "r-late")
        assert late.json()["errorType"] == "Sandbox.Timedout"
        assert rie.invoke("/", "r-2").json()["body"] == "r-2"
        line = rie.served.line("r-late (410)")
        assert "InvokeTimeout" in line
        rie.has_been_asked(4)
        assert rie.at_once("/", ["r-3", "r-4"]) == ["r-3", "r-4"]


WITH_A_LIFESPAN = """
import os
from contextlib import asynccontextmanager
from starlette.applications import Starlette


@asynccontextmanager
async def lifespan(app):
    yield
    print("shut down:", os.getpid())


app = Starlette(lifespan=lifespan)
"""


def test_the_end_of_an_environment_shuts_down_the_apps_of_all_workers(tmp_path: Path) -> None:
    variables = {"AWS_LAMBDA_MAX_CONCURRENCY": "4", "AMBIDEX_LAMBDA_WORKERS": "2"}
    with emulator(tmp_path, WITH_A_LIFESPAN, **variables) as rie:
        rie.has_been_asked(4)
        rie.served.signal(signal.SIGTERM)
        assert len(set(rie.served.lines("shut down:", 2))) == 2


def test_a_failed_init_is_the_emulators_error(tmp_path: Path) -> None:
    variables = {"AWS_LAMBDA_MAX_CONCURRENCY": "4", "AMBIDEX_LAMBDA_WORKERS": "2"}
    with emulator(tmp_path, "raise ValueError('no')", **variables) as rie:
        rie.served.line("Runtime.ImportModuleError")
        assert rie.served.status() == 1
