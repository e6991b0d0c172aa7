"""Reads ISO 9660 images, whoever wrote them, into Trees.

Names and attributes come from Rock Ridge where it is, else names from Joliet, else from the primary descriptor: in
small letters and without versions, as Linux and illumos show them.  What an image does not tell (modes, without
Rock Ridge) is what Entry has by default.  Contents are read when they are asked for.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from imagekit.content import Bytes, Composite, Content, Slice
from imagekit.errors import FormatError, InputError
from imagekit.formats.iso import el_torito
from imagekit.formats.iso.descriptors import damaged, read_descriptors
from imagekit.formats.iso.layout import (
    FLAG_DIRECTORY,
    SECTOR,
    DirectoryRecord,
    parse_record_time,
    parse_volume_time,
)
from imagekit.formats.iso.records import Found, Names, RecordReader
from imagekit.formats.iso.rock_ridge import Attributes
from imagekit.tree import Directory, Entry, File, HardLink, Special, Symlink, Tree, TreeTooLargeError

_LONGEST_PATH = 4096
"""Characters of a path: no kernel takes a longer one."""

_SPECIAL = {0o010000: "p", 0o020000: "c", 0o060000: "b", 0o140000: "s"}
_TYPE_MASK, _DIRECTORY, _REGULAR, _LINK = 0o170000, 0o040000, 0o100000, 0o120000


@dataclass(frozen=True, slots=True, kw_only=True)
class BootImage:
    """What an entry of the boot catalog offers; `path` is that of the file which it is, "" when it is none."""

    entry: el_torito.CatalogEntry
    path: str
    content: Content

    @property
    def platform(self) -> str:
        """The platform: bios, efi, or its number."""
        names = {number: name for name, number in el_torito.PLATFORM_IDS.items()}
        return names.get(self.entry.platform, f"{self.entry.platform:#x}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Volume:
    """A volume that was read; times are seconds since 1970, None when not given; `size` is in bytes."""

    volume_id: str
    system_id: str
    volume_set_id: str
    publisher: str
    preparer: str
    application: str
    created: int | None
    modified: int | None
    size: int
    names: Names
    boot: tuple[BootImage, ...]
    tree: Tree


def read(image: Content) -> Tree:
    """Return what an image holds; raise FormatError when it is damaged or no ISO 9660 image."""
    return read_volume(image).tree


def read_volume(image: Content) -> Volume:
    """Return what an image holds and says of itself; raise FormatError when it is damaged or none."""
    descriptors = read_descriptors(image)
    primary = descriptors.primary
    reader = _TreeReader(image, descriptors.block_size, RecordReader(image, descriptors))
    return Volume(
        volume_id=_text(primary.volume_id),
        system_id=_text(primary.system_id),
        volume_set_id=_text(primary.volume_set_id),
        publisher=_text(primary.publisher_id),
        preparer=_text(primary.preparer_id),
        application=_text(primary.application_id),
        created=parse_volume_time(primary.created),
        modified=parse_volume_time(primary.modified),
        size=primary.sectors * descriptors.block_size,
        names=reader.records.names,
        boot=tuple(reader.boot_images(descriptors.boot_record)),
        tree=reader.tree,
    )


class _TreeReader:
    def __init__(self, image: Content, block_size: int, records: RecordReader) -> None:
        self._image = image
        self._block_size = block_size
        self.records = records
        self.tree = Tree(_directory("", records.root, records.root_attributes))
        self._inodes: dict[tuple[int | None, int, int], str] = {}
        self._by_block: dict[int, str] = {}
        pending = [("", records.root)]
        seen = {records.root.extent}
        while pending:
            parent, directory = pending.pop()
            for found in records.entries(directory, parent):
                path = f"{parent}/{found.name}" if parent else found.name
                if len(path) > _LONGEST_PATH:
                    raise self._damaged(f"a path of more than {_LONGEST_PATH:,} characters", f"{path[:64]}...")
                subdirectory = self._add(path, found)
                if subdirectory is not None:
                    if subdirectory.extent in seen:
                        raise self._damaged(f"its block, {subdirectory.extent}, is that of another directory", path)
                    seen.add(subdirectory.extent)
                    pending.append((path, subdirectory))

    def _damaged(self, what: str, path: str) -> FormatError:
        return damaged(self._image, what, path)

    def _add(self, path: str, found: Found) -> DirectoryRecord | None:
        """Add an entry to the tree; return its record when it is a directory."""
        record, attributes = found.record, found.attributes
        if attributes.child is not None:
            record, attributes = self.records.relocated(attributes.child, path)
        is_directory = bool(record.flags & FLAG_DIRECTORY)
        kind = (attributes.mode or 0) & _TYPE_MASK or (_DIRECTORY if is_directory else _REGULAR)
        if is_directory != (kind == _DIRECTORY):
            raise self._damaged(f"its mode is {attributes.mode:o}, but the flags of its record {record.flags:#x}", path)
        entry = _directory(path, record, attributes) if is_directory else self._leaf(path, found, kind)
        try:
            self.tree.add(entry)
        except TreeTooLargeError as error:
            raise FormatError(error.what, where=self._image.origin) from None
        except InputError as error:
            raise self._damaged(error.what, path) from error
        return record if is_directory else None

    def _leaf(self, path: str, found: Found, kind: int) -> Entry:
        """Return the entry of what is no directory."""
        attributes = found.attributes
        common = _common(path, found.record, attributes, 0o644)
        block, size = found.extents[0]
        if attributes.links > 1 and (attributes.serial is not None or size):
            first = self._inodes.setdefault((attributes.serial, block, size), path)
            if first != path and _is_of(self.tree[first], kind):
                return HardLink(**common, target=first)
        if kind == _LINK:
            target = attributes.target or b""
            if not target or b"\0" in target:
                raise self._damaged(f"a symbolic link to {target!r}", path)
            return Symlink(**common, target=target.decode("utf-8", "surrogateescape"))
        if kind in _SPECIAL:
            major, minor = attributes.device
            return Special(**common, type=_SPECIAL[kind], major=major, minor=minor)
        if kind != _REGULAR:
            raise self._damaged(f"its mode, {attributes.mode:o}, is of no known type", path)
        return File(**common, content=self._data(path, found))

    def _data(self, path: str, found: Found) -> Content:
        """Return the content of a file."""
        if found.attributes.compressed:
            raise self._damaged("a file that is compressed inside the image (zisofs), which is not supported", path)
        if found.record.unit_size or found.record.gap_size:
            raise self._damaged("a file in interleaved mode, which is not supported", path)
        origin = f"{self._image.origin}!/{path}"
        total = 0
        pieces: list[tuple[int, Content]] = []
        for block, size in found.extents:
            if size:  # the place of an extent without data means nothing
                pieces.append((total, Slice(self._image, block * self._block_size, size, origin)))
                self._by_block.setdefault(block, path)
            total += size
        if not pieces:
            return Bytes(b"", origin)
        return pieces[0][1] if len(pieces) == 1 else Composite(total, pieces, origin)

    def boot_images(self, record: bytes | None) -> Iterator[BootImage]:
        """Yield what the boot catalog offers that a boot record points to."""
        try:
            sector = el_torito.parse_boot_record(record) if record else None
            if sector is None:
                return
            whole = Slice(self._image, sector * SECTOR, SECTOR, f"{self._image.origin}: boot catalog")
            entries = el_torito.parse_catalog(whole.read())
        except ValueError as error:
            raise self._damaged(str(error), "") from error
        for number, entry in enumerate(entries):
            yield self._boot_image(f"{self._image.origin}: boot catalog entry {number}", entry)

    def _boot_image(self, origin: str, entry: el_torito.CatalogEntry) -> BootImage:
        start = entry.sector * SECTOR
        path = self._by_block.get(start // self._block_size, "")
        file = self.tree.get(path)
        if isinstance(file, File):
            return BootImage(entry=entry, path=path, content=file.content)
        left = max(self._image.size - start, 0)
        size = left if entry.size is None else min(entry.size, left)
        return BootImage(entry=entry, path="", content=Slice(self._image, start, size, origin))


def _common(path: str, record: DirectoryRecord, attributes: Attributes, mode: int) -> dict[str, Any]:
    """Return what all entries have; `mode` stands in for one that is not told."""
    time = parse_record_time(record.time) if attributes.time is None else attributes.time
    return {
        "path": path,
        "mode": mode if attributes.mode is None else attributes.mode & 0o7777,
        "uid": attributes.uid,
        "gid": attributes.gid,
        "mtime": time or 0,
    }


def _directory(path: str, record: DirectoryRecord, attributes: Attributes) -> Directory:
    return Directory(**_common(path, record, attributes, 0o755))


def _is_of(entry: Entry, kind: int) -> bool:
    """Tell whether an entry is of the kind that a mode's type bits tell."""
    if isinstance(entry, Special):
        return entry.type == _SPECIAL.get(kind)
    return isinstance(entry, Symlink if kind == _LINK else File)


def _text(data: bytes) -> str:
    """Return an identifier of a volume descriptor without its padding."""
    return data.decode("ascii", "replace").rstrip(" \0")
