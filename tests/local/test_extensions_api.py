"""The Extensions API, as extensions find it, and what they change in an environment's life."""

import asyncio
import json
import re
from itertools import product
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ambidex.local.extensions_api import (
    BASE,
    MOST_EXTENSIONS,
    TRANSITIONS,
    Call,
    Extensions,
    Metadata,
    State,
    parse_call,
)
from ambidex.local.lambda_service import InitError, Limits
from ambidex.local.runtime_api import ACCEPTED, Answer
from tests.local.test_lambda_service import only, process_state
from tests.project import Service, lambda_service, project

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from ambidex.http import Headers
    from ambidex.local.environment import Environment

# A runtime that answers with its event, and what an internal extension of it needs.
RUNTIME = """
import json, os, pathlib, signal, sys, threading, time, urllib.error, urllib.request

base = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}"

def call(method, path, headers={}, body=None):
    request = urllib.request.Request(base + path, body, headers, method=method)
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.headers, error.read()

def register(*events, name="inner"):
    body = json.dumps({"events": events}).encode()
    path = "/2020-01-01/extension/register"
    status, headers, answer = call("POST", path, {"Lambda-Extension-Name": name}, body)
    print("registered", status, answer.decode(), flush=True)
    return {"Lambda-Extension-Identifier": headers["Lambda-Extension-Identifier"] or ""}

def event(extension):
    return json.loads(call("GET", "/2020-01-01/extension/event/next", extension)[2])

def fail(extension, path):
    headers = extension | {"Lambda-Extension-Function-Error-Type": "Extension.Broken"}
    print(path, *call("POST", path, headers, b"{}")[::2], flush=True)

def wait_for(name):
    while not pathlib.Path(name).exists():
        time.sleep(0.01)

def beside(function, *arguments):
    threading.Thread(target=function, args=arguments, daemon=True).start()

def serve():
    while True:
        _, headers, body = call("GET", "/2018-06-01/runtime/invocation/next")
        path = f"/2018-06-01/runtime/invocation/{headers['Lambda-Runtime-Aws-Request-Id']}/response"
        call("POST", path, body=body)
"""


def run(
    folder: Path, test: "Callable[[Service], Awaitable[None]]", script: str, **options: Any
) -> list[str]:
    """Run a runtime that starts with a script, and a test with it; the log of all that."""
    (folder / "runtime.py").write_text(RUNTIME + script)
    settings = project(folder, "app = 1")

    log: list[str] = []

    async def main() -> None:
        nonlocal log
        command = ("python", "runtime.py")
        async with lambda_service(folder, settings, command=command, **options) as service:
            log = service.log
            await test(service)

    asyncio.run(main())
    return log


async def called(environment: "Environment", call: str) -> None:
    """Wait until the runtime has made a call."""
    while True:
        if call in environment.calls:
            return
        await asyncio.sleep(0.005)


WAITS = """
def extend(extension):
    print("took", json.dumps(event(extension)), flush=True)
    wait_for("go")
    event(extension)
beside(extend, register("INVOKE"))
serve()
"""


