"""The front doors that stream, and those that do not, in front of a function that does."""

import asyncio
import json
import os
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from ambidex.local.lambda_service import Limits
from ambidex.local.posted_result import StreamLimits
from tests.local.streaming_runtime import PRELUDE_TYPE, command, http_script, script
from tests.local.test_result_stream import FAST, UNLIMITED, go_on
from tests.project import Service, with_lambda_service

STREAM = """
[tool.ambidex.lambda]
front-door = "function-url"
response = "stream"
"""
STREAMING = ("function_url", "rest_api")
BUFFERED = ("http_api", "http_api_v1", "alb")
PLAIN = {"Content-Type": "text/plain"}

REST_INTERNAL = '{"message": "Internal server error"}'
# What each front door answers in place of a function that fails, and of one that is malformed.
FAILED = {"function_url": (502, "Internal Server Error"), "rest_api": (502, REST_INTERNAL)}
NO_PRELUDE = {"function_url": (502, "Internal Server Error"), "rest_api": (500, REST_INTERNAL)}


def run(
    folder: Path,
    test: Callable[[Service], Awaitable[None]],
    settings: str = STREAM,
    **options: Any,
) -> None:
    with_lambda_service(folder, test, "app = 1", settings, command=command(folder), **options)


async def post(url: str, event: bytes, method: str = "POST") -> httpx.Response:
    async with httpx.AsyncClient(timeout=60) as client:
        return await client.request(method, url, content=event)


async def read_on(pieces: AsyncIterator[bytes]) -> None:
    async for _ in pieces:
        pass


every_streaming_door = pytest.mark.parametrize("door", STREAMING)


@every_streaming_door
def test_each_piece_reaches_the_client_before_the_function_sends_the_next(
    tmp_path: Path, door: str
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    event = http_script(
        {"statusCode": 201, "headers": PLAIN},
        ("wait", str(gate)), ("send", "a"), ("wait", str(gate)), ("send", "b"), ("end",),
    )  # fmt: skip

    async def test(service: Service) -> None:
        async with (
            httpx.AsyncClient(timeout=60) as client,
            client.stream("POST", getattr(service, door), content=event) as response,
        ):
            # The head is here, and nothing else has been sent.
            assert response.status_code == 201
            assert response.headers["transfer-encoding"] == "chunked"
            pieces = response.aiter_raw()
            await go_on(gate)
            assert await anext(pieces) == b"a"
            await go_on(gate)
            assert await anext(pieces) == b"b"
            assert await anext(pieces, None) is None
        await service.logged("answered HTTP/1.1 202 Accepted")

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("door", "fields"),
    [
        ("function_url", {"headers": {"X-Tag": "a,b"}, "cookies": ["a=1", "b=2; Path=/"]}),
        (
            "rest_api",
            {
                "multiValueHeaders": {"Set-Cookie": ["a=1", "b=2; Path=/"], "X-Tag": ["a", "b"]},
                "headers": PLAIN,
            },
        ),
        ("rest_api", {"headers": {"X-Tag": "a,b"}, "cookies": ["a=1", "b=2; Path=/"]}),
    ],
)
def test_headers_and_cookies_of_the_prelude_arrive(
    tmp_path: Path, door: str, fields: dict[str, Any]
) -> None:
    async def test(service: Service) -> None:
        event = http_script({"statusCode": 200, **fields}, ("send", "\0\xff"), ("end",))
        response = await post(getattr(service, door), event)
        assert response.headers.get_list("set-cookie") == ["a=1", "b=2; Path=/"]
        assert ",".join(response.headers.get_list("x-tag")) == "a,b"
        assert response.content == b"\0\xff"
        assert response.headers["x-amzn-requestid"]
        assert response.headers["x-amzn-trace-id"].startswith("Root=")

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("door", "length"),
    [("function_url", "x-amzn-remapped-content-length"), ("rest_api", "content-length")],
)
def test_the_functions_content_length(tmp_path: Path, door: str, length: str) -> None:
    async def test(service: Service) -> None:
        head = {"statusCode": 200, "headers": {"Content-Length": "3"}}
        response = await post(
            getattr(service, door), http_script(head, ("send", "ab"), ("send", "c"), ("end",))
        )
        assert response.headers[length] == "3"
        assert ("transfer-encoding" in response.headers) == (door == "function_url")
        assert response.text == "abc"

    run(tmp_path, test)


