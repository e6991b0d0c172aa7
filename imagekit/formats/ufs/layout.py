"""How illumos UFS stands on disk: every structure, declared once, with the names that ufs_fs.h gives the fields.

The file system that newfs of illumos makes for x86: classic UFS ("UFS1"), little-endian, inodes of 128 bytes.  Sources:
illumos usr/src/uts/common/sys/fs/ufs_fs.h (superblock, cylinder group), ufs_inode.h (inode), ufs_fsdir.h (directory
entry).  Addresses and sizes in structures count *fragments* unless a comment says otherwise.
"""

import struct
from typing import Any, Final

from construct import Array, Bytes, Const, Default, Int8ul, Int16sl, Int32sl, Int32ul, Struct

SECTOR: Final = 512
"""Bytes per sector (DEV_BSIZE), the unit of ic_blocks and of disk geometry."""

SUPERBLOCK_OFFSET: Final = 8192
"""Byte at which the primary superblock starts; before it lies the boot block area."""

SUPERBLOCK_ROOM: Final = 8192
"""Bytes kept for each superblock (SBSIZE)."""

SUPERBLOCK_SIZE: Final = 1380
"""Bytes of the superblock structure."""

MAGIC: Final = 0x00011954
"""fs_magic of file systems up to 1 TiB; their addresses count fragments in 32 bits."""

MAGIC_MULTI_TERABYTE: Final = 0x00DECADE
"""fs_magic of multi-terabyte file systems (MTB_UFS_MAGIC), another layout."""

MAGIC_UFS2: Final = 0x19540119
"""fs_magic of UFS2, the BSDs' layout of 64 bits."""

GROUP_MAGIC: Final = 0x00090255
"""cg_magic."""

STATE_OKAY: Final = 0x7C269D38
"""FSOKAY: fs_state + fs_time of a file system that was unmounted properly, modulo 2**32."""

CLEAN: Final = 1
"""fs_clean of a file system that was unmounted properly (FSCLEAN)."""

STABLE: Final = 2
"""fs_clean of a file system that is mounted, but as good as clean (FSSTABLE)."""

CLEAN_LOGGING: Final = 0xFD
"""fs_clean while a log is in use (FSLOG)."""

ALL_ROLLED: Final = 1
"""fs_rolled when nothing is left in the log (FS_ALL_ROLLED)."""

POSTBLFORMAT_DYNAMIC: Final = 1
NRPOS: Final = 8
"""Rotational positions per cylinder that newfs always distinguishes."""

GROUP_TABLES: Final = 168
"""Offset in bytes of the tables in a cylinder group block."""

LARGE_FILES: Final = 1
"""Bit of fs_flags: a regular file is longer than 2**31 - 1 bytes."""

ROOT_INODE: Final = 2
LOST_FOUND_INODE: Final = 3
INODE_SIZE: Final = 128
"""Bytes per inode on disk."""

DIRECT: Final = 12
"""Block addresses in the inode itself (NDADDR)."""

INDIRECT: Final = 3
"""Addresses of indirect blocks in the inode: single, double, triple (NIADDR)."""

DIRECTORY_CHUNK: Final = 512
"""Bytes of a directory that are independent of the rest (DIRBLKSIZ)."""

NAME_MAX: Final = 255
PATH_MAX: Final = 1023
LINK_MAX: Final = 32767

TYPE_MASK: Final = 0o170000
FIFO: Final = 0o010000
CHARACTER: Final = 0o020000
DIRECTORY: Final = 0o040000
BLOCK: Final = 0o060000
REGULAR: Final = 0o100000
SYMLINK: Final = 0o120000
SOCKET: Final = 0o140000
SPECIAL_TYPES: Final = {"p": FIFO, "c": CHARACTER, "b": BLOCK, "s": SOCKET}

FALLOCATED: Final = 2
"""Bit of ic_flags: negative addresses are blocks that were allocated but never written."""


