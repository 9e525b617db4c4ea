"""The Lambda service: environments start, freeze, scale, time out and end as Lambda's do."""

import asyncio
import json
import os
import re
import signal
import sys
from collections.abc import Awaitable, Callable
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from ambidex.local.environment import Environment
from ambidex.local.lambda_service import InitError, Limits
from tests.local.moved_clock import turns
from tests.project import Service, with_lambda_service

if TYPE_CHECKING:
    from ambidex.local.invocation import Outcome

APP = """
import asyncio, os, sys, time, urllib.request
started = 0

def ping():
    # Shows in the Runtime API's own log of calls.
    url = f"http://{os.environ['AWS_LAMBDA_RUNTIME_API']}/2018-06-01/ping"
    urllib.request.urlopen(url).read()

async def app(scope, receive, send):
    global started
    if scope["type"] == "lifespan":
        await receive()
        started += 1
        await send({"type": "lifespan.startup.complete"})
        await receive()
        return
    path = scope["path"]
    if path == "/started":
        await answer(send, body=str(started).encode())
    elif path == "/pid":
        await answer(send, body=str(os.getpid()).encode())
    elif path == "/sleep":
        await asyncio.sleep(float(scope["query_string"]))
        await answer(send, body=str(os.getpid()).encode())
    elif path == "/background":
        await answer(send, body=b"done")
        ping()
    elif path == "/die":
        os._exit(7)
    elif path == "/print":
        print("out"); print("err", file=sys.stderr)
        await answer(send)
    elif path == "/hang":
        time.sleep(600)
    elif path == "/variables":
        import json
        await answer(send, body=json.dumps(dict(os.environ)).encode())
    else:
        raise RuntimeError("no such path")
"""


def run(
    folder: Path,
    test: Callable[[Service], Awaitable[None]],
    app: str = APP,
    settings: str = "",
    **options: Any,
) -> None:
    with_lambda_service(folder, test, app, settings, **options)


