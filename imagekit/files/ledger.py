"""All outputs of a program, for what it removes and says when it ends early."""

import os
from contextvars import ContextVar
from pathlib import Path
from typing import Protocol


class Entry(Protocol):
    """What is asked of the outputs of a run."""

    complete: list[Path]
    unremovable: list[Path]
    cleared: list[str]

    def discard(self) -> list[Path]:
        """Remove the temporaries; return those that cannot be removed."""


class Ledger:
    """Knows the Outputs that are made in the context in which it is open; whoever ends the program owns it.

    Where none is open, as where imagekit is a library, nobody else knows of them.
    """

    def __init__(self) -> None:
        self._all: list[Entry] = []

    def open(self) -> None:
        """Take in the Outputs that are made in this context from now on."""
        _open.set(self)

    def enter(self, outputs: Entry) -> None:
        """Take them in."""
        self._all.append(outputs)

    def end(self) -> None:
        """Remove the temporaries that are left."""
        for outputs in reversed(self._all):
            outputs.discard()

    def complete(self) -> list[Path]:
        """Return the outputs that are in place."""
        return [path for outputs in self._all for path in outputs.complete if os.path.lexists(path)]

    def unremovable(self) -> list[Path]:
        """Return the temporaries that could not be removed, where no error has told it."""
        return [path for outputs in self._all for path in outputs.unremovable]

    def cleared(self) -> list[str]:
        """Return what was done with what earlier runs had left, a line each."""
        return [line for outputs in self._all for line in outputs.cleared]


_open: ContextVar[Ledger | None] = ContextVar("open", default=None)


def enter(outputs: Entry) -> None:
    """Take Outputs into the ledger that is open, if one is."""
    ledger = _open.get()
    if ledger is not None:
        ledger.enter(outputs)
