"""What the processes of an environment take: CPU time and memory."""

import os
import signal
import time
from collections import Counter
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

_PROC = Path("/proc")


def of_sessions(sessions: Iterable[int]) -> list[int]:
    """The ids of all processes of some sessions."""
    wanted = set(sessions)
    found = []
    for entry in _PROC.iterdir():
        if not entry.name.isdigit():
            continue
        with suppress(OSError):
            # After the name, which is in brackets and may hold any character.
            fields = (entry / "stat").read_text("latin-1").rpartition(")")[2].split()
            if int(fields[3]) in wanted and fields[0] != "Z":
                found.append(int(entry.name))
    return sorted(found)


def cpu_ns(processes: Iterable[int]) -> int:
    """User and system time that processes have taken since their starts, in nanoseconds.

    The clock of a process as clock_getcpuclockid(3) makes it; /proc counts in steps of 10 ms.
    """
    return sum(time.clock_gettime_ns((~process << 3) | 2) for process in processes)


def memory_bytes(processes: Iterable[int]) -> int:
    """What processes hold in memory, as if there were no others on the machine.

    It is their proportional set size (PSS), but that a page of a file counts as a whole, where PSS
    divides it among all processes of the machine that have it: the interpreter and its libraries
    would weigh the less the more of the neighbours are written in Python, too.
    """
    anonymous = 0
    files: Counter[str] = Counter()  # what is most of a file in one of the processes
    for process in processes:
        anonymous += _rollup(process, ("Pss_Anon:", "Pss_Shmem:"))
        files |= _resident(process)
    return anonymous + files.total()


def _rollup(process: int, names: tuple[str, ...]) -> int:
    text = (_PROC / str(process) / "smaps_rollup").read_text()
    return sum(_bytes(line) for line in text.splitlines() if line.startswith(names))


def _resident(process: int) -> Counter[str]:
    """By file, the bytes of it in memory that the process has not changed."""
    files: Counter[str] = Counter()
    path = ""
    for line in (_PROC / str(process) / "smaps").read_text().splitlines():
        if line.startswith("Rss:"):
            files[path] += _bytes(line)
        elif line.startswith("Anonymous:"):
            files[path] -= _bytes(line)
        elif not line.partition(" ")[0].endswith(":"):  # the head of a mapping
            fields = line.split(maxsplit=5)
            path = fields[5] if len(fields) > 5 else ""
    return Counter({path: size for path, size in files.items() if path.startswith("/")})


def _bytes(line: str) -> int:
    return int(line.split()[1]) * 1024


def freeze(processes: Iterable[int]) -> None:
    """Stop processes, as Lambda does between invocations."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGSTOP)


def thaw(processes: Iterable[int]) -> None:
    """Let stopped processes go on."""
    for process in processes:
        with suppress(ProcessLookupError):
            os.kill(process, signal.SIGCONT)
