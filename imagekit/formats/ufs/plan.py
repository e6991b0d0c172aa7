"""The plan of a UFS image: every number decided, nothing read or written yet."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal

from imagekit.content import Composite
from imagekit.errors import PlanError
from imagekit.formats.ufs.allocation import Full
from imagekit.formats.ufs.audit import audit
from imagekit.formats.ufs.fit import Demand, ImageTooSmallError, Largest, size_for
from imagekit.formats.ufs.geometry import Geometry, NoRoomError, check_request
from imagekit.formats.ufs.placement import Placement, place
from imagekit.formats.ufs.survey import Inventory
from imagekit.formats.ufs.writer import render
from imagekit.tree import Tree

_TIME_LIMIT = 1 << 31


@dataclass(frozen=True, slots=True)
class Usage:
    """How full a file system is."""

    data: int  # bytes that can hold data
    used: int  # bytes that do
    free_blocks: int
    free_fragments: int  # outside free blocks
    inodes: int  # all but the two reserved ones
    used_inodes: int

    @property
    def free(self) -> int:
        """Bytes that are free."""
        return self.data - self.used

    @property
    def free_inodes(self) -> int:
        """Inodes that are free."""
        return self.inodes - self.used_inodes

    def __str__(self) -> str:
        return (
            f"{self.used // 1024:,} of {self.data // 1024:,} KiB used ({_percent(self.used, self.data)}), "
            f"{self.used_inodes:,} of {self.inodes:,} inodes ({_percent(self.used_inodes, self.inodes)})"
        )


def _percent(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Plan:
    """A UFS image that can be written: `content()` is its bytes."""

    placement: Placement
    time: int  # seconds since 1970, of the file system and its groups
    optimise: Literal["space", "time"]
    minfree: int  # percent
    usage: Usage

    @property
    def geometry(self) -> Geometry:
        """Where the file system's own tables are."""
        return self.placement.geometry

    @property
    def size(self) -> int:
        """The size of the image in bytes."""
        return self.geometry.image_size

    @property
    def last(self) -> list[tuple[int, int]]:
        """Where the data of what was placed last is, in order: (offset, length) in bytes of whole fragments.

        As long as that is empty, this is where a block or more of it will be: the free blocks behind all other data.
        """
        runs = self.placement.nodes[-1].data or self.placement.rest
        return [(first * self.geometry.fsize, count * self.geometry.fsize) for first, count in runs]

    def content(self, origin: str = "UFS image") -> Composite:
        """Return the image: metadata made here, and the contents of the tree's files in their places."""
        return render(self.placement, time=self.time, optimise=self.optimise, minfree=self.minfree, origin=origin)

    def data(self, *, entries: bool = False) -> dict[str, Any]:
        """Return the plan as data for JSON; with `entries`, every inode and its runs of fragments too."""
        result: dict[str, Any] = {
            "format": "ufs",
            "time": self.time,
            "optimise": self.optimise,
            "minfree": self.minfree,
            "geometry": asdict(self.geometry),
            "usage": asdict(self.usage) | {"free": self.usage.free, "free_inodes": self.usage.free_inodes},
        }
        if entries:
            result["entries"] = [
                {
                    "path": f"/{node.entry.path}",
                    "inode": node.number,
                    "links": node.links,
                    "size": node.size,
                    "data": node.data,
                    "indirect": node.indirect,
                }
                for node in self.placement.nodes
            ]
        return result

    def lines(self) -> Iterator[str]:
        """Yield the plan as text: all of it is one line."""
        yield str(self)

    def __str__(self) -> str:
        g = self.geometry
        return (
            f"UFS of {g.image_size // 1024:,} KiB, blocks of {g.bsize}/{g.fsize} bytes, {g.ncg} groups, "
            f"{g.nbpi:,} bytes per inode: {self.usage}"
        )


def plan(
    tree: Tree,
    size: int,
    *,
    time: int,
    block_size: int = 4096,
    fragment_size: int = 1024,
    bytes_per_inode: int | None = None,
    optimise: Literal["space", "time"] = "space",
    minfree: int = 0,
    last: str = "",
    mount: str = "",
) -> Plan:
    """Plan a UFS image of `size` bytes (that of the lofi file) with what is in the tree.

    `time` is seconds since 1970; `bytes_per_inode` is what newfs takes by itself when it is None.  A lost+found is
    added unless the tree has one.  What is at the path `last` is placed behind all else.  Messages name paths as they
    will be once the file system is mounted at the path `mount`.  Raise PlanError for what UFS cannot hold,
    ImageTooSmallError when it does not fit.
    """
    if not 0 <= time < _TIME_LIMIT:
        raise PlanError(
            f"the time {time} is outside 1970..2038, which is what UFS can hold",
            hint="look at the build stamp and SOURCE_DATE_EPOCH",
        )
    if not 0 <= minfree <= 99:
        raise PlanError(f"{minfree} percent cannot be kept free", hint="0..99 can")
    check_request(size, block_size, fragment_size, bytes_per_inode)
    inventory = Inventory.of(tree, block_size=block_size, time=time, last=last, mount=mount)
    demand = Demand.of(inventory, block_size, fragment_size)
    shape = partial(Geometry.of, block_size=block_size, fragment_size=fragment_size, bytes_per_inode=bytes_per_inode)
    try:
        geometry = shape(size)
        if short := demand.shortage(geometry):
            raise Full(short)  # noqa: TRY301 - one way out for all ways of not fitting
        placement = place(inventory, geometry)
    except (Full, NoRoomError) as error:
        needed = size_for(inventory, demand, shape, above=size)
        largest = Largest.of(inventory, block_size, fragment_size)
        raise ImageTooSmallError(size, str(error), needed, largest) from None
    audit(geometry, placement.nodes, placement.free)
    free_blocks = placement.free.count((1 << geometry.frag) - 1)
    free_fragments = geometry.dsize - demand.fragments
    return Plan(
        placement=placement,
        time=time,
        optimise=optimise,
        minfree=minfree,
        usage=Usage(
            data=geometry.dsize * geometry.fsize,
            used=demand.fragments * geometry.fsize,
            free_blocks=free_blocks,
            free_fragments=free_fragments - free_blocks * geometry.frag,
            inodes=geometry.inodes - 2,
            used_inodes=demand.inodes,
        ),
    )
