"""Reads the records of directories, with their system use entries, and trusts none of them."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from imagekit.content import Content
from imagekit.formats.iso import rock_ridge
from imagekit.formats.iso.descriptors import Descriptors, damaged
from imagekit.formats.iso.layout import (
    FLAG_ASSOCIATED,
    FLAG_DIRECTORY,
    FLAG_MULTI_EXTENT,
    PARENT,
    RECORD_SIZE,
    SECTOR,
    SELF,
    DirectoryRecord,
)

Names = Literal["Rock Ridge", "Joliet", "ISO 9660"]

_MOST_CONTINUATIONS = 32
"""Places in which one record's system use entries may continue; Linux follows as many."""

_CD_XA_SIZE = 14
"""Bytes of the CD-ROM XA attributes that may stand before the system use entries."""


@dataclass(slots=True)
class Found:
    """A directory entry: its name, first record, attributes, and all extents of its data as (block, bytes)."""

    name: str
    record: DirectoryRecord
    attributes: rock_ridge.Attributes
    extents: list[tuple[int, int]]


class RecordReader:
    """Reads directories of one image; `names` says which names they have, `root` and `root_attributes` where to start.

    FormatError, from all methods, when something is damaged; what is read in total is limited by the image's size.
    """

    def __init__(self, image: Content, descriptors: Descriptors) -> None:
        self._image = image
        self._block_size = descriptors.block_size
        # A sound directory is read once, the first sector of a relocated one once more, a continuation once.
        self._bytes_left = 2 * image.size
        self._entries_left = 2 * image.size // (RECORD_SIZE + 1)
        self._skip = 0
        self.names: Names = "ISO 9660"
        self.root = self._parse(descriptors.primary.root, 0, "")
        self.root_attributes = rock_ridge.Attributes()
        own = next(self._records(self.root, ""), None)
        for before in (0, _CD_XA_SIZE) if own else ():
            use = own.system_use[before:] if own else b""
            if use[:2] == b"SP" and use[4:6] == b"\xbe\xef" and len(use) >= 7:
                entries = self._system_use(use, "")
                self.root_attributes = self._attributes(entries, "")
                if self.root_attributes.rock_ridge or any(signature == b"ER" for signature, _ in entries):
                    self.names = "Rock Ridge"
                    self._skip = use[6]
                break
        if self.names != "Rock Ridge" and descriptors.joliet is not None:
            self.names = "Joliet"
            self.root = self._parse(descriptors.joliet.root, 0, "")

    def entries(self, directory: DirectoryRecord, path: str) -> Iterator[Found]:
        """Yield what a directory holds, but for itself and its parent; the extents of one file are put together."""
        taken: set[str] = set()
        part: Found | None = None
        for record in self._records(directory, path):
            if record.name in {SELF, PARENT} or record.flags & FLAG_ASSOCIATED:
                continue
            if part is None:
                attributes = rock_ridge.Attributes()
                if self.names == "Rock Ridge":
                    attributes = self._attributes(self._system_use(record.system_use[self._skip :], path), path)
                found = Found(self._name(record, attributes, taken, path), record, attributes, [])
            elif record.name == part.record.name:
                found = part
            else:
                break
            found.extents.append((record.extent + record.attributes, record.size))
            part = found if record.flags & FLAG_MULTI_EXTENT else None
            if part is None and not found.attributes.relocated:
                taken.add(found.name)
                yield found
        if part is not None:
            raise damaged(self._image, f"the last extent of {part.name!r} is missing", path)

    def relocated(self, block: int, path: str) -> tuple[DirectoryRecord, rock_ridge.Attributes]:
        """Return the own record of the directory to which a child link (RRIP 4.1.5.1) points, and its attributes."""
        where = DirectoryRecord(block, SECTOR, bytes(7), FLAG_DIRECTORY, SELF)
        record = next(self._records(where, path), None)
        if record is None or record.name != SELF or record.extent != block or not record.flags & FLAG_DIRECTORY:
            raise damaged(self._image, f"a link to a directory in block {block}, where there is none", path)
        return record, self._attributes(self._system_use(record.system_use[self._skip :], path), path)

    def _parse(self, data: bytes, offset: int, path: str) -> DirectoryRecord:
        try:
            return DirectoryRecord.parse(data, offset)
        except ValueError as error:
            raise damaged(self._image, str(error), path) from error

    def _records(self, directory: DirectoryRecord, path: str) -> Iterator[DirectoryRecord]:
        """Yield all records of a directory."""
        start = (directory.extent + directory.attributes) * self._block_size
        if start + directory.size > self._image.size:
            raise damaged(
                self._image,
                f"a directory of {directory.size:,} bytes at {start:,}, past the image's end at {self._image.size:,}",
                path,
            )
        for first in range(0, directory.size, SECTOR):
            size = min(SECTOR, directory.size - first)
            data = self._image.read(start + first, size)
            offset = 0
            while offset < size and data[offset]:
                record = self._parse(data, offset, path)
                offset += data[offset]
                self._entries_left -= 1
                yield record
            self._spend(size, path)

    def _spend(self, size: int, path: str) -> None:
        """Count what was read; raise FormatError when it is more than there can be."""
        self._bytes_left -= size
        if self._bytes_left < 0 or self._entries_left < 0:
            raise damaged(self._image, "the directories together are larger than the image: they overlap", path)

    def _name(self, record: DirectoryRecord, attributes: rock_ridge.Attributes, taken: set[str], path: str) -> str:
        if attributes.name:
            name = attributes.name.decode("utf-8", "surrogateescape")
        elif self.names == "Joliet":
            name = _without_version(record.name.decode("utf-16-be", "replace"))
        else:
            whole = record.name.decode("utf-8", "surrogateescape").lower()
            name = _without_version(whole).removesuffix(".")
            # An older version of a file keeps its number.
            name = whole if name in taken else name
        if name in {"", ".", ".."} or "/" in name or "\0" in name:
            raise damaged(self._image, f"{name!r} is no name", path)
        return name

    def _system_use(self, data: bytes, path: str) -> list[tuple[bytes, bytes]]:
        """Return the system use entries of a record, with those that continue them elsewhere."""
        result: list[tuple[bytes, bytes]] = []
        for _ in range(_MOST_CONTINUATIONS):
            try:
                entries = rock_ridge.split_entries(data)
                result += [entry for entry in entries if entry[0] != b"CE"]
                continued = [entry for signature, entry in entries if signature == b"CE"]
                if not continued:
                    return result
                block, offset, size = (rock_ridge.number_32(continued[-1], place) for place in (0, 8, 16))
            except ValueError as error:
                raise damaged(self._image, str(error), path) from error
            start = block * self._block_size + offset
            if size > SECTOR or start + size > self._image.size:
                raise damaged(
                    self._image,
                    f"system use entries continue in {size:,} bytes at {start:,}; a sector has {SECTOR:,} bytes, the "
                    f"image {self._image.size:,}",
                    path,
                )
            self._spend(size, path)
            data = self._image.read(start, size)
        raise damaged(
            self._image, f"system use entries continue in more than {_MOST_CONTINUATIONS} places: a loop", path
        )

    def _attributes(self, entries: list[tuple[bytes, bytes]], path: str) -> rock_ridge.Attributes:
        try:
            return rock_ridge.parse_attributes(entries)
        except ValueError as error:
            raise damaged(self._image, str(error), path) from error


def _without_version(name: str) -> str:
    """Return a name without the version at its end, as in NAME;1."""
    base, semicolon, version = name.rpartition(";")
    return base if semicolon and version.isdigit() else name
