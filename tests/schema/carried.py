"""What an answer must be, by the page that says what an event source carries and what not.

A request that goes to Lambda reaches the app as its event source carries it, and so does the answer
its client: Lambda's answer is the one that ECS gives to the request as it is carried, carried back.
"""

import json
from http.client import HTTPConnection
from typing import NamedTuple
from urllib.parse import urlsplit

from ambidex.http import Headers, Request, Response
from tests.events.cases import REQUESTS, RESPONSES, Source, difference

# The front doors' and servers' own, and what concerns a connection or its framing.
_OWN = frozenset({
    b"apigw-requestid", b"connection", b"content-length", b"date", b"keep-alive", b"server",
    b"transfer-encoding", b"x-amz-apigw-id", b"x-amzn-requestid", b"x-amzn-trace-id",
})  # fmt: skip


class Target:
    """A target and a connection to it.

    Args:
        url: the target's; its path is in front of every request's.
    """

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self.path = parts.path
        self._connection = HTTPConnection(parts.netloc, timeout=60)

    def answer(self, request: Request) -> Response:
        """What it answers, without the headers that are not the app's."""
        target = self.path + request.path
        if request.query:
            target += "?" + request.query.decode("latin-1")
        self._connection.putrequest(
            request.method, target, skip_host=True, skip_accept_encoding=True
        )
        self._connection.putheader("Host", "shop.example.com")
        for name, value in request.headers:
            self._connection.putheader(name.decode("latin-1"), value)
        if request.body:
            self._connection.putheader("Content-Length", str(len(request.body)))
        self._connection.endheaders(request.body or None)
        answer = self._connection.getresponse()
        headers = tuple(
            (name.lower().encode("latin-1"), value.encode("latin-1"))
            for name, value in answer.getheaders()
        )
        body = answer.read()
        return Response(answer.status, of_the_app(headers), body)

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()


class Unnamed(NamedTuple):
    """A field that arrives otherwise, and that no line of the page names."""

    field: str
    sent: object
    arrived: object


def of_the_app(headers: Headers) -> Headers:
    """Headers without those that are not the app's, sorted, for their order is not compared."""
    return tuple(
        sorted(
            (name, value)
            for name, value in headers
            if name not in _OWN and not name.startswith(b"x-amzn-remapped-")
        )
    )


def request_as_carried(source: Source, request: Request) -> Request:
    """The request that reaches the app, with the client's path."""
    event = json.loads(json.dumps(source.to_event(source.sent(request))))
    arrived = source.to_request(event, source.base_path())
    mount = source.mapping or source.stage
    return arrived._replace(path=arrived.path.removeprefix(mount), root_path="")


def response_as_carried(source: Source, response: Response) -> Response:
    """The answer that reaches the client."""
    arrived = source.to_response(json.loads(json.dumps(source.to_result(response))))
    lower = tuple((name.lower(), value) for name, value in arrived.headers)
    return arrived._replace(headers=of_the_app(lower))


def unnamed(source: Source, sent: Request | Response, arrived: Request | Response) -> list[Unnamed]:
    """The fields that arrive otherwise than they were sent, and that no line of the page names."""
    table = REQUESTS if isinstance(sent, Request) else RESPONSES
    named: set[str] = set()
    for case in table:
        differs = difference(source, case)
        if differs:
            named |= differs.arrives.keys()
    fields = ("method", "path", "query", "body", "status")
    return [
        Unnamed(field, getattr(sent, field), getattr(arrived, field))
        for field in fields
        if hasattr(sent, field)
        and getattr(sent, field) != getattr(arrived, field)
        and field not in named
    ]
