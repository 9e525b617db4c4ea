import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from ambidex.local.http1 import messages as http1
from ambidex.local.http1.exchange import ServerExchange
from ambidex.local.target_group import MOVES, HealthCheck, Signal, State, Target, TargetGroup
from tests.local.http1_peers import RawTarget, Reader, Writer, raw_server, serving

# Times are small so that thresholds pass; no test asserts how long anything took.
CHECK = HealthCheck(
    path="/health?x=1",
    interval_s=0.02,
    timeout_s=5,
    healthy_threshold=2,
    unhealthy_threshold=2,
    initial_interval_s=0.01,
)


@asynccontextmanager
async def grouped(check: HealthCheck = CHECK) -> AsyncIterator[TargetGroup]:
    group = TargetGroup(check)
    try:
        yield group
    finally:
        await group.close()


class App:
    """Answers health checks with `status`, and tells how many came."""

    def __init__(self, status: int = 200) -> None:
        self.status = status
        self.heads: list[http1.Head] = []
        self._came = asyncio.Event()

    async def __call__(self, exchange: ServerExchange) -> None:
        self.heads.append(exchange.head)
        exchange.respond(self.status)
        self._came.set()

    async def checks(self, count: int) -> None:
        target = len(self.heads) + count
        while len(self.heads) < target:
            self._came.clear()
            await self._came.wait()


async def state(group: TargetGroup, target: Target, wanted: State) -> None:
    while target.state is not wanted:
        await group._changed.wait()


def test_a_new_target_is_healthy_after_one_pass() -> None:
    async def main() -> tuple[int, http1.Head, int]:
        app = App()
        async with serving(app) as server, grouped() as group:
            target = group.register("127.0.0.1", server.port)
            states = [target.state]
            assert group.next() is None
            await group.healthy(1)
            states.append(target.state)
            assert states == [State.INITIAL, State.HEALTHY]
            assert group.next() is target
            return len(app.heads), app.heads[0], server.port

    checks, head, port = asyncio.run(main())
    assert checks == 1
    assert head.target == b"/health?x=1"
    assert head.headers == (
        (b"Host", b"127.0.0.1:%d" % port),
        (b"Connection", b"close"),
        (b"User-Agent", b"ELB-HealthChecker/2.0"),
        (b"Accept-Encoding", b"gzip, compressed"),
    )


def test_a_target_that_starts_late_is_polled_until_it_passes() -> None:
    async def main() -> None:
        app = App(503)
        async with serving(app) as server, grouped(HealthCheck(initial_interval_s=0.001)) as group:
            target = group.register("127.0.0.1", server.port)
            await app.checks(5)  # more than the threshold, in less than an interval
            assert target.state is State.INITIAL
            assert target.reason == "Health checks failed with these codes: [503]"
            app.status = 200
            await group.healthy(1)
            assert target.reason == ""

    asyncio.run(main())


def test_a_target_turns_unhealthy_and_healthy_by_the_thresholds() -> None:
    async def main() -> tuple[int, int]:
        app = App()
        async with serving(app) as server, grouped() as group:
            target = group.register("127.0.0.1", server.port)
            await group.healthy(1)
            app.status = 500
            seen = len(app.heads)
            await state(group, target, State.UNHEALTHY)
            failures = len(app.heads) - seen
            app.status = 200
            seen = len(app.heads)
            await state(group, target, State.HEALTHY)
            return failures, len(app.heads) - seen

    assert asyncio.run(main()) == (2, 2)


@pytest.mark.parametrize("status", [201, 204, 301, 404], ids=str)
def test_only_200_passes(status: int) -> None:
    async def main() -> str:
        app = App(status)
        async with serving(app) as server, grouped() as group:
            target = group.register("127.0.0.1", server.port)
            await state(group, target, State.UNHEALTHY)
            return target.reason

    assert f"[{status}]" in asyncio.run(main())


async def _silent(reader: Reader, writer: Writer) -> None:
    await reader.read()


