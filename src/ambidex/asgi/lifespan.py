"""The lifespan of an app: started once per process, its state shared, shut down once.

An app that raises before it has asked for the startup event does not support the protocol, and is
served without. One that has asked for it and then raises has failed to start, whatever it raises.

Source: asgi.readthedocs.io/en/latest/specs/lifespan.html
"""

import asyncio
import logging
from enum import Enum, auto
from typing import Any

from ambidex.asgi.types import App, Message
from ambidex.errors import AmbidexError

logger = logging.getLogger("ambidex")


# An app that has said that its startup failed has nothing more to do than to raise.
_RAISE_S = 1.0


class StartupError(AmbidexError):
    """The app's startup failed, in the app's own words; the app's fault.

    What the app raised, if it did, is the `__cause__`.
    """


class _State(Enum):
    UNUSED = auto()
    STARTING = auto()
    STARTED = auto()
    FAILED = auto()
    STOPPING = auto()
    STOPPED = auto()


_SENT = {
    (_State.STARTING, "lifespan.startup.complete"): _State.STARTED,
    (_State.STARTING, "lifespan.startup.failed"): _State.FAILED,
    (_State.STOPPING, "lifespan.shutdown.complete"): _State.STOPPED,
    (_State.STOPPING, "lifespan.shutdown.failed"): _State.STOPPED,
}


class Lifespan:
    """One app's lifespan in this process.

    Args:
        app: the ASGI app.
    """

    def __init__(self, app: App) -> None:
        self._app = app
        self._stage = _State.UNUSED
        self._message = ""
        self._error: Exception | None = None
        self._begun: asyncio.Event = asyncio.Event()
        self._startup: asyncio.Event = asyncio.Event()
        self._shutdown: asyncio.Event = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.state: dict[str, Any] = {}

    @property
    def is_started(self) -> bool:
        """Whether the app has a lifespan, and it is started and not over."""
        return self._stage is _State.STARTED

    async def begins(self) -> bool:
        """Wait until the app has asked for the startup event; whether it has one."""
        await self._begun.wait()
        return self._stage is not _State.UNUSED

    async def startup(self) -> None:
        """Start the app; each request gets a shallow copy of `state` afterwards.

        Raises:
            StartupError: the app said that its startup failed, or raised during it.
        """
        self._task = asyncio.create_task(self._run(), name="lifespan")
        waiter = asyncio.create_task(self._startup.wait())
        await asyncio.wait({self._task, waiter}, return_when=asyncio.FIRST_COMPLETED)
        waiter.cancel()
        if self._task.done() and not self._task.cancelled():
            self._task.result()  # SystemExit and the like go on
        if self._task.cancelled() and self._stage is _State.STARTING:
            raise StartupError("the app's startup failed: it was cancelled, by the app itself")
        if self._stage is _State.FAILED:
            await asyncio.wait({self._task}, timeout=_RAISE_S)
            self._task.cancel()
            raise StartupError(self._reason()) from self._error

    def _reason(self) -> str:
        # Starlette's message is the whole traceback of what it then raises.
        if self._error is not None and "Traceback" in (self._message or "Traceback"):
            first_line = str(self._error).partition("\n")[0]
            return f"the app's startup failed: {type(self._error).__name__}: {first_line}"
        return f"the app's startup failed: {self._message or 'it gave no reason'}"

    async def shutdown(self) -> None:
        """Shut the app down, if it was started; a failure is logged, for nobody can act on it."""
        if self._task is None or self._task.done() or self._stage is not _State.STARTED:
            return
        self._stage = _State.STOPPING
        self._shutdown.set()
        await asyncio.wait({self._task})

    async def _run(self) -> None:
        scope = {
            "type": "lifespan",
            "asgi": {"version": "3.0", "spec_version": "2.0"},
            "state": self.state,
        }
        try:
            await self._app(scope, self._receive, self._send)
        except Exception as error:  # noqa: BLE001 – the app's, and this is where it is answered for
            self._raised(error)
        finally:
            self._begun.set()
            self._startup.set()

    def _raised(self, error: Exception) -> None:
        if self._stage is _State.UNUSED:
            logger.debug("the app has no lifespan: %s", error)
        elif self._stage is _State.STARTING:
            self._stage = _State.FAILED
            self._error = error
        elif self._stage is _State.FAILED:
            self._error = error
        else:
            logger.error("the app's lifespan raised", exc_info=error)

    async def _receive(self) -> Message:
        if self._stage is _State.UNUSED:
            self._stage = _State.STARTING
            self._begun.set()
            return {"type": "lifespan.startup"}
        await self._shutdown.wait()
        return {"type": "lifespan.shutdown"}

    async def _send(self, message: Message) -> None:
        kind = message["type"]
        stage = _SENT.get((self._stage, kind))
        if stage is None:
            raise RuntimeError(f"unexpected ASGI message {kind!r} in the lifespan")
        self._stage = stage
        if kind.endswith(".failed"):
            self._message = str(message.get("message") or "")
        if kind == "lifespan.shutdown.failed":
            logger.error("the app's shutdown failed: %s", self._message)
        self._startup.set()
