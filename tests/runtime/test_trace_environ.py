"""The variable _X_AMZN_TRACE_ID where requests overlap, as boto3 and the app see it."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextvars import copy_context
from os import environ
from threading import Barrier

import boto3
import pytest
from botocore.config import Config
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from ambidex.asgi.types import Receive, Scope, Send
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.runtime_api_server import listen
from ambidex.log.context import request_id
from ambidex.runtime import trace_environ
from ambidex.runtime.deadline import Deadlines
from ambidex.runtime.slots import Slots
from tests.runtime.held_runtime_api import held_runtime_api
from tests.runtime.test_loop import function_of
from tests.runtime.test_slots import name

TRACE_ID = "_X_AMZN_TRACE_ID"


@pytest.fixture(autouse=True)
def installed() -> Iterator[None]:
    kind = os.environ.__class__
    assert TRACE_ID not in os.environ
    trace_environ.install()
    trace_environ.install()
    yield
    os.environ.pop(TRACE_ID, None)
    os.environ.__class__ = kind


def test_the_variable_is_the_contexts_for_whoever_holds_the_environment() -> None:
    contexts = [copy_context(), copy_context()]
    for number, context in enumerate(contexts):
        context.run(os.environ.__setitem__, TRACE_ID, f"Root={number}")
    for number, context in enumerate(contexts):
        for read in (os.environ.get, os.getenv, environ.get, os.environ.__getitem__):
            assert context.run(read, TRACE_ID) == f"Root={number}"
        assert context.run(dict, os.environ) == {**os.environ, TRACE_ID: f"Root={number}"}
        assert context.run(len, os.environ) == len(os.environ) + 1
    assert TRACE_ID not in os.environ
    assert TRACE_ID not in list(os.environ)


def test_a_context_without_the_variable_has_none() -> None:
    assert os.environ.get(TRACE_ID) is None
    with pytest.raises(KeyError, match=TRACE_ID):
        os.environ[TRACE_ID]
    with pytest.raises(KeyError, match=TRACE_ID):
        del os.environ[TRACE_ID]
    os.environ[TRACE_ID] = "Root=1"
    del os.environ[TRACE_ID]
    assert TRACE_ID not in os.environ


def test_what_is_set_before_stays() -> None:
    os.environ.__class__ = os._Environ
    os.environ[TRACE_ID] = "Root=1"
    trace_environ.install()
    assert os.environ[TRACE_ID] == "Root=1"
    trace_environ.install()
    assert os.environ[TRACE_ID] == "Root=1"


def test_every_other_variable_is_one_of_the_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OTHER", "value")
    script = "import os; print(os.environ['OTHER'])"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "value\n"
    monkeypatch.delenv("OTHER")
    assert "OTHER" not in os.environ


def test_boto3_sends_each_requests_own_trace_id(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
    for credential in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(credential, "none")
    sent: dict[str, str] = {}

    async def s3(exchange: ServerExchange) -> None:
        headers = {name.lower(): value for name, value in exchange.head.headers}
        key = exchange.head.target.decode().rpartition("/")[2]
        sent[key] = headers.get(b"x-amzn-trace-id", b"").decode()
        exchange.respond(200, ())

    async def main() -> None:
        server = await listen(s3)
        client = boto3.client(
            "s3",
            region_name="eu-west-1",
            endpoint_url=f"http://127.0.0.1:{server.port}",
            config=Config(s3={"addressing_style": "path"}),
        )
        barrier = asyncio.Barrier(8)

        async def app(scope: Scope, receive: Receive, send: Send) -> None:
            await barrier.wait()
            key = scope["aws.context"].aws_request_id
            await asyncio.to_thread(client.head_object, Bucket="bucket", Key=key)
            await name(scope, receive, send)

        async with held_runtime_api() as api:
            slots = Slots(api.address, 8, function_of(app), os.environ, Deadlines(0))
            running = asyncio.create_task(slots.run())
            for number in range(8):
                trace_id = f"Root=1-{number}" if number else ""
                await api.hand_out(f"r-{number}", trace_id=trace_id)
            for number in range(8):
                await api.answer(f"r-{number}")
            slots.stop()
            await running
        server.abort()
        await server.closed()
        client.close()

    asyncio.run(main())
    assert sent == {"r-0": ""} | {f"r-{number}": f"Root=1-{number}" for number in range(1, 8)}


def test_endpoints_that_starlette_runs_in_threads_overlap_and_see_their_own_ids() -> None:
    barrier = Barrier(8)

    def endpoint(request: Request) -> PlainTextResponse:
        barrier.wait(60)  # nobody passes before all have come
        return PlainTextResponse(f"{os.environ[TRACE_ID]} {request_id()}")

    app = Starlette(routes=[Route("/", endpoint)])

    async def main() -> None:
        async with held_runtime_api() as api:
            slots = Slots(api.address, 8, function_of(app), os.environ, Deadlines(0))
            running = asyncio.create_task(slots.run())
            for number in range(8):
                await api.hand_out(f"r-{number}", trace_id=f"Root=1-{number}")
            for number in range(8):
                assert (await api.answer(f"r-{number}")).text == f"Root=1-{number} r-{number}"
            slots.stop()
            await running

    asyncio.run(main())
