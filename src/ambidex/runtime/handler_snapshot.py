"""SnapStart for `Handler`: awslambdaric takes the app through the snapshot, not ambidex.

It calls the hooks of `snapshot_restore_py` only. So a handler registers there what `ambidex serve`
does itself; its place among the others is where the handler is made.

Source: awslambdaric 4.2.2, `bootstrap.on_init_complete`
"""

import logging
import os
import sys
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

logger = logging.getLogger("ambidex")


def register(
    run: Callable[[Coroutine[Any, Any, None]], None], start: Callable[[], Awaitable[None]]
) -> None:
    """Have an app's start and its hooks called around the snapshot.

    Args:
        run: runs a coroutine to its end on the app's own event loop.
        start: starts the app.
    """
    if "ambidex.runtime.main" in sys.modules:  # `ambidex serve` goes through it without a handler
        return
    try:
        import snapshot_restore_py
    except ImportError:
        logger.warning(
            "SnapStart: hooks are not called, for there is no package snapshot_restore_py; "
            "awslambdaric 4 brings it along"
        )
        return

    async def before() -> None:
        from ambidex.runtime.snapstart import own_before

        if _starts() == "snapshot":
            await start()
        await own_before()

    async def after() -> None:
        from ambidex.runtime.reseed import reseed
        from ambidex.runtime.snapstart import own_after

        reseed()
        await own_after()
        if _starts() == "restore":
            await start()

    snapshot_restore_py.register_before_snapshot(lambda: run(before()))
    snapshot_restore_py.register_after_restore(lambda: run(after()))


def _starts() -> str:
    from ambidex.settings import from_environ

    return from_environ(os.environ).aws_lambda.lifespan
