import asyncio
from contextvars import ContextVar

import pytest
import uvloop

from ambidex.runtime.eager_task import eager_task


@pytest.fixture(params=[asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
def runner(request: pytest.FixtureRequest) -> asyncio.Runner:
    return asyncio.Runner(loop_factory=request.param)


@pytest.mark.parametrize("is_debug", [False, True])
def test_it_has_run_until_it_waits_and_goes_on_as_any_task(
    runner: asyncio.Runner, is_debug: bool
) -> None:
    steps: list[str] = []

    async def work() -> None:
        steps.append("begun")
        await asyncio.sleep(0)
        steps.append("done")

    async def main() -> None:
        asyncio.get_running_loop().set_debug(is_debug)
        task = eager_task(work())
        steps.append("returned")
        await task

    with runner:
        runner.run(main())
    assert steps == ["begun", "returned", "done"]


def test_within_it_is_the_current_task_and_afterwards_the_outer_one_is(
    runner: asyncio.Runner,
) -> None:
    seen: list[asyncio.Task[None] | None] = []

    async def work() -> None:
        seen.append(asyncio.current_task())
        await asyncio.sleep(0)
        seen.append(asyncio.current_task())

    async def main() -> None:
        outer = asyncio.current_task()
        task = eager_task(work())
        assert asyncio.current_task() is outer
        await task
        assert seen == [task, task]

    with runner:
        runner.run(main())


def test_what_it_sets_in_its_context_stays_there(runner: asyncio.Runner) -> None:
    variable = ContextVar("variable", default="outer")

    async def work() -> None:
        variable.set("inner")
        await asyncio.sleep(0)
        assert variable.get() == "inner"

    async def main() -> None:
        task = eager_task(work())
        assert variable.get() == "outer"
        await task
        assert variable.get() == "outer"

    with runner:
        runner.run(main())


def test_an_error_of_the_first_step_is_of_the_task(runner: asyncio.Runner) -> None:
    async def work() -> None:
        raise ValueError("no")

    async def main() -> None:
        task = eager_task(work())
        assert task.done()
        with pytest.raises(ValueError, match="no"):
            await task

    with runner:
        runner.run(main())


def test_its_time_out_cancels_it_and_not_the_outer_task(runner: asyncio.Runner) -> None:
    """A time-out that begins in the first step notes whose it is."""

    async def work() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await asyncio.Event().wait()

    async def main() -> None:
        await eager_task(work())

    with runner:
        runner.run(main())


def test_what_else_is_called_soon_while_it_is_made_is_called_in_its_turn() -> None:
    """By the garbage collector, for one: it may run whenever something is made."""
    ran: list[str] = []

    async def work() -> None:
        ran.append("first step")
        await asyncio.sleep(0)

    async def main() -> None:
        loop = asyncio.get_running_loop()
        get_debug = loop.get_debug  # a task asks for it

        def asked() -> bool:
            loop.get_debug = get_debug  # type: ignore[method-assign]  # once
            loop.call_soon(ran.append, "else")
            return get_debug()

        loop.get_debug = asked  # type: ignore[method-assign]  # as above
        await eager_task(work())
        assert ran == ["first step", "else"]

    asyncio.run(main())


def test_it_is_among_all_tasks_while_it_waits(runner: asyncio.Runner) -> None:
    async def main() -> None:
        task = eager_task(asyncio.sleep(0))
        assert task in asyncio.all_tasks()
        await task

    with runner:
        runner.run(main())


def test_what_it_starts_is_started_in_the_next_turn_of_the_loop(runner: asyncio.Runner) -> None:
    started: list[str] = []

    async def inner() -> None:
        started.append("inner")

    async def work() -> None:
        task = asyncio.create_task(inner())
        assert not started
        await task

    async def main() -> None:
        await eager_task(work())

    with runner:
        runner.run(main())
    assert started == ["inner"]
