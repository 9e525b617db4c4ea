"""One request and its response: what an app may send, in which order, and what it receives.

The app's whole response is gathered; `on_response` has it as soon as it is complete, while the
app may go on (background tasks). A response that comes in pieces may go to a stream instead, piece
by piece, from the first piece of its body on: until then a 500 can take its place. The states and
what leads from one to the next are one table.

Source: asgi.readthedocs.io/en/latest/specs/www.html
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from enum import Enum
from typing import TYPE_CHECKING

from ambidex.asgi.types import App, Message, Scope
from ambidex.errors import shown
from ambidex.http import Headers, Response

if TYPE_CHECKING:
    from ambidex.asgi.stream import Stream

logger = logging.getLogger("ambidex")


class State(Enum):
    """Where an exchange is."""

    WAITING = "nothing sent yet"
    STARTED = "status and headers sent"
    STREAMING = "a part of the body is streamed"
    COMPLETE = "the response is complete"
    FAILED = "answered with a 500 in the app's place"
    BROKEN = "the stream ended with an error"

    __hash__ = object.__hash__  # Enum's own is slow, and each message looks states up


class Step(Enum):
    """What an app does."""

    START = "http.response.start"
    BODY = "http.response.body with more_body"
    PIECE = "http.response.body with more_body, to a stream"
    LAST_BODY = "http.response.body"
    RETURN = "the app returns"
    RAISE = "the app raises"

    __hash__ = object.__hash__


# Looked up for each event, and an enum takes its time to find its members.
_COMPLETE, _START, _LAST_BODY = State.COMPLETE, Step.START, Step.LAST_BODY

TRANSITIONS = {
    (State.WAITING, Step.START): State.STARTED,
    (State.WAITING, Step.RETURN): State.FAILED,
    (State.WAITING, Step.RAISE): State.FAILED,
    (State.STARTED, Step.BODY): State.STARTED,
    (State.STARTED, Step.PIECE): State.STREAMING,
    (State.STARTED, Step.LAST_BODY): State.COMPLETE,
    (State.STARTED, Step.RETURN): State.FAILED,
    (State.STARTED, Step.RAISE): State.FAILED,
    (State.STREAMING, Step.PIECE): State.STREAMING,
    (State.STREAMING, Step.LAST_BODY): State.COMPLETE,
    (State.STREAMING, Step.RETURN): State.BROKEN,
    (State.STREAMING, Step.RAISE): State.BROKEN,
    (State.COMPLETE, Step.RETURN): State.COMPLETE,
    (State.COMPLETE, Step.RAISE): State.COMPLETE,
}
"""Everything else is an error to the app."""

INTERNAL_SERVER_ERROR = Response(
    500, ((b"content-type", b"text/plain; charset=utf-8"),), b"Internal Server Error"
)
"""What uvicorn answers for an app that raises."""

# A HEAD response has the headers of the GET and no body, whatever the app sends; 204 and 304
# have none either. Source: RFC 9110, 6.4.1.
_BODILESS = frozenset({204, 304})


class Exchange:
    """Runs an app once, for one request.

    Args:
        body: the request's whole body.
        is_head: whether the method is HEAD.
        on_response: called once, as soon as the response is complete; not for a stream.
        open_stream: called with status and headers of a response that comes in pieces; gives the
            stream for it, or nothing if it is to be gathered.
    """

    __slots__ = (
        "_body",
        "_chunks",
        "_completed",
        "_headers",
        "_is_head",
        "_is_received",
        "_on_response",
        "_open_stream",
        "_status",
        "_stream",
        "state",
    )

    def __init__(
        self,
        body: bytes,
        is_head: bool,
        on_response: Callable[[Response], None],
        open_stream: "Callable[[Response], Stream | None] | None" = None,
    ) -> None:
        self.state = State.WAITING
        self._body = body
        self._is_head = is_head
        self._on_response = on_response
        self._open_stream = open_stream
        self._stream: Stream | None = None
        self._is_received = False
        self._status = 0
        self._headers: Headers = ()
        self._chunks: list[bytes] = []
        self._completed: asyncio.Future[None] | None = None

    async def run(self, app: App, scope: Scope) -> None:
        """Run the app to its end, which may be after its response.

        An app that raises, or returns without a whole response, is answered for with a 500, or its
        stream ends with an error; the reason is logged. What is no `Exception` goes on.
        """
        try:
            await app(scope, self.receive, self.send)
        except asyncio.CancelledError as error:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            self._over(Step.RAISE, error)  # nobody cancelled it: the app let one of its own out
        except Exception as error:  # noqa: BLE001 – the app's, and this is where it is answered for
            self._over(Step.RAISE, error)
        else:
            if self.state is not _COMPLETE:
                self._over(Step.RETURN, None)

    async def receive(self) -> Message:
        """The request, whole; afterwards the disconnect, once the response is over."""
        if not self._is_received:
            self._is_received = True
            return {"type": "http.request", "body": self._body, "more_body": False}
        if self.state in _UNFINISHED and not self._is_lost():
            if self._completed is None:
                self._completed = asyncio.get_running_loop().create_future()
            await asyncio.shield(self._completed)
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """Take one message of the response; one that raises has changed nothing.

        Raises:
            OSError: the response is streamed, and nobody takes it any more.
            RuntimeError: the message is not one that may come now, or the status is none.
            TypeError: a header or the body is not of bytes.
        """
        kind = message["type"]
        if kind == "http.response.start":
            state = self._after(_START, kind)
            self._status, self._headers = _status(message), _headers(message.get("headers", ()))
            self.state = state
        elif kind == "http.response.body":
            chunk = _chunk(message)
            if not message.get("more_body", False):
                state = self._after(_LAST_BODY, kind)
                self._chunks.append(chunk)
                self.state = state
                self._complete()
            elif self._streams():
                self.state = self._after(Step.PIECE, kind)
                await self._write(chunk)
            else:
                self.state = self._after(Step.BODY, kind)
                if self._has_body():  # else it is for nobody, and may have no end
                    self._chunks.append(chunk)
        else:
            raise RuntimeError(f"unexpected ASGI message {kind!r}")

    def _streams(self) -> bool:
        """Whether the body goes to a stream, which its first piece decides."""
        if self.state is State.STARTED and self._open_stream is not None and self._has_body():
            self._stream = self._open_stream(Response(self._status, self._headers))
            self._open_stream = None
        return self._stream is not None

    async def _write(self, piece: bytes) -> None:
        assert self._stream is not None
        try:
            await self._stream.write(piece)
        except OSError:
            self._set_completed()
            raise

    def _after(self, step: Step, kind: str) -> State:
        state = TRANSITIONS.get((self.state, step))
        if state is None:
            raise RuntimeError(f"unexpected ASGI message {kind!r}: {self.state.value}")
        return state

    def _has_body(self) -> bool:
        return not self._is_head and self._status not in _BODILESS

    def _complete(self) -> None:
        body = b"".join(self._chunks) if self._has_body() else b""
        if self._stream is not None:
            self._stream.end(body)
            self._set_completed()
        else:
            self._respond(Response(self._status, self._headers, body))

    def _over(self, step: Step, error: BaseException | None) -> None:
        if (self.state, step) in _FAILURES and not self._is_lost():
            logger.error(_FAILURES[self.state, step].format(status=self._status), exc_info=error)
        was_complete = self.state is State.COMPLETE
        self.state = TRANSITIONS.get((self.state, step), self.state)
        if was_complete:
            return
        if self._stream is not None:
            self._stream.abort(error)
            self._set_completed()
        else:
            self._respond(INTERNAL_SERVER_ERROR)

    def _is_lost(self) -> bool:
        """Whether the other end has closed the stream, which is no fault of the app's."""
        if self.state is not State.STREAMING:
            return False
        return self._stream is not None and self._stream.is_closed

    def _respond(self, response: Response) -> None:
        self._on_response(response)
        if self._completed is not None:
            self._set_completed()

    def _set_completed(self) -> None:
        if self._completed is not None and not self._completed.done():
            self._completed.set_result(None)


