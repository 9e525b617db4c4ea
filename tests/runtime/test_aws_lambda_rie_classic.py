"""AWS's own emulator, aws-lambda-rie, as the host of `ambidex serve`."""

import json
import os
import platform
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.project import HOST, ROOT
from tests.soak.kinds import Kind, event_id, kinds
from tests.soak.runtime_api import Call

BIN = Path(sys.executable).parent
_ARCHITECTURE = {"aarch64": "arm64"}.get(platform.machine(), platform.machine())
RIE = ROOT / "build" / "aws-lambda-rie" / f"aws-lambda-rie-{_ARCHITECTURE}"
ROUNDS = 4

# Posts a result that is too large, then an error for the same event, and prints the statuses.
TOO_LARGE = """
import os, urllib.error, urllib.request

base = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
with urllib.request.urlopen(f"{base}/next") as answer:
    request_id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
for call, body in (("response", b'"' + b"x" * 7_000_000 + b'"'), ("error", b"{}")):
    try:
        urllib.request.urlopen(f"{base}/{request_id}/{call}", body)
    except urllib.error.HTTPError as error:
        print("STATUS", call, error.code, flush=True)
urllib.request.urlopen(f"{base}/next")
"""


def free_ports() -> list[int]:
    sockets = [socket.create_server((HOST, 0)) for _ in range(2)]
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


pytestmark = pytest.mark.skipif(
    not RIE.exists(), reason="no aws-lambda-rie: run `make aws-lambda-rie`"
)


@contextmanager
def hosted(command: Sequence[str], log: Path) -> Iterator[str]:
    """Run a command in the emulator; where to invoke it."""
    front, api = free_ports()
    arguments = [
        "--runtime-interface-emulator-address", f"{HOST}:{front}",
        "--runtime-api-address", f"{HOST}:{api}",
    ]  # fmt: skip
    environ = {"PATH": os.environ["PATH"], "AMBIDEX_LAMBDA_EVENTS_PATH": "/events"}
    with log.open("wb") as output:
        process = subprocess.Popen(
            [RIE, *arguments, *command],
            cwd=ROOT, env=environ, stdout=output, stderr=output, start_new_session=True,
        )  # fmt: skip
    try:
        yield f"http://{HOST}:{front}/2015-03-31/functions/function/invocations"
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def invoke(url: str, event: bytes) -> bytes:
    """The result of an invocation; the emulator may not listen yet at the first one."""
    while True:
        try:
            with urllib.request.urlopen(urllib.request.Request(url, event)) as answer:
                return bytes(answer.read())
        except urllib.error.URLError as error:
            if not isinstance(error.reason, ConnectionRefusedError):
                raise


def call(own_id: str, payload: bytes) -> Call:
    """What the runtime must have called for the emulator to answer with this."""
    value = json.loads(payload)
    kind = value.get("errorType") if isinstance(value, dict) else None
    path = f"invocation/{own_id}/{'error' if kind else 'response'}"
    headers = {"content-type": "application/json"}
    return Call(
        path, headers | ({"lambda-runtime-function-error-type": kind} if kind else {}), payload
    )


def carried() -> list[Kind]:
    """The kinds that need the event only: the emulator has no identity and 300 s for each."""
    return [kind for kind in kinds() if not kind.name.endswith((": context", ": hangs"))]


def test_the_emulator_gets_the_right_answer_to_each_of_hundreds_of_events(tmp_path: Path) -> None:
    log = tmp_path / "log"
    number = 0
    with hosted([str(BIN / "ambidex"), "serve", "tests.soak.app:app"], log) as url:
        for _ in range(ROUNDS):
            for kind in carried():
                number += 1
                own_id = event_id(number)
                payload = invoke(url, own_id.encode().join(kind.pieces))
                problem = kind.problem(own_id, call(own_id, payload))
                assert not problem, f"{kind.name}: {problem}; the log: {log.read_text()[-2000:]}"
    assert number >= 300
    # One environment all along.
    assert log.read_text().count("INIT START") == 1


def test_the_caller_of_a_result_that_is_refused_with_413_has_its_error_without_a_call_for_it(
    tmp_path: Path,
) -> None:
    log = tmp_path / "log"
    with hosted([sys.executable, "-c", TOO_LARGE], log) as url:
        error = json.loads(invoke(url, b"{}"))
        assert error["errorType"] == "Function.ResponseSizeTooLarge"
        while "STATUS error" not in log.read_text():
            assert "Traceback" not in log.read_text()
    assert "STATUS response 413" in log.read_text()
    assert "STATUS error 403" in log.read_text()
