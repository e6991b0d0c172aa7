"""What is told while work goes on: whoever does it reports, and whoever asked for it shows that, or does not."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
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

Show = Callable[[str, int], AbstractContextManager[Progress]]
"""Shows a step of this title and of so many bytes; what it yields is told of them until the `with` block ends."""


Say = Callable[[str], None]
"""Tells a line of text to whoever waits."""


def unsaid(_line: str) -> None:
    """Tell nobody."""


def unseen(_title: str, _total: int) -> AbstractContextManager[Progress]:
    """Show nothing: nobody watches."""
    return nullcontext(SILENT)
