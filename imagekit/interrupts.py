"""Ends a run from outside, by SIGINT, SIGTERM or SIGHUP, as an exception that comes once and never between two steps.

What must happen whole (making a temporary and noting that it is there, putting outputs into place, removing what is
left) stands in a `held()` block: an interrupt comes behind it.  While the exception is on its way up, other signals
mean nothing, so that they cannot disturb the work of cleaning up.

It may never arrive: Python discards what is raised in the callback of a weak reference, in a finalizer or the like.
So it is raised again until it has arrived, when the next signal comes or a timer ends.  That it is still on its way is
seen from its being alive: whoever discards an exception forgets it.

Signals are not blocked for that, since a thread that does not block them would get them; and their handlers are not
exchanged, since another signal may come in between.
"""

import contextlib
import signal
import sys
import threading
import weakref
from collections.abc import Iterator
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_AGAIN = 0.05
"""Seconds between the looks whether an interrupt was lost."""


class Interrupted(BaseException):
    """Ended from outside; nobody on the way up takes it for an error."""


class _State:
    """What only the main thread reads and writes; Python calls handlers there and nowhere else."""

    holds = 0
    arrived = False
    over = False
    on_its_way: weakref.ref[Interrupted] | None = None


def handle() -> None:
    """Make interrupts of the signals, from now on; one that the caller wants ignored (nohup) stays ignored."""
    _stop_timer()
    _State.arrived = _State.over = False
    _State.on_its_way = None
    sys.unraisablehook = _discarded
    signal.signal(signal.SIGALRM, _arrived)
    for number in SIGNALS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _arrived)


def ignore() -> None:
    """Let no more interrupts come, as the program ends, not even when Python gives signals their own effect again."""
    _State.over = True
    _stop_timer()
    # Blocked first: Python complains of a signal that has come, and is ignored before it has been looked at.
    signal.pthread_sigmask(signal.SIG_BLOCK, (*SIGNALS, signal.SIGALRM))
    for number in (*SIGNALS, signal.SIGALRM):
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
        if _State.arrived and not _State.holds:
            _interrupt()


def check() -> None:
    """Raise Interrupted when the run is being ended: threads do not get signals, and ask once a block of work."""
    if _State.arrived and threading.current_thread() is not threading.main_thread():
        raise Interrupted


def _arrived(_signal: int, frame: FrameType | None) -> None:
    if _State.over:
        return
    if not _State.arrived:
        _State.arrived = True
        signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)
    if not _State.holds and not _must_not_stop(frame):
        _interrupt()


def _interrupt() -> None:
    if _State.over or (_State.on_its_way is not None and _State.on_its_way() is not None):
        return
    interrupted = Interrupted()
    _State.on_its_way = weakref.ref(interrupted)
    try:
        raise interrupted
    finally:
        del interrupted  # or its own traceback would keep it alive


def _must_not_stop(frame: FrameType | None) -> bool:
    """Tell whether code is at work that an exception would break: an import, with its locks; what is told of others."""
    while frame is not None:
        if frame.f_code is _discarded.__code__ or frame.f_code.co_filename.startswith("<frozen importlib"):
            return True
        frame = frame.f_back
    return False


def _discarded(unraisable: "sys.UnraisableHookArgs") -> None:
    """Say nothing of an interrupt that was lost: it comes again."""
    if not isinstance(unraisable.exc_value, Interrupted):
        sys.__unraisablehook__(unraisable)


def _stop_timer() -> None:
    signal.setitimer(signal.ITIMER_REAL, 0)
