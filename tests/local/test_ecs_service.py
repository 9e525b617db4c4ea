"""The ECS service: tasks are kept running behind the load balancer."""

import asyncio
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from ambidex.local.ecs_service import EcsService, TaskDefinition, TaskError
from ambidex.local.reaper import Reaper
from ambidex.local.target_group import HealthCheck, State, TargetGroup
from ambidex.local.up import Running
from tests.project import both, project

APP = """
import asyncio, os
healthy = True

async def app(scope, receive, send):
    global healthy
    assert scope["type"] == "http"
    path = scope["path"]
    if path == "/sleep":
        print("sleeping", flush=True)
        await asyncio.sleep(600)
    if path == "/sicken":
        healthy = False
    if path == "/headers":
        import json
        pairs = [[n.decode("latin-1"), v.decode("latin-1")] for n, v in scope["headers"]]
        await answer(send, body=json.dumps([scope["scheme"], scope["client"], pairs]).encode())
        return
    is_check = dict(scope["headers"]).get(b"user-agent", b"").startswith(b"ELB-HealthChecker")
    await answer(send, 200 if healthy or not is_check else 500, str(os.getpid()).encode())
"""


def run(
    folder: Path,
    test: Callable[[Running, list[str]], Awaitable[None]],
    settings: str = "",
    app: str = APP,
) -> list[str]:
    log: list[str] = []

    async def main() -> None:
        async with both(folder, project(folder, app, settings), log) as running:
            await test(running, log)

    asyncio.run(main())
    return log


async def get(url: str, path: str = "/") -> httpx.Response:
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.get(url + path)


async def served(running: Running, wanted: Callable[[httpx.Response], bool]) -> httpx.Response:
    """Ask until an answer is as wanted: a new task has to become healthy first."""
    while True:
        response = await get(running.ecs_url)
        if wanted(response):
            return response
        await asyncio.sleep(0.02)


async def logged(log: list[str], text: str) -> str:
    while True:
        for line in log:
            if text in line:
                return line
        await asyncio.sleep(0.01)


def test_a_task_that_does_not_listen_is_said_to_while_it_is_waited_for(tmp_path: Path) -> None:
    silent = """
    import time
    time.sleep(600)
    """
    project(tmp_path, silent)
    said: list[str] = []

    async def main() -> None:
        reaper = Reaper()
        group = TargetGroup(HealthCheck("/", 0.05))
        definition = TaskDefinition(
            (sys.executable, "main.py"), tmp_path, lambda host, port: {}, 1.0
        )
        service = EcsService(definition, 1, group, reaper, said.append, said.append, patience_s=0.2)
        starting = asyncio.create_task(service.start())
        await logged(said, "nothing listens on 127.0.0.1:")
        starting.cancel()
        await asyncio.gather(starting, return_exceptions=True)
        await service.close()
        await group.close()
        reaper.close()

    asyncio.run(main())
    assert said[0].endswith(
        "after 0.2 s, where a task should: if `command` in [tool.ambidex.ecs] takes a port, name "
        "{port}"
    )


TWO_TASKS = "[tool.ambidex.ecs]\ntasks = 2"


def test_tasks_take_turns(tmp_path: Path) -> None:
    async def test(running: Running, log: list[str]) -> None:
        pids = [(await get(running.ecs_url)).text for _ in range(6)]
        assert len(set(pids)) == 2
        assert pids[0] != pids[1]
        assert pids[:2] * 3 == pids

    run(tmp_path, test, TWO_TASKS)


def test_a_task_sees_the_client_and_what_the_load_balancer_adds(tmp_path: Path) -> None:
    async def test(running: Running, log: list[str]) -> None:
        async with httpx.AsyncClient() as client:
            headers = {"X-Forwarded-For": "1.2.3.4"}
            answer = await client.get(running.ecs_url + "/headers", headers=headers)
        scheme, client_address, pairs = answer.json()
        fields = dict(pairs)
        assert scheme == "http"
        # The client's own word is believed no further than the network it comes from.
        assert client_address[0] == "1.2.3.4"
        assert fields["x-forwarded-for"] == "1.2.3.4, 127.0.0.1"
        assert fields["x-amzn-trace-id"].startswith("Root=1-")

    run(tmp_path, test)


def test_a_task_killed_in_mid_request_is_a_502_and_is_replaced(tmp_path: Path) -> None:
    async def test(running: Running, log: list[str]) -> None:
        waiting = asyncio.create_task(get(running.ecs_url, "/sleep"))
        await logged(log, "sleeping")
        (pid,) = running.ecs_service.pids
        os.kill(pid, signal.SIGKILL)
        killed = await waiting
        assert killed.status_code == 502
        assert "<h1>502 Bad Gateway</h1>" in killed.text
        await logged(log, "a task ended by SIGKILL, another one takes its place")
        response = await served(running, lambda answer: answer.status_code == 200)
        assert response.text != str(pid)

    run(tmp_path, test)


