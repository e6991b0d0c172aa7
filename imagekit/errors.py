"""The exceptions that imagekit raises for its user: what is wrong, where, and what to do.

    ImagekitError
    ├── InputError      a manifest, tree, option or file that was given is not usable
    ├── FormatError     an image is damaged, or is not of the format that was expected
    ├── PlanError       what was asked for cannot be done: too large, clashing names, out of a format's range
    └── OutputError     writing failed: no space, no permission

Anything else that escapes is a defect of imagekit.
"""

from collections.abc import Iterable, Sequence
from enum import StrEnum, auto
from typing import Self

_MOST_AT_A_GLANCE = 20
"""Lines of a list whose head is still seen above it."""


class Thing(StrEnum):
    """What may be asked for, as messages name it: «root_size» to whoever calls functions.

    The command line puts its options in the place of these names (`cli/things.py`).
    """

    @staticmethod
    def _generate_next_value_(name: str, _start: int, _count: int, _last: list[str]) -> str:
        return f"«{name.lower()}»"

    ACCEL = auto()
    ANSWERS = auto()
    AS = auto()
    BIND = auto()
    BOOT = auto()
    BOOTFILE = auto()
    COMPLETE = auto()
    CONSOLE = auto()
    FIT = auto()
    LAYOUT = auto()
    MAC = auto()
    MEMORY = auto()
    MODULE = auto()
    NO_COMPRESS = auto()
    NO_WAIT = auto()
    OUTPUT = auto()
    PLATFORM = auto()
    PORT = auto()
    PROPERTIES = auto()
    PROTO = auto()
    REMOVE = auto()
    REPLACE = auto()
    ROOT = auto()
    ROOT_PASSWORD = auto()
    ROOT_SIZE = auto()
    SIZE = auto()
    STAMP = auto()
    STRICT = auto()
    UEFI = auto()
    UNSHIPPED = auto()
    URL = auto()
    USR_SIZE = auto()
    VERBOSE = auto()


class ImagekitError(Exception):
    """A failure that the user can act upon.

    `what` says what was found and what was expected; `where` is file:line, a path, or image!/path; `hint` says what
    to do about it.
    """

    def __init__(self, what: str, *, where: str | None = None, hint: str | None = None) -> None:
        super().__init__(what)
        self.what = what
        self.where = where
        self.hint = hint

    def __str__(self) -> str:
        return f"{self.where}: {self.what}" if self.where else self.what

    def at(self, where: str, *, hint: str | None = None) -> Self:
        """Return this error with its place, unless it has one already; a hint that is given stands in for its own."""
        self.where = self.where or where
        self.hint = hint or self.hint
        return self


class InputError(ImagekitError):
    """Something that was given (manifest, tree, option, file) is not usable."""


class FormatError(ImagekitError):
    """An image is damaged or is not of the expected format."""


class PlanError(ImagekitError):
    """What was asked for cannot be made."""


class OutputError(ImagekitError):
    """Writing an output failed."""


class Problems:
    """All that is wrong with one thing, said at once."""

    def __init__(self) -> None:
        self._found: list[ImagekitError] = []

    def __len__(self) -> int:
        return len(self._found)

    def add(self, where: str | None, what: str, hint: str | None = None) -> None:
        """Note one more."""
        self._found.append(ImagekitError(what, where=where, hint=hint))

    def raise_if_any(
        self,
        error: type[ImagekitError],
        heading: str,
        *,
        alone: str | None = None,
        most: int | None = None,
        where: str | None = None,
        hint: str | None = None,
    ) -> None:
        """Raise one `error` for all that was found, if anything was.

        A list of at most `most` of them stands below the heading, at the place `where`.  With `alone` there is no list
        of a single one: that is raised at its own place, after these words.
        """
        if len(self._found) == 1 and alone is not None:
            (only,) = self._found
            raise error(alone + only.what, where=only.where, hint=only.hint or hint)
        if self._found:
            lines = [f"{one} ({one.hint})" if one.hint else f"{one}" for one in self._found]
            raise error(f"{heading}:{listed(lines, most=most, again=heading)}", where=where, hint=hint)


def listed(lines: Sequence[str], *, most: int | None = None, again: str = "") -> str:
    """Return the lines of a list below a message's first line; of more than `most` the first, and how many more.

    Below a long list, the end of which is all that a terminal shows, the text `again` stands once more.
    """
    shown = lines[:most]
    more = "" if len(shown) == len(lines) else f"\n  and {len(lines) - len(shown):,} more"
    end = f"\n{again}" if again and len(shown) > _MOST_AT_A_GLANCE else ""
    return "".join(f"\n  {line}" for line in shown) + more + end


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word most like `word`, or None when none is near: for "did you mean ...?" hints."""
    from difflib import get_close_matches  # noqa: PLC0415 - only needed on the way out

    matches = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None