_UNFINISHED = (State.WAITING, State.STARTED, State.STREAMING)

_FAILURES = {
    (State.WAITING, Step.RAISE): "the app raised: answered with a 500",
    (State.STARTED, Step.RAISE): "the app raised in its response: answered with a 500",
    (State.STREAMING, Step.RAISE): "the app raised in its response: the stream ends with an error",
    (State.COMPLETE, Step.RAISE): "the app raised; it had answered with {status}",
    (State.WAITING, Step.RETURN): "the app returned without a response: answered with a 500",
    (State.STARTED, Step.RETURN): "the app returned before its response ended: answered with a 500",
    (State.STREAMING, Step.RETURN): (
        "the app returned before its response ended: the stream ends with an error"
    ),
}


def _status(message: Message) -> int:
    status = message["status"]
    if not isinstance(status, int) or not 100 <= status <= 599:
        raise RuntimeError(f"the status of a response must be 100 to 599, not {status!r}")
    return int(status)


def _chunk(message: Message) -> bytes:
    chunk = message.get("body", b"")
    if not isinstance(chunk, bytes | bytearray | memoryview):
        raise TypeError(f"the body of a response must be bytes, not {shown(chunk)}")
    return bytes(chunk)


def _headers(pairs: Iterable[Iterable[object]]) -> Headers:
    headers: list[tuple[bytes, bytes]] = []
    for name, value in pairs:
        if not isinstance(name, bytes) or not isinstance(value, bytes):
            raise TypeError(f"a header must be two bytes objects, not {shown((name, value))}")
        headers.append((name, value))
    return tuple(headers)
