"""What a Tree asks of a file system: its inodes in the order of their placement, and the names that lead to them.

Everything that UFS cannot hold (names, owners, times, devices, links) is found here, before any address is chosen, and
reported together.
"""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

from imagekit.content import Bytes, Content
from imagekit.errors import PlanError, Problems
from imagekit.formats.ufs import layout
from imagekit.formats.ufs.directory import packed_size
from imagekit.tree import Directory, Entry, File, HardLink, HardLinkError, Special, Symlink, Tree

LOST_FOUND = "lost+found"
_SHOWN = 20
"""Problems that one message lists."""

_ID_LIMIT = 1 << 32
_TIME_LIMIT = 1 << 31


class Item(NamedTuple):
    """An inode to be made; `content` is None for directories (their bytes need inode numbers) and special files."""

    entry: Entry
    type: int  # the type bits of ic_smode
    links: int
    size: int  # bytes
    content: Content | None
    device: int = 0  # ic_db[1] of a device node


class Names(NamedTuple):
    """A directory's entries in order: names, and the paths of the inodes that they stand for."""

    names: list[bytes]
    paths: list[str]


@dataclass(slots=True)
class Inventory:
    """Inodes in the order of their placement: lost+found, then a directory, what is in it, the directories below it."""

    mount: str = ""
    """The path at which the file system will be mounted, for messages."""
    items: list[Item] = field(default_factory=list)
    directories: dict[str, Names] = field(default_factory=dict)

    @classmethod
    def of(cls, tree: Tree, *, block_size: int, time: int, last: str = "", mount: str = "") -> "Inventory":
        """Take stock of a tree; `time` (seconds since 1970) is that of a lost+found which the tree has not.

        What is at the path `last` comes behind all else.  Raise PlanError with all that the format cannot hold, or when
        there is no such inode.
        """
        inventory = _Survey(tree, block_size, time, mount).inventory
        inventory.move(LOST_FOUND, 0)
        if last:
            inventory.move(last, len(inventory.items) - 1)
        return inventory

    def shown(self, path: str) -> str:
        """Return a path as it will be once the file system is mounted."""
        return "/" + "/".join(part for part in (self.mount, path) if part)

    def move(self, path: str, place: int) -> None:
        """Put the inode of a path at another place in the order; raise PlanError when there is none."""
        index = next((index for index, item in enumerate(self.items) if item.entry.path == path), None)
        if index is None:
            raise PlanError("no inode of its own is here that could be placed", where=self.shown(path))
        self.items.insert(place, self.items.pop(index))


def check(tree: Tree, *, block_size: int = 4096, mount: str = "") -> None:
    """Raise PlanError with all of a tree that no UFS can hold, whatever its size; `mount` is as in `Inventory`."""
    _Survey(tree, block_size, 0, mount)


