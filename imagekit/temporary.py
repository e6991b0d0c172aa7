"""A file without a name: written at any offset, read as a Content, gone when nobody refers to it any more."""

import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

from imagekit import disk
from imagekit.content import KnownContent, allocated_ranges
from imagekit.errors import InputError, OutputError


class Temporary(KnownContent):
    """A temporary file in `folder` (TMPDIR by default); `origin` is what it holds, for messages.

    Raise OutputError when it cannot be made or written.
    """

    __slots__ = ("__weakref__", "_fd", "_hint", "_where")

    def __init__(self, origin: str, folder: Path | None = None) -> None:
        super().__init__(0, origin)
        self._where = str(folder or tempfile.gettempdir())
        self._hint = "make space there" if folder else "make space there, or set TMPDIR to a folder with more"
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                self._fd = os.dup(file.fileno())
        except OSError as error:
            raise OutputError(f"cannot make a temporary file: {error.strerror}", where=self._where) from error
        weakref.finalize(self, os.close, self._fd)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Read from the file."""
        if disk.read_at(self._fd, offset, buffer) < len(buffer):
            raise InputError("its temporary copy is cut short", where=self._origin)

    def data_ranges(self) -> Iterator[tuple[int, int]]:
        """Yield what was written, as far as the file system below knows holes."""
        try:
            yield from allocated_ranges(self._fd, self._size)
        except OSError as error:
            raise InputError(f"cannot read its temporary copy: {error.strerror}", where=self._origin) from error

    def write_at(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write `data`, all of it, at `offset` bytes; the size is set by `truncate`."""
        try:
            disk.write_at(self._fd, offset, data)
        except OSError as error:
            raise OutputError(
                f"cannot write a temporary copy of {self._origin}: {error.strerror}",
                where=self._where,
                hint=self._hint,
            ) from error

    def truncate(self, size: int) -> None:
        """Set the size in bytes; what was never written reads as zeros."""
        os.truncate(self._fd, size)
        self._size = size
