"""A handler for images that AWS's Python runtime starts: `CMD ["main.handler"]`."""

import asyncio
import os
from typing import Any

from ambidex.asgi.lifespan import Lifespan
from ambidex.asgi.load import AppLoadError, not_asgi
from ambidex.asgi.types import App
from ambidex.events.detect import Source
from ambidex.http import Response
from ambidex.runtime.event_loop import new_event_loop
from ambidex.runtime.invocation import invoke, result


class Handler:
    """An ASGI app as a Lambda handler.

    Making one does nothing: the lifespan starts at the first event, so that the same module under
    uvicorn or `ambidex serve` starts it once. Background tasks hold the response, for awslambdaric
    asks for the next event as soon as it has one, and Lambda then freezes them.

    Args:
        app: the ASGI app.

    Raises:
        AppLoadError: this is no ASGI app.
    """

    def __init__(self, app: App) -> None:
        problem = not_asgi(app)
        if problem:
            raise AppLoadError(f"Handler needs an ASGI app: {problem}")
        self._app = app
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._lifespan: Lifespan | None = None

    def __call__(self, event: dict[str, Any], context: object) -> dict[str, Any]:
        """Answer one event.

        Raises:
            EventError: the event is no HTTP request.
            StartupError: the app's startup failed; the next event tries again.
        """
        if self._event_loop is None:
            self._event_loop = new_event_loop()
            asyncio.set_event_loop(self._event_loop)
        return self._event_loop.run_until_complete(self._answer(event, context))

    async def _answer(self, event: dict[str, Any], context: object) -> dict[str, Any]:
        from ambidex.settings import from_environ

        if self._lifespan is None:
            lifespan = Lifespan(self._app)
            await lifespan.startup()
            self._lifespan = lifespan
            self._base_path = from_environ(os.environ).aws_lambda.base_path
        results: list[dict[str, Any]] = []

        def respond(source: Source, response: Response) -> None:
            results.append(result(source, response))

        await invoke(self._app, event, context, self._lifespan.state, self._base_path, respond)
        return results[0]
