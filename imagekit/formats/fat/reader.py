"""Reads FAT12, FAT16 and FAT32 file systems, trusting nothing in them: a Tree whose files are parts of the image."""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from imagekit.content import Bytes, Composite, Content, Slice
from imagekit.errors import FormatError
from imagekit.formats.fat import names
from imagekit.formats.fat.boot_sector import BootSector
from imagekit.formats.fat.chains import Chains, Run
from imagekit.formats.fat.geometry import Geometry
from imagekit.formats.fat.layout import (
    DELETED,
    DIRECTORY,
    DOT,
    DOT_DOT,
    LAST,
    LONG_NAME,
    LONG_NAME_MASK,
    LONG_RECORD,
    MARK,
    MAX_DIRECTORY_RECORDS,
    MAX_PATH,
    READ_ONLY,
    RECORD,
    RECORD_SIZE,
    SECTOR,
    VOLUME_LABEL,
)
from imagekit.tree import Directory, File, Tree, TreeTooLargeError

_LONGEST_NAME_RECORDS = 20
_BASE_IS_LOWER, _EXTENSION_IS_LOWER = 0x08, 0x10  # in the record's case bits


@dataclass(frozen=True, slots=True, kw_only=True)
class FatVolume:
    """A FAT file system: what its headers say, and its Tree.

    `boot` is the boot sector (kind, geometry, volume id, partition start); `label` comes from the root directory, else
    from the boot sector; `clean` tells whether it was unmounted cleanly; `used_clusters` counts those of the Tree.
    """

    boot: BootSector
    label: str
    clean: bool
    used_clusters: int
    tree: Tree

    @property
    def kind(self) -> str:
        """FAT12, FAT16 or FAT32."""
        return f"FAT{self.geometry.kind}"

    @property
    def geometry(self) -> Geometry:
        """Sizes and places of the file system's parts."""
        return self.boot.geometry

    @property
    def volume_id(self) -> int:
        """The 32-bit serial number."""
        return self.boot.volume_id


@dataclass(slots=True)
class _Found:
    """A directory record with its name."""

    name: str
    attributes: int
    mtime: int
    cluster: int
    size: int


def has_boot_mark(content: Content) -> bool:
    """Tell whether the first sector has the mark of boot sectors at its end, whatever it describes."""
    return content.size >= SECTOR and content.read(SECTOR - len(MARK), len(MARK)) == MARK


def is_fat(content: Content) -> bool:
    """Tell whether the first sector describes a FAT file system: a master boot record has the same mark at its end."""
    if not has_boot_mark(content):
        return False
    start = content.read(0, SECTOR)
    sector_size, cluster, reserved, copies = struct.unpack_from("<HBHB", start, 11)
    return sector_size in {512, 1024, 2048, 4096} and cluster.bit_count() == 1 and reserved > 0 and copies in {1, 2}


def read(content: Content, *, origin: str | None = None) -> Tree:
    """Return the Tree of a FAT file system; see `read_volume`."""
    return read_volume(content, origin=origin).tree


def read_volume(content: Content, *, origin: str | None = None) -> FatVolume:
    """Read a FAT file system; `origin` is its name in messages (that of `content` unless given).

    FAT stores neither owners nor modes: files get 0644 (0444 when read-only), directories 0755, all of them root:root.
    Times are taken as UTC.  Deleted files are left out, long names without their file ignored.  FormatError when this
    is no FAT, or what is in it contradicts itself.
    """
    image = origin or content.origin
    boot = BootSector.parse(content.read(0, min(SECTOR, content.size)), image)
    geometry = boot.geometry
    size = geometry.sector_count * geometry.sector_size
    if size > content.size:
        raise FormatError(
            f"the file system has {size:,} bytes, but only {content.size:,} are there",
            where=image,
            hint="the image is cut short",
        )
    try:
        return _Reader(content, boot, image).volume()
    except TreeTooLargeError as error:
        raise FormatError(error.what, where=image) from None


