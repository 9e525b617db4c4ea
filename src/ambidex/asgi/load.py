"""Finding an ASGI app by its name, `module:attribute`, or `module:factory()`."""

import importlib
import inspect
import logging
import sys
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType
from typing import cast

from ambidex.asgi.types import App
from ambidex.errors import AmbidexError, shown


class AppLoadError(AmbidexError):
    """The app is not where its name says, or is no ASGI app; the user's fault.

    `kind` is the error type that Lambda's own Python runtime reports for it.
    """

    def __init__(self, message: str, hint: str = "", kind: str = "Runtime.HandlerNotFound") -> None:
        super().__init__(message, hint)
        self.kind = kind


class AppImportError(AppLoadError):
    """Importing the app's module, or calling its factory, raised; the cause is the app's own."""


def load(name: str) -> App:
    """The app that `name` names; the working directory is searched first, as uvicorn does.

    Args:
        name: `module:attribute`, where the attribute may be dotted; `module:factory()` calls a
            function without arguments for the app.

    Raises:
        AppLoadError: the name is malformed, or module or attribute is not there, or is no ASGI app.
        AppImportError: the module's own code raised; the exception is its `__cause__`.
    """
    if not name:
        raise AppLoadError(
            "no app is named",
            "name it after the command, `ambidex serve main:app`, or in AMBIDEX_APP",
        )
    module_name, colon, attribute = name.partition(":")
    if not colon or not module_name or not attribute:
        module_name = module_name.removesuffix(".py") or "main"
        raise AppLoadError(
            f"the app must be named module:attribute, not {shown(name)}",
            f"for `app` in {module_name.replace('.', '/')}.py: {module_name}:app",
        )
    if "" not in sys.path and str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    module = _module(module_name)
    is_factory = attribute.endswith("()")
    target = _attribute(module, attribute.removesuffix("()"))
    if is_factory:
        target = _made(target, name)
    problem = not_asgi(target)
    if problem:
        raise AppLoadError(f"{name} is not an ASGI app: {problem}", _hint(target, name))
    enable_log()
    return cast("App", target)


def enable_log() -> None:
    """Have what the app raises logged, though its own configuration of logging may disable that.

    Source: docs.python.org/3/library/logging.config.html, `disable_existing_loggers`, on by default
    """
    logging.getLogger("ambidex").disabled = False


def not_asgi(target: object) -> str:
    """Why an object is no ASGI app, or nothing if it can be one."""
    if inspect.isclass(target):
        return "it is a class, and must be an instance of it"
    if not callable(target):
        return (
            f"it is {_a(type(target).__name__)}, and must be callable with (scope, receive, send)"
        )
    try:
        signature = inspect.signature(target)
    except (TypeError, ValueError):
        return ""
    try:
        signature.bind(None, None, None)
    except TypeError:
        count = len(signature.parameters)
        if count == 2:
            return (
                "it takes two arguments, as a WSGI app does, and must take (scope, receive, send)"
            )
        arguments = "one argument" if count == 1 else f"{count} arguments"
        return f"it takes {arguments}, and must take (scope, receive, send)"
    return ""


def _module(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name and (name == error.name or name.startswith(f"{error.name}.")):
            raise AppLoadError(
                f"there is no module {shown(name)} in {Path.cwd()} or among the installed packages",
                _nearest(error.name, _module_names(error.name)),
                "Runtime.ImportModuleError",
            ) from None
        raise _import_error(f"importing {name}", error) from error
    except Exception as error:
        raise _import_error(f"importing {name}", error) from error


def _attribute(module: ModuleType, path: str) -> object:
    value: object = module
    where = f"module {module.__name__!r}"
    for name in path.split("."):
        try:
            value = getattr(value, name)
        except AttributeError:
            raise AppLoadError(
                f"there is no {shown(name)} in {where}",
                _nearest(name, (n for n in dir(value) if not n.startswith("__"))),
            ) from None
        where = f"{name!r} of {where}"
    return value


def _made(factory: object, name: str) -> object:
    if not callable(factory):
        raise AppLoadError(
            f"{name} cannot be called: it is {_a(type(factory).__name__)}", "leave out the ()"
        )
    try:
        return factory()
    except Exception as error:
        raise _import_error(f"calling {name}", error) from error


def _import_error(doing: str, error: Exception) -> AppImportError:
    is_syntax = isinstance(error, SyntaxError)
    return AppImportError(
        f"{doing} failed: {type(error).__name__}: {error}",
        kind="Runtime.UserCodeSyntaxError" if is_syntax else "Runtime.ImportModuleError",
    )


def _hint(target: object, name: str) -> str:
    if inspect.isclass(target) or not callable(target):
        return ""
    try:
        parameters = inspect.signature(target).parameters.values()
    except (TypeError, ValueError):
        return ""
    required = sum(p.default is p.empty and p.kind is not p.VAR_KEYWORD for p in parameters)
    hints = {
        0: f"if it makes the app, write '{name}()', in quotes",
        2: "wrap it, as a2wsgi.WSGIMiddleware does",
    }
    return hints.get(required, "")


def _nearest(name: str, names: Iterable[str]) -> str:
    from difflib import get_close_matches

    matches = get_close_matches(name, sorted(set(names)), n=1, cutoff=0.4)
    return f"did you mean {matches[0]!r}?" if matches else ""


def _module_names(missing: str) -> Iterable[str]:
    package = missing.rpartition(".")[0]
    folders = getattr(sys.modules.get(package), "__path__", None)
    prefix = f"{package}." if folders else ""
    for folder in map(Path, folders or [Path.cwd()]):
        for path in folder.iterdir():
            if path.suffix == ".py" or (path / "__init__.py").exists():
                yield prefix + path.stem


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0].lower() in "aeiou" else f"a {noun}"
