"""Streams from an app under `ambidex serve` to curl, boto3 and a browser, bit by bit."""

import asyncio
import hashlib
import os
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import boto3
import httpx
import pytest
from botocore.config import Config
from playwright.async_api import async_playwright

from ambidex.events.prelude import Parser
from tests.local.test_invoke_api import event
from tests.local.test_result_stream import FAST, go_on
from tests.project import Service, with_lambda_service

STREAM = """
[tool.ambidex.lambda]
front-door = "function-url"
response = "stream"
"""

# The app waits at the gate after each event, until whoever reads has got it.
APP = """
import asyncio
from pathlib import Path
from starlette.applications import Starlette
from starlette.responses import HTMLResponse, PlainTextResponse, StreamingResponse
from starlette.routing import Route

GATE = Path(__file__).parent / "gate"
PAGE = '''
<script>
seen = []
source = new EventSource("events")
source.onmessage = message => seen.push(message.data)
source.addEventListener("end", () => { source.close(); seen.push("end") })
</script>
'''

async def page(request):
    return HTMLResponse(PAGE)

async def events(request):
    async def told():
        for number in range(3):
            yield f"data: {number}\\n\\n"
            await asyncio.to_thread(GATE.read_text)
        yield "event: end\\ndata:\\n\\n"
    headers = {"cache-control": "no-cache"}
    return StreamingResponse(told(), media_type="text/event-stream", headers=headers)

async def download(request):
    async def pieces():
        for number in range(int(request.query_params["mib"])):
            yield bytes([number]) * (1 << 20)
    return StreamingResponse(pieces(), media_type="application/octet-stream")

async def endless(request):
    async def pieces():
        try:
            while True:
                yield b"x" * 65536
                await asyncio.sleep(0)
        finally:
            print("the stream is over")
    return StreamingResponse(pieces())

async def plain(request):
    return PlainTextResponse("whole", headers={"x-tag": "a"})

async def fails(request):
    async def pieces():
        yield b"half"
        await asyncio.to_thread(GATE.read_text)
        raise RuntimeError("in the middle")
    return StreamingResponse(pieces(), media_type="text/plain")

routes = [("/", page), ("/events", events), ("/download", download), ("/endless", endless),
          ("/plain", plain), ("/fails", fails)]
# A REST API's stage is in the path.
app = Starlette(routes=[Route(path, each) for path, each in routes])
"""


def run(
    folder: Path,
    test: Callable[[Service], Awaitable[None]],
    settings: str = STREAM,
    **options: Any,
) -> None:
    os.mkfifo(folder / "gate")
    with_lambda_service(folder, test, APP, settings, **options)


async def curl(*arguments: str) -> asyncio.subprocess.Process:
    program = shutil.which("curl")
    assert program is not None
    return await asyncio.create_subprocess_exec(
        program, "--silent", "--no-buffer", *arguments, stdout=asyncio.subprocess.PIPE
    )


@pytest.mark.parametrize("door", ["function_url", "rest_api"])
def test_curl_shows_each_event_before_the_app_sends_the_next(tmp_path: Path, door: str) -> None:
    async def test(service: Service) -> None:
        process = await curl(f"{getattr(service, door)}/events")
        assert process.stdout is not None
        for number in range(3):
            assert await process.stdout.readuntil(b"\n\n") == b"data: %d\n\n" % number
            await go_on(tmp_path / "gate")
        assert await process.stdout.read() == b"event: end\ndata:\n\n"
        assert await process.wait() == 0

    run(tmp_path, test)


@pytest.mark.parametrize("door", ["function_url", "rest_api"])
def test_curl_says_that_a_stream_which_the_app_breaks_off_is_not_complete(
    tmp_path: Path, door: str
) -> None:
    async def test(service: Service) -> None:
        process = await curl(f"{getattr(service, door)}/fails")
        assert process.stdout is not None
        assert await process.stdout.readexactly(4) == b"half"
        await go_on(tmp_path / "gate")
        assert await process.wait() == 18  # CURLE_PARTIAL_FILE
        await service.logged("RuntimeError: in the middle")
        await service.logged("REPORT")

    run(tmp_path, test)


