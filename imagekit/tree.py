"""The model of everything that is read, edited and written: a file system in memory.

A source makes a Tree, an edit takes one and gives one, a writer takes one and an output.  Entries are immutable; a
Tree keeps them by path, in the order in which they were added, the root first.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import ClassVar, Literal

from imagekit.content import Content
from imagekit.errors import InputError

MOST_ENTRIES = 1_000_000
MOST_TEXT = 64 << 20
"""Entries of a Tree, and characters in their paths, targets and names of owners: an image of a few kilobytes may claim
more than memory holds, and a real one comes nowhere near."""

MOST_LINKS = 40
LONGEST_TARGET = 4096
"""Symbolic links on the way to one file, and characters in one, that are followed: as many as Linux follows, and more
than illumos does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """What all entries have.

    `path` is relative to the root, with "/" between names and no "." or ".." ("" is the root itself); bytes that are
    not UTF-8 stand in it as surrogate escapes.  `mode` is the permission bits (0..0o7777), `mtime` seconds since 1970.
    `user` and `group` are the names of `uid` and `gid` where they are known, else "".
    """

    KIND: ClassVar[str] = "?"

    path: str
    mode: int
    uid: int = 0
    gid: int = 0
    mtime: int = 0
    user: str = ""
    group: str = ""

    @property
    def name(self) -> str:
        """The last part of the path."""
        return self.path.rpartition("/")[2]

    @property
    def parent(self) -> str:
        """The path of the directory that holds the entry."""
        return self.path.rpartition("/")[0]


@dataclass(frozen=True, slots=True, kw_only=True)
class Directory(Entry):
    """A directory."""

    KIND: ClassVar[str] = "directory"
    mode: int = 0o755


@dataclass(frozen=True, slots=True, kw_only=True)
class File(Entry):
    """A regular file."""

    KIND: ClassVar[str] = "file"
    content: Content
    mode: int = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Symlink(Entry):
    """A symbolic link; `target` is the text in it."""

    KIND: ClassVar[str] = "symbolic link"
    target: str
    mode: int = 0o777


@dataclass(frozen=True, slots=True, kw_only=True)
class HardLink(Entry):
    """Another name of the file, link or device at path `target`; mode, owner and time are those of the target."""

    KIND: ClassVar[str] = "hard link"
    target: str
    mode: int = 0o644


@dataclass(frozen=True, slots=True, kw_only=True)
class Special(Entry):
    """A device, fifo or socket, as images may hold them: `type` is one of b, c, p, s."""

    KIND: ClassVar[str] = "special file"
    type: str
    major: int = 0
    minor: int = 0
    mode: int = 0o600


class TreeTooLargeError(InputError):
    """A Tree would have more entries, or more text in them, than can be real."""


class HardLinkError(InputError):
    """A hard link leads to no inode: `found` says what it leads to, at the path `target`."""

    def __init__(self, path: str, target: str, found: Literal["nothing", "a directory", "itself"]) -> None:
        super().__init__(f"a hard link to {found}: /{target}", where=f"/{path}")
        self.target = target
        self.found = found


def check_path(path: str) -> None:
    """Raise InputError unless `path` can stand in a Tree."""
    # Few paths have a dot or a slash in such a place: only those are taken apart.
    suspicious = "/." in path or "//" in path or path.startswith((".", "/")) or path.endswith("/")
    if suspicious and any(part in {"", ".", ".."} for part in path.split("/")):
        raise InputError(f"not a path inside a tree: {path!r}", hint="no leading or double slash, no . or ..")
    if "\0" in path:
        raise InputError(f"not a path inside a tree: {path!r}", hint="names cannot hold a NUL")


