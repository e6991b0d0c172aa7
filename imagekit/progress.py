"""How far a long step has come: shown on a terminal, silent everywhere else."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol


class Progress(Protocol):
    """What a writer reports to: the number of bytes dealt with since the last call."""

    def advance(self, count: int, /) -> None:
        """Report `count` more bytes as done."""


class Silent:
    """Progress that nobody watches."""

    def advance(self, count: int, /) -> None:
        """Ignore the report."""


SILENT = Silent()


class _Bar:
    def __init__(self, title: str, total: int) -> None:
        from tqdm import tqdm  # noqa: PLC0415 - slow to import, and only terminals need it

        self._bar = tqdm(
            total=total,
            desc=title,
            unit="B",
            unit_scale=True,
            unit_divisor=1024,
            leave=False,
            ascii=True,
            file=sys.stderr,
        )

    def advance(self, count: int, /) -> None:
        self._bar.update(count)

    def close(self) -> None:
        self._bar.close()


@contextmanager
def progress_bar(title: str, total: int) -> Iterator[Progress]:
    """Show a bar for `total` bytes on standard error when that is a terminal; else yield a silent progress."""
    if not sys.stderr.isatty():
        yield SILENT
        return
    bar = _Bar(title, total)
    try:
        yield bar
    finally:
        bar.close()
