"""The geometry of a file system: from the size of a lofi file to every number in the superblock that depends on it.

It does what newfs and mkfs of illumos do for a file attached with lofiadm: lofi.c invents a disk of one track per
cylinder, newfs.c chooses defaults from its size, mkfs.c shrinks the cylinder groups until their tables fit.  The names
are those of the superblock's fields without "fs_".
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

from imagekit.errors import PlanError
from imagekit.formats.ufs.layout import (
    GROUP_TABLES,
    INODE_SIZE,
    NRPOS,
    SECTOR,
    SUPERBLOCK_OFFSET,
    SUPERBLOCK_ROOM,
    SUPERBLOCK_SIZE,
)

_LEAST_SECTORS = 1024
_LEAST_PER_INODE, _MOST_PER_INODE = SECTOR, 2 << 20
"""What mkfs and newfs take: sectors of a file system, bytes per inode."""

_GIB_SECTORS = 2 * 1024 * 1024
_DEFAULT_CPG = 16
_GROUP_FIXED = GROUP_TABLES + 4
"""Bytes of the fixed part of a cylinder group block, with the padding that mkfs counts."""

SIZE_LIMIT = 1 << 40
"""Bytes: larger file systems need the multi-terabyte layout."""


class NoRoomError(PlanError):
    """An image is too small for its own tables: no tree at all fits into it."""


def _ceil(count: int, unit: int) -> int:
    return -(-count // unit)


def round_up(count: int, unit: int) -> int:
    """Return the least multiple of `unit` that is not below `count`."""
    return _ceil(count, unit) * unit


def lofi_disk(size: int) -> tuple[int, int]:
    """Return (cylinders, sectors per cylinder) of the disk that lofi makes of a file of `size` bytes."""
    cylinders = max(size // (102400 if size < 2 * 1024 * 1024 else 307200), 1)
    return cylinders, size // (cylinders * SECTOR)


def default_bytes_per_inode(size: int) -> int:
    """Return the -i that newfs takes by itself for a lofi file of `size` bytes."""
    cylinders, nsect = lofi_disk(size)
    sectors = cylinders * nsect
    return 2048 if sectors < _GIB_SECTORS else min(8192, 2048 * _ceil(sectors, _GIB_SECTORS))


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Where things are in a file system; addresses and sizes in fragments unless said otherwise."""

    image_size: int  # bytes of the lofi file
    bsize: int  # bytes per block
    fsize: int  # bytes per fragment
    nbpi: int  # bytes per inode that were asked for
    frag: int  # fragments per block
    nspf: int  # sectors per fragment
    inopb: int  # inodes per block
    nindir: int  # addresses per indirect block
    sblkno: int  # of the superblock's copy in a group
    cblkno: int  # of the cylinder group block in a group
    iblkno: int  # of the inode table in a group
    dblkno: int  # of the first data after the metadata of a group
    cgoffset: int
    nsect: int  # sectors per track, and per cylinder: one track
    ncyl: int  # cylinders
    cpg: int  # cylinders per group
    ncg: int  # groups
    ipg: int  # inodes per group
    fpg: int  # fragments per group
    size: int  # fragments of the file system
    dsize: int  # fragments that can hold data
    csaddr: int  # of the summary area
    cssize: int  # bytes of the summary area
    cgsize: int  # bytes of a group block that are used
    sbsize: int  # bytes of the superblock that are used

    @classmethod
    def of(
        cls, size: int, *, block_size: int = 4096, fragment_size: int = 1024, bytes_per_inode: int | None = None
    ) -> Self:
        """Return the geometry that newfs gives a lofi file of `size` bytes.

        Raise PlanError for what newfs does not take, NoRoomError where a larger image would do.
        """
        check_request(size, block_size, fragment_size, bytes_per_inode)
        nbpi = default_bytes_per_inode(size) if bytes_per_inode is None else bytes_per_inode
        cylinders, nsect = lofi_disk(size)
        sectors = cylinders * nsect
        if sectors < _LEAST_SECTORS:
            raise NoRoomError(f"{size:,} bytes are too few for a UFS: newfs takes {_LEAST_SECTORS:,} sectors or more")
        frag, nspf, inopb = block_size // fragment_size, fragment_size // SECTOR, block_size // INODE_SIZE
        inopf = inopb // frag
        sblkno = round_up(_ceil(SUPERBLOCK_OFFSET + SUPERBLOCK_ROOM, fragment_size), frag)
        cblkno = sblkno + round_up(_ceil(SUPERBLOCK_ROOM, fragment_size), frag)
        iblkno = cblkno + frag
        shape = _Shape(block_size, fragment_size, nbpi, nsect, iblkno)
        cpg = shape.cylinders_per_group(sectors)
        ipg, fpg = shape.inodes_per_group(cpg), cpg * nsect // nspf
        dblkno = iblkno + ipg // inopf

        total = sectors // nspf
        ncyl = _ceil(total * nspf, nsect)
        ncg = _ceil(ncyl, cpg)
        last = total - (ncg - 1) * fpg
        if last < fpg and last < dblkno:  # no room for its inode table: mkfs drops the group
            ncg -= 1
            ncyl = ncg * cpg
            total = ncyl * nsect // nspf
        cssize = round_up(ncg * 16, fragment_size)
        return cls(
            image_size=size,
            bsize=block_size,
            fsize=fragment_size,
            nbpi=nbpi,
            frag=frag,
            nspf=nspf,
            inopb=inopb,
            nindir=block_size // 4,
            sblkno=sblkno,
            cblkno=cblkno,
            iblkno=iblkno,
            dblkno=dblkno,
            cgoffset=round_up(_ceil(nsect, nspf), frag),
            nsect=nsect,
            ncyl=ncyl,
            cpg=cpg,
            ncg=ncg,
            ipg=ipg,
            fpg=fpg,
            size=total,
            dsize=total - ncg * dblkno + (ncg - 1) * sblkno - _ceil(cssize, fragment_size),
            csaddr=dblkno,
            cssize=cssize,
            cgsize=round_up(shape.group_size(cpg), fragment_size),
            sbsize=round_up(SUPERBLOCK_SIZE, fragment_size),
        )

    @property
    def inodes(self) -> int:
        """All inodes, the reserved 0 and 1 with them."""
        return self.ncg * self.ipg

    @property
    def first_data(self) -> int:
        """The first fragment after the summary area, the end of what is never free in group 0."""
        return self.csaddr + _ceil(self.cssize, self.fsize)

    def group_size(self, group: int) -> int:
        """Fragments in a group; the last may be shorter."""
        return min(self.fpg, self.size - group * self.fpg)

    def data_regions(self) -> Iterator[tuple[int, int]]:
        """Yield (first, end) of the stretches between the metadata of neighbouring groups, in order.

        A stretch runs from the end of one group's inode table over the next group's start up to its superblock; the
        first begins at the block boundary after the summary area.  `end` is exclusive and may cut a block.
        """
        for group in range(self.ncg):
            first = group * self.fpg + self.dblkno if group else round_up(self.first_data, self.frag)
            end = self.size if group == self.ncg - 1 else (group + 1) * self.fpg + self.sblkno
            if first < end:
                yield first, end


