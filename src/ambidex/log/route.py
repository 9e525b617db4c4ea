"""The route that a framework has found for a request, as its template: `/orders/{order_id}`.

FastAPI and Starlette leave the route in the scope, Litestar its template. Others leave nothing, nor
does middleware that hands on a copy of the scope.
"""

from typing import Any

from ambidex.asgi.types import Scope


def route(scope: Scope) -> str:
    """The template; empty where it cannot be told.

    Args:
        scope: as the framework has left it.
    """
    template = scope.get("path_template") or _path_format(scope)
    if not isinstance(template, str):
        return ""
    params = scope.get("path_params") or {}
    mounted_at = _mounted_at(scope)
    if template.endswith("/{path}") and "path" not in params:
        # A mount, in which nothing was found; where it is has no parameters in the root path.
        return "" if params else f"{mounted_at}/{{path}}"
    if any(f"{{{name}}}" not in template for name in params):
        return ""  # a parameter of the mount, whose value is in the root path
    return mounted_at + template


def _path_format(scope: Scope) -> Any:  # noqa: ANN401 – whatever a framework has put there
    # FastAPI's own of a route has no prefix of the routers that it is included through.
    included = (scope.get("fastapi") or {}).get("effective_route_context") or scope.get("route")
    return getattr(included, "path_format", None)


def _mounted_at(scope: Scope) -> str:
    """What Starlette's mounts have added to the root path."""
    before, now = scope.get("app_root_path"), scope.get("root_path", "")
    return now.removeprefix(before) if isinstance(before, str) else ""
