"""The life of the server: the app's startup, the requests, the stop, the app's shutdown."""

import asyncio
import logging
import signal
import socket

from ambidex.asgi.lifespan import Lifespan, StartupError
from ambidex.asgi.types import App
from ambidex.server.access_log import AccessLog
from ambidex.server.config import uvicorn_config
from ambidex.server.drain import Drain
from ambidex.server.health_check import raw_path
from ambidex.server.listener import bound, listen
from ambidex.server.state import with_state
from ambidex.server.stop import DrainingServer
from ambidex.settings import EcsSettings

logger = logging.getLogger("ambidex")


def run(app: App, settings: EcsSettings) -> None:
    """Serve an app until a signal ends it.

    Raises:
        ListenError: the address or the port cannot be had; the user's fault.
        StartupError: the app's lifespan failed to start; the app's fault.
    """
    lifespan = Lifespan(app)
    health_path = raw_path(settings.health_path)
    drain = Drain(with_state(app, lifespan.state), health_path)
    config = uvicorn_config(AccessLog(drain, health_path), settings)
    server = DrainingServer(config, drain, settings.drain, settings.stop_timeout)
    with (
        bound(settings.host, settings.port) as listener,
        asyncio.Runner(loop_factory=config.get_loop_factory()) as runner,
    ):
        runner.run(_live(server, lifespan, listener))


async def _live(server: DrainingServer, lifespan: Lifespan, listener: socket.socket) -> None:
    await _start(lifespan)
    try:
        address = listen(listener, server.config.backlog)
        # uvicorn restores these at its end, so that a signal in the app's shutdown ends nothing.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, server.handle_exit)
        logger.info("Uvicorn running on http://%s", address)
        await server.serve(sockets=[listener])
    finally:
        await lifespan.shutdown()


async def _start(lifespan: Lifespan) -> None:
    try:
        await lifespan.startup()
    except StartupError as error:
        if "Traceback (most recent call last)" not in error.message:
            raise
        # Starlette's message is the whole traceback.
        logger.error("the app's startup raised\n%s", error.message.rstrip())  # noqa: TRY400
        raise StartupError(f"the app's startup failed: {_raised(error.message)}") from None


def _raised(trace: str) -> str:
    """The first line of the exception in a traceback, which may have more lines than one."""
    lines = trace.splitlines()
    frames = [number for number, line in enumerate(lines) if line.startswith('  File "')]
    after = lines[frames[-1] :] if frames else lines
    return next((line for line in after if line[:1].strip()), "its traceback is above")
