"""What editors and merges leave in text files: byte order marks, and markers of an unfinished merge."""

import re

from imagekit.errors import InputError

_MERGE = re.compile(r"(<{7}|\|{7}|={7}|>{7})(?= |\r?\Z)")
_MERGE_LINE = re.compile(rb"^(?:<{7}|\|{7}|={7}|>{7})(?: |\r?$)", re.MULTILINE)
_UTF_8 = ("\ufeff", "\xef\xbb\xbf")
_UTF_16 = ("\udcff\udcfe", "\udcfe\udcff", "\xff\xfe", "\xfe\xff")
"""The marks in text that was read as UTF-8, and in bytes that were read as Latin-1."""


def mark_at(line: str) -> str | None:
    """Return what a line begins with that an editor or a merge left there, and what to do; None for other lines."""
    if line.startswith(_UTF_8):
        return "a byte order mark (save the file as plain UTF-8)"
    if line.startswith(_UTF_16):
        return "UTF-16 (save the file as plain UTF-8)"
    if merge := _MERGE.match(line):
        return f"{merge[1]}, a marker of an unfinished merge (choose between its sides, and take the markers out)"
    return None


def first_mark(data: bytes) -> tuple[int, str] | None:
    """Return the number of the first line of a file that begins with such a mark, and what `mark_at` says of it."""
    found = mark_at(data[:3].decode("latin-1"))
    if found is not None:
        return 1, found
    merge = _MERGE_LINE.search(data)
    if merge is None:
        return None
    said = mark_at(merge[0].decode("latin-1"))
    return None if said is None else (data.count(b"\n", 0, merge.start()) + 1, said)


def refuse_marks(data: bytes, where: str) -> None:
    """Raise InputError for the first such mark in a file that cannot have one."""
    found = first_mark(data)
    if found is not None:
        raise InputError(f"found {found[1]}", where=f"{where}:{found[0]}")
