"""The options of `Handler`: Mangum's, and what becomes of each.

None is ignored in silence: it is taken, or there is an error or a warning that says what happens
instead. Mangum's own meaning is that of version 0.22.
"""

import inspect
from collections.abc import Callable, Iterable, Sequence
from functools import wraps
from typing import TYPE_CHECKING, NamedTuple, ParamSpec

from ambidex.errors import shown

if TYPE_CHECKING:
    from ambidex.settings import LambdaSettings, SettingError

_LIFESPANS = ("auto", "on", "off")
_VARIABLE = "AMBIDEX_LAMBDA_BASE_PATH"

_Arguments = ParamSpec("_Arguments")


class Options(NamedTuple):
    """The options as they are used."""

    lifespan: str = "auto"  # "auto", "on" or "off"
    base_path: str = ""  # as it was written, with a slash in front; empty: as the settings say
    excluded: frozenset[bytes] = frozenset()  # names of headers, in lower case


def options(
    lifespan: str,
    api_gateway_base_path: str,
    custom_handlers: Sequence[object] | None,
    text_mime_types: Sequence[str] | None,
    exclude_headers: Iterable[str] | None,
) -> Options:
    """The options that a handler was made with.

    Raises:
        SettingError: one is not taken, or is out of range; the user's fault.
    """
    if lifespan not in _LIFESPANS:
        raise _error(f"lifespan = {shown(lifespan)} must be one of {', '.join(_LIFESPANS)}")
    if not isinstance(api_gateway_base_path, str):
        raise _error(f"api_gateway_base_path = {shown(api_gateway_base_path)} must be a string")
    if custom_handlers:
        raise _error(
            "custom_handlers is not taken: for events of a kind of your own write a function that "
            "answers them and hands all others to the Handler, or set `events-path` in "
            "[tool.ambidex.lambda] to have them POSTed to the app"
        )
    if text_mime_types:
        from warnings import warn

        warn(
            "text_mime_types is not needed by Handler and does nothing: a body is sent as text if "
            "it is UTF-8 and that is no longer than base64, and the client gets the same bytes",
            stacklevel=4,
        )
    base_path = api_gateway_base_path.strip("/")
    return Options(lifespan, f"/{base_path}" if base_path else "", _names(exclude_headers))


def with_base_path(settings: "LambdaSettings", base_path: str) -> "LambdaSettings":
    """The settings with the base path of a handler's options.

    Raises:
        SettingError: the settings have another one; the user's fault.
    """
    if not base_path:
        return settings
    from ambidex.settings import from_environ

    own = from_environ({_VARIABLE: base_path}).aws_lambda.base_path
    if settings.base_path not in ("", own):
        raise _error(
            f"api_gateway_base_path = {shown(own)} and [tool.ambidex.lambda] base-path = "
            f"{shown(settings.base_path)} differ: leave one of them out"
        )
    return settings._replace(base_path=own)


def named(init: Callable[_Arguments, None]) -> Callable[_Arguments, None]:
    """An `__init__` whose error at an unknown option has the nearest name, as of Python 3.13."""
    known = list(inspect.signature(init).parameters)

    @wraps(init)
    def checked(*arguments: _Arguments.args, **options: _Arguments.kwargs) -> None:
        for name in options:
            if name not in known:
                from difflib import get_close_matches

                nearest = get_close_matches(name, known[1:], n=1)
                hint = f"did you mean {nearest[0]!r}?" if nearest else f"there are {known[2:]}"
                raise TypeError(f"Handler has no option {name!r}: {hint}")
        init(*arguments, **options)

    return checked


def _names(headers: Iterable[str] | None) -> frozenset[bytes]:
    if headers is None:
        return frozenset()
    is_list = isinstance(headers, list | tuple | set | frozenset)
    if not is_list or not all(isinstance(name, str) for name in headers):
        raise _error(f"exclude_headers = {shown(headers)} must be a list of names")
    return frozenset(name.lower().encode("latin-1", "replace") for name in headers)


def _error(message: str) -> "SettingError":
    from ambidex.settings import SettingError

    return SettingError(f"Handler: {message}")
