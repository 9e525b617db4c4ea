"""A server of the Model Context Protocol, called by the official SDK's own client."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from mcp import ClientSession
from mcp.client import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.exceptions import MCPError

from tests.apps.starting import HANDLER, MANGUM, NATIVE, Target, copied, started

# Mangum is not among the targets of each test, for it answers one request: see the last test.
WAYS = (NATIVE, HANDLER)
TARGETS = [NATIVE.on_lambda, NATIVE.on_ecs, HANDLER.on_lambda, HANDLER.on_ecs]

INSTEAD: dict[tuple[str, str], Any] = {
    ("mangum", "answers to three calls"): [200, 500, 500],
    ("mangum", "the SDK's client, after it has initialized"): "Server returned an error response",
}

CALL = {"jsonrpc": "2.0", "id": 1, "method": "tools/list"}
ACCEPT = {"accept": "application/json, text/event-stream"}


@pytest.fixture(params=TARGETS)
def target(request: pytest.FixtureRequest, targets: dict[str, Target]) -> Target:
    """Each target in turn."""
    return targets[request.param]


@asynccontextmanager
async def session(target: Target) -> AsyncIterator[ClientSession]:
    async with (
        streamable_http_client(f"{target.url}/mcp") as (incoming, outgoing),
        ClientSession(incoming, outgoing) as opened,
    ):
        yield opened


def test_ten_sessions_one_after_the_other_are_served_by_one_environment(target: Target) -> None:
    async def use(number: int) -> object:
        async with session(target) as opened:
            initialized = await opened.initialize()
            assert initialized.server_info.name == "weather"
            assert initialized.instructions == "Ask for a town."
            tools = await opened.list_tools()
            assert [tool.name for tool in tools.tools] == ["forecast", "process"]
            answer = await opened.call_tool("forecast", {"town": "Évora", "days": number})
            assert answer.structured_content == {
                "town": "Évora",
                "degrees": [5 + day for day in range(number)],
            }
            return (await opened.call_tool("process")).structured_content

    processes = [asyncio.run(use(number)) for number in range(1, 11)]
    assert processes == [processes[0]] * 10
    assert target.environments == 1


@pytest.mark.parametrize("mode", ["legacy", "auto"])
def test_both_generations_of_the_protocol_work(target: Target, mode: str) -> None:
    async def use() -> None:
        async with Client(f"{target.url}/mcp", mode=mode) as client:
            resource = await client.read_resource("weather://towns")
            assert [content.text for content in resource.contents] == ["Faro, Évora"]  # type: ignore[union-attr]  # this one is text
            refused = await client.call_tool("forecast", {"town": ""})
            assert refused.is_error
            assert "which town?" in refused.content[0].text  # type: ignore[union-attr]  # so is this

    asyncio.run(use())


def test_a_message_is_answered_by_one_json_document(client: httpx.Client) -> None:
    answer = client.post("/mcp", json=CALL, headers=ACCEPT)
    assert (answer.status_code, answer.headers["content-type"]) == (200, "application/json")
    assert [tool["name"] for tool in answer.json()["result"]["tools"]] == ["forecast", "process"]


def test_a_host_that_is_not_allowed_is_refused(client: httpx.Client) -> None:
    answer = client.post("/mcp", json=CALL, headers={**ACCEPT, "host": "evil.example"})
    assert (answer.status_code, answer.text) == (421, "Invalid Host header")


def test_a_stream_is_opened_on_ecs_and_declined_on_lambda(
    target: Target, client: httpx.Client
) -> None:
    with client.stream("GET", "/mcp", headers={"accept": "text/event-stream"}) as answer:
        if target.is_on_lambda:
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
        else:
            assert answer.status_code == 200
            assert answer.headers["content-type"].startswith("text/event-stream")


def test_one_process_answers_and_has_started_its_server_once(target: Target) -> None:
    assert target.startups() == [1, 1, 1]


@pytest.fixture(scope="module")
def streaming(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Target]]:
    """The targets of the server as the SDK makes it: all answers are streams, a GET's as well."""
    project = copied("mcp", NATIVE._replace(variables="MCP_RESPONSE=stream\n"),
                     tmp_path_factory.mktemp("streaming"))  # fmt: skip
    settings = project / "pyproject.toml"
    text = settings.read_text().replace("main:app", "main:everything")
    settings.write_text(text.replace("concurrency = 1\n", "concurrency = 1\ntimeout = 2\n"))
    with started(project, NATIVE) as targets:
        yield targets


