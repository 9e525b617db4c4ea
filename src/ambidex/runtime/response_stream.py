"""A response that is posted piece by piece, in the Runtime API's streaming mode.

The body is status and headers as JSON, eight NULs, and the response's own body as it comes. What
fails before the first byte is an ordinary answer or error; what fails later is told in trailers.

Source: lambda/latest/dg/runtimes-custom.html, "Response streaming";
lambda/latest/dg/configuration-response-streaming.html
"""

import logging
from base64 import b64encode

from ambidex.events.detect import Prelude
from ambidex.events.event_json import dumps
from ambidex.events.prelude import CONTENT_TYPE, DELIMITER
from ambidex.http import Response
from ambidex.runtime.connection import Connection
from ambidex.runtime.errors import error_document
from ambidex.runtime.messages import Invocation, error_request, streamed_result_head

logger = logging.getLogger("ambidex")

# Source: lambda/latest/dg/gettingstarted-limits.html, "Invocation payload"
STREAM_BYTES = 200 * 1024 * 1024

_ERROR_TYPE = "Lambda-Runtime-Function-Error-Type"
_ERROR_BODY = "Lambda-Runtime-Function-Error-Body"
_END = b"0\r\n\r\n"


def whole(host: str, invocation: Invocation, response: Response, prelude: Prelude) -> bytes:
    """The request that posts a response which is all there."""
    body = chunk(_head(prelude, response) + response.body)
    return _request_head(host, invocation) + body + _END


def chunk(data: bytes) -> bytes:
    """A chunk of a body; of no bytes it would be the end."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def trailers(kind: str, document: bytes) -> bytes:
    """The end of a body that ends with an error.

    Args:
        kind: `Category.Reason`.
        document: the error's JSON.
    """
    body = b64encode(document).decode()
    return f"0\r\n{_ERROR_TYPE}: {kind}\r\n{_ERROR_BODY}: {body}\r\n\r\n".encode()


class ResponseStream:
    """The stream of one response; see `ambidex.asgi.stream`.

    Args:
        connection: to the Runtime API; nothing else is sent on it until `reply` has been awaited.
        invocation: what is answered.
        response: status and headers.
        prelude: the event source's.
    """

    def __init__(
        self, connection: Connection, invocation: Invocation, response: Response, prelude: Prelude
    ) -> None:
        self._connection = connection
        self._invocation = invocation
        self._head = _head(prelude, response)
        self._sent_bytes = 0
        self._is_begun = False
        self._is_over = False

    @property
    def is_closed(self) -> bool:
        """Whether the response is over, or the Runtime API has answered before its end."""
        return self._is_over or (self._is_begun and self._connection.is_answered)

    async def write(self, piece: bytes) -> None:
        """Send a piece, and wait until there is room for the next.

        Raises:
            OSError: the response is over: it is too large, or the Runtime API takes no more.
            PeerError: there is no Runtime API.
        """
        if not self._is_begun:
            await self._connection.open()
        if not self._takes(piece):
            raise BrokenPipeError("nobody takes more of this response")
        if not self._is_begun:
            self._is_begun = True
            head = _request_head(self._connection.host, self._invocation)
            self._connection.begin(head + chunk(self._head + piece))
        elif piece:
            self._connection.write(chunk(piece))
        await self._connection.room()

    def end(self, piece: bytes) -> None:
        """Send the last piece."""
        if not self._is_begun:
            self.fail("Function.IncompleteResponse", "the first piece of the response is lost")
        elif self._takes(piece):
            self._finish(chunk(piece) + _END if piece else _END)

    def abort(self, error: BaseException | None) -> None:
        """End the response with an error.

        Args:
            error: what the app raised; none if it just returned.
        """
        if error is None:
            self.fail("Function.IncompleteResponse", "the app returned before its response ended")
        else:
            message = f"the app raised in its response: {type(error).__name__}: {error}"
            self.fail("Function.ResponseError", message, error)

    def fail(self, kind: str, message: str, error: BaseException | None = None) -> None:
        """End the response with an error, if it is not over.

        Args:
            kind: `Category.Reason`.
            message: what is wrong.
            error: the exception whose stack is told.
        """
        if self.is_closed:
            return
        document = error_document(kind, message, error)
        if self._is_begun:
            self._finish(trailers(kind, document))
        else:
            self._is_over = True
            host = self._connection.host
            self._connection.start(error_request(host, self._invocation, kind, document))

    def _takes(self, piece: bytes) -> bool:
        if self.is_closed:
            return False
        self._sent_bytes += len(piece)
        if self._sent_bytes <= STREAM_BYTES:
            return True
        message = f"the response has more than the {STREAM_BYTES} bytes that Lambda streams"
        logger.error("%s: hand out a link to S3, or serve this route from ECS", message)
        self.fail("Function.ResponseSizeTooLarge", message)
        return False

    def _finish(self, data: bytes) -> None:
        self._is_over = True
        self._connection.end(data)


def _head(prelude: Prelude, response: Response) -> bytes:
    return dumps(prelude(response)) + DELIMITER


def _request_head(host: str, invocation: Invocation) -> bytes:
    return streamed_result_head(host, invocation, CONTENT_TYPE, f"{_ERROR_TYPE}, {_ERROR_BODY}")
