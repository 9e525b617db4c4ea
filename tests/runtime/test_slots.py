"""Many events at a time in one process, by a Runtime API that hands them out in any order."""

import asyncio
import json
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextvars import ContextVar
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambidex.asgi.types import App, Receive, Scope, Send
from ambidex.log.context import request_id as logged_id
from ambidex.runtime.deadline import Deadlines
from ambidex.runtime.messages import PeerError
from ambidex.runtime.slots import RETRY_DELAYS_S, Slots
from tests.runtime.held_runtime_api import DROPPED, HeldRuntimeApi, held_runtime_api
from tests.runtime.test_loop import event, function_of

AT_ONCE = (0, 0, 0, 0)


def with_slots(
    app: App,
    count: int,
    test: Callable[[HeldRuntimeApi, Slots, asyncio.Task[None]], Awaitable[None]],
    environ: dict[str, str] | None = None,
    next_statuses: Sequence[int] = (),
    margin_s: float = 0,
) -> None:
    """Run slots, and a test with them; it ends when both do."""

    async def main() -> None:
        async with held_runtime_api() as api:
            api.next_statuses.extend(next_statuses)
            slots = Slots(
                api.address, count, function_of(app), environ or {}, Deadlines(margin_s), AT_ONCE
            )
            running = asyncio.create_task(slots.run())
            await test(api, slots, running)
            slots.stop()
            await asyncio.wait({running})
            if not running.exception():
                running.result()

    asyncio.run(main())


async def answer(send: Send, text: str) -> None:
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": text.encode()})


async def name(scope: Scope, receive: Receive, send: Send) -> None:
    await answer(send, scope["aws.context"].aws_request_id)


def test_sixteen_requests_run_at_once_on_one_event_loop() -> None:
    barrier = asyncio.Barrier(16)
    loops = set()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await barrier.wait()  # nobody passes before all have come
        loops.add(asyncio.get_running_loop())
        await name(scope, receive, send)

    async def test(api: HeldRuntimeApi, _slots: Slots, _running: object) -> None:
        await api.until(lambda: api.held == 16)
        ids = [f"r-{n}" for n in range(16)]
        for request_id in ids:
            await api.hand_out(request_id)
        assert [(await api.answer(request_id)).text for request_id in ids] == ids

    with_slots(app, 16, test)
    assert len(loops) == 1


def test_there_are_as_many_calls_of_next_as_slots_and_no_more() -> None:
    gate = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await gate.wait()
        await name(scope, receive, send)

    async def test(api: HeldRuntimeApi, _slots: Slots, _running: object) -> None:
        await api.until(lambda: api.held == 3)
        await api.hand_out("r-1")
        await api.hand_out("r-2")
        assert api.calls == ["invocation/next"] * 3
        gate.set()
        await api.until(lambda: api.held == 3)
        assert api.calls.count("invocation/next") == 5

    with_slots(app, 3, test)


variable: ContextVar[str] = ContextVar("variable", default="nobody")

# Who goes on next, among requests that each have four places at which they wait.
ORDERS = st.permutations([f"r-{n}" for n in range(5) for _ in range(4)])


@given(order=ORDERS, handed_out=st.permutations([f"r-{n}" for n in range(5)]))
def test_what_is_of_a_request_stays_with_it_however_requests_overlap(
    order: list[str], handed_out: list[str]
) -> None:
    going_on = {f"r-{n}": asyncio.Semaphore(0) for n in range(5)}
    seen: list[tuple[str, ...]] = []

    def of_the_request(scope: Scope) -> tuple[str, ...]:
        return scope["aws.context"].aws_request_id, logged_id(), variable.get()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        request_id = scope["aws.context"].aws_request_id
        assert variable.get() == "nobody"
        variable.set(request_id)
        for place in range(4):
            await going_on[request_id].acquire()
            seen.append((request_id, *of_the_request(scope)))
            inside = asyncio.create_task(asyncio.sleep(0, of_the_request(scope)))
            seen.append((request_id, *await inside))
            if place == 2:
                await name(scope, receive, send)

    async def test(api: HeldRuntimeApi, _slots: Slots, _running: object) -> None:
        for request_id in handed_out:
            await api.hand_out(request_id)
        for request_id in order:
            going_on[request_id].release()
            await asyncio.sleep(0)
        for request_id in handed_out:
            assert (await api.answer(request_id)).text == request_id
        await api.until(lambda: api.held == 5)

    with_slots(app, 5, test)
    assert len(seen) == 5 * 4 * 2
    assert all(len(set(ids)) == 1 for ids in seen)


