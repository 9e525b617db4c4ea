"""The log of one app on both platforms, by processes: the same records, with the same keys."""

import asyncio
import json
import os
import pty
import re
import socket
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import pytest

from ambidex.local.free_port import free_port
from tests.project import Service, with_lambda_service
from tests.server.serving import SERVE, environ, serving

APP = """
import asyncio, logging, sys
from fastapi import APIRouter, FastAPI

logger = logging.getLogger("shop")
logger.setLevel(logging.INFO)
app = FastAPI()
router = APIRouter(prefix="/orders")

@router.get("/{order_id}")
async def order(order_id: str):
    logger.info("order %s", order_id, extra={"order": {"id": order_id, "lines": [1, 2]}})
    return order_id

@app.get("/fails")
async def fails():
    raise KeyError("no such order")

@app.get("/several")
def in_a_thread():
    async def in_a_task():
        logger.info("in a task")

    logger.info("in a thread")
    asyncio.run(in_a_task())
    logging.getLogger("of.no.level").info("unheard")
    logging.getLogger("of.no.level").warning("several\\nlines")

app.include_router(router, prefix="/v1")
"""

TRACE = "1-67891233-abcdef012345678912345678"
HEADERS = {"X-Amzn-Trace-Id": f"Root={TRACE}"}
REQUEST_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def on_lambda(folder: Path, paths: list[str], variables: dict[str, str]) -> list[str]:
    """The lines that the app's process has written, after requests."""
    lines: list[str] = []

    async def test(service: Service) -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            for path in paths:
                await client.get(service.http_api + path, headers=HEADERS)
                await service.logged("REPORT")
                lines.extend(service.log)
                service.log.clear()

    table = ", ".join(f'{name} = "{value}"' for name, value in variables.items())
    with_lambda_service(folder, test, APP, f"environment = {{ {table} }}\n")
    of_lambda = ("START RequestId", "END RequestId", "REPORT RequestId", "EXTENSION\t")
    return [line for line in lines if not line.startswith(of_lambda)]


def on_ecs(folder: Path, paths: list[str], variables: dict[str, str]) -> list[str]:
    """As `on_lambda`; the server's own lines about its start and its stop are left out."""
    (folder / "main.py").write_text(APP)
    port = str(free_port(set()))
    server = {"AMBIDEX_ECS_DRAIN": "0", "AMBIDEX_ECS_PORT": port}
    with serving("main:app", folder, **server, **variables) as served:
        listening(int(port))  # its own line that says so is below some of the levels
        for path in paths:
            httpx.get(f"http://127.0.0.1:{port}{path}", headers=HEADERS)
        assert served.status_within(30) == 0
    own = re.compile("Uvicorn running|SIGTERM|server process|Shutting down|Finished")
    # Both streams were read, each in its own order.
    return [line for line in [*served.err, *served.out] if not own.search(line)]


