"""One container image for an ASGI app, on AWS Lambda and on Amazon ECS."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ambidex.runtime.handler import Handler
    from ambidex.runtime.snapshot_hooks import after_restore, before_snapshot

__all__ = ["Handler", "after_restore", "before_snapshot"]


def __getattr__(name: str) -> object:
    # Lazy, so that the `ambidex` command does not load the Lambda side where it is not needed.
    if name == "Handler":
        from ambidex.runtime.handler import Handler

        return Handler
    if name in ("after_restore", "before_snapshot"):
        from ambidex.runtime import snapshot_hooks

        return getattr(snapshot_hooks, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
