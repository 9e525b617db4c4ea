"""Errors as Lambda takes them: stack traces start at the app's own code."""

from pathlib import Path

import pytest

from ambidex.asgi.load import AppImportError, load
from ambidex.runtime.errors import error_document, stack_trace


def test_the_stack_trace_of_a_failing_import_is_the_apps_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "broken_app.py").write_text("def fail():\n    return 1 / 0\n\nfail()\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AppImportError) as caught:
        load("broken_app:app")
    frames = stack_trace(caught.value.__cause__)
    assert [line.split(", in ")[0].strip() for line in frames] == [
        f'File "{tmp_path}/broken_app.py", line 4',
        f'File "{tmp_path}/broken_app.py", line 2',
    ]


def test_a_module_of_the_user_whose_name_is_one_of_ours_keeps_its_frames(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "bootstrap.py").write_text("1 / 0\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AppImportError) as caught:
        load("bootstrap:app")
    assert "bootstrap.py" in stack_trace(caught.value.__cause__)[0]


def test_an_error_without_frames_has_an_empty_stack_trace() -> None:
    assert error_document("Runtime.X", "no") == (
        b'{"errorMessage":"no","errorType":"Runtime.X","stackTrace":[]}'
    )


def test_a_message_that_is_no_unicode_is_an_error_all_the_same() -> None:
    assert error_document("Runtime.X", "no \udcff") == (
        b'{"errorMessage":"no \\\\udcff","errorType":"Runtime.X","stackTrace":[]}'
    )
