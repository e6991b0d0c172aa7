"""QEMU as a process: started, listened to, and ended with the block that it was started for."""

import contextlib
import json
import os
import socket
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from imagekit.errors import InputError
from imagekit.interrupts import held
from imagekit.run.guard import Guard

_PATIENCE = 5.0
"""Seconds for QEMU to remove its temporaries when it is told to end."""

_MONITOR = "imagekit"
_HELLO = b'{"execute": "qmp_capabilities"}\n'
_MOST_TOLD = 1 << 20  # bytes of events that are looked at


@dataclass(frozen=True, slots=True)
class Scratch:
    """Where a run has its temporaries, and who removes them when it is killed."""

    folder: Path
    guard: Guard

    @property
    def messages(self) -> Path:
        """What QEMU writes its messages to."""
        return self.folder / "messages"


@dataclass(frozen=True, slots=True)
class Ending:
    """How QEMU ended: its status; the reason in QMP's words, "" for none; what a disk of the guest's failed with."""

    status: int
    reason: str = ""
    disk_error: str = ""


class Process:
    """A QEMU that runs; its monitor's events are kept by the system until it has ended."""

    def __init__(
        self, command: Sequence[str], scratch: Scratch, *, stdin: int | None = None, stdout: int | None = None
    ) -> None:
        self._events, theirs = socket.socketpair()
        self._events.setblocking(False)
        with theirs, scratch.messages.open("wb") as messages:
            self._events.sendall(_HELLO)
            monitor = ["-chardev", f"socket,id={_MONITOR},fd={theirs.fileno()}", "-qmp", f"chardev:{_MONITOR}"]
            try:
                self._process = subprocess.Popen(
                    [command[0], *monitor, *command[1:]],
                    stdin=stdin,
                    stdout=stdout,
                    stderr=messages,
                    env=os.environ | {"TMPDIR": str(scratch.folder)},
                    pass_fds=[theirs.fileno()],
                )
            except OSError as error:
                self._events.close()
                raise InputError(f"{command[0]} cannot be started: {error.strerror}") from error
        scratch.guard.watch(self._process.pid)

    @property
    def output(self) -> IO[bytes]:
        """What it prints, when it was started with a pipe."""
        assert self._process.stdout is not None
        return self._process.stdout

    def wait(self) -> Ending:
        """Wait for its end."""
        status = self._process.wait()
        reason = disk_error = ""
        for event in self._told():
            data = event.get("data")
            if isinstance(data, dict):
                if event.get("event") == "BLOCK_IO_ERROR":
                    disk_error = str(data.get("reason", "unknown error"))
                elif event.get("event") == "SHUTDOWN":
                    reason = str(data.get("reason", ""))
        return Ending(status, reason, disk_error)

    def _told(self) -> Iterator[dict[str, object]]:
        """Yield the events that came."""
        told = b""
        with contextlib.suppress(OSError):  # there is no more
            while len(told) < _MOST_TOLD and (data := self._events.recv(1 << 16)):
                told += data
        for line in told.splitlines():
            with contextlib.suppress(ValueError, RecursionError):
                event = json.loads(line)
                if isinstance(event, dict):
                    yield event

    def end(self) -> None:
        """End it, if it runs still."""
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._events.close()
        if self._process.stdout is not None:
            self._process.stdout.close()


@contextlib.contextmanager
def running(
    command: Sequence[str], scratch: Scratch, *, stdin: int | None = None, stdout: int | None = None
) -> Iterator[Process]:
    """Start QEMU, and end it with the block, whatever ends that."""
    process = None
    try:
        with held():
            process = Process(command, scratch, stdin=stdin, stdout=stdout)
        yield process
    finally:
        if process is not None:
            with held():
                process.end()
                scratch.guard.watch(None)
