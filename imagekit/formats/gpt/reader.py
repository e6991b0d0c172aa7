"""The reader of a disk's GUID partition table."""

import uuid
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import construct

from imagekit.content import Content, Slice
from imagekit.errors import FormatError, ImagekitError
from imagekit.formats.gpt.layout import (
    ENTRY,
    ENTRY_SIZE,
    HEADER,
    HEADER_SIZE,
    REVISION,
    SECTOR,
    SIGNATURE,
    Partition,
    overlaps,
)
from imagekit.formats.mbr.layout import PROTECTIVE
from imagekit.formats.mbr.reader import used_slots

_LARGEST_ARRAY = 1 << 20  # bytes; 128 entries take 16 KiB, and no known program writes more than 1,024


@dataclass(frozen=True, slots=True, kw_only=True)
class GptImage:
    """What `read` found on a disk.  `notes` say what is unusual or damaged, though not in the way of reading."""

    content: Content = field(repr=False)
    disk_guid: uuid.UUID
    partitions: Sequence[Partition]
    boot_code: bytes = field(repr=False)
    entry_count: int
    first_usable: int
    last_usable: int
    notes: Sequence[str] = ()

    def slice(self, partition: Partition) -> Slice:
        """Return what a partition holds."""
        name = partition.name or f"partition {partition.index}"
        return Slice(self.content, partition.offset, partition.size, f"{self.content.origin}!{name}")


def is_gpt(content: Content) -> bool:
    """Tell whether a content has a GPT header in its second sector."""
    return content.size >= SECTOR + len(SIGNATURE) and content.read(SECTOR, len(SIGNATURE)) == SIGNATURE


def find(content: Content, wanted: Callable[[Content], bool]) -> Content:
    """Return what the first partition holds that is `wanted`, those named "root" before all; FormatError without one.

    The partition table is checked as by `read`.
    """
    disk = read(content)
    for partition in sorted(disk.partitions, key=lambda partition: partition.name != "root"):
        inside = disk.slice(partition)
        if wanted(inside):
            return inside
    raise FormatError("no partition holds a file system that can be read here", where=content.origin)


def read(content: Content) -> GptImage:
    """Read a disk's partition table: the primary one, else the backup with a note.

    Nothing in it is trusted: checksums, sizes and places are checked first.  FormatError when neither is sound, when
    there is none at all (it says what is there instead), or when a partition lies outside the disk.
    """
    if content.size < 3 * SECTOR:
        raise FormatError(f"{content.size:,} bytes are too few for a partitioned disk", where=content.origin)
    boot_code = content.read(0, SECTOR)
    notes: list[str] = []
    header, array = _best_table(content, boot_code, notes)
    notes += _mbr_notes(boot_code)
    partitions = _partitions(content, header, array, notes)
    return GptImage(
        content=content,
        disk_guid=header.disk_guid,
        partitions=tuple(partitions),
        boot_code=boot_code,
        entry_count=header.entry_count,
        first_usable=header.first_usable,
        last_usable=header.last_usable,
        notes=tuple(notes),
    )


def _best_table(content: Content, boot_code: bytes, notes: list[str]) -> tuple[Any, bytes]:
    """Return the primary header and its entries, else the backup's; add what is wrong to `notes`."""
    last = content.size // SECTOR - 1
    try:
        header, array = _read_table(content, 1)
    except FormatError as primary:
        # On a disk that was copied to a larger one the backup is where the primary header says, if that can be read.
        noted = int.from_bytes(content.read(SECTOR + 32, 8), "little")
        for lba in (last, noted if 1 < noted < last else last):
            try:
                table = _read_table(content, lba)
            except FormatError as error:
                backup = error
            else:
                notes.append(f"the primary partition table is damaged ({primary.what}); the backup was used")
                return table
        raise _unreadable(content, boot_code, primary, backup) from primary
    if header.other_lba != last:
        notes.append(f"the backup header belongs in sector {header.other_lba:,}; the last sector is {last:,}")
        return header, array
    try:
        _, copy = _read_table(content, last)
    except FormatError as error:
        notes.append(f"the backup partition table is damaged: {error.what}")
    else:
        if copy != array:
            notes.append("the backup partition table differs from the primary one")
    return header, array


