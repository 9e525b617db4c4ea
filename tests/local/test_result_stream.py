"""Streamed results: how they come from a runtime, how they end, and what they may hold."""

import asyncio
import json
import os
from base64 import b64encode
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambidex.local.bandwidth import LAMBDA, Bandwidth, Bucket
from ambidex.local.invocation import Invocation
from ambidex.local.lambda_service import Limits
from ambidex.local.posted_result import StreamLimits
from ambidex.local.result_stream import ResultStream
from ambidex.local.runtime_api import State
from tests.local import moved_clock
from tests.local.moved_clock import MovedClock, turns
from tests.local.streaming_runtime import PRELUDE_TYPE, command, script
from tests.project import Service, lambda_service, project, with_lambda_service

UNLIMITED = Bandwidth(1 << 40, 1 << 40)
MANAGED = "[tool.ambidex.lambda]\nmax-concurrency = 2\n"
FAST = Limits(streams=StreamLimits(bandwidth=UNLIMITED))


def run(
    folder: Path,
    test: Callable[[Service], Awaitable[None]],
    settings: str = "",
    **options: Any,
) -> None:
    with_lambda_service(folder, test, "app = 1", settings, command=command(folder), **options)


async def stream_of(invocation: Invocation) -> ResultStream:
    outcome = await invocation.outcome
    assert outcome.stream is not None
    assert not outcome.is_error
    return outcome.stream


async def rest_of(stream: ResultStream) -> bytes:
    return b"".join([piece async for piece in stream])


async def go_on(gate: Path) -> None:
    """Let a runtime that waits at a gate go on."""
    await asyncio.to_thread(gate.write_text, "")