@pytest.mark.parametrize("name", ["lambda", "ecs"])
def test_answers_in_a_stream_of_their_own_work_on_lambda_too(
    streaming: dict[str, Target], name: str
) -> None:
    answer = httpx.post(f"{streaming[name].url}/mcp", json=CALL, headers=ACCEPT)
    assert answer.headers["content-type"].startswith("text/event-stream")

    async def use() -> object:
        async with session(streaming[name]) as opened:
            await opened.initialize()
            return (await opened.call_tool("process")).structured_content

    assert asyncio.run(use()) == asyncio.run(use())


def test_a_stream_that_stays_open_runs_into_the_deadline(streaming: dict[str, Target]) -> None:
    target = streaming["lambda"]
    answer = httpx.get(f"{target.url}/mcp", headers={"accept": "text/event-stream"}, timeout=60)
    assert answer.status_code == 504
    target.logged("the app did not answer in time")


@pytest.fixture(scope="module")
def function_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """The server behind a Function URL that takes streams; its answers are streams."""
    project = copied("mcp", NATIVE._replace(variables="MCP_RESPONSE=stream\n"),
                     tmp_path_factory.mktemp("function_url"))  # fmt: skip
    settings = project / "pyproject.toml"
    streams = 'concurrency = 1\nfront-door = "function-url"\nresponse = "stream"\n'
    settings.write_text(settings.read_text().replace("concurrency = 1\n", streams))
    with started(project, NATIVE) as targets:
        yield targets["lambda"]


def test_a_tool_is_called_ten_times_by_streams_from_one_environment(function_url: Target) -> None:
    async def use() -> list[object]:
        async with session(function_url) as opened:
            await opened.initialize()
            return [(await opened.call_tool("process")).structured_content for _ in range(10)]

    processes = asyncio.run(use())
    assert processes == [processes[0]] * 10
    assert function_url.environments == 1
    with httpx.stream("POST", f"{function_url.url}/mcp", json=CALL, headers=ACCEPT) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "content-length" not in answer.headers


def test_under_mangum_only_the_first_call_is_answered(tmp_path: Path) -> None:
    # The SDK's session manager starts once in a process, and Mangum starts it for each request:
    # modelcontextprotocol/python-sdk#3121.
    with started(copied("mcp", MANGUM, tmp_path), MANGUM) as targets:
        target = targets["mangum"]
        answers = [httpx.post(f"{target.url}/mcp", json=CALL, headers=ACCEPT) for _ in range(3)]
        statuses = [answer.status_code for answer in answers]
        assert statuses == INSTEAD["mangum", "answers to three calls"]
        assert [tool["name"] for tool in answers[0].json()["result"]["tools"]] == [
            "forecast",
            "process",
        ]
        assert answers[1].json() == {"message": "Internal Server Error"}
        assert target.environments == 1
        target.logged(".run() can only be called once per instance")


def test_under_mangum_the_sdks_client_fails_after_it_has_initialized(tmp_path: Path) -> None:
    async def use(target: Target) -> None:
        async with session(target) as opened:
            assert (await opened.initialize()).server_info.name == "weather"
            with pytest.raises(MCPError) as failed:
                await opened.list_tools()
        instead = INSTEAD["mangum", "the SDK's client, after it has initialized"]
        assert str(failed.value) == instead

    with started(copied("mcp", MANGUM, tmp_path), MANGUM) as targets:
        asyncio.run(use(targets["mangum"]))
