"""Whether a tree fits: what it takes, the smallest image that holds it, and what in it is largest."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from heapq import nlargest

from imagekit.errors import PlanError
from imagekit.formats.ufs.allocation import Full, space
from imagekit.formats.ufs.geometry import SIZE_LIMIT, Geometry, NoRoomError
from imagekit.formats.ufs.placement import place, too_large
from imagekit.formats.ufs.survey import Inventory
from imagekit.tree import Directory, Tree

_KIB = 1024
_SHOWN = 10

_ROOMY = 1 << 30
"""Bytes that are enough for the tables of every file system that can be."""

_FINE_STEP, _COARSE_STEP, _COARSE_FROM = 64, 1000, 10_000
"""KiB: the sizes to choose from are multiples of the fine step, and from there on of the coarse one."""


@dataclass(frozen=True, slots=True)
class Demand:
    """What a tree takes of a file system, whatever the size of that."""

    fragments: int
    inodes: int

    @classmethod
    def of(cls, inventory: Inventory, block_size: int, fragment_size: int) -> "Demand":
        """Add up what the inodes take; raise PlanError for a file that UFS cannot hold."""
        fragments = inodes = 0
        frag = block_size // fragment_size
        for item in inventory.items:
            try:
                blocks, tail, indirect = space(item.size, block_size, fragment_size)
            except ValueError:
                raise too_large(inventory.shown(item.entry.path), item.size) from None
            fragments += (blocks + indirect) * frag + tail
            inodes += 1
        return cls(fragments, inodes)

    def shortage(self, geometry: Geometry) -> str:
        """Say what there is too little of, "" when the sums allow it; how blocks can be shared may still forbid it."""
        short = []
        if self.inodes > geometry.inodes - 2:
            short.append(f"{self.inodes:,} inodes are needed, {geometry.inodes - 2:,} are there")
        if self.fragments > geometry.dsize:
            room, taken = geometry.dsize * geometry.fsize // _KIB, -(-self.fragments * geometry.fsize // _KIB)
            short.append(f"{taken:,} KiB of data are needed, {room:,} KiB are there")
        return "; ".join(short)


@dataclass(frozen=True, slots=True)
class Largest:
    """What takes the most room: (path, bytes in the image), largest first; directories with all below them."""

    files: tuple[tuple[str, int], ...]
    directories: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, inventory: Inventory, block_size: int, fragment_size: int, count: int = _SHOWN) -> "Largest":
        """Find the `count` largest files and directories."""
        files: list[tuple[str, int]] = []
        below: dict[str, int] = {}
        for item in inventory.items:
            blocks, tail, indirect = space(item.size, block_size, fragment_size)
            taken = (blocks + indirect) * block_size + tail * fragment_size
            path = item.entry.path
            if isinstance(item.entry, Directory):
                below[path] = below.get(path, 0) + taken
            else:
                files.append((path, taken))
            while path:
                path = path.rpartition("/")[0]
                below[path] = below.get(path, 0) + taken
        below.pop("")
        found = (nlargest(count, rows, key=lambda row: (row[1], row[0])) for rows in (files, below.items()))
        return cls(*(tuple((inventory.shown(path)[1:], size) for path, size in rows) for rows in found))

    def __str__(self) -> str:
        lines = []
        for title, rows in (("largest files:", self.files), ("largest directories:", self.directories)):
            lines += [title, *(f"  {-(-size // _KIB):>9,} KiB  /{path}" for path, size in rows)]
        return "\n".join(lines)


class ImageTooSmallError(PlanError):
    """The tree does not fit: `needed` is the size in KiB that would do, `largest` says what to look at."""

    def __init__(self, size: int, short: str, needed: int, largest: Largest) -> None:
        """Say of an image of `size` bytes what it is `short` of."""
        super().__init__(
            f"the tree does not fit into a UFS of {size // _KIB:,} KiB: {short}\n{largest}",
            hint=f"{needed:,} KiB would do",
        )
        self.needed = needed
        self.largest = largest


def needed_size(
    tree: Tree,
    *,
    block_size: int = 4096,
    fragment_size: int = 1024,
    bytes_per_inode: int | None = None,
    free_bytes: int = 0,
    free_inodes: int = 0,
) -> int:
    """Return the least size in KiB that holds the tree and leaves this much free.

    It is a multiple of 64 KiB, from 10,000 KiB on of 1,000 KiB.  Raise PlanError when no UFS can hold the tree.
    """
    shape = partial(Geometry.of, block_size=block_size, fragment_size=fragment_size, bytes_per_inode=bytes_per_inode)
    inventory = Inventory.of(tree, block_size=block_size, time=0)
    least = Demand.of(inventory, block_size, fragment_size)
    return size_for(
        inventory, Demand(least.fragments + -(-free_bytes // fragment_size), least.inodes + free_inodes), shape
    )


def size_for(inventory: Inventory, demand: Demand, shape: Callable[[int], Geometry], *, above: int = 0) -> int:
    """Return the least size in KiB that is above `above` bytes, meets the demand, and takes the inventory.

    `shape` returns the geometry for a size in bytes.  Raise PlanError when no size will do.
    """
    fragment = shape(_ROOMY).fsize  # raises what no size would mend
    # A larger image can hold less (its groups are cut otherwise), so sizes are tried one by one.
    for kib in _sizes(max(above, demand.fragments * fragment)):
        try:
            geometry = shape(kib * _KIB)
            if not demand.shortage(geometry):
                place(inventory, geometry)
                return kib
        except (NoRoomError, Full):
            pass
    raise PlanError(f"no UFS holds this tree: it would need more than {SIZE_LIMIT:,} bytes")


def _sizes(above: int) -> Iterator[int]:
    """Yield the sizes in KiB to choose from that are above so many bytes, in order."""
    kib = above // _KIB
    while kib * _KIB < SIZE_LIMIT:
        fine = kib + _FINE_STEP - kib % _FINE_STEP
        kib = fine if fine < _COARSE_FROM else kib + _COARSE_STEP - kib % _COARSE_STEP
        yield kib
