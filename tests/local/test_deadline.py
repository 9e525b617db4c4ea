"""Deadlines in `ambidex serve` under the local Lambda service, where nothing is scripted."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import pytest

from tests.project import Service, with_lambda_service

APP = """
import asyncio, os, time
from contextlib import suppress

import anyio.to_thread
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse, StreamingResponse
from starlette.background import BackgroundTask

api = FastAPI()
body = os.urandom(3_000_000)

@api.middleware("http")
async def in_a_task_of_its_own(request, call_next):
    return await call_next(request)  # middleware

@api.get("/pid")
async def pid():
    return PlainTextResponse(str(os.getpid()))

@api.get("/middleware")
async def endpoint():
    await asyncio.sleep(600)  # endpoint

@api.get("/def")
def in_a_thread():
    time.sleep(600)  # in_a_thread

async def routes(scope, receive, send):
    route = ROUTES.get("/" + scope.get("path", "").rpartition("/")[2])
    if route is not None:
        await route(send)
    else:
        await api(scope, receive, send)

app = routes

async def awaits(send):
    await asyncio.sleep(600)  # awaits

async def background(send):
    await answer(send, body=b"done")
    await asyncio.sleep(600)  # background

async def blocks(send):
    time.sleep(600)  # blocks

async def blocks_at_once(send):
    await answer(send, body=body)
    time.sleep(600)  # blocks_at_once

async def short_thread(send):
    await asyncio.to_thread(time.sleep, 0.65)  # short_thread
    await answer(send)

async def executor(send):
    await asyncio.get_running_loop().run_in_executor(None, time.sleep, 600)  # executor

async def swallows(send):
    while True:
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(600)  # swallows

async def at_the_last_moment(send):
    try:
        await asyncio.sleep(600)  # at_the_last_moment
    finally:
        await answer(send, body=b"partial")

ROUTES = {"/" + each.__name__: each for each in (
    awaits, background, blocks, blocks_at_once, short_thread, executor, swallows,
    at_the_last_moment)}
"""
SETTINGS = """
[tool.ambidex.lambda]
timeout = 1
deadline-margin = 0.4
"""
TOO_LATE = "The app did not answer within the function's time-out"


def run(folder: Path, test: Callable[[Service], Awaitable[None]], settings: str = SETTINGS) -> None:
    with_lambda_service(folder, test, APP, settings)


async def get(service: Service, path: str, door: str = "http_api") -> httpx.Response:
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.get(getattr(service, door) + path)


async def reports(service: Service, number: int) -> str:
    """Wait for the end of an invocation; its REPORT."""
    while True:
        found = [line for line in service.log if line.startswith("REPORT")]
        if len(found) >= number:
            return found[number - 1]
        await asyncio.sleep(0.01)


def errors(service: Service) -> list[str]:
    return [line for line in service.log if line.startswith("[ERROR]")]


def where(mark: str) -> str:
    """How a stack names the line of the app that ends with a mark."""
    text = (Path(__file__).parent.parent / "project.py").read_text()
    lines = (text.partition('PLAIN = """')[2].partition('"""')[0] + APP).splitlines()
    number = next(n for n, line in enumerate(lines, 1) if line.endswith(f"# {mark}"))
    return f'main.py", line {number}, in '


@pytest.mark.parametrize(
    ("path", "status", "body", "words", "mark"),
    [
        pytest.param("/awaits", 504, TOO_LATE, "and a 504 is the answer", "awaits", id="awaits"),
        pytest.param(
            "/middleware", 504, TOO_LATE, "and a 504 is the answer", "endpoint", id="inner task"
        ),
        pytest.param(
            "/background",
            200,
            "done",
            "was still at work after its response, and was cancelled",
            "background",
            id="background task",
        ),
        pytest.param(
            "/at_the_last_moment",
            200,
            "partial",
            "the app answered only when it was cancelled",
            "at_the_last_moment",
            id="an answer at the last moment counts",
        ),
        pytest.param(
            "/short_thread",
            504,
            TOO_LATE,
            "and a 504 is the answer",
            "short_thread",
            id="a thread that ends soon",
        ),
    ],
)
def test_what_is_cancelled_is_answered_logged_once_and_leaves_the_environment_as_it_was(
    tmp_path: Path, path: str, status: int, body: str, words: str, mark: str
) -> None:
    async def test(service: Service) -> None:
        before = (await get(service, "/pid")).text
        response = await get(service, path)
        assert (response.status_code, response.text) == (status, body)
        assert "Status" not in await reports(service, 2)
        assert (await get(service, "/pid")).text == before
        (error,) = errors(service)
        assert words in error
        assert "0.40 s before the function's time-out" in error
        assert where(mark) in error

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("path", "status", "words", "mark"),
    [
        pytest.param(
            "/blocks", 504, "blocks the event loop", "blocks", id="the event loop is blocked"
        ),
        pytest.param(
            "/swallows", 504, "could not be cancelled", "swallows", id="an app that goes on"
        ),
        pytest.param("/def", 504, "could not be cancelled", "in_a_thread", id="def endpoint"),
        pytest.param(
            "/executor", 504, "and a 504 is the answer", "executor", id="a thread goes on"
        ),
        pytest.param(
            "/blocks_at_once",
            200,
            "blocks the event loop",
            "blocks_at_once",
            id="the event loop is blocked before the response has left",
        ),
    ],
)
def test_what_cannot_be_cancelled_is_answered_and_takes_the_environment_with_it(
    tmp_path: Path, path: str, status: int, words: str, mark: str
) -> None:
    async def test(service: Service) -> None:
        before = (await get(service, "/pid")).text
        response = await get(service, path)
        assert response.status_code == status
        assert "Runtime.ExitError" in await reports(service, 2)
        after = await get(service, "/pid")
        assert after.status_code == 200
        assert after.text != before
        error = errors(service)[0]
        assert words in error
        assert where(mark) in error
        assert "Task timed out" not in "".join(service.log)

    run(tmp_path, test)


@pytest.mark.parametrize("door", ["http_api", "http_api_v1", "rest_api", "function_url", "alb"])
@pytest.mark.parametrize("path", ["/awaits", "/blocks"])
def test_the_answer_is_in_the_form_of_each_front_door(tmp_path: Path, door: str, path: str) -> None:
    async def test(service: Service) -> None:
        response = await get(service, path, door)
        assert (response.status_code, response.text) == (504, TOO_LATE)
        assert response.headers["content-type"] == "text/plain; charset=utf-8"

    run(tmp_path, test)


def test_without_a_margin_it_is_lambda_that_ends_the_event(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        assert (await get(service, "/awaits")).status_code == 500
        await service.logged("Task timed out")
        assert errors(service) == []

    run(tmp_path, test, SETTINGS.replace("0.4", "0"))


def test_a_margin_that_is_longer_than_half_of_the_time_is_cut(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        assert (await get(service, "/awaits")).status_code == 504
        await reports(service, 1)
        (error,) = errors(service)
        assert "was cancelled 0.50 s before" in error or "was cancelled 0.49 s before" in error

    run(tmp_path, test, SETTINGS.replace("0.4", "0.9"))
