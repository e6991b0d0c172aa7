"""Whether a tree fits: what it takes, the smallest image that holds it, and what in it is largest."""

from collections.abc import Iterable
from dataclasses import dataclass
from heapq import nlargest

from imagekit.errors import PlanError
from imagekit.formats.ufs.allocation import Full, space
from imagekit.formats.ufs.geometry import SIZE_LIMIT, Geometry
from imagekit.formats.ufs.inventory import Inventory, Item
from imagekit.formats.ufs.placement import place, too_large
from imagekit.tree import Directory, Tree

_KIB = 1024
_SHOWN = 10


@dataclass(frozen=True, slots=True)
class Demand:
    """What a tree takes of a file system, whatever the size of that."""

    fragments: int
    inodes: int

    @classmethod
    def of(cls, items: Iterable[Item], block_size: int, fragment_size: int) -> "Demand":
        """Add up what the inodes take; raise PlanError for a file that UFS cannot hold."""
        fragments = inodes = 0
        frag = block_size // fragment_size
        for item in items:
            try:
                blocks, tail, indirect = space(item.size, block_size, fragment_size)
            except ValueError:
                raise too_large(item.entry, item.size) from None
            fragments += (blocks + indirect) * frag + tail
            inodes += 1
        return cls(fragments, inodes)

    def fits(self, geometry: Geometry) -> bool:
        """Tell whether the sums allow it; how blocks can be shared may still forbid it."""
        return self.fragments <= geometry.dsize and self.inodes <= geometry.inodes - 2


@dataclass(frozen=True, slots=True)
class Largest:
    """What takes the most room: (path, bytes in the image), largest first; directories with all below them."""

    files: tuple[tuple[str, int], ...]
    directories: tuple[tuple[str, int], ...]

    @classmethod
    def of(cls, items: Iterable[Item], block_size: int, fragment_size: int, count: int = _SHOWN) -> "Largest":
        """Find the `count` largest files and directories."""
        files: list[tuple[str, int]] = []
        below: dict[str, int] = {}
        for item in items:
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
        return cls(*(tuple(nlargest(count, rows, key=lambda row: (row[1], row[0]))) for rows in (files, below.items())))

    def __str__(self) -> str:
        lines = []
        for title, rows in (("largest files:", self.files), ("largest directories:", self.directories)):
            lines += [title, *(f"  {-(-size // _KIB):>9,} KiB  /{path}" for path, size in rows)]
        return "\n".join(lines)


class ImageTooSmallError(PlanError):
    """The tree does not fit: `needed` is the size in KiB that would do, `largest` says what to look at."""

    def __init__(self, demand: Demand, geometry: Geometry, needed: int, largest: Largest) -> None:
        size = geometry.image_size // _KIB
        short = []
        if demand.inodes > geometry.inodes - 2:
            short.append(f"{demand.inodes:,} inodes are needed, {geometry.inodes - 2:,} are there")
        if demand.fragments > geometry.dsize or not short:
            room, taken = geometry.dsize * geometry.fsize // _KIB, -(-demand.fragments * geometry.fsize // _KIB)
            short.append(f"{taken:,} KiB of data are needed, {room:,} KiB are there")
        super().__init__(
            f"the tree does not fit into a UFS of {size:,} KiB: {'; '.join(short)}\n{largest}",
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
    inventory = Inventory.of(tree, block_size=block_size, time=0)
    return size_for(
        inventory,
        block_size=block_size,
        fragment_size=fragment_size,
        bytes_per_inode=bytes_per_inode,
        free_bytes=free_bytes,
        free_inodes=free_inodes,
    )


def size_for(
    inventory: Inventory,
    *,
    block_size: int,
    fragment_size: int,
    bytes_per_inode: int | None,
    free_bytes: int = 0,
    free_inodes: int = 0,
    above: int = 0,
) -> int:
    """Do the work of needed_size for a tree of which stock was taken; the size is above `above` bytes."""
    least = Demand.of(inventory.items, block_size, fragment_size)
    demand = Demand(least.fragments + -(-free_bytes // fragment_size), least.inodes + free_inodes)

    def geometry(kib: int) -> Geometry:
        return Geometry.of(
            kib * _KIB, block_size=block_size, fragment_size=fragment_size, bytes_per_inode=bytes_per_inode
        )

    def enough(kib: int) -> bool:
        try:
            return kib * _KIB > above and demand.fits(geometry(kib))
        except PlanError:  # too small for any file system
            return False

    geometry(1 << 20)  # raises what no size would mend
    step = 64
    low = demand.fragments * fragment_size // _KIB
    high = max(low, step)
    while not enough(high):
        low, high = high, high + max(high // 8, step)
        if high * _KIB > SIZE_LIMIT:
            raise PlanError(f"no UFS holds this tree: it would need more than {SIZE_LIMIT:,} bytes")
    if high >= 10_000:
        step = 1000
    low, high = low // step, -(-high // step)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if enough(middle * step) else (middle, high)
    while True:
        if enough(high * step):
            try:
                place(inventory, geometry(high * step))
            except Full:
                pass
            else:
                return high * step
        high += 1
