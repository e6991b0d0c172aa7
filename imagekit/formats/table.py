"""The formats that are read, a row each: which one a content is, told from its bytes, and the Tree that is in it."""

from collections.abc import Callable
from dataclasses import dataclass

from imagekit.content import Content
from imagekit.errors import FormatError
from imagekit.files.temporary import Temporary
from imagekit.formats import compressed, fat, gpt, iso, lofi, mbr, tar, ufs
from imagekit.progress import SILENT, Progress
from imagekit.tree import Tree

MakeTemporary = Callable[[str], Temporary]
"""Makes a file for what is inflated, which comes from the origin that it is given."""

Test = Callable[[Content], bool]


@dataclass(frozen=True, slots=True)
class Format:
    """A format: its name, and how a content of it is told by its first bytes."""

    name: str
    test: Test


@dataclass(frozen=True, slots=True)
class Wrapper(Format):
    """A format that holds one image: `unwrap` returns it, in a temporary file where it cannot be read in place."""

    unwrap: Callable[[Content, MakeTemporary, Progress], Content]


@dataclass(frozen=True, slots=True)
class Disk(Format):
    """A format with partitions: `find` returns what the first one holds for which a test is true."""

    find: Callable[[Content, Test], Content]


@dataclass(frozen=True, slots=True)
class FileSystem(Format):
    """A format that holds files; unless `in_partitions`, the partitions of a disk are not searched for it."""

    read: Callable[[Content], Tree]
    in_partitions: bool = True


def _inflate(content: Content, temporary: MakeTemporary, progress: Progress) -> Content:
    output = temporary(content.origin)
    compressed.inflate(content, output, progress=progress)
    return output


FORMATS: tuple[Wrapper | Disk | FileSystem, ...] = (
    *(Wrapper(wrapping.name, wrapping.test, _inflate) for wrapping in compressed.WRAPPINGS),
    Wrapper("lofi", lofi.is_lofi, lambda content, _temporary, _progress: lofi.Lofi(content)),
    FileSystem("ufs", ufs.is_ufs, ufs.read),
    FileSystem("iso", iso.is_iso, iso.read, in_partitions=False),  # before the disks: a hybrid ISO is one as well
    Disk("gpt", gpt.is_gpt, gpt.find),
    FileSystem("tar", tar.is_tar, tar.read, in_partitions=False),
    FileSystem("fat", fat.is_fat, fat.read),
    Disk("mbr", mbr.is_mbr, mbr.find),
    # What is damaged is left for these two, which say how.
    Disk("gpt", mbr.is_protective, gpt.find),
    FileSystem("fat", fat.has_boot_mark, fat.read),
)
"""The first whose test is true counts."""

MOST_LAYERS = 8
"""Wrappings, one in the other, that are taken off; real files have one or two."""

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


def format_of(content: Content) -> Wrapper | Disk | FileSystem | None:
    """Return the format of an image, or None for one that imagekit cannot read."""
    return next((row for row in FORMATS if row.test(content)), None)


def name_of(content: Content) -> str | None:
    """Return the name of an image's format, or None for one that imagekit cannot read."""
    found = format_of(content)
    return found.name if found else None


def is_wrapped(content: Content) -> bool:
    """Tell whether an image is inside a wrapping: compressed, or a lofi file."""
    return isinstance(format_of(content), Wrapper)


def unwrap(content: Content, temporary: MakeTemporary = Temporary, progress: Progress = SILENT) -> Content:
    """Return what is in all wrappings (compression, lofi); a content that has none is returned as it is.

    What is compressed is inflated into a file that `temporary` makes for it, by default one without a name, which goes
    with the process.  `progress` counts the bytes of the content itself.  Raise FormatError for what is damaged, or
    wrapped too many times.
    """
    inside = content
    for _ in range(MOST_LAYERS + 1):
        found = format_of(inside)
        if not isinstance(found, Wrapper):
            return inside
        inside = found.unwrap(inside, temporary, progress if inside is content else SILENT)
    raise FormatError(
        f"compressed more than {MOST_LAYERS} times over",
        where=content.origin,
        hint="unpack it by hand, and name what is in it",
    )


def open_tree(content: Content) -> Tree:
    """Return what is in an image: of a disk, its partition "root", or the first one that holds a file system.

    What is compressed is inflated into a temporary file, which goes with the process.  Raise FormatError for what is
    damaged or of no known format.
    """
    inside = unwrap(content)
    found = format_of(inside)
    if isinstance(found, Disk):
        inside = found.find(inside, _is_file_system)
        found = format_of(inside)
    if isinstance(found, FileSystem):
        return found.read(inside)
    raise _unknown(inside)


def _is_file_system(partition: Content) -> bool:
    found = format_of(partition)
    return isinstance(found, FileSystem) and found.in_partitions


def _unknown(content: Content) -> FormatError:
    can = "a folder, tarball, ISO, disk, FAT or UFS image is, also compressed with gzip, xz, bzip2, zstd or zip"
    if not content.size:
        return FormatError(f"empty; {can}", where=content.origin)
    start = content.read(0, min(content.size, 16))
    for mark, name in _OTHERS.items():
        if start.startswith(mark):
            return FormatError(f"a file of {name}, which cannot be read here: {can}", where=content.origin)
    return FormatError(f"of no kind that can be read here: {can}", where=content.origin)
