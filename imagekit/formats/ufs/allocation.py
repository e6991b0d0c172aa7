"""Which fragments hold what: a policy simple enough to predict, and the space that a file of some size takes.

Whole blocks are handed out from front to back, so a file lies in one run unless the metadata of a group is in its way.
Tails of files, short directories and link targets share blocks: each takes the shortest free run that holds it among
the blocks already begun in this stretch of data, else begins a new block.  What such blocks have left when the next
group's metadata is reached is used only once no whole block is left, as are the fragments behind the summary area and
those of an incomplete last block.
"""

from typing import NamedTuple

from imagekit.formats.ufs.geometry import Geometry, round_up
from imagekit.formats.ufs.layout import DIRECT

Run = tuple[int, int]
"""First fragment and number of fragments."""


class Space(NamedTuple):
    """What a file takes: full blocks of data, fragments after them, and blocks of addresses."""

    blocks: int
    tail: int
    indirect: int


class Full(Exception):  # noqa: N818 - not an error yet: the plan makes it one, with what it knows
    """Nothing that large is free; the text says what there is too little of."""


def indirect_blocks(blocks: int, nindir: int) -> tuple[int, int, int]:
    """Return how many blocks of addresses hang on the single, double and triple indirect address.

    `blocks` counts the data blocks of the file.  Raise ValueError when three levels cannot address them.
    """
    left = blocks - DIRECT
    if left <= 0:
        return 0, 0, 0
    left -= nindir
    if left <= 0:
        return 1, 0, 0
    double = 1 + -(-min(left, nindir**2) // nindir)
    left -= nindir**2
    if left <= 0:
        return 1, double, 0
    if left > nindir**3:
        raise ValueError(blocks)
    return 1, double, 1 + -(-left // nindir**2) + -(-left // nindir)


def space(size: int, bsize: int, fsize: int) -> Space:
    """Return what a file of `size` bytes takes; raise ValueError when it is past what addresses can reach."""
    blocks, rest = divmod(size, bsize)
    if blocks < DIRECT:  # the last block is a direct one: as many fragments as it needs
        tail = -(-rest // fsize)
        return Space(blocks + 1, 0, 0) if tail * fsize == bsize else Space(blocks, tail, 0)
    blocks += rest > 0
    return Space(blocks, 0, sum(indirect_blocks(blocks, bsize // 4)))


class Allocator:
    """The free fragments of a file system that is being planned."""

    def __init__(self, geometry: Geometry) -> None:
        frag = geometry.frag
        self._frag = frag
        self._all = (1 << frag) - 1
        self.free = bytearray(-(-geometry.size // frag))
        """For every block the bits of its free fragments, lowest first."""
        self._regions: list[tuple[int, int]] = []
        self._begun: list[list[int]] = [[] for _ in range(frag)]
        self._leftover: list[list[int]] = [[] for _ in range(frag)]
        for first, end in geometry.data_regions():
            start, stop = first // frag, end // frag
            self.free[start:stop] = bytes((self._all,)) * (stop - start)
            self._regions.append((start, stop))
        data = round_up(geometry.first_data, frag)
        incomplete = max(geometry.size // frag * frag, data)
        for first, end in ((geometry.first_data, min(data, geometry.size)), (incomplete, geometry.size)):
            if first < end:
                self.free[first // frag] = ((1 << (end - first)) - 1) << first % frag
                self._leftover[end - first].append(first)
        self._regions.reverse()
        self._cursor, self._end = self._regions.pop() if self._regions else (0, 0)

    @property
    def position(self) -> int:
        """The fragment from which the next whole block is taken."""
        return self._cursor * self._frag

    def rest(self) -> list[Run]:
        """Return the runs that `blocks` takes next, to the end of the file system."""
        runs = [(self._cursor, self._end), *reversed(self._regions)]
        return [(start * self._frag, (end - start) * self._frag) for start, end in runs if start < end]

    def blocks(self, count: int) -> list[Run]:
        """Take `count` whole blocks, in as few runs as can be; raise Full when so many are not left."""
        runs = []
        while count:
            taken = min(count, self._end - self._cursor)
            if taken:
                start = self._cursor
                self.free[start : start + taken] = bytes(taken)
                self._cursor += taken
                runs.append((start * self._frag, taken * self._frag))
                count -= taken
            if self._cursor == self._end:
                if not self._regions:
                    if count:
                        raise Full("whole blocks are needed, and only parts of blocks are left")
                    break
                self._cursor, self._end = self._regions.pop()
                for leftover, begun in zip(self._leftover, self._begun, strict=True):
                    leftover.extend(begun)
                    begun.clear()
        return runs

    def fragments(self, count: int) -> int:
        """Take `count` adjacent fragments, less than a block; return the first.  Raise Full when there are none."""
        address = self._shortest(self._begun, count)
        if address is None:
            try:
                ((address, _),) = self.blocks(1)
            except Full:
                address = self._shortest(self._leftover, count)
                if address is None:
                    raise
            else:
                self._begun[self._frag - count].append(address + count)
                self.free[address // self._frag] = self._all
        self.free[address // self._frag] &= ~(((1 << count) - 1) << address % self._frag)
        return address

    @staticmethod
    def _shortest(runs: list[list[int]], count: int) -> int | None:
        for length in range(count, len(runs)):
            if runs[length]:
                address = runs[length].pop()
                if length > count:
                    runs[length - count].append(address + count)
                return address
        return None