def test_the_invoke_phase_is_over_when_each_extension_that_takes_invoke_has_asked_again(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        environment = only(service)
        await process_state(environment.pid, "T")
        invocation = service.service.invoke(b'"here"')
        assert (await invocation.outcome).payload == b'"here"'
        await service.logged("took")
        assert not environment.is_ready
        assert not invocation.finished.done()
        assert not any("REPORT" in line for line in service.log)
        (tmp_path / "go").touch()
        await invocation.finished
        assert only(service).is_ready
        await process_state(environment.pid, "T")
        await service.logged("REPORT")

    run(tmp_path, test, WAITS)


def test_an_extension_is_told_of_the_invocation(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        (tmp_path / "go").touch()
        trace_id = "Root=1-5f35ae12-0c0fec141ab77a00bc047aa2"
        invocation = service.service.invoke(b"{}", trace_id=trace_id)
        event = json.loads((await service.logged("took")).removeprefix("took"))
        assert event.pop("deadlineMs") > 1_700_000_000_000
        assert event == {
            "eventType": "INVOKE",
            "requestId": invocation.request_id,
            "invokedFunctionArn": service.service.function.arn,
            "tracing": {"type": "X-Amzn-Trace-Id", "value": trace_id},
        }

    run(tmp_path, test, WAITS)


def test_an_environment_is_ready_when_its_extensions_have_asked_for_an_event_too(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        invocation = service.service.invoke(b"{}")
        await service.logged("asking")
        await called(only(service), "NEXT")
        assert not only(service).is_ready
        assert not any("START" in line for line in service.log)
        (tmp_path / "go").touch()
        await invocation.finished

    script = """
extension = register()
def extend():
    print("asking", flush=True)
    wait_for("go")
    event(extension)
beside(extend)
serve()
"""
    log = run(tmp_path, test, script, warm=False)
    order = [line.split()[0] for line in log if re.match("EXTENSION|START|END", line)]
    assert order == ["EXTENSION", "START", "END"]
    assert "EXTENSION\tName: inner\tState: Ready\tEvents: []" in log


def test_an_extension_that_takes_no_events_is_waited_for_at_the_init_only(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        for _ in range(3):
            await service.service.invoke(b"{}").finished
        assert not any("took" in line for line in service.log)

    run(tmp_path, test, WAITS.replace('"INVOKE"', ""))


# Blocked and waited for, so that it counts whenever it comes.
WAITS_FOR_SIGTERM = """
signal.pthread_sigmask(signal.SIG_BLOCK, {{signal.SIGTERM}})
{}
beside(serve)
print("ends by", signal.Signals(signal.sigwait({{signal.SIGTERM}})).name, flush=True)
"""


@pytest.mark.parametrize(
    ("script", "expected"),
    [
        pytest.param("beside(event, register())", ["ends by SIGTERM"], id="with an extension"),
        pytest.param("", [], id="without one"),
    ],
)
@pytest.mark.parametrize(
    "idle_s", [pytest.param(300, id="at the end"), pytest.param(0.4, id="idle")]
)
def test_where_an_extension_is_registered_an_environment_ends_by_sigterm(
    tmp_path: Path, script: str, expected: list[str], idle_s: float
) -> None:
    async def test(service: Service) -> None:
        if idle_s < 1:
            await only(service).ended

    log = run(tmp_path, test, WAITS_FOR_SIGTERM.format(script), limits=Limits(idle_s=idle_s))
    assert [line for line in log if line.startswith("ends")] == expected
    assert not any("REPORT" in line for line in log)


def test_what_does_not_end_by_sigterm_is_killed(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        environment = only(service)
        environment.stop()
        await environment.ended

    script = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nbeside(event, register())\nserve()\n"
    run(tmp_path, test, script)


BUSY_TO_THE_END = """
signal.signal(signal.SIGTERM, signal.SIG_IGN)
beside(event, register())
_, headers, body = call("GET", "/2018-06-01/runtime/invocation/next")
path = f"/2018-06-01/runtime/invocation/{headers['Lambda-Runtime-Aws-Request-Id']}/response"
call("POST", path, body=body)
wait_for("never")
"""


def test_a_request_that_waits_for_an_environment_starts_none_at_the_end(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        await service.service.invoke(b"1").outcome
        service.service.invoke(b"2")  # waits for a moment, and the end takes longer
        await service.service.close()
        assert not service.service.environments

    log = run(tmp_path, test, BUSY_TO_THE_END)
    assert sum(line.startswith("registered") for line in log) == 1


def test_an_environment_that_ends_takes_nobodys_place(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        only(service).stop()
        assert (await service.service.invoke(b"1").outcome).payload == b"1"

    script = "signal.signal(signal.SIGTERM, signal.SIG_IGN)\nbeside(event, register())\nserve()\n"
    run(tmp_path, test, script, concurrency=1)


def test_an_environment_that_is_told_to_end_twice_gets_one_sigterm(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        environment = only(service)
        environment.stop()
        await service.logged("SIGTERM")
        environment.stop()
        await environment.ended

    script = """
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
beside(event, register())
beside(serve)
while True:
    print(signal.Signals(signal.sigwait({signal.SIGTERM})).name, flush=True)
"""
    assert run(tmp_path, test, script).count("SIGTERM") == 1


def test_a_time_out_is_answered_at_once_and_the_environment_shuts_down(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        environment = only(service)
        outcome = await service.service.invoke(b"{}").outcome
        assert outcome.error_type == "Sandbox.Timedout"
        assert not environment.is_ready
        await service.logged("ends by SIGTERM")
        await environment.ended
        (report,) = [line for line in service.log if line.startswith("REPORT")]
        assert report.endswith("Status: timeout")

    script = WAITS_FOR_SIGTERM.format("beside(event, register())")
    script = script.replace("serve", 'call, "GET", "/2018-06-01/runtime/invocation/next"')
    run(tmp_path, test, script, timeout_s=1)


def test_an_extensions_error_names_the_end_of_its_environment(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        outcome = await service.service.invoke(b"{}").outcome
        assert outcome.error_type == "Extension.ExitError"
        assert "Runtime exited with error: exit status 3" in outcome.payload.decode()
        await service.logged("Status: error\tError Type: Extension.ExitError")

    script = """
def extend(extension):
    event(extension)
    fail(extension, "/2020-01-01/extension/exit/error")
    os._exit(3)
beside(extend, register("INVOKE"))
call("GET", "/2018-06-01/runtime/invocation/next")
time.sleep(600)
"""
    run(tmp_path, test, script)


def test_an_extensions_init_error_is_that_of_the_environment(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        with pytest.raises(InitError, match="Runtime exited with error: exit status 4"):
            await service.service.warm_up()

    script = """
fail(register(), "/2020-01-01/extension/init/error")
sys.exit(4)
"""
    log = run(tmp_path, test, script, warm=False)
    assert '/2020-01-01/extension/init/error 202 b\'{"status":"OK"}\\n\'' in log
    assert any(line.endswith("Error Type: Extension.InitError") for line in log)


def test_extensions_register_until_the_runtime_asks_for_its_first_event(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        await service.service.invoke(b"{}").outcome
        assert "Extension.RegistrationClosed" in await service.logged("registered 403")

    run(tmp_path, test, 'call("GET", "/2018-06-01/runtime/invocation/next")\nregister()\nserve()\n')


FUNCTION = Metadata("shop", "main.handler", "123456789012")
NAMED = ((b"Lambda-Extension-Name", b"inner"),)


def registered(extensions: Extensions, headers: "Headers" = NAMED, body: bytes = b"{}") -> Answer:
    answer = extensions.answer(Call.REGISTER, headers, body)
    assert isinstance(answer, Answer)
    return answer


@pytest.mark.parametrize(
    ("more", "body", "expected"),
    [
        pytest.param((), b"{}", {}, id="no events named"),
        pytest.param((), b'{"events": []}', {}, id="no events"),
        pytest.param((), b'{"events": null}', {}, id="null"),
        pytest.param((), b'{"events": ["INVOKE"]}', {}, id="INVOKE"),
        pytest.param(
            ((b"Lambda-Extension-Accept-Feature", b"other, accountId"),),
            b"{}",
            {"accountId": "123456789012"},
            id="with the account's id",
        ),
    ],
)
def test_a_registration_is_answered_with_the_function_and_an_identifier(
    more: "Headers", body: bytes, expected: dict[str, str]
) -> None:
    answer = registered(Extensions(FUNCTION), NAMED + more, body)
    assert answer.status == 200
    assert re.fullmatch(rb"[0-9a-f-]{36}", dict(answer.headers)[b"Lambda-Extension-Identifier"])
    assert json.loads(answer.body) == expected | {
        "functionName": "shop",
        "functionVersion": "$LATEST",
        "handler": "main.handler",
    }


@pytest.mark.parametrize(
    ("headers", "body", "kind"),
    [
        pytest.param((), b"{}", "Extension.InvalidExtensionName", id="no name"),
        pytest.param(NAMED, b"", "InvalidRequestFormat", id="no body"),
        pytest.param(NAMED, b"[]", "InvalidRequestFormat", id="no object"),
        pytest.param(NAMED, b'{"events": [1]}', "InvalidRequestFormat", id="no names of events"),
        pytest.param(
            NAMED, b'{"events": ["SHUTDOWN"]}', "Extension.InvalidEventType", id="SHUTDOWN"
        ),
        pytest.param(NAMED, b'{"events": ["invoke"]}', "Extension.InvalidEventType", id="unknown"),
        pytest.param(
            ((b"Lambda-Extension-Name", b"first"),),
            b"{}",
            "Extension.InvalidExtensionState",
            id="a name that is taken",
        ),
    ],
)
def test_a_registration_that_lambda_would_refuse_is_refused(
    headers: "Headers", body: bytes, kind: str
) -> None:
    extensions = Extensions(FUNCTION)
    registered(extensions, ((b"Lambda-Extension-Name", b"first"),))
    answer = registered(extensions, headers, body)
    assert (answer.status, json.loads(answer.body)["errorType"]) == (403, kind)
    assert len(extensions.registered) == 1


def test_the_first_error_is_the_one_that_names_the_end() -> None:
    extensions = Extensions(FUNCTION)
    calls = [Call.INIT_ERROR, Call.EXIT_ERROR]
    for call in calls:
        answer = registered(extensions, ((b"Lambda-Extension-Name", call.name.encode()),))
        identifier = dict(answer.headers)[b"Lambda-Extension-Identifier"]
        headers = (
            (b"Lambda-Extension-Identifier", identifier),
            (b"Lambda-Extension-Function-Error-Type", b"Extension.Broken"),
        )
        assert extensions.answer(call, headers, b"") == ACCEPTED
    assert extensions.error_type == "Extension.InitError"


def test_no_more_than_ten_extensions_register() -> None:
    extensions = Extensions(FUNCTION)
    answers = [
        registered(extensions, ((b"Lambda-Extension-Name", b"%d" % number),))
        for number in range(MOST_EXTENSIONS + 1)
    ]
    assert [answer.status for answer in answers] == [200] * 10 + [403]
    assert json.loads(answers[-1].body)["errorType"] == "Extension.TooManyExtensions"


@pytest.mark.parametrize("call", [Call.NEXT, Call.INIT_ERROR, Call.EXIT_ERROR])
@pytest.mark.parametrize(
    ("identifier", "kind"),
    [
        pytest.param(b"", "Extension.MissingExtensionIdentifier", id="none"),
        pytest.param(b"x", "Extension.InvalidExtensionIdentifier", id="no UUID"),
        pytest.param(
            b"00000000-0000-4000-8000-000000000000",
            "Extension.UnknownExtensionIdentifier",
            id="unknown",
        ),
    ],
)
def test_a_call_of_nobody_is_refused(call: Call, identifier: bytes, kind: str) -> None:
    answer = Extensions(FUNCTION).answer(call, ((b"Lambda-Extension-Identifier", identifier),), b"")
    assert isinstance(answer, Answer)
    assert (answer.status, json.loads(answer.body)["errorType"]) == (403, kind)


@pytest.mark.parametrize(
    ("calls", "kind"),
    [
        pytest.param([Call.INIT_ERROR, Call.INIT_ERROR], "", id="the same error twice"),
        pytest.param([Call.INIT_ERROR, Call.NEXT], "Extension.InvalidExtensionState", id="failed"),
        pytest.param([Call.EXIT_ERROR, Call.NEXT], "Extension.InvalidExtensionState", id="exited"),
    ],
)
def test_after_an_error_no_other_call_succeeds(calls: list[Call], kind: str) -> None:
    extensions = Extensions(FUNCTION)
    identifier = dict(registered(extensions).headers)[b"Lambda-Extension-Identifier"]
    headers = (
        (b"Lambda-Extension-Identifier", identifier),
        (b"Lambda-Extension-Function-Error-Type", b"Extension.Broken"),
    )
    answers = [extensions.answer(call, headers, b"") for call in calls]
    assert isinstance(answers[-1], Answer)
    assert json.loads(answers[-1].body).get("errorType", "") == kind


def test_an_error_without_its_type_is_refused() -> None:
    extensions = Extensions(FUNCTION)
    identifier = dict(registered(extensions).headers)[b"Lambda-Extension-Identifier"]
    answer = extensions.answer(
        Call.EXIT_ERROR, ((b"Lambda-Extension-Identifier", identifier),), b"{}"
    )
    assert isinstance(answer, Answer)
    assert json.loads(answer.body)["errorType"] == "Extension.MissingHeader"
    assert extensions.error_type == ""


@pytest.mark.parametrize(("state", "call"), list(product(State, Call)))
def test_the_table_leads_every_call_to_a_state_or_to_a_refusal(state: State, call: Call) -> None:
    allowed = {
        Call.REGISTER: {State.STARTED},
        Call.NEXT: {State.REGISTERED, State.RUNNING},
        Call.INIT_ERROR: {State.REGISTERED, State.INIT_FAILED},
        Call.EXIT_ERROR: {State.REGISTERED, State.READY, State.RUNNING, State.EXITED},
    }
    assert ((state, call) in TRANSITIONS) == (state in allowed[call])


@pytest.mark.parametrize(
    ("method", "target", "call"),
    [
        ("POST", BASE + b"extension/register", Call.REGISTER),
        ("GET", BASE + b"extension/event/next", Call.NEXT),
        ("GET", BASE + b"extension/event/next?x", Call.NEXT),
        ("POST", BASE + b"extension/init/error", Call.INIT_ERROR),
        ("POST", BASE + b"extension/exit/error", Call.EXIT_ERROR),
        ("GET", BASE + b"extension/register", None),
        ("POST", b"/extension/register", None),
        ("POST", b"/2018-06-01/extension/register", None),
    ],
)
def test_a_request_is_a_call_of_the_extensions_api_or_none(
    method: str, target: bytes, call: Call | None
) -> None:
    assert parse_call(method, target) is call
