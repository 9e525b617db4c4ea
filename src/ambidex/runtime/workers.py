"""Several processes that share the requests of one environment, on Managed Instances.

They are forked before anything of the app is imported. To fork after that would share the app's
memory, and break apps that have started threads, opened connections or seeded a random generator
by then; to start Python afresh for each would cost the time of its start, and gain nothing, for
this process has neither threads nor an event loop. It imports no app and stays as it is, so that a
worker that has crashed is forked again from the same state.

Each worker is a runtime of its own to Lambda. AWS's own Python runtime has as many of them as there
are requests, and does not replace those that crash.

Source: lambda/latest/dg/lambda-managed-instances-execution-environment.html, "Error handling and
recovery"
"""

import logging
import os
import signal
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

logger = logging.getLogger("ambidex")

# A worker that ends is started again after these; one that then ends once more is given up.
_RESTART_DELAYS_S = (0.1, 0.2, 0.4, 0.8)
# One that has lived so long has them all before it again.
_STEADY_S = 60.0

_SIGNALS = (signal.SIGTERM, signal.SIGCHLD)


class _Worker(NamedTuple):
    number: int  # from 0
    started_s: float  # on the monotonic clock
    failures: int  # in a row, before this one


def failures_in_a_row(before: int, lived_s: float) -> int:
    """How often a worker has ended in a row, now that it has once more.

    Args:
        before: how often it had, when it was started.
        lived_s: how long it has lived, in seconds.
    """
    return 1 if lived_s >= _STEADY_S else before + 1


def restart_delay_s(failures: int) -> float | None:
    """The seconds after which a worker is started again; None: it is given up.

    Args:
        failures: how often it has ended in a row.
    """
    return _RESTART_DELAYS_S[failures - 1] if failures <= len(_RESTART_DELAYS_S) else None


def run(count: int, work: Callable[[int], int], final_status: int) -> int:
    """Have workers do the work until they have ended, or until SIGTERM ends them all.

    It returns in this process and in each worker, too: what the caller does next, each does.

    Args:
        count: how many workers.
        work: what a worker does; it gets the worker's number, from 0, and gives the exit status.
        final_status: the exit status of a worker with which all are to end.

    Returns:
        The exit status.
    """
    workers = _Workers(final_status)
    # Without a handler of its own, a system may forget about a blocked SIGCHLD.
    signal.signal(signal.SIGCHLD, lambda _number, _frame: None)
    signal.pthread_sigmask(signal.SIG_BLOCK, _SIGNALS)
    for number in range(count):
        if workers.start(number):
            return work(number)
    while workers.running:
        # Waited for and not handled: a handler would run too late for a signal that comes between
        # the last look at it and the wait for a process.
        if signal.sigwait(_SIGNALS) == signal.SIGTERM:
            workers.stop(0)
            continue
        for worker, failures in workers.ended():
            if workers.start(worker.number, failures):
                return work(worker.number)
    return workers.status


class _Workers:
    def __init__(self, final_status: int) -> None:
        self._final_status = final_status
        self.running: dict[int, _Worker] = {}  # by process id
        self.status = 1
        self._is_stopping = False

    def start(self, number: int, failures: int = 0) -> bool:
        """Start a worker; whether this process is it."""
        process_id = os.fork()
        if process_id:
            self.running[process_id] = _Worker(number, time.monotonic(), failures)
            return False
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _SIGNALS)
        if failures:
            # Its parent has others to look after, so the worker waits itself.
            time.sleep(restart_delay_s(failures) or 0)
        return True

    def ended(self) -> Iterator[tuple[_Worker, int]]:
        """Take note of those that have ended; those to start again, and their failures in a row."""
        while self.running:
            process_id, status = os.waitpid(-1, os.WNOHANG)
            if not process_id:
                break
            worker = self.running.pop(process_id, None)
            code = os.waitstatus_to_exitcode(status)
            if worker is None or self._is_stopping:
                continue
            if code == self._final_status:
                self.stop(code)
                continue
            failures = failures_in_a_row(worker.failures, time.monotonic() - worker.started_s)
            delay_s = restart_delay_s(failures)
            logger.error(
                "worker %d (process %d) %s: %s",
                worker.number + 1,
                process_id,
                _named(code),
                "given up" if delay_s is None else f"started again in {delay_s:g} s",
            )
            if delay_s is not None:
                yield worker, failures

    def stop(self, status: int) -> None:
        """Have all end, with this exit status in the end."""
        self.status = status
        self._is_stopping = True
        for process_id in self.running:
            os.kill(process_id, signal.SIGTERM)


def _named(code: int) -> str:
    if code >= 0:
        return f"ended with status {code}"
    return f"was ended by signal {-code} ({signal.strsignal(-code)})"
