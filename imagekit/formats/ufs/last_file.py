"""The last file of an image that is being made: written where it will lie, before its size and all else is known.

Where it begins does not depend on its size, so a plan in which it is empty knows that already: `Plan.last`.
"""

import bisect
import sys
from collections.abc import Iterator
from itertools import accumulate
from pathlib import Path

from imagekit import disk
from imagekit.content import Content, KnownContent, write_sparse
from imagekit.errors import InputError
from imagekit.files.output import OutputFile
from imagekit.files.temporary import Temporary
from imagekit.formats.ufs.plan import Plan


class LastFile(KnownContent):
    """A file in pieces: its bytes fill the ranges of an open output, one after the other, that a plan has for its last.

    What does not fit there lies behind the image.  `origin` is what the file holds, for messages.
    """

    __slots__ = ("_image_size", "_output", "_ranges", "_starts")

    def __init__(self, plan: Plan, output: OutputFile, origin: str) -> None:
        """Take the place of the last file of `plan`, which is empty there, in the output of its image."""
        super().__init__(0, origin)
        self._output = output
        self._image_size = plan.size
        self._ranges = [*plan.last, (plan.size, sys.maxsize)]
        self._starts = [0, *accumulate(length for _, length in plan.last)]

    def lies_in(self, plan: Plan) -> bool:
        """Tell whether the file lies where a plan, in which it is the last and not empty, has it."""
        ranges = plan.last
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

    def moved(self, folder: Path) -> Content:
        """Take the file out of the output, which is empty then, into a temporary in `folder`."""
        copy = Temporary(self.origin, folder)
        write_sparse(self, copy)
        self._output.truncate(0)
        return copy

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
