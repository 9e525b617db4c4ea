"""`ambidex serve` on Managed Instances, where Lambda sends an environment many events at a time.

AWS's own Python runtime has a process for each of them. Here they share one process and its event
loop, or the few processes that the settings ask for.

Source: lambda/latest/dg/lambda-managed-instances-runtimes.html
"""

import asyncio
import logging
from collections.abc import MutableMapping
from functools import partial

from ambidex.asgi.lifespan import Lifespan
from ambidex.asgi.types import App
from ambidex.runtime import shutdown, trace_environ
from ambidex.runtime.connection import Connection
from ambidex.runtime.deadline import Deadlines
from ambidex.runtime.invocation import function
from ambidex.runtime.main import INIT_FAILED, start, watch
from ambidex.runtime.slots import Slots
from ambidex.settings import LambdaSettings, SettingError, from_environ

logger = logging.getLogger("ambidex")

_MAX_CONCURRENCY = "AWS_LAMBDA_MAX_CONCURRENCY"


def serve(app_name: str, environ: MutableMapping[str, str]) -> int:
    """Run an app as Lambda's runtime, in as many processes as the settings say.

    Args:
        app_name: `module:attribute`; empty for the one that the settings name.
        environ: the process's environment; AWS_LAMBDA_MAX_CONCURRENCY is there.

    Returns:
        The exit status: 0 after SIGTERM, INIT_FAILED if the app did not start, else 1.
    """
    trace_environ.install()
    workers = _workers(environ)
    if workers == 1:
        return _work(app_name, environ, 1, 0)
    from ambidex.runtime.workers import run

    return run(workers, partial(_work, app_name, environ, workers), INIT_FAILED)


def share(total: int, worker: int, workers: int) -> int:
    """How many of `total` events worker number `worker`, from 0, answers at a time."""
    return total // workers + (worker < total % workers)


def _workers(environ: MutableMapping[str, str]) -> int:
    try:
        total, asked = _concurrency(environ), from_environ(environ).aws_lambda.workers
    except SettingError:
        return 1  # it comes to the same error, and reports it to Lambda
    if asked > total:
        logger.warning("workers = %d, but Lambda sends %d requests at a time", asked, total)
    return min(asked, total)


def _concurrency(environ: MutableMapping[str, str]) -> int:
    text = environ[_MAX_CONCURRENCY]
    if not text.isdecimal() or int(text) < 1:
        raise SettingError(
            f"{_MAX_CONCURRENCY} = {text!r} is no number of requests from 1",
            "Lambda sets this variable itself: take it out of the function's environment",
        )
    return int(text)


def _work(app_name: str, environ: MutableMapping[str, str], workers: int, worker: int) -> int:
    async def run(
        connection: Connection,
        app: App,
        settings: LambdaSettings,
        environ: MutableMapping[str, str],
    ) -> None:
        count = share(_concurrency(environ), worker, workers)
        lifespan = Lifespan(app)
        registered = await shutdown.startup(lifespan, Connection(connection.host))
        answering = function(app, lifespan.state, settings)
        deadlines = Deadlines(settings.deadline_margin, is_alone=False)
        if settings.deadline_margin:
            # Called when the first events have been asked for.
            asyncio.get_running_loop().call_soon(watch, deadlines, answering)
        slots = Slots(connection.host, count, answering, environ, deadlines)
        try:
            await shutdown.until_sigterm(slots.run(), lifespan, registered, slots.finish)
        finally:
            await lifespan.shutdown()  # where it was no signal

    return start(app_name, environ, run, lambda _settings: True)