def listening(port: int) -> None:
    """Wait until a server listens."""
    while True:
        with suppress(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", port)).close()
            return
        time.sleep(0.01)


Platform = Callable[[Path, list[str], dict[str, str]], list[str]]
PLATFORMS = pytest.mark.parametrize("platform", [on_lambda, on_ecs])
JSON = {"AWS_LAMBDA_LOG_FORMAT": "JSON"}
TEXT = {"AWS_LAMBDA_LOG_FORMAT": "Text"}

ALWAYS = {"timestamp", "level", "message", "logger", "requestId", "traceId"}
REQUEST = ALWAYS | {"method", "path", "route", "status", "durationMs", "client"}


def records(lines: list[str]) -> dict[str, dict[str, Any]]:
    """By their messages."""
    documents = list(map(json.loads, lines))
    return {document["message"]: document for document in documents}


@PLATFORMS
def test_records_have_the_same_keys_on_both(platform: Platform, tmp_path: Path) -> None:
    found = records(platform(tmp_path, ["/v1/orders/7?x=1", "/fails", "/none"], JSON))
    raised = next(message for message in found if message.startswith("the app raised"))
    assert {message: set(record) for message, record in found.items()} == {
        "order 7": ALWAYS | {"order"},
        "GET /v1/orders/7?x=1 200": REQUEST,
        "GET /fails 500": REQUEST,
        "GET /none 404": REQUEST - {"route"},
        raised: ALWAYS | {"errorType", "errorMessage", "stackTrace", "location"},
    }
    for record in found.values():
        assert REQUEST_ID.fullmatch(record["requestId"])
        assert record["traceId"] == TRACE
    assert found["order 7"]["order"] == {"id": "7", "lines": [1, 2]}
    assert found["order 7"]["requestId"] == found["GET /v1/orders/7?x=1 200"]["requestId"]
    request = found["GET /v1/orders/7?x=1 200"]
    assert request["durationMs"] > 0
    assert {
        key: request[key] for key in ("level", "logger", "method", "path", "route", "status")
    } == {
        "level": "INFO",
        "logger": "ambidex.access",
        "method": "GET",
        "path": "/v1/orders/7",
        "route": "/v1/orders/{order_id}",
        "status": 200,
    }
    assert found[raised]["errorType"] == "KeyError"
    assert found[raised]["level"] == "ERROR"
    assert "in fails" in found[raised]["stackTrace"][-1]


@PLATFORMS
def test_what_runs_in_threads_and_tasks_is_of_its_request(
    platform: Platform, tmp_path: Path
) -> None:
    found = records(platform(tmp_path, ["/several"], JSON))
    assert set(found) == {"in a thread", "in a task", "several\nlines", "GET /several 200"}
    assert len({record["requestId"] for record in found.values()}) == 1


@PLATFORMS
@pytest.mark.parametrize(
    ("level", "messages"),
    [
        ("debug", {"in a thread", "in a task", "unheard", "several\nlines", "GET /several 200"}),
        ("INFO", {"in a thread", "in a task", "unheard", "several\nlines", "GET /several 200"}),
        pytest.param("WARN", {"in a thread", "in a task", "several\nlines"}, id="WARN"),
        ("FATAL", {"in a thread", "in a task"}),
    ],
)
def test_with_json_the_level_is_lambdas(
    platform: Platform, tmp_path: Path, level: str, messages: set[str]
) -> None:
    lines = platform(tmp_path, ["/several"], {**JSON, "AWS_LAMBDA_LOG_LEVEL": level})
    # A level that the app sets on a logger of its own wins, as under AWS's runtime.
    own = {line for line in records(lines) if not line.startswith(("Using", "the app has no"))}
    assert own == messages


@PLATFORMS
def test_with_text_there_are_no_levels(platform: Platform, tmp_path: Path) -> None:
    lines = platform(tmp_path, ["/several"], {**TEXT, "AWS_LAMBDA_LOG_LEVEL": "FATAL"})
    assert "several" in "".join(lines)
    assert "unheard" not in "".join(lines)


def test_in_text_a_traceback_is_one_event_on_lambda_and_the_request_has_none(
    tmp_path: Path,
) -> None:
    (line,) = on_lambda(tmp_path, ["/fails"], {})
    assert line.startswith("[ERROR]\t")
    assert line.endswith("\rKeyError: 'no such order'")


def run_ecs(folder: Path, variables: dict[str, str], stderr: int) -> None:
    """A server that has nothing to serve, so that it ends, after what the app has logged."""
    (folder / "main.py").write_text(
        "import logging\n"
        "try:\n"
        "    raise KeyError('no such order')\n"
        "except KeyError:\n"
        "    logging.exception('several\\nlines')\n"
    )
    # basicConfig would be the app's own; this is what a logger without a handler does.
    text = (folder / "main.py").read_text().replace("logging.exc", "logging.getLogger('x').exc")
    (folder / "main.py").write_text(text)
    command = (*SERVE, "main:app")
    own = environ(**variables)
    if not variables:
        del own["AWS_LAMBDA_LOG_FORMAT"]
    assert subprocess.run(command, cwd=folder, env=own, stderr=stderr, check=False).returncode == 3


def ecs_output(folder: Path, variables: dict[str, str], *, is_terminal: bool) -> bytes:
    reader, writer = pty.openpty() if is_terminal else os.pipe()
    run_ecs(folder, variables, writer)
    os.close(writer)
    data = b""
    with suppress(OSError):  # EIO, by which a terminal ends
        while piece := os.read(reader, 65536):
            data += piece
    os.close(reader)
    return data


@pytest.mark.parametrize("is_terminal", [True, False])
@pytest.mark.parametrize(
    ("variables", "is_json"),
    [({}, None), (JSON, True), ({"AWS_LAMBDA_LOG_FORMAT": "json"}, True), (TEXT, False)],
)
def test_on_ecs_the_log_is_json_but_at_a_terminal_unless_it_is_told(
    tmp_path: Path, variables: dict[str, str], is_json: bool | None, is_terminal: bool
) -> None:
    output = ecs_output(tmp_path, variables, is_terminal=is_terminal)
    first = output.replace(b"\r\n", b"\n").split(b"\n")[0]
    if is_json if is_json is not None else not is_terminal:
        document = json.loads(first)
        assert document["message"] == "several\nlines"
        assert document["errorType"] == "KeyError"
    elif is_terminal:
        assert first == b"ERROR: several"
    else:
        assert first.startswith(b"ERROR: several\rlines\rTraceback")
        assert first.endswith(b"\rKeyError: 'no such order'")


@pytest.mark.parametrize(
    ("variable", "sentence"),
    [
        ("AWS_LAMBDA_LOG_FORMAT", "AWS_LAMBDA_LOG_FORMAT = 'yaml' must be one of JSON, Text"),
        (
            "AWS_LAMBDA_LOG_LEVEL",
            "AWS_LAMBDA_LOG_LEVEL = 'yaml' must be one of TRACE, DEBUG, INFO, WARN, ERROR, FATAL",
        ),
    ],
)
def test_what_is_no_format_or_level_is_one_sentence(
    tmp_path: Path, variable: str, sentence: str
) -> None:
    (tmp_path / "main.py").write_text(APP)
    with serving("main:app", tmp_path, **{variable: "yaml"}) as served:
        assert served.status() == 3
    assert served.err == [f"error: {sentence}"]


POWERTOOLS = """
from aws_lambda_powertools import Logger
logger = Logger(service="shop")

async def app(scope, receive, send):
    if scope["type"] == "http":
        logger.info("from powertools")
        await answer(send)
"""


def test_a_logger_of_powertools_is_not_doubled(tmp_path: Path) -> None:
    lines: list[str] = []

    async def test(service: Service) -> None:
        async with httpx.AsyncClient() as client:
            await client.get(service.http_api)
        await service.logged("REPORT")
        lines.extend(service.log)

    settings = 'environment = { AWS_LAMBDA_LOG_FORMAT = "JSON" }\n'
    with_lambda_service(tmp_path, test, POWERTOOLS, settings)
    assert sum("from powertools" in line for line in lines) == 1


def test_requests_that_run_at_once_keep_their_own_ids(tmp_path: Path) -> None:
    app = """
import asyncio, logging
logger = logging.getLogger("shop")
logger.setLevel("INFO")
waiting = asyncio.Barrier(3)
async def app(scope, receive, send):
    if scope["type"] == "http":
        await waiting.wait()
        logger.info("mine", extra={"mine": scope["path"]})
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})
"""
    (tmp_path / "main.py").write_text(app)

    async def requests(url: str) -> None:
        async with httpx.AsyncClient() as client:
            await asyncio.gather(*(client.get(f"{url}/{number}") for number in range(3)))

    with serving("main:app", tmp_path, **JSON, AMBIDEX_ECS_DRAIN="0") as served:
        asyncio.run(requests(served.url))
        assert served.status_within(30) == 0
    of_app = [json.loads(line) for line in served.err if '"mine"' in line]
    of_server = [json.loads(line) for line in served.out]
    assert len(of_app) == 3
    assert {document["mine"]: document["requestId"] for document in of_app} == {
        document["path"]: document["requestId"] for document in of_server
    }
