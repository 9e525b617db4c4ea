"""Requests out of a client's bytes: llhttp, and what it leaves to its user. No socket, no clock.

What could be understood in two ways is refused, since a load balancer and its target would each
take their own side of it (request smuggling, RFC 9112 6.3 and 11.2):

| in the head | status |
|---|---|
| Content-Length with Transfer-Encoding, two Content-Lengths, folded or malformed headers | 400 |
| no Host or two of them, Transfer-Encoding in HTTP/1.0, CONNECT | 400 |
| a Transfer-Encoding other than `chunked` | 501 |
| a version other than 1.0 and 1.1 | 505 |
| a request line, a header line or a head beyond the front door's limits | the door's own |
"""

from typing import NamedTuple, Protocol

import httptools

from ambidex.http import Headers
from ambidex.local.http1.messages import Head, Limits, has_token, header_block


class Refused(Exception):
    """The request is answered by the front door itself."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class Received(NamedTuple):
    """A request's head, and what it says of the body and of the connection."""

    head: Head
    content_length: int  # 0 without one
    is_chunked: bool
    expects_continue: bool
    keep_alive: bool
    upgrade: bytes | None  # the protocol that the client asks to change to

    @property
    def has_body(self) -> bool:
        """Whether body bytes, or a chunked body's end, follow the head."""
        return self.is_chunked or self.content_length > 0


class Receiver(Protocol):
    """Whom a parser tells of what it has found."""

    def request_began(self, received: Received) -> None:
        """A head is complete."""

    def body_came(self, data: bytes) -> None:
        """A piece of the body of the request that began last."""

    def request_ended(self, trailers: Headers) -> None:
        """The request that began last is complete."""


