"""What of a Tree becomes one inode on the image, and all that keeps a Tree from becoming an image."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from imagekit.content import Content, DiskFile
from imagekit.errors import PlanError, Problems
from imagekit.formats.iso.layout import EARLIEST, LATEST
from imagekit.tree import Directory, Entry, File, HardLinkError, Special, Symlink, Tree

FILE_LIMIT = 0xFFFFFFFF
"""Bytes of the largest file in one extent; the illumos loader reads no file of several."""

DIRECTORY_LIMIT = 0xFFFF
"""A path table refers to parents with 16 bits."""

NAME_LIMIT = 255
"""Bytes of a name, everywhere."""
TARGET_LIMIT = 4095
"""Bytes of a link's target that Linux reads."""

_TYPE_BITS = {"c": 0o020000, "d": 0o040000, "b": 0o060000, "p": 0o010000, "s": 0o140000}
_FILE, _SYMLINK = 0o100000, 0o120000


def encode(text: str) -> bytes:
    """Return a name's or target's bytes: UTF-8, and others as they came."""
    return text.encode("utf-8", "surrogateescape")


@dataclass(frozen=True, slots=True)
class Inode:
    """One file, link, directory or device, whatever the number of its names.

    `serial` tells inodes apart, `links` counts the names (of a directory: its own, "." and its subdirectories' "..").
    """

    entry: Entry
    serial: int
    links: int

    @property
    def mode(self) -> int:
        """The mode with the bits of the file's type."""
        entry = self.entry
        if isinstance(entry, File):
            return _FILE | entry.mode
        if isinstance(entry, Symlink):
            return _SYMLINK | entry.mode
        return _TYPE_BITS[entry.type if isinstance(entry, Special) else "d"] | entry.mode


def content_key(content: Content) -> object:
    """Return what two contents share when they are known to be the same bytes, without reading any."""
    return content.path if isinstance(content, DiskFile) else id(content)


class InodeTable:
    """The inodes of a Tree by path; hard links share that of their target."""

    def __init__(self, tree: Tree) -> None:
        self._tree = tree
        self._problems = Problems()
        owners = {entry.path: self._owner(entry) for entry in tree}
        names: dict[str, int] = dict.fromkeys(owners.values(), 0)
        for owner in owners.values():
            names[owner] += 1
        for entry in tree:
            if isinstance(entry, Directory):
                subdirectories = sum(isinstance(child, Directory) for child in tree.children(entry.path))
                names[entry.path] = 2 + subdirectories
        for entry in tree:
            self._check(entry)
        if len([entry for entry in tree if isinstance(entry, Directory)]) > DIRECTORY_LIMIT:
            self._problems.add(None, f"the tree has more than {DIRECTORY_LIMIT:,} directories")
        self._owners = owners
        self._names = names
        self._serials: dict[str, int] = {}

    def check(self) -> None:
        """Raise PlanError naming everything that an ISO cannot hold."""
        heading = f"an ISO cannot hold these {len(self._problems)}"
        self._problems.raise_if_any(PlanError, heading, alone="an ISO cannot hold this: ")

    def __getitem__(self, path: str) -> Inode:
        """Return the inode of the entry at `path`; serial numbers count in the order in which they are asked for."""
        owner = self._owners[path]
        serial = self._serials.setdefault(owner, len(self._serials) + 1)
        return Inode(self._tree[owner], serial, self._names[owner])

    def _owner(self, entry: Entry) -> str:
        """Return the path of what the entry is a name of; follow hard links."""
        try:
            return self._tree.inode(entry.path).path
        except HardLinkError as error:
            self._problems.add(None, f"/{entry.path} is a hard link to /{error.target}, which is {error.found}")
            return entry.path

    def _check(self, entry: Entry) -> None:
        where = f"/{entry.path}"
        for text in (entry.name, entry.target if isinstance(entry, Symlink) else ""):
            try:
                encode(text)
            except UnicodeEncodeError as error:
                self._problems.add(None, f"{where!r}: {text!r} has no bytes: {error.reason}")
                return
        if len(encode(entry.name)) > NAME_LIMIT:
            self._problems.add(None, f"{where}: a name of {len(encode(entry.name))} bytes; at most {NAME_LIMIT}")
        if not 0 <= entry.mode <= 0o7777:
            self._problems.add(None, f"{where}: mode {entry.mode:o}; permission bits are 0 to 7777")
        for what, number in (("owner", entry.uid), ("group", entry.gid)):
            if not 0 <= number <= 0xFFFFFFFF:
                self._problems.add(None, f"{where}: {what} {number}; at most {0xFFFFFFFF:,}")
        if isinstance(entry, File) and entry.content.size > FILE_LIMIT:
            self._problems.add(None, f"{where} has {entry.content.size:,} bytes; at most {FILE_LIMIT:,} (4 GiB - 1)")
        elif isinstance(entry, Symlink):
            length = len(encode(entry.target))
            if not 1 <= length <= TARGET_LIMIT or "\0" in entry.target:
                self._problems.add(
                    None, f"{where}: a link to {length} bytes; 1 to {TARGET_LIMIT} are possible, and none of them NUL"
                )
        elif isinstance(entry, Special) and (
            entry.type not in _TYPE_BITS or not all(0 <= number <= 0xFFFFFFFF for number in (entry.major, entry.minor))
        ):
            self._problems.add(None, f"{where}: a special file of type {entry.type!r} {entry.major}, {entry.minor}")


def time_warnings(entries: Iterable[Entry]) -> list[str]:
    """Return warnings of the entries whose time a record cannot hold."""
    return [
        f"/{entry.path}: its time, {entry.mtime}, becomes the nearest that an ISO can hold (1900 to 2155)"
        for entry in entries
        if not EARLIEST <= entry.mtime <= LATEST
    ]


def name_warnings(directory: str, split_names: Sequence[str], shadowed: Mapping[str, str]) -> dict[str, str]:
    """Return warnings by path: one directory's names that the illumos loader or Linux will not see as they are."""
    result = {}
    prefix = f"{directory}/" if directory else ""
    for name in split_names:
        cut = "; Linux cuts it" if len(encode(name)) > 253 else ""
        size = len(encode(name))
        result[prefix + name] = f"/{prefix}{name}: the boot loader does not see so long a name ({size} bytes){cut}"
    for name, other in shadowed.items():
        told = f"/{prefix}{name}: the boot loader would open {other} instead, which comes first and starts alike"
        result.setdefault(prefix + name, told)
    return result
