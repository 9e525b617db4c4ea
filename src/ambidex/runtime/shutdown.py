"""The end of an environment: SIGTERM, the app's shutdown, and the process ends.

Lambda gives it 500 ms from SIGTERM to SIGKILL, or less where external extensions share the time.
So what is at work is cancelled, not waited for: its caller has got an error already, for Lambda
ends an environment in the middle of an event only after its time-out.

Source: lambda/latest/dg/lambda-runtime-environment.html, "Shutdown phase"
"""

import _thread
import asyncio
import logging
import os
import signal
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from types import FrameType
from typing import Any

from ambidex.asgi.lifespan import Lifespan
from ambidex.runtime import extension
from ambidex.runtime.connection import Connection

logger = logging.getLogger("ambidex")

# What a cancelled event gets to let go of what it holds, before the app's shutdown takes it away.
_CANCELLED_S = 0.05
# When it is said that requests or the app's shutdown take long: before Lambda's 500 ms are over.
_LONG_S = 0.4


async def startup(lifespan: Lifespan, connection: Connection) -> asyncio.Task[None] | None:
    """Start an app, and register an extension meanwhile, if the app has a lifespan.

    Args:
        lifespan: the app's.
        connection: to the Extensions API.

    Returns:
        The extension, which `until_sigterm` takes; None if there is none.

    Raises:
        StartupError: the app's startup failed.
    """
    registering = asyncio.create_task(_register(lifespan, connection))
    try:
        await lifespan.startup()
    except BaseException:
        registering.cancel()
        raise
    return await registering


async def _register(lifespan: Lifespan, connection: Connection) -> asyncio.Task[None] | None:
    if not await lifespan.begins():
        return None
    return await extension.register(connection)


async def until_sigterm(
    serving: Coroutine[Any, Any, None],
    lifespan: Lifespan,
    registered: asyncio.Task[None] | None,
    finish: Callable[[], Awaitable[None]] | None = None,
    interrupt: Callable[[], None] | None = None,
) -> None:
    """Serve until SIGTERM comes, then shut the app down.

    Args:
        serving: answers events; it ends by an error only.
        lifespan: the app's, started.
        registered: the extension.
        finish: has `serving` ask for no more events, and waits for those at work; without it they
            are cancelled.
        interrupt: ends the wait for the next event where that blocks the event loop; it may raise.

    Raises:
        PeerError: what `serving` raised.
    """
    loop = asyncio.get_running_loop()
    told = loop.create_future()
    if interrupt is None:
        loop.add_signal_handler(signal.SIGTERM, _tell, told)
    else:

        def tell(_number: int, _frame: FrameType | None) -> None:
            loop.call_soon_threadsafe(_tell, told)
            interrupt()

        signal.signal(signal.SIGTERM, tell)
        _wake_main_thread()
    task = loop.create_task(serving)
    try:
        await asyncio.wait({task, told}, return_when=asyncio.FIRST_COMPLETED)
        if not told.done():
            return task.result()
        if finish is not None:
            await _in_time(
                finish(),
                "requests are still at work %g s after SIGTERM, the app's shutdown waits"
                " for them, and Lambda waits no longer than 0.5 s",
            )
        task.cancel()
        await asyncio.wait({task}, timeout=_CANCELLED_S)
        await _shut_down(lifespan)
    finally:
        if registered is not None:
            registered.cancel()
            with suppress(asyncio.CancelledError):
                await registered
    return None


async def _shut_down(lifespan: Lifespan) -> None:
    await _in_time(
        lifespan.shutdown(),
        "the app's shutdown goes on %g s after SIGTERM, and Lambda waits no longer than 0.5 s",
    )


async def _in_time(ending: Awaitable[None], late: str) -> None:
    task = asyncio.ensure_future(ending)
    done, _ = await asyncio.wait({task}, timeout=_LONG_S)
    if not done:
        logger.error(late, _LONG_S)
    await task


def _wake_main_thread() -> None:
    """Have SIGTERM end the main thread's wait, whichever thread the kernel gives it to.

    After a thaw that may be any, and only in the main thread's own does a call return for it.
    """
    main_thread = _thread.get_ident()
    reads, writes = os.pipe()
    os.set_blocking(writes, False)
    signal.set_wakeup_fd(writes, warn_on_full_buffer=False)

    def run() -> None:
        while os.read(reads, 1)[0] != signal.SIGTERM:
            pass
        signal.pthread_kill(main_thread, signal.SIGTERM)

    _thread.start_new_thread(run, ())


def _tell(told: asyncio.Future[None]) -> None:
    if not told.done():
        told.set_result(None)
