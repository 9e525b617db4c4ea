"""The path that takes events which are no HTTP requests, closed to all who call from outside.

Whoever reached it over HTTP could make up events. So paths are compared as frameworks route them,
and rather too widely than too narrowly:

1. A scope's path is percent-decoded already. Capital letters are small ones to BlackSheep
   (`re.IGNORECASE` in its `Route`).
2. Repeated slashes, and one at the end, make no difference to Litestar (`normalize_path`).
3. A line end at the end makes none to Starlette (the `$` in `compile_path`).
4. What is in front of the app's own paths is cut off by all of them: the scope's root path, or one
   of the app's own, which FastAPI puts in its place. Litestar cuts at the first place where a root
   path occurs, Django does not look for the end of a segment.
5. h11 lets a target pass that has no slash at its start: the absolute form, and what is of no form.
   Litestar and Falcon take the slash for granted, Quart parses it as a URL. No route is found by
   such a path that could not be found by another, so it is enough that the name is in it.

Dot segments stay: none of these frameworks resolves them.
"""

from collections.abc import Awaitable, Iterable, Sequence
from typing import Any
from urllib.parse import unquote

from ambidex.asgi.types import App, Receive, Scope, Send

_BODY = b"Not Found"
_NOT_FOUND: tuple[dict[str, Any], ...] = (
    {
        "type": "http.response.start",
        "status": 404,
        "headers": [
            (b"content-type", b"text/plain; charset=utf-8"),
            (b"content-length", b"%d" % len(_BODY)),
        ],
    },
    {"type": "http.response.body", "body": _BODY},
)
# Before it is accepted, a websocket that is closed is an HTTP 403 to its client.
_CLOSED: tuple[dict[str, Any], ...] = ({"type": "websocket.close", "code": 1000},)


def closed(app: App, events_path: str, base_path: str) -> App:
    """The app as callers from outside reach it: it has nothing at its events path.

    Args:
        app: the app.
        events_path: percent-encoded; empty if it has none, and the app is handed back.
        base_path: percent-encoded; what the settings say is in front of the app's own paths.
    """
    if not events_path:
        return app
    target = segments(unquote(events_path))
    known = (own_root_path(app), unquote(base_path))

    def outside(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] in ("http", "websocket"):
            root_paths = (scope.get("root_path", ""), *known)
            if is_events_path(scope["path"], root_paths, target):
                return _refuse(send, _NOT_FOUND if scope["type"] == "http" else _CLOSED)
        return app(scope, receive, send)

    return outside


def is_events_path(path: str, root_paths: Iterable[str], target: Sequence[str]) -> bool:
    """Whether an app may take a path for its events path.

    Args:
        path: decoded, as a scope has it.
        root_paths: decoded; what may be in front of the app's own paths, empty ones too.
        target: the segments of the events path, at least one.
    """
    path = path.casefold()
    if target[-1] not in path:  # so it is with nearly all requests, and this is cheap
        return False
    if not path.startswith("/"):
        return True
    rests = {path}
    for root_path in filter(None, root_paths):
        rests |= {rest.split(root_path.casefold(), 1)[-1] for rest in rests}
    return any(segments(rest) == target for rest in rests)


def segments(path: str) -> list[str]:
    """The segments of a decoded path, as `is_events_path` compares them."""
    return [segment for segment in path.casefold().strip("/\n").split("/") if segment]


def own_root_path(app: object) -> str:
    """The root path that an app has itself, as FastAPI may; middleware around it is looked through.

    Middleware has what it wraps in an attribute `app`, by custom.
    """
    seen: set[int] = set()
    while app is not None and id(app) not in seen:
        seen.add(id(app))
        root_path = getattr(app, "root_path", "")
        if root_path and isinstance(root_path, str):
            return root_path
        app = getattr(app, "app", None)
    return ""


async def _refuse(send: Send, messages: Iterable[dict[str, Any]]) -> None:
    for message in messages:
        await send(message)
