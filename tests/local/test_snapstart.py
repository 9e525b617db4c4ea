"""The local Lambda service with SnapStart: snapshot, restore, errors and credentials."""

import asyncio
import json
import random
import re
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from ambidex.local.environment import Environment
from ambidex.local.lambda_service import InitError, Limits
from tests.local import moved_clock
from tests.local.moved_clock import MovedClock
from tests.local.test_lambda_service import process_state
from tests.project import ENVIRON, Service, lambda_service, project, with_lambda_service

SNAP_START = """
[tool.ambidex.lambda]
snap-start = true
"""
AWSLAMBDARIC = """
command = ["python", "-m", "awslambdaric", "main.handler"]
"""

APP = """
import asyncio, os, sys, time
import ambidex
happened = ["imported"]

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        await receive()
        happened.append("started")
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return
    if scope["path"] == "/variables":
        import json
        await answer(send, body=json.dumps(dict(os.environ)).encode())
    elif scope["path"] == "/context":
        context = scope["aws.context"]
        told = (context.function_version, context.invoked_function_arn, context.log_stream_name)
        await answer(send, body=" ".join(map(str, told)).encode())
    else:
        await answer(send, body=" ".join([*happened, str(os.getpid())]).encode())

@ambidex.before_snapshot
async def before():
    happened.append("before")

@ambidex.after_restore
async def after():
    happened.append("after")
"""


def run(
    folder: Path,
    test: Callable[[Service], Awaitable[None]],
    app: str = APP,
    settings: str = "",
    **options: Any,
) -> None:
    with_lambda_service(folder, test, app, SNAP_START + settings, **options)


async def get(service: Service, path: str = "/") -> httpx.Response:
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.get(service.http_api + path)


def only(service: Service) -> Environment:
    (environment,) = service.service.environments
    return environment


def in_words(log: list[str]) -> list[str]:
    """A log with the times, ids and sizes out of it."""
    return [re.sub(r"[0-9a-f-]{36}", "ID", re.sub(r"\d+(\.\d\d)? (ms|MB)", "N", ln)) for ln in log]


REPORT = "REPORT RequestId: ID\tDuration: N\tBilled Duration: N\tMemory Size: N\tMax Memory Used: N"


