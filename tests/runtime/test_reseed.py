"""Generators get new seeds after a restore, shown with copies of one process.

What copies the process is the system call beneath `os.fork`, which leaves the modules of Python
that notice a fork in the dark; and since each copy is the first process of a process namespace of
its own, all have one process id, as restored environments do.
"""

import ctypes
import json
import os
import platform
import signal
import sys
from subprocess import run

import pytest

_CLONE = {"x86_64": 56, "aarch64": 220}[platform.machine()]
_NEW_USERS, _NEW_PIDS = 0x10000000, 0x20000000


def copy(flags: int) -> int:
    """Copy this process; 0 in the copy, else its process id."""
    libc = ctypes.CDLL(None, use_errno=True)
    pid = int(libc.syscall(_CLONE, flags | signal.SIGCHLD, 0, 0, 0, 0))
    if pid < 0:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return pid


def two_copies(module: str, use: str) -> None:
    """Print what a generator gives in two copies, each without and with new seeds."""
    from ambidex.runtime.reseed import reseed

    names: dict[str, object] = {}
    exec(f"import {module}", names)
    eval(use, names)
    for has_new_seeds in (False, False, True, True):
        pid = copy(_NEW_PIDS)
        if pid:
            os.waitpid(pid, 0)
            continue
        if has_new_seeds:
            reseed()
        os.write(1, json.dumps([os.getpid(), eval(use, names)]).encode() + b"\n")
        os._exit(0)


@pytest.mark.parametrize(
    ("module", "use"),
    [
        pytest.param("random", "random.random()", id="random"),
        pytest.param("numpy.random", "numpy.random.random()", id="numpy"),
        pytest.param("tempfile", "next(tempfile._get_candidate_names())", id="tempfile"),
        pytest.param("ssl", "ssl.RAND_bytes(8).hex()", id="OpenSSL"),
    ],
)
def test_copies_of_one_process_differ_by_their_new_seeds(module: str, use: str) -> None:
    ran = run([sys.executable, __file__, module, use], capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    without, again, first, second = map(json.loads, ran.stdout.splitlines())
    assert without == again  # else this would show nothing
    assert len({value for _, value in (without, first, second)}) == 3
    assert {pid for pid, _ in (without, first, second)} == {1}


def test_modules_that_the_app_has_not_loaded_stay_unloaded() -> None:
    code = (
        "from ambidex.runtime.reseed import reseed; import sys; before = set(sys.modules);"
        "reseed(); print(set(sys.modules) - before, 'numpy' in sys.modules)"
    )
    ran = run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stdout == "set() False\n"


if __name__ == "__main__":
    pid = copy(_NEW_PIDS | _NEW_USERS)
    if pid == 0:
        two_copies(*sys.argv[1:])
        os._exit(0)
    sys.exit(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]))
