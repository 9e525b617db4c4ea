"""Finding an app by its name, and every sentence said of one that is not found."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ambidex.asgi.load import AppImportError, AppLoadError, load

MAIN = """
import functools

async def app(scope, receive, send): ...

class Application:
    async def __call__(self, scope, receive, send): ...
    async def method(self, scope, receive, send): ...

class Holder:
    api = Application()

instance = Application()
holder = Holder()
partial = functools.partial(lambda extra, scope, receive, send: None, 1)

def anything(*args): ...
def defaults(scope, receive, send, debug=False): ...
def make_app(): return instance
def make_with_default(debug=False): return instance
def make_number(): return 5
def make_none(): return None
def make_nothing(): raise LookupError("no settings")
def wsgi(environ, start_response): ...
def asgi2(scope): ...
def four(scope, receive, send, more): ...
number = 5
setting = {"a": 1}
"""


@pytest.fixture(autouse=True)
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A working directory with main.py; what is imported from there is forgotten again."""
    (tmp_path / "main.py").write_text(MAIN)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    monkeypatch.setattr(sys, "dont_write_bytecode", True)
    yield tmp_path
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(f"{tmp_path}/"):
            del sys.modules[name]


def error_of(name: str) -> AppLoadError:
    with pytest.raises(AppLoadError) as error:
        load(name)
    assert str(error.value) == error.value.message
    return error.value


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("main:app", id="function"),
        pytest.param("main:instance", id="instance with __call__"),
        pytest.param("main:instance.method", id="bound method"),
        pytest.param("main:holder.api", id="dotted attribute"),
        pytest.param("main:Holder.api", id="attribute of a class"),
        pytest.param("main:partial", id="partial"),
        pytest.param("main:anything", id="function of any arguments"),
        pytest.param("main:defaults", id="further arguments with defaults"),
        pytest.param("main:make_app()", id="factory"),
        pytest.param("main:make_with_default()", id="factory with a default"),
        pytest.param("main:Application()", id="class as a factory"),
    ],
)
def test_what_can_be_called_with_scope_receive_and_send_is_an_app(name: str) -> None:
    assert callable(load(name))


def test_a_frameworks_app_is_one(project: Path) -> None:
    (project / "api.py").write_text("from fastapi import FastAPI\napp = FastAPI(title='mine')\n")

    app: Any = load("api:app")

    assert app.title == "mine"


def test_the_module_is_in_the_working_directory_first(project: Path) -> None:
    (project / "json").mkdir()
    (project / "fresh_name.py").write_text("async def app(scope, receive, send): ...")

    app: Any = load("fresh_name:app")

    assert app.__module__ == "fresh_name"
    assert sys.path[0] == str(project)
    load("fresh_name:app")
    assert sys.path.count(str(project)) == 1


def test_no_name_is_told_where_to_name_it() -> None:
    error = error_of("")

    assert (error.message, "AMBIDEX_APP" in error.hint) == ("no app is named", True)


def test_an_app_in_a_packages_submodule_is_found(project: Path) -> None:
    (project / "service" / "web").mkdir(parents=True)
    (project / "service" / "__init__.py").touch()
    (project / "service" / "web" / "__init__.py").touch()
    (project / "service" / "web" / "api.py").write_text(MAIN)

    app: Any = load("service.web.api:app")

    assert app.__module__ == "service.web.api"


@pytest.mark.parametrize(
    ("name", "shown", "hint"),
    [
        pytest.param("main", "'main'", "for `app` in main.py: main:app", id="no colon"),
        pytest.param("main.py", "'main.py'", "for `app` in main.py: main:app", id="file"),
        pytest.param("main:", "'main:'", "for `app` in main.py: main:app", id="no attribute"),
        pytest.param(":app", "':app'", "for `app` in main.py: main:app", id="no module"),
    ],
)
def test_a_name_of_another_form_is_refused(name: str, shown: str, hint: str) -> None:
    error = error_of(name)

    assert error.message == f"the app must be named module:attribute, not {shown}"
    assert error.hint == hint
    assert error.kind == "Runtime.HandlerNotFound"


@pytest.mark.parametrize(
    ("name", "missing", "hint"),
    [
        pytest.param("mian:app", "'mian'", "did you mean 'main'?", id="misspelled"),
        pytest.param("main.py:app", "'main.py'", "did you mean 'main'?", id="file"),
        pytest.param("servce:app", "'servce'", "did you mean 'service'?", id="package"),
        pytest.param("servce.api:app", "'servce.api'", "did you mean 'service'?", id="its parent"),
        pytest.param(
            "service.apy:app", "'service.apy'", "did you mean 'service.api'?", id="submodule"
        ),
        pytest.param("qqqqqqqq:app", "'qqqqqqqq'", "", id="like nothing that is there"),
    ],
)
def test_a_module_that_is_not_there_is_named_with_the_nearest(
    name: str, missing: str, hint: str, project: Path
) -> None:
    (project / "service").mkdir()
    (project / "service" / "__init__.py").touch()
    (project / "service" / "api.py").touch()
    error = error_of(name)

    assert error.message == (
        f"there is no module {missing} in {project} or among the installed packages"
    )
    assert error.hint == hint
    assert error.kind == "Runtime.ImportModuleError"
    assert not isinstance(error, AppImportError)


