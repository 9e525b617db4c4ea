"""A task is told to stop while the load balancer still sends to it: the promise of the drain.

The task stays registered to the end, which is the hardest case: all that the balancer has to go by
is its health check. It never retries, so that every request that is lost is seen.
"""

import asyncio
import signal
import sys
from collections import Counter
from collections.abc import Sequence
from contextlib import AsyncExitStack

import httpx

from ambidex.local.load_balancer import listen
from ambidex.local.target_group import HealthCheck, TargetGroup
from tests.server.serving import SERVE, Served, running

CLIENTS = 8
CHECK = HealthCheck(path="/", interval_s=0.2, timeout_s=1.0, healthy_threshold=2)
AMBIDEX = (*SERVE, "probe:app")
UVICORN = (sys.executable, "-m", "uvicorn", "probe:app", "--port", "0", "--no-access-log")


class Load:
    """Clients that send one request after the other, each over a connection that it keeps."""

    def __init__(self, url: str) -> None:
        self.answers: Counter[str] = Counter()
        self._url = url
        self._is_over = False
        self._changed = asyncio.Event()
        self._clients = [asyncio.create_task(self._client()) for _ in range(CLIENTS)]

    async def _client(self) -> None:
        async with httpx.AsyncClient(timeout=30) as client:
            while not self._is_over:
                try:
                    answer = str((await client.get(self._url)).status_code)
                except httpx.HTTPError as error:
                    answer = type(error).__name__
                self.answers[answer] += 1
                self._changed.set()

    async def answered(self, count: int) -> None:
        """Wait for so many answers more."""
        enough = self.answers.total() + count
        while self.answers.total() < enough:
            self._changed.clear()
            await self._changed.wait()

    async def over(self) -> None:
        self._is_over = True
        await asyncio.gather(*self._clients)


async def answers_while_one_of_two_stops(stays: Served, goes: Served) -> Counter[str]:
    group = TargetGroup(CHECK)
    async with AsyncExitStack() as stack:
        stack.push_async_callback(group.close)
        for served in (stays, goes):
            group.register("127.0.0.1", served.port)
        await group.healthy(2)
        balancer = await listen(group, "127.0.0.1", 0)
        stack.callback(balancer.abort)
        load = Load(f"http://127.0.0.1:{balancer.port}/work")
        await load.answered(200)
        goes.signal(signal.SIGTERM)
        await asyncio.to_thread(goes.status)
        await load.answered(200)
        await load.over()
        assert len(group.targets) == 2
    return load.answers


def lost(command: Sequence[str]) -> Counter[str]:
    """What clients got but for 200, while one of two tasks that run this command stops."""
    variables = {"AMBIDEX_ECS_DRAIN": "2"}
    with running(command, **variables) as stays, running(command, **variables) as goes:
        answers = asyncio.run(answers_while_one_of_two_stops(stays, goes))
    del answers["200"]
    return answers


def test_no_request_is_lost() -> None:
    assert lost(AMBIDEX) == Counter()


def test_plain_uvicorn_loses_some() -> None:
    assert lost(UVICORN).total() > 0
