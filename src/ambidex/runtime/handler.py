"""A handler for images that AWS's Python runtime starts: `CMD ["main.handler"]`."""

import asyncio
import os
from collections.abc import Coroutine, Iterable, Sequence
from time import time
from typing import Any

from ambidex.asgi.lifespan import Lifespan, StartupError
from ambidex.asgi.load import AppLoadError, enable_log, not_asgi
from ambidex.asgi.types import App
from ambidex.runtime import handler_options
from ambidex.runtime.deadline import Deadlines
from ambidex.runtime.event_loop import new_event_loop
from ambidex.runtime.invocation import Answer, Function, function, invoke, result


class Handler:
    """An ASGI app as a Lambda handler.

    Making one does nothing: the lifespan starts at the first event, so that the same module under
    uvicorn or `ambidex serve` starts it once. With SnapStart it starts as `lifespan` in the
    settings says. Background tasks hold the response, for awslambdaric
    asks for the next event as soon as it has one, and Lambda then freezes them.

    The options have Mangum's names, so that it can be put in Mangum's place. They are for the
    handler only: what is in the settings holds for `ambidex serve` as well.

    Args:
        app: the ASGI app.
        lifespan: `auto` runs it if the app has one, `on` demands one, `off` leaves it alone. It
            runs once, not for each event; if it fails, so does the event.
        api_gateway_base_path: what is in front of the app's own paths; it becomes the root path.
            Leaving it out means what `base-path` in the settings says.
        custom_handlers: not taken, an error.
        text_mime_types: of no use, a warning.
        exclude_headers: names of headers that are kept out of the result, whatever its source.

    Raises:
        AppLoadError: this is no ASGI app.
        SettingError: an option is not taken, or is out of range; the user's fault.
        TypeError: there is no such option.
    """

    @handler_options.named
    def __init__(
        self,
        app: App,
        *,
        lifespan: str = "auto",
        api_gateway_base_path: str = "/",
        custom_handlers: Sequence[object] | None = None,
        text_mime_types: Sequence[str] | None = None,
        exclude_headers: Iterable[str] | None = None,
    ) -> None:
        problem = not_asgi(app)
        if problem:
            raise AppLoadError(f"Handler needs an ASGI app: {problem}")
        self._app = app
        self._options = handler_options.options(
            lifespan, api_gateway_base_path, custom_handlers, text_mime_types, exclude_headers
        )
        self._event_loop: asyncio.AbstractEventLoop | None = None
        self._function: Function | None = None
        self._lifespan: Lifespan | None = None
        self._deadlines = Deadlines(0)
        if os.environ.get("AWS_LAMBDA_INITIALIZATION_TYPE") == "snap-start":
            from ambidex.runtime import handler_snapshot

            handler_snapshot.register(self._run, self._start)

    def __call__(self, event: Any, context: object) -> Any:  # noqa: ANN401 – any JSON
        """Answer one event.

        Raises:
            EventError: the event is malformed, or no HTTP request and there is no `events-path`.
            InvocationError: the app's answer fails the invocation.
            SettingError: a variable that starts with AMBIDEX_ is wrong, or contradicts an option;
                the user's fault.
            StartupError: the app's startup failed; the next event tries again.
        """
        return self._run(self._answer(event, context))

    def _run(self, work: Coroutine[Any, Any, Any]) -> Any:  # noqa: ANN401 – any JSON
        if self._event_loop is None:
            self._event_loop = new_event_loop()
            asyncio.set_event_loop(self._event_loop)
        return self._event_loop.run_until_complete(work)

    async def _start(self) -> None:
        self._function = await self._started()

    async def _answer(self, event: Any, context: object) -> Any:  # noqa: ANN401 – any JSON
        if self._function is None:
            self._function = await self._started()
        answers: list[Answer] = []
        running = self._deadlines.begin(_deadline_ms(context))
        running.task = asyncio.current_task()

        def on_answer(answer: Answer) -> None:
            running.is_posted = True
            answers.append(answer)

        try:
            await invoke(self._function, event, None, context, on_answer)
        except asyncio.CancelledError:
            if not running.is_expired:
                raise
        finally:
            self._deadlines.end(running)
        if running.is_expired:
            from ambidex.runtime import too_late

            too_late.log(running, is_answered=bool(answers))
            if not answers:
                answers.append(too_late.answer(self._function, event))
        return result(self._function, self._without_excluded(answers[0]))

    async def _started(self) -> Function:
        from ambidex.settings import from_environ

        enable_log()
        settings = from_environ(os.environ).aws_lambda
        settings = handler_options.with_base_path(settings, self._options.base_path)
        lifespan = Lifespan(self._app)
        if self._options.lifespan != "off":
            await lifespan.startup()
        if self._options.lifespan == "on" and not lifespan.is_started:
            raise StartupError("the app has no lifespan, and Handler was told lifespan='on'")
        self._deadlines = Deadlines(settings.deadline_margin)
        self._lifespan = lifespan  # an event loop alone keeps no task alive
        return function(self._app, lifespan.state, settings)

    def _without_excluded(self, answer: Answer) -> Answer:
        excluded = self._options.excluded
        if not excluded:
            return answer
        headers = [pair for pair in answer.response.headers if pair[0].lower() not in excluded]
        return answer._replace(response=answer.response._replace(headers=tuple(headers)))


def _deadline_ms(context: object) -> int:
    """Lambda's deadline as Unix time; 0 where the context, as a test's own, does not tell it."""
    remaining_ms = getattr(context, "get_remaining_time_in_millis", None)
    return int(time() * 1000) + int(remaining_ms()) if remaining_ms else 0
