"""The variables that a copy of the app finds, and those that a user may not set."""

from pathlib import Path
from typing import Any

import pytest

from ambidex.local.variables import function, task_variables
from ambidex.settings import SettingError, from_pyproject


def on_lambda(folder: Path, settings: dict[str, Any], environ: dict[str, str]) -> dict[str, str]:
    return function(from_pyproject(folder / "pyproject.toml", settings), folder, environ).environ


def on_ecs(folder: Path, settings: dict[str, Any], environ: dict[str, str]) -> dict[str, str]:
    from_file = from_pyproject(folder / "pyproject.toml", settings)
    return task_variables(from_file, folder, environ, "127.0.0.1", 80)


TARGETS = pytest.mark.parametrize("target", [on_lambda, on_ecs])
PLACES = pytest.mark.parametrize("place", ["environment", "env-file"])


def variables(target: Any, folder: Path, place: str, name: str, value: str) -> dict[str, str]:
    """What a target gives a user who sets one variable in one of the two places."""
    settings = {}
    if place == "environment":
        settings = {"AMBIDEX_ENVIRONMENT": {name: value}}
    else:
        (folder / ".env").write_text(f"{name}={value}\n", encoding="utf-8")
    environ = {"AWS_REGION": "eu-west-1", "AWS_ACCESS_KEY_ID": "developer"}
    result: dict[str, str] = target(folder, settings, environ)
    return result


def test_what_lambda_sets_and_does_not_reserve_has_its_default(tmp_path: Path) -> None:
    environ = on_lambda(tmp_path, {}, {"TZ": "CET", "AWS_XRAY_CONTEXT_MISSING": "IGNORE_ERROR"})

    assert (environ["TZ"], environ["AWS_XRAY_CONTEXT_MISSING"]) == (":UTC", "LOG_ERROR")


def test_the_log_of_a_task_is_text_unless_it_is_told(tmp_path: Path) -> None:
    name = "AWS_LAMBDA_LOG_FORMAT"
    assert on_ecs(tmp_path, {}, {})[name] == "Text"
    assert name not in on_lambda(tmp_path, {}, {})  # it is Lambda's own default
    for target in (on_ecs, on_lambda):
        assert target(tmp_path, {}, {name: "JSON"})[name] == "JSON"


@TARGETS
@PLACES
@pytest.mark.parametrize(
    "name",
    [
        "TZ",
        "AWS_XRAY_CONTEXT_MISSING",
        "AWS_LAMBDA_LOG_FORMAT",
        "AWS_LAMBDA_LOG_LEVEL",
        "PATH",
        # Lambda reserves these, but an .env for one's own machine has them.
        "AWS_ACCESS_KEY",
        "AWS_ACCESS_KEY_ID",
        "AWS_SECRET_ACCESS_KEY",
        "AWS_SESSION_TOKEN",
    ],
)
def test_what_a_user_sets_wins(tmp_path: Path, target: Any, place: str, name: str) -> None:
    assert variables(target, tmp_path, place, name, "mine")[name] == "mine"


@TARGETS
@PLACES
@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("AWS_LAMBDA_FUNCTION_NAME", ""),
        ("_HANDLER", ""),
        ("AMBIDEX_APP", ""),
        ("AWS_REGION", "; the region comes from your own AWS_REGION"),
        ("AWS_DEFAULT_REGION", "; the region comes from your own AWS_REGION"),
    ],
)
def test_what_the_platform_sets_is_refused(
    tmp_path: Path, target: Any, place: str, name: str, hint: str
) -> None:
    with pytest.raises(SettingError) as error:
        variables(target, tmp_path, place, name, "mine")

    assert error.value.message == f"the variable {name!r} is kept for the platform"
    assert error.value.hint == f"take it out of `environment` and of the env-file{hint}"


@TARGETS
def test_the_region_is_the_developers(tmp_path: Path, target: Any) -> None:
    environ = target(tmp_path, {}, {"AWS_REGION": "eu-west-1"})

    assert environ["AWS_REGION"] == environ["AWS_DEFAULT_REGION"] == "eu-west-1"


@TARGETS
@pytest.mark.parametrize(
    ("content", "problem"),
    [
        pytest.param(b"A=caf\xe9\n", " is not UTF-8: ", id="latin-1"),
        pytest.param(b"A-B=1\n", " must not name a variable 'A-B': ", id="no name"),
        pytest.param(b"A=1\0\n", " must have no NUL in 'A'", id="NUL"),
        pytest.param(b"A=1\n!!caf\n", ", line 2: this is no variable", id="no variable"),
        pytest.param(b"A=1\nB='caf\n", ", line 2: this is no variable", id="open quote"),
        pytest.param(b"# A\ncaf\n", ", line 2: this is no variable", id="no value"),
    ],
)
def test_an_env_file_with_what_is_no_variable_is_an_error_that_names_it(
    tmp_path: Path, target: Any, content: bytes, problem: str
) -> None:
    (tmp_path / ".env").write_bytes(content)

    with pytest.raises(SettingError) as error:
        target(tmp_path, {}, {})

    assert error.value.message.startswith(f"{tmp_path / '.env'}{problem}")
    assert "caf" not in error.value.message  # what is in it may be secret


@TARGETS
def test_an_env_file_that_cannot_be_read_is_an_error_that_names_it(
    tmp_path: Path, target: Any
) -> None:
    name = "x" * 300

    with pytest.raises(SettingError) as error:
        target(tmp_path, {"AMBIDEX_ENV_FILE": name}, {})

    assert error.value.message == f"{tmp_path / name} cannot be read: File name too long"
