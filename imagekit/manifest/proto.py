"""Proto areas: the folders that builds install into, looked up by the image's paths.

Folders are listed once, when something in them is asked for.  A proto area is seen as the root of an image: an
absolute symbolic link starts at it, and nothing outside is ever looked at.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from imagekit.errors import InputError, Thing, nearest

MOST_LINKS = 40
"""Symbolic links that are followed in one path before it counts as a circle (Linux' and illumos' own order)."""


class Proto:
    """One proto area."""

    def __init__(self, root: Path) -> None:
        """Raise InputError when `root` is not a folder that can be read."""
        self.root = root
        self.unreadable: dict[str, str] = {}
        self._listings: dict[str, dict[str, os.DirEntry[str]]] = {}
        self._listings[""] = self._scan("", str(root))
        if "" in self.unreadable:
            raise InputError(f"cannot read the proto area: {self.unreadable['']}", where=str(root))

    def _scan(self, path: str, folder: str) -> dict[str, os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return {entry.name: entry for entry in entries}
        except OSError as error:
            self.unreadable[path] = error.strerror or str(error)
            return {}

    def listing(self, path: str) -> dict[str, os.DirEntry[str]]:
        """Return what is in the directory at `path`: nothing unless it is a directory, reached without any link."""
        found = self._listings.get(path)
        if found is None:
            ancestor, found = "", self._listings[""]
            for name in path.split("/"):
                entry = found.get(name)
                ancestor = f"{ancestor}/{name}" if ancestor else name
                known = self._listings.get(ancestor)
                if known is None:
                    is_directory = entry is not None and entry.is_dir(follow_symlinks=False)
                    known = self._scan(ancestor, entry.path) if entry is not None and is_directory else {}
                    self._listings[ancestor] = known
                found = known
        return found

    def lookup(self, path: str) -> os.DirEntry[str] | None:
        """Return what is at `path`, or None; no symbolic link is followed."""
        parent, _, name = path.rpartition("/")
        return self.listing(parent).get(name)

    def follow(self, path: str) -> os.DirEntry[str] | None:
        """Return what `path` leads to, links followed; None when that is nothing, a circle, or outside."""
        pending = path.split("/")[::-1]
        done: list[str] = []
        entry: os.DirEntry[str] | None = None
        links = 0
        while pending:
            name = pending.pop()
            if name in {"", "."}:
                continue
            if name == "..":
                if not done:
                    return None
                done.pop()
                continue
            entry = self.listing("/".join(done)).get(name)
            if entry is None:
                return None
            if not entry.is_symlink():
                done.append(name)
                continue
            links += 1
            if links > MOST_LINKS:
                return None
            target = str(Path(entry.path).readlink())
            if target.startswith("/"):
                done.clear()
            pending += target.split("/")[::-1]
        return self.lookup("/".join(done))

    def walk(self, path: str = "") -> Iterator[tuple[str, os.DirEntry[str]]]:
        """Yield (path, entry) of all that is below a directory, each folder in the order of its names."""
        stack = [path]
        while stack:
            folder = stack.pop()
            prefix = f"{folder}/" if folder else ""
            folders = []
            for name, entry in sorted(self.listing(folder).items()):
                inner = prefix + name
                yield inner, entry
                if entry.is_dir(follow_symlinks=False):
                    folders.append(inner)
            stack += reversed(folders)


class ProtoPath:
    """Proto areas in the order in which they are searched: the first that has a path supplies it."""

    def __init__(self, roots: Iterable[Path]) -> None:
        """Raise InputError when one is not a folder that can be read, or none is given."""
        self.protos = [Proto(root) for root in roots]
        if not self.protos:
            raise InputError("no proto area was given", hint=f"name one with {Thing.PROTO}")

    def places(self) -> str:
        """Return where they lie, for messages."""
        return ", ".join(str(proto.root) for proto in self.protos)

    def lookup(self, path: str) -> tuple[Proto, os.DirEntry[str]] | None:
        """Return the first proto area that has `path`, and what is there; no symbolic link is followed."""
        for proto in self.protos:
            entry = proto.lookup(path)
            if entry is not None:
                return proto, entry
        return None

    def locate_file(self, path: str) -> tuple[Proto, os.DirEntry[str], bool] | None:
        """Return the first proto area that has `path`, what it leads to, and whether a symbolic link led there.

        A link that leads nowhere is passed over, as the original builder passes over it.
        """
        for proto in self.protos:
            entry = proto.lookup(path)
            if entry is not None and not entry.is_symlink():
                return proto, entry, False
            entry = proto.follow(path)
            if entry is not None:
                return proto, entry, True
        return None

    def nearest(self, path: str) -> str | None:
        """Return the path most like one that no proto area has, or None when none is near."""
        found = ""
        for name in path.split("/"):
            inner = f"{found}/{name}" if found else name
            if self.lookup(inner) is None:
                names = {other for proto in self.protos for other in proto.listing(found)}
                near = nearest(name, sorted(names))
                if near is None:
                    return None
                inner = f"{found}/{near}" if found else near
            found = inner
        return found

    def is_hidden(self, path: str) -> bool:
        """Tell whether a folder above `path` could not be listed, so that nobody knows what is in it."""
        for proto in self.protos:
            above = path if proto.unreadable else ""
            while above := above.rpartition("/")[0]:
                if above in proto.unreadable:
                    return True
        return False

    def unreadable(self) -> Iterator[tuple[str, str]]:
        """Yield (path on disk, reason) of the folders that could not be listed."""
        for proto in self.protos:
            for path, reason in proto.unreadable.items():
                yield str(proto.root / path), reason
