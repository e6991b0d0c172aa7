"""A file without a name: written at any offset, read as a Content, gone when nobody refers to it any more."""

import os
import tempfile
import weakref
from collections.abc import Iterator
from pathlib import Path

from imagekit.content import Content, allocated_ranges
from imagekit.errors import InputError, OutputError


class Temporary(Content):
    """A temporary file in `folder` (TMPDIR by default); `origin` is what it holds, for messages.

    Raise OutputError when it cannot be made or written.
    """

    __slots__ = ("__weakref__", "_fd", "_origin", "_size", "_where")

    def __init__(self, origin: str, folder: Path | None = None) -> None:
        self._where = str(folder or tempfile.gettempdir())
        try:
            with tempfile.TemporaryFile(dir=folder) as file:
                self._fd = os.dup(file.fileno())
        except OSError as error:
            raise OutputError(f"cannot make a temporary file: {error.strerror}", where=self._where) from error
        weakref.finalize(self, os.close, self._fd)
        self._origin = origin
        self._size = 0

    @property
    def size(self) -> int:
        """The size in bytes, as it was set last."""
        return self._size

    @property
    def origin(self) -> str:
        """What the file holds."""
        return self._origin

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Read from the file."""
        while buffer:
            count = os.preadv(self._fd, [buffer], offset)
            if count == 0:
                raise InputError("its temporary copy is cut short", where=self._origin)
            buffer = buffer[count:]
            offset += count

    def data_ranges(self) -> Iterator[tuple[int, int]]:
        """Yield what was written, as far as the file system below knows holes."""
        try:
            yield from allocated_ranges(self._fd, self._size)
        except OSError as error:
            raise InputError(f"cannot read its temporary copy: {error.strerror}", where=self._origin) from error

    def write_at(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write `data`, all of it, at `offset` bytes; the size is set by `truncate`."""
        view = memoryview(data)
        while view:
            try:
                count = os.pwrite(self._fd, view, offset)
            except OSError as error:
                raise OutputError(
                    f"cannot write a temporary copy of {self._origin}: {error.strerror}",
                    where=self._where,
                    hint="make space there, or set TMPDIR to a folder with more",
                ) from error
            view = view[count:]
            offset += count

    def truncate(self, size: int) -> None:
        """Set the size in bytes; what was never written reads as zeros."""
        os.truncate(self._fd, size)
        self._size = size
