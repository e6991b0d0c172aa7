"""What kind of image a content is, told from its bytes, and the Tree that is in it."""

from typing import Literal

from imagekit.content import Content
from imagekit.errors import FormatError
from imagekit.formats import fat, gpt, gzip, iso, lofi, tar, ufs
from imagekit.tree import Tree

Kind = Literal["gzip", "gpt", "iso", "ufs", "lofi", "tar", "fat"]

_MARKS: tuple[tuple[Kind, int, bytes], ...] = (
    ("iso", 16 * 2048 + 1, b"CD001"),  # before a partition table, which a hybrid ISO has too
    ("gpt", 512, b"EFI PART"),
    ("tar", 257, b"ustar"),
    ("fat", 510, b"\x55\xaa"),  # of a master boot record too, so this comes last
)


def kind_of(content: Content) -> Kind | None:
    """Return the kind of an image, or None for one that imagekit cannot read."""
    if gzip.is_gzip(content):
        return "gzip"
    if lofi.is_lofi(content):
        return "lofi"
    if ufs.is_ufs(content):
        return "ufs"
    for kind, offset, mark in _MARKS:
        if content.size >= offset + len(mark) and content.read(offset, len(mark)) == mark:
            return kind
    return None


def open_tree(content: Content) -> Tree:
    """Return what is in an image: of a disk, its partition "root", or the first one that holds a file system.

    What is compressed is inflated into a temporary file, which goes with the process.  Raise FormatError for what is
    damaged or of no known kind.
    """
    match kind_of(content):
        case "gzip":
            return open_tree(gzip.inflate_to_temporary(content))
        case "gpt":
            return _open_disk(content)
        case "lofi":
            return open_tree(lofi.Lofi(content))
        case "iso":
            return iso.read(content)
        case "ufs":
            return ufs.read(content)
        case "tar":
            return tar.read(content)
        case "fat":
            return fat.read(content)
    raise FormatError(
        "of no kind that can be read here: a folder, tarball, ISO, disk, FAT or UFS image is", where=content.origin
    )


def _open_disk(content: Content) -> Tree:
    disk = gpt.read(content)
    named = sorted(disk.partitions, key=lambda partition: partition.name != "root")
    for partition in named:
        inside = disk.slice(partition)
        if kind_of(inside) in {"fat", "ufs"}:
            return open_tree(inside)
    raise FormatError("no partition holds a file system that can be read here", where=content.origin)
