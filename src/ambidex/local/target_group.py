"""An ALB's target group: who is registered, who is healthy, and whose turn it is.

| state | check passed | enough checks passed | enough checks failed | deregistered |
|---|---|---|---|---|
| initial | healthy | healthy | unhealthy | draining |
| healthy | – | – | unhealthy | draining |
| unhealthy | – | healthy | – | draining |
| draining | – | – | – | – |

"A newly registered target needs to pass one health check to be considered healthy"; "if a target
group contains only unhealthy registered targets, the load balancer routes requests to all those
targets" (it fails open).
Source: elasticloadbalancing/latest/application/target-group-health-checks.html

Locally a target that has just started is polled quickly, so that nobody waits an interval of 30 s;
its failures still count once an interval only, as they would on AWS, and not before it listens, as
with an ECS service's grace period.
"""

import asyncio
import math
from dataclasses import dataclass
from enum import Enum

from ambidex.local.http1.messages import ConnectFailed, PeerError
from ambidex.local.http1.pool import Pool, connect

NOT_LISTENING = "Health checks failed: nothing listens at the port"


class State(Enum):
    """A target's health, by the names of ELB's `TargetHealth.State`."""

    INITIAL = "initial"
    HEALTHY = "healthy"
    UNHEALTHY = "unhealthy"
    DRAINING = "draining"


class Signal(Enum):
    """What changes a target's state."""

    PASSED = "check passed"
    RECOVERED = "enough checks passed"
    FAILED = "enough checks failed"
    DEREGISTERED = "deregistered"


MOVES: dict[tuple[State, Signal], State] = {
    (State.INITIAL, Signal.PASSED): State.HEALTHY,
    (State.INITIAL, Signal.RECOVERED): State.HEALTHY,
    (State.INITIAL, Signal.FAILED): State.UNHEALTHY,
    (State.INITIAL, Signal.DEREGISTERED): State.DRAINING,
    (State.HEALTHY, Signal.FAILED): State.UNHEALTHY,
    (State.HEALTHY, Signal.DEREGISTERED): State.DRAINING,
    (State.UNHEALTHY, Signal.RECOVERED): State.HEALTHY,
    (State.UNHEALTHY, Signal.DEREGISTERED): State.DRAINING,
}


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """How targets are checked.

    Args:
        path: what is asked for. ALB's default is `/`.
        interval_s: between two checks of one target. ALB's default is 30.
        timeout_s: for one check. ALB's default is 5.
        healthy_threshold: passes in a row that heal an unhealthy target. ALB's default is 5.
        unhealthy_threshold: failures in a row that make a target unhealthy. ALB's default is 2.
        initial_interval_s: between two checks of a target that is new; ours, no setting of ALB.
    """

    path: str = "/"
    interval_s: float = 30.0
    timeout_s: float = 5.0
    healthy_threshold: int = 5
    unhealthy_threshold: int = 2
    initial_interval_s: float = 0.05


class Target:
    """A registered address.

    Attributes:
        host: its address.
        port: its port.
        state: its health.
        reason: why the last check failed, empty if it passed or there was none.
        was_healthy: whether it has ever been.
        in_flight: requests under way to it.
        pool: the connections to it.
    """

    def __init__(self, host: str, port: int, connect_timeout_s: float | None) -> None:
        self.host = host
        self.port = port
        self.state = State.INITIAL
        self.reason = ""
        self.was_healthy = False
        self.in_flight = 0
        self.pool = Pool(host, port, connect_timeout_s=connect_timeout_s)
        self._idle = asyncio.Event()
        self._idle.set()

    def begin(self) -> None:
        """Count a request."""
        self.in_flight += 1
        self._idle.clear()

    def finish(self) -> None:
        """Take a request off the count."""
        self.in_flight -= 1
        if not self.in_flight:
            self._idle.set()

    async def drained(self) -> None:
        """Wait until no request is under way."""
        await self._idle.wait()

    def abort(self) -> None:
        """Break what is under way: the deregistration delay is over."""
        self.pool.abort()


