"""Boot modules and answers that are put on a medium beside its platform."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagekit.boot.answers import LARGEST, MODULE_SINCE, PRIVATE_SINCE, check_answers, read_answers
from imagekit.boot.modules import Module, ModuleRequest, read_modules
from imagekit.boot.places import ANSWERS, PRIVATE_ANSWERS
from imagekit.clock import Stamp
from imagekit.tree import File, Tree


@dataclass(frozen=True, slots=True)
class Additions:
    """What was asked for with --module and --answers."""

    modules: tuple[ModuleRequest, ...] = ()
    answers: Path | None = None

    def read(self) -> tuple[tuple[Module, ...], list[str]]:
        """Return the modules, answers first, and warnings; raise InputError for what cannot be used."""
        requests = self.modules
        if self.answers is not None:
            requests = (ModuleRequest(self.answers, ANSWERS), *requests)
        warnings: list[str] = []
        for request in requests:
            if request.name == ANSWERS and (request.path.is_file() or request.path == self.answers):
                warnings += check_answers(read_answers(request.path), str(request.path))
        return read_modules(requests), warnings


def answers_of(modules: Sequence[Module]) -> Module | None:
    """Return the module that holds the answers, or None."""
    return next((module for module in modules if module.name == ANSWERS), None)


def reads_modules(stamp: Stamp | None) -> bool:
    """Tell whether a platform's setup finds its answers in a boot module; one of unknown age does."""
    return not _is_before(stamp, MODULE_SINCE)


def _is_before(stamp: Stamp | None, date: str) -> bool:
    found, limit = stamp.seconds if stamp else None, Stamp(date).seconds
    return found is not None and limit is not None and found < limit


def age_warnings(stamp: Stamp | None, *, has_medium: bool) -> Iterator[str]:
    """Yield what a platform's age means for answers; `has_medium` is false where it boots over the network."""
    if stamp is None or reads_modules(stamp):
        return
    told = f"{stamp.text}: setup reads answers from a boot module only since {MODULE_SINCE}"
    if _is_before(stamp, PRIVATE_SINCE):
        yield f"{told}, and the setup of this platform reads none at all (a Triton headnode's reads {PRIVATE_ANSWERS})"
    elif has_medium:
        yield f"{told}; they lie in {PRIVATE_ANSWERS}, too, where this platform looks for them"
    else:
        yield f"{told}; this platform looks for {PRIVATE_ANSWERS} on a USB stick, and will stop and ask"


def private_warnings(boot: Tree, origin: str, placed: File | None, *, given: bool) -> Iterator[str]:
    """Yield what is to be said of answers in private/ among the boot files, where setup looks first.

    `placed` are those of the boot module, which were `given` now or came with the boot files.  Raise InputError when
    setup could not read the private ones.
    """
    private = boot.get(PRIVATE_ANSWERS)
    if not isinstance(private, File):
        return
    if given:
        yield f"{origin}: its {PRIVATE_ANSWERS} gives way to the answers that were given: setup would read it first"
        return
    yield from check_answers(private.content.read(0, min(private.content.size, LARGEST + 1)), private.content.origin)
    if placed is not None and placed.content.read() != private.content.read():
        yield f"{origin}: setup reads its {PRIVATE_ANSWERS}, and so never {placed.path}, which differs"
