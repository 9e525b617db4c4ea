"""What the lifespan left, for each request and websocket.

uvicorn's own lifespan is off, and so the state that it puts into a scope is empty.
Source: asgi.readthedocs.io/en/latest/specs/lifespan.html#lifespan-state
"""

from collections.abc import Awaitable
from typing import Any

from ambidex.asgi.types import App, Receive, Scope, Send


def with_state(app: App, state: dict[str, Any]) -> App:
    """An app that finds a shallow copy of `state` in each scope."""

    def stateful(scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        scope["state"] = state.copy()
        return app(scope, receive, send)

    return stateful
