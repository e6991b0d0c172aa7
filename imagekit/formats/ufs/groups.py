"""Cylinder group blocks: the maps of one group's inodes and fragments, and the sums that must agree with them."""

from collections.abc import Iterator
from itertools import groupby, pairwise
from struct import pack
from typing import NamedTuple

from imagekit.formats.ufs.geometry import Geometry
from imagekit.formats.ufs.layout import GROUP, GROUP_TABLES, NRPOS, SECTOR


class Counts(NamedTuple):
    """struct csum: what a group, or the file system, holds."""

    directories: int
    free_blocks: int
    free_inodes: int
    free_fragments: int  # outside free blocks

    def pack(self) -> bytes:
        """Return the record for the summary area."""
        return pack("<4i", *self)

    def fields(self) -> dict[str, int]:
        """Return the fields of struct csum."""
        return dict(zip(("cs_ndir", "cs_nbfree", "cs_nifree", "cs_nffree"), self, strict=True))


class GroupWriter:
    """Makes the group blocks of one file system."""

    def __init__(self, geometry: Geometry, free: bytes, time: int) -> None:
        """`free` has for every block of the file system the bits of its free fragments; `time` is for cg_time."""
        g = self._geometry = geometry
        self._free = free
        self._time = time
        self._all = (1 << g.frag) - 1
        self._runs = {mask: list(_free_runs(mask)) for mask in range(1, self._all)}
        nspb = g.bsize // SECTOR
        starts = (
            cylinder * g.nsect - -position * g.nsect // NRPOS  # rounded up
            for cylinder in range(g.cpg)
            for position in range(NRPOS)
        )
        self._positions = [-(-start // nspb) for start in starts]
        """First block, within a group, of each rotational position of each cylinder."""
        self._positions.append(-(-g.cpg * g.nsect // nspb))

    def block(self, group: int, inodes: bytes, directories: int) -> tuple[bytes, Counts]:
        """Return a group's block and counts; `inodes` has a 1 for every inode in use, else 0."""
        g = self._geometry
        first = group * g.fpg // g.frag
        masks = self._free[first : first + -(-g.group_size(group) // g.frag)]
        runs = [0] * 8
        for mask, lengths in self._runs.items():
            count = masks.count(mask)
            for length in lengths if count else ():
                runs[length] += count
        free_by_position = [masks.count(self._all, start, end) for start, end in pairwise(self._positions)]
        free_by_cylinder = [sum(free_by_position[at : at + NRPOS]) for at in range(0, len(free_by_position), NRPOS)]
        counts = Counts(
            directories,
            masks.count(self._all),
            g.ipg - inodes.count(1),
            sum(length * count for length, count in enumerate(runs)),
        )
        position_table = GROUP_TABLES + 4 * g.cpg
        inode_map = position_table + 2 * NRPOS * g.cpg
        fragment_map = inode_map + -(-g.ipg // 8)
        end = fragment_map + -(-(g.cpg * g.nsect // g.nspf) // 8)
        header = GROUP.build(
            {
                "cg_time": self._time,
                "cg_cgx": group,
                "cg_ncyl": min(g.cpg, g.ncyl - g.cpg * group),
                "cg_niblk": g.ipg,
                "cg_ndblk": g.group_size(group),
                "cg_cs": counts.fields(),
                "cg_frsum": runs,
                "cg_boff": position_table,
                "cg_iusedoff": inode_map,
                "cg_freeoff": fragment_map,
                "cg_nextfreeoff": end,
            }
        )
        block = bytearray(end)
        block[:GROUP_TABLES] = header
        block[GROUP_TABLES:position_table] = pack(f"<{g.cpg}i", *free_by_cylinder)
        block[position_table:inode_map] = pack(f"<{len(free_by_position)}h", *free_by_position)
        block[inode_map:fragment_map] = pack_bits(inodes, 1, fragment_map - inode_map)
        block[fragment_map:end] = pack_bits(masks, g.frag, end - fragment_map)
        return bytes(block), counts


def pack_bits(values: bytes, width: int, size: int) -> bytes:
    """Return a bitmap of `size` bytes, least bit first, of values of `width` bits each (1, 2, 4 or 8)."""
    each = 8 // width
    bits = 0
    for index in range(each):
        bits |= int.from_bytes(values[index::each], "little") << index * width
    return bits.to_bytes(size, "little")


def _free_runs(mask: int) -> Iterator[int]:
    """Yield the lengths of the runs of set bits."""
    return (len(list(run)) for bit, run in groupby(f"{mask:b}") if bit == "1")
