"""What a file or an image holds: a known size, and any part of it on demand.

Contents nest.  A FAT file system is a Composite of headers and files; a disk is a Composite of a partition table and
file systems; a file inside an image is a Slice of it.  So a writer says which bytes stand where, and one streaming
pass (to a file, a compressor, a digest) does the rest, with memory that does not grow with the image.
"""

import bisect
import errno
import os
import stat
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator
from operator import itemgetter
from pathlib import Path
from typing import Protocol

from imagekit import disk
from imagekit.errors import FormatError, ImagekitError, InputError
from imagekit.progress import SILENT, Progress

BLOCK_SIZE = 1 << 20
"""Bytes per piece wherever content is streamed."""

_HOLE_SIZE = 1 << 16
"""Bytes of the least stretch without data that is left out of an output; shorter ones are cheaper to write."""

_ZEROS = memoryview(bytes(BLOCK_SIZE))


class Content(ABC):
    """A row of bytes of known size that can be read at any offset."""

    __slots__ = ()

    @property
    @abstractmethod
    def size(self) -> int:
        """The size in bytes."""

    @property
    @abstractmethod
    def origin(self) -> str:
        """Where the bytes come from, for messages: a path, or image!/path."""

    @abstractmethod
    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes from `offset` on; both lie within the size.

        Raise InputError (a file that changed or can't be read) or FormatError (an image that ends too early).
        """

    def data_ranges(self) -> Iterator[tuple[int, int]]:
        """Yield (offset, length) in bytes of all that may differ from zero, in order, without overlap."""
        if self.size:
            yield 0, self.size

    def read(self, offset: int = 0, length: int | None = None) -> bytes:
        """Return `length` bytes (all that is left by default) from `offset`."""
        buffer = bytearray(self.size - offset if length is None else length)
        self.read_into(offset, memoryview(buffer))
        return bytes(buffer)

    def blocks(self, block_size: int = BLOCK_SIZE) -> Iterator[memoryview]:
        """Yield the content from front to back; each block is valid until the next is asked for."""
        buffer = memoryview(bytearray(min(block_size, self.size)))
        for offset in range(0, self.size, block_size):
            block = buffer[: min(block_size, self.size - offset)]
            self.read_into(offset, block)
            yield block


class KnownContent(Content):
    """A content whose size and origin stand in fields, which whoever derives from it sets."""

    __slots__ = ("_origin", "_size")

    def __init__(self, size: int, origin: str) -> None:
        self._size = size
        self._origin = origin

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self._size

    @property
    def origin(self) -> str:
        """What it is, for messages."""
        return self._origin


class Bytes(Content):
    """Content that is in memory."""

    __slots__ = ("_data", "_origin")

    def __init__(self, data: bytes, origin: str = "generated") -> None:
        self._data = data
        self._origin = origin

    @property
    def size(self) -> int:
        """The size in bytes."""
        return len(self._data)

    @property
    def origin(self) -> str:
        """Who made the bytes."""
        return self._origin

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Copy from memory."""
        buffer[:] = memoryview(self._data)[offset : offset + len(buffer)]


class Deferred(KnownContent):
    """Bytes of a known size that are made when somebody reads them first; other threads wait for them then."""

    __slots__ = ("_data", "_lock", "_make")

    def __init__(self, size: int, make: Callable[[], bytes], origin: str = "generated") -> None:
        super().__init__(size, origin)
        self._make = make
        self._lock = threading.Lock()
        self._data: bytes | None = None

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Copy from memory, once the bytes are made; what goes wrong then is raised to every reader."""
        with self._lock:
            if self._data is None:
                data = self._make()
                if len(data) != self._size:
                    raise ImagekitError(f"made {len(data):,} bytes, expected {self._size:,}", where=self._origin)
                self._data = data
        buffer[:] = memoryview(self._data)[offset : offset + len(buffer)]


class DiskFile(Content):
    """A regular file on disk; nobody may write to it while imagekit uses it, nor change its mode or owner.

    That is told by its size and times.  The time of change shows a file that was written to and whose modification
    time was set back then, where the file system keeps one.  A new name of the file changes that too, and is no harm.
    """

    __slots__ = ("_changed", "_links", "_modified", "_name", "_size")

    def __init__(self, path: Path | str, status: os.stat_result | None = None) -> None:
        self._name = os.fspath(path)  # not a Path: making one takes longer than all else here
        try:
            status = status or os.stat(path)  # noqa: PTH116 - likewise
        except OSError as error:
            raise InputError(f"cannot read: {error.strerror}", where=str(path)) from error
        if not stat.S_ISREG(status.st_mode):
            found = "a folder" if stat.S_ISDIR(status.st_mode) else "something else"
            raise InputError(f"found {found}, expected a regular file", where=str(path))
        self._size = status.st_size
        self._modified = status.st_mtime_ns
        self._changed = status.st_ctime_ns
        self._links = status.st_nlink

    @property
    def path(self) -> Path:
        """Where the file is."""
        return Path(self._name)

    @property
    def size(self) -> int:
        """The size in bytes when the file was found."""
        return self._size

    @property
    def origin(self) -> str:
        """The path."""
        return str(self.path)

    def _open(self) -> int:
        fd = -1
        try:
            fd = os.open(self._name, os.O_RDONLY | os.O_CLOEXEC)
            now = os.fstat(fd)
            self._check(now)
        except OSError as error:
            if fd >= 0:
                os.close(fd)
            raise InputError(f"cannot read: {error.strerror}", where=self.origin) from error
        except InputError:
            os.close(fd)
            raise
        return fd

    def _check(self, now: os.stat_result) -> None:
        was_changed = now.st_ctime_ns != self._changed and now.st_nlink == self._links
        if now.st_size != self._size or now.st_mtime_ns != self._modified or was_changed:
            raise self._error(now.st_size)

    def _error(self, size: int) -> InputError:
        found = f"{size:,} bytes now, {self._size:,} before" if size != self._size else "its times differ"
        return InputError(
            f"the file changed while it was being read: {found}",
            where=self.origin,
            hint="run imagekit again when nothing writes there any more",
        )

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Read from disk; raise InputError when the file is not the one that was found at first."""
        fd = self._open()
        try:
            count = disk.read_at(fd, offset, buffer)
            if count < len(buffer):
                raise self._error(offset + count)
        except OSError as error:
            raise InputError(f"cannot read: {error.strerror}", where=self.origin) from error
        finally:
            os.close(fd)

    def data_ranges(self) -> Iterator[tuple[int, int]]:
        """Yield what the file system below holds data for; holes are left out."""
        if self._size <= BLOCK_SIZE:
            yield from super().data_ranges()
            return
        fd = self._open()
        try:
            yield from allocated_ranges(fd, self._size)
            # In a file that was cut meanwhile, the rest would pass for a hole.
            self._check(os.fstat(fd))
        except OSError as error:
            raise InputError(f"cannot read: {error.strerror}", where=self.origin) from error
        finally:
            os.close(fd)


def allocated_ranges(fd: int, size: int) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) of what the first `size` bytes of an open file have data for; the rest is holes.

    Where the file system knows no holes, that is everything.  Other failures are OSError.
    """
    end = 0
    while end < size:
        try:
            start = os.lseek(fd, end, os.SEEK_DATA)
            if start >= size:
                return
            end = min(os.lseek(fd, start, os.SEEK_HOLE), size)
        except OSError as error:
            if error.errno == errno.ENXIO:  # only a hole is left
                return
            if error.errno not in {errno.EINVAL, errno.ENOTSUP}:
                raise
            start, end = end, size
        yield start, end - start


class Slice(Content):
    """A part of another content."""

    __slots__ = ("_offset", "_origin", "_size", "_whole")

    def __init__(self, whole: Content, offset: int, size: int, origin: str | None = None) -> None:
        self._whole = whole
        self._origin = origin
        if offset < 0 or size < 0 or offset + size > whole.size:
            raise FormatError(
                f"{size:,} bytes at {offset:,} are wanted, but {whole.origin} has {whole.size:,} bytes",
                where=self.origin,
                hint="the image is damaged or cut short",
            )
        self._offset = offset
        self._size = size

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self._size

    @property
    def origin(self) -> str:
        """What the slice stands for, such as image!/path."""
        return self._origin or self._whole.origin

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Read from the whole."""
        self._whole.read_into(self._offset + offset, buffer)

    def data_ranges(self) -> Iterator[tuple[int, int]]:
        """Yield what the whole has in this part; a small part is not worth the search."""
        if self._size <= BLOCK_SIZE:
            yield from super().data_ranges()
            return
        end = self._offset + self._size
        for start, length in self._whole.data_ranges():
            first, last = max(start, self._offset), min(start + length, end)
            if first < last:
                yield first - self._offset, last - first


