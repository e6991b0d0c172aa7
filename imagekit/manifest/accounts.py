"""User and group names and their numbers, from the etc/passwd and etc/group of the image itself, never the host's."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources
from pathlib import Path

from imagekit.errors import InputError, Problems
from imagekit.marks import mark_at

LARGEST_ID = 2**31 - 1
"""illumos' MAXUID: uid_t is unsigned, but ids above this one are refused."""

_FIELDS = {"passwd": 7, "group": 4}


@dataclass(frozen=True, slots=True)
class Accounts:
    """Names to numbers; `origin` says where they were read, for messages."""

    users: Mapping[str, int]
    groups: Mapping[str, int]
    origin: str

    def user_name(self, uid: int) -> str:
        """Return the first name of a uid, or ""."""
        return next((name for name, number in self.users.items() if number == uid), "")

    def group_name(self, gid: int) -> str:
        """Return the first name of a gid, or ""."""
        return next((name for name, number in self.groups.items() if number == gid), "")


def _parse(text: str, kind: str, where: str, problems: Problems) -> dict[str, int]:
    """Read passwd or group lines.  Of two lines with one name the first counts, as in the C library."""
    ids: dict[str, int] = {}
    before = len(problems)
    for number, line in enumerate(text.split("\n"), 1):
        # Lines of the name services (+name, -name) have no number of their own.
        if not line.strip() or line[0] in "+-#":
            continue
        fields = line.split(":")
        if (mark := mark_at(line)) is not None:
            problems.add(f"{where}:{number}", f"found {mark}")
        elif len(fields) != _FIELDS[kind]:
            problems.add(f"{where}:{number}", f"found {len(fields)} fields, expected {_FIELDS[kind]}, as in {kind}(5)")
        elif not fields[0]:
            problems.add(f"{where}:{number}", "found no name, expected one before the first colon")
        elif not re.fullmatch("[0-9]{1,10}", fields[2]) or int(fields[2]) > LARGEST_ID:
            problems.add(f"{where}:{number}", f"found {fields[2]!r} as id of {fields[0]}, expected 0 to {LARGEST_ID}")
        else:
            ids.setdefault(fields[0], int(fields[2]))
    if not ids and len(problems) == before:
        problems.add(where, f"found no account, expected {kind}(5) lines")
    return ids


def read_accounts(protos: Sequence[Path]) -> Accounts:
    """Return the accounts of an image: of the first proto area that has etc/passwd, and likewise etc/group.

    Raise InputError for all that is missing, unreadable or malformed.
    """
    problems = Problems()
    found: dict[str, dict[str, int]] = {}
    origins: list[str] = []
    for kind in _FIELDS:
        path = next((file for proto in protos if (file := proto / "etc" / kind).is_file()), None)
        if path is None:
            places = " or ".join(str(proto / "etc" / kind) for proto in protos) or "any proto area"
            problems.add(f"etc/{kind}", f"found none, expected {places}: owners' names need it to become numbers")
            continue
        try:
            text = path.read_text(encoding="utf-8", errors="surrogateescape")
        except OSError as error:
            problems.add(str(path), f"cannot read: {error.strerror}")
            continue
        found[kind] = _parse(text, kind, str(path), problems)
        origins.append(str(path))
    problems.raise_if_any(InputError, "the accounts cannot be read", alone="")
    return Accounts(found["passwd"], found["group"], " and ".join(origins))


@cache
def smartos_accounts() -> Accounts:
    """Return the accounts of a stock SmartOS image, for checks that have no proto area at hand."""
    problems = Problems()
    folder = resources.files("imagekit.manifest") / "smartos"
    users, groups = (
        _parse((folder / kind).read_text(encoding="utf-8"), kind, f"smartos/{kind}", problems) for kind in _FIELDS
    )
    problems.raise_if_any(InputError, "the accounts cannot be read", alone="")
    return Accounts(users, groups, "the built-in list of SmartOS accounts")