class RequestParser:
    """Parses the requests of one connection, one after the other.

    Args:
        limits: what a head may hold.
        receiver: is told of each part, while `feed` runs.
    """

    def __init__(self, limits: Limits, receiver: Receiver) -> None:
        self._limits = limits
        self._receiver = receiver
        self._llhttp = httptools.HttpRequestParser(self)
        self._target = b""
        self._headers: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._is_moving = False
        self._quiet_bytes = 0
        self._reframed = b""  # the body's framing, for a second parser
        self._is_reframing = False
        self._asked_to_close = False

    def feed(self, data: bytes) -> bytes | None:
        """Parse the next bytes.

        Returns:
            None, or, after a request to upgrade, the bytes behind it: another protocol's, or the
            next request's if the upgrade is declined.

        Raises:
            Refused: what came is malformed or too large, the client's fault; feed nothing more.
        """
        self._is_moving = False
        try:
            self._llhttp.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            rest = data[upgrade.args[0] :]
            self._llhttp = httptools.HttpRequestParser(self)
            return self._feed_body(rest) if self._reframed else rest
        except httptools.HttpParserError as error:
            self._fail(error)
            return None
        # A line that never ends is not reported by llhttp: header, trailer or chunk extension.
        self._quiet_bytes = 0 if self._is_moving else self._quiet_bytes + len(data)
        if self._quiet_bytes > self._limits.head_bytes:
            raise Refused(self._limits.head_status)
        return None

    def _feed_body(self, rest: bytes) -> bytes | None:
        reframed, self._reframed = self._reframed, b""
        self._is_reframing = True
        self._llhttp.feed_data(reframed)
        self._is_reframing = False
        return self.feed(rest)

    def _fail(self, error: httptools.HttpParserError) -> None:
        cause = error.__context__
        if isinstance(error, httptools.HttpParserCallbackError) and cause is not None:
            raise cause  # from one of the methods below: `Refused`, or a bug of ours
        if not self._asked_to_close:
            raise Refused(400)
        # Bytes behind a request with `Connection: close` are nobody's (RFC 9112 9.6).

    # Called by llhttp

    def on_message_begin(self) -> None:
        """A request line begins."""
        if not self._is_reframing:
            self._is_moving = True
            self._target = b""
            self._headers = []
            self._head_bytes = 0

    def on_url(self, target: bytes) -> None:
        """A piece of the request target."""
        self._target += target
        if len(self._target) > self._limits.request_line_bytes:
            raise Refused(self._limits.line_status)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header or a trailer; llhttp leaves the white space behind the value."""
        if self._is_reframing:
            return
        value = value.rstrip(b" \t")
        line_bytes = len(name) + len(value) + 2
        self._head_bytes += line_bytes + 2
        limits = self._limits
        most_bytes = limits.head_bytes if limits.headers_bytes is None else limits.headers_bytes
        if line_bytes > limits.header_line_bytes or self._head_bytes > most_bytes:
            raise Refused(limits.head_status)
        self._is_moving = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        """A head is complete."""
        if self._is_reframing:
            return
        llhttp = self._llhttp
        version = llhttp.get_http_version()
        method = llhttp.get_method().decode("ascii")
        self._check(method, version)
        head = Head(method, self._target, tuple(self._headers), version)
        self._headers = []
        self._head_bytes = 0
        received = _received(head, llhttp.should_keep_alive(), llhttp.should_upgrade())
        self._asked_to_close = not received.keep_alive
        if llhttp.should_upgrade() and received.has_body:
            # llhttp takes what follows any upgrade for the other protocol, but a body comes first
            # (RFC 9110 7.8). So a second parser is told of the body alone.
            self._reframed = _body_head(received)
        self._receiver.request_began(received)

    def on_body(self, data: bytes) -> None:
        """A piece of the body."""
        self._is_moving = True
        self._receiver.body_came(data)

    def on_message_complete(self) -> None:
        """A request is complete."""
        if not self._reframed:
            self._receiver.request_ended(tuple(self._headers))

    def _check(self, method: str, version: str) -> None:
        if version not in {"1.0", "1.1"}:
            raise Refused(505)
        if method == "CONNECT":  # no front door is a forward proxy
            raise Refused(400)
        line_bytes = len(method) + len(self._target) + 10  # two spaces and "HTTP/1.1"
        if line_bytes > self._limits.request_line_bytes:
            raise Refused(self._limits.line_status)
        if line_bytes + 4 + self._head_bytes > self._limits.head_bytes:
            raise Refused(self._limits.head_status)


def _received(head: Head, keep_alive: bool, asks_upgrade: bool) -> Received:
    """What llhttp has checked is not checked again: one length at most, and that a number."""
    hosts = content_length = 0
    is_chunked = expects_continue = False
    upgrade = None
    for name, value in head.headers:
        lower = name.lower()
        if lower == b"host":
            hosts += 1
        elif lower == b"content-length":
            content_length = int(value)
        elif lower == b"transfer-encoding":
            is_chunked = _is_chunked(value, head.http_version)
        elif lower == b"expect":
            expects_continue = head.http_version == "1.1" and has_token(value, b"100-continue")
        elif lower == b"upgrade":
            upgrade = value
    if hosts != 1 and (hosts or head.http_version == "1.1"):
        raise Refused(400)  # RFC 9112 3.2
    if is_chunked or content_length or not asks_upgrade:
        upgrade = None
    return Received(head, content_length, is_chunked, expects_continue, keep_alive, upgrade)


def _is_chunked(value: bytes, http_version: str) -> bool:
    if http_version == "1.0":
        raise Refused(400)  # RFC 9112 6.1
    if value.lower() != b"chunked":
        raise Refused(501)
    return True


def _body_head(received: Received) -> bytes:
    lines = [b"POST / HTTP/1.1"]
    if received.is_chunked:
        lines.append(b"Transfer-Encoding: chunked")
    else:
        lines.append(b"Content-Length: %d" % received.content_length)
    if not received.keep_alive:
        lines.append(b"Connection: close")
    return header_block(lines, ())