@pytest.mark.parametrize("length", ["2", "4"])
def test_a_content_length_that_is_not_the_streams_cuts_the_connection(
    tmp_path: Path, length: str
) -> None:
    async def test(service: Service) -> None:
        head = {"statusCode": 200, "headers": {"Content-Length": length}}
        with pytest.raises(httpx.RemoteProtocolError):
            await post(service.rest_api, http_script(head, ("send", "abc"), ("end",)))

    run(tmp_path, test)


@every_streaming_door
@pytest.mark.parametrize(("method", "status"), [("HEAD", 200), ("POST", 204), ("POST", 304)])
def test_a_response_without_a_body_has_none(
    tmp_path: Path, door: str, method: str, status: int
) -> None:
    async def test(service: Service) -> None:
        event = http_script({"statusCode": status, "headers": PLAIN}, ("send", "x"), ("end",))
        async with httpx.AsyncClient(timeout=60) as client:
            for _ in range(2):  # the second on the same connection
                response = await client.request(method, getattr(service, door), content=event)
                assert (response.status_code, response.content) == (status, b"")

    run(tmp_path, test)


@every_streaming_door
def test_a_client_that_wants_no_body_does_not_wait_for_it(tmp_path: Path, door: str) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    head = {"statusCode": 200, "headers": PLAIN}

    async def test(service: Service) -> None:
        limits = httpx.Limits(max_connections=1)
        async with httpx.AsyncClient(timeout=60, limits=limits) as client:
            for steps in ([("wait", str(gate)), ("end",)], [("end",)]):
                url, event = getattr(service, door), http_script(head, *steps)
                assert (await client.request("HEAD", url, content=event)).status_code == 200
        await go_on(gate)

    run(tmp_path, test)


@every_streaming_door
def test_a_stream_that_ends_with_its_prelude_is_an_empty_body(tmp_path: Path, door: str) -> None:
    async def test(service: Service) -> None:
        response = await post(getattr(service, door), http_script({"statusCode": 302}, ("end",)))
        assert (response.status_code, response.content) == (302, b"")

    run(tmp_path, test)


BREAKS_OFF = [
    pytest.param([("trailers", "Function.Oh", b64encode(b"{}").decode())], id="an error"),
    pytest.param([("exit", 1)], id="the runtime dies"),
    pytest.param([("hang",)], id="the function times out"),
    pytest.param([("close",)], id="the post breaks off"),
]
TOO_LARGE = pytest.param([("bytes", 1 << 20), ("end",)], id="it is too large")
SMALL = Limits(streams=StreamLimits(1 << 19, UNLIMITED))


@every_streaming_door
@pytest.mark.parametrize("steps", BREAKS_OFF)
def test_a_stream_that_breaks_off_before_its_prelude_is_a_page_of_the_front_door(
    tmp_path: Path, door: str, steps: list[Any]
) -> None:
    async def test(service: Service) -> None:
        event = script(("send", '{"statusCode"'), *steps, content_type=PRELUDE_TYPE)
        response = await post(getattr(service, door), event)
        assert (response.status_code, response.text) == FAILED[door]

    run(tmp_path, test, timeout_s=1)


@every_streaming_door
@pytest.mark.parametrize("steps", [*BREAKS_OFF, TOO_LARGE])
def test_a_stream_that_breaks_off_behind_its_prelude_cuts_the_connection(
    tmp_path: Path, door: str, steps: list[Any]
) -> None:
    async def test(service: Service) -> None:
        event = http_script({"statusCode": 200, "headers": PLAIN}, ("send", "half"), *steps)
        async with (
            httpx.AsyncClient(timeout=60) as client,
            client.stream("POST", getattr(service, door), content=event) as response,
        ):
            assert response.status_code == 200
            pieces = response.aiter_raw()
            assert (await anext(pieces)).startswith(b"half")
            with pytest.raises(httpx.RemoteProtocolError):
                await read_on(pieces)

    run(tmp_path, test, timeout_s=1, limits=SMALL)


