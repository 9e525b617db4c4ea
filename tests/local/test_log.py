"""What `up` prints: coloured on a terminal, plain in a pipe, and clean after Ctrl-C."""

import io
import os
import pty
import sys
from pathlib import Path

import pytest

from ambidex.local.log import printer
from tests.project import project

PORTS = ["--lambda-port", "0", "--ecs-port", "0", "--invoke-port", "0"]
OK = """
async def app(scope, receive, send):
    assert scope["type"] == "http"
    await answer(send, body=b"one")
"""


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("environ", "stream", "is_coloured"),
    [
        pytest.param({}, Terminal(), True, id="a terminal"),
        pytest.param({}, io.StringIO(), False, id="a pipe"),
        pytest.param({"NO_COLOR": "1"}, Terminal(), False, id="NO_COLOR"),
        pytest.param({"TERM": "dumb"}, Terminal(), False, id="a dumb terminal"),
    ],
)
def test_lines_are_coloured_where_a_person_wants_it(
    monkeypatch: pytest.MonkeyPatch,
    environ: dict[str, str],
    stream: io.StringIO,
    is_coloured: bool,
) -> None:
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in environ.items():
        monkeypatch.setenv(name, value)
    printer("ecs", stream)("a line")
    assert ("\x1b[" in stream.getvalue()) == is_coloured
    assert stream.getvalue().endswith(" a line\n")


def test_a_traceback_that_is_one_event_on_lambda_is_lines_here() -> None:
    stream = io.StringIO()
    printer("lambda", stream)("[ERROR]\tid\tit failed\rTraceback:\r  File")
    assert stream.getvalue() == (
        "lambda | [ERROR]  id  it failed\nlambda | Traceback:\nlambda |   File\n"
    )


def test_ctrl_c_in_a_terminal_leaves_it_clean(tmp_path: Path) -> None:
    project(tmp_path, OK)
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(tmp_path)
        os.environ["TERM"] = "xterm"
        os.execv(sys.executable, [sys.executable, "-m", "ambidex", "up", *PORTS])
    output = read_until(terminal, b"Invoke API")
    os.write(terminal, b"\x03")
    output += read_until(terminal, b"")
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert os.waitstatus_to_exitcode(status) == 0
    assert b"\x1b[36mecs" in output
    assert b"stopping" in output
    assert b"Traceback" not in output
    # Each colour that is switched on is switched off again.
    assert output.rpartition(b"\x1b[")[2].startswith(b"0m")


def read_until(terminal: int, wanted: bytes) -> bytes:
    output = b""
    while not wanted or wanted not in output:
        try:
            data = os.read(terminal, 4096)
        except OSError:  # Linux's way to say that the other side has closed
            break
        if not data:
            break
        output += data
    return output
