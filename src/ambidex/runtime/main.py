"""`ambidex serve` on Lambda: the process that is the runtime."""

import asyncio
import logging
from collections.abc import MutableMapping

from ambidex.asgi.lifespan import Lifespan, StartupError
from ambidex.asgi.load import AppLoadError, load
from ambidex.asgi.types import App
from ambidex.errors import AmbidexError
from ambidex.runtime import log, loop, messages, shutdown
from ambidex.runtime.connection import Connection
from ambidex.runtime.deadline import Deadlines
from ambidex.runtime.errors import error_document
from ambidex.runtime.event_loop import new_event_loop
from ambidex.runtime.invocation import Function, function
from ambidex.runtime.messages import PeerError
from ambidex.settings import LambdaSettings, SettingError, from_environ

logger = logging.getLogger("ambidex")

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
    event_loop = new_event_loop()
    asyncio.set_event_loop(event_loop)
    connection = Connection(environ["AWS_LAMBDA_RUNTIME_API"])
    try:
        settings = from_environ(environ)
        app = load(app_name or settings.app)
        event_loop.run_until_complete(_run(connection, app, settings.aws_lambda, environ))
    except PeerError as error:
        logger.error("%s", error.message)  # noqa: TRY400 – nothing in our frames explains it
    except (AppLoadError, StartupError, SettingError) as error:
        event_loop.run_until_complete(_report(connection, error))
    else:
        return 0
    return 1


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
    is_alone = "AWS_LAMBDA_MAX_CONCURRENCY" not in environ
    deadlines = Deadlines(settings.deadline_margin, is_alone=is_alone)
    if settings.deadline_margin:
        # Called when the first event has been asked for.
        asyncio.get_running_loop().call_soon(_watch, deadlines, answering)
    serving = loop.run(connection, answering, environ, deadlines)
    if lifespan.is_started:
        await shutdown.until_sigterm(serving, lifespan, registered)
    else:
        await serving


def _watch(deadlines: Deadlines, answering: Function) -> None:
    from ambidex.runtime.watchdog import Watchdog

    Watchdog(deadlines, answering).start()


async def _report(connection: Connection, error: AmbidexError) -> None:
    kind = error.kind if isinstance(error, AppLoadError) else _KINDS[type(error)]
    message = f"{error.message} ({error.hint})" if error.hint else error.message
    cause = error.__cause__
    logger.error("%s: %s", kind, message, exc_info=cause)
    document = error_document(kind, message, cause)
    try:
        await connection.call(messages.init_error_request(connection.host, kind, document))
    except PeerError as peer_error:
        logger.error("%s", peer_error.message)  # noqa: TRY400 – nothing in our frames explains it
