"""The life of the server: the app's startup, the requests, the stop, the app's shutdown."""

import asyncio
import logging
import signal
import socket

from ambidex.asgi.lifespan import Lifespan
from ambidex.asgi.types import App
from ambidex.server.access_log import with_access_log
from ambidex.server.config import uvicorn_config
from ambidex.server.drain import Drain
from ambidex.server.failures import Failures
from ambidex.server.health_check import raw_path
from ambidex.server.listener import bound, listen
from ambidex.server.request_context import with_request_context
from ambidex.server.state import with_state
from ambidex.server.stop import DrainingServer
from ambidex.settings import EcsSettings

logger = logging.getLogger("ambidex")


def run(app: App, settings: EcsSettings, id_header: bytes = b"") -> None:
    """Serve an app until a signal ends it.

    Args:
        app: the app.
        settings: where to listen, and how to stop.
        id_header: the header in which requests have an id; empty: they have none.

    Raises:
        ListenError: the address or the port cannot be had; the user's fault.
        StartupError: the app's lifespan failed to start; the app's fault.
    """
    lifespan = Lifespan(app)
    health_path = raw_path(settings.health_path)
    drain = Drain(Failures(with_state(app, lifespan.state)), health_path)
    logged = with_request_context(with_access_log(drain, health_path), id_header)
    config = uvicorn_config(logged, settings)
    server = DrainingServer(config, drain, settings.drain, settings.stop_timeout)
    with (
        bound(settings.host, settings.port) as listener,
        asyncio.Runner(loop_factory=config.get_loop_factory()) as runner,
    ):
        runner.run(_live(server, lifespan, listener))


async def _live(server: DrainingServer, lifespan: Lifespan, listener: socket.socket) -> None:
    await lifespan.startup()
    try:
        address = listen(listener, server.config.backlog)
        # uvicorn restores these at its end, so that a signal in the app's shutdown ends nothing.
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, server.handle_exit)
        logger.info("Uvicorn running on http://%s", address)
        await server.serve(sockets=[listener])
    finally:
        await lifespan.shutdown()
