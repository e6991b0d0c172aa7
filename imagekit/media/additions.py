"""Boot modules and answers that are put on a medium beside its platform."""

from dataclasses import dataclass
from pathlib import Path

from imagekit.boot.answers import check_answers
from imagekit.boot.modules import ANSWERS, Module, ModuleRequest, read_modules


@dataclass(frozen=True, slots=True)
class Additions:
    """What was asked for with --module and --answers."""

    modules: tuple[ModuleRequest, ...] = ()
    answers: Path | None = None

    def read(self) -> tuple[tuple[Module, ...], list[str]]:
        """Return the modules, answers first, and warnings; raise InputError for what cannot be used."""
        requests = self.modules
        warnings: list[str] = []
        if self.answers is not None:
            warnings = check_answers(self.answers)
            requests = (ModuleRequest(self.answers, ANSWERS), *requests)
        return read_modules(requests), warnings
