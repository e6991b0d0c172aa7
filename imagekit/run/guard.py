"""Cleans up after a run that was killed: ends its QEMU and removes its temporaries."""

import contextlib
import os
import signal
import subprocess
from pathlib import Path
from typing import Self

from imagekit.interrupts import held

# Each line on its input is the number of the process to end, or empty for none.  The input ends with imagekit.
_SCRIPT = """
trap '' HUP INT QUIT TERM
process=
while read -r line; do process=$line; done
if [ -n "$process" ]; then
    kill "$process"
    for second in 1 2 3 4 5; do
        kill -0 "$process" || break
        sleep 1
    done
    kill -9 "$process"
fi
rm -rf -- "$1"
"""


class Guard:
    """A process, away from the terminal and its signals, that acts when imagekit is gone before the `with` block ended.

    `folder` is what it removes then.  Where no shell can be started there is no guard.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        with held(), contextlib.suppress(OSError):
            self._process = subprocess.Popen(
                ["sh", "-c", _SCRIPT, "sh", str(self._folder)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        return self

    def watch(self, process: int | None) -> None:
        """Say which process has to be ended, from now on; None: none has."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):  # somebody has killed the guard
                os.write(self._process.stdin.fileno(), f"{process or ''}\n".encode())

    def __exit__(self, *_error: object) -> None:
        if self._process is None:
            return
        with held():
            with contextlib.suppress(OSError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
            if self._process.stdin is not None:
                self._process.stdin.close()