def test_a_request_that_is_late_is_a_504_and_the_others_go_on() -> None:
    gate = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] != "/":
            await (gate if scope["path"] == "/gate" else asyncio.Event()).wait()
        await name(scope, receive, send)

    async def test(api: HeldRuntimeApi, _slots: Slots, _running: object) -> None:
        now_ms = int(time.time() * 1000)
        await api.hand_out("r-gate", "/gate", deadline_ms=now_ms + 60_000)
        await api.hand_out("r-late", "/never", deadline_ms=now_ms + 200)
        assert json.loads((await api.answer("r-late")).body)["statusCode"] == 504
        await api.hand_out("r-next")
        assert (await api.answer("r-next")).text == "r-next"
        gate.set()
        assert (await api.answer("r-gate")).text == "r-gate"

    with_slots(app, 2, test, margin_s=0.1)


def test_a_request_that_cancels_itself_fails_alone() -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/cancels":
            task = asyncio.current_task()
            assert task is not None
            task.cancel()
            await asyncio.sleep(0)
        await name(scope, receive, send)

    async def test(api: HeldRuntimeApi, _slots: Slots, _running: object) -> None:
        await api.hand_out("r-0", "/cancels")
        assert (await api.answer("r-0")).kind == "error"
        await api.hand_out("r-1")
        assert (await api.answer("r-1")).text == "r-1"

    with_slots(app, 1, test)


