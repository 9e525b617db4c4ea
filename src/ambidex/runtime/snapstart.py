"""SnapStart: the app's way through the snapshot, in the process that is Lambda's runtime.

What has been done before the snapshot is in every environment that Lambda makes of it. In order:

1. with `lifespan = "snapshot"` the app's startup,
2. the hooks before: those of `ambidex.before_snapshot`, then those of `snapshot_restore_py`,
3. `GET restore/next`, which is answered in each restored environment,
4. new seeds,
5. the hooks after: those of `snapshot_restore_py`, then those of `ambidex.after_restore`,
6. with `lifespan = "restore"` the app's startup.

Libraries register with AWS's package, which is what they know. So its hooks are the outer ones: an
app's own find the libraries in service.

Source: lambda/latest/dg/snapstart-runtime-hooks-custom.html, snapstart-runtime-hooks-python.html
"""

import logging
import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from importlib import import_module

from ambidex.asgi.lifespan import StartupError
from ambidex.errors import AmbidexError
from ambidex.runtime import messages, snapshot_hooks
from ambidex.runtime.connection import Connection
from ambidex.runtime.errors import error_document
from ambidex.runtime.messages import PeerError
from ambidex.runtime.reseed import reseed

logger = logging.getLogger("ambidex")

_PACKAGE = "snapshot_restore_py"

# What is otherwise imported when the first event needs it; here nobody waits for it yet.
_FOR_EVENTS = (
    "ambidex.asgi.events_path",
    "ambidex.asgi.stacks",
    "ambidex.asgi.stream",
    "ambidex.events.alb",
    "ambidex.events.function_url",
    "ambidex.events.http_api",
    "ambidex.events.http_api_v1",
    "ambidex.events.large_text",
    "ambidex.events.rest_api",
    "ambidex.events.vpc_lattice",
    "ambidex.runtime.event_request",
    "ambidex.runtime.kept_memory",
    "ambidex.runtime.reply_parser",
    "ambidex.runtime.response_stream",
    "ambidex.runtime.too_late",
    "ambidex.runtime.watchdog",
    "traceback",
)


class SnapshotError(AmbidexError):
    """What an app has called around its snapshot failed; the app's fault.

    What was raised is the `__cause__`.

    Args:
        kind: `Category.Reason`, as `error_document` has it.
        message: the sentence.
        is_restored: whether this was after the restore: then it is no error of the init.
    """

    def __init__(self, kind: str, message: str, *, is_restored: bool) -> None:
        super().__init__(message)
        self.kind = kind
        self.is_restored = is_restored


async def restored(address: str, start: Callable[[], Awaitable[None]], when: str) -> Connection:
    """Take an app through the snapshot, and start it before or after.

    Args:
        address: the Runtime API's, `host:port`.
        start: starts the app.
        when: that is done, "snapshot" or "restore".

    Returns:
        A new connection, for one of before does not outlive the snapshot.

    Raises:
        StartupError: the app's startup failed before the snapshot.
        PeerError: the Runtime API refuses the snapshot, or is gone.
        SystemExit: a hook failed, or the app's startup after the restore, and Lambda knows.
    """
    for name in _FOR_EVENTS:
        import_module(name)
    if when == "snapshot":
        await start()
    try:
        await _before()
        await _snapshot(address)
        reseed()
        await _after()
        if when == "restore":
            await _start_restored(start)
    except SnapshotError as error:
        await _report(Connection(address), error)
        # The statuses are those of awslambdaric 4.2.2.
        sys.exit(65 if error.is_restored else 64)
    return Connection(address)


async def _start_restored(start: Callable[[], Awaitable[None]]) -> None:
    try:
        await start()
    except StartupError as error:
        raise SnapshotError(
            "Runtime.StartupFailed", error.message, is_restored=True
        ) from error.__cause__


async def _report(connection: Connection, error: SnapshotError) -> None:
    cause = error.__cause__
    logger.error("%s: %s", error.kind, error.message, exc_info=cause)
    request = messages.restore_error_request if error.is_restored else messages.init_error_request
    document = error_document(error.kind, error.message, cause)
    try:
        await connection.call(request(connection.host, error.kind, document))
    except PeerError as peer_error:
        logger.error("%s", peer_error.message)  # noqa: TRY400 – nothing in our frames explains it


async def _before() -> None:
    await own_before()
    if _PACKAGE in sys.modules:
        registry = sys.modules[_PACKAGE].get_before_snapshot()
        while registry:
            await _call(*registry.pop(), is_restored=False)


async def _after() -> None:
    if _PACKAGE in sys.modules:
        for entry in sys.modules[_PACKAGE].get_after_restore():
            await _call(*entry, is_restored=True)
    await own_after()


async def own_before() -> None:
    """Call the hooks of `before_snapshot`, the last one first.

    Raises:
        SnapshotError: one of them failed.
    """
    while snapshot_hooks.before:
        await _call(snapshot_hooks.before.pop(), is_restored=False)


async def own_after() -> None:
    """Call the hooks of `after_restore`, the first one first.

    Raises:
        SnapshotError: one of them failed.
    """
    while snapshot_hooks.after:
        await _call(snapshot_hooks.after.pop(0), is_restored=True)


async def _call(
    hook: Callable[..., object],
    arguments: Sequence[object] = (),
    options: Mapping[str, object] = {},
    *,
    is_restored: bool,
) -> None:
    try:
        value = hook(*arguments, **options)
        if hasattr(value, "__await__"):
            await value
    except Exception as error:
        name = getattr(hook, "__qualname__", None) or repr(hook)
        when = "after the restore" if is_restored else "before the snapshot"
        raise SnapshotError(
            "Runtime.AfterRestoreError" if is_restored else "Runtime.BeforeSnapshotError",
            f"the hook {name} {when} failed: {type(error).__name__}: {error}",
            is_restored=is_restored,
        ) from error


async def _snapshot(address: str) -> None:
    """Ask to be restored; this returns in the restored environment."""
    connection = Connection(address)
    try:
        reply = await connection.call(messages.restore_next_request(address))
    finally:
        connection.close()
    if not messages.parse_restored(reply):
        logger.warning(
            "there is no snapshot, and the app goes on without: the Runtime API has no "
            "restore/next (404)"
        )