async def get(service: Service, path: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.get(service.http_api + path)


def only(service: Service) -> Environment:
    (environment,) = service.service.environments
    return environment


async def process_state(pid: int, wanted: str) -> None:
    """Wait until the kernel says that a process is in a state."""
    while True:
        stat = Path(f"/proc/{pid}/stat").read_text()  # noqa: ASYNC240 – of memory, no disk
        if stat.rpartition(")")[2].split()[0] in wanted:
            return
        await asyncio.sleep(0.005)


# A runtime that takes an event and does nothing with it.
ASKS_ONCE = """
import os, time, urllib.request
api = os.environ["AWS_LAMBDA_RUNTIME_API"]
urllib.request.urlopen(f"http://{api}/2018-06-01/runtime/invocation/next").read()
time.sleep(600)
"""


def test_the_lifespan_starts_once_in_an_environment_for_a_hundred_requests(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        bodies = {(await get(service, "/started")).text for _ in range(100)}
        assert bodies == {"1"}
        assert len(service.service.environments) == 1

    run(tmp_path, test)


def test_background_work_runs_after_the_result_and_before_the_next_event_is_asked_for(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        response = await get(service, "/background")
        await service.logged("REPORT")
        assert response.text == "done"
        assert list(only(service).calls) == ["NEXT", "RESULT", "PING", "NEXT"]

    run(tmp_path, test)


def test_a_handler_under_awslambdaric_holds_the_result_until_background_work_is_done(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        assert (await get(service, "/background")).text == "done"
        await service.logged("REPORT")
        assert list(only(service).calls) == ["NEXT", "PING", "RESULT", "NEXT"]

    app = APP + "\nfrom ambidex import Handler\nhandler = Handler(app)\n"
    run(tmp_path, test, app, AWSLAMBDARIC)


AWSLAMBDARIC = """
[tool.ambidex.lambda]
command = ["python", "-m", "awslambdaric", "main.handler"]
"""


def test_a_handler_under_awslambdaric_starts_the_lifespan_once_for_a_hundred_requests(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        bodies = {(await get(service, "/started")).text for _ in range(100)}
        assert bodies == {"1"}

    run(
        tmp_path,
        test,
        APP + "\nfrom ambidex import Handler\nhandler = Handler(app)\n",
        AWSLAMBDARIC,
    )


def test_an_environment_is_frozen_until_an_event_comes_and_while_none_comes(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        pid = only(service).pid
        await process_state(pid, "T")
        waiting = asyncio.create_task(get(service, "/sleep?0.3"))
        await service.logged("START")
        await process_state(pid, "RS")
        assert (await waiting).text == str(pid)
        await process_state(pid, "T")

    run(tmp_path, test)


def test_concurrent_requests_each_get_an_environment_up_to_the_limit(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        responses = await asyncio.gather(*(get(service, "/sleep?1") for _ in range(3)))
        assert len({response.text for response in responses}) == 3
        assert len(service.service.environments) == 3

    run(tmp_path, test, concurrency=3)


def test_beyond_the_limit_a_request_is_throttled(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        first = asyncio.create_task(get(service, "/sleep?1"))
        await service.logged("START")
        throttled = await get(service, "/pid")
        assert (throttled.status_code, throttled.json()) == (
            503,
            {"message": "Service Unavailable"},
        )
        assert (await first).status_code == 200
        assert (await get(service, "/pid")).status_code == 200

    run(tmp_path, test, concurrency=1)


def test_an_idle_environment_is_ended_and_the_next_request_gets_a_new_one(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        environment = only(service)
        await environment.ended
        assert not service.service.environments
        assert (await get(service, "/pid")).text != str(environment.pid)

    run(tmp_path, test, limits=Limits(idle_s=0.4))


def test_a_function_that_never_answers_times_out_and_is_replaced(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        old = only(service)
        hung = await get(service, "/hang")
        assert (hung.status_code, hung.json()) == (500, {"message": "Internal Server Error"})
        line = await service.logged("Task timed out after")
        assert re.fullmatch(r"\S+Z [0-9a-f-]{36} Task timed out after 1\.00 seconds", line)
        assert "Status: timeout" in await service.logged("REPORT")
        response = await get(service, "/pid")
        assert response.status_code == 200
        assert response.text != str(old.pid)

    run(tmp_path, test, settings="[tool.ambidex.lambda]\ndeadline-margin = 0", timeout_s=1)


def test_a_front_door_that_has_waited_long_enough_gives_up_and_the_function_goes_on(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        response = await get(service, "/sleep?1")
        assert (response.status_code, response.json()) == (503, {"message": "Service Unavailable"})
        assert "Status" not in await service.logged("REPORT")

    run(tmp_path, test, front_door_s=0.3)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_an_environment_killed_in_mid_request_is_an_error_and_is_replaced(
    tmp_path: Path, number: signal.Signals
) -> None:
    async def test(service: Service) -> None:
        old = only(service)
        waiting = asyncio.create_task(get(service, "/sleep?60"))
        await service.logged("START")
        os.kill(old.pid, number)
        killed = await waiting
        assert (killed.status_code, killed.json()) == (500, {"message": "Internal Server Error"})
        report = await service.logged("REPORT")
        assert "Runtime.ExitError" in report
        assert re.search(r"Max Memory Used: [1-9]\d* MB", report), report
        assert (await get(service, "/pid")).status_code == 200

    run(tmp_path, test)


def test_that_the_end_takes_an_invocation_with_it_is_no_news(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        service.service.invoke(b"{}")
        await service.logged("START")
        await service.service.close()
        assert not any(line.startswith(("END", "REPORT")) for line in service.log)

    run(tmp_path, test, command=("python", "-u", "-c", ASKS_ONCE))


def test_an_environment_killed_while_it_waits_is_replaced_without_an_error(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        old = only(service)
        os.kill(old.pid, signal.SIGKILL)
        await old.ended
        response = await get(service, "/pid")
        assert response.status_code == 200
        assert response.text != str(old.pid)

    run(tmp_path, test)


def test_an_app_that_exits_is_an_exit_error_with_its_status(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        event = json.dumps(http_event("/die")).encode()
        outcome: Outcome = await service.service.invoke(event, "the-id").outcome
        assert outcome.error_type == "Runtime.ExitError"
        assert json.loads(outcome.payload) == {
            "errorType": "Runtime.ExitError",
            "errorMessage": "RequestId: the-id Error: Runtime exited with error: exit status 7",
        }

    run(tmp_path, test)


def http_event(path: str) -> dict[str, Any]:
    return {
        "version": "2.0",
        "rawPath": path,
        "rawQueryString": "",
        "headers": {},
        "requestContext": {"stage": "$default", "http": {"method": "GET"}},
        "isBase64Encoded": False,
    }


def test_the_log_has_what_lambda_writes_around_what_the_app_writes(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        await get(service, "/print")
        await service.logged("REPORT")
        report = r"""REPORT RequestId: (\S+)\tDuration: [\d.]+ ms\tBilled Duration: \d+ ms\t"""
        report += r"""Memory Size: 512 MB\tMax Memory Used: [1-9]\d* MB\tInit Duration: [\d.]+ ms"""
        extension, start, out, err, end, last = service.log[:6]
        match = re.fullmatch(report, last)
        assert match, last
        assert [extension, start, out, err, end] == [
            "EXTENSION\tName: ambidex\tState: Ready\tEvents: []",
            f"START RequestId: {match[1]} Version: $LATEST",
            "out",
            "err",
            f"END RequestId: {match[1]}",
        ]
        service.log.clear()
        await get(service, "/pid")
        assert "Init Duration" not in await service.logged("REPORT")

    run(tmp_path, test)


def test_an_environment_has_lambdas_variables_and_the_users_own_but_not_the_developers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("A_SECRET_OF_THE_DEVELOPER", "x")
    (tmp_path / ".env").write_text("FROM_FILE=1\nBOTH=file\n")

    async def test(service: Service) -> None:
        variables = (await get(service, "/variables")).json()
        name = service.service.function.name
        assert "A_SECRET_OF_THE_DEVELOPER" not in variables
        expected = {
            "AWS_LAMBDA_FUNCTION_NAME": name,
            "AWS_LAMBDA_FUNCTION_MEMORY_SIZE": "512",
            "AWS_LAMBDA_FUNCTION_VERSION": "$LATEST",
            "AWS_LAMBDA_INITIALIZATION_TYPE": "on-demand",
            "AWS_LAMBDA_LOG_GROUP_NAME": f"/aws/lambda/{name}",
            "AWS_REGION": "us-east-1",
            "AWS_DEFAULT_REGION": "us-east-1",
            "LAMBDA_TASK_ROOT": str(tmp_path),
            "TZ": ":UTC",
            "_HANDLER": "main:app",
            "OWN": "2",
            "FROM_FILE": "1",
            "BOTH": "settings",
        }
        assert {key: variables.get(key) for key in expected} == expected
        assert re.fullmatch(r"127\.0\.0\.1:\d+", variables["AWS_LAMBDA_RUNTIME_API"])
        stream = variables["AWS_LAMBDA_LOG_STREAM_NAME"]
        assert re.fullmatch(r"\d{4}/\d\d/\d\d/\[\$LATEST\][0-9a-f]{32}", stream)

    run(tmp_path, test, settings='environment = { OWN = "2", BOTH = "settings" }')


@pytest.mark.parametrize(
    ("app", "message"),
    [
        pytest.param("app = 7", "main:app is not an ASGI app: it is an int", id="no ASGI app"),
        pytest.param("application = print", "did you mean 'answer'|there is no 'app'", id="no app"),
        pytest.param("1 / 0", "importing main failed: ZeroDivisionError", id="failing import"),
        pytest.param("import nothing_there", "No module named 'nothing_there'", id="no module"),
        pytest.param("def app(:", "importing main failed: SyntaxError", id="syntax error"),
        pytest.param(
            """
            async def app(scope, receive, send):
                await receive()
                raise RuntimeError("the database is away")
            """,
            "RuntimeError: the database is away",
            id="failing startup",
        ),
        pytest.param("import os; os._exit(9)", "exit status 9", id="exit at import"),
    ],
)  # fmt: skip
def test_an_app_that_does_not_start_says_why_in_one_sentence(
    tmp_path: Path, app: str, message: str
) -> None:
    async def test(service: Service) -> None:
        raise AssertionError("it has started")

    with pytest.raises(InitError, match=message):
        run(tmp_path, test, app)


def test_a_failing_init_is_reported_with_type_message_and_the_apps_own_frames(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        invocation = service.service.invoke(b"{}")
        outcome = await invocation.outcome
        assert outcome.error_type == "Runtime.ImportModuleError"
        assert "ZeroDivisionError" in outcome.payload.decode()
        log = "\n".join(service.log)
        assert log.count("INIT_REPORT") == 2  # Lambda inits once more within the invocation
        assert 'main.py", line' in log
        assert "ambidex/asgi" not in log

    run(tmp_path, test, "1 / 0", warm=False)


def test_an_init_that_takes_too_long_is_done_once_more_within_the_invocation(
    tmp_path: Path,
) -> None:
    slow_once = f"""
    import pathlib, time
    marker = pathlib.Path({str(tmp_path / "marker")!r})
    if not marker.exists():
        marker.touch()
        time.sleep(600)
    async def app(scope, receive, send):
        await answer(send, body=b"at last")
    """

    async def test(service: Service) -> None:
        assert (await get(service, "/")).text == "at last"
        assert "Status: timeout" in await service.logged("INIT_REPORT")

    run(tmp_path, test, slow_once, warm=False, limits=Limits(init_s=1))


def test_an_init_that_took_too_long_before_anybody_asked_is_done_once_more_only(
    tmp_path: Path,
) -> None:
    slow_twice = f"""
    import pathlib, time
    markers = pathlib.Path({str(tmp_path / "markers")!r})
    markers.mkdir(exist_ok=True)
    (markers / str(time.monotonic_ns())).touch()
    time.sleep(2 if len(list(markers.iterdir())) < 3 else 0)
    async def app(scope, receive, send):
        await answer(send, body=str(len(list(markers.iterdir()))).encode())
    """

    async def test(service: Service) -> None:
        await service.logged("it is done again within the first invocation")
        assert (await get(service, "/")).text == "2"

    run(tmp_path, test, slow_twice, limits=Limits(init_s=1))


def test_output_without_a_line_end_is_in_the_log_of_its_own_invocation(tmp_path: Path) -> None:
    app = """
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        print("half a line", end="", flush=True)
        await answer(send)
    """

    async def test(service: Service) -> None:
        for _ in range(3):  # when the third one starts, the second one's log is complete
            await get(service, "/")
        kinds = [line.split(" ")[0] for line in service.log]
        assert kinds[:8] == ["START", "half", "END", "REPORT"] * 2

    run(tmp_path, test, app)


def test_a_command_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    from ambidex.local.process import CommandError

    async def test(service: Service) -> None:
        raise AssertionError("it has started")

    with pytest.raises(CommandError, match="there is no program 'no-such-program'"):
        run(tmp_path, test, command=("no-such-program",))


def test_new_code_is_served_by_new_environments_and_the_old_finish_their_work(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        old = only(service)
        working = asyncio.create_task(get(service, "/sleep?1"))
        await service.logged("START")
        service.service.replace()
        assert (await get(service, "/pid")).text != str(old.pid)
        assert (await working).text == str(old.pid)
        await old.ended

    run(tmp_path, test)


def test_no_process_is_left_even_what_the_app_has_started_itself(tmp_path: Path) -> None:
    pids: list[int] = []

    async def test(service: Service) -> None:
        pids.append(only(service).pid)
        pids.append(int((await get(service, "/")).text))

    app = f"""
    import subprocess
    child = subprocess.Popen([{sys.executable!r}, "-c", "import time; time.sleep(600)"])
    async def app(scope, receive, send):
        await answer(send, body=str(child.pid).encode())
    """
    run(tmp_path, test, app)
    for pid in pids:
        assert not Path(f"/proc/{pid}").exists() or " Z " in Path(f"/proc/{pid}/stat").read_text()


def test_one_environment_is_enough_for_one_client_after_another(tmp_path: Path) -> None:
    # The next request comes before the environment has asked for the next event.
    async def test(service: Service) -> None:
        async with httpx.AsyncClient() as client:
            for _ in range(100):
                assert (await client.get(service.http_api + "/pid")).status_code == 200

    run(tmp_path, test, concurrency=1)


def test_background_work_holds_no_other_request_up_for_long(tmp_path: Path) -> None:
    app = """
    import asyncio, os
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await answer(send, body=str(os.getpid()).encode())
        if scope["path"] == "/background":
            await asyncio.sleep(600)
    """

    async def test(service: Service) -> None:
        busy = (await get(service, "/background")).text
        others = [(await get(service, "/")).text for _ in range(3)]
        assert busy not in others
        assert len(set(others)) == 1

    run(tmp_path, test, app)


def test_output_without_end_or_line_end_holds_nobody_up(tmp_path: Path) -> None:
    app = """
    import os, threading
    def flood():
        while True:
            os.write(1, b"some line of a log\\n" * 3000)
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        if scope["path"] == "/flood":
            threading.Thread(target=flood, daemon=True).start()
        if scope["path"] == "/long":
            os.write(1, b"x" * 3_000_000 + b"\\n")
        await answer(send, body=b"ok")
    """

    async def test(service: Service) -> None:
        assert (await get(service, "/long")).text == "ok"
        await service.logged("REPORT")
        cut = [line for line in service.log if line.startswith("x")]
        assert sum(map(len, cut)) == 3_000_000
        assert max(map(len, cut)) <= 256 * 1024
        assert (await get(service, "/flood")).text == "ok"
        assert (await get(service, "/")).text == "ok"

    run(tmp_path, test, app)


def test_a_failing_start_of_a_process_leaves_nothing_open(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        before = open_files()
        for _ in range(5):
            outcome = await service.service.invoke(b"{}").outcome
            assert outcome.error_type == "Runtime.InvalidEntrypoint"
        assert open_files() == before

    run(tmp_path, test, warm=False, command=("no-such-program",))


def open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


of_both_kinds = pytest.mark.parametrize(
    "settings",
    [
        pytest.param("", id="ordinary"),
        pytest.param("[tool.ambidex.lambda]\nmax-concurrency = 2\n", id="Managed Instances"),
    ],
)


@of_both_kinds
def test_a_start_that_is_given_up_at_any_step_leaves_nothing_open(
    tmp_path: Path, settings: str
) -> None:
    async def test(service: Service) -> None:
        before, seen = open_files(), set()
        managed = service.service.managed
        environments: set[Any] = (managed or service.service).environments
        for steps in count(1):
            starting = asyncio.create_task(service.service.warm_up())
            for _ in range(steps):
                await asyncio.sleep(0)
            seen.add(open_files() - before)
            starting.cancel()
            await asyncio.wait({starting})
            await turns()
            if any(each.is_running for each in environments):
                break
            assert open_files() == before
        assert len(seen) > 2  # with a socket, and with a pipe, too

    run(tmp_path, test, warm=False, settings=settings)


@of_both_kinds
def test_the_end_settles_the_invocations_that_wait_for_an_environment(
    tmp_path: Path, settings: str
) -> None:
    async def test(service: Service) -> None:
        waiting = [service.service.invoke(b"{}") for _ in range(2)]
        await asyncio.sleep(0)
        await service.service.close()
        for invocation in waiting:
            assert invocation.finished.done()
            assert (await invocation.outcome).error_type == "Runtime.ExitError"

    run(tmp_path, test, warm=False, settings=settings)


def test_a_command_with_a_folder_is_the_projects_own(tmp_path: Path) -> None:
    script = tmp_path / "start.sh"
    script.write_text(f"#!/bin/sh\nexec {sys.executable} -m ambidex serve\n")
    script.chmod(0o755)

    async def test(service: Service) -> None:
        assert (await get(service, "/started")).text == "1"

    run(tmp_path, test, command=("./start.sh",))


def test_each_environment_has_a_port_of_its_own_where_the_command_names_one(
    tmp_path: Path,
) -> None:
    app = """
    import asyncio, os
    async def app(scope, receive, send):
        await asyncio.sleep(0.3)
        await answer(send, body=os.environ["WEB_PORT"].encode())
    """

    async def test(service: Service) -> None:
        at_once = await asyncio.gather(*(get(service, "/") for _ in range(3)))
        ports = {int(response.text) for response in at_once}
        assert len(ports) == 3
        assert min(ports) >= 1024

    command = ("/bin/sh", "-c", "WEB_PORT={port} exec python -m ambidex serve")
    run(tmp_path, test, app, command=command)


def test_a_warm_up_whose_init_takes_too_long_leaves_it_to_the_first_invocation(
    tmp_path: Path,
) -> None:
    slow_once = f"""
    import pathlib, time
    marker = pathlib.Path({str(tmp_path / "marker")!r})
    if not marker.exists():
        marker.touch()
        time.sleep(600)
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await answer(send, body=b"at last")
    """

    async def test(service: Service) -> None:
        await service.logged("it is done again within the first invocation")
        assert (await get(service, "/")).text == "at last"

    run(tmp_path, test, slow_once, limits=Limits(init_s=1))


def test_an_app_that_lets_a_cancellation_out_is_a_500_and_the_environment_stays(
    tmp_path: Path,
) -> None:
    app = """
    import asyncio, os
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        if scope["path"] == "/cancelled":
            raise asyncio.CancelledError
        await answer(send, body=str(os.getpid()).encode())
    """

    async def test(service: Service) -> None:
        pid = only(service).pid
        assert (await get(service, "/cancelled")).status_code == 500
        assert (await get(service, "/")).text == str(pid)

    run(tmp_path, test, app)


def test_no_time_out_while_somebody_debugs(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        assert (await get(service, "/sleep?1.5")).status_code == 200

    run(tmp_path, test, timeout_s=1, limits=Limits(has_timeouts=False))
