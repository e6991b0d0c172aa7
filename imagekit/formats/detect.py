"""What kind of image a content is, told from its bytes, and the Tree that is in it."""

from collections.abc import Callable
from typing import Literal

from imagekit.content import Content
from imagekit.errors import FormatError
from imagekit.files.temporary import Temporary
from imagekit.formats import compressed, fat, gpt, iso, lofi, mbr, tar, ufs
from imagekit.progress import SILENT, Progress
from imagekit.tree import Tree

Kind = Literal["gpt", "mbr", "iso", "ufs", "lofi", "tar", "fat"] | compressed.Kind

MOST_LAYERS = 8
"""Wrappings, one in the other, that are taken off; real files have one or two."""

_MARKS: tuple[tuple[Kind, int, bytes], ...] = (
    ("iso", 16 * 2048 + 1, b"CD001"),  # before a partition table, which a hybrid ISO has too
    ("gpt", 512, b"EFI PART"),
)
_BOOT_MARK = b"\x55\xaa"
_OTHERS = {
    b"7z\xbc\xaf\x27\x1c": "7-Zip",
    b"Rar!\x1a\x07": "RAR",
    b"LZIP": "lzip",
    b"\x1f\x9d": "compress",
    b"\x04\x22\x4d\x18": "LZ4",
    b"\x5d\x00\x00": "lzma",
    b"QFI\xfb": "QEMU (qcow2)",
    b"KDMV": "VMware (VMDK)",
}
"""Files that are not read here, by what they begin with, for messages."""


def kind_of(content: Content) -> Kind | None:
    """Return the kind of an image, or None for one that imagekit cannot read."""
    compression = compressed.kind_of(content)
    if compression is not None:
        return compression
    if lofi.is_lofi(content):
        return "lofi"
    if ufs.is_ufs(content):
        return "ufs"
    for kind, offset, mark in _MARKS:
        if _has(content, offset, mark):
            return kind
    if tar.is_tar(content):
        return "tar"
    return _kind_of_boot_sector(content) if _has(content, 510, _BOOT_MARK) else None


def _has(content: Content, offset: int, mark: bytes) -> bool:
    return content.size >= offset + len(mark) and content.read(offset, len(mark)) == mark


def _kind_of_boot_sector(content: Content) -> Kind:
    if fat.is_fat(content):
        return "fat"
    if mbr.is_mbr(content):
        return "mbr"
    return "gpt" if mbr.is_protective(content) else "fat"


def is_wrapped(content: Content) -> bool:
    """Tell whether an image is inside a wrapping: compressed, or a lofi file."""
    kind = kind_of(content)
    return kind == "lofi" or compressed.is_kind(kind)


def unwrap(content: Content, temporary: Callable[[str], Temporary] = Temporary, progress: Progress = SILENT) -> Content:
    """Return what is in all wrappings (compression, lofi); a content that has none is returned as it is.

    What is compressed is inflated into a file that `temporary` makes for it (of an origin), by default one without a
    name, which goes with the process.  `progress` counts the bytes of the content itself.  Raise FormatError for what
    is damaged, or wrapped too many times.
    """
    inside = content
    for _ in range(MOST_LAYERS + 1):
        kind = kind_of(inside)
        if kind == "lofi":
            inside = lofi.Lofi(inside)
        elif compressed.is_kind(kind):
            output = temporary(inside.origin)
            compressed.inflate(inside, output, progress=progress if inside is content else SILENT)
            inside = output
        else:
            return inside
    raise FormatError(
        f"compressed more than {MOST_LAYERS} times over",
        where=content.origin,
        hint="unpack it by hand, and name what is in it",
    )


def open_tree(content: Content) -> Tree:
    """Return what is in an image: of a disk, its partition "root", or the first one that holds a file system.

    What is compressed is inflated into a temporary file, which goes with the process.  Raise FormatError for what is
    damaged or of no known kind.
    """
    inside = unwrap(content)
    match kind_of(inside):
        case "gpt":
            return _open_gpt(inside)
        case "mbr":
            return _open_mbr(inside)
        case "iso":
            return iso.read(inside)
        case "ufs":
            return ufs.read(inside)
        case "tar":
            return tar.read(inside)
        case "fat":
            return fat.read(inside)
    raise _unknown(inside)


def _unknown(content: Content) -> FormatError:
    can = "a folder, tarball, ISO, disk, FAT or UFS image is, also compressed with gzip, xz, bzip2, zstd or zip"
    if not content.size:
        return FormatError(f"empty; {can}", where=content.origin)
    start = content.read(0, min(content.size, 16))
    for mark, name in _OTHERS.items():
        if start.startswith(mark):
            return FormatError(f"a file of {name}, which cannot be read here: {can}", where=content.origin)
    return FormatError(f"of no kind that can be read here: {can}", where=content.origin)


def _open_gpt(content: Content) -> Tree:
    disk = gpt.read(content)
    named = sorted(disk.partitions, key=lambda partition: partition.name != "root")
    for partition in named:
        inside = disk.slice(partition)
        if kind_of(inside) in {"fat", "ufs"}:
            return open_tree(inside)
    raise FormatError("no partition holds a file system that can be read here", where=content.origin)


def _open_mbr(content: Content) -> Tree:
    disk = mbr.read(content)
    for partition in sorted(disk.partitions, key=lambda partition: not partition.active):
        inside = disk.slice(partition)
        if kind_of(inside) in {"fat", "ufs"}:
            return open_tree(inside)
    listed = ", ".join(map(str, disk.partitions))
    extended = "; what is in an extended one is not looked for" if any(p.is_extended for p in disk.partitions) else ""
    raise FormatError(
        f"no partition holds a file system that can be read here: {listed}{extended}", where=content.origin
    )