class Composite(KnownContent):
    """Pieces of content at given offsets; what no piece covers reads as zeros."""

    __slots__ = ("_offsets", "_pieces")

    def __init__(self, size: int, pieces: Iterable[tuple[int, Content]], origin: str = "generated") -> None:
        """`pieces` are (offset in bytes, content), in any order; they may not overlap nor pass `size`."""
        ordered = sorted((pair for pair in pieces if pair[1].size), key=itemgetter(0))
        end = 0
        for offset, piece in ordered:
            if offset < end:
                raise ImagekitError(f"{piece.origin} would be written over its neighbour", where=f"{origin}@{offset}")
            end = offset + piece.size
        if end > size:
            raise ImagekitError(f"pieces end at {end:,}, past the size of {size:,} bytes", where=origin)
        super().__init__(size, origin)
        self._offsets = [offset for offset, _ in ordered]
        self._pieces = [piece for _, piece in ordered]

    def pieces(self) -> Iterator[tuple[int, Content]]:
        """Yield (offset in bytes, content) in order of offset."""
        return zip(self._offsets, self._pieces, strict=True)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Read from the pieces that lie there; zero the rest."""
        position, end = offset, offset + len(buffer)
        index = max(bisect.bisect_right(self._offsets, offset) - 1, 0)
        while index < len(self._pieces) and self._offsets[index] < end:
            start, piece = self._offsets[index], self._pieces[index]
            index += 1
            first, last = max(start, position), min(start + piece.size, end)
            if first >= last:
                continue
            _clear(buffer[position - offset : first - offset])
            piece.read_into(first - start, buffer[first - offset : last - offset])
            position = last
        _clear(buffer[position - offset :])

    def data_ranges(self) -> Iterator[tuple[int, int]]:
        """Yield what the pieces hold, neighbours joined."""
        start = end = 0
        for offset, piece in self.pieces():
            for inner, length in piece.data_ranges():
                if offset + inner > end:
                    if end > start:
                        yield start, end - start
                    start = offset + inner
                end = offset + inner + length
        if end > start:
            yield start, end - start


def _clear(buffer: memoryview) -> None:
    while buffer:
        count = min(len(buffer), len(_ZEROS))
        buffer[:count] = _ZEROS[:count]
        buffer = buffer[count:]


def is_zero(block: memoryview | bytes) -> bool:
    """Tell whether a block is all zeros."""
    if len(block) <= BLOCK_SIZE:
        return block == _ZEROS[: len(block)]
    return all(is_zero(block[at : at + BLOCK_SIZE]) for at in range(0, len(block), BLOCK_SIZE))


def data_blocks(content: Content, block_size: int = BLOCK_SIZE) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) of the blocks, cut at multiples of `block_size`, that hold data; the last may be short."""
    done = 0
    for start, length in content.data_ranges():
        first = max(start // block_size * block_size, done)
        done = max(-(-(start + length) // block_size) * block_size, done)
        for offset in range(first, done, block_size):
            yield offset, min(block_size, content.size - offset)


def data_runs(content: Content) -> Iterator[tuple[int, int]]:
    """Yield (offset, length) of what holds data, at most BLOCK_SIZE at once, without holes of 64 KiB and more."""
    start = length = 0
    for offset, count in data_blocks(content, _HOLE_SIZE):
        if offset == start + length and length + count <= BLOCK_SIZE:
            length += count
            continue
        if length:
            yield start, length
        start, length = offset, count
    if length:
        yield start, length


class Sparse(Protocol):
    """Where what is made out of order goes: an OutputFile, a temporary file, or a part of an image."""

    def write_at(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write `data`, all of it, at `offset` bytes."""

    def truncate(self, size: int) -> None:
        """Set the size in bytes; what was never written reads as zeros."""


def write_sparse(content: Content, output: Sparse, progress: Progress = SILENT) -> None:
    """Write a content to an output of its own; zeros become holes."""
    output.truncate(content.size)
    buffer = memoryview(bytearray(BLOCK_SIZE))
    done = 0
    for offset, length in data_runs(content):
        block = buffer[:length]
        content.read_into(offset, block)
        if not is_zero(block):
            output.write_at(offset, block)
        progress.advance(offset + length - done)
        done = offset + length
    progress.advance(content.size - done)