@dataclass(frozen=True, slots=True)
class _Shape:
    """What mkfs weighs against each other when it chooses the size of a group."""

    bsize: int
    fsize: int
    nbpi: int
    spc: int  # sectors per cylinder
    iblkno: int

    @property
    def inopb(self) -> int:
        return self.bsize // INODE_SIZE

    @property
    def most_inodes(self) -> int:
        """MAXIPG: inodes per group whose map still leaves room in the group block."""
        return round_up(_ceil(self.bsize * 8, 3), self.inopb)

    def metadata(self) -> int:
        """Bytes of a group that mkfs takes for metadata, for one cylinder's worth of inodes."""
        inodes = min(round_up(self.spc * SECTOR // INODE_SIZE, self.inopb), self.most_inodes)
        inodes_per_fragment = self.inopb * self.fsize // self.bsize
        return (self.iblkno + inodes // inodes_per_fragment) * self.fsize

    def inodes_per_group(self, cpg: int) -> int:
        return round_up((cpg * self.spc * SECTOR - self.metadata()) // self.nbpi, self.inopb)

    def group_size(self, cpg: int) -> int:
        """CGSIZE: bytes of the group block with its tables."""
        inodes = self.inodes_per_group(cpg)
        fragments = cpg * self.spc * SECTOR // self.fsize
        return _GROUP_FIXED + 4 * cpg + 2 * NRPOS * cpg + _ceil(inodes, 8) + _ceil(fragments, 8)

    def cylinders_per_group(self, sectors: int) -> int:
        most = (self.bsize - _GROUP_FIXED - _ceil(self.most_inodes, 8)) // (4 + 2 * NRPOS + self.spc // 64)
        wanted = 32 * (sectors // _GIB_SECTORS) or _DEFAULT_CPG
        if wanted > most:
            wanted = min(most, _DEFAULT_CPG)
        # The fewest cylinders that are a whole number of blocks; groups are multiples of it.
        unit, left = self.bsize // SECTOR, self.spc
        while unit > 1 and left % 2 == 0:
            unit, left = unit // 2, left // 2
        cpg = round_up(max(wanted, 1), unit)
        while self.inodes_per_group(cpg) > self.most_inodes or self.group_size(cpg) > self.bsize:
            cpg -= unit
        if self.inodes_per_group(cpg) < 1:
            raise NoRoomError(f"a cylinder group would have no inode at {self.nbpi:,} bytes per inode")
        return cpg


def check_request(size: int, bsize: int, fsize: int, nbpi: int | None) -> None:
    """Raise PlanError for an image size or for parameters, all in bytes, that newfs does not take whatever is in it."""
    if size % SECTOR or size <= 0:
        raise PlanError(f"a UFS image cannot have {size:,} bytes", hint="its size is a multiple of 512 bytes")
    if size > SIZE_LIMIT:
        raise PlanError(f"a UFS image cannot have {size:,} bytes", hint=f"at most {SIZE_LIMIT:,} fit the format")
    if bsize not in {4096, 8192}:
        raise PlanError(f"blocks of {bsize:,} bytes cannot be", hint="illumos mounts 4096 and 8192 on x86")
    if fsize not in {bsize, bsize // 2, bsize // 4, bsize // 8} or fsize < SECTOR:
        raise PlanError(
            f"fragments of {fsize:,} bytes cannot be in blocks of {bsize:,}", hint="1, 2, 4 or 8 make a block"
        )
    if nbpi is not None and not _LEAST_PER_INODE <= nbpi <= _MOST_PER_INODE:
        raise PlanError(
            f"{nbpi:,} bytes per inode cannot be", hint=f"newfs takes {_LEAST_PER_INODE:,} to {_MOST_PER_INODE:,}"
        )