@pytest.mark.parametrize(("door", "mib"), [("function_url", 40), ("rest_api", 11)])
def test_a_file_larger_than_any_that_is_not_streamed_arrives(
    tmp_path: Path, door: str, mib: int
) -> None:
    async def test(service: Service) -> None:
        digest = hashlib.sha256()
        async for piece in download(f"{getattr(service, door)}/download?mib={mib}"):
            digest.update(piece)
        assert digest.digest() == hashlib.sha256(content(mib)).digest()

    run(tmp_path, test, limits=FAST)


def test_a_file_of_more_than_200_mb_is_cut(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        url = f"{service.function_url}/download?mib=201"
        with pytest.raises(httpx.RemoteProtocolError):
            assert sum([len(piece) async for piece in download(url)])
        await service.logged("REPORT")

    run(tmp_path, test, limits=FAST)


async def download(url: str) -> AsyncIterator[bytes]:
    async with httpx.AsyncClient(timeout=60) as client, client.stream("GET", url) as response:
        assert response.status_code == 200
        async for piece in response.aiter_raw():
            yield piece


def content(mib: int) -> bytes:
    return b"".join(bytes([number]) * (1 << 20) for number in range(mib))


def test_the_same_function_answers_a_front_door_that_does_not_stream_whole(
    tmp_path: Path,
) -> None:
    async def test(service: Service) -> None:
        async with httpx.AsyncClient(timeout=60) as client:
            for door in ("http_api", "http_api_v1", "alb"):
                response = await client.get(f"{getattr(service, door)}/download?mib=1")
                expected = 500 if door == "alb" else 200  # whose results have 1 MB at most
                assert response.status_code == expected
                plain = await client.get(f"{getattr(service, door)}/plain")
                assert (plain.text, plain.headers["x-tag"]) == ("whole", "a")
            for door in ("function_url", "rest_api"):
                plain = await client.get(f"{getattr(service, door)}/plain")
                assert (plain.text, plain.headers["x-tag"]) == ("whole", "a")

    run(tmp_path, test)


def test_a_client_that_leaves_does_not_stop_the_app(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        async for piece in download(f"{service.function_url}/endless"):
            assert piece
            break
        # Lambda's limit of size ends it, not the client.
        await service.logged("bytes that Lambda streams")
        await service.logged("the stream is over")

    run(tmp_path, test, limits=FAST)


def test_boto3_reads_an_app_event_by_event(tmp_path: Path) -> None:
    gate = tmp_path / "gate"

    def with_boto3(service: Service) -> None:
        client = boto3.client(
            "lambda",
            endpoint_url=service.invoke_api,
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="y",
            config=Config(retries={"max_attempts": 0}),
        )
        answer = client.invoke_with_response_stream(
            FunctionName=service.service.function.name, Payload=function_url_event("/events")
        )
        parser, events = Parser(), iter(answer["EventStream"])
        found = None
        while found is None:
            found = parser.feed(next(events)["PayloadChunk"]["Payload"])
        prelude, body = found
        assert prelude["statusCode"] == 200  # type: ignore[index]
        for number in range(3):
            data = body or next(events)["PayloadChunk"]["Payload"]
            assert data == b"data: %d\n\n" % number
            body = b""
            gate.write_text("")
        assert next(events)["PayloadChunk"]["Payload"] == b"event: end\ndata:\n\n"
        assert next(events) == {"InvokeComplete": {}}
        answer["EventStream"].close()
        client.close()

    async def test(service: Service) -> None:
        await asyncio.to_thread(with_boto3, service)

    run(tmp_path, test)


def function_url_event(path: str) -> bytes:
    domain = b'"domainName": "x.lambda-url.eu-west-1.on.aws", "stage"'
    return event(path).replace(b'"stage"', domain)


def test_a_browsers_event_source_sees_each_event_before_the_app_sends_the_next(
    tmp_path: Path,
) -> None:
    program = shutil.which("chromium")
    assert program is not None, "there is no chromium: apt-get install chromium"

    async def test(service: Service) -> None:
        async with async_playwright() as playwright:
            browser = await playwright.chromium.launch(
                executable_path=program, args=["--no-sandbox", "--disable-dev-shm-usage"]
            )
            page = await browser.new_page()
            await page.goto(f"{service.function_url}/")
            for number in range(3):
                await page.wait_for_function(f"seen.length == {number + 1}")
                assert await page.evaluate("seen") == list(map(str, range(number + 1)))
                await go_on(tmp_path / "gate")
            await page.wait_for_function("seen.at(-1) == 'end'")
            await browser.close()
        await service.logged("REPORT")

    run(tmp_path, test)
