"""The functions that an app wants called around SnapStart's snapshot.

Anywhere else than on Lambda with SnapStart they are registered and never called.
"""

from collections.abc import Callable
from typing import TypeVar

from ambidex.errors import shown

Hook = Callable[[], object]  # what an async one returns is awaited
_Hook = TypeVar("_Hook", bound=Hook)

before: list[Hook] = []
after: list[Hook] = []


def before_snapshot(hook: _Hook) -> _Hook:
    """Have a function called before Lambda takes the snapshot, those registered last first.

    Args:
        hook: takes no arguments; an async function runs on the app's own event loop. It has to be
            registered before the snapshot: when the app is imported, or in the lifespan's startup
            with `lifespan = "snapshot"`.

    Returns:
        The function, so that this can be its decorator.

    Raises:
        TypeError: this is no function.
    """
    before.append(_checked(hook, "before_snapshot"))
    return hook


def after_restore(hook: _Hook) -> _Hook:
    """Have a function called after each restore, those registered first first.

    Args:
        hook: as that of `before_snapshot`.

    Returns:
        The function, so that this can be its decorator.

    Raises:
        TypeError: this is no function.
    """
    after.append(_checked(hook, "after_restore"))
    return hook


def _checked(hook: _Hook, name: str) -> _Hook:
    if not callable(hook):
        raise TypeError(f"{name} needs a function without arguments, not {shown(hook)}")
    return hook
