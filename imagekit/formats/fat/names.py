"""The names and times of FAT: what is allowed, short aliases (8.3), long names (VFAT), the DOS clock."""

import calendar
import re
import time
from collections.abc import Sequence
from functools import lru_cache

from pyfatfs.DosDateTime import DosDateTime

from imagekit.errors import PlanError
from imagekit.formats.fat.layout import LAST, LONG_NAME, LONG_RECORD, NO_LABEL, UNITS_PER_RECORD

MAX_NAME = 255  # UTF-16 code units

EARLIEST = calendar.timegm((1980, 1, 1, 0, 0, 0))
LATEST = calendar.timegm((2107, 12, 31, 23, 59, 58))

_SHORT = r"[A-Z0-9!#$%&'()@^_`{}~-]"
_FITS = re.compile(rf"({_SHORT}{{1,8}})(?:\.({_SHORT}{{1,3}}))?")
_NOT_SHORT = re.compile(r"[^A-Z0-9!#$%&'()@^_`{}~-]")
_FORBIDDEN = re.compile('["*/:<>?\\\\|\x00-\x1f\uffff]')
_NOT_UTF8 = re.compile("[\ud800-\udfff]")


def fault(name: str) -> str | None:
    """Return what keeps a name from standing on FAT, or None."""
    if _NOT_UTF8.search(name):
        return "the name is not UTF-8, and FAT stores names as Unicode"
    if bad := sorted(set(_FORBIDDEN.findall(name))):
        return f"FAT does not allow {' '.join(map(ascii, bad))} in names"
    if name.endswith((".", " ")):
        return f"FAT does not allow names that end in {'a dot' if name[-1] == '.' else 'a space'}"
    units = len(name) if name.isascii() else len(name.encode("utf-16-le")) // 2
    if units > MAX_NAME:
        return f"the name has {units} UTF-16 units, FAT allows {MAX_NAME}"
    return None


def folded(name: str) -> str:
    """Return the name as it is compared: two names that differ only in case give the same.

    Systems disagree about rare letters; here two names are the same as soon as one character's upper case says so.
    """
    if name.isascii():
        return name.upper()
    return "".join(upper if len(upper := letter.upper()) == 1 else letter for letter in name)


def fits(name: str) -> bool:
    """Tell whether the name is a short name as it stands, so that it needs no long one."""
    return _FITS.fullmatch(name) is not None


def aliases(names: Sequence[str]) -> list[bytes]:
    """Return the short name (11 bytes) of each of a directory's names; all differ, the order of names decides.

    A name that fits but for its case keeps its letters; the others get a numeric tail, ~1 and up.
    """
    result: list[bytes] = [b""] * len(names)
    taken: set[bytes] = set()
    for index, name in enumerate(names):
        match = _FITS.fullmatch(name.upper()) if name.isascii() else None
        if match:
            result[index] = _padded(match[1], match[2] or "")
            taken.add(result[index])
    # The next number to try, by what precedes the tail and by the tail's length: no number is tried twice.
    counters: dict[tuple[str, str, int], int] = {}
    for index, name in enumerate(names):
        if not result[index]:
            result[index] = _numbered(*_stem(name), taken, counters)
            taken.add(result[index])
    return result


def _stem(name: str) -> tuple[str, str]:
    base, dot, extension = name.replace(" ", "").lstrip(".").upper().rpartition(".")
    if not dot:
        base, extension = extension, ""
    return _NOT_SHORT.sub("_", base.replace(".", "")), _NOT_SHORT.sub("_", extension[:3])


def _numbered(base: str, extension: str, taken: set[bytes], counters: dict[tuple[str, str, int], int]) -> bytes:
    for digits in range(1, 7):
        key = (base[: 7 - digits], extension, digits)
        number = counters.get(key, 10 ** (digits - 1))
        while number < 10**digits:
            alias = _padded(f"{key[0]}~{number}", extension)
            number += 1
            if alias not in taken:
                counters[key] = number
                return alias
        counters[key] = number
    raise AssertionError("a directory has fewer records than there are tails")


def _padded(base: str, extension: str) -> bytes:
    return (base.ljust(8) + extension.ljust(3)).encode("ascii")


def shown(alias: bytes) -> str:
    """Return a short name as it is written: NAME.EXT."""
    base, extension = alias[:8].decode("cp437").rstrip(" "), alias[8:].decode("cp437").rstrip(" ")
    return f"{base}.{extension}" if extension else base


def checksum(alias: bytes) -> int:
    """Return the checksum that ties a long name's records to their short name."""
    value = 0
    for byte in alias:
        value = ((value >> 1) + ((value & 1) << 7) + byte) & 0xFF
    return value


def record_count(name: str) -> int:
    """Return how many directory records a name takes, that of the short name included."""
    if fits(name):
        return 1
    units = len(name) if name.isascii() else len(name.encode("utf-16-le")) // 2
    return 1 + -(-units // UNITS_PER_RECORD)


def long_records(name: str, alias: bytes) -> bytes:
    """Return the records of a long name, in the order in which they precede that of the short name."""
    text = name.encode("utf-16-le")
    count = -(-len(text) // (2 * UNITS_PER_RECORD))
    if len(text) % (2 * UNITS_PER_RECORD):
        text = (text + b"\0\0").ljust(count * 2 * UNITS_PER_RECORD, b"\xff")
    check = checksum(alias)
    records = []
    for number in range(count, 0, -1):
        part = text[(number - 1) * 2 * UNITS_PER_RECORD : number * 2 * UNITS_PER_RECORD]
        mark = number | LAST if number == count else number
        records.append(LONG_RECORD.pack(mark, part[:10], LONG_NAME, 0, check, part[10:22], 0, part[22:]))
    return b"".join(records)


def check_label(label: str) -> None:
    """Raise PlanError unless `label` can be a volume label ("" is none)."""
    bad = sorted(set(re.findall(r"[^A-Z0-9!#$%&'()@^_`{}~ -]", label)))
    if bad:
        found = f"it has {' '.join(map(ascii, bad))}"
    elif len(label) > 11:
        found = f"it has {len(label)} characters"
    elif label != label.strip():
        found = "it begins or ends with a space"
    elif label == NO_LABEL:
        found = "it says that there is no label"
    else:
        return
    raise PlanError(
        f"not a FAT volume label: {label!r}: {found}",
        hint="at most 11 characters: capital letters, digits, spaces inside, and !#$%&'()-@^_`{}~",
    )


@lru_cache(maxsize=1024)
def to_dos(seconds: int) -> tuple[int, int]:
    """Return (date, time) as FAT stores them, in UTC, of seconds since 1970.

    FAT knows even seconds from 1980 to 2107: an odd second becomes the even one before it, a time outside the range
    the nearest one within.
    """
    moment = DosDateTime(*time.gmtime(min(max(seconds, EARLIEST), LATEST))[:6])
    return moment.serialize_date(), moment.serialize_time()


@lru_cache(maxsize=1024)
def from_dos(date: int, clock: int) -> int:
    """Return the seconds since 1970 of FAT's date and time, taken as UTC; nonsense reads as 1980-01-01 or 00:00."""
    day, moment = DosDateTime.deserialize_date(date), DosDateTime.deserialize_time(clock)
    return calendar.timegm((day.year, day.month, day.day, moment.hour, moment.minute, moment.second))