def _field(name: str, kind: Any = Int32sl, default: Any = 0) -> Any:
    return name / Default(kind, default)


SUMMARY: Final = Struct(
    "cs_ndir" / Int32sl,  # directories whose inode is in the group
    "cs_nbfree" / Int32sl,  # free blocks
    "cs_nifree" / Int32sl,  # free inodes
    "cs_nffree" / Int32sl,  # free fragments outside free blocks
)
"""struct csum: one per group in the summary area and in the group's own block; their sum is in the superblock."""

SUPERBLOCK: Final = Struct(
    _field("fs_link", Int32ul),
    _field("fs_rolled", Int32ul),  # log state
    "fs_sblkno" / Int32sl,  # of the superblock's copy, from cgstart
    "fs_cblkno" / Int32sl,  # of the cylinder group block, from cgstart
    "fs_iblkno" / Int32sl,  # of the inode table, from cgstart
    "fs_dblkno" / Int32sl,  # of the first data after the metadata, from cgstart
    "fs_cgoffset" / Int32sl,  # by which the metadata of groups is staggered
    "fs_cgmask" / Int32sl,
    "fs_time" / Int32sl,  # last write, seconds since 1970
    "fs_size" / Int32sl,
    "fs_dsize" / Int32sl,  # fragments that can hold data
    "fs_ncg" / Int32sl,  # cylinder groups
    "fs_bsize" / Int32sl,  # bytes per block
    "fs_fsize" / Int32sl,  # bytes per fragment
    "fs_frag" / Int32sl,  # fragments per block
    "fs_minfree" / Int32sl,  # percent kept for root
    _field("fs_rotdelay"),
    "fs_rps" / Int32sl,  # revolutions per second
    "fs_bmask" / Int32sl,
    "fs_fmask" / Int32sl,
    "fs_bshift" / Int32sl,
    "fs_fshift" / Int32sl,
    "fs_maxcontig" / Int32sl,
    "fs_maxbpg" / Int32sl,
    "fs_fragshift" / Int32sl,
    "fs_fsbtodb" / Int32sl,
    "fs_sbsize" / Int32sl,  # bytes of the superblock that count
    "fs_csmask" / Int32sl,
    "fs_csshift" / Int32sl,
    "fs_nindir" / Int32sl,  # addresses per indirect block
    "fs_inopb" / Int32sl,  # inodes per block
    "fs_nspf" / Int32sl,  # sectors per fragment
    "fs_optim" / Int32sl,  # 0 time, 1 space
    "fs_state" / Int32ul,  # STATE_OKAY - fs_time
    _field("fs_si"),
    _field("fs_trackskew"),
    _field("fs_id", Int32sl[2], [0, 0]),
    "fs_csaddr" / Int32sl,  # of the summary area
    "fs_cssize" / Int32sl,  # bytes of the summary area
    "fs_cgsize" / Int32sl,  # bytes of a cylinder group block that count
    "fs_ntrak" / Int32sl,  # tracks per cylinder
    "fs_nsect" / Int32sl,  # sectors per track
    "fs_spc" / Int32sl,  # sectors per cylinder
    "fs_ncyl" / Int32sl,  # cylinders
    "fs_cpg" / Int32sl,  # cylinders per group
    "fs_ipg" / Int32sl,  # inodes per group
    "fs_fpg" / Int32sl,  # fragments per group
    "fs_cstotal" / SUMMARY,
    _field("fs_fmod", Int8ul),
    "fs_clean" / Int8ul,
    _field("fs_ronly", Int8ul),
    "fs_flags" / Int8ul,
    _field("fs_fsmnt", Bytes(512), bytes(512)),  # where it was mounted last
    _field("fs_cgrotor"),
    _field("fs_u", Bytes(128), bytes(128)),  # in memory only
    _field("fs_cpc"),
    _field("fs_opostbl", Bytes(256), bytes(256)),
    _field("fs_sparecon", Bytes(204), bytes(204)),
    _field("fs_version"),
    _field("fs_logbno"),  # of the log, 0 = none
    _field("fs_reclaim"),
    _field("fs_sparecon2"),
    "fs_npsect" / Int32sl,
    "fs_qbmask" / Int32ul[2],
    "fs_qfmask" / Int32ul[2],
    _field("fs_postblformat", default=POSTBLFORMAT_DYNAMIC),
    _field("fs_nrpos", default=NRPOS),
    _field("fs_postbloff"),
    _field("fs_rotbloff"),
    "fs_magic" / Int32sl,
    _field("fs_space", Bytes(4), bytes(4)),
)
"""struct fs, at SUPERBLOCK_OFFSET and at cgstart + fs_sblkno of every group."""