def test_the_snapshot_is_taken_before_the_first_event_and_the_first_event_restores(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        environment = only(service)
        await process_state(environment.pid, "T")
        assert list(environment.calls) == ["RESTORE_NEXT"]
        body = f"imported started before after {environment.pid}"
        assert (await get(service)).text == body
        assert (await get(service)).text == body
        assert list(environment.calls)[:4] == ["RESTORE_NEXT", "NEXT", "RESULT", "NEXT"]
        await process_state(environment.pid, "T")

    run(tmp_path, test)


def test_with_the_lifespan_of_a_restore_the_app_starts_after_it(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        assert (await get(service)).text.startswith("imported before after started ")

    run(tmp_path, test, settings='lifespan = "restore"')


def test_the_log_has_what_lambda_writes_around_snapshot_and_restore(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        await get(service)
        await service.logged("REPORT RequestId")
        assert in_words(service.log) == [
            "INIT_REPORT Init Duration: N",
            "RESTORE_START",
            "RESTORE_REPORT Restore Duration: N",
            "START RequestId: ID Version: 1",
            "END RequestId: ID",
            f"{REPORT}\tRestore Duration: N\tBilled Restore Duration: N",
        ]
        service.log.clear()
        await get(service)
        await service.logged("REPORT RequestId")
        assert in_words(service.log)[-1] == REPORT

    run(tmp_path, test)


def test_the_restore_is_billed_with_the_invocation_and_the_init_is_not(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        await get(service)
        line = await service.logged("REPORT RequestId")
        found = re.findall(r"(Duration|Billed Duration|Billed Restore Duration): ([\d.]+) ms", line)
        numbers = {name: float(number) for name, number in reversed(found)}
        assert numbers["Billed Restore Duration"] > 0
        billed = numbers["Duration"] + numbers["Billed Restore Duration"]
        assert billed <= numbers["Billed Duration"] < billed + 1

    run(tmp_path, test)


def test_each_environment_has_a_snapshot_of_its_own(tmp_path: Path) -> None:
    app = APP.replace('happened.append("after")', 'happened.append("after"); time.sleep(0.5)')

    async def test(service: Service) -> None:
        first, second = await asyncio.gather(get(service), get(service))
        assert first.text != second.text
        assert first.text.split()[:4] == second.text.split()[:4]
        assert sum("RESTORE_REPORT" in line for line in service.log) == 2

    run(tmp_path, test, app, concurrency=2)


def test_a_snapshot_does_not_end_when_nobody_asks_for_it_and_what_is_restored_does(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        environment = only(service)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(asyncio.shield(environment.ended), 1)
        assert (await get(service)).status_code == 200
        await environment.ended

    run(tmp_path, test, limits=Limits(idle_s=0.2))


def test_an_environment_has_the_variables_of_a_published_version(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        variables = (await get(service, "/variables")).json()
        assert variables["AWS_LAMBDA_INITIALIZATION_TYPE"] == "snap-start"
        assert variables["AWS_LAMBDA_FUNCTION_VERSION"] == "1"
        absent = {"AWS_LAMBDA_LOG_GROUP_NAME", "AWS_LAMBDA_LOG_STREAM_NAME"}
        assert not absent & variables.keys()
        assert not any("CREDENTIALS" in name for name in variables)  # there were none
        arn = f"{service.service.function.arn}:1"
        assert (await get(service, "/context")).text == f"1 {arn} None"

    run(tmp_path, test)


RUNTIME = """
import os, sys, threading, time, urllib.error, urllib.request

def call(method, path, body=None):
    url = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/{path}"
    headers = {"Lambda-Runtime-Function-Error-Type": "Runtime.AfterRestoreError"}
    try:
        with urllib.request.urlopen(urllib.request.Request(url, body, headers)) as answer:
            return answer.status, answer.headers, answer.read()
    except urllib.error.HTTPError as error:
        return error.code, error.headers, error.read()
"""


def play(
    folder: Path, script: str, test: Callable[[Service], Awaitable[None]], **options: Any
) -> None:
    """Run a runtime that keeps to no rule."""
    (folder / "runtime.py").write_text(RUNTIME + script)
    command = ("python", "-u", "runtime.py")
    run(folder, test, "app = 1", command=command, **options)


ANSWER = """
while True:
    _, headers, _ = call("GET", "invocation/next")
    call("POST", f"invocation/{headers['Lambda-Runtime-Aws-Request-Id']}/response", b'"done"')
"""

REGISTER = """
url = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2020-01-01/extension/"
headers = {"Lambda-Extension-Name": "x"}
with urllib.request.urlopen(
    urllib.request.Request(url + "register", b'{"events": []}', headers)
) as answer:
    identifier = {"Lambda-Extension-Identifier": answer.headers["Lambda-Extension-Identifier"]}
"""

ASK = """
threading.Thread(
    target=lambda: urllib.request.urlopen(
        urllib.request.Request(url + "event/next", headers=identifier)
    ),
    daemon=True,
).start()
"""


def test_a_runtime_that_asks_for_an_event_at_once_is_in_the_snapshot_where_it_asks(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        await process_state(only(service).pid, "T")
        assert in_words(service.log) == ["INIT_REPORT Init Duration: N"]
        invocation = service.service.invoke(b"{}")
        assert (await invocation.outcome).payload == b'"done"'
        await invocation.finished
        assert in_words(service.log)[1:4] == [
            "RESTORE_START", "RESTORE_REPORT Restore Duration: N", "START RequestId: ID Version: 1"
        ]  # fmt: skip
        assert "\tRestore Duration: " in service.log[-1]

    play(tmp_path, ANSWER, test)


@pytest.mark.parametrize(
    ("calls", "statuses"),
    [
        pytest.param("restore/next", [200], id="once"),
        pytest.param("restore/next restore/next", [200, 403], id="twice"),
        pytest.param("restore/next restore/next restore/next", [200, 403, 403], id="thrice"),
    ],
)
def test_a_second_question_to_be_restored_is_refused(
    tmp_path: Path, calls: str, statuses: list[int]
) -> None:
    async def test(service: Service) -> None:
        await service.service.invoke(b"{}").finished
        assert [line for line in service.log if line.isdigit()] == list(map(str, statuses))

    script = f'for path in "{calls}".split():\n    print(call("GET", path)[0])\n'
    play(tmp_path, script + ANSWER, test)


def test_a_question_for_an_event_while_the_snapshot_is_taken_is_refused(tmp_path: Path) -> None:
    script = """
threading.Thread(target=lambda: print(call("GET", "restore/next")[0])).start()
time.sleep(0.3)
status, _, body = call("GET", "invocation/next")
print(status, body.decode())
"""

    async def test(service: Service) -> None:
        invocation = service.service.invoke(b"{}")
        assert "the environment has asked to be restored" in await service.logged("403")
        await invocation.finished

    # Kept from its snapshot by an extension that has not asked for an event.
    play(tmp_path, REGISTER + script + ASK + ANSWER, test)


@pytest.mark.parametrize("path", ["restore/error", "init/error"])
def test_an_error_after_the_restore_fails_the_call_and_ends_the_environment(
    tmp_path: Path, path: str
) -> None:
    async def test(service: Service) -> None:
        environment = only(service)
        outcome = await service.service.invoke(b"{}").outcome
        assert outcome.error_type == "SnapStartException"
        assert json.loads(outcome.payload)["errorMessage"].endswith("has failed: no pool")
        await environment.ended
        kind = "\tStatus: error\tError Type: Runtime.AfterRestoreError"
        assert in_words(service.log)[1:] == [
            "RESTORE_START", f"RESTORE_REPORT Restore Duration: N{kind}"
        ]  # fmt: skip

    end = "sys.exit(65)" if path == "restore/error" else "time.sleep(600)"  # it has to be ended
    error = f"""call("POST", "{path}", b'{{"errorMessage": "no pool"}}')\n"""
    play(tmp_path, 'call("GET", "restore/next")\n' + error + end, test)


def test_no_kill_is_planned_for_an_environment_that_ended_while_its_restore_failed(
    tmp_path: Path,
) -> None:
    block = "import signal\nsignal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})\n"
    fail = """
call("GET", "restore/next")
print("restored")
signal.sigwait({signal.SIGTERM})
call("POST", "restore/error", b'{"errorMessage": "no pool"}')
os._exit(65)
"""
    (tmp_path / "runtime.py").write_text(RUNTIME + block + REGISTER + ASK + fail)

    async def test(clock: MovedClock) -> None:
        settings = project(tmp_path, "app = 1", SNAP_START)
        command = ("python", "-u", "runtime.py")
        async with lambda_service(tmp_path, settings, command=command) as service:
            environment = only(service)
            invocation = service.service.invoke(b"{}")
            await service.logged("restored")
            environment.stop()
            assert (await invocation.outcome).error_type == "SnapStartException"
            await environment.ended
            assert not clock.planned(signal.SIGKILL)

    moved_clock.run(test)


def test_a_runtime_that_exits_after_the_restore_fails_the_call(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        outcome = await service.service.invoke(b"{}").outcome
        assert outcome.error_type == "SnapStartException"
        assert "Runtime exited with error: exit status 7" in outcome.payload.decode()
        line = await service.logged("RESTORE_REPORT")
        assert line.endswith("\tStatus: error\tError Type: Runtime.ExitError")

    play(tmp_path, 'call("GET", "restore/next")\nsys.exit(7)\n', test)


def test_a_restore_that_takes_too_long_fails_the_call_and_the_next_one_gets_another(
    tmp_path: Path,
) -> None:
    script = """
call("GET", "restore/next")
if not os.path.exists("slow"):
    open("slow", "w").close()
    time.sleep(600)
"""

    async def test(service: Service) -> None:
        environment = only(service)
        outcome = await service.service.invoke(b"{}").outcome
        assert outcome.error_type == "SnapStartTimeoutException"
        line = await service.logged("RESTORE_REPORT")
        assert re.fullmatch(r"RESTORE_REPORT Restore Duration: [\d.]+ ms\tStatus: timeout", line)
        await environment.ended
        assert (await service.service.invoke(b"{}").outcome).payload == b'"done"'

    play(tmp_path, script + ANSWER, test, limits=Limits(restore_s=1))


def test_a_slow_init_is_no_overrun_as_it_is_without_snapstart(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        assert (await service.service.invoke(b"{}").outcome).payload == b'"done"'

    play(tmp_path, "time.sleep(1)\n" + ANSWER, test, limits=Limits(init_s=0.2))


def test_an_init_that_overruns_is_not_done_again_for_nothing_was_published(tmp_path: Path) -> None:
    async def test(_: Service) -> None:
        raise AssertionError

    with pytest.raises(InitError, match="Init took longer than 1 seconds"):
        play(tmp_path, "time.sleep(600)", test, limits=Limits(snapshot_init_s=0.2), timeout_s=1)


def test_a_hook_that_fails_before_the_snapshot_is_told_when_up_starts(tmp_path: Path) -> None:
    app = APP.replace('happened.append("before")', 'raise ValueError("no")')

    async def test(_: Service) -> None:
        raise AssertionError

    with pytest.raises(InitError, match="the hook before before the snapshot failed: ValueError"):
        run(tmp_path, test, app)


# awslambdaric asks to be restored by itself, where the variable says so.

HANDLER = "\nfrom ambidex import Handler\nhandler = Handler(app)\n"


@pytest.mark.parametrize(
    ("lifespan", "order"),
    [
        pytest.param("snapshot", "aws-before started before aws-after after", id="snapshot"),
        pytest.param("restore", "aws-before before aws-after after started", id="restore"),
    ],
)
def test_a_handler_under_awslambdaric_goes_through_the_snapshot_too(
    tmp_path: Path, lifespan: str, order: str
) -> None:
    registered = """
import snapshot_restore_py
snapshot_restore_py.register_after_restore(happened.append, "aws-after")
"""

    async def test(service: Service) -> None:
        environment = only(service)
        await process_state(environment.pid, "T")
        assert list(environment.calls) == ["RESTORE_NEXT"]
        assert (await get(service)).text == f"imported {order} {environment.pid}"
        assert "\tRestore Duration: " in await service.logged("REPORT RequestId")

    late = '\nsnapshot_restore_py.register_before_snapshot(happened.append, "aws-before")\n'
    settings = f'{AWSLAMBDARIC}lifespan = "{lifespan}"\n'
    run(tmp_path, test, APP + registered + HANDLER + late, settings)


def test_a_hook_of_a_handler_that_fails_is_reported_by_awslambdaric_and_a_400_of_the_invoke_api(
    tmp_path: Path,
) -> None:
    failing = "\n@ambidex.after_restore\ndef fail():\n    raise ValueError('no pool')\n"

    async def test(service: Service) -> None:
        with pytest.raises(ClientError, match="the hook fail after the restore failed") as error:
            await asyncio.to_thread(invoke, service)
        response = error.value.response
        assert response["ResponseMetadata"]["HTTPStatusCode"] == 400
        assert response["Error"]["Code"] == "SnapStartException"
        line = await service.logged("RESTORE_REPORT")
        assert line.endswith("\tStatus: error\tError Type: Runtime.AfterRestoreError")

    run(tmp_path, test, APP + failing + HANDLER, AWSLAMBDARIC)


def client_of(service: Service) -> Any:
    return boto3.client(
        "lambda",
        endpoint_url=service.invoke_api,
        region_name="us-east-1",
        aws_access_key_id="x",
        aws_secret_access_key="x",
        config=Config(retries={"total_max_attempts": 1}),
    )


def invoke(service: Service, qualifier: str = "1") -> Any:
    name = service.service.function.name
    return client_of(service).invoke(FunctionName=name, Qualifier=qualifier, Payload=b"{}")


def test_a_restore_that_takes_too_long_is_a_408_of_the_invoke_api(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        with pytest.raises(ClientError) as error:
            await asyncio.to_thread(invoke, service)
        assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 408
        assert error.value.response["Error"] == {
            "Code": "SnapStartTimeoutException",
            "Message": "Lambda couldn't restore the snapshot within the timeout limit.",
        }

    script = 'call("GET", "restore/next")\ntime.sleep(600)'
    play(tmp_path, script, test, limits=Limits(restore_s=0.2))


def test_the_api_knows_the_function_as_its_published_version(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        client, name = client_of(service), service.service.function.name
        answer = await asyncio.to_thread(invoke, service)
        assert answer["ExecutedVersion"] == "1"
        told = await asyncio.to_thread(client.get_function_configuration, FunctionName=name)
        assert told["Version"] == "1"
        assert told["SnapStart"] == {"ApplyOn": "PublishedVersions", "OptimizationStatus": "On"}
        with pytest.raises(ClientError, match=r"there is \S+:1 only"):
            await asyncio.to_thread(invoke, service, "$LATEST")

    play(tmp_path, 'call("GET", "restore/next")\n' + ANSWER, test)


BOTO3 = """
import json, boto3

def credentials():
    found = boto3.Session().get_credentials()
    frozen = found.get_frozen_credentials()
    return [found.method, frozen.access_key, frozen.secret_key, frozen.token or ""]

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await answer(send, body=json.dumps(credentials()).encode())
"""


@pytest.mark.parametrize("token", ["a-token", ""])
def test_boto3_finds_the_developers_credentials_at_the_endpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, token: str
) -> None:
    monkeypatch.setitem(ENVIRON, "HOME", str(tmp_path))  # which has no ~/.aws
    monkeypatch.setitem(ENVIRON, "AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setitem(ENVIRON, "AWS_SECRET_ACCESS_KEY", "secret")
    if token:
        monkeypatch.setitem(ENVIRON, "AWS_SESSION_TOKEN", token)

    async def test(service: Service) -> None:
        expected = ["container-role", "key", "secret", token]
        assert (await get(service)).json() == expected
        variables = service.service.function.environ
        assert not any("ACCESS_KEY" in name or "SESSION_TOKEN" in name for name in variables)

    run(tmp_path, test, BOTO3)


def test_the_endpoint_of_credentials_gives_them_to_nobody_without_the_token(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(ENVIRON, "AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setitem(ENVIRON, "AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setitem(ENVIRON, "AWS_CREDENTIAL_EXPIRATION", "2031-01-02T03:04:05Z")

    async def test(service: Service) -> None:
        variables = (await get(service, "/variables")).json()
        url = variables["AWS_CONTAINER_CREDENTIALS_FULL_URI"]
        assert url.startswith("http://127.0.0.1:")
        async with httpx.AsyncClient() as client:
            for headers in ({}, {"Authorization": "x"}, {"Authorization": ""}):
                answer = await client.get(url, headers=headers)
                assert (answer.status_code, "key" in answer.text) == (404, False)
            token = variables["AWS_CONTAINER_AUTHORIZATION_TOKEN"]
            answer = await client.get(url, headers={"Authorization": token})
            assert answer.json() == {
                "AccessKeyId": "key",
                "SecretAccessKey": "secret",
                "Token": "",
                "Expiration": "2031-01-02T03:04:05Z",
            }

    run(tmp_path, test)


SEEDED = """
import random
random.seed(5)

async def app(scope, receive, send):
    assert scope["type"] == "http"
    await answer(send, body=str(random.random()).encode())
"""


@pytest.mark.parametrize(
    ("settings", "has_new_seed"),
    [
        pytest.param("", True, id="serve"),
        pytest.param(AWSLAMBDARIC, True, id="a handler under awslambdaric"),
        pytest.param("snap-start = false", False, id="serve without SnapStart"),
    ],
)
def test_what_was_seeded_before_the_snapshot_goes_on_otherwise_after_it(
    tmp_path: Path, settings: str, has_new_seed: bool
) -> None:
    async def test(service: Service) -> None:
        seeded = str(random.Random(5).random())
        assert ((await get(service)).text != seeded) == has_new_seed

    table = SNAP_START if has_new_seed else "[tool.ambidex.lambda]\n"
    with_lambda_service(tmp_path, test, SEEDED + HANDLER, table + settings)


MODULES = """
import json, sys
seen = set()

@ambidex.after_restore
def look():
    seen.update(sys.modules)

async def app(scope, receive, send):
    assert scope["type"] == "http"
    new = sorted(set(sys.modules) - seen)
    await answer(send, body=json.dumps(new).encode())
"""


@pytest.mark.parametrize("door", ["http_api", "http_api_v1", "rest_api", "function_url", "alb", ""])
def test_what_events_need_is_imported_before_the_snapshot(tmp_path: Path, door: str) -> None:
    async def test(service: Service) -> None:
        for _ in range(2):  # the second sees what the answer to the first has needed
            if door:
                async with httpx.AsyncClient() as client:
                    new = (await client.get(getattr(service, door) + "/")).json()
            else:
                outcome = await service.service.invoke(b'"no request"').outcome
                new = json.loads(outcome.payload)
            assert new == []

    run(tmp_path, test, "import ambidex\n" + MODULES, 'events-path = "/events"\n')