def test_without_a_healthy_task_the_load_balancer_answers_503(tmp_path: Path) -> None:
    async def test(running: Running, log: list[str]) -> None:
        (pid,) = running.ecs_service.pids
        os.kill(pid, signal.SIGKILL)
        await logged(log, "ended by SIGKILL")
        assert (await served(running, lambda answer: answer.status_code != 502)).status_code == 503

    run(tmp_path, test)


def test_a_task_that_fails_its_health_checks_is_replaced(tmp_path: Path) -> None:
    async def test(running: Running, log: list[str]) -> None:
        (pid,) = running.ecs_service.pids
        await get(running.ecs_url, "/sicken")
        await logged(log, "failed its health checks (Health checks failed with these codes: [500])")
        is_another = lambda answer: answer.status_code == 200 and answer.text != str(pid)  # noqa: E731
        await served(running, is_another)

    run(tmp_path, test, "[tool.ambidex.ecs]\ndrain = 0\nstop-timeout = 2")


def test_the_request_after_one_that_raised_is_answered(tmp_path: Path) -> None:
    # Starlette answers 500 and raises again; uvicorn by itself would then close the connection.
    app = """
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        await answer(send, 500 if scope["path"] == "/fail" else 200)
        if scope["path"] == "/fail":
            raise RuntimeError("the app's own")
    """

    async def test(running: Running, log: list[str]) -> None:
        async with httpx.AsyncClient() as client:
            for _ in range(30):
                assert (await client.get(f"{running.ecs_url}/fail")).status_code == 500
                assert (await client.get(running.ecs_url)).status_code == 200
        assert "RuntimeError: the app's own" in "\n".join(log)
        assert "uvicorn/" not in "\n".join(log)

    run(tmp_path, test, app=app)


def test_an_app_that_raises_is_a_plain_500_on_both_platforms(tmp_path: Path) -> None:
    app = """
    async def app(scope, receive, send):
        assert scope["type"] == "http"
        if scope["path"] == "/fail":
            raise RuntimeError("no")
        await answer(send)
    """

    async def test(running: Running, log: list[str]) -> None:
        for url in (running.lambda_url, running.ecs_url):
            failed = await get(url, "/fail")
            assert (failed.status_code, failed.text) == (500, "Internal Server Error")
            assert failed.headers["content-type"] == "text/plain; charset=utf-8"
            assert failed.headers["content-length"] == "21"

    run(tmp_path, test, app=app)


@pytest.mark.parametrize(
    ("configuration", "on_lambda", "on_ecs"),
    [
        pytest.param("logging.getLogger().setLevel('INFO')", "[INFO]\t{id}\tone order",
                     "INFO: one order", id="as AWS's page does it"),
        pytest.param("logger.setLevel('INFO')", "[INFO]\t{id}\tone order", "INFO: one order",
                     id="a logger of its own"),
        pytest.param("logging.basicConfig(level='INFO', format='own %(message)s')",
                     "own one order", "own one order", id="a handler of its own"),
        pytest.param("", None, None, id="nothing"),
    ],
)  # fmt: skip
def test_what_an_app_logs_is_in_the_log_of_both_platforms(
    tmp_path: Path, configuration: str, on_lambda: str | None, on_ecs: str | None
) -> None:
    app = f"""
    import logging, sys
    logger = logging.getLogger("shop")
    {configuration}

    async def app(scope, receive, send):
        assert scope["type"] == "http"
        context = scope.get("aws.context")
        if scope["path"] == "/order":
            logger.info("one %s", "order")
            print("done", context and context.aws_request_id, file=sys.stderr, flush=True)
        await answer(send)
    """

    async def test(running: Running, log: list[str]) -> None:
        for url, expected in ((running.lambda_url, on_lambda), (running.ecs_url, on_ecs)):
            await get(url, "/order")
            request_id = (await logged(log, "done ")).rstrip().removeprefix("done ")
            orders = [line for line in log if "one order" in line]
            assert [line.rstrip() for line in orders] == (
                [expected.format(id=request_id)] if expected else []
            )
            log.clear()

    run(tmp_path, test, app=app)


def test_what_an_app_raises_is_logged_though_it_disables_the_loggers_that_are_there(
    tmp_path: Path,
) -> None:
    app = """
    import logging.config
    logging.config.dictConfig({"version": 1})

    async def app(scope, receive, send):
        assert scope["type"] == "http"
        if scope["path"] == "/raise":
            raise ValueError("the app's own words")
        await answer(send)
    """

    async def test(running: Running, log: list[str]) -> None:
        for url in (running.lambda_url, running.ecs_url):
            await get(url, "/raise")
            await logged(log, "the app's own words")
            log.clear()

    run(tmp_path, test, app=app)