def test_each_piece_reaches_the_caller_before_the_runtime_sends_the_next(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    async def test(service: Service) -> None:
        event = script(
            ("send", "a"), ("wait", str(gate)), ("send", "b"), ("wait", str(gate)), ("end",),
            content_type="text/event-stream",
        )  # fmt: skip
        invocation = service.service.invoke(event, takes_stream=True)
        stream = await stream_of(invocation)
        assert stream.content_type == "text/event-stream"
        assert await anext(stream) == b"a"
        await go_on(gate)
        assert await anext(stream) == b"b"
        assert not invocation.finished.done()
        await go_on(gate)
        assert await anext(stream, b"") == b""
        assert stream.error is None
        await invocation.finished
        await service.logged("answered HTTP/1.1 202 Accepted")
        await service.logged("REPORT")

    run(tmp_path, test)


def test_a_caller_that_takes_no_streams_gets_all_bytes_at_their_end(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        event = script(("send", "{}"), ("send", "\0\xff"), ("end",), content_type=PRELUDE_TYPE)
        outcome = await service.service.invoke(event).outcome
        assert outcome == (b"{}\0\xff", "", PRELUDE_TYPE, None)

    run(tmp_path, test)


@pytest.mark.parametrize("takes_stream", [True, False])
def test_a_result_that_is_not_streamed_is_whole_for_every_caller(
    tmp_path: Path, takes_stream: bool
) -> None:
    async def test(service: Service) -> None:
        event = json.dumps({"steps": [], "body": "{}", "headers": {"Content-Type": "a/b"}}).encode()
        outcome = await service.service.invoke(event, takes_stream=takes_stream).outcome
        assert outcome == (b"{}", "", "a/b", None)

    run(tmp_path, test)


@pytest.mark.parametrize("mode", ["buffered", "Streaming", "stream"])
def test_another_response_mode_is_refused_and_fails_the_invocation(
    tmp_path: Path, mode: str
) -> None:
    async def test(service: Service) -> None:
        headers = {"Lambda-Runtime-Function-Response-Mode": mode}
        event = script(("send", "x"), ("end",), headers=headers)
        invocation = service.service.invoke(event, takes_stream=True)
        outcome = await invocation.outcome
        assert outcome.error_type == "Runtime.InvalidResponseModeHeader"
        await service.logged("answered HTTP/1.1 400")
        await invocation.finished

    run(tmp_path, test)


ERROR = b'{"errorType":"Oh","errorMessage":"no"}'


@pytest.mark.parametrize(
    ("kind", "body", "payload"),
    [
        pytest.param("Function.Oh", b64encode(ERROR).decode(), ERROR, id="as documented"),
        pytest.param("Function.Oh", "not base64!", b"not base64!", id="not base64"),
        pytest.param("Function.Oh", "", b"", id="no body"),
    ],
)
@pytest.mark.parametrize("takes_stream", [True, False])
def test_an_error_behind_the_first_byte_comes_in_trailers(
    tmp_path: Path, kind: str, body: str, payload: bytes, takes_stream: bool
) -> None:
    async def test(service: Service) -> None:
        event = script(("send", "half"), ("trailers", kind, body))
        invocation = service.service.invoke(event, takes_stream=takes_stream)
        outcome = await invocation.outcome
        if takes_stream:
            assert outcome.stream is not None
            assert await rest_of(outcome.stream) == b"half"
            assert outcome.stream.error is not None
            outcome = outcome.stream.error
        assert outcome == (payload, kind, "", None)
        await service.logged("answered HTTP/1.1 202 Accepted")

    run(tmp_path, test)


@pytest.mark.parametrize(
    ("steps", "error_type", "log"),
    [
        pytest.param(
            [("exit", 3)], "Runtime.ExitError", "Runtime exited with error: exit status 3",
            id="the runtime dies",
        ),
        pytest.param(
            [("hang",)], "Sandbox.Timedout", "Task timed out after 1.00 seconds",
            id="the function times out",
        ),
        pytest.param(
            [("close",)], "Runtime.TruncatedResponse", "closed by the peer",
            id="the post breaks off",
        ),
    ],
)  # fmt: skip
@pytest.mark.parametrize("takes_stream", [True, False])
def test_a_stream_that_breaks_off_says_why_and_the_next_invocation_is_served(
    tmp_path: Path, steps: list[Any], error_type: str, log: str, takes_stream: bool
) -> None:
    async def test(service: Service) -> None:
        event = script(("send", "half"), *steps)
        invocation = service.service.invoke(event, takes_stream=takes_stream)
        outcome = await invocation.outcome
        if takes_stream:
            assert outcome.stream is not None
            assert await rest_of(outcome.stream) == b"half"
            assert outcome.stream.error is not None
            outcome = outcome.stream.error
        assert outcome.error_type == error_type
        assert log in outcome.payload.decode()
        await invocation.finished
        await service.logged("REPORT")
        again = service.service.invoke(script(("send", "whole"), ("end",)), takes_stream=True)
        assert await rest_of(await stream_of(again)) == b"whole"

    run(tmp_path, test, timeout_s=1, concurrency=3)


def test_a_broken_stream_is_given_its_own_time_to_find_a_better_reason(tmp_path: Path) -> None:
    async def test(clock: MovedClock) -> None:
        settings = project(tmp_path, "app = 1")
        async with lambda_service(tmp_path, settings, command=command(tmp_path)) as service:
            first = service.service.invoke(script(("send", "half"), ("close",)), takes_stream=True)
            await first.finished
            clock.ahead_s += 0.3
            second = service.service.invoke(
                script(("send", "half"), ("drop",), ("hang",)), takes_stream=True
            )
            stream = await stream_of(second)
            reading = asyncio.create_task(rest_of(stream))
            (environment,) = service.service.environments
            while environment.state is not State.ANSWERED:  # noqa: ASYNC110 – it has no event
                await asyncio.sleep(0)
            clock.ahead_s += 0.3  # the first one's half second is over
            await turns()
            assert not reading.done()
            clock.ahead_s += 0.3
            assert await reading == b"half"
            assert stream.error is not None
            assert stream.error.error_type == "Runtime.TruncatedResponse"

    moved_clock.run(test)


@pytest.mark.parametrize(
    "settings", [pytest.param("", id="ordinary"), pytest.param(MANAGED, id="Managed Instances")]
)
def test_a_stream_that_is_too_large_is_cut_and_the_runtime_told(
    tmp_path: Path, settings: str
) -> None:
    limits = Limits(streams=StreamLimits(10, UNLIMITED))

    async def test(service: Service) -> None:
        event = script(("send", "1234567"), ("send", "89012"), ("end",))
        stream = await stream_of(service.service.invoke(event, takes_stream=True))
        assert await rest_of(stream) == b"1234567890"
        assert stream.error is not None
        assert stream.error.error_type == "Function.ResponseSizeTooLarge"
        assert "maximum allowed payload size (10 bytes)" in stream.error.payload.decode()
        await service.logged("answered HTTP/1.1 413")

    run(tmp_path, test, settings, limits=limits)


def test_a_stream_as_large_as_it_may_be_is_complete(tmp_path: Path) -> None:
    limits = Limits(streams=StreamLimits(10, UNLIMITED))

    async def test(service: Service) -> None:
        event = script(("send", "1234567"), ("send", "890"), ("end",))
        stream = await stream_of(service.service.invoke(event, takes_stream=True))
        assert await rest_of(stream) == b"1234567890"
        assert stream.error is None

    run(tmp_path, test, limits=limits)


def test_a_caller_that_takes_no_streams_takes_6_mb_of_one(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        outcome = await service.service.invoke(script(("bytes", 7 << 20), ("end",))).outcome
        assert outcome.error_type == "Function.ResponseSizeTooLarge"
        assert "(6291556 bytes)" in outcome.payload.decode()

    run(tmp_path, test, limits=FAST)


def test_a_function_whose_caller_has_left_streams_on_to_nobody(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        event = script(("send", "a"), ("bytes", 32 << 20), ("end",))
        invocation = service.service.invoke(event, takes_stream=True)
        stream = await stream_of(invocation)
        assert await anext(stream)
        stream.leave()
        await invocation.finished
        await service.logged("answered HTTP/1.1 202 Accepted")

    run(tmp_path, test, limits=FAST)


def test_a_caller_that_does_not_read_makes_the_runtime_wait(tmp_path: Path) -> None:
    async def test(service: Service) -> None:
        event = script(("fill",), ("send", "end"), ("end",))
        invocation = service.service.invoke(event, takes_stream=True)
        stream = await stream_of(invocation)
        line = await service.logged("full after")
        assert int(line.split()[-1]) < 32 << 20  # what fits between two sockets and a buffer
        assert not invocation.finished.done()
        data = await rest_of(stream)
        assert data.endswith(b"end")
        assert len(data) >= int(line.split()[-1])

    run(tmp_path, test, limits=FAST)


@pytest.mark.parametrize(
    "call", [("GET", "/next"), ("POST", "/{id}/response"), ("POST", "/{id}/error")]
)
def test_no_other_call_may_come_while_a_result_is_streamed(
    tmp_path: Path, call: tuple[str, str]
) -> None:
    async def test(service: Service) -> None:
        method, path = call
        request_id = "11111111-1111-4111-8111-111111111111"
        event = script(
            ("send", "a"), ("call", method, path.format(id=request_id)), ("send", "b"), ("end",)
        )
        invocation = service.service.invoke(event, request_id, takes_stream=True)
        assert await rest_of(await stream_of(invocation)) == b"ab"
        await service.logged("called 403")

    run(tmp_path, test)


# Bandwidth

KIB = 1024


class Clock:
    def __init__(self) -> None:
        self.s = 0.0

    def __call__(self) -> float:
        return self.s


def test_the_first_6_mb_go_at_full_speed_and_the_rest_with_2_mb_a_second() -> None:
    clock = Clock()
    bucket = Bucket(LAMBDA, clock)
    assert bucket.take(6 * KIB * KIB) == 0
    for second in range(1, 5):
        for tick in range(1, 9):
            delay_s = bucket.take(256 * KIB)
            clock.s += delay_s
            assert delay_s == 0.125
            assert clock.s == second - 1 + tick * 0.125


def test_a_stream_that_pauses_may_catch_up() -> None:
    clock = Clock()
    bucket = Bucket(LAMBDA, clock)
    bucket.take(6 * KIB * KIB)
    clock.s = 2
    assert bucket.take(4 * KIB * KIB) == 0
    assert bucket.take(1) == 0.125
    clock.s = 600
    assert bucket.take(6 * KIB * KIB) == 0
    assert bucket.take(1) > 0


@given(st.lists(st.tuples(st.integers(1, 5000), st.floats(0, 3)), max_size=50))
def test_no_stream_is_faster_than_it_may_be(pieces: list[tuple[int, float]]) -> None:
    clock = Clock()
    bucket = Bucket(Bandwidth(1000, 800), clock)
    sent = 0
    for size, pause_s in pieces:
        clock.s += bucket.take(size)
        sent += size
        assert sent <= 1000 + 800 * clock.s + 1e-6
        clock.s += pause_s


def test_a_stream_waits_for_its_bandwidth(tmp_path: Path) -> None:
    limits = Limits(streams=StreamLimits(bandwidth=Bandwidth(8, 32)))

    async def test(service: Service) -> None:
        event = script(("send", "x" * 8), ("send", "x" * 16), ("end",))
        invocation = service.service.invoke(event, takes_stream=True)
        assert len(await rest_of(await stream_of(invocation))) == 24
        report = await service.logged("REPORT")
        assert float(report.split("Duration: ")[1].split()[0]) >= 500 - 125  # a tick may be over

    run(tmp_path, test, limits=limits)


# Managed Instances


def test_a_stream_from_managed_instances_comes_piece_by_piece(tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    async def test(service: Service) -> None:
        event = script(("send", "a"), ("wait", str(gate)), ("send", "b"), ("end",))
        invocation = service.service.invoke(event, takes_stream=True)
        stream = await stream_of(invocation)
        assert await anext(stream) == b"a"
        await go_on(gate)
        assert await rest_of(stream) == b"b"
        await invocation.finished

    run(tmp_path, test, MANAGED)


@pytest.mark.parametrize(
    ("steps", "error_type"),
    [
        pytest.param([("close",)], "Runtime.TruncatedResponse", id="the post breaks off"),
        pytest.param([("exit", 3)], "Runtime.ExitError", id="the process dies"),
        pytest.param(
            [("trailers", "Function.Oh", b64encode(ERROR).decode())], "Function.Oh", id="trailers"
        ),
    ],
)
def test_a_stream_from_managed_instances_that_breaks_off_says_why(
    tmp_path: Path, steps: list[Any], error_type: str
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)

    async def test(service: Service) -> None:
        event = script(("send", "half"), ("wait", str(gate)), *steps)
        invocation = service.service.invoke(event, takes_stream=True)
        stream = await stream_of(invocation)
        assert await anext(stream) == b"half"
        await go_on(gate)
        assert await rest_of(stream) == b""
        assert stream.error is not None
        assert stream.error.error_type == error_type
        await invocation.finished

    run(tmp_path, test, MANAGED)
