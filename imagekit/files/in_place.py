"""A file inside an image that is being written: it is made where it will lie, before all else of the image."""

import bisect
import sys
from collections.abc import Iterator, Sequence
from itertools import accumulate

from imagekit import disk
from imagekit.content import KnownContent
from imagekit.errors import InputError
from imagekit.files.output import OutputFile


class InPlace(KnownContent):
    """A file in pieces: its bytes fill `ranges`, each (offset, length) in bytes of an open output, one after the other.

    What does not fit there lies behind the image, which has `image_size` bytes.  `origin` is what the file holds, for
    messages.
    """

    __slots__ = ("_image_size", "_output", "_ranges", "_starts")

    def __init__(self, output: OutputFile, ranges: Sequence[tuple[int, int]], image_size: int, origin: str) -> None:
        super().__init__(0, origin)
        self._output = output
        self._image_size = image_size
        self._ranges = [*ranges, (image_size, sys.maxsize)]
        self._starts = [0, *accumulate(length for _, length in ranges)]

    def lies_at(self, ranges: Sequence[tuple[int, int]]) -> bool:
        """Tell whether these ranges of the output (one at least), filled one after the other, are where the file is."""
        places = self._ranges[: len(ranges)]
        if len(places) < len(ranges) or places[:-1] != list(ranges[:-1]):
            return False
        (place, room), (offset, length) = places[-1], ranges[-1]
        return place == offset and length <= room

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Read from the output; raise InputError when that fails."""
        for place, piece in self._pieces(offset, buffer):
            try:
                count = disk.read_at(self._output.fileno(), place, piece)
            except OSError as error:
                where = self._output.path
                raise InputError(f"cannot read from {where}: {error.strerror}", where=self._origin) from error
            if count < len(piece):
                raise InputError(f"{self._output.path} is cut short", where=self._origin)

    def write_at(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write `data`, all of it, at `offset` bytes of the file; the size is set by `truncate`."""
        for place, piece in self._pieces(offset, memoryview(data)):
            self._output.write_at(place, piece)

    def truncate(self, size: int) -> None:
        """Set the size in bytes; what was never written reads as zeros."""
        self._output.truncate(self._image_size + max(size - self._starts[-1], 0))
        self._size = size

    def _pieces(self, offset: int, data: memoryview) -> Iterator[tuple[int, memoryview]]:
        """Cut what is read or written at `offset` where the ranges end; yield each piece with its place."""
        index = bisect.bisect_right(self._starts, offset) - 1
        while data:
            inside = offset - self._starts[index]
            place, length = self._ranges[index]
            piece = data[: length - inside]
            yield place + inside, piece
            data = data[len(piece) :]
            offset += len(piece)
            index += 1