def test_new_code_gets_new_tasks_and_no_request_is_lost_meanwhile(tmp_path: Path) -> None:
    async def test(running: Running, log: list[str]) -> None:
        old = set(running.ecs_service.pids)
        replacing = asyncio.create_task(running.ecs_service.replace())
        while not replacing.done():
            assert (await get(running.ecs_url)).status_code == 200
        assert int((await get(running.ecs_url)).text) not in old

    run(tmp_path, test, TWO_TASKS)


def test_new_code_that_never_becomes_healthy_is_told_and_tried_again(tmp_path: Path) -> None:
    async def test(running: Running, log: list[str]) -> None:
        # Of another length, for Python's own cache tells sources apart by second and size.
        project(tmp_path, APP.replace("200 if healthy", "404 if healthy") + "# new\n")
        await running.ecs_service.replace()
        await logged(log, "failed its health checks (Health checks failed with these codes: [404])")

    run(tmp_path, test, "[tool.ambidex.ecs]\ndrain = 0\nstop-timeout = 1")


def test_a_command_that_is_away_for_a_while_is_tried_until_it_is_back(tmp_path: Path) -> None:
    script = tmp_path / "start.sh"
    text = f"#!/bin/sh\nexec {sys.executable} -m ambidex serve\n"
    script.write_text(text)
    script.chmod(0o755)

    async def test(running: Running, log: list[str]) -> None:
        script.unlink()
        (pid,) = running.ecs_service.pids
        os.kill(pid, signal.SIGKILL)
        await logged(log, "no task can be started: there is no program './start.sh' to run")
        script.write_text(text)
        script.chmod(0o755)
        await served(running, lambda answer: answer.status_code == 200)

    run(tmp_path, test, '[tool.ambidex.ecs]\ncommand = ["./start.sh"]')


def test_a_task_that_ignores_sigterm_is_killed_after_the_stop_time_out(tmp_path: Path) -> None:
    command = 'command = ["uvicorn", "main:app", "--host", "{host}", "--port", "{port}"]'

    async def test(running: Running, log: list[str]) -> None:
        (pid,) = running.ecs_service.pids
        os.kill(pid, signal.SIGSTOP)  # deaf to SIGTERM, and failing its health checks
        await logged(log, "failed its health checks")
        while Path(f"/proc/{pid}").exists():  # noqa: ASYNC110, ASYNC240 – of memory
            await asyncio.sleep(0.01)

    run(tmp_path, test, f"[tool.ambidex.ecs]\ndrain = 0\nstop-timeout = 1\n{command}")


@pytest.mark.parametrize(
    ("settings", "app", "message"),
    [
        pytest.param(
            'command = ["python", "-c", "import time; time.sleep(0.2); raise SystemExit(4)"]',
            APP, "a task ended with status 4 before it was healthy", id="ends",
        ),
        pytest.param(
            'command = ["uvicorn", "main:nothing", "--host", "{host}", "--port", "{port}"]',
            APP, "a task ended with status 3 before it was healthy", id="plain uvicorn, no app",
        ),
    ],
)  # fmt: skip
def test_a_task_that_ends_before_it_is_healthy_stops_the_start(
    tmp_path: Path, settings: str, app: str, message: str
) -> None:
    async def test(running: Running, log: list[str]) -> None:
        raise AssertionError("it has started")

    with pytest.RaisesGroup(pytest.RaisesExc(TaskError, match=message)):
        run(tmp_path, test, f"[tool.ambidex.ecs]\n{settings}", app)


def test_all_targets_are_healthy_when_it_is_ready(tmp_path: Path) -> None:
    async def test(running: Running, log: list[str]) -> None:
        targets = running.ecs_service._group.targets
        assert [target.state for target in targets] == [State.HEALTHY, State.HEALTHY]

    run(tmp_path, test, TWO_TASKS)


def test_websockets_reach_a_task(tmp_path: Path) -> None:
    from websockets.asyncio.client import connect

    app = """
    async def app(scope, receive, send):
        assert scope["type"] in ("http", "websocket")
        if scope["type"] == "http":
            await answer(send)
            return
        await receive()
        await send({"type": "websocket.accept"})
        text = (await receive())["text"]
        await send({"type": "websocket.send", "text": text.upper()})
        await send({"type": "websocket.close"})
    """

    async def test(running: Running, log: list[str]) -> None:
        url = running.ecs_url.replace("http:", "ws:")
        async with connect(url, proxy=None) as socket:
            await socket.send("hello")
            assert await socket.recv() == "HELLO"

    run(tmp_path, test, app=app)
