"""Where an app is at this moment: the stacks of its tasks and its threads.

`Task.get_stack` has the outermost coroutine only, so what each one awaits is followed inwards, and
from there to the tasks that it waits for. The interpreter tells most of these relations in private
attributes, so what cannot be found is left out.
"""

import asyncio
import gc
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from traceback import FrameSummary, format_list
from types import AsyncGeneratorType, FrameType
from typing import Any, NamedTuple

from ambidex.asgi.trace import is_ours

_MOST_FRAMES = 200
_MOST_TASKS = 50

# Coroutines, generators, asynchronous generators: the frame, and what it waits for.
_AWAITING = (("cr_frame", "cr_await"), ("gi_frame", "gi_yieldfrom"), ("ag_frame", "ag_await"))

# What runs the work of thread pools, asyncio's and anyio's.
_EXECUTOR = "/concurrent/futures/thread.py"
_ANYIO = "/anyio/_backends/_asyncio.py"
# What every thread begins with.
_BELOW_THE_APP = (_EXECUTOR, _ANYIO, "/asyncio/", "/threading.py", "/queue.py", "/selectors.py",
                  "/bin/ambidex", "<frozen ")  # fmt: skip


class Stack(NamedTuple):
    """One task's or thread's frames, outermost first, from the app's own on."""

    name: str
    frames: list[FrameSummary]
    is_of_pool: bool = False  # a thread that does what others give it


def of_task(task: asyncio.Task[Any]) -> list[Stack]:
    """The stack of a task that waits, then those of the tasks that it waits for."""
    stacks: list[Stack] = []
    seen: set[asyncio.Future[Any]] = {task}
    waiting: list[asyncio.Future[Any]] = [task]
    while waiting and len(stacks) < _MOST_TASKS:
        future = waiting.pop(0)
        frames, last = _chain(future)
        for other in (*_in_groups(frames), *_awaited(last, frames)):
            if other not in seen and not other.done():
                seen.add(other)
                waiting.append(other)
        if isinstance(future, asyncio.Task):
            summaries = [_summary(frame) for frame in frames]
            stacks.append(Stack(f"task {future.get_name()}", _of_the_app(summaries, is_ours)))
    return stacks


def of_threads() -> list[Stack]:
    """The stacks of all threads that are at work, but for the one that asks."""
    names = {thread.ident: thread.name for thread in threading.enumerate()}
    stacks = []
    for ident, innermost in sys._current_frames().items():  # noqa: SLF001 – documented
        if ident == threading.get_ident():
            continue
        frames = list(_outwards(innermost))[::-1]
        summaries = [_summary(frame) for frame in frames]
        of_app = _of_the_app(summaries, _is_below_the_app)
        is_of_pool = _has_work_of_a_pool(frames)
        if is_of_pool and not of_app:
            of_app = summaries[-1:]  # what it was given is no Python
        if of_app:
            stacks.append(Stack(f"thread {names.get(ident, ident)}", of_app, is_of_pool))
    return stacks


def at_work_in_pools() -> frozenset[str]:
    """The names of those threads of pools that are at work."""
    return frozenset(stack.name for stack in of_threads() if stack.is_of_pool)


def rendered(stacks: Iterable[Stack]) -> str:
    """Stacks as text, in the form of a traceback; the first one's name goes without saying."""
    parts = []
    for number, stack in enumerate(stacks):
        if number:
            parts.append(f"{stack.name}:\n")
        parts += format_list(stack.frames)
    return "".join(parts).rstrip("\n")


def _chain(future: asyncio.Future[Any]) -> tuple[list[FrameType], object]:
    """The frames from a task's coroutine inwards, and what the innermost waits for."""
    frames: list[FrameType] = []
    awaited: object = future.get_coro() if isinstance(future, asyncio.Task) else future
    while len(frames) < _MOST_FRAMES:
        for frame_name, next_name in _AWAITING:
            frame = getattr(awaited, frame_name, None)
            if frame is not None:
                frames.append(frame)
                awaited = getattr(awaited, next_name, None)
                break
        else:
            generator = _referred(awaited, AsyncGeneratorType)
            if generator is None:
                break
            awaited = generator
    return frames, awaited


def _awaited(last: object, frames: list[FrameType]) -> Iterator[asyncio.Future[Any]]:
    """The tasks behind what a chain ends with."""
    future = last if isinstance(last, asyncio.Future) else _referred(last, asyncio.Future)
    if future is not None:
        if isinstance(future, asyncio.Task):
            yield future
        yield from getattr(future, "_children", ())  # of `gather`
    if frames and "/asyncio/" in frames[-1].f_code.co_filename:
        # `wait_for` and `wait` have them in variables.
        local = frames[-1].f_locals
        yield from _futures((local.get("fut"), *(local.get("fs") or ())))


def _in_groups(frames: list[FrameType]) -> Iterator[asyncio.Future[Any]]:
    """The tasks of the task groups, asyncio's and anyio's, that frames have open."""
    for frame in frames:
        for value in frame.f_locals.values():
            if type(value).__name__ == "TaskGroup":
                yield from _futures(getattr(value, "_tasks", ()))


def _futures(values: Iterable[object]) -> Iterator[asyncio.Future[Any]]:
    for value in tuple(values):
        if isinstance(value, asyncio.Future):
            yield value


def _referred(holder: object, kind: type[Any]) -> Any:  # noqa: ANN401 – of that kind, or None
    """What an iterator of the interpreter's holds, which no attribute tells."""
    if holder is None or isinstance(holder, asyncio.Future):
        return None
    return next((each for each in gc.get_referents(holder) if isinstance(each, kind)), None)


def _outwards(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _summary(frame: FrameType) -> FrameSummary:
    # The line's text is looked up when it is printed: that may take a while, this must not.
    code = frame.f_code
    return FrameSummary(code.co_filename, frame.f_lineno, code.co_name, lookup_line=False)


def _is_below_the_app(filename: str) -> bool:
    return is_ours(filename) or any(part in filename for part in _BELOW_THE_APP)


def _has_work_of_a_pool(frames: list[FrameType]) -> bool:
    if frames[0].f_code.co_name != "_bootstrap":
        return False  # the main thread
    for number, frame in enumerate(frames):
        filename, name = frame.f_code.co_filename, frame.f_code.co_name
        if name == "run" and filename.endswith(_EXECUTOR):
            return True
        if name == "run" and filename.endswith(_ANYIO):
            # It waits for work by `get`; else it runs some, which need not be Python.
            inner = frames[number + 1 : number + 2]
            return not inner or not inner[0].f_code.co_filename.endswith("/queue.py")
    return False


def _of_the_app(frames: list[FrameSummary], is_below: Callable[[str], bool]) -> list[FrameSummary]:
    while frames and is_below(frames[0].filename):
        frames = frames[1:]
    return frames
