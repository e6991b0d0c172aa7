"""The superblock, written from a plan and read from an image."""

from dataclasses import dataclass
from typing import Literal

from imagekit.content import Content
from imagekit.errors import FormatError
from imagekit.formats.ufs import layout
from imagekit.formats.ufs.geometry import Geometry
from imagekit.formats.ufs.groups import Counts
from imagekit.formats.ufs.identify import check_kind

_RPS = 120
"""Revolutions per second of the disk that lofi pretends to be."""

_MAX_TRANSFER = 16 * layout.SECTOR


def _log2(number: int) -> int:
    return number.bit_length() - 1


def pack(
    g: Geometry, total: Counts, *, time: int, optimise: Literal["space", "time"], minfree: int, large_files: bool
) -> bytes:
    """Return the superblock of a clean file system."""
    data: bytes = layout.SUPERBLOCK.build(
        {
            "fs_sblkno": g.sblkno,
            "fs_cblkno": g.cblkno,
            "fs_iblkno": g.iblkno,
            "fs_dblkno": g.dblkno,
            "fs_cgoffset": g.cgoffset,
            "fs_cgmask": -1,  # one track: nothing is staggered
            "fs_time": time,
            "fs_size": g.size,
            "fs_dsize": g.dsize,
            "fs_ncg": g.ncg,
            "fs_bsize": g.bsize,
            "fs_fsize": g.fsize,
            "fs_frag": g.frag,
            "fs_minfree": minfree,
            "fs_rps": _RPS,
            "fs_bmask": -g.bsize,
            "fs_fmask": -g.fsize,
            "fs_bshift": _log2(g.bsize),
            "fs_fshift": _log2(g.fsize),
            "fs_maxcontig": _MAX_TRANSFER // g.bsize,
            "fs_maxbpg": g.bsize // 4,
            "fs_fragshift": _log2(g.frag),
            "fs_fsbtodb": _log2(g.nspf),
            "fs_sbsize": g.sbsize,
            "fs_csmask": -(g.bsize // 16),
            "fs_csshift": _log2(g.bsize // 16),
            "fs_nindir": g.nindir,
            "fs_inopb": g.inopb,
            "fs_nspf": g.nspf,
            "fs_optim": 1 if optimise == "space" else 0,
            "fs_state": layout.STATE_OKAY - time & 0xFFFFFFFF,
            "fs_csaddr": g.csaddr,
            "fs_cssize": g.cssize,
            "fs_cgsize": g.cgsize,
            "fs_ntrak": 1,
            "fs_nsect": g.nsect,
            "fs_spc": g.nsect,
            "fs_ncyl": g.ncyl,
            "fs_cpg": g.cpg,
            "fs_ipg": g.ipg,
            "fs_fpg": g.fpg,
            "fs_cstotal": total.fields(),
            "fs_clean": layout.CLEAN,
            "fs_flags": layout.LARGE_FILES if large_files else 0,
            "fs_npsect": g.nsect,
            "fs_qbmask": [g.bsize - 1, 0],
            "fs_qfmask": [g.fsize - 1, 0],
            "fs_magic": layout.MAGIC,
        }
    )
    return data


@dataclass(frozen=True, slots=True, kw_only=True)
class Superblock:
    """What a reader needs of a superblock, all of it plausible; sizes in fragments unless said otherwise."""

    bsize: int  # bytes per block
    fsize: int  # bytes per fragment
    frag: int  # fragments per block
    size: int  # of the file system
    dsize: int  # that can hold data
    ncg: int  # groups
    ipg: int  # inodes per group
    fpg: int  # fragments per group
    iblkno: int  # of the inode table in a group
    cgoffset: int
    cgmask: int
    time: int  # last write, seconds since 1970
    minfree: int  # percent
    optimise: Literal["space", "time"]
    total: Counts
    clean: bool  # unmounted properly, by fs_clean and fs_state

    @property
    def nindir(self) -> int:
        """Addresses per indirect block."""
        return self.bsize // 4

    def inode_table(self, group: int) -> int:
        """Return the byte in the image at which the inode table of a group starts."""
        start = self.fpg * group + self.cgoffset * (group & ~self.cgmask)
        return (start + self.iblkno) * self.fsize


def read_superblock(content: Content) -> Superblock:
    """Return the superblock of an image; raise FormatError when it is no UFS of illumos on x86, or is not usable."""
    where = content.origin
    if content.size < layout.SUPERBLOCK_OFFSET + layout.SUPERBLOCK_SIZE:
        raise FormatError(f"not a UFS: {content.size:,} bytes are too few to hold a superblock", where=where)
    raw = content.read(layout.SUPERBLOCK_OFFSET, layout.SUPERBLOCK_SIZE)
    check_kind(content, raw)
    fs = layout.SUPERBLOCK.parse(raw)

    def need(holds: bool, what: str) -> None:
        if not holds:
            raise FormatError(f"damaged superblock: {what}", where=where, hint="the image is damaged or cut short")

    need(fs.fs_version in {0, 2}, f"fs_version is {fs.fs_version}, expected 0 or 2")
    need(fs.fs_bsize in {4096, 8192}, f"fs_bsize is {fs.fs_bsize:,}, expected 4096 or 8192")
    sizes = {fs.fs_bsize >> shift for shift in range(4)} - {256}
    need(fs.fs_fsize in sizes, f"fs_fsize is {fs.fs_fsize:,} where blocks have {fs.fs_bsize:,} bytes")
    frag = fs.fs_bsize // fs.fs_fsize
    need(fs.fs_frag == frag, f"fs_frag is {fs.fs_frag}, expected {frag}")
    inopb = fs.fs_bsize // layout.INODE_SIZE
    need(fs.fs_inopb == inopb, f"fs_inopb is {fs.fs_inopb}, expected {inopb}")
    need(fs.fs_nindir == fs.fs_bsize // 4, f"fs_nindir is {fs.fs_nindir}, expected {fs.fs_bsize // 4}")
    need(fs.fs_ipg > 0 and fs.fs_ipg % inopb == 0, f"fs_ipg is {fs.fs_ipg:,}, expected a multiple of {inopb}")
    need(fs.fs_fpg > 0 and fs.fs_fpg % frag == 0, f"fs_fpg is {fs.fs_fpg:,}, expected a multiple of {frag}")
    need(
        fs.fs_ncg > 0 and (fs.fs_ncg - 1) * fs.fs_fpg < fs.fs_size,
        f"{fs.fs_ncg:,} groups of {fs.fs_fpg:,} fragments in a file system of {fs.fs_size:,}",
    )
    length = fs.fs_size * fs.fs_fsize
    need(length <= content.size, f"the file system has {length:,} bytes, the image {content.size:,}")
    table = fs.fs_ipg * layout.INODE_SIZE
    need(table <= fs.fs_fpg * fs.fs_fsize, f"{fs.fs_ipg:,} inodes in a group of {fs.fs_fpg:,} fragments")
    need(fs.fs_iblkno > 0 and fs.fs_cgoffset >= 0, f"fs_iblkno is {fs.fs_iblkno}, fs_cgoffset {fs.fs_cgoffset}")
    _refuse_log(fs.fs_logbno, fs.fs_clean, fs.fs_rolled, where)
    result = Superblock(
        bsize=fs.fs_bsize,
        fsize=fs.fs_fsize,
        frag=frag,
        size=fs.fs_size,
        dsize=fs.fs_dsize,
        ncg=fs.fs_ncg,
        ipg=fs.fs_ipg,
        fpg=fs.fs_fpg,
        iblkno=fs.fs_iblkno,
        cgoffset=fs.fs_cgoffset,
        cgmask=fs.fs_cgmask,
        time=fs.fs_time,
        minfree=fs.fs_minfree,
        optimise="space" if fs.fs_optim == 1 else "time",
        total=Counts(*(fs.fs_cstotal[name] for name in ("cs_ndir", "cs_nbfree", "cs_nifree", "cs_nffree"))),
        clean=fs.fs_clean in {layout.CLEAN, layout.STABLE, layout.CLEAN_LOGGING}
        and fs.fs_state + fs.fs_time & 0xFFFFFFFF == layout.STATE_OKAY,
    )
    for group in range(fs.fs_ncg):
        start = result.inode_table(group)
        need(start + table <= length, f"the inode table of group {group} is past the end")
    return result


def _refuse_log(logbno: int, clean: int, rolled: int, where: str) -> None:
    if logbno and clean == layout.CLEAN_LOGGING and rolled != layout.ALL_ROLLED:
        raise FormatError(
            "the UFS has a log with changes that are not yet in the file system",
            where=where,
            hint="mount and unmount it on illumos, or make it with -o nologging",
        )
