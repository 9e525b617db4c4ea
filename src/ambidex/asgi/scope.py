"""The ASGI scope of a request. This is where a path is decoded, once.

Source: asgi.readthedocs.io/en/latest/specs/www.html#http-connection-scope
"""

from typing import Any
from urllib.parse import unquote

from ambidex.http import Request, header, port_number


def http_scope(request: Request, state: dict[str, Any]) -> dict[str, Any]:
    """The scope of one HTTP request.

    Args:
        request: the request; its path includes its root path, as ASGI wants it.
        state: what the lifespan left; the request gets a shallow copy.
    """
    path = request.path
    headers = list(request.headers)
    # A REST API leaves it out of its events; frameworks take a form without it for an empty one.
    if request.body and header(request.headers, b"content-length") is None:
        headers.append((b"content-length", b"%d" % len(request.body)))
    return {
        "type": "http",
        "asgi": {"version": "3.0", "spec_version": "2.4"},
        "http_version": request.http_version,
        "method": request.method,
        "scheme": request.scheme,
        "path": unquote(path) if "%" in path else path,
        "raw_path": path.encode("ascii"),
        "query_string": request.query,
        "root_path": unquote(request.root_path),
        "headers": headers,
        "client": request.client,
        "server": server(request),
        "state": state.copy(),
    }


def server(request: Request) -> tuple[str, int] | None:
    """Host and port that the client asked for; None without a usable Host header.

    An ALB's health check has no Host; IPv6 addresses have brackets around them.
    """
    host = (header(request.headers, b"host") or b"").decode("latin-1")
    name, colon, port = host.rpartition(":")
    if not colon or "]" in port:
        name, port = host, ""
    name = name.strip("[]")
    if not name:
        return None
    forwarded = (header(request.headers, b"x-forwarded-port") or b"").decode("latin-1")
    default = 443 if request.scheme == "https" else 80
    return name, port_number(port) or port_number(forwarded) or default
