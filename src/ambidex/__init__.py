"""One container image for an ASGI app, on AWS Lambda and on Amazon ECS."""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ambidex.runtime.handler import Handler

__all__ = ["Handler"]


def __getattr__(name: str) -> object:
    # Lazy, so that the `ambidex` command does not load the Lambda side where it is not needed.
    if name == "Handler":
        from ambidex.runtime.handler import Handler

        return Handler
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