class _Survey:
    def __init__(self, tree: Tree, block_size: int, time: int, mount: str) -> None:
        self.inventory = Inventory(mount)
        self._tree = tree
        self._block_size = block_size
        self._problems = Problems()
        self._links, self._targets = self._hard_links()
        lost_found = tree.get(LOST_FOUND)
        if lost_found is None:
            lost_found = Directory(path=LOST_FOUND, mode=0o700, mtime=time)
        elif not isinstance(lost_found, Directory):
            self._problem(lost_found.path, f"is a {lost_found.KIND}; fsck needs a directory of that name")
        self._lost_found = lost_found
        stack: list[Entry] = [tree.root]
        while stack:
            stack.extend(reversed(self._directory(stack.pop())))
        heading = f"UFS cannot hold {len(self._problems):,} things in the tree"
        self._problems.raise_if_any(PlanError, heading, alone="UFS cannot hold it: ", most=_SHOWN)

    def _problem(self, path: str, text: str) -> None:
        self._problems.add(self.inventory.shown(path), text)

    def _hard_links(self) -> tuple[dict[str, int], dict[str, str]]:
        """Count the further names of every path that has some; find what each hard link comes to."""
        counts: dict[str, int] = {}
        targets: dict[str, str] = {}
        for link in self._tree:
            if not isinstance(link, HardLink):
                continue
            try:
                inode = self._tree.inode(link.path)
            except HardLinkError as error:
                found = {"nothing": "is not in the tree", "itself": "leads back to itself"}.get(
                    error.found, f"is {error.found}"
                )
                self._problem(link.path, f"is a hard link to {self.inventory.shown(error.target)}, which {found}")
            else:
                counts[inode.path] = counts.get(inode.path, 0) + 1
                targets[link.path] = inode.path
        return counts, targets

    def _directory(self, directory: Entry) -> list[Entry]:
        """Add a directory and what is in it; return the directories in it."""
        path = directory.path
        children = self._tree.children(path) if path in self._tree else []
        if not path and self._tree.get(LOST_FOUND) is None:
            children = [self._lost_found, *children]
        skip = len(path) + 1 if path else 0
        names = [self._name(child, skip) for child in children]
        if len(set(names)) < len(names):
            double = Counter(names).most_common(1)[0][0]
            self._problem(path, f"has two entries of the same bytes as name: {double!r}")
        paths = [self._targets.get(child.path, child.path) for child in children]
        self.inventory.directories[path] = Names(names, paths)
        below: list[Entry] = [child for child in children if isinstance(child, Directory)]
        size = packed_size(names)
        if path == LOST_FOUND:
            size = max(size, self._block_size)
        self._add(Item(directory, layout.DIRECTORY, 2 + len(below), size, None))
        for child in children:
            if isinstance(child, File):
                content: Content = child.content
                self._add(Item(child, layout.REGULAR, self._names(child), content.size, content))
            elif isinstance(child, Symlink):
                content = self._target(child)
                self._add(Item(child, layout.SYMLINK, self._names(child), content.size, content))
            elif isinstance(child, Special):
                kind = layout.SPECIAL_TYPES.get(child.type, 0)
                self._add(Item(child, kind, self._names(child), 0, None, self._device(child)))
            elif not isinstance(child, (Directory, HardLink)):
                raise TypeError(child)
        return below

    def _names(self, entry: Entry) -> int:
        return 1 + self._links.get(entry.path, 0)

    def _add(self, item: Item) -> None:
        entry = item.entry
        if not (0 <= entry.uid < _ID_LIMIT and 0 <= entry.gid < _ID_LIMIT):
            self._problem(entry.path, f"owner {entry.uid}:{entry.gid} is not within 0..{_ID_LIMIT - 1}")
        if not -_TIME_LIMIT <= entry.mtime < _TIME_LIMIT:
            self._problem(entry.path, f"the time {entry.mtime} is outside 1901..2038, which is what UFS can hold")
        if not 0 <= entry.mode <= 0o7777:
            self._problem(entry.path, f"the mode {entry.mode:#o} is not within 0..07777")
        if item.links > layout.LINK_MAX:
            what = "directories in it" if isinstance(entry, Directory) else "names"
            self._problem(entry.path, f"has {item.links:,} links ({what}); UFS counts up to {layout.LINK_MAX:,}")
        self.inventory.items.append(item)

    def _name(self, entry: Entry, skip: int) -> bytes:
        path = entry.path
        name = self._encoded(path, path[skip:])
        if len(name) > layout.NAME_MAX:
            self._problem(path, f"the name has {len(name)} bytes; at most {layout.NAME_MAX} fit")
        if len(path) * 4 > layout.PATH_MAX:
            length = len(path.encode("utf-8", "surrogateescape")) if name else 0
            if length > layout.PATH_MAX:
                self._problem(path, f"the path has {length:,} bytes; illumos takes at most {layout.PATH_MAX:,}")
        return name

    def _encoded(self, path: str, text: str) -> bytes:
        try:
            return text.encode("utf-8", "surrogateescape")
        except UnicodeEncodeError:
            self._problem(path.encode("utf-8", "replace").decode(), f"{text!r} stands for no bytes")
            return b""

    def _target(self, link: Symlink) -> Content:
        target = self._encoded(link.path, link.target)
        if not target or b"\0" in target:
            self._problem(link.path, f"a symbolic link to {link.target!r} cannot be stored")
        if len(target) > layout.PATH_MAX:
            self._problem(link.path, f"the link's target has {len(target):,} bytes; at most {layout.PATH_MAX:,} fit")
        return Bytes(target, link.path)

    def _device(self, special: Special) -> int:
        if special.type not in layout.SPECIAL_TYPES:
            self._problem(special.path, f"is of the unknown type {special.type!r}")
        if special.type not in {"b", "c"}:
            return 0
        device = layout.pack_device(special.major, special.minor)
        if device is None:
            self._problem(special.path, f"UFS cannot hold the device number {special.major},{special.minor}")
        return device or 0
