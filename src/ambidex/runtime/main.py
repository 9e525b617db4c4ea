"""`ambidex serve` on Lambda: the process that is the runtime."""

import asyncio
import gc
import logging
from collections.abc import Callable, Coroutine, MutableMapping

from ambidex.asgi.lifespan import Lifespan, StartupError
from ambidex.asgi.load import AppLoadError, load
from ambidex.asgi.types import App
from ambidex.errors import AmbidexError
from ambidex.runtime import log, loop, messages, shutdown
from ambidex.runtime.blocking_connection import BlockingConnection
from ambidex.runtime.connection import Connection
from ambidex.runtime.deadline import Deadlines
from ambidex.runtime.errors import error_document
from ambidex.runtime.event_loop import new_event_loop
from ambidex.runtime.invocation import Function, function
from ambidex.runtime.messages import PeerError
from ambidex.settings import LambdaSettings, SettingError, from_environ

logger = logging.getLogger("ambidex")

INIT_FAILED = 3
"""The exit status after a failed init that Lambda has been told of."""

Run = Callable[
    [Connection, App, LambdaSettings, MutableMapping[str, str]], Coroutine[None, None, None]
]
"""What starts a loaded app and answers events with it."""

# Errors of loading an app carry the type that AWS's own Python runtime gives them.
_KINDS: dict[type[AmbidexError], str] = {
    StartupError: "Runtime.StartupFailed",
    SettingError: "Runtime.InvalidSetting",
}


def serve(app_name: str, environ: MutableMapping[str, str]) -> int:
    """Run an app as Lambda's runtime, for the life of the environment.

    Args:
        app_name: `module:attribute`; empty for the one that the settings name.
        environ: the process's environment; AWS_LAMBDA_RUNTIME_API is there.

    Returns:
        The exit status: 0 after SIGTERM and the app's shutdown, 1 if something failed.
    """
    log.configure(environ)
    if "AWS_LAMBDA_MAX_CONCURRENCY" in environ:
        from ambidex.runtime import managed_instances

        return managed_instances.serve(app_name, environ)
    return min(start(app_name, environ, _run, _streams), 1)


def start(
    app_name: str,
    environ: MutableMapping[str, str],
    run: Run,
    waits_in_loop: Callable[[LambdaSettings], bool],
) -> int:
    """Load an app and run it in an event loop; a failed init is reported to Lambda.

    Args:
        app_name: `module:attribute`; empty for the one that the settings name.
        environ: the process's environment.
        run: runs it, for as long as it is to live.
        waits_in_loop: whether `run` waits for the Runtime API in the event loop.

    Returns:
        The exit status: 0 after `run`, 1 if Lambda cannot be reached, else INIT_FAILED.
    """
    event_loop: asyncio.AbstractEventLoop | None = None
    connection = Connection(environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        settings = from_environ(environ)
        in_loop = waits_in_loop(settings.aws_lambda)
        event_loop = new_event_loop() if in_loop else asyncio.new_event_loop()
        asyncio.set_event_loop(event_loop)
        app = load(app_name or settings.app)
        # From here on there is garbage, but for ever none of what the import has left: without a
        # look at it collections take a fraction of their time.
        gc.freeze()
        gc.enable()
        event_loop.run_until_complete(run(connection, app, settings.aws_lambda, environ))
    except PeerError as error:
        logger.error("%s", error.message)  # noqa: TRY400 – nothing in our frames explains it
        return 1
    except (AppLoadError, StartupError, SettingError) as error:
        event_loop = event_loop or asyncio.new_event_loop()
        is_told = event_loop.run_until_complete(_report(connection, error))
        return INIT_FAILED if is_told else 1
    return 0


def _streams(settings: LambdaSettings) -> bool:
    return settings.response == "stream"


async def _run(
    connection: Connection,
    app: App,
    settings: LambdaSettings,
    environ: MutableMapping[str, str],
) -> None:
    lifespan = Lifespan(app)
    registered = None
    if environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
        from ambidex.runtime import snapstart

        # Without an extension: nobody says what becomes of its open question in the snapshot.
        connection = await snapstart.restored(connection.host, lifespan.startup, settings.lifespan)
    else:
        registered = await shutdown.startup(lifespan, Connection(connection.host))
    answering = function(app, lifespan.state, settings)
    deadlines = Deadlines(settings.deadline_margin)
    if settings.deadline_margin:
        watch(deadlines, answering)
    interrupt = None
    at_events: Connection | BlockingConnection = connection
    if not answering.has_streams:
        connection.close()
        at_events = BlockingConnection(connection.host)
        interrupt = at_events.interrupt
    serving = loop.run(at_events, answering, environ, deadlines)
    if lifespan.is_started:
        await shutdown.until_sigterm(serving, lifespan, registered, interrupt=interrupt)
    else:
        await serving


def watch(deadlines: Deadlines, answering: Function) -> None:
    """Start the thread that looks after late events."""
    from ambidex.runtime.watchdog import Watchdog

    Watchdog(deadlines, answering).start()


async def _report(connection: Connection, error: AmbidexError) -> bool:
    """Report a failed init; whether Lambda takes it for the environment's.

    On Managed Instances it does not if another worker has reported, or answers events.
    """
    kind = error.kind if isinstance(error, AppLoadError) else _KINDS[type(error)]
    message = f"{error.message} ({error.hint})" if error.hint else error.message
    cause = error.__cause__
    logger.error("%s: %s", kind, message, exc_info=cause)
    document = error_document(kind, message, cause)
    try:
        reply = await connection.call(messages.init_error_request(connection.host, kind, document))
    except PeerError as peer_error:
        logger.error("%s", peer_error.message)  # noqa: TRY400 – nothing in our frames explains it
        return False
    return reply.status == 202