@dataclass(slots=True)
class Tree:
    """A file system in memory.  Iterating gives the entries in the order of their adding; parents come first."""

    root: Directory = field(default_factory=lambda: Directory(path=""))
    _entries: dict[str, Entry] = field(init=False, repr=False)
    _children: dict[str, list[str]] = field(init=False, repr=False)
    _text: int = field(init=False, repr=False, compare=False)
    _inodes: dict[str, str] = field(init=False, repr=False, compare=False)
    """What `inode` found out about hard links, so that a chain of them is followed once."""
    _broken: dict[str, HardLinkError] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        self._entries = {"": self.root}
        self._children = {"": []}
        self._text = 0
        self._inodes = {}
        self._broken = {}

    @classmethod
    def of(cls, entries: Iterable[Entry], root: Directory | None = None) -> "Tree":
        """Return a Tree of these entries, each after its parent."""
        tree = cls(root) if root else cls()
        for entry in entries:
            tree.add(entry)
        return tree

    def add(self, entry: Entry) -> None:
        """Add an entry; raise InputError when its path is bad or taken, or its parent is not a directory here."""
        path = entry.path
        if path in self._entries:
            raise InputError(f"/{path} is there already", where=f"/{path}")
        check_path(path)
        parent = path.rpartition("/")[0]
        if parent not in self._children:
            holder = self._entries.get(parent)
            found = f"is a {holder.KIND}" if holder else "is missing"
            raise InputError(f"/{path} has no directory to be in: /{parent} {found}", where=f"/{path}")
        self._broken.clear()
        if len(self._entries) >= MOST_ENTRIES:
            raise TreeTooLargeError(f"more than {MOST_ENTRIES:,} entries are not credible")
        self._count(_text_of(entry))
        self._entries[path] = entry
        self._children[parent].append(path)
        if isinstance(entry, Directory):
            self._children[path] = []

    def add_parents(self, path: str, mode: int = 0o755, mtime: int = 0) -> None:
        """Add the directories above `path` that are missing, owned by root."""
        missing = []
        while (path := path.rpartition("/")[0]) and path not in self._entries:
            missing.append(path)
        for parent in reversed(missing):
            self.add(Directory(path=parent, mode=mode, mtime=mtime, user="root", group="root"))

    def replace(self, entry: Entry) -> None:
        """Put an entry in the place of the one of the same path and kind, or add it."""
        old = self._entries.get(entry.path)
        if old is None:
            self.add(entry)
        elif isinstance(old, Directory) != isinstance(entry, Directory):
            raise InputError(f"a {entry.KIND} cannot replace a {old.KIND}", where=f"/{entry.path}")
        else:
            self._forget_links()
            self._count(_text_of(entry) - _text_of(old))
            self._entries[entry.path] = entry
            if not entry.path:
                assert isinstance(entry, Directory)
                self.root = entry

    def remove(self, path: str) -> None:
        """Remove an entry and all below it."""
        self._forget_links()
        self._children[self._entries[path].parent].remove(path)
        below = [path]
        while below:
            gone = below.pop()
            self._text -= _text_of(self._entries.pop(gone))
            below += self._children.pop(gone, ())

    def get(self, path: str) -> Entry | None:
        """Return the entry at `path`, or None; links are not followed."""
        return self._entries.get(path)

    def inode(self, path: str) -> Entry:
        """Return what the name `path` stands for: the entry there, or what its hard link leads to, over others too.

        Raise KeyError when nothing is there, HardLinkError when the link leads to no file, link or device.
        """
        chain: dict[str, None] = {}
        entry = self._entries[path]
        while isinstance(entry, HardLink):
            known = self._inodes.get(entry.path)
            if known is not None:
                entry = self._entries[known]
                break
            chain[entry.path] = None
            error = self._broken.get(entry.path)
            target = self._entries.get(entry.target)
            if error is None and (target is None or isinstance(target, Directory) or target.path in chain):
                found: Literal["nothing", "a directory", "itself"]
                found = "nothing" if target is None else "a directory" if isinstance(target, Directory) else "itself"
                error = HardLinkError(path, entry.target, found)
            if error is not None:
                self._broken |= dict.fromkeys(chain, error)
                raise HardLinkError(path, error.target, error.found)
            assert target is not None
            entry = target
        self._inodes |= dict.fromkeys(chain, entry.path)
        return entry

    def follow(self, path: str) -> Entry | None:
        """Return what `path` leads to, over hard and symbolic links anywhere on its way, as a kernel walks it.

        None is what is not there, or outside: above the root, behind a link that begins with "/", or behind more than
        MOST_LINKS symbolic links, which are taken for a circle.
        """
        entry: Entry | None = self.root
        names = path.split("/")[::-1]
        links = 0
        while names:
            name = names.pop()
            if not isinstance(entry, Directory) or (name == ".." and not entry.path):
                return None
            if name in {"", "."}:
                continue
            holder = entry
            entry = self.get(holder.parent if name == ".." else f"{holder.path}/{name}".lstrip("/"))
            if isinstance(entry, HardLink):
                try:
                    entry = self.inode(entry.path)
                except HardLinkError:
                    return None
            if isinstance(entry, Symlink):
                links += 1
                if links > MOST_LINKS or len(entry.target) > LONGEST_TARGET or entry.target.startswith("/"):
                    return None
                names += entry.target.split("/")[::-1]
                entry = holder
        return entry

    def _count(self, text: int) -> None:
        """Count more text; raise TreeTooLargeError when it would be too much."""
        if self._text + text > MOST_TEXT:
            raise TreeTooLargeError(f"more than {MOST_TEXT:,} characters in its paths are not credible")
        self._text += text

    def _forget_links(self) -> None:
        self._inodes.clear()
        self._broken.clear()

    def __getitem__(self, path: str) -> Entry:
        return self._entries[path]

    def __contains__(self, path: str) -> bool:
        return path in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return iter(self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    def copy(self) -> "Tree":
        """Return a tree of the same entries, to be changed on its own."""
        tree = Tree(self.root)
        tree._entries = self._entries.copy()
        tree._text = self._text
        tree._children = {path: names.copy() for path, names in self._children.items()}
        return tree

    def children(self, path: str) -> list[Entry]:
        """Return the entries of the directory at `path`, in the order of their adding."""
        return [self._entries[child] for child in self._children[path]]

    def files(self) -> Iterator[File]:
        """Yield the regular files."""
        return (entry for entry in self if isinstance(entry, File))

    def sorted(self) -> "Tree":
        """Return the same tree with the entries of each directory in the order of their names (by code point)."""
        result = Tree(self.root)
        stack = [""]
        while stack:
            path = stack.pop()
            if path:
                result.add(self._entries[path])
            stack.extend(sorted(self._children.get(path, ()), reverse=True))
        return result


def _text_of(entry: Entry) -> int:
    """Return how many characters an entry keeps in memory."""
    target = entry.target if isinstance(entry, Symlink | HardLink) else ""
    return len(entry.path) + len(target) + len(entry.user) + len(entry.group)
