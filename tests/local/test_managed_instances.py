"""Managed Instances: an environment takes several invocations at once, and none of them waits.

`concurrent_runtime.py` is a runtime of the tests' own, which does what its events ask for;
awslambdaric is the one that AWS's own images have.
"""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from itertools import product
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from ambidex.local.invocation import Invocation, ThrottledError
from ambidex.local.lambda_service import InitError, Limits
from ambidex.local.managed_environment import ManagedEnvironment
from ambidex.local.managed_runtime_api import (
    ATTEMPT_TRANSITIONS,
    REMEMBERED_TIMEOUTS,
    TRANSITIONS,
    AttemptState,
    State,
    TimedOut,
    refusal,
)
from ambidex.local.runtime_api import Call
from ambidex.local.variables import function
from ambidex.settings import SettingError
from tests.local.moved_clock import turns
from tests.project import ENVIRON, Service, lambda_service, project

RUNTIME = (sys.executable, str(Path(__file__).with_name("concurrent_runtime.py")))
# A machine that tests something else may let a worker wait for longer before it asks for an event.
PATIENT = Limits(grace_s=30)


def run(
    folder: Path,
    test: Callable[[Service], Awaitable[None]],
    *,
    max_concurrency: int = 4,
    variables: dict[str, str] | None = None,
    limits: Limits = PATIENT,
    command: tuple[str, ...] = RUNTIME,
    app: str = "",
    settings: str = "",
    **changes: Any,
) -> None:
    environment = "".join(f"{name} = '{value}'\n" for name, value in (variables or {}).items())
    read = project(
        folder,
        app,
        f"[tool.ambidex.environment]\n{environment}"
        f"[tool.ambidex.lambda]\nmax-concurrency = {max_concurrency}\n{settings}",
    )

    async def main() -> None:
        changed = {"command": command, **changes}
        async with lambda_service(folder, read, limits, **changed) as service:
            await test(service)

    asyncio.run(main())


def invoke(service: Service, **event: Any) -> Invocation:
    return service.service.invoke(json.dumps(event).encode())


async def result(invocation: Invocation) -> Any:
    outcome = await invocation.outcome
    assert not outcome.is_error, outcome
    return json.loads(outcome.payload)


async def act(service: Service, **event: Any) -> Any:
    return await result(invoke(service, **event))


def environments(service: Service) -> set[ManagedEnvironment]:
    assert service.service.managed is not None
    return service.service.managed.environments


def only(service: Service) -> ManagedEnvironment:
    (environment,) = environments(service)
    return environment


async def until(is_so: Callable[[], bool]) -> None:
    while not is_so():  # noqa: ASYNC110 – of what has no event of its own
        await asyncio.sleep(0.01)


def records(service: Service, kind: str) -> list[dict[str, Any]]:
    """The records of Lambda's own lines of a kind."""
    lines = [json.loads(line) for line in service.log if f'"type": "platform.{kind}"' in line]
    return [line["record"] for line in lines]


