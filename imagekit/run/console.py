"""The console of a machine that runs: on the terminal, or watched for texts that should appear."""

import codecs
import contextlib
import fcntl
import os
import re
import select
import signal
import subprocess
import termios
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from typing import IO

from imagekit import interrupts
from imagekit.run.process import Ending, Scratch, running

_LAST_LINES = 12
_LONGEST_LINE = 1000  # characters kept of a line that does not end
_LONGEST_WAIT = 3600.0  # seconds at once: select refuses very long waits
_STANDARD_STREAMS = (0, 1, 2)

# What moves the cursor and colours text: control sequences and commands of terminals (ECMA-48), whole or cut short.
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[ -/]*[0-Z\\^-~])")
_CUT_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*|\][^\x07\x1b]*\x1b?|[ -/]*)\Z")
_LONGEST_ESCAPE = 256


class Watch:
    """Looks for texts in what comes out of a console, whatever pieces it comes in; cursor movements do not count."""

    def __init__(self, texts: Sequence[str]) -> None:
        self.missing = list(dict.fromkeys(texts))
        self._overlap = max(map(len, texts), default=0)
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._held = ""
        self._window = ""
        self._lines: deque[str] = deque([""], maxlen=_LAST_LINES)

    def feed(self, data: bytes) -> None:
        """Take what came next."""
        text = self._held + self._decoder.decode(data)
        cut = _CUT_ESCAPE.search(text)
        self._held = text[cut.start() :] if cut and len(text) - cut.start() <= _LONGEST_ESCAPE else ""
        text = _ESCAPE.sub("", text[: len(text) - len(self._held)])
        self._window += text
        self.missing = [wanted for wanted in self.missing if wanted not in self._window]
        self._window = self._window[-self._overlap :] if self._overlap else ""
        first, *more = text.replace("\r", "").split("\n")
        self._lines[-1] = (self._lines[-1] + first)[-_LONGEST_LINE:]
        self._lines.extend(line[-_LONGEST_LINE:] for line in more)

    def last_lines(self) -> list[str]:
        """Return the last lines that hold anything, with what no terminal should be sent made visible."""
        shown = ("".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in line) for line in self._lines)
        return [line for line in shown if line.strip()]


def watch(command: Sequence[str], scratch: Scratch, watched: Watch, seconds: float, show: IO[bytes]) -> Ending | None:
    """Run QEMU, whose standard output is the console, until all texts were seen, or it ends, or the time is over.

    What the console prints goes to `show` as it comes.  Return how QEMU ended, or None when it was ended from here.
    """
    give_up = time.monotonic() + seconds
    with running(command, scratch, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        source = process.output.fileno()
        while watched.missing and (left := give_up - time.monotonic()) > 0:
            if not select.select([source], [], [], min(left, _LONGEST_WAIT))[0]:
                continue
            data = os.read(source, 1 << 16)
            if not data:
                return process.wait()
            show.write(data)
            show.flush()
            watched.feed(data)
    return None


def attach(command: Sequence[str], scratch: Scratch) -> Ending:
    """Run QEMU with the terminal as its own until it ends; return how it did."""
    stdin = None if _is_readable(0) else subprocess.DEVNULL
    stdout = None if _is_writable(1) else subprocess.DEVNULL
    with _terminal_kept(), running(command, scratch, stdin=stdin, stdout=stdout) as process:
        return process.wait()


def _is_readable(fd: int) -> bool:
    """Tell whether a standard stream is open for reading: what stands for one that was closed is not."""
    try:
        return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_WRONLY
    except OSError:
        return False


def _is_writable(fd: int) -> bool:
    try:
        return fcntl.fcntl(fd, fcntl.F_GETFL) & os.O_ACCMODE != os.O_RDONLY
    except OSError:
        return False


@contextlib.contextmanager
def _terminal_kept() -> Iterator[None]:
    """Put the terminal back as it was: QEMU makes it raw, and cannot undo that when it is killed."""
    waits = {}
    for fd in _STANDARD_STREAMS:
        with contextlib.suppress(OSError):
            waits[fd] = os.get_blocking(fd)
    kept = None
    with contextlib.suppress(termios.error):  # no terminal
        kept = termios.tcgetattr(0)
    try:
        yield
    finally:
        for fd, blocking in waits.items():
            with contextlib.suppress(OSError):
                os.set_blocking(fd, blocking)
        # Done from the background, too; and nothing is waited for that a terminal that is gone will never show.
        with interrupts.held(), contextlib.suppress(termios.error):
            blocked = signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGTTOU])
            try:
                if kept is not None:
                    termios.tcsetattr(0, termios.TCSANOW, kept)
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, blocked)


def screen(environment: Mapping[str, str], *, terminal: bool) -> str | None:
    """Return where QEMU can show the machine's screen: in a window, with curses on the terminal, or nowhere (None)."""
    if environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"):
        return "window"
    return "curses" if terminal else None
