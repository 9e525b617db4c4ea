"""The engine `process`: one copy of the app, a process group of its own.

Freezing is SIGSTOP and SIGCONT to the group. stdout and stderr are one pipe, so that their lines
keep their order; what is in it can be taken at any moment, so that a log is whole before the line
that closes it.
"""

import asyncio
import os
import signal
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

from ambidex.errors import AmbidexError, shown
from ambidex.local.reaper import Reaper

_READ_BYTES = 64 * 1024
# What a pipe may hold at most on Linux (fs.pipe-max-size): a writer that never rests is left alone.
_PIPE_READS = 16
# Longer lines are cut, as CloudWatch cuts events.
# Source: AmazonCloudWatch/latest/logs/cloudwatch_limits_cwl.html, "Event size"
_LINE_BYTES = 256 * 1024


class CommandError(AmbidexError):
    """The command cannot be started; the user's fault."""


class Process:
    """A running copy of the app; `start` makes one."""

    def __init__(
        self,
        process: asyncio.subprocess.Process,
        output: int,
        on_line: Callable[[str], None],
        reaper: Reaper,
    ) -> None:
        self.pid = process.pid
        self._process = process
        self._output = output
        self._on_line = on_line
        self._partial = bytearray()
        self._reaper = reaper
        self._is_frozen = False
        self._status = _open_status(process.pid)
        self._max_memory_mib = 0
        self._killer: asyncio.TimerHandle | None = None
        asyncio.get_running_loop().add_reader(output, self._read)

    async def ended(self) -> int:
        """Wait for the end; the exit status, negative for a signal."""
        status = await self._process.wait()
        if self._killer is not None:
            self._killer.cancel()
        self.take_output()
        if self._output >= 0:
            asyncio.get_running_loop().remove_reader(self._output)
            os.close(self._output)
            self._output = -1
            # What the process has left behind in its group ends with it.
            self.signal(signal.SIGKILL)
            if self._status >= 0:
                os.close(self._status)
                self._status = -1
            self._reaper.forget(self.pid)
        return status

    def freeze(self) -> None:
        """Stop the whole group where it stands."""
        self._is_frozen = True
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        """Let the group go on."""
        if self._is_frozen:
            self._is_frozen = False
            self.signal(signal.SIGCONT)

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the whole group; nothing happens if it has ended."""
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    @property
    def is_to_be_killed(self) -> bool:
        """Whether `kill_later` was called."""
        return self._killer is not None

    def kill_later(self, seconds: float) -> None:
        """Have the whole group killed if it has not ended by then; the first call counts."""
        if self._killer is None:
            loop = asyncio.get_running_loop()
            self._killer = loop.call_later(seconds, self.signal, signal.SIGKILL)

    def take_output(self) -> None:
        """Hand on what has been written so far, as far as a pipe holds it.

        The last line is one even without its end, for whoever wrote it is about to stand still.
        """
        self.take_lines()
        if self._partial:
            self._on_line(self._partial.decode(errors="replace"))
            self._partial.clear()

    def take_lines(self) -> None:
        """Hand on the lines that have been written so far, of a process that goes on writing."""
        for _ in range(_PIPE_READS):
            if not self._read():
                break

    def _read(self) -> bool:
        if self._output < 0:
            return False
        try:
            data = os.read(self._output, _READ_BYTES)
        except BlockingIOError:
            return False
        if not data:
            asyncio.get_running_loop().remove_reader(self._output)
            return False
        self._split(data)
        return True

    def _split(self, data: bytes) -> None:
        head, newline, rest = data.rpartition(b"\n")
        self._partial += head if newline else rest
        if newline:
            for line in bytes(self._partial).split(b"\n"):
                self._on_line(line.decode(errors="replace"))
            self._partial = bytearray(rest)
        while len(self._partial) > _LINE_BYTES:
            self._on_line(bytes(self._partial[:_LINE_BYTES]).decode(errors="replace"))
            del self._partial[:_LINE_BYTES]

    def max_memory_mib(self) -> int:
        """The most memory that the process has held so far, in MiB; 0 if it cannot be told.

        Of one that has ended it is what was last told.
        """
        if self._status < 0:
            return _resident_mib(self.pid) or self._max_memory_mib
        try:
            status = os.pread(self._status, _READ_BYTES, 0)
        except ProcessLookupError:
            return self._max_memory_mib
        _, found, rest = status.partition(b"VmHWM:")
        if found:
            self._max_memory_mib = -(-int(rest.split(None, 1)[0]) // 1024)
        return self._max_memory_mib


async def start(
    command: Sequence[str],
    folder: Path,
    environ: Mapping[str, str],
    on_line: Callable[[str], None],
    reaper: Reaper,
) -> Process:
    """Start a copy of the app.

    Args:
        command: program and arguments; the program is looked for in the PATH of `environ`.
        folder: the working directory.
        environ: the whole environment.
        on_line: takes each line that the copy writes, without its end.
        reaper: ends the copy should this process die.

    Raises:
        CommandError: there is no such program, or it may not be run.
    """
    program = _found(command[0], folder, environ)
    try:
        read_end, write_end = os.pipe()
    except OSError as error:
        raise CommandError(f"nothing can be started: {error.strerror}") from None
    os.set_blocking(read_end, False)
    try:
        process = await asyncio.create_subprocess_exec(
            program,
            *command[1:],
            cwd=folder,
            env=dict(environ),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=write_end,
            stderr=write_end,
            start_new_session=True,
        )
    except BaseException as error:
        os.close(read_end)
        if isinstance(error, OSError):
            reason = f"{shown(command[0])} cannot be started: {error.strerror}"
            raise CommandError(reason) from None
        raise
    finally:
        os.close(write_end)
    reaper.watch(process.pid)
    return Process(process, read_end, on_line, reaper)


def has_peak_memory() -> bool:
    """Whether this system tells the most memory that a process has held: Linux does."""
    return Path("/proc/self/status").exists()


def _found(program: str, folder: Path, environ: Mapping[str, str]) -> str:
    from shutil import which

    # A program that is named with its folder is meant from the project's, as in a container.
    found = which(str(folder / program) if "/" in program else program, path=environ.get("PATH"))
    if found is None:
        raise CommandError(
            f"there is no program {shown(program)} to run",
            "check `command` in [tool.ambidex.lambda] and [tool.ambidex.ecs]",
        )
    return found


def _open_status(pid: int) -> int:
    try:
        return os.open(f"/proc/{pid}/status", os.O_RDONLY)
    except OSError:
        return -1


def _resident_mib(pid: int) -> int:
    # Without /proc, which is to say on macOS, there is only what it holds now.
    try:
        import psutil
    except ImportError:
        return 0
    try:
        return int(psutil.Process(pid).memory_info().rss // (1024 * 1024))
    except psutil.Error:
        return 0