@every_streaming_door
@pytest.mark.parametrize(
    "prelude",
    [
        pytest.param("x" + "\0" * 8, id="no JSON"),
        pytest.param('{"statusCode":99}' + "\0" * 8, id="no status"),
        pytest.param("{}" + "\0" * 7, id="no delimiter"),
        pytest.param("", id="nothing"),
    ],
)
def test_a_wrong_prelude_is_the_front_doors_page(tmp_path: Path, door: str, prelude: str) -> None:
    async def test(service: Service) -> None:
        steps = [("send", prelude)] if prelude else []
        event = script(*steps, ("end",), content_type=PRELUDE_TYPE)
        response = await post(getattr(service, door), event)
        assert (response.status_code, response.text) == NO_PRELUDE[door]

    run(tmp_path, test)


@every_streaming_door
def test_a_header_that_cannot_be_sent_is_a_502(tmp_path: Path, door: str) -> None:
    async def test(service: Service) -> None:
        event = http_script({"statusCode": 200, "headers": {"X-A": "a\nb"}}, ("end",))
        assert (await post(getattr(service, door), event)).status_code == 502

    run(tmp_path, test)


@pytest.mark.parametrize(("door", "status"), [("function_url", 200), ("rest_api", 500)])
def test_a_rest_api_wants_the_delimiter_within_16_kb(
    tmp_path: Path, door: str, status: int
) -> None:
    async def test(service: Service) -> None:
        event = http_script({"statusCode": 200, "headers": {"X-A": "a" * 16384}}, ("end",))
        assert (await post(getattr(service, door), event)).status_code == status

    run(tmp_path, test)


PROXY_RESULT = '{"statusCode":201,"headers":{"content-type":"text/plain"},"body":"x"}'


