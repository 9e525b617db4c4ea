"""One environment, many invocations: does it answer each, and does it leak?"""

import json
import random
import time
from collections import Counter
from collections.abc import Callable
from statistics import median
from typing import NamedTuple

from ambidex.http import Request
from tests.events.cases import HTTP_API, SOURCES
from tests.soak.environment import Environment, Usage, environment
from tests.soak.kinds import Kind, event_id, kinds
from tests.soak.runtime_api import ConversationError, RuntimeApi

GROWTH_BYTES = 2 * 1024 * 1024
"""What memory may grow by from a tenth of the run to its end."""

_SAMPLES = 200  # over the run
_DROP_EVERY = 997  # invocations, then the idle connection is closed
_HANGS_S = 60
_SEED = 20260101


class Sample(NamedTuple):
    """What the environment holds after so many invocations."""

    invocations: int
    usage: Usage
    tasks: int  # asyncio.all_tasks() within an invocation
    threads: int  # Python's own
    background: int  # background tasks that are done
    startups: int


class Report(NamedTuple):
    """A run."""

    invocations: int
    seconds: float
    connections: int
    by_kind: dict[str, int]
    early: Sample  # the medians up to a tenth
    late: Sample
    problems: list[str]


class _Run:
    def __init__(self, api: RuntimeApi, process: Environment) -> None:
        self.api = api
        self.process = process
        self.count = 0
        self.background = 0
        self.by_kind: Counter[str] = Counter()
        self.problems: list[str] = []

    def invoke(self, kind: Kind) -> None:
        own_id = event_id(self.count)
        self.api.wait()
        call = self.api.give(own_id.encode().join(kind.pieces), _headers(own_id, kind.time_s))
        problem = kind.problem(own_id, call)
        if problem:
            self.problems.append(f"{kind.name}, event {self.count}: {problem}")
        self.count += 1
        self.background += kind.name.endswith(": background")
        self.by_kind[kind.name] += 1

    def sample(self) -> Sample:
        own_id = event_id(self.count)
        self.api.wait()
        call = self.api.give(_REPORT, _headers(own_id, _HANGS_S))
        report = json.loads(json.loads(call.body)["body"])
        usage = self.process.usage()
        return Sample(self.count, usage, **report)


def _headers(own_id: str, time_s: float) -> bytes:
    client_context = json.dumps({"custom": {"id": own_id}})
    identity = json.dumps({"cognitoIdentityId": own_id})
    return (
        f"Lambda-Runtime-Aws-Request-Id: {own_id}\r\n"
        f"Lambda-Runtime-Invocation-Id: {own_id}\r\n"
        f"Lambda-Runtime-Deadline-Ms: {int((time.time() + time_s) * 1000)}\r\n"
        f"Lambda-Runtime-Trace-Id: Root=1-{own_id[:8]}-{own_id[8:32]}\r\n"
        f"Lambda-Runtime-Client-Context: {client_context}\r\n"
        f"Lambda-Runtime-Cognito-Identity: {identity}\r\n"
    ).encode()


_HTTP_API = next(source for source in SOURCES if source.module == HTTP_API)
_REPORT = json.dumps(
    _HTTP_API.to_event(Request("GET", "/report", headers=((b"host", b"api.example.com"),)))
).encode()


def soak(invocations: int, progress: Callable[[str], None]) -> Report:
    """Give one environment so many events, and look at what it answers and holds.

    Args:
        invocations: 200 or more.
        progress: called with a line now and then.
    """
    table = kinds()
    weights = [kind.weight for kind in table]
    chosen = random.Random(_SEED).choices(table, weights, k=invocations)
    chosen[: len(table)] = table[:invocations]  # each at least once, and before the first tenth
    api = RuntimeApi()
    started = time.monotonic()
    samples: list[Sample] = []
    try:
        with environment(api.address) as process:
            run = _Run(api, process)
            try:
                for number, kind in enumerate(chosen, 1):
                    run.invoke(kind)
                    if number % _DROP_EVERY == 0:
                        api.drop()
                    if number * _SAMPLES // invocations > len(samples):
                        samples.append(run.sample())
                        if len(samples) % (_SAMPLES // 20) == 0:
                            progress(_line(samples[-1], invocations, time.monotonic() - started))
                api.wait()  # a second answer to the last event would come instead
            except (ConversationError, OSError) as error:
                run.problems.append(f"event {run.count}: {error}; its log:\n{process.log_tail()}")
    finally:
        api.close()
    seconds = time.monotonic() - started
    problems = run.problems
    if len(samples) < _SAMPLES:
        empty = Sample(0, Usage(0, 0, 0, 0), 0, 0, 0, 0)
        early = late = samples[-1] if samples else empty
    else:
        early = _typical(samples[_SAMPLES // 20 : _SAMPLES // 10])
        late = _typical(samples[-_SAMPLES // 20 :])
        problems += _leaks(early, late)
        if samples[-1].background != run.background:
            problems.append(f"{samples[-1].background} of {run.background} background tasks ran")
    return Report(run.count, seconds, api.connections, dict(run.by_kind), early, late, problems)


def _typical(samples: list[Sample]) -> Sample:
    last = samples[-1]
    fields = zip(*(sample.usage for sample in samples), strict=True)
    return last._replace(
        usage=Usage(*(int(median(values)) for values in fields)),
        tasks=max(sample.tasks for sample in samples),
        threads=max(sample.threads for sample in samples),
    )


def _leaks(early: Sample, late: Sample) -> list[str]:
    problems = []
    for name in ("rss_bytes", "pss_bytes"):
        growth = getattr(late.usage, name) - getattr(early.usage, name)
        if growth > GROWTH_BYTES:
            problems.append(f"{name} grew by {growth / 1024:.0f} KiB after the first tenth")
    for name in ("descriptors", "threads"):
        before, after = getattr(early.usage, name), getattr(late.usage, name)
        if after > before:
            problems.append(f"{name} grew from {before} to {after}")
    if late.tasks > early.tasks:
        problems.append(f"asyncio tasks grew from {early.tasks} to {late.tasks}")
    if late.startups != 1:
        problems.append(f"the lifespan started {late.startups} times")
    return problems


def _line(sample: Sample, invocations: int, seconds: float) -> str:
    return (
        f"{sample.invocations / invocations:4.0%}  {sample.invocations:>9,} invocations  "
        f"{seconds:6.0f} s  RSS {sample.usage.rss_bytes / 2**20:.1f} MiB  "
        f"{sample.usage.descriptors} descriptors  {sample.tasks} tasks"
    )
