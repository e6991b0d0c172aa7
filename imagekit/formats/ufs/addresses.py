"""The blocks of addresses of a long file: single, double and triple indirect."""

from array import array
from collections.abc import Iterable
from itertools import chain
from sys import byteorder
from typing import TYPE_CHECKING

from imagekit.formats.ufs.layout import DIRECT

if TYPE_CHECKING:
    Addresses = array[int]


def of_runs(runs: Iterable[tuple[int, int]], frag: int) -> "Addresses":
    """Return the address of every block in runs of fragments; what is left of a run is a last, shorter block."""
    return array("i", chain.from_iterable(range(first, first + count, frag) for first, count in runs))


class AddressBlocks:
    """The blocks that hold the addresses past the direct ones.

    A block stands before those that it leads to, so that their order is that of a walk from each root in turn.
    """

    def __init__(self, data: "Addresses", own: "Addresses", nindir: int) -> None:
        """Take all data blocks of a file, and the blocks of its `own` that are to hold their addresses."""
        self._own = own
        self._nindir = nindir
        self._blocks: list[Addresses] = []
        self.roots: list[int] = []
        """ic_ib: the block at which each level begins, 0 for those that are not needed."""
        done = DIRECT
        for level in (1, 2, 3):
            part = data[done : done + nindir**level]
            done += nindir**level
            self.roots.append(self._hang(level, part) if part else 0)
        assert len(self._blocks) == len(own)

    def _hang(self, level: int, data: "Addresses") -> int:
        index = len(self._blocks)
        self._blocks.append(data)
        if level > 1:
            reach = self._nindir ** (level - 1)
            parts = (data[at : at + reach] for at in range(0, len(data), reach))
            self._blocks[index] = array("i", [self._hang(level - 1, part) for part in parts])
        return self._own[index]

    def pack(self, first: int, count: int) -> bytes:
        """Return `count` blocks from number `first` on, as they stand on disk."""
        result = bytearray(count * self._nindir * 4)
        for index in range(count):
            block = self._blocks[first + index]
            if byteorder == "big":
                block = block[:]
                block.byteswap()
            start = index * self._nindir * 4
            result[start : start + len(block) * 4] = block.tobytes()
        return bytes(result)
