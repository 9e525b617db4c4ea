"""The app's shutdown on Lambda, as the local service ends environments of `ambidex serve`."""

import asyncio
import signal
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from ambidex.local.lambda_service import Limits
from tests.project import Service, with_lambda_service

APP = """
import asyncio, os

async def app(scope, receive, send):
    if scope["type"] == "lifespan":
        assert (await receive())["type"] == "lifespan.startup"
        await send({"type": "lifespan.startup.complete"})
        assert (await receive())["type"] == "lifespan.shutdown"
        print("shutting down", flush=True)
        await asyncio.sleep(SHUTDOWN)
        print("shut down", flush=True)
        await send({"type": "lifespan.shutdown.complete"})
        return
    if scope["path"] == "/sleep":
        print("sleeping", flush=True)
        try:
            await asyncio.sleep(60)
        finally:
            print("let go", flush=True)
    if scope["path"] == "/nap":
        print("napping", flush=True)
        await asyncio.sleep(0.2)
    await answer(send, body=str(os.getpid()).encode())
"""
BARE = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await answer(send)
"""
EXTENSION = "EXTENSION\tName: ambidex\tState: Ready\tEvents: []"


def run(
    folder: Path,
    test: Callable[[Service], Awaitable[None]],
    app: str = APP.replace("SHUTDOWN", "0"),
    settings: str = "",
    **options: object,
) -> None:
    with_lambda_service(folder, test, app, settings, **options)


async def get(service: Service, path: str) -> httpx.Response:
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.get(service.http_api + path)


async def close(service: Service) -> None:
    await service.service.close()


async def replace(service: Service) -> None:
    service.service.replace()


async def nothing(_: Service) -> None:
    pass


@pytest.mark.parametrize(
    ("end", "idle_s"),
    [
        pytest.param(close, 300, id="up ends"),
        pytest.param(replace, 300, id="the code is new"),
        pytest.param(nothing, 0.2, id="idle"),
    ],
)
def test_the_app_is_shut_down_when_its_environment_ends(
    tmp_path: Path, end: Callable[[Service], Awaitable[None]], idle_s: float
) -> None:
    async def test(service: Service) -> None:
        await get(service, "/")
        (environment,) = service.service.environments
        await service.logged("REPORT")
        await end(service)
        await environment.ended
        assert service.log[-2:] == ["shutting down", "shut down"]
        assert any(line.startswith(EXTENSION) for line in service.log)

    run(tmp_path, test, limits=Limits(idle_s=idle_s))


def test_a_shutdown_that_takes_too_long_is_cut_off_and_the_log_says_so(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        await get(service, "/")
        await service.service.close()
        assert "shut down" not in service.log
        assert "the app's shutdown goes on 0.4 s after SIGTERM" in service.log[-1]

    run(tmp_path, test, APP.replace("SHUTDOWN", "600"))


def test_an_event_at_work_is_cancelled_before_the_app_is_shut_down(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        (environment,) = service.service.environments
        waiting = asyncio.create_task(get(service, "/sleep"))
        await service.logged("sleeping")
        environment.stop()
        assert (await waiting).status_code == 500
        await environment.ended
        ours = [line for line in service.log if line in ("let go", "shutting down", "shut down")]
        assert ours == ["let go", "shutting down", "shut down"]

    run(tmp_path, test)


def test_an_app_that_is_replaced_while_an_event_is_at_work_is_shut_down(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        (environment,) = service.service.environments
        working = asyncio.create_task(get(service, "/nap"))
        await service.logged("napping")
        service.service.replace()
        assert (await working).status_code == 200
        await environment.ended
        assert [line for line in service.log if line.startswith("shut")] == [
            "shutting down",
            "shut down",
        ]

    run(tmp_path, test)


def test_an_app_without_a_lifespan_registers_nothing_and_ends_at_once(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        assert (await get(service, "/")).status_code == 200
        (environment,) = service.service.environments
        assert not environment._extensions.registered
        environment.stop()
        await environment.ended

    run(tmp_path, test, BARE)


def test_sigterm_ends_the_process_with_status_0(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        await get(service, "/")
        await service.logged("REPORT")
        (environment,) = service.service.environments
        assert environment._process is not None
        environment._process.thaw()
        environment._process.signal(signal.SIGTERM)
        assert await environment._process.ended() == 0

    run(tmp_path, test)
