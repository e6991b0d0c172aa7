"""The exceptions that imagekit raises for its user: what is wrong, where, and what to do.

    ImagekitError
    ├── InputError      a manifest, tree, option or file that was given is not usable
    ├── FormatError     an image is damaged, or is not of the format that was expected
    ├── PlanError       what was asked for cannot be done: too large, clashing names, out of a format's range
    └── OutputError     writing failed: no space, no permission

Anything else that escapes is a defect of imagekit.
"""

from collections.abc import Iterable


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


class InputError(ImagekitError):
    """Something that was given (manifest, tree, option, file) is not usable."""


class FormatError(ImagekitError):
    """An image is damaged or is not of the expected format."""


class PlanError(ImagekitError):
    """What was asked for cannot be made."""


class OutputError(ImagekitError):
    """Writing an output failed."""


def nearest(word: str, known: Iterable[str]) -> str | None:
    """Return the known word most like `word`, or None when none is near: for "did you mean ...?" hints."""
    from difflib import get_close_matches  # noqa: PLC0415 - only needed on the way out

    matches = get_close_matches(word, list(known), n=1, cutoff=0.5)
    return matches[0] if matches else None
