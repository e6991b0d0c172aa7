"""The record of a build: lines about its steps on a terminal, and all of it in log/build_live.STAMP.EPOCH.log."""

import contextlib
import time
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self, TextIO

from imagekit import clock
from imagekit.clock import Stamp
from imagekit.errors import ImagekitError
from imagekit.progress import Say, unsaid

FOLDER = "log"


class BuildLog:
    """A log that is complete however the `with` block ends; its file is there as soon as the build stamp is known.

    Unless it `keeps` a file, there is none; that a log cannot be written stops no build.  `tell` gets the texts for a
    terminal: of each step two, of which the second goes over the first.  `named` puts names of options into messages.
    """

    def __init__(self, *, keeps: bool = True, tell: Say = unsaid, named: Callable[[str], str] = str) -> None:
        self._keeps = keeps
        self._tell = tell
        self._named = named
        self._file: TextIO | None = None
        self._early: list[str] = []

    def open(self, root: Path, stamp: Stamp) -> list[str]:
        """Begin the file of a workspace's build; return a warning when that cannot be."""
        if not self._keeps:
            return []
        path = root / FOLDER / f"build_live.{stamp.text}.{clock.now()}.log"
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = path.open("a", encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            return [f"{path}: no log of this build: {error.strerror}"]
        self.lines(self._early)
        return []

    def messages(self, texts: Iterable[str]) -> None:
        """Write lines that may name things."""
        self.lines(map(self._named, texts))

    def lines(self, texts: Iterable[str]) -> None:
        """Write lines, each with the time of day."""
        now = datetime.fromtimestamp(clock.now(), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        lines = [line for text in texts for line in text.splitlines()]
        if self._file is None:
            self._early += lines
            return
        with contextlib.suppress(OSError):  # a full disk: the build itself will say so, if it needs more
            self._file.write("".join(f"[{now}] {line}\n" for line in lines))
            self._file.flush()

    @contextlib.contextmanager
    def step(self, title: str) -> Iterator[None]:
        """Say that a step begins, and with its seconds when it has ended."""
        started = time.monotonic()
        self.lines([f"==> {title}"])
        self._tell(f"==> {title} ...")
        try:
            yield
        except BaseException:
            self._tell(f"\r==> {title} ... not done\n")
            raise
        took = f"{time.monotonic() - started:.1f} s"
        self.lines([f"    done: {took}"])
        # A progress bar may have been where the line stood.
        self._tell(f"\r==> {title} ... {took}\n")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.lines(["the build is complete"])
        elif isinstance(error, ImagekitError):
            self.messages(["the build failed:", str(error), *([f"hint: {error.hint}"] if error.hint else [])])
        else:
            self.lines([f"the build was ended: {kind.__name__} {error or ''}".rstrip()])
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.close()
