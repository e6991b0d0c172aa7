"""The console of a machine that runs: on the terminal, or watched for texts that should appear."""

import codecs
import contextlib
import os
import re
import select
import subprocess
import sys
import termios
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import IO

_LAST_LINES = 12
_LONGEST_LINE = 1000  # characters kept of a line that does not end
_LONGEST_WAIT = 3600.0  # seconds at once: select refuses very long waits
_END = 5.0  # seconds for QEMU to remove its temporaries when it is told to end

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


@contextlib.contextmanager
def _running(
    command: Sequence[str], folder: Path, *, stdin: int | None, stdout: int | None
) -> Iterator[subprocess.Popen[bytes]]:
    """Start QEMU, with its temporaries and its messages in `folder`; end it with the block."""
    environment = os.environ | {"TMPDIR": str(folder)}
    with (folder / "messages").open("wb") as messages:
        process = subprocess.Popen(command, stdin=stdin, stdout=stdout, stderr=messages, env=environment)
    try:
        yield process
    finally:
        process.terminate()
        try:
            process.wait(_END)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout:
            process.stdout.close()


def watch(command: Sequence[str], folder: Path, watched: Watch, seconds: float, show: IO[bytes]) -> int | None:
    """Run QEMU, whose standard output is the console, until all texts were seen, or it ends, or the time is over.

    What the console prints goes to `show` as it comes.  Return QEMU's status, or None when it was ended from here.
    """
    give_up = time.monotonic() + seconds
    with _running(command, folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        source = process.stdout.fileno()
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


def attach(command: Sequence[str], folder: Path) -> int:
    """Run QEMU with the terminal as its own until it ends; return its status."""
    with _terminal_kept(), _running(command, folder, stdin=None, stdout=None) as process:
        return process.wait()


@contextlib.contextmanager
def _terminal_kept() -> Iterator[None]:
    """Put the terminal back as it was: QEMU makes it raw, and cannot undo that when it is killed."""
    if not sys.stdin.isatty():
        yield
        return
    kept = termios.tcgetattr(sys.stdin)
    try:
        yield
    finally:
        termios.tcsetattr(sys.stdin, termios.TCSADRAIN, kept)


def screen(environment: Mapping[str, str], *, terminal: bool) -> str | None:
    """Return where QEMU can show the machine's screen: in a window, with curses on the terminal, or nowhere (None)."""
    if environment.get("DISPLAY") or environment.get("WAYLAND_DISPLAY"):
        return "window"
    return "curses" if terminal else None
