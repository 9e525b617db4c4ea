"""A handler for images that AWS's Python runtime starts: `CMD ["main.handler"]`."""

import asyncio
import os
from typing import Any

from ambidex.asgi.lifespan import Lifespan
from ambidex.asgi.load import AppLoadError, not_asgi
from ambidex.asgi.types import App
from ambidex.runtime.event_loop import new_event_loop
from ambidex.runtime.invocation import Answer, Function, function, invoke, result


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
        self._function: Function | None = None

    def __call__(self, event: Any, context: object) -> Any:  # noqa: ANN401 – any JSON
        """Answer one event.

        Raises:
            EventError: the event is malformed, or no HTTP request and there is no `events-path`.
            InvocationError: the app's answer fails the invocation.
            SettingError: a variable that starts with AMBIDEX_ is wrong; the user's fault.
            StartupError: the app's startup failed; the next event tries again.
        """
        if self._event_loop is None:
            self._event_loop = new_event_loop()
            asyncio.set_event_loop(self._event_loop)
        return self._event_loop.run_until_complete(self._answer(event, context))

    async def _answer(self, event: Any, context: object) -> Any:  # noqa: ANN401 – any JSON
        if self._function is None:
            self._function = await self._started()
        answers: list[Answer] = []
        await invoke(self._function, event, None, context, answers.append)
        return result(self._function, answers[0])

    async def _started(self) -> Function:
        from ambidex.settings import from_environ

        settings = from_environ(os.environ).aws_lambda
        lifespan = Lifespan(self._app)
        await lifespan.startup()
        return function(self._app, lifespan.state, settings)