async def _rude(reader: Reader, writer: Writer) -> None:
    await reader.readuntil(b"\r\n\r\n")


@pytest.mark.parametrize(
    ("conversation", "reason"),
    [
        pytest.param(_silent, "Request timed out", id="silent"),
        pytest.param(_rude, "closed by the peer", id="closes"),
    ],
)
def test_a_target_that_does_not_answer_is_unhealthy(conversation: RawTarget, reason: str) -> None:
    check = HealthCheck(interval_s=0.02, timeout_s=0.05, initial_interval_s=0.01)

    async def main() -> str:
        async with raw_server(conversation) as port, grouped(check) as group:
            target = group.register("127.0.0.1", port)
            await state(group, target, State.UNHEALTHY)
            return target.reason

    assert reason in asyncio.run(main())


def test_a_new_target_that_does_not_listen_yet_is_waited_for() -> None:
    # No interval to speak of: a target that counted failures now would be unhealthy at once.
    check = HealthCheck(interval_s=0.0, timeout_s=0.05, initial_interval_s=0.001)

    async def main() -> list[State]:
        async with serving(App()) as server:
            port = server.port
        async with grouped(check) as group:
            target = group.register("127.0.0.1", port)
            states = []
            for _ in range(20):
                await asyncio.sleep(0.001)
                states.append(target.state)
            return states

    assert set(asyncio.run(main())) == {State.INITIAL}


def test_a_target_that_listens_no_longer_is_unhealthy() -> None:
    check = HealthCheck(interval_s=0.02, timeout_s=0.05, initial_interval_s=0.01)

    async def main() -> str:
        async with grouped(check) as group:
            async with serving(App()) as server:
                target = group.register("127.0.0.1", server.port)
                await state(group, target, State.HEALTHY)
            await state(group, target, State.UNHEALTHY)
            return target.reason

    assert "nothing listens" in asyncio.run(main())


def test_healthy_targets_take_turns() -> None:
    async def main() -> None:
        async with serving(App()) as one, serving(App()) as two, grouped() as group:
            targets = [group.register("127.0.0.1", server.port) for server in (one, two)]
            await group.healthy(2)
            turns = [group.next() for _ in range(6)]
            assert turns in (targets * 3, targets[::-1] * 3)

    asyncio.run(main())


def test_an_unhealthy_target_has_no_turn_unless_all_are_unhealthy() -> None:
    async def main() -> None:
        bad, good = App(500), App()
        async with serving(bad) as one, serving(good) as two, grouped() as group:
            first = group.register("127.0.0.1", one.port)
            second = group.register("127.0.0.1", two.port)
            await state(group, first, State.UNHEALTHY)
            await group.healthy(1)
            assert {group.next() for _ in range(4)} == {second}
            good.status = 500
            await state(group, second, State.UNHEALTHY)
            assert {group.next() for _ in range(4)} == {first, second}

    asyncio.run(main())


def test_a_deregistered_target_has_no_turn_and_is_checked_no_more() -> None:
    async def main() -> None:
        app = App()
        async with serving(app) as server, grouped() as group:
            target = group.register("127.0.0.1", server.port)
            await group.healthy(1)
            target.begin()
            group.deregister(target)
            assert target.state is State.DRAINING
            assert group.next() is None
            assert group.targets == []
            drained = asyncio.ensure_future(target.drained())
            await asyncio.sleep(0)
            assert not drained.done()
            target.finish()
            await drained

    asyncio.run(main())


def test_a_closed_group_leaves_no_task_behind() -> None:
    async def main() -> None:
        async with serving(App()) as server, grouped() as group:
            group.register("127.0.0.1", server.port)
            group.register("127.0.0.1", server.port)
            await group.healthy(2)
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(main())


def test_only_a_draining_target_cannot_change() -> None:
    assert {state for state, _ in MOVES} == set(State) - {State.DRAINING}
    assert {signal for _, signal in MOVES} == set(Signal)