class _Reader:
    def __init__(self, content: Content, boot: BootSector, image: str) -> None:
        self._content = content
        self._boot = boot
        self._geometry = boot.geometry
        self._image = image
        self._chains = Chains(content, boot, image)
        self._label: _Found | None = None

    def volume(self) -> FatVolume:
        tree = self._tree()
        label = self._label
        return FatVolume(
            boot=self._boot,
            label=label.name if label else self._boot.label,
            clean=self._chains.clean,
            used_clusters=self._chains.used_clusters,
            tree=tree,
        )

    def _tree(self) -> Tree:
        stack = [(found.name, found) for found in reversed(self._list("", 0))]
        # The root has no record of its own; the label's time is the nearest thing to one.
        tree = Tree(Directory(path="", mtime=self._label.mtime if self._label else 0))
        while stack:
            path, found = stack.pop()
            where = f"{self._image}!/{path}"
            if path in tree:
                raise FormatError("the directory has two entries of this name", where=where)
            if len(path) > MAX_PATH:
                raise FormatError(
                    f"too much to read: {len(tree):,} entries, and a path of {len(path):,} characters; the limit is "
                    f"{MAX_PATH:,}",
                    where=where,
                )
            if found.attributes & DIRECTORY:
                tree.add(Directory(path=path, mtime=found.mtime))
                children = [(f"{path}/{child.name}", child) for child in self._list(path, found.cluster)]
                stack.extend(reversed(children))
            else:
                mode = 0o444 if found.attributes & READ_ONLY else 0o644
                tree.add(File(path=path, mode=mode, mtime=found.mtime, content=self._file(path, found)))
        return tree

    def _file(self, path: str, found: _Found) -> Content:
        where = f"{self._image}!/{path}"
        size, cluster = found.size, found.cluster
        if not size and not cluster:
            return Bytes(b"", where)
        if not size or not cluster:
            raise FormatError(f"the file has {size:,} bytes, but its first cluster is {cluster}", where=where)
        needed = self._geometry.clusters(size)
        runs = self._chains.follow(cluster, needed, path)
        total = sum(count for _, count in runs)
        if total < needed:
            raise FormatError(
                f"the file has {size:,} bytes, for which it needs {needed:,} clusters, but its chain has {total:,}",
                where=where,
            )
        return self._join(runs, size, where)

    def _join(self, runs: list[Run], size: int, where: str) -> Content:
        pieces: list[tuple[int, Content]] = []
        done = 0
        for cluster, count in runs:
            length = min(count * self._geometry.cluster_size, size - done)
            pieces.append((done, Slice(self._content, self._geometry.offset(cluster), length, where)))
            done += length
        return pieces[0][1] if len(pieces) == 1 else Composite(size, pieces, where)

    def _list(self, path: str, cluster: int) -> list[_Found]:
        """Return what a directory holds; note the volume label when it is the root."""
        geometry = self._geometry
        where = f"{self._image}!/{path}"
        if not path and geometry.kind != 32:
            data = self._content.read(geometry.root_sector * geometry.sector_size, geometry.root_records * RECORD_SIZE)
        else:
            first = cluster if path else self._boot.root_cluster
            runs = self._chains.follow(first, geometry.clusters(MAX_DIRECTORY_RECORDS * RECORD_SIZE), path)
            size = sum(count for _, count in runs) * geometry.cluster_size
            data = self._join(runs, size, where).read()
        result = []
        for found in self._parse(data, where):
            if found.attributes & VOLUME_LABEL:
                if not path and not self._label:
                    self._label = found
                continue
            _check_name(found.name, where)
            result.append(found)
        return result

    def _parse(self, data: bytes, where: str) -> Iterator[_Found]:
        long_name = _LongName()
        for offset in range(0, len(data), RECORD_SIZE):
            if data[offset] == 0:
                return
            attributes = data[offset + 11]
            if data[offset] == DELETED:
                long_name = _LongName()
            elif attributes & LONG_NAME_MASK == LONG_NAME:
                long_name.add(data, offset)
            else:
                alias, _, bits, _, _, _, _, high, clock, date, low, size = RECORD.unpack_from(data, offset)
                name = long_name.name(alias)
                long_name = _LongName()
                if alias in {DOT, DOT_DOT}:
                    continue
                if attributes & VOLUME_LABEL:
                    name = alias.decode("cp437").rstrip(" ")
                yield _Found(
                    name=name or _short_name(alias, bits, where),
                    attributes=attributes,
                    mtime=names.from_dos(date, clock),
                    cluster=low | (high << 16 if self._geometry.kind == 32 else 0),
                    size=size,
                )


class _LongName:
    """Gathers the records of one long name, which come last piece first."""

    __slots__ = ("_checksum", "_expected", "_pieces")

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._expected = -1  # the number of the next piece; 0 when all are there
        self._checksum = -1

    def add(self, data: bytes, offset: int) -> None:
        mark, units_1, _, _, check, units_2, _, units_3 = LONG_RECORD.unpack_from(data, offset)
        number = mark & (LAST - 1)
        if mark & LAST:
            self._pieces, self._checksum = [], check
            self._expected = number if 1 <= number <= _LONGEST_NAME_RECORDS else -1
        elif number != self._expected or check != self._checksum or number == 0:
            self._expected = -1
        if self._expected > 0:
            self._pieces.append(units_1 + units_2 + units_3)
            self._expected -= 1

    def name(self, alias: bytes) -> str | None:
        """Return the long name of the record that bears this short name; None when there is none, or it is damaged."""
        if self._expected != 0 or self._checksum != names.checksum(alias):
            return None
        try:
            name = b"".join(reversed(self._pieces)).decode("utf-16-le")
        except UnicodeDecodeError:
            return None
        name = name.partition("\0")[0]  # padding follows
        return name or None


def _short_name(alias: bytes, bits: int, where: str) -> str:
    if alias[0] == 0x05:  # stands for the character that would mark the record as deleted
        alias = bytes([DELETED]) + alias[1:]
    base, extension = alias[:8], alias[8:]
    name = names.shown(
        (base.lower() if bits & _BASE_IS_LOWER else base)
        + (extension.lower() if bits & _EXTENSION_IS_LOWER else extension)
    )
    if not name:
        raise FormatError("a directory record has no name", where=where)
    return name


def _check_name(name: str, where: str) -> None:
    bad = sorted({character for character in name if character == "/" or character < " "})
    if bad or name in {".", ".."}:
        found = f" with {' '.join(map(ascii, bad))}" if bad else ""
        raise FormatError(f"no file can have this name: {name!r}{found}", where=where)
