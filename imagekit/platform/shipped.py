"""The list of shipped files with their MD5 sums: boot_archive.manifest, and a copy in the image."""

import hashlib
import os
import threading
from concurrent.futures import ThreadPoolExecutor

from imagekit.content import Content
from imagekit.errors import PlanError
from imagekit.progress import SILENT, Progress
from imagekit.tree import File, HardLink, Tree

PATH = "usr/share/smartos/manifest"
_SMALL = 64
"""Files that one thread takes at a time."""


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

    @property
    def total(self) -> int:
        """Bytes to read for the sums."""
        return sum(content.size for _, content in self._files)

    def text(self, progress: Progress = SILENT) -> bytes:
        """Return the list; the first call reads all files, in threads."""
        with self._lock:
            if self._text is None:
                self._text = self._sum(progress)
            return self._text

    def _sum(self, progress: Progress) -> bytes:
        batches = [self._files[start : start + _SMALL] for start in range(0, len(self._files), _SMALL)]
        with ThreadPoolExecutor(min(os.cpu_count() or 1, 8)) as threads:
            try:
                return b"".join(threads.map(lambda batch: self._sum_batch(batch, progress), batches))
            except BaseException:
                threads.shutdown(cancel_futures=True)
                raise

    @staticmethod
    def _sum_batch(batch: list[tuple[bytes, Content]], progress: Progress) -> bytes:
        lines = []
        for path, content in batch:
            digest = hashlib.md5(usedforsecurity=False)
            for block in content.blocks():
                digest.update(block)
            lines.append(digest.hexdigest().encode() + b"  ./" + path + b"\n")
            progress.advance(content.size)
        return b"".join(lines)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Copy from the list."""
        buffer[:] = memoryview(self.text())[offset : offset + len(buffer)]
