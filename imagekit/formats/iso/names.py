"""The names of the primary volume descriptor: derived from the true ones, which Rock Ridge carries.

Names are those of interchange level 2 (ECMA-119 7.5.1, 10.2): at most 30 characters and a dot, of A-Z, 0-9 and _,
with the version ";1".  cdboot and firmware look files up by them.
"""

import re
from collections.abc import Iterable, Mapping

_LIMIT = 30
"""Characters of name and extension together; a directory's name may have 31, which is not made use of."""

_LONG = 96
"""From so many bytes on, the true name needs the room that a longer primary name would take in the record."""
_SHORT_LIMIT = 8

_EXTENSION_LIMIT = 12
"""Characters of the extension when the whole is too long."""

_NOT_D_CHARACTERS = re.compile("[^A-Z0-9_]")


def d_characters(text: str) -> str:
    """Return `text` in capitals, with _ for every character that is not a d-character (ECMA-119 7.4.1)."""
    # Capitals of ASCII letters alone: others have capitals of several letters.
    return _NOT_D_CHARACTERS.sub("_", re.sub("[a-z]+", lambda match: match[0].upper(), text))


def _split(name: str, *, directory: bool) -> tuple[str, str]:
    """Return the name and extension, still of any length."""
    base, dot, extension = name.rpartition(".")
    if directory or not dot or not base.strip("."):
        return d_characters(name), ""
    return d_characters(base), d_characters(extension)


def _cut(base: str, extension: str, limit: int) -> tuple[str, str]:
    if len(base) + len(extension) <= limit:
        return base, extension
    extension = extension[: min(_EXTENSION_LIMIT, limit // 2)] if limit > _SHORT_LIMIT else ""
    return base[: limit - len(extension)], extension


def primary_names(names: Mapping[str, bool]) -> dict[str, bytes]:
    """Return the primary name of each of one directory's entries.

    `names` maps true names to whether they are directories.  The result does not depend on the order of `names`.
    """
    result: dict[str, bytes] = {}
    taken: set[tuple[str, str]] = set()
    numbers = _Numbers(taken)
    # Of names that become one, the one in small letters stays as it is: the loader asks for those.  A name comes before
    # those that it is the start of (see shadowed_names).
    for name in sorted(names, key=lambda name: (d_characters(name), name != name.lower(), name)):
        limit = _LIMIT if len(name.encode("utf-8", "surrogateescape")) < _LONG else _SHORT_LIMIT
        unique = _cut(*_split(name, directory=names[name]), limit)
        if unique in taken:
            unique = numbers.numbered(unique, limit)
        taken.add(unique)
        base, extension = unique
        result[name] = (base if names[name] else f"{base}.{extension};1").encode("ascii")
    return result


class _Numbers:
    """Gives numbers to names that are `taken`, in the order in which it is asked."""

    def __init__(self, taken: set[tuple[str, str]]) -> None:
        self._taken = taken
        self._next: dict[tuple[str, str, int], int] = {}

    def numbered(self, wanted: tuple[str, str], limit: int) -> tuple[str, str]:
        """Return the name, cut, with the least number behind it that is free."""
        digits = 3
        while True:
            # An underscore comes after all other d-characters, so the numbered name follows the one that it would clash
            # with and those that start like that.
            base, extension = _cut(*wanted, limit - 1 - digits)
            # Counted by what is left of the names: very many may differ only in what is cut off.
            key = base, extension, digits
            first = 1 if digits == 3 else 10 ** (digits - 1)
            for number in range(self._next.get(key, first), 10**digits):
                unique = (f"{base}_{number:03}", extension)
                if unique not in self._taken:
                    self._next[key] = number + 1
                    return unique
            self._next[key] = 10**digits
            digits += 1


def sort_key(primary: bytes) -> tuple[bytes, bytes]:
    """Return what the records of a directory are sorted by (ECMA-119 9.3): name, then extension, padded with spaces."""
    base, _, extension = primary.partition(b";")[0].partition(b".")
    # Padding with spaces, which are below every d-character, is what comparing bytes does anyway.
    return base, extension


def shadowed_names(ordered: Iterable[str]) -> list[tuple[str, str]]:
    """Return (name, other) where the illumos loader, asked for `name`, would open `other`.

    `ordered` are the true names of a directory in the order of its records.  The loader takes the first record that
    starts with what it looks for, unless a dot follows there (illumos boot, libstand/cd9660.c, dirmatch).
    """
    position = {name: number for number, name in enumerate(ordered)}
    result: dict[str, str] = {}
    starts: list[str] = []  # names that the present one begins with, the longest last
    for name in sorted(position):
        while starts and not name.startswith(starts[-1]):
            starts.pop()
        for start in starts:
            if start not in result and position[name] < position[start] and name[len(start)] not in ".;":
                result[start] = name
        starts.append(name)
    return sorted(result.items())
