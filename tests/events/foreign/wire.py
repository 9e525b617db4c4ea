"""A case's request as it goes over a loopback socket, byte for byte."""

import socket
from http.client import HTTPResponse

from ambidex.http import Request, header
from tests.events.cases import RequestCase

HOST = "127.0.0.1"
PEER = (HOST, 0)  # whom an emulator sees; the port is not in an event
# Cases that no client of HTTP/1.1 can send.
NOT_SENT = {"HTTP/2": "the emulators speak HTTP/1.1"}

_ANSWER_S = 30


def sent(case: RequestCase) -> Request:
    """The request of a case with what HTTP/1.1 needs: a host, and the length of a body."""
    headers = case.request.headers
    if header(headers, b"host") is None:
        headers += ((b"host", HOST.encode()),)
    if case.request.method == "POST":
        headers += ((b"content-length", b"%d" % len(case.request.body)),)
    return case.request._replace(headers=headers)


def encode(request: Request, prefix: str = "") -> bytes:
    """The bytes of a request; `prefix` goes in front of its path."""
    target = f"{prefix}{request.path}".encode() + (b"?" + request.query if request.query else b"")
    lines = [b"%b %b HTTP/1.1" % (request.method.encode(), target)]
    lines += [b"%b: %b" % pair for pair in request.headers]
    return b"\r\n".join((*lines, b"", request.body))


def exchange(port: int, request: bytes) -> int:
    """Send a request on a connection of its own, and read the whole answer: its status."""
    method = request.partition(b" ")[0].decode()
    with socket.create_connection((HOST, port), timeout=_ANSWER_S) as connection:
        connection.sendall(request)
        with HTTPResponse(connection, method=method) as response:
            response.begin()
            response.read()
            return response.status
