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
from contextvars import ContextVar
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)

_AGAIN = 0.05
"""Seconds between the looks whether an interrupt was lost."""


class Interrupted(BaseException):
    """Ended from outside; nobody on the way up takes it for an error."""


class Interrupts:
    """The interrupts of a program, which owns them; signals are the process's, so only its main thread makes them.

    What the methods read and write is the main thread's: Python calls handlers there and nowhere else.
    """

    def __init__(self) -> None:
        self._holds = 0
        self._arrived = False
        self._over = False
        self._on_its_way: weakref.ref[Interrupted] | None = None

    def handle(self) -> None:
        """Make interrupts of the signals, from now on; one that the caller wants ignored (nohup) stays ignored.

        `held` and `check` mean these interrupts then, in this context: in a library's user's there are none.
        """
        _handled.set(self)
        sys.unraisablehook = _discarded
        signal.signal(signal.SIGALRM, self._come)
        for number in SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:
                signal.signal(number, self._come)

    def ignore(self) -> None:
        """Let no more come, as the program ends, not even when Python gives signals their own effect again."""
        self._over = True
        signal.setitimer(signal.ITIMER_REAL, 0)
        # Blocked first: Python complains of a signal that has come, and is ignored before it has been looked at.
        signal.pthread_sigmask(signal.SIG_BLOCK, (*SIGNALS, signal.SIGALRM))
        for number in (*SIGNALS, signal.SIGALRM):
            signal.signal(number, signal.SIG_IGN)

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Hold an interrupt back until the end of the block."""
        self._holds += 1
        try:
            yield
        finally:
            self._holds -= 1
            if self._arrived and not self._holds:
                self._interrupt()

    def check(self) -> None:
        """Raise Interrupted when one has come."""
        if self._arrived:
            raise Interrupted

    def _come(self, _signal: int, frame: FrameType | None) -> None:
        if self._over:
            return
        if not self._arrived:
            self._arrived = True
            signal.setitimer(signal.ITIMER_REAL, _AGAIN, _AGAIN)
        if not self._holds and not _must_not_stop(frame):
            self._interrupt()

    def _interrupt(self) -> None:
        if self._over or (self._on_its_way is not None and self._on_its_way() is not None):
            return
        interrupted = Interrupted()
        self._on_its_way = weakref.ref(interrupted)
        try:
            raise interrupted
        finally:
            del interrupted  # or its own traceback would keep it alive


_handled: ContextVar[Interrupts | None] = ContextVar("handled", default=None)


def held() -> contextlib.AbstractContextManager[None]:
    """Hold an interrupt back until the end of the block, where Interrupted is raised then."""
    interrupts = _handled.get()
    if interrupts is None or threading.current_thread() is not threading.main_thread():
        return contextlib.nullcontext()
    return interrupts.held()


def check() -> None:
    """Raise Interrupted when the run is being ended: threads do not get signals, and ask once a block of work.

    A thread knows of it when it runs in a copy of the context of the thread that made it.
    """
    interrupts = _handled.get()
    if interrupts is not None and threading.current_thread() is not threading.main_thread():
        interrupts.check()


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
