"""Deadlines by a clock that the test moves, and who may post where loop and watchdog meet."""

import asyncio
import json
import socket
import threading
from collections.abc import Callable
from math import inf
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ambidex.asgi import stacks
from ambidex.asgi.types import Receive, Scope, Send
from ambidex.runtime import too_late
from ambidex.runtime.connection import Connection
from ambidex.runtime.deadline import Deadlines, Running
from ambidex.runtime.handler import Handler
from ambidex.runtime.messages import Invocation
from ambidex.runtime.watchdog import Watchdog
from tests.runtime.test_loop import EVENT, SQS, event, function_of, ok

NOW = 1_000_000.0
INVOCATION = Invocation("r-1", event(), deadline_ms=int((NOW + 10) * 1000))


class Clock:
    """A clock that stands still until it is set."""

    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> float:
        return self.now


class Posts(Connection):
    """A connection to a Runtime API that takes all that another connection posts."""

    def __init__(self, unsent: bytes = b"") -> None:
        self.requests: list[bytes] = []
        self.is_ours = True
        self._listener = socket.create_server(("127.0.0.1", 0))
        super().__init__(f"127.0.0.1:{self._listener.getsockname()[1]}")
        self._unsent = unsent
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    @property
    def unsent(self) -> bytes:
        return self._unsent

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._listener.accept()
            except OSError:
                return
            with peer:
                data = peer.recv(65536)
                head, _, body = data.partition(b"\r\n\r\n")
                length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
                while len(body) < length:
                    body += peer.recv(65536)
                self.requests.append(head + b"\r\n\r\n" + body)
                peer.sendall(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")

    def close(self) -> None:
        self._listener.shutdown(2)
        self._listener.close()
        self._thread.join()


def begun(deadlines: Deadlines, connection: Connection | None = None) -> Running:
    """An event at work whose task is not needed."""

    async def begin() -> Running:
        return deadlines.begin(INVOCATION.deadline_ms, INVOCATION, connection)

    return asyncio.run(begin())


@pytest.mark.parametrize(
    ("margin_s", "left_s", "due_s", "late_s"),
    [
        pytest.param(0.25, 10, 9.75, 9.875, id="the margin of the settings"),
        pytest.param(8, 10, 5, 7.5, id="at most half of the time"),
        pytest.param(0.25, 0.1, 0.05, 0.075, id="an event that comes with little time left"),
        pytest.param(0, 10, inf, inf, id="no margin, no deadline"),
        pytest.param(0.25, -5, inf, inf, id="a deadline that is past is a wrong clock"),
        pytest.param(0.25, None, inf, inf, id="no deadline told"),
    ],
)
def test_when_an_event_is_due_and_when_it_is_the_watchdogs_turn(
    margin_s: float, left_s: float | None, due_s: float, late_s: float
) -> None:
    async def begin() -> Running:
        deadlines = Deadlines(margin_s, Clock())
        deadline_ms = 0 if left_s is None else round((NOW + left_s) * 1000)
        return deadlines.begin(deadline_ms)

    running = asyncio.run(begin())
    assert running.due_s - NOW == pytest.approx(due_s)
    assert running.late_s - NOW == pytest.approx(late_s)


def test_a_timer_that_comes_early_is_set_anew_and_nothing_is_cancelled() -> None:
    async def main() -> None:
        clock = Clock()
        deadlines = Deadlines(0.25, clock)
        running = deadlines.begin(INVOCATION.deadline_ms)
        running.task = asyncio.current_task()
        deadlines._look()  # as after a thaw, when the loop's clock has gone on
        seen = [running.is_expired]
        clock.now = NOW + 9.75
        deadlines._look()
        assert [*seen, running.is_expired] == [False, True]
        assert running.task is not None
        assert running.task.cancelling()

    with pytest.raises(asyncio.CancelledError):
        asyncio.run(main())


def test_one_timer_serves_all_events_that_come_before_it() -> None:
    async def main() -> None:
        deadlines = Deadlines(0.25, Clock())
        timers = set()
        for number in range(100):
            running = deadlines.begin(INVOCATION.deadline_ms + number)
            timers.add(deadlines._timer)
            assert deadlines.end(running)
        assert len(timers) == 1

    asyncio.run(main())


def test_an_event_that_has_ended_is_never_cancelled() -> None:
    async def main() -> None:
        clock = Clock()
        deadlines = Deadlines(0.25, clock)
        running = deadlines.begin(INVOCATION.deadline_ms)
        running.task = asyncio.current_task()
        deadlines.end(running)
        clock.now = NOW + 20
        deadlines._look()
        assert not running.is_expired

    asyncio.run(main())


STEPS = ("loop posts", "loop ends", "watchdog looks", "time passes")


@given(st.permutations(STEPS), st.booleans())
def test_one_of_loop_and_watchdog_posts_and_only_the_loop_that_ended_it_goes_on(
    steps: list[str], is_alone: bool
) -> None:
    clock, left, posted = Clock(), list[int](), list[str]()
    deadlines = Deadlines(0.25, clock, is_alone=is_alone)
    connection = Posts()
    watchdog = Watchdog(deadlines, function_of(ok), left.append, clock)
    try:
        running = begun(deadlines, connection)
        goes_on = None
        for step in (*steps, "watchdog looks"):
            if step == "loop posts" and running.claim():
                running.is_posted = True
                posted.append("loop")
            elif step == "loop ends":
                goes_on = deadlines.end(running)
            elif step == "watchdog looks":
                watchdog.look()
            elif step == "time passes":
                clock.now = running.late_s
    finally:
        connection.close()
    posted += ["watchdog"] * len(connection.requests)
    assert len(posted) == 1
    assert bool(left) is (not goes_on)


def watched(connection: Posts, function: Callable[..., Any] = function_of, **settings: Any) -> Any:
    clock, left = Clock(), list[int]()
    deadlines = Deadlines(0.25, clock)
    watchdog = Watchdog(deadlines, function(ok, **settings), left.append, clock)
    running = begun(deadlines, connection)
    return clock, left, watchdog, running


def test_on_managed_instances_a_late_event_is_answered_once_and_the_others_go_on() -> None:
    clock, left = Clock(), list[int]()
    deadlines = Deadlines(0.25, clock, is_alone=False)
    watchdog = Watchdog(deadlines, function_of(ok), left.append, clock)
    connection = Posts()
    late = begun(deadlines, connection)
    clock.now = NOW + 5
    other = asyncio.run(begun_later(deadlines, connection))
    clock.now = late.late_s
    watchdog.look()
    watchdog.look()
    assert (len(connection.requests), left) == (1, [])
    assert not late.claim()
    assert deadlines.end(late)
    clock.now = other.late_s
    watchdog.look()
    connection.close()
    assert (len(connection.requests), left) == (2, [1])  # the loop stands still, and all are late


def test_on_managed_instances_all_that_are_late_at_once_are_answered_before_the_end() -> None:
    clock, left = Clock(), list[int]()
    deadlines = Deadlines(0.25, clock, is_alone=False)
    watchdog = Watchdog(deadlines, function_of(ok), left.append, clock)
    connection = Posts()
    events = [begun(deadlines, connection) for _ in range(3)]
    events[2].is_expired = True  # the loop has stood still since
    clock.now = events[0].late_s
    watchdog.look()
    connection.close()
    assert (len(connection.requests), left) == (3, [1])
    assert not any(deadlines.end(each) for each in events)


async def begun_later(deadlines: Deadlines, connection: Connection) -> Running:
    return deadlines.begin(INVOCATION.deadline_ms + 5000, INVOCATION, connection)


def test_the_watchdog_posts_what_the_loop_has_begun_and_not_sent() -> None:
    connection = Posts(unsent=b"POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\nok")
    clock, left, watchdog, running = watched(connection)
    running.claim()
    running.is_posted = True
    clock.now = running.late_s
    watchdog.look()
    connection.close()
    assert connection.requests == [b"POST /x HTTP/1.1\r\nContent-Length: 2\r\n\r\nok"]
    assert left == [1]


def test_the_watchdog_ends_the_process_though_nobody_takes_its_answer(
    caplog: pytest.LogCaptureFixture,
) -> None:
    connection = Posts()
    clock, left, watchdog, running = watched(connection)
    connection.close()
    clock.now = running.late_s
    watchdog.look()
    assert left == [1]
    assert "a 504 could not be posted" in caplog.text


@pytest.mark.parametrize(
    ("document", "settings", "path", "message"),
    [
        pytest.param(
            SQS,
            {"events_path": "/events"},
            b"r-1/error",
            "the app did not answer the event within the function's time-out",
            id="no HTTP request",
        ),
        pytest.param(
            event(rawPath="/orders"),
            {"error_statuses": ("500-504",)},
            b"r-1/error",
            "the app did not answer GET /orders within the function's time-out",
            id="a 504 fails the invocation",
        ),
        pytest.param(b"{no json", {}, b"r-1/error", None, id="no JSON"),
    ],
)
def test_what_is_no_request_or_shall_fail_is_an_error_of_the_invocation(
    document: bytes, settings: dict[str, Any], path: bytes, message: str | None
) -> None:
    invocation = INVOCATION._replace(event=document)
    request = too_late.post_request("h", function_of(ok, **settings), invocation)
    head, _, body = request.partition(b"\r\n\r\n")
    assert path in head
    assert b"Lambda-Runtime-Function-Error-Type: Function.Timeout" in head
    assert message is None or json.loads(body)["errorMessage"] == message


def test_a_head_request_gets_no_body() -> None:
    context = {"stage": "$default", "http": {"method": "HEAD"}}
    answer = too_late.answer(function_of(ok), EVENT | {"requestContext": context})
    assert (answer.response.status, answer.response.body) == (504, b"")


class Context:
    """The part of awslambdaric's context that tells the time."""

    def get_remaining_time_in_millis(self) -> int:
        return 300


def test_a_handler_answers_with_a_504_too(caplog: pytest.LogCaptureFixture) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await asyncio.Event().wait()

    result = Handler(app)(EVENT, Context())
    assert (result["statusCode"], result["body"]) == (
        504,
        "The app did not answer within the function's time-out",
    )
    assert "await asyncio.Event().wait()" in caplog.text
    assert Handler(ok)(EVENT, Context())["statusCode"] == 200


def test_a_handlers_background_work_is_cut_off_and_the_response_kept(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            await ok(scope, receive, send)
            await asyncio.Event().wait()

    assert Handler(app)(EVENT, Context())["body"] == "ok"
    assert "was still at work after its response, and was cancelled" in caplog.text


async def inner() -> None:
    await asyncio.Event().wait()


async def in_gather() -> None:
    await asyncio.gather(inner(), inner())


async def in_wait() -> None:
    await asyncio.wait({asyncio.create_task(inner())})


async def in_wait_for() -> None:
    await asyncio.wait_for(inner(), 60)


async def in_task_group() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(inner())


async def in_anyio_task_group() -> None:
    from anyio import create_task_group

    async with create_task_group() as group:
        group.start_soon(inner)


async def in_generator() -> None:
    async def numbers() -> Any:
        await inner()
        yield 1

    async for _ in numbers():
        pass


@pytest.mark.parametrize(
    "waits",
    [inner, in_gather, in_wait, in_wait_for, in_task_group, in_anyio_task_group, in_generator],
)
def test_a_stack_goes_on_into_what_a_task_waits_for(waits: Callable[[], Any]) -> None:
    async def main() -> str:
        task = asyncio.create_task(waits())
        for _ in range(5):
            await asyncio.sleep(0)
        text = stacks.rendered(stacks.of_task(task))
        task.cancel()
        await asyncio.wait({task})
        return text

    text = asyncio.run(main())
    assert f"in {waits.__name__}\n" in text
    assert "await asyncio.Event().wait()" in text


def test_a_thread_of_a_pool_is_at_work_while_it_has_something_to_do() -> None:
    async def main() -> None:
        go, started = threading.Event(), threading.Event()

        def work() -> None:
            started.set()
            go.wait()

        before = stacks.at_work_in_pools()
        task = asyncio.create_task(asyncio.to_thread(work))
        while not started.is_set():  # noqa: ASYNC110 – set by a thread
            await asyncio.sleep(0)
        assert len(stacks.at_work_in_pools() - before) == 1
        go.set()
        await task
        while stacks.at_work_in_pools() - before:  # noqa: ASYNC110 – nobody tells
            await asyncio.sleep(0)

    asyncio.run(main())
