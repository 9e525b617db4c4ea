"""The kinds of events that the soak gives, and how each must be answered.

An event is a template whose id is filled in; an answer is compared with what its id demands.
"""

import json
from collections.abc import Callable
from typing import NamedTuple

from ambidex.http import Request, Response
from tests.events.cases import ALB, ALL, REST_API, SOURCES, Source
from tests.soak.app import made
from tests.soak.runtime_api import Call

# In the events where the id goes; as long as an id.
_ID = f"{0:036x}"
_STREAM = "application/vnd.awslambda.http-integration-response"
_DELIMITER = b"\0" * 8
_MB = 1_000_000
# More than twice the margin, so that the margin counts in full.
_SHORT_S = 0.6
# Bodies are up to 5 MB; as base64 a binary one would be more than Lambda's 6 MB.
_LARGE = {"text": 5 * _MB, "bin": 4 * _MB}


Wrong = Callable[[str, Response], str]
"""What is wrong with the response to an id, or nothing."""


class Kind(NamedTuple):
    """Events of one kind."""

    name: str
    weight: float
    pieces: tuple[bytes, ...]  # of the event, with its id between them
    problem: Callable[[str, Call], str]  # what is wrong with the answer to an id, or nothing
    time_s: float = 60  # that Lambda gives to the event


def event_id(number: int) -> str:
    """The id of an event; all are of one length."""
    return f"{number:036x}"


def kinds() -> list[Kind]:
    """All kinds, by what they do and by event source."""
    found = []
    by_module = {
        source.module: source
        for source in SOURCES
        if not source.mapping and not source.is_text_only
    }
    for module in ALL:
        source = by_module[module]
        found += [
            _http(source, "small", 30, Request("GET", "/make/text/20"), _made(20, True)),
            _http(source, "empty", 5, Request("GET", "/make/text/0"), _made(0, True)),
            _echo(source, "1 kB of text", 5, "é" * 500),
            _http(
                source, "100 kB out", 0.5, Request("GET", "/make/bin/100000"), _made(100_000, False)
            ),
            _http(source, "404", 3, Request("GET", "/status/404"), _status(404)),
            _http(source, "503", 2, Request("GET", "/status/503"), _status(503)),
            _http(source, "raises", 1, Request("GET", "/raise"), _fails),
            _http(source, "raises late", 0.5, Request("GET", "/raise-late"), _fails),
            _http(source, "no response", 0.5, Request("GET", "/nothing"), _fails),
            _http(source, "background", 3, Request("GET", "/background"), _status(200)),
            _http(source, "context", 3, Request("GET", "/context"), _context),
        ]
        if module != ALB:  # which takes 1 MB
            found += [
                _http(
                    source, f"{length} B of {content} out", 0.04,
                    Request("GET", f"/make/{content}/{length}"), _made(length, content == "text"),
                )
                for content, length in _LARGE.items()
            ]  # fmt: skip
            # A REST API with binary media types makes base64 of it.
            text = ("abcd" if module == REST_API else "abcde") * _MB
            found.append(_echo(source, f"{len(text)} B of text in and out", 0.04, text))
        hangs = _http(source, "hangs", 0.01, Request("GET", "/hang"), _cancelled)
        found.append(hangs._replace(time_s=_SHORT_S))
    return [*found, *_others()]


def _others() -> list[Kind]:
    record = json.dumps({"Records": [{"eventSource": "aws:sqs", "messageId": _ID}]})
    return [
        _kind("an event of SQS", 20, record, _same_record),
        _kind("no JSON", 3, "{not json " + _ID, _error("Runtime.UnmarshalError")),
        _kind(
            "a malformed event", 3,
            json.dumps({"version": "2.0", "rawPath": f"/{_ID}", "headers": 7,
                        "requestContext": {"http": {"method": "GET"}}}),
            _error("Runtime.UnsupportedEvent"),
        ),
        _kind("an empty object", 3, json.dumps({"a": _ID}), _same),
    ]  # fmt: skip


