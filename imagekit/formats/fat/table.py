"""The file allocation table of a planned file system, whose chains of clusters lie one behind the other."""

import sys
from array import array
from bisect import bisect_left
from collections.abc import Sequence

from imagekit.content import Bytes, Content, KnownContent
from imagekit.formats.fat.layout import END_OF_CHAIN, MEDIA, FatType

_ORIGIN = "the file allocation table"
_ENTRY_SIZE = 4  # bytes, on FAT32


def allocation_table(kind: FatType, ends: Sequence[int]) -> Content:
    """Return the part of a table that is in use.

    `ends` are the last clusters of the chains, in ascending order; every other cluster leads to the one behind it.
    """
    if kind == 32:
        return _Table32(ends)
    entries = _entries(ends, 0, ends[-1] + 1 if ends else 2)
    if kind == 16:
        shorts = array("H", (entry & 0xFFFF for entry in entries))
        if sys.byteorder == "big":
            shorts.byteswap()
        return Bytes(shorts.tobytes(), _ORIGIN)
    if len(entries) % 2:
        entries.append(0)
    pairs = zip(entries[::2], entries[1::2], strict=True)
    return Bytes(b"".join((low & 0xFFF | (high & 0xFFF) << 12).to_bytes(3, "little") for low, high in pairs), _ORIGIN)


def _entries(ends: Sequence[int], start: int, stop: int) -> "array[int]":
    """Return the entries of the clusters from `start` to before `stop`, in 28 bits."""
    entries = array("I", range(start + 1, stop + 1))
    for index in range(bisect_left(ends, start), bisect_left(ends, stop)):
        entries[ends[index] - start] = END_OF_CHAIN
    # The first two belong to no cluster: the media byte, and the bits for a clean volume (all set).
    for cluster, value in ((0, 0x0FFFFF00 | MEDIA), (1, END_OF_CHAIN)):
        if start <= cluster < stop:
            entries[cluster - start] = value
    return entries


class _Table32(KnownContent):
    """The table of a FAT32, which may be long: made as it is read."""

    __slots__ = ("_ends",)

    def __init__(self, ends: Sequence[int]) -> None:
        super().__init__((ends[-1] + 1) * _ENTRY_SIZE, _ORIGIN)  # the root has at least one cluster
        self._ends = ends

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Compute the entries that lie there."""
        start, stop = offset // _ENTRY_SIZE, -(-(offset + len(buffer)) // _ENTRY_SIZE)
        entries = _entries(self._ends, start, stop)
        if sys.byteorder == "big":
            entries.byteswap()
        skip = offset - start * _ENTRY_SIZE
        buffer[:] = memoryview(entries).cast("B")[skip : skip + len(buffer)]
