"""A task whose first step is taken at once, not in the next turn of the event loop.

Most apps answer in that step, and the turn would be before it.
"""

import asyncio
import sys
from asyncio.tasks import _enter_task, _leave_task
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from typing import Any


def eager_task(coroutine: Coroutine[Any, Any, None]) -> "asyncio.Task[None]":
    """A task in a context of its own, which has run until it first waits, or to its end.

    Called in another task, which is the current one again afterwards.

    Args:
        coroutine: what it runs.

    Source: docs.python.org/3/library/asyncio-task.html, "Eager Task Factory";
    docs.python.org/3/library/asyncio-extending.html, "Task lifetime support"
    """
    loop = asyncio.get_running_loop()
    if sys.version_info >= (3, 12):
        return asyncio.Task(coroutine, loop=loop, eager_start=True)
    context = copy_context()
    loop.call_soon = _hold  # type: ignore[method-assign, assignment]  # a task calls it with its first step
    try:
        task = asyncio.Task(coroutine, loop=loop, context=context)
    finally:
        del loop.call_soon
        held = _held.copy()
        _held.clear()
    step = None
    for callback, arguments, of in held:
        if of is context:
            step = callback
        else:  # of what the garbage collector has come upon meanwhile
            loop.call_soon(callback, *arguments, context=of)
    assert step is not None
    outer = asyncio.current_task(loop)
    assert outer is not None
    _leave_task(loop, outer)
    try:
        context.run(step)
    finally:
        _enter_task(loop, outer)
    return task


_held: list[tuple[Callable[..., object], tuple[Any, ...], Context | None]] = []


def _hold(callback: Callable[..., object], *arguments: Any, context: Context | None = None) -> None:  # noqa: ANN401 – what a callback takes
    _held.append((callback, arguments, context))
