"""What is seen on a terminal while work goes on, and nowhere else: progress bars and steps."""

import contextlib
import sys
from collections.abc import Iterator

from imagekit.progress import SILENT, Progress


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


@contextlib.contextmanager
def bar(title: str, total: int) -> Iterator[Progress]:
    """Show a bar for `total` bytes on standard error when that is a terminal; else yield a silent progress."""
    if not sys.stderr.isatty():
        yield SILENT
        return
    shown = _Bar(title, total)
    try:
        yield shown
    finally:
        shown.close()


def write(text: str) -> None:
    """Write to standard error when that is a terminal: as it is, without a newline of its own."""
    if sys.stderr.isatty():
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()
