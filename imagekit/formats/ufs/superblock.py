"""The superblock, written from a plan and read from an image."""

from dataclasses import dataclass
from typing import Literal

from construct import Container

from imagekit.content import Content
from imagekit.errors import FormatError
from imagekit.formats.ufs import layout
from imagekit.formats.ufs.geometry import Geometry
from imagekit.formats.ufs.groups import Counts

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