class TargetGroup:
    """The targets of one service.

    Args:
        check: how they are checked.
        connect_timeout_s: for connections of requests; ALB gives up after 10 s
            (load-balancer-troubleshooting.html, HTTP 504). None never does.
    """

    def __init__(self, check: HealthCheck, *, connect_timeout_s: float | None = 10.0) -> None:
        self.check = check
        self.targets: list[Target] = []
        self._connect_timeout_s = connect_timeout_s
        self._turn = 0
        self._candidates: list[Target] = []
        self._checks: dict[Target, asyncio.Task[None]] = {}
        self._ended: set[asyncio.Task[None]] = set()
        self._changed = asyncio.Event()

    def register(self, host: str, port: int) -> Target:
        """Add a target and begin to check it."""
        target = Target(host, port, self._connect_timeout_s)
        self.targets.append(target)
        self._checks[target] = asyncio.get_running_loop().create_task(self._watch(target))
        return target

    def deregister(self, target: Target) -> None:
        """Send the target no further request; `Target.drained` awaits those under way."""
        self._move(target, Signal.DEREGISTERED)
        self.targets.remove(target)
        target.pool.close()
        self._cancel_check(target)

    def next(self) -> Target | None:
        """Whose turn it is: the healthy in rotation, all if all are unhealthy, else None."""
        candidates = self._candidates
        if not candidates:
            return None
        self._turn = (self._turn + 1) % len(candidates)
        return candidates[self._turn]

    async def healthy(self, count: int) -> None:
        """Wait until at least `count` targets are healthy."""
        while sum(target.state is State.HEALTHY for target in self.targets) < count:
            await self._changed.wait()

    async def settled(self, target: Target) -> None:
        """Wait until a new target is healthy, unhealthy or gone."""
        while target.state is State.INITIAL:
            await self._changed.wait()

    async def reached(self, target: Target, state: State) -> None:
        """Wait until a target is in a state."""
        while target.state is not state:
            await self._changed.wait()

    async def close(self) -> None:
        """Deregister all, break what is under way, and wait for the checks to end."""
        for target in list(self.targets):
            self.deregister(target)
            target.abort()
        await asyncio.gather(*self._ended, return_exceptions=True)

    def _move(self, target: Target, signal: Signal) -> None:
        state = MOVES.get((target.state, signal))
        if state is None:
            return
        target.state = state
        target.was_healthy |= state is State.HEALTHY
        healthy = [each for each in self.targets if each.state is State.HEALTHY]
        unhealthy = [each for each in self.targets if each.state is State.UNHEALTHY]
        self._candidates = healthy or unhealthy
        self._changed.set()  # wakes all who wait now
        self._changed.clear()

    def _cancel_check(self, target: Target) -> None:
        task = self._checks.pop(target)
        self._ended.add(task)
        task.add_done_callback(self._ended.discard)
        task.cancel()

    async def _watch(self, target: Target) -> None:
        check = self.check
        loop = asyncio.get_running_loop()
        failing_from_s = math.inf
        passed = failed = 0
        while True:
            target.reason = await _failure(target.host, target.port, check)
            passed, failed = (0, failed + 1) if target.reason else (passed + 1, 0)
            if not target.reason:
                self._move(target, Signal.PASSED)
                if passed >= check.healthy_threshold:
                    self._move(target, Signal.RECOVERED)
            elif target.state is State.INITIAL:
                if failing_from_s == math.inf and target.reason != NOT_LISTENING:
                    failing_from_s = loop.time() + check.interval_s * check.unhealthy_threshold
                if loop.time() >= failing_from_s:
                    self._move(target, Signal.FAILED)
            elif failed >= check.unhealthy_threshold:
                self._move(target, Signal.FAILED)
            is_new = target.state is State.INITIAL
            await asyncio.sleep(check.initial_interval_s if is_new else check.interval_s)


async def _failure(host: str, port: int, check: HealthCheck) -> str:
    """Why a check of this address fails, empty if it passes; the matcher is ALB's default, 200."""
    # As an ALB's own checks look: a connection each, Host is the target's address.
    headers = (
        (b"Host", f"{host}:{port}".encode()),
        (b"Connection", b"close"),
        (b"User-Agent", b"ELB-HealthChecker/2.0"),
        (b"Accept-Encoding", b"gzip, compressed"),
    )
    try:
        async with asyncio.timeout(check.timeout_s):
            connection = await connect(host, port, timeout_s=None)
            try:
                connection.send("GET", check.path.encode("ascii"), headers, b"")
                response = await connection.response()
            finally:
                connection.abort()
    except TimeoutError:
        return "Request timed out"
    except ConnectFailed:
        return NOT_LISTENING
    except PeerError as error:
        return f"Health checks failed: {error}"
    if response.status != 200:
        return f"Health checks failed with these codes: [{response.status}]"
    return ""
