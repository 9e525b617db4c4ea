"""`ambidex serve` as an HTTP server: the process of a task on ECS, or of a Lambda Web Function.

In a container it is PID 1, to which "the only signals that can be sent … are those for which init
has explicitly installed signal handlers" (kill(2)). So the handlers come first, and whatever takes
time to import after them: asyncio, uvicorn, the app.
"""

import gc
import os
import signal
from collections.abc import Mapping
from types import FrameType

from ambidex.errors import COULD_NOT_START, AmbidexError


class UvicornMissingError(AmbidexError):
    """What serves off Lambda is not in the image; the user's fault."""

    def __init__(self) -> None:
        super().__init__("uvicorn is not installed", "install ambidex with its extra `image`")


def serve(app_name: str, environ: Mapping[str, str]) -> int:
    """Serve an app over HTTP until a signal ends it.

    Args:
        app_name: `module:attribute`; empty for the one that the settings name.
        environ: the process's environment.

    Returns:
        The exit status: 0 if it stopped as it was told to. Where the log is JSON it has what would
        be raised else, and the status is 3.

    Raises:
        AppLoadError: the app is not there, or is no ASGI app; the user's fault.
        AppImportError: importing the app raised; the app's fault, and its traceback is logged.
        ListenError: the address or the port cannot be had; the user's fault.
        SettingError: a variable that starts with AMBIDEX_ is wrong; the user's fault.
        StartupError: the app's lifespan failed to start; as AppImportError.
        UvicornMissingError: uvicorn is not installed; the user's fault.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, _leave)
    from ambidex.server import log

    is_json = log.configure(environ)
    try:
        _serve(app_name, environ)
    except AmbidexError as error:
        log.could_not_start(error, is_json=is_json)
        if is_json:
            return COULD_NOT_START
        raise
    return 0


def _serve(app_name: str, environ: Mapping[str, str]) -> None:
    from ambidex.asgi.events_path import closed
    from ambidex.asgi.load import load
    from ambidex.server.listener import ListenError
    from ambidex.server.web_function import ENDPOINT, REQUEST_ID_HEADER, at_endpoint
    from ambidex.settings import from_environ

    settings = from_environ(environ)
    ecs, id_header, endpoint = settings.ecs, b"", environ.get(ENDPOINT)
    if endpoint:
        ecs, id_header = at_endpoint(ecs, endpoint), REQUEST_ID_HEADER
    try:
        from ambidex.server.life import run
    except ModuleNotFoundError as error:
        if error.name != "uvicorn":
            raise
        raise UvicornMissingError from None
    of_lambda = settings.aws_lambda
    # As on Lambda: what is imported stays, and is never looked at for garbage. With many requests
    # at a time there would be a look in each turn of the event loop, but for a threshold that is
    # Python's own from 3.13 on.
    gc.disable()
    gc.set_threshold(2000)
    app = load(app_name or settings.app)
    gc.freeze()
    gc.enable()
    try:
        run(closed(app, of_lambda.events_path, of_lambda.base_path), ecs, id_header)
    except ListenError as error:
        if endpoint:
            error.hint = f"{ENDPOINT} names it"
        raise


def _leave(number: int, _frame: FrameType | None) -> None:
    """End at once: nothing is served yet, and an app may hold on to an exception in its import."""
    os._exit(128 + number)