def test_a_function_url_that_streams_takes_no_result_apart(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        event = json.dumps(
            {"steps": [], "body": PROXY_RESULT, "headers": {"Content-Type": "application/json"}}
        ).encode()
        response = await post(service.function_url, event)
        assert (response.status_code, response.text) == (200, PROXY_RESULT)
        assert response.headers["content-type"] == "application/json"

    run(tmp_path, test)


def test_a_rest_api_that_streams_takes_no_result_that_is_not_streamed(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        response = await post(
            service.rest_api, json.dumps({"steps": [], "body": PROXY_RESULT}).encode()
        )
        assert (response.status_code, response.text) == NO_PRELUDE["rest_api"]

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("posted", "arrives"), [("", "application/octet-stream"), ("text/event-stream",) * 2]
)
def test_bytes_without_a_prelude_are_a_200_of_a_function_url(
    tmp_path: Path, posted: str, arrives: str
) -> None:
    async def test(service: Service) -> None:
        event = script(("send", "a"), ("send", "\0" * 9), ("end",), content_type=posted)
        response = await post(service.function_url, event)
        assert (response.status_code, response.content) == (200, b"a" + bytes(9))
        assert response.headers["content-type"] == arrives

    run(tmp_path, test)


@pytest.mark.parametrize("steps", [[("exit", 1)], [("trailers", "Function.Oh", "")]])
def test_a_function_that_fails_before_its_first_byte_is_a_502(
    tmp_path: Path, steps: list[Any]
) -> None:
    async def test(service: Service) -> None:
        response = await post(service.function_url, script(*steps))
        assert (response.status_code, response.text) == FAILED["function_url"]

    run(tmp_path, test)


@pytest.mark.parametrize("door", BUFFERED)
def test_front_doors_that_do_not_stream_lose_the_body_of_what_is_streamed(
    tmp_path: Path, door: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(service: Service) -> None:
        head = {"statusCode": 201, "headers": {"X-Tag": "a"}}
        response = await post(getattr(service, door), http_script(head, ("send", "lost"), ("end",)))
        assert (response.status_code, response.content) == (201, b"")
        if door != "alb":  # which looks for multiValueHeaders
            assert response.headers["x-tag"] == "a"
        assert "4 bytes of a response are lost" in caplog.text

    run(tmp_path, test)


@pytest.mark.parametrize("door", STREAMING)
def test_without_the_setting_a_front_door_loses_the_body_of_what_is_streamed(
    tmp_path: Path, door: str, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(service: Service) -> None:
        head = {"statusCode": 201, "headers": {"X-Tag": "a"}}
        response = await post(getattr(service, door), http_script(head, ("send", "lost"), ("end",)))
        assert (response.status_code, response.content) == (201, b"")
        assert response.headers["x-tag"] == "a"
        assert "4 bytes of a response are lost" in caplog.text

    run(tmp_path, test, "")


@every_streaming_door
def test_a_client_that_leaves_does_not_stop_the_function(tmp_path: Path, door: str) -> None:
    async def test(service: Service) -> None:
        event = http_script({"statusCode": 200}, ("send", "a"), ("bytes", 32 << 20), ("end",))
        async with (
            httpx.AsyncClient(timeout=60) as client,
            client.stream("POST", getattr(service, door), content=event) as response,
        ):
            assert await anext(response.aiter_raw())
        await service.logged("answered HTTP/1.1 202 Accepted")
        await service.logged("REPORT")

    run(tmp_path, test, limits=FAST)


@pytest.mark.parametrize("is_begun", [False, True])
def test_a_rest_api_gives_up_a_stream_that_is_silent(tmp_path: Path, is_begun: bool) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    head = {"statusCode": 200, "headers": PLAIN}

    async def test(service: Service) -> None:
        if is_begun:
            event = http_script(head, ("send", "half"), ("wait", str(gate)), ("end",))
            with pytest.raises(httpx.RemoteProtocolError):
                await post(service.rest_api, event)
        else:
            event = script(("wait", str(gate)), ("end",), content_type=PRELUDE_TYPE)
            response = await post(service.rest_api, event)
            assert response.status_code == 504
            assert response.text == '{"message": "Endpoint request timed out"}'
        await go_on(gate)
        await service.logged("answered HTTP/1.1 202 Accepted")

    run(tmp_path, test, front_door_s=0.3)


def test_a_stream_that_begins_after_a_rest_api_gave_up_goes_on_to_nobody(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    async def test(service: Service) -> None:
        head = json.dumps({"statusCode": 200}) + "\0" * 8
        steps = (("send", head), ("bytes", 1 << 20), ("end",))
        event = script(*steps, content_type=PRELUDE_TYPE, gate=str(gate))
        assert (await post(service.rest_api, event)).status_code == 504
        await go_on(gate)
        await service.logged("REPORT")
        assert "answered HTTP/1.1 202 Accepted" in service.log

    run(tmp_path, test, front_door_s=0.3, timeout_s=10)


@pytest.mark.parametrize("door", [*STREAMING, "invoke_api"])
def test_a_client_that_leaves_before_the_stream_begins_does_not_stop_the_function(
    tmp_path: Path, door: str
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    async def test(service: Service) -> None:
        head = json.dumps({"statusCode": 200}) + "\0" * 8
        steps = (("send", head), ("bytes", 1 << 20), ("end",))
        event = script(*steps, content_type=PRELUDE_TYPE, gate=str(gate))
        name = service.service.function.name
        path = f"/2021-11-15/functions/{name}/response-streaming-invocations"
        url = getattr(service, door) + (path if door == "invoke_api" else "")
        leaving = asyncio.create_task(post(url, event))
        await service.logged("START")
        leaving.cancel()
        await asyncio.wait({leaving})
        await go_on(gate)
        await service.logged("REPORT")
        assert "answered HTTP/1.1 202 Accepted" in service.log

    run(tmp_path, test, timeout_s=10)


@every_streaming_door
def test_a_client_of_http_1_0_gets_a_stream_that_ends_with_the_connection(
    tmp_path: Path, door: str
) -> None:
    async def test(service: Service) -> None:
        event = http_script({"statusCode": 200, "headers": PLAIN}, ("send", "all"), ("end",))
        host, _, rest = getattr(service, door).removeprefix("http://").partition(":")
        port, _, path = rest.partition("/")
        reader, writer = await asyncio.open_connection(host, int(port))
        head = f"POST /{path} HTTP/1.0\r\nContent-Length: {len(event)}\r\n\r\n".encode()
        writer.write(head + event)
        answer = await reader.read()
        assert answer.endswith(b"\r\n\r\nall")
        writer.close()
        await writer.wait_closed()

    run(tmp_path, test)
