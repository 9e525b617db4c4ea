"""The Runtime API's other end, as a runtime that keeps to no rule finds it."""

import asyncio
import json
from itertools import product
from pathlib import Path

import pytest

from ambidex.local.runtime_api import TRANSITIONS, Call, State, parse_call
from tests.project import lambda_service, project

# Makes the calls that its event lists, and prints what each is answered.
RUNTIME = """
import json, os, urllib.error, urllib.request

base = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01"

def call(method, path, headers={}, body=None):
    data = body.encode() if body is not None else (b"" if method == "POST" else None)
    request = urllib.request.Request(base + path, data, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, dict(answer.headers), answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, dict(error.headers), error.read()

while True:
    _, headers, event = call("GET", "/runtime/invocation/next")
    request_id = headers["Lambda-Runtime-Aws-Request-Id"]
    for method, path, more, body in json.loads(event):
        more = {k: v.replace("INVOCATION", headers["Lambda-Runtime-Invocation-Id"])
                for k, v in more.items()}
        status, _, answer = call(method, path.replace("ID", request_id), more, body)
        print(status, answer.decode().strip(), flush=True)
"""

RESULT = "/runtime/invocation/ID/response"
ATTEMPT = {"Lambda-Runtime-Invocation-Id": "INVOCATION"}


@pytest.mark.parametrize(
    ("calls", "answers"),
    [
        pytest.param([("POST", RESULT, {}, "{}")], ['202 {"status":"OK"}'], id="a result"),
        pytest.param([("POST", RESULT, ATTEMPT, "{}")], ["202"], id="a result of this attempt"),
        pytest.param(
            [("POST", RESULT, {"Lambda-Runtime-Invocation-Id": "another"}, "{}"),
             ("POST", RESULT, {}, "{}")],
            ["400 .*InvalidInvocationId", "202"], id="a result of another attempt",
        ),
        pytest.param(
            [("POST", "/runtime/invocation/other/response", {}, "{}"), ("POST", RESULT, {}, "{}")],
            ["400 .*InvalidRequestID", "202"], id="a result for another event",
        ),
        pytest.param(
            [("POST", RESULT, {}, "{}"), ("POST", RESULT, {}, "{}")],
            ["202", "403 .*InvalidStateTransition"], id="a second result",
        ),
        pytest.param(
            [("POST", "/runtime/init/error", {}, "{}"), ("POST", RESULT, {}, "{}")],
            ["403 .*InvalidStateTransition", "202"], id="an init error after the init",
        ),
        pytest.param(
            [("GET", "/runtime/invocation/next", {}, None), ("POST", RESULT, {}, "{}")],
            ["200 ", "202"], id="the same event once more",
        ),
        pytest.param(
            [("POST", "/runtime/invocation/ID/error", {}, '{"errorMessage": "no"}')],
            ["202"], id="an error",
        ),
        pytest.param(
            [("GET", "/ping", {}, None), ("POST", RESULT, {}, "{}")], ["200 pong", "202"], id="ping"
        ),
        pytest.param(
            [("GET", "/runtime/nothing", {}, None), ("POST", RESULT, {}, "{}")],
            ["404 .*NotFound", "202"], id="no such call",
        ),
        pytest.param(
            [("GET", "/runtime/restore/next", {}, None), ("POST", RESULT, {}, "{}")],
            ["404", "202"], id="SnapStart is not on",
        ),
    ],
)  # fmt: skip
def test_each_call_is_answered_as_lambda_answers_it(
    tmp_path: Path, calls: list[tuple[str, str, dict[str, str], str | None]], answers: list[str]
) -> None:
    import re

    (tmp_path / "runtime.py").write_text(RUNTIME)
    settings = project(tmp_path, "app = 1")

    async def main() -> None:
        async with lambda_service(tmp_path, settings, command=("python", "runtime.py")) as running:
            invocation = running.service.invoke(json.dumps(calls).encode())
            await invocation.outcome
            await invocation.finished
            printed = [line for line in running.log if line[:1].isdigit()]
            assert len(printed) == len(answers)
            for line, answer in zip(printed, answers, strict=True):
                assert re.match(answer, line), line

    asyncio.run(main())


def test_a_result_beyond_6_mb_is_refused_and_the_caller_told(tmp_path: Path) -> None:
    (tmp_path / "runtime.py").write_text(RUNTIME.replace("json.loads(event)", "CALLS") + "\n")
    source = (tmp_path / "runtime.py").read_text()
    calls = f'CALLS = [("POST", "{RESULT}", {{}}, "x" * (6 * 1024 * 1024 + 101))]\n'
    (tmp_path / "runtime.py").write_text(calls + source)
    settings = project(tmp_path, "app = 1")

    async def main() -> None:
        async with lambda_service(tmp_path, settings, command=("python", "runtime.py")) as running:
            outcome = await running.service.invoke(b"{}").outcome
            assert outcome.error_type == "Function.ResponseSizeTooLarge"
            assert "6291556 bytes" in outcome.payload.decode()
            assert "413" in await running.logged("RequestEntityTooLarge")

    asyncio.run(main())


@pytest.mark.parametrize(("state", "call"), list(product(State, Call)))
def test_the_table_leads_every_call_to_a_state_or_to_a_refusal(state: State, call: Call) -> None:
    allowed = {
        Call.NEXT: {State.INIT, State.READY, State.RUNNING, State.ANSWERED, State.RESTORING},
        Call.RESULT: {State.RUNNING},
        Call.ERROR: {State.RUNNING},
        Call.INIT_ERROR: {State.INIT, State.RESTORING},
        Call.RESTORE_NEXT: {State.INIT},
        Call.RESTORE_ERROR: {State.RESTORING},
        Call.PING: set[State](),  # answered in any state, and changes none
    }
    assert ((state, call) in TRANSITIONS) == (state in allowed[call])


@pytest.mark.parametrize(
    ("method", "target", "call"),
    [
        ("GET", b"/2018-06-01/runtime/invocation/next", (Call.NEXT, "")),
        ("GET", b"/2018-06-01/ping", (Call.PING, "")),
        ("POST", b"/2018-06-01/runtime/invocation/a-1/response", (Call.RESULT, "a-1")),
        ("POST", b"/2018-06-01/runtime/invocation/a-1/error", (Call.ERROR, "a-1")),
        ("POST", b"/2018-06-01/runtime/init/error", (Call.INIT_ERROR, "")),
        ("GET", b"/2018-06-01/runtime/restore/next", (Call.RESTORE_NEXT, "")),
        ("POST", b"/2018-06-01/runtime/restore/error", (Call.RESTORE_ERROR, "")),
        ("POST", b"/2018-06-01/runtime/restore/next", None),
        ("POST", b"/2018-06-01/runtime/invocation/next", None),
        ("GET", b"/2018-06-01/runtime/invocation/a-1/response", None),
        ("POST", b"/2018-06-01/runtime/invocation/a-1/other", None),
        ("DELETE", b"/2018-06-01/ping", None),
        ("GET", b"/", None),
    ],
)
def test_a_call_is_known_by_its_method_and_path(
    method: str, target: bytes, call: tuple[Call, str] | None
) -> None:
    assert parse_call(method, target) == call
