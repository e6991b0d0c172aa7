"""A temporary file: written at any offset, read as a Content; without a name, it is gone when nobody refers to it."""

import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

from imagekit import disk
from imagekit.content import KnownContent, allocated_ranges
from imagekit.errors import InputError, OutputError

_KEPT_FREE = 16 << 20
"""Bytes of the file system that a temporary file leaves to others, once it has taken as many itself."""


class Temporary(KnownContent):
    """A file without a name in `folder` (TMPDIR by default); `origin` is what it holds, for messages.

    With `name` it has one in that folder, for other programs, and stays; whoever made the folder removes it.

    Raise OutputError when it cannot be made or written, and before it fills the file system up.
    """

    __slots__ = ("__weakref__", "_fd", "_hint", "_unchecked", "_where", "_written")

    def __init__(self, origin: str, folder: Path | None = None, name: str | None = None) -> None:
        super().__init__(0, origin)
        self._where = str(folder or tempfile.gettempdir())
        self._written = self._unchecked = 0
        elsewhere = Path(self._where).is_relative_to(tempfile.gettempdir())
        self._hint = "make space there" + (", or set TMPDIR to a folder with more" if elsewhere else "")
        try:
            if name is None:
                with tempfile.TemporaryFile(dir=folder) as file:
                    self._fd = os.dup(file.fileno())
            else:
                self._fd = os.open(Path(self._where, name), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
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
        self._unchecked += len(data)
        if self._unchecked >= _KEPT_FREE:
            self._check_free()
        try:
            disk.write_at(self._fd, offset, data)
        except OSError as error:
            raise OutputError(
                f"cannot write a temporary copy of {self._origin}: {error.strerror}",
                where=self._where,
                hint=self._hint,
            ) from error

    def _check_free(self) -> None:
        """Raise OutputError when less is free than what may be written before the next check."""
        self._written += self._unchecked
        self._unchecked = 0
        system = os.fstatvfs(self._fd)
        free = system.f_bavail * system.f_frsize
        if free < _KEPT_FREE:
            raise OutputError(
                f"no room for a temporary copy of {self._origin}: {free:,} bytes are left there, "
                f"and it has {self._written:,} and more",
                where=self._where,
                hint=self._hint,
            )

    def truncate(self, size: int) -> None:
        """Set the size in bytes; what was never written reads as zeros."""
        os.truncate(self._fd, size)
        self._size = size
