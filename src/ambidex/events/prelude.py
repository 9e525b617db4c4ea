"""The form of a streamed result: a prelude, a delimiter, and then the body's own bytes.

1. The prelude is a JSON object with the status and the headers; what is in it is the event source's
   affair (`function_url.to_prelude`, `rest_api.to_prelude`).
2. Eight NULs end it. JSON escapes them, so none can be in it.
3. All that follows is the body, neither escaped nor base64.
4. The content type of the post tells Lambda that the bytes are of this form.

Source: lambda/latest/dg/runtimes-custom.html,
apigateway/latest/developerguide/response-transfer-mode-lambda.html
"""

from json import loads

from ambidex.errors import shown
from ambidex.events.fields import EventError

CONTENT_TYPE = "application/vnd.awslambda.http-integration-response"
DELIMITER = bytes(8)

# API Gateway wants the delimiter within as many bytes. Source: response-transfer-mode-lambda.html
LIMIT_BYTES = 16 * 1024


class Parser:
    """Takes a streamed result piece by piece until its prelude is complete.

    Args:
        limit_bytes: within how many bytes the delimiter must end; None for any number.
    """

    __slots__ = ("_limit_bytes", "_received", "_searched")

    def __init__(self, limit_bytes: int | None = None) -> None:
        self._limit_bytes = limit_bytes
        self._received = bytearray()
        self._searched = 0

    def feed(self, data: bytes) -> tuple[object, bytes] | None:
        """Take the next bytes.

        Returns:
            The prelude, whatever JSON it is, and the first bytes of the body, as soon as the
            delimiter is there: the rest of the body is the caller's. None before that.

        Raises:
            EventError: no delimiter within the limit, or what is before it is no JSON; the
                function's fault.
        """
        received = self._received
        received += data
        end = received.find(DELIMITER, self._searched)
        seen_bytes = len(received) if end < 0 else end + len(DELIMITER)
        if self._limit_bytes is not None and seen_bytes > self._limit_bytes:
            raise EventError(
                f"the delimiter of 8 NULs is not within the first {self._limit_bytes} bytes"
            )
        if end < 0:
            self._searched = max(0, len(received) - len(DELIMITER) + 1)
            return None
        document = bytes(received[:end])
        try:
            return loads(document), bytes(received[end + len(DELIMITER) :])
        except (ValueError, RecursionError):
            raise EventError(f"the prelude is no JSON: {shown(document)}") from None

    def end(self) -> None:
        """The stream has ended, and the prelude is not complete.

        Raises:
            EventError: always; the function's fault.
        """
        raise EventError(
            f"the stream ended after {len(self._received)} bytes without a delimiter of 8 NULs"
        )
