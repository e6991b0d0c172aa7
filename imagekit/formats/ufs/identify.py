"""Which UFS an image holds.  All but that of illumos on x86 are refused for what they are, not as damaged.

Sources: ufs_fs.h of illumos; sys/ufs/ffs/fs.h of FreeBSD and NetBSD (their superblock ends in other fields).
"""

from typing import Literal

from imagekit.content import Content
from imagekit.errors import FormatError
from imagekit.formats.ufs import layout

_Order = Literal["little", "big"]

_UFS2_OFFSETS = (8192, 65536, 262144)
"""Bytes at which the superblock of a UFS2 may start."""

_BSD_INODE_FORMAT = 1324
_BSD_BLOCK_MASK, _BSD_FRAGMENT_MASK = 1336, 1344
"""Bytes in a superblock of the BSDs of fs_inodefmt, and of fs_qbmask and fs_qfmask, 64 bits each.

illumos has fs_logbno there, and its masks 4 bytes later.
"""

_BSD_44_INODES = 2
"""fs_inodefmt of 4.4BSD (FS_44INODEFMT)."""


def is_ufs(content: Content) -> bool:
    """Tell whether a content has the magic number of a UFS where it belongs, even of one that is not readable here."""
    magic = _magic(content, layout.SUPERBLOCK_OFFSET)
    known = {layout.MAGIC, layout.MAGIC_MULTI_TERABYTE}
    return bool(known & {int.from_bytes(magic, "little"), int.from_bytes(magic, "big")}) or _is_ufs2(content)


def check_kind(content: Content, superblock: bytes) -> None:
    """Raise FormatError unless the superblock is one of illumos on x86 up to 1 TiB, or is damaged in other places."""
    where = content.origin
    magic = superblock[-8:-4]
    if _is_ufs2(content):
        raise _foreign("a UFS2, as FreeBSD and NetBSD make it", where)
    if layout.MAGIC_MULTI_TERABYTE in {int.from_bytes(magic, "little"), int.from_bytes(magic, "big")}:
        raise _foreign("a multi-terabyte UFS (newfs -T)", where)
    for order in ("little", "big"):
        if int.from_bytes(magic, order) != layout.MAGIC:
            continue
        if system := _bsd(superblock, order):
            raise _foreign(f"a {order}-endian UFS of {system} (UFS1, FFS), as the BSDs and makefs make it", where)
        if order == "big":
            raise FormatError(
                "a big-endian UFS, as SPARC machines make it, which imagekit does not read",
                where=where,
                hint="only little-endian (x86) file systems are in SmartOS images",
            )
        return
    found = int.from_bytes(magic, "little")
    raise FormatError(f"not a UFS: the magic number is {found:#010x}, expected {layout.MAGIC:#010x}", where=where)


def _magic(content: Content, offset: int) -> bytes:
    """Return the four bytes of the magic number of a superblock at `offset`, none where the content ends before."""
    place = offset + layout.SUPERBLOCK_SIZE - 8
    return content.read(place, 4) if place + 8 <= content.size else b""


def _is_ufs2(content: Content) -> bool:
    return any(
        layout.MAGIC_UFS2 in {int.from_bytes(magic, "little"), int.from_bytes(magic, "big")}
        for magic in (_magic(content, offset) for offset in _UFS2_OFFSETS)
    )


def _bsd(superblock: bytes, order: _Order) -> str:
    """Return the BSD that a superblock is of, "" when it is none: its masks stand elsewhere."""

    def number(offset: int, size: int) -> int:
        return int.from_bytes(superblock[offset : offset + size], order)

    block, fragment = number(48, 4), number(52, 4)
    if not block or (number(_BSD_BLOCK_MASK, 8), number(_BSD_FRAGMENT_MASK, 8)) != (block - 1, fragment - 1):
        return ""
    return "4.4BSD" if number(_BSD_INODE_FORMAT, 4) == _BSD_44_INODES else "4.3BSD"


def _foreign(what: str, where: str) -> FormatError:
    return FormatError(
        f"{what}, which imagekit does not read", where=where, hint="its layout is another than that of illumos"
    )
