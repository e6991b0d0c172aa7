"""The list of shipped files with their MD5 sums: boot_archive.manifest, and a copy in the image."""

import hashlib
import threading

from imagekit.content import Content
from imagekit.errors import PlanError
from imagekit.tree import File, HardLink, Tree

PATH = "usr/share/smartos/manifest"


class ShippedFiles(Content):
    """A line `MD5  ./PATH` for every file, by path.  The size is known at once, the sums when they are asked for."""

    __slots__ = ("_files", "_lock", "_size", "_text")

    def __init__(self, tree: Tree) -> None:
        """Take the regular files of a tree, every name of them, as they are now."""
        self._files: list[tuple[bytes, Content]] = []
        for entry in tree:
            target = tree[entry.target] if isinstance(entry, HardLink) else entry
            if isinstance(target, File):
                self._files.append((entry.path.encode("utf-8", "surrogateescape"), target.content))
        self._files.sort(key=lambda pair: pair[0])
        if any(b"\n" in path for path, _ in self._files):
            raise PlanError("a file name holds a newline, and the list of shipped files has a line a file")
        self._size = sum(32 + len("  ./\n") + len(path) for path, _ in self._files)
        self._text: bytes | None = None
        self._lock = threading.Lock()

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self._size

    @property
    def origin(self) -> str:
        """What this is."""
        return "list of shipped files"

    def text(self) -> bytes:
        """Return the list; the first call reads all files."""
        with self._lock:
            if self._text is None:
                self._text = b"".join(_line(path, content) for path, content in self._files)
            return self._text

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Copy from the list."""
        buffer[:] = memoryview(self.text())[offset : offset + len(buffer)]


def _line(path: bytes, content: Content) -> bytes:
    digest = hashlib.md5(usedforsecurity=False)
    for block in content.blocks():
        digest.update(block)
    return digest.hexdigest().encode() + b"  ./" + path + b"\n"