@pytest.mark.parametrize(
    ("name", "message", "hint"),
    [
        pytest.param(
            "main:ap", "there is no 'ap' in module 'main'", "did you mean 'app'?", id="misspelled"
        ),
        pytest.param(
            "main:mke_app()",
            "there is no 'mke_app' in module 'main'",
            "did you mean 'make_app'?",
            id="factory",
        ),
        pytest.param(
            "main:holder.apy",
            "there is no 'apy' in 'holder' of module 'main'",
            "did you mean 'api'?",
            id="dotted",
        ),
        pytest.param(
            "main:holder.api.methd",
            "there is no 'methd' in 'api' of 'holder' of module 'main'",
            "did you mean 'method'?",
            id="dotted twice",
        ),
        pytest.param(
            "main:qqqqqqqq", "there is no 'qqqqqqqq' in module 'main'", "", id="like nothing"
        ),
    ],
)
def test_an_attribute_that_is_not_there_is_named_with_the_nearest(
    name: str, message: str, hint: str
) -> None:
    error = error_of(name)

    assert (error.message, error.hint) == (message, hint)
    assert error.kind == "Runtime.HandlerNotFound"


@pytest.mark.parametrize(
    ("name", "problem", "hint"),
    [
        pytest.param(
            "main:Application", "it is a class, and must be an instance of it", "", id="class"
        ),
        pytest.param(
            "main:number",
            "it is an int, and must be callable with (scope, receive, send)",
            "",
            id="number",
        ),
        pytest.param(
            "main:setting",
            "it is a dict, and must be callable with (scope, receive, send)",
            "",
            id="dictionary",
        ),
        pytest.param(
            "main:make_app",
            "it takes 0 arguments, and must take (scope, receive, send)",
            "if it makes the app, write 'main:make_app()', in quotes",
            id="factory without its ()",
        ),
        pytest.param(
            "main:make_with_default",
            "it takes one argument, and must take (scope, receive, send)",
            "if it makes the app, write 'main:make_with_default()', in quotes",
            id="factory with a default without its ()",
        ),
        pytest.param(
            "main:wsgi",
            "it takes two arguments, as a WSGI app does, and must take (scope, receive, send)",
            "wrap it, as a2wsgi.WSGIMiddleware does",
            id="WSGI",
        ),
        pytest.param(
            "main:asgi2",
            "it takes one argument, and must take (scope, receive, send)",
            "",
            id="ASGI 2",
        ),
        pytest.param(
            "main:four",
            "it takes 4 arguments, and must take (scope, receive, send)",
            "",
            id="four arguments",
        ),
        pytest.param(
            "main:make_number()",
            "it is an int, and must be callable with (scope, receive, send)",
            "",
            id="what the factory made",
        ),
        pytest.param(
            "main:make_none()",
            "it is a NoneType, and must be callable with (scope, receive, send)",
            "",
            id="a factory that forgot to return",
        ),
    ],
)
def test_what_is_no_asgi_app_is_refused_with_the_reason(name: str, problem: str, hint: str) -> None:
    error = error_of(name)

    assert error.message == f"{name} is not an ASGI app: {problem}"
    assert error.hint == hint
    assert error.kind == "Runtime.HandlerNotFound"


def test_a_factory_that_is_none_is_refused() -> None:
    error = error_of("main:number()")

    assert error.message == "main:number() cannot be called: it is an int"
    assert error.hint == "leave out the ()"


@pytest.mark.parametrize(
    ("source", "message", "kind"),
    [
        pytest.param(
            "import no_such_module",
            "importing broken failed: ModuleNotFoundError: No module named 'no_such_module'",
            "Runtime.ImportModuleError",
            id="it imports a module that is not there",
        ),
        pytest.param(
            "import main.inner",
            "importing broken failed: ModuleNotFoundError: No module named 'main.inner'; "
            "'main' is not a package",
            "Runtime.ImportModuleError",
            id="it imports a submodule of a module",
        ),
        pytest.param(
            "from main import nothing",
            "importing broken failed: ImportError: cannot import name 'nothing' from 'main' ",
            "Runtime.ImportModuleError",
            id="it imports a name that is not there",
        ),
        pytest.param(
            "raise ModuleNotFoundError('nameless')",
            "importing broken failed: ModuleNotFoundError: nameless",
            "Runtime.ImportModuleError",
            id="ModuleNotFoundError without a name",
        ),
        pytest.param(
            "1 / 0",
            "importing broken failed: ZeroDivisionError: division by zero",
            "Runtime.ImportModuleError",
            id="it raises",
        ),
        pytest.param(
            "def app(:",
            "importing broken failed: SyntaxError: ",
            "Runtime.UserCodeSyntaxError",
            id="syntax error",
        ),
    ],
)
def test_a_module_that_fails_at_import_is_no_module_that_is_missing(
    source: str, message: str, kind: str, project: Path
) -> None:
    (project / "broken.py").write_text(source)
    error = error_of("broken:app")

    assert isinstance(error, AppImportError)
    assert error.message.startswith(message)
    assert error.kind == kind
    assert error.__cause__ is not None
    assert f"{type(error.__cause__).__name__}: {error.__cause__}" in error.message


def test_a_factory_that_raises_is_the_apps_own_fault() -> None:
    error = error_of("main:make_nothing()")

    assert isinstance(error, AppImportError)
    assert error.message == "calling main:make_nothing() failed: LookupError: no settings"
    assert isinstance(error.__cause__, LookupError)


@pytest.mark.parametrize("name", ["leaves:app", "main:leave()"])
def test_an_app_that_leaves_the_process_may(name: str, project: Path) -> None:
    (project / "leaves.py").write_text("raise SystemExit(3)")
    (project / "main.py").write_text("def leave(): raise SystemExit(3)")

    with pytest.raises(SystemExit):
        load(name)


def test_an_error_shows_at_most_200_characters_of_a_name() -> None:
    error = error_of("x" * 1000)

    assert error.message == f"the app must be named module:attribute, not '{'x' * 196}..."
