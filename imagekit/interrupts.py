"""Ends a run from outside, by SIGINT, SIGTERM or SIGHUP, as an exception that comes once and never between two steps.

What must happen whole (making a temporary and noting that it is there, putting outputs into place, removing what is
left) stands in a `held()` block: an interrupt comes behind it.  After the first interrupt others mean nothing, so that
they cannot disturb the work of cleaning up.

Signals are not blocked for that, since a thread that does not block them would get them; and their handlers are not
exchanged, since another signal may come in between.
"""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Ended from outside; nobody on the way up takes it for an error."""


class _State:
    """What only the main thread reads and writes; Python calls handlers there and nowhere else."""

    holds = 0
    waiting = False
    over = False


def handle() -> None:
    """Make interrupts of the signals, from now on; one that the caller wants ignored (nohup) stays ignored."""
    _State.waiting = _State.over = False
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _arrived)


def ignore() -> None:
    """Let no more interrupts come, as the program ends, not even when Python gives signals their own effect again."""
    _State.over = True
    # Blocked first: Python complains of a signal that has come, and is ignored before it has been looked at.
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    for number in SIGNALS:
        signal.signal(number, signal.SIG_IGN)


@contextlib.contextmanager
def held() -> Iterator[None]:
    """Hold an interrupt back until the end of the block, where Interrupted is raised then."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _State.holds += 1
    try:
        yield
    finally:
        _State.holds -= 1
        if _State.waiting and not _State.holds:
            _interrupt()


def _arrived(_signal: int, _frame: FrameType | None) -> None:
    if _State.over:
        return
    if _State.holds:
        _State.waiting = True
        return
    _interrupt()


def _interrupt() -> None:
    _State.waiting = False
    _State.over = True
    raise Interrupted