def test_an_environment_takes_several_invocations_at_once(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        answers = await asyncio.gather(*(act(service, meet=4) for _ in range(4)))
        assert {answer["pid"] for answer in answers} == {only(service).pid}

    run(tmp_path, test, concurrency=1)


def test_results_come_in_any_order(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        first, second, third = (invoke(service, hold=name) for name in "abc")
        for name, invocation in (("c", third), ("a", first), ("b", second)):
            await act(service, release=name)
            assert (await result(invocation))["event"] == {"hold": name}

    run(tmp_path, test, concurrency=1)


def test_sixteen_threads_of_boto3_meet_in_one_environment(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        client = boto3.client(
            "lambda",
            endpoint_url=service.invoke_api,
            region_name="us-east-1",
            aws_access_key_id="-",
            aws_secret_access_key="-",
            config=Config(retries={"max_attempts": 0}, max_pool_connections=16),
        )
        name = service.service.function.name

        def call() -> Any:
            return client.invoke(FunctionName=name, Payload=b'{"meet": 16}')

        loop = asyncio.get_running_loop()
        with ThreadPoolExecutor(16) as pool:
            answers = await asyncio.gather(*(loop.run_in_executor(pool, call) for _ in range(16)))
        assert {json.loads(each["Payload"].read())["pid"] for each in answers} == {
            only(service).pid
        }
        assert {each["ExecutedVersion"] for each in answers} == {"$LATEST.PUBLISHED"}

    run(tmp_path, test, max_concurrency=16, concurrency=1)


MANGUM = """
import asyncio, os, pathlib, sys
from mangum import Mangum

async def app(scope, receive, send):
    if scope["type"] != "http":
        return
    if scope["path"] == "/die":
        os._exit(7)
    # Each request is in a process of its own: they meet in a folder.
    folder = pathlib.Path(os.environ["MEETING"])
    (folder / str(os.getpid())).touch()
    while len(list(folder.iterdir())) < 3:
        await asyncio.sleep(0.01)
    await answer(send, body=str(os.getpid()).encode())

handler = Mangum(app, lifespan="off")
"""
AWSLAMBDARIC = (sys.executable, "-m", "awslambdaric", "main.handler")


def test_awslambdaric_runs_unchanged_with_a_process_for_each_invocation(tmp_path: Path) -> None:
    meeting = tmp_path / "meeting"
    meeting.mkdir()

    async def test(service: Service) -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            url = service.http_api + "/"
            answers = await asyncio.gather(*(client.get(url) for _ in range(3)))
        assert [answer.status_code for answer in answers] == [200] * 3
        assert len({answer.text for answer in answers}) == 3
        assert len(environments(service)) == 1

    run(
        tmp_path, test, max_concurrency=3, command=AWSLAMBDARIC, app=MANGUM, concurrency=1,
        variables={"MEETING": str(meeting)},
    )  # fmt: skip


def test_a_worker_of_awslambdaric_that_dies_leaves_the_others(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        environment = only(service)
        await until(lambda: environment.waiting == 3)
        async with httpx.AsyncClient(timeout=60) as client:
            # Nobody answers for it, so its time-out is what the caller learns.
            assert (await client.get(service.http_api + "/die")).status_code == 500
            assert only(service) is environment
            assert environment.waiting == 2

    run(
        tmp_path, test, max_concurrency=3, command=AWSLAMBDARIC, app=MANGUM, concurrency=1,
        timeout_s=1,
    )  # fmt: skip


def test_an_app_that_awslambdaric_cannot_import_is_said_once(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        raise AssertionError("it has started")

    with pytest.raises(InitError, match="No module named 'not_there'"):
        run(tmp_path, test, command=AWSLAMBDARIC, app="import not_there")


MEETING = """
import asyncio, os, sys

waiting = []
started = 0

async def app(scope, receive, send):
    global started
    if scope["type"] == "lifespan":
        await receive()
        started += 1
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return
    if scope["path"] == "/meet":
        waiting.append(here := asyncio.get_running_loop().create_future())
        if len(waiting) == int(scope["query_string"].partition(b"=")[2]):
            for each in waiting:
                each.set_result(None)
            waiting.clear()
        await here
    if scope["path"] == "/stream":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        waiting.append(here := asyncio.get_running_loop().create_future())
        for piece in (b"first ", b"second "):
            await send({"type": "http.response.body", "body": piece, "more_body": True})
            if len(waiting) == 2:  # none goes on before each has sent its first piece
                waiting.pop().set_result(None)
                waiting.pop().set_result(None)
            await here
        await send({"type": "http.response.body", "body": b"last"})
        return
    if scope["path"] == "/late":
        await asyncio.sleep(1.5)
        await answer(send, body=b"too late")
        print("the code went on", flush=True)
        return
    await answer(send, body=f"{os.getpid()} {started}".encode())
"""
SERVE = (sys.executable, "-m", "ambidex", "serve")


@pytest.mark.parametrize("door", ["http_api", "rest_api", "function_url", "alb"])
def test_requests_that_wait_for_each_other_are_answered_by_serve_in_one_process(
    tmp_path: Path, door: str
) -> None:
    async def test(service: Service) -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            url = f"{getattr(service, door)}/meet?n=16"
            answers = await asyncio.gather(*(client.get(url) for _ in range(16)))
        assert [answer.status_code for answer in answers] == [200] * 16
        assert {answer.text for answer in answers} == {f"{only(service).pid} 1"}

    run(tmp_path, test, max_concurrency=16, command=SERVE, app=MEETING, concurrency=1)


def test_the_workers_of_serve_share_the_places_of_an_environment(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        await until(lambda: only(service).waiting == 4)
        async with httpx.AsyncClient(timeout=60) as client:
            url = f"{service.http_api}/meet?n=2"
            answers = await asyncio.gather(*(client.get(url) for _ in range(4)))
        processes = [answer.text for answer in answers]
        assert {processes.count(each) for each in processes} == {2}
        assert len(set(processes)) == 2

    run(
        tmp_path, test, max_concurrency=4, command=SERVE, app=MEETING, concurrency=1,
        settings="workers = 2\n",
    )  # fmt: skip


def test_serve_goes_on_after_a_time_out_and_its_late_result_is_refused(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            pid = (await client.get(service.http_api)).text
            assert (await client.get(f"{service.http_api}/late")).status_code == 500
            await service.logged("the code went on")
            assert (await client.get(service.http_api)).text == pid

    run(tmp_path, test, command=SERVE, app=MEETING, timeout_s=1, settings="deadline-margin = 0\n")


def test_serve_streams_two_responses_side_by_side(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            url = f"{service.function_url}/stream"
            answers = await asyncio.gather(*(client.get(url) for _ in range(2)))
        assert [answer.text for answer in answers] == ["first second last"] * 2

    run(
        tmp_path, test, command=SERVE, app=MEETING, concurrency=1,
        settings='response = "stream"\nfront-door = "function-url"\n',
    )  # fmt: skip


def test_an_environment_says_that_it_is_one_of_managed_instances(tmp_path: Path) -> None:
    settings = project(tmp_path, "", "[tool.ambidex.lambda]\nmax-concurrency = 8\nworkers = 2\n")
    defined = function(settings, tmp_path, ENVIRON)
    assert {
        "AWS_LAMBDA_MAX_CONCURRENCY": "8",
        "AWS_LAMBDA_INITIALIZATION_TYPE": "lambda-managed-instances",
        "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST.PUBLISHED",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
        "AMBIDEX_LAMBDA_WORKERS": "2",
    }.items() <= defined.environ.items()
    assert "AWS_LAMBDA_MAX_CONCURRENCY" not in defined.variables


def test_another_log_format_than_json_is_refused(tmp_path: Path) -> None:
    settings = project(
        tmp_path,
        "",
        'environment = { AWS_LAMBDA_LOG_FORMAT = "Text" }\n'
        "[tool.ambidex.lambda]\nmax-concurrency = 8\n",
    )
    with pytest.raises(SettingError, match="'Text': Managed Instances log JSON only"):
        function(settings, tmp_path, ENVIRON)


def test_a_time_out_is_one_invocations_alone_and_its_late_result_is_told_so(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        pid = only(service).pid
        late = invoke(service, hold="late", times=2)
        outcome = await late.outcome
        assert outcome.error_type == "Sandbox.Timedout"
        assert "Task timed out after 1.00 seconds" in outcome.payload.decode()
        await late.finished
        assert (await act(service, release="late"))["pid"] == pid
        assert await service.logged("InvokeTimeout") == (
            '410 {"errorMessage": "Invoke timeout", "errorType": "InvokeTimeout"}'
        )
        assert "400" in await service.logged("InvalidRequestID")  # it is remembered for one answer

    run(tmp_path, test, timeout_s=1)


def test_the_result_of_an_attempt_that_took_too_long_is_not_that_of_the_next(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        first = service.service.invoke(b'{"hold": "first"}', request_id="same")
        assert (await first.outcome).error_type == "Sandbox.Timedout"
        second = service.service.invoke(b'{"hold": "second"}', request_id="same")
        await act(service, release="first")
        await service.logged("410")
        await act(service, release="second")
        assert (await result(second))["event"] == {"hold": "second"}

    run(tmp_path, test, timeout_s=1)


@pytest.mark.parametrize(
    ("event", "refused"),
    [
        pytest.param({"times": 2}, "400 .*InvalidRequestID", id="a second result"),
        pytest.param({"raise": "no", "times": 2}, "400 .*InvalidRequestID", id="a second error"),
    ],
)
def test_what_is_posted_for_an_invocation_that_is_over_is_refused(
    tmp_path: Path, event: dict[str, Any], refused: str
) -> None:
    async def test(service: Service) -> None:
        await invoke(service, **event).outcome
        assert "400" in await service.logged("InvalidRequestID")
        assert (await act(service))["pid"] == only(service).pid

    run(tmp_path, test)


def test_a_result_for_an_invocation_that_never_was_is_refused(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        lost = invoke(service, **{"answers for": "another"})
        assert "400" in await service.logged("InvalidRequestID")
        assert (await lost.outcome).error_type == "Sandbox.Timedout"

    run(tmp_path, test, timeout_s=1)


def test_a_result_that_names_no_attempt_is_taken(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        assert await act(service, **{"names its attempt": False})

    run(tmp_path, test)


def test_a_result_beyond_6_mb_is_refused_and_the_caller_told(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        outcome = await invoke(service, bytes=6 * 1024 * 1024 + 101).outcome
        assert outcome.error_type == "Function.ResponseSizeTooLarge"
        assert "413" in await service.logged("RequestEntityTooLarge")

    run(tmp_path, test)


def test_a_result_that_breaks_off_is_an_error_of_its_invocation_alone(tmp_path: Path) -> None:
    async def test(service: Service, ask: Callable[[ManagedEnvironment], Awaitable[Slot]]) -> None:
        broken, whole = invoke(service), invoke(service)
        environment = await started(service, 1)
        first, second = await ask(environment), await ask(environment)
        await first.break_off()
        outcome = await broken.outcome
        assert outcome.error_type == "Runtime.TruncatedResponse"
        await second.answer()
        assert not (await whole.outcome).is_error

    play(tmp_path, test, concurrency=1)


def test_results_of_one_environment_are_streamed_side_by_side(tmp_path: Path) -> None:
    async def test(service: Service, ask: Callable[[ManagedEnvironment], Awaitable[Slot]]) -> None:
        invocations = [service.service.invoke(b"{}", takes_stream=True) for _ in range(2)]
        environment = await started(service, 1)
        slots = [await ask(environment) for _ in invocations]
        queues: list[asyncio.Queue[bytes]] = [asyncio.Queue() for _ in slots]

        async def pieces(queue: asyncio.Queue[bytes]) -> AsyncIterator[bytes]:
            while piece := await queue.get():
                yield piece

        posts = [
            asyncio.create_task(slot.stream(pieces(queue)))
            for slot, queue in zip(slots, queues, strict=True)
        ]
        for text in (b"one", b"two"):
            for invocation, queue in zip(invocations, queues, strict=True):
                queue.put_nowait(text)
                stream = (await invocation.outcome).stream
                assert stream is not None
                assert await anext(stream) == text
        assert environment.in_flight == 2
        assert await slots[0].fail() == 202  # in the middle of its result
        for queue in queues:
            queue.put_nowait(b"")
        assert [await post for post in posts] == [400, 202]
        first, second = (invocation.outcome.result().stream for invocation in invocations)
        assert first is not None
        assert second is not None
        assert first.error is not None
        assert first.error.error_type == "Runtime.Test"
        assert second.error is None
        statuses = [record["status"] for record in records(service, "report")]
        assert statuses == ["error", "success"]

    play(tmp_path, test, concurrency=1)


def test_a_stream_ends_at_the_time_out_and_its_runtime_is_told(tmp_path: Path) -> None:
    async def test(service: Service, ask: Callable[[ManagedEnvironment], Awaitable[Slot]]) -> None:
        invocation = service.service.invoke(b"{}", takes_stream=True)
        slot = await ask(await started(service, 1))
        timed_out = asyncio.Event()

        async def pieces() -> AsyncIterator[bytes]:
            yield b"not all of it"
            await timed_out.wait()

        post = asyncio.create_task(slot.stream(pieces()))
        stream = (await invocation.outcome).stream
        assert stream is not None
        assert [piece async for piece in stream] == [b"not all of it"]
        assert stream.error is not None
        assert stream.error.error_type == "Sandbox.Timedout"
        timed_out.set()
        assert await post == 410

    play(tmp_path, test, concurrency=1, timeout_s=1)


def test_an_error_is_the_callers_and_the_environment_goes_on(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        held = invoke(service, hold="other")
        outcome = await invoke(service, **{"raise": "no luck"}).outcome
        assert outcome.error_type == "Runtime.Test"
        assert json.loads(outcome.payload)["errorMessage"] == "no luck"
        pid = (await act(service, release="other"))["pid"]
        assert (await result(held))["pid"] == pid

    run(tmp_path, test)


def test_a_process_that_ends_fails_what_is_at_work_and_is_replaced(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        old = only(service)
        held = invoke(service, hold="for ever")
        died = invoke(service, exit=7)
        for invocation in (held, died):
            outcome = await invocation.outcome
            assert outcome.error_type == "Runtime.ExitError"
            assert "exit status 7" in outcome.payload.decode()
        assert (await act(service))["pid"] != old.pid

    run(tmp_path, test)


def test_an_environment_that_is_killed_while_it_waits_is_replaced_without_an_error(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        old = only(service)
        os.kill(old.pid, signal.SIGKILL)
        await old.ended
        await until(lambda: bool(serving(service)))  # before anybody asks for it
        assert (await act(service))["pid"] != old.pid

    run(tmp_path, test)


def test_nothing_is_frozen_between_invocations(tmp_path: Path) -> None:
    # The process goes on by itself, and says so, when no invocation is at work any more.
    app = """
    import asyncio, json, os, urllib.request
    base = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/runtime/invocation"
    def invoke():
        with urllib.request.urlopen(f"{base}/next") as answer:
            request_id = answer.headers["Lambda-Runtime-Aws-Request-Id"]
        urllib.request.urlopen(f"{base}/{request_id}/response", b"{}").close()
    async def main():
        asyncio.get_running_loop().run_in_executor(None, lambda: [invoke() for _ in "12"])
        await asyncio.sleep(0.5)
        print("half a second later", flush=True)
        await asyncio.sleep(600)
    asyncio.run(main())
    """

    async def test(service: Service) -> None:
        await act(service)
        assert only(service).in_flight == 0
        await service.logged("half a second later")

    command = (sys.executable, "main.py")
    run(tmp_path, test, app=app, command=command, max_concurrency=1, concurrency=1)


class Slot:
    """A worker that a test plays itself: it asks for an event, and answers it."""

    def __init__(self, client: httpx.AsyncClient, environment: ManagedEnvironment) -> None:
        self._port = environment.runtime_api_port
        self._client = client
        self._url = f"http://127.0.0.1:{self._port}/2018-06-01/runtime/invocation"
        self._next = asyncio.create_task(client.get(f"{self._url}/next"))

    @property
    def has_event(self) -> bool:
        return self._next.done()

    async def answer(self) -> None:
        given = await self._next
        request_id = given.headers["lambda-runtime-aws-request-id"]
        answer = await self._client.post(f"{self._url}/{request_id}/response", json="by hand")
        assert answer.status_code == 202

    async def stream(self, pieces: AsyncIterator[bytes]) -> int:
        given = await self._next
        request_id = given.headers["lambda-runtime-aws-request-id"]
        headers = {"Lambda-Runtime-Function-Response-Mode": "streaming"}
        url = f"{self._url}/{request_id}/response"
        return (await self._client.post(url, content=pieces, headers=headers)).status_code

    async def fail(self) -> int:
        request_id = (await self._next).headers["lambda-runtime-aws-request-id"]
        headers = {"Lambda-Runtime-Function-Error-Type": "Runtime.Test"}
        url = f"{self._url}/{request_id}/error"
        return (await self._client.post(url, json={}, headers=headers)).status_code

    async def break_off(self) -> None:
        given = await self._next
        request_id = given.headers["lambda-runtime-aws-request-id"]
        _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        path = f"/2018-06-01/runtime/invocation/{request_id}/response"
        head = f"POST {path} HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n"
        writer.write(head.encode() + b"not all of it")
        await writer.drain()
        writer.close()

    async def leave(self) -> None:
        self._next.cancel()
        await asyncio.wait({self._next})


def play(
    folder: Path,
    test: Callable[[Service, Callable[[ManagedEnvironment], Awaitable[Slot]]], Awaitable[None]],
    **options: Any,
) -> None:
    """Run a test that plays the workers of environments with two places each."""

    async def with_client(service: Service) -> None:
        async with httpx.AsyncClient(timeout=None) as client:

            async def ask(environment: ManagedEnvironment) -> Slot:
                waiting = environment.waiting
                slot = Slot(client, environment)
                await until(lambda: slot.has_event or environment.waiting > waiting)
                return slot

            await test(service, ask)

    variables = {"NEVER_READY": "1"}
    run(folder, with_client, variables=variables, warm=False, max_concurrency=2, **options)


async def started(service: Service, count: int) -> ManagedEnvironment:
    """The environment that is not serving yet, of so many."""
    await until(lambda: len(environments(service)) == count)
    (environment,) = (each for each in environments(service) if not each.is_serving)
    await until(lambda: environment.is_running)
    return environment


def test_beyond_all_places_the_caller_is_told_and_another_environment_is_started(
    tmp_path: Path,
) -> None:
    async def test(service: Service, ask: Callable[[ManagedEnvironment], Awaitable[Slot]]) -> None:
        invocations = [invoke(service) for _ in range(2)]  # they wait for the init
        first = await started(service, 1)
        for _ in invocations:
            await ask(first)
        await until(lambda: first.in_flight == 2)
        with pytest.raises(ThrottledError, match="all environments are full, 1 of at most 2"):
            await invoke(service).outcome
        second = await started(service, 2)
        await ask(second)
        await ask(second)
        invocations += [invoke(service) for _ in range(2)]
        assert second.in_flight == 2
        with pytest.raises(ThrottledError, match="all environments are full, 2 of at most 2"):
            await invoke(service).outcome
        assert len(environments(service)) == 2
        assert not any(invocation.outcome.done() for invocation in invocations)

    play(tmp_path, test, concurrency=2)


def test_an_environment_is_never_given_more_than_it_may_have(tmp_path: Path) -> None:
    async def test(service: Service, ask: Callable[[ManagedEnvironment], Awaitable[Slot]]) -> None:
        held = [invoke(service) for _ in range(2)]
        environment = await started(service, 1)
        for _ in range(4):
            await ask(environment)
        await until(lambda: environment.waiting == 2)
        with pytest.raises(ThrottledError):
            await invoke(service).outcome
        assert not any(invocation.outcome.done() for invocation in held)

    play(tmp_path, test, concurrency=1)


def test_no_more_invocations_wait_for_a_worker_than_there_are_places(tmp_path: Path) -> None:
    async def test(service: Service, ask: Callable[[ManagedEnvironment], Awaitable[Slot]]) -> None:
        held = invoke(service)
        environment = await started(service, 1)
        await ask(environment)
        await until(lambda: environment.in_flight == 1)
        waits = invoke(service)
        with pytest.raises(ThrottledError):
            await invoke(service).outcome
        await (await ask(environment)).answer()
        assert (await waits.outcome).payload == b'"by hand"'
        assert not held.outcome.done()

    play(tmp_path, test, concurrency=1)


def test_an_invocation_that_has_waited_a_moment_for_a_worker_is_throttled(tmp_path: Path) -> None:
    async def test(service: Service, ask: Callable[[ManagedEnvironment], Awaitable[Slot]]) -> None:
        invoke(service)
        environment = await started(service, 1)
        await ask(environment)
        await until(lambda: environment.in_flight == 1)
        with pytest.raises(ThrottledError):
            await invoke(service).outcome
        assert environment.places == 1

    play(tmp_path, test, concurrency=1, limits=Limits(grace_s=0.05))


def test_an_invocation_goes_to_the_environment_that_has_the_fewest_at_work(
    tmp_path: Path,
) -> None:
    async def test(service: Service, ask: Callable[[ManagedEnvironment], Awaitable[Slot]]) -> None:
        held = [invoke(service) for _ in range(2)]
        first = await started(service, 1)
        slots = [await ask(first) for _ in held]
        second = await started(service, 2)
        await ask(second)
        await ask(second)
        await slots[0].answer()
        await ask(first)
        assert (first.in_flight, second.in_flight) == (1, 0)
        held.append(invoke(service))
        assert (first.in_flight, second.in_flight) == (1, 1)
        await slots[1].answer()
        await ask(first)
        held.append(invoke(service))
        assert (first.in_flight, second.in_flight) == (1, 1)

    play(tmp_path, test, concurrency=2)


def test_idle_environments_end_but_one(tmp_path: Path) -> None:
    async def test(service: Service, ask: Callable[[ManagedEnvironment], Awaitable[Slot]]) -> None:
        held = [invoke(service) for _ in range(2)]
        first = await started(service, 1)
        slots = [await ask(first) for _ in held]
        await ask(await started(service, 2))
        for slot in slots:
            await slot.answer()
        await until(lambda: len(serving(service)) < 2)
        assert len(serving(service)) == 1

    play(tmp_path, test, concurrency=2, limits=Limits(idle_s=0.8, grace_s=30))


def test_a_worker_that_has_left_is_given_nothing(tmp_path: Path) -> None:
    async def test(service: Service, ask: Callable[[ManagedEnvironment], Awaitable[Slot]]) -> None:
        held = [invoke(service)]
        environment = await started(service, 1)
        slot = await ask(environment)
        leaving = await ask(environment)
        staying = None
        await until(lambda: environment.in_flight == 1)
        await leaving.leave()
        await until(lambda: environment.waiting == 0)
        staying = await ask(environment)
        held.append(invoke(service))
        for each in (slot, staying):
            await each.answer()
        assert [(await each.outcome).payload for each in held] == [b'"by hand"'] * 2

    play(tmp_path, test, concurrency=1)


def test_the_calls_of_workers_that_have_left_are_forgotten(tmp_path: Path) -> None:
    async def test(service: Service, ask: Callable[[ManagedEnvironment], Awaitable[Slot]]) -> None:
        invoke(service)
        environment = await started(service, 1)
        await ask(environment)
        await until(lambda: environment.in_flight == 1)
        for _ in range(3):
            leaving = await ask(environment)
            await leaving.leave()
            await until(lambda: environment.waiting == 0)
        await turns()
        assert not environment._waiting

    play(tmp_path, test, concurrency=1)


def serving(service: Service) -> list[ManagedEnvironment]:
    return [each for each in environments(service) if each.is_serving]


def test_boto3_gets_429_where_all_places_are_taken(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        await until(lambda: only(service).waiting == 2)
        held = [invoke(service, hold="all") for _ in range(2)]
        client = boto3.client(
            "lambda",
            endpoint_url=service.invoke_api,
            region_name="us-east-1",
            aws_access_key_id="-",
            aws_secret_access_key="-",
            config=Config(retries={"max_attempts": 0}),
        )

        def call() -> None:
            client.invoke(FunctionName=service.service.function.name)

        with pytest.raises(ClientError) as raised:
            await asyncio.to_thread(call)
        assert raised.value.response["Error"]["Code"] == "TooManyRequestsException"
        assert raised.value.response["ResponseMetadata"]["HTTPStatusCode"] == 429
        assert not any(invocation.outcome.done() for invocation in held)

    run(tmp_path, test, max_concurrency=2, concurrency=1)


def test_more_calls_for_the_next_event_than_places_are_a_fault(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        await until(lambda: only(service).waiting == 2)
        url = f"http://127.0.0.1:{only(service).runtime_api_port}/2018-06-01/runtime/invocation"
        async with httpx.AsyncClient() as client:
            assert (await client.get(f"{url}/next")).status_code == 500

    run(tmp_path, test, max_concurrency=2)


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        pytest.param("GET", "ping", 200, id="ping"),
        pytest.param("GET", "runtime/nothing", 404, id="no such call"),
        pytest.param("GET", "runtime/restore/next", 404, id="there are no snapshots"),
        pytest.param("POST", "runtime/restore/error", 404, id="nor their errors"),
        pytest.param("POST", "runtime/init/error", 403, id="an init error after the init"),
        pytest.param("POST", "runtime/invocation/none/response", 400, id="no such invocation"),
        pytest.param("POST", "runtime/invocation/none/error", 400, id="nor an error of it"),
    ],
)
def test_each_call_is_answered_as_lambda_answers_it(
    tmp_path: Path, method: str, path: str, status: int
) -> None:
    async def test(service: Service) -> None:
        url = f"http://127.0.0.1:{only(service).runtime_api_port}/2018-06-01/{path}"
        async with httpx.AsyncClient() as client:
            assert (await client.request(method, url)).status_code == status

    run(tmp_path, test)


def test_an_extension_may_ask_for_no_events(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        line = await service.logged("extension 403")
        assert json.loads(line.removeprefix("extension 403")) == {
            "errorMessage": "No events allowed for internal extensions",
            "errorType": "Extension.InvalidEventType",
        }
        assert await act(service)

    run(tmp_path, test, variables={"EXTENSION": '["INVOKE"]'})


def test_where_an_extension_is_registered_what_is_at_work_ends_after_sigterm(
    tmp_path: Path,
) -> None:
    invocations: list[Invocation] = []

    async def test(service: Service) -> None:
        registered = json.loads((await service.logged("extension 200"))[len("extension 200") :])
        assert registered["functionVersion"] == "$LATEST.PUBLISHED"
        invocations.extend(invoke(service, **{"until SIGTERM": True}) for _ in range(2))
        await until(lambda: only(service).in_flight == 2)

    run(tmp_path, test, variables={"EXTENSION": "[]"})
    outcomes = [invocation.outcome.result() for invocation in invocations]
    assert [outcome.is_error for outcome in outcomes] == [False, False]


def test_what_does_not_end_by_sigterm_is_killed(tmp_path: Path) -> None:
    invocations: list[Invocation] = []

    async def test(service: Service) -> None:
        await service.logged("extension 200")
        invocations.append(invoke(service, hold="for ever"))
        await until(lambda: only(service).in_flight == 1)

    run(tmp_path, test, variables={"EXTENSION": "[]"})
    assert invocations[0].outcome.result().error_type == "Runtime.ExitError"


def test_the_log_is_lambdas_json_and_each_line_has_its_request(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        done = invoke(service, say="one line")
        failed = invoke(service, **{"raise": "no"})
        slow = invoke(service, hold="for ever")
        for invocation in (done, failed, slow):
            await invocation.finished
        assert records(service, "initReport")[0]["status"] == "success"
        version = "$LATEST.PUBLISHED"
        assert records(service, "start") == [
            {"requestId": each.request_id, "version": version} for each in (done, failed, slow)
        ]
        told = {each["requestId"]: each for each in records(service, "report")}
        for each in told.values():
            assert each.pop("metrics").keys() == {"durationMs"}
        assert told == {
            done.request_id: {"requestId": done.request_id, "status": "success"},
            failed.request_id: {
                "requestId": failed.request_id, "status": "error", "errorType": "Runtime.Test",
            },
            slow.request_id: {
                "requestId": slow.request_id, "status": "timeout", "errorType": "Sandbox.Timedout",
            },
        }  # fmt: skip

    run(tmp_path, test, timeout_s=1)


def test_the_log_tail_of_an_invocation_has_its_own_lines(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        alone = invoke(service, say="whose line is this")
        await alone.finished
        kinds = [line.split('"type": ')[-1][:16] for line in alone.log_tail().decode().split("\n")]
        assert kinds == ['"platform.start"', "whose line is th", '"platform.report', ""]

        held = invoke(service, hold="one")
        other = invoke(service, say=f"this is of {held.request_id}")
        await other.finished
        invoke(service, release="one")
        await held.finished
        assert "this is of" in held.log_tail().decode()
        assert "this is of" not in other.log_tail().decode()
        assert held.request_id not in other.log_tail().decode()

    run(tmp_path, test)


def test_of_workers_that_cannot_start_the_first_is_heard(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        outcome = await invoke(service).outcome
        assert outcome.error_type == "Runtime.Test"
        assert "it cannot start" in outcome.payload.decode()
        assert "InvalidStateTransition" in await service.logged("init/error 403")
        assert len([line for line in service.log if "init/error 202" in line]) == 1

    # With an extension it is not killed before the second one has spoken.
    run(tmp_path, test, variables={"INIT_ERRORS": "2", "EXTENSION": "[]"}, warm=False)


def test_an_app_that_does_not_start_ends_up(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        raise AssertionError("it has started")

    with pytest.raises(InitError, match="it cannot start"):
        run(tmp_path, test, variables={"INIT_ERRORS": "1"})


def test_an_app_that_did_not_start_is_started_again_for_the_next_invocation(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        for _ in range(2):
            assert (await invoke(service).outcome).error_type == "Runtime.Test"
        await until(lambda: not environments(service))

    run(tmp_path, test, variables={"INIT_ERRORS": "1"}, warm=False)


def test_a_process_that_ends_at_once_is_not_started_again_and_again(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        assert (await invoke(service).outcome).error_type == "Runtime.ExitError"
        await until(lambda: not environments(service))

    run(tmp_path, test, command=(sys.executable, "-c", "raise SystemExit(3)"), warm=False)


def test_a_command_that_is_not_there_is_an_error_of_every_invocation(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        assert (await invoke(service).outcome).error_type == "Runtime.InvalidEntrypoint"

    run(tmp_path, test, command=("no-such-program",), warm=False)


def test_an_init_that_takes_longer_than_130_seconds_or_the_time_out_is_an_error(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        raise AssertionError("it has started")

    assert Limits().managed_init_s == 130
    with pytest.raises(InitError, match="longer than 2 seconds"):
        run(
            tmp_path, test, variables={"NEVER_READY": "1"}, timeout_s=2,
            limits=Limits(managed_init_s=1),
        )  # fmt: skip


def test_new_code_is_served_by_new_environments_and_the_old_finish_their_work(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        old = only(service)
        held = invoke(service, hold="work")
        service.service.replace()
        await until(lambda: len(serving(service)) == 2)  # before anybody asks for it
        assert (await act(service))["pid"] != old.pid
        assert not held.outcome.done()
        url = f"http://127.0.0.1:{old.runtime_api_port}/2018-06-01/runtime/invocation"
        async with httpx.AsyncClient() as client:
            answer = await client.post(f"{url}/{held.request_id}/response", json="done by hand")
            assert answer.status_code == 202
        assert await result(held) == "done by hand"
        await old.ended

    run(tmp_path, test, concurrency=2)


def test_an_event_that_fails_is_a_dead_letter_of_the_published_version(tmp_path: Path) -> None:
    from ambidex.local import dead_letters
    from ambidex.local.event_queue import Retries

    async def test(service: Service) -> None:
        service.service.enqueue(b'{"raise": "always"}')
        path = tmp_path / dead_letters.FILE
        await until(lambda: path.exists() and path.read_text().endswith("\n"))
        context = json.loads(path.read_text())
        assert context["requestContext"]["functionArn"].endswith(":$LATEST.PUBLISHED")
        assert context["requestContext"]["approximateInvokeCount"] == 3

    run(tmp_path, test, limits=Limits(grace_s=30, retries=Retries((0, 0))))


def test_no_time_out_while_somebody_debugs(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        held = invoke(service, hold="a while")
        await asyncio.wait({held.outcome}, timeout=1.5)
        await act(service, release="a while")
        assert await result(held)

    run(tmp_path, test, timeout_s=1, limits=Limits(grace_s=30, has_timeouts=False))


@pytest.mark.parametrize(("state", "call"), list(product(State, Call)))
def test_the_table_leads_every_call_for_an_environment_to_a_state_or_to_a_refusal(
    state: State, call: Call
) -> None:
    allowed = {Call.NEXT: {State.INIT, State.READY}, Call.INIT_ERROR: {State.INIT}}
    assert ((state, call) in TRANSITIONS) == (state in allowed.get(call, set()))


@pytest.mark.parametrize(
    ("state", "call", "status"),
    [
        (AttemptState.UNKNOWN, Call.RESULT, 400),
        (AttemptState.UNKNOWN, Call.ERROR, 400),
        (AttemptState.RUNNING, Call.RESULT, None),
        (AttemptState.RUNNING, Call.ERROR, None),
        (AttemptState.POSTING, Call.RESULT, 400),
        (AttemptState.POSTING, Call.ERROR, None),
        (AttemptState.TIMED_OUT, Call.RESULT, 410),
        (AttemptState.TIMED_OUT, Call.ERROR, 410),
    ],
)
def test_the_table_leads_every_result_to_a_state_or_to_a_refusal(
    state: AttemptState, call: Call, status: int | None
) -> None:
    refused = refusal(state, call)
    assert (refused and refused.status) == status
    assert ((state, call) in ATTEMPT_TRANSITIONS) == (status is None)


def test_the_last_thousand_that_took_too_long_are_remembered_for_one_answer_each() -> None:
    timed_out = TimedOut()
    for number in range(REMEMBERED_TIMEOUTS + 1):
        timed_out.add(str(number))
    assert not timed_out.take("0")
    assert timed_out.take("1")
    assert not timed_out.take("1")
    assert timed_out.take(str(REMEMBERED_TIMEOUTS))