GROUP: Final = Struct(
    _field("cg_link", Int32ul),
    "cg_magic" / Const(GROUP_MAGIC, Int32sl),
    "cg_time" / Int32sl,  # seconds since 1970
    "cg_cgx" / Int32sl,  # which group it is
    "cg_ncyl" / Int16sl,
    "cg_niblk" / Int16sl,
    "cg_ndblk" / Int32sl,  # fragments in the group
    "cg_cs" / SUMMARY,
    _field("cg_rotor"),
    _field("cg_frotor"),
    _field("cg_irotor"),
    "cg_frsum" / Array(8, Int32sl),  # free runs by length
    "cg_btotoff" / Const(GROUP_TABLES, Int32sl),  # bytes from the start: i32 free blocks of each cylinder
    "cg_boff" / Int32sl,  # bytes: i16 free blocks of each cylinder and rotational position
    "cg_iusedoff" / Int32sl,  # bytes: bit set = inode used
    "cg_freeoff" / Int32sl,  # bytes: bit set = fragment free
    "cg_nextfreeoff" / Int32sl,  # bytes: end of the tables
    _field("cg_sparecon", Bytes(64), bytes(64)),
)
"""struct cg without its tables, at cgstart + fs_cblkno of every group."""

INODE: Final = struct.Struct("<HhHHQ6i12i3i4i3I")
"""struct icommon: smode, nlink, suid, sgid, size in bytes, atime, mtime and ctime (seconds and microseconds each),
12 direct and 3 indirect addresses, flags, blocks (sectors), gen, shadow, uid, gid, oeftflag."""

DIRECTORY_ENTRY: Final = struct.Struct("<IHH")
"""d_ino, d_reclen, d_namlen; the name, its NUL and padding to 4 bytes follow."""

assert SUPERBLOCK.sizeof() == SUPERBLOCK_SIZE
assert GROUP.sizeof() == GROUP_TABLES
assert INODE.size == INODE_SIZE


def entry_size(name_length: int) -> int:
    """Return the least d_reclen in bytes of an entry with a name of `name_length` bytes."""
    return DIRECTORY_ENTRY.size + (name_length + 4 & ~3)


def pack_device(major: int, minor: int) -> int | None:
    """Return what stands in ic_db[1] of a device node, or None when the format cannot hold the number.

    Small numbers take the 16-bit form of SVR3, others 14 bits of major and 18 of minor.  A reader takes any value whose
    upper half is all zeros or all ones for the small form (ufs_inode.c), so some large numbers have no form at all.
    """
    if 0 <= major <= 0x7F and 0 <= minor <= 0xFF:
        return major << 8 | minor
    if not (0 <= major <= 0x3FFF and 0 <= minor <= 0x3FFFF):
        return None
    value = major << 18 | minor
    if value >> 16 in {0, 0xFFFF}:
        return None
    return value - (1 << 32) if value >> 31 else value


def unpack_device(value: int) -> tuple[int, int]:
    """Return the major and minor number in ic_db[1] of a device node."""
    value &= 0xFFFFFFFF
    if value >> 16 in {0, 0xFFFF}:
        return value >> 8 & 0x7F, value & 0xFF
    return value >> 18, value & 0x3FFFF