def _read_table(content: Content, lba: int) -> tuple[Any, bytes]:
    where = f"{content.origin}@{lba * SECTOR:#x}"
    sector = content.read(lba * SECTOR, SECTOR)
    if not sector.startswith(SIGNATURE):
        raise FormatError(f"no GPT header in sector {lba:,}: no signature {SIGNATURE.decode()!r}", where=where)
    try:
        header = HEADER.parse(sector)
    except construct.ConstructError as error:
        raise FormatError(
            f"the GPT header in sector {lba:,} has a reserved field that is not 0", where=where
        ) from error
    if header.revision != REVISION or not HEADER_SIZE <= header.header_size <= SECTOR:
        raise FormatError(
            f"revision {header.revision:#010x} with {header.header_size:,} bytes of header in sector {lba:,}, "
            f"{REVISION:#010x} and {HEADER_SIZE} expected",
            where=where,
        )
    _compare(zlib.crc32(sector[:16] + bytes(4) + sector[20 : header.header_size]), header.header_crc, "header", where)
    if header.my_lba != lba:
        raise FormatError(f"the header in sector {lba:,} says that it is in sector {header.my_lba:,}", where=where)
    size = header.entry_count * header.entry_size
    if header.entry_size < ENTRY_SIZE or header.entry_size % 8 or not 0 < size <= _LARGEST_ARRAY:
        raise FormatError(
            f"{header.entry_count:,} entries of {header.entry_size:,} bytes: not a possible table", where=where
        )
    if header.entries_lba < 2 or header.entries_lba * SECTOR + size > content.size:
        raise FormatError(f"the entries would be in sector {header.entries_lba:,}, outside the disk", where=where)
    array = content.read(header.entries_lba * SECTOR, size)
    _compare(zlib.crc32(array), header.entries_crc, "entries", where)
    return header, array


def _compare(found: int, expected: int, what: str, where: str) -> None:
    if found != expected:
        raise FormatError(f"the CRC of the GPT {what} is {found:#010x}, not {expected:#010x} as noted", where=where)


def _partitions(content: Content, header: Any, array: bytes, notes: list[str]) -> list[Partition]:
    found: list[Partition] = []
    for index in range(header.entry_count):
        raw = array[index * header.entry_size :][:ENTRY_SIZE]
        if not any(raw[:16]):
            continue
        entry = ENTRY.parse(raw)
        name = entry.name.decode("utf-16-le", "replace").partition("\0")[0]
        if entry.last_lba < entry.first_lba or (entry.last_lba + 1) * SECTOR > content.size:
            raise FormatError(
                f"partition {index} ({name!r}) lies in sectors {entry.first_lba:,} to {entry.last_lba:,}, "
                f"the disk has {content.size // SECTOR:,}",
                where=f"{content.origin}!{name or index}",
                hint="the image is damaged or cut short",
            )
        partition = Partition(
            index=index,
            name=name,
            type_guid=entry.type_guid,
            guid=entry.guid,
            first_lba=entry.first_lba,
            sectors=entry.last_lba - entry.first_lba + 1,
            attributes=entry.attributes,
        )
        if not header.first_usable <= entry.first_lba <= entry.last_lba <= header.last_usable:
            notes.append(f"{partition} leaves the usable sectors {header.first_usable:,} to {header.last_usable:,}")
        found.append(partition)
    notes += [f"{one} and {two} overlap" for one, two in overlaps(found)]
    return found


def _mbr_notes(sector: bytes) -> list[str]:
    types = [slot.type for slot in used_slots(sector)]
    if not types:
        return ["the first sector has no protective MBR entry"]
    if types != [PROTECTIVE]:
        return [f"a hybrid or foreign MBR: partition types {', '.join(f'{kind:#04x}' for kind in types)}"]
    return []


def _unreadable(content: Content, sector: bytes, primary: ImagekitError, backup: ImagekitError) -> FormatError:
    """Say what is there instead of a sound GPT."""
    slots = used_slots(sector)
    if slots and all(slot.type != PROTECTIVE for slot in slots):
        listed = ", ".join(f"type {slot.type:#04x} at sector {slot.first_lba:,}" for slot in slots)
        return FormatError(f"an MBR disk without a GPT: {listed}", where=content.origin)
    if content.size >= 8 * SECTOR + 8 and content.read(8 * SECTOR, 8) == SIGNATURE:
        return FormatError("a GPT for sectors of 4,096 bytes; imagekit reads those of 512", where=content.origin)
    if slots or content.read(SECTOR, 8) == SIGNATURE:
        return FormatError(
            f"both partition tables are damaged: {primary.what}; {backup.what}",
            where=content.origin,
            hint="the image is damaged or cut short",
        )
    return FormatError("not a partitioned disk: no GPT header, no MBR partitions", where=content.origin)