@pytest.mark.parametrize("status", [400, 403, 410, 413, 500, 503])
def test_an_answer_that_is_refused_is_one_line_in_the_log_and_the_next_event_is_asked_for(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(api: HeldRuntimeApi, _slots: Slots, _running: object) -> None:
        api.statuses["r-late"] = status
        await api.hand_out("r-late")
        await api.answer("r-late")
        await api.hand_out("r-2")
        assert (await api.answer("r-2")).text == "r-2"

    with_slots(name, 1, test)
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert "r-late" in record.getMessage()
    assert f"({status})" in record.getMessage()


def test_a_connection_that_breaks_when_an_answer_is_posted_costs_that_answer_only(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def test(api: HeldRuntimeApi, _slots: Slots, _running: object) -> None:
        api.statuses["r-1"] = DROPPED
        await api.hand_out("r-1")
        await api.answer("r-1")
        await api.hand_out("r-2")
        assert (await api.answer("r-2")).text == "r-2"

    with_slots(name, 1, test)
    assert "the result of r-1 is lost" in caplog.text


@pytest.mark.parametrize("status", [204, 400, 403, 500])
def test_an_event_that_cannot_be_had_is_asked_for_four_times_more(
    status: int, caplog: pytest.LogCaptureFixture
) -> None:
    async def test(api: HeldRuntimeApi, _slots: Slots, _running: object) -> None:
        await api.hand_out("r-1")
        assert (await api.answer("r-1")).text == "r-1"

    with_slots(name, 1, test, next_statuses=[status] * 4)
    assert len(caplog.records) == 4
    assert {record.levelname for record in caplog.records} == {"WARNING"}
    assert "asking again in 0 s" in caplog.text


def test_the_fifth_failure_ends_the_process_once_the_others_have_answered(
    caplog: pytest.LogCaptureFixture,
) -> None:
    gate = asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == "/slow":
            await gate.wait()
        await name(scope, receive, send)

    async def test(api: HeldRuntimeApi, _slots: Slots, running: asyncio.Task[None]) -> None:
        await api.until(lambda: api.held == 3)
        await api.hand_out("r-slow", "/slow")
        api.next_statuses.extend([500] * 5)
        await api.hand_out("r-1")
        await api.until(lambda: not api.next_statuses)
        await api.until(lambda: api.held == 0)  # the third asks no more
        assert not running.done()
        gate.set()
        assert (await api.answer("r-slow")).text == "r-slow"
        with pytest.raises(PeerError, match="500"):
            await running
        assert api.calls.count("invocation/next") == 8

    with_slots(app, 3, test)


def test_what_is_logged_between_two_requests_is_of_neither(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ids: list[str] = []

    def keep(_record: logging.LogRecord) -> bool:
        ids.append(logged_id())
        return True

    async def test(api: HeldRuntimeApi, _slots: Slots, _running: object) -> None:
        await api.until(lambda: api.held == 1)
        api.next_statuses.append(500)
        await api.hand_out("r-1")
        await api.answer("r-1")
        await api.hand_out("r-2")
        await api.answer("r-2")

    monkeypatch.setattr(logging.getLogger("ambidex"), "filters", [keep])
    with_slots(name, 1, test)
    assert ids == [""]


def test_connections_that_break_are_five_attempts_too(caplog: pytest.LogCaptureFixture) -> None:
    async def test(_api: HeldRuntimeApi, _slots: Slots, running: asyncio.Task[None]) -> None:
        with pytest.raises(PeerError, match="closed the connection"):
            await running

    with_slots(name, 1, test, next_statuses=[DROPPED] * 100)
    assert len(caplog.records) == 4


def test_nobody_at_the_address_is_an_error_after_five_attempts(
    caplog: pytest.LogCaptureFixture,
) -> None:
    slots = Slots("127.0.0.1:1", 2, function_of(name), {}, Deadlines(0), AT_ONCE)
    with pytest.raises(PeerError, match=r"no Runtime API answers at '127\.0\.0\.1:1'"):
        asyncio.run(slots.run())


def test_the_attempts_are_five_with_0_1_s_between_them_that_double() -> None:
    assert RETRY_DELAYS_S == (0.1, 0.2, 0.4, 0.8)


def test_what_is_under_way_is_answered_after_a_stop_and_nothing_more_is_asked_for() -> None:
    gate = asyncio.Event()
    begun = asyncio.Semaphore(0)
    ended: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        begun.release()
        await gate.wait()
        await name(scope, receive, send)
        await asyncio.sleep(0)
        ended.append(scope["aws.context"].aws_request_id)

    async def test(api: HeldRuntimeApi, slots: Slots, running: asyncio.Task[None]) -> None:
        await api.until(lambda: api.held == 4)
        await api.hand_out("r-1")
        await api.hand_out("r-2")
        await begun.acquire()
        await begun.acquire()
        slots.stop()
        slots.stop()
        await api.until(lambda: api.held == 0)
        assert not running.done()
        gate.set()
        await running
        assert {api.posted["r-1"].text, api.posted["r-2"].text} == {"r-1", "r-2"}
        assert api.calls.count("invocation/next") == 4

    with_slots(app, 4, test)
    assert sorted(ended) == ["r-1", "r-2"]


def test_a_stop_between_two_attempts_asks_no_more() -> None:
    async def test(api: HeldRuntimeApi, _slots: Slots, _running: object) -> None:
        slots = Slots(api.address, 1, function_of(name), {}, Deadlines(0), (3600, 0, 0, 0))
        running = asyncio.create_task(slots.run())
        await api.until(lambda: not api.next_statuses)
        slots.stop()
        await running

    with_slots(name, 0, test, next_statuses=[500])


def partial_answer(after_the_stop: Callable[[asyncio.Transport], None], length: int) -> list[bytes]:
    """Stop when a part of an event has come; the methods of what was called."""
    calls: list[bytes] = []

    async def main() -> None:
        asked: asyncio.Future[asyncio.Transport] = asyncio.get_running_loop().create_future()

        class Api(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = cast("asyncio.Transport", transport)

            def data_received(self, data: bytes) -> None:
                calls.append(data.partition(b" ")[0])
                if data.startswith(b"GET"):
                    asked.set_result(self.transport)
                else:
                    self.transport.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

        server = await asyncio.get_running_loop().create_server(Api, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        slots = Slots(address, 1, function_of(name), {}, Deadlines(0), AT_ONCE)
        running = asyncio.create_task(slots.run())
        transport = await asked
        transport.write(EVENT_REPLY[:length])
        (connection,) = slots._asking.values()
        while not connection.is_receiving:  # noqa: ASYNC110 – nobody tells of a part
            await asyncio.sleep(0)
        slots.stop()
        after_the_stop(transport)
        await running
        server.close()

    asyncio.run(main())
    return calls


EVENT_REPLY = (
    b"HTTP/1.1 200 OK\r\nLambda-Runtime-Aws-Request-Id: r\r\nContent-Length: %d\r\n\r\n%b"
    % (len(event()), event())
)


@pytest.mark.parametrize("length", [1, 40, 10_000])
def test_an_event_of_which_a_part_has_come_is_answered_after_a_stop(length: int) -> None:
    calls = partial_answer(lambda transport: transport.write(EVENT_REPLY[length:]), length)
    assert calls == [b"GET", b"POST"]


def test_an_event_that_breaks_off_is_asked_for_again() -> None:
    replies = [EVENT_REPLY[:40], EVENT_REPLY]
    calls: list[bytes] = []

    async def main() -> None:
        class Api(asyncio.Protocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = cast("asyncio.Transport", transport)

            def data_received(self, data: bytes) -> None:
                calls.append(data.partition(b" ")[0])
                if data.startswith(b"POST"):
                    slots.stop()
                    self.transport.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
                elif replies:
                    self.transport.write(replies.pop(0))
                if len(replies) == 1:
                    self.transport.close()

        server = await asyncio.get_running_loop().create_server(Api, "127.0.0.1", 0)
        address = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
        slots = Slots(address, 1, function_of(name), {}, Deadlines(0), AT_ONCE)
        await slots.run()
        server.close()

    asyncio.run(main())
    assert calls == [b"GET", b"GET", b"POST"]


def test_an_event_that_breaks_off_after_a_stop_is_not_asked_for_again() -> None:
    assert partial_answer(lambda transport: transport.close(), 40) == [b"GET"]
