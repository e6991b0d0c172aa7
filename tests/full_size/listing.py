"""What is in a file system, as others see it: listings of foreign programs read into one form, and compared."""

import hashlib
import os
import re
import stat
from pathlib import Path
from typing import NamedTuple

EMPTY = hashlib.sha256().hexdigest()


class Entry(NamedTuple):
    """One entry; a field that is None is unknown, and equals all."""

    kind: str | None  # f, d or l
    mode: int | None = None
    uid: int | None = None
    gid: int | None = None
    size: int | None = None
    sha256: str | None = None
    target: str | None = None
    mtime: str | None = None


def compare(found, expected):
    """Yield a line for every difference between two listings."""
    for path in sorted(found.keys() | expected.keys()):
        if path not in expected:
            yield f"/{path} should not be there"
        elif path not in found:
            yield f"/{path} is missing"
        else:
            for name, is_, should in zip(Entry._fields, found[path], expected[path], strict=True):
                if is_ != should and None not in (is_, should):
                    shown = (f"{is_:04o}", f"{should:04o}") if name == "mode" else (is_, should)
                    yield f"/{path}: {name} is {shown[0]}, should be {shown[1]}"


def without(listing, *fields):
    """Return a listing in which some fields are unknown."""
    return {path: entry._replace(**dict.fromkeys(fields)) for path, entry in listing.items()}


def unescape(text, pattern, base):
    """Return a path with its escapes undone, as UTF-8."""
    data = re.sub(pattern, lambda match: bytes([int(match[1], base)]), os.fsencode(text))
    return os.fsdecode(data)


def kernel_listing(text, number):
    """Return what kernel-ls saw of file system `number`."""
    found = {}
    for line in text.splitlines():
        if not line.startswith(f"file {number} "):
            continue
        kind, mode, uid, gid, size, mtime, digest, path = line.split(" ", 9)[2:]
        path, arrow, target = path.partition(" -> ") if kind == "l" else (path, "", "")
        found[unescape(path[1:], rb"\\x(..)", 16)] = Entry(
            kind,
            int(mode, 8),
            int(uid),
            int(gid),
            None if kind == "d" else int(size),
            digest if kind == "f" else None,
            unescape(target, rb"\\x(..)", 16) if arrow else None,
            mtime,
        )
    return found


def kernel_findings(text):
    """Return what the kernel had to say of the disk or file systems."""
    return [line for line in text.splitlines() if line.startswith("kernel ")]


MTREE_KINDS = {"dir": "d", "file": "f", "link": "l"}


def mtree_listing(text):
    """Return what bsdtar saw, as its mtree format tells."""
    found = {}
    for line in text.splitlines():
        if not line.startswith("."):
            continue
        path, *words = line.split()
        values = dict(word.split("=", 1) for word in words)
        kind = MTREE_KINDS.get(values["type"], values["type"])
        target = values.get("link")
        digest = values.get("sha256digest")
        if kind == "f" and digest is None:
            kind = None  # a second name: it has no content here, and may be of a link
        path = unescape(path, rb"\\([0-7]{3})", 8).removeprefix(".").strip("/")
        found[path] = Entry(
            kind,
            int(values["mode"], 8),
            int(values["uid"]),
            int(values["gid"]),
            int(values["size"]) if digest else None,
            digest,
            None if target is None else unescape(target, rb"\\([0-7]{3})", 8),
        )
    return found


def sha256(path):
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def folder_listing(folder, prefix=""):
    """Return what is in a folder on disk, with its modes; owners are left open."""
    found = {}
    for path in Path(folder).rglob("*"):
        status = path.stat()
        place = prefix + str(path.relative_to(folder))
        if path.is_dir():
            found[place] = Entry("d", stat.S_IMODE(status.st_mode))
        else:
            found[place] = Entry("f", stat.S_IMODE(status.st_mode), size=status.st_size, sha256=sha256(path))
    return found