def _kind(name: str, weight: float, event: str, problem: Callable[[str, Call], str]) -> Kind:
    return Kind(name, weight, tuple(event.encode().split(_ID.encode())), problem)


def _http(
    source: Source,
    name: str,
    weight: float,
    request: Request,
    wrong: Callable[[str, Response], str],
) -> Kind:
    path = source.stage + request.path if source.is_clients_path else request.path
    headers = ((b"host", b"api.example.com"), (b"x-soak-id", _ID.encode()), *request.headers)
    event = json.dumps(source.to_event(request._replace(path=path, headers=headers)))

    def problem(event_id: str, call: Call) -> str:
        if call.path != f"invocation/{event_id}/response":
            return f"{call.path} {call.body[:200]!r}"
        return wrong(event_id, _response(source, call))

    return _kind(f"{source.module}: {name}", weight, event, problem)


def _response(source: Source, call: Call) -> Response:
    if call.headers["content-type"] != _STREAM:
        return source.to_response(json.loads(call.body))
    prelude, _, body = call.body.partition(_DELIMITER)
    fields = json.loads(prelude)
    pairs = [*fields.get("headers", {}).items()]
    for name, values in fields.get("multiValueHeaders", {}).items():
        pairs += [(name, value) for value in values]
    headers = tuple((name.encode(), value.encode()) for name, value in pairs)
    return Response(fields["statusCode"], headers, body)


def _echo(source: Source, name: str, weight: float, text: str) -> Kind:
    body = text.encode()
    headers = (
        (b"content-type", b"text/plain; charset=utf-8"), (b"content-length", b"%d" % len(body)),
    )  # fmt: skip
    request = Request("POST", "/echo", headers=headers, body=body)

    def wrong(event_id: str, response: Response) -> str:
        return _of(event_id, response, 200) or _compared(response.body, body)

    return _http(source, name, weight, request, wrong)


def _made(length: int, is_text: bool) -> Callable[[str, Response], str]:
    def wrong(event_id: str, response: Response) -> str:
        expected = made(event_id, length, is_text)
        return _of(event_id, response, 200) or _compared(response.body, expected)

    return wrong


def _status(status: int) -> Callable[[str, Response], str]:
    def wrong(event_id: str, response: Response) -> str:
        return _of(event_id, response, status) or _compared(response.body, event_id.encode())

    return wrong


def _context(event_id: str, response: Response) -> str:
    expected = json.dumps([event_id, event_id, event_id, True]).encode()
    return _of(event_id, response, 200) or _compared(response.body, expected)


def _fails(_event_id: str, response: Response) -> str:
    if response.status != 500:
        return f"status {response.status}"
    return _compared(response.body, b"Internal Server Error")


def _cancelled(_event_id: str, response: Response) -> str:
    return "" if response.status == 504 else f"status {response.status}"


def _of(event_id: str, response: Response, status: int) -> str:
    ids = [value for name, value in response.headers if name.lower() == b"x-soak-id"]
    is_its = response.status == status and ids == [event_id.encode()]
    return "" if is_its else f"status {response.status} of {ids}"


def _compared(body: bytes, expected: bytes) -> str:
    return "" if body == expected else f"a body of {len(body)} bytes, {body[:60]!r}"


def _same_record(event_id: str, call: Call) -> str:
    expected = {"Records": [{"eventSource": "aws:sqs", "messageId": event_id}]}
    return _result(event_id, call, expected)


def _same(event_id: str, call: Call) -> str:
    return _result(event_id, call, {"a": event_id})


def _result(event_id: str, call: Call, expected: object) -> str:
    is_result = call.path == f"invocation/{event_id}/response"
    is_right = is_result and json.loads(call.body) == expected
    return "" if is_right else f"{call.path} {call.body[:200]!r}"


def _error(error_type: str) -> Callable[[str, Call], str]:
    def problem(event_id: str, call: Call) -> str:
        found = call.path, call.headers.get("lambda-runtime-function-error-type")
        return "" if found == (f"invocation/{event_id}/error", error_type) else str(found)

    return problem
