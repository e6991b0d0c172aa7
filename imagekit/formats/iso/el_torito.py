"""El Torito: the boot record and the boot catalog, through which BIOS and UEFI find what to start from a CD.

The records themselves are pycdlib's; where they stand and what they point to is decided here.
"""

import struct
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

from pycdlib.eltorito import EltoritoEntry, EltoritoSectionHeader, EltoritoValidationEntry
from pycdlib.headervd import BootRecord
from pycdlib.pycdlibexception import PyCdlibException

from imagekit.content import Bytes, Composite, Content, Slice
from imagekit.formats.iso.layout import DESCRIPTORS_SECTOR

Platform = Literal["bios", "efi"]
PLATFORM_IDS: dict[Platform, int] = {"bios": 0x00, "efi": 0xEF}

SYSTEM_ID = b"EL TORITO SPECIFICATION"
VIRTUAL_SECTOR = 512
"""Bytes per sector in the counts of the catalog."""
LOAD_LIMIT = 0xFFFF
"""The most sectors that an entry can ask to be loaded."""

DISKETTE_SIZES = {1: 1_228_800, 2: 1_474_560, 3: 2_949_120}
"""Bytes of a boot image by the diskette that it emulates; there the count says only what is loaded at first."""

TABLE_OFFSET, TABLE_END = 8, 64
"""Where a boot info table lies in the program that it is patched into, in bytes; its last 40 bytes are reserved."""

_RECORD_SIZE = 32
_MOST_RECORDS = 64
"""Records of a catalog that are read: one sector full."""


@dataclass(frozen=True, slots=True)
class CatalogEntry:
    """A boot image as the catalog describes it.

    `load_sectors` counts 512-byte sectors; 0 in an EFI entry stands for "to the end" (images of 32 MiB and more).
    `sector` is the image's first, of 2048 bytes; `media` is 0 without emulation, 1 to 3 for diskettes, 4 for a disk.
    """

    platform: int
    load_sectors: int
    sector: int
    bootable: bool = True
    media: int = 0

    @property
    def size(self) -> int | None:
        """The bytes of the image as far as the entry tells; None when it goes on to an end that it does not tell."""
        if self.media:
            return DISKETTE_SIZES.get(self.media)
        return self.load_sectors * VIRTUAL_SECTOR or None


def boot_record(catalog_sector: int) -> bytes:
    """Return the boot record volume descriptor that points to the catalog."""
    record = BootRecord()
    record.new(SYSTEM_ID)
    record.update_boot_system_use(struct.pack("<I", catalog_sector).ljust(1977, b"\0"))
    return bytes(record.record())


def pack_catalog(entries: Sequence[CatalogEntry]) -> bytes:
    """Return the catalog: the first entry is the default one, the others follow in sections by platform."""
    validation = EltoritoValidationEntry()
    validation.new(entries[0].platform)
    sections: list[EltoritoSectionHeader] = []
    for entry in entries[1:]:
        if not sections or sections[-1].platform_id != entry.platform:
            if sections:
                sections[-1].set_record_not_last()
            sections.append(EltoritoSectionHeader())
            sections[-1].new(bytes(28), entry.platform)
        sections[-1].add_new_entry(_pack_entry(entry))
    first = validation.record() + _pack_entry(entries[0]).record()
    return bytes(first + b"".join(section.record() for section in sections))


def _pack_entry(entry: CatalogEntry) -> EltoritoEntry:
    record = EltoritoEntry()
    record.new(entry.load_sectors, 0, "noemul", 0, True)
    record.set_data_location(entry.sector, 0)
    return record


def parse_boot_record(data: bytes) -> int | None:
    """Return the catalog's sector from a boot record volume descriptor, or None when it is not El Torito's."""
    record = BootRecord()
    try:
        record.parse(data, 0)
    except PyCdlibException as error:
        raise ValueError(str(error)) from error
    if record.boot_system_identifier.rstrip(b"\0 ") != SYSTEM_ID:
        return None
    return int(struct.unpack_from("<I", record.boot_system_use)[0])


def parse_catalog(data: bytes) -> tuple[CatalogEntry, ...]:
    """Return the entries of a catalog, the default one first; raise ValueError when it is damaged."""
    records = [data[place : place + _RECORD_SIZE] for place in range(0, len(data) - _RECORD_SIZE + 1, _RECORD_SIZE)]
    if len(records) < 2:
        raise ValueError(f"a boot catalog of {len(data)} bytes, not at least {2 * _RECORD_SIZE}")
    validation = EltoritoValidationEntry()
    _parse(validation.parse, records[0])
    result = [_parse_entry(records[1], validation.platform_id)]
    platform, expected = validation.platform_id, 0
    for record in records[2:_MOST_RECORDS]:
        if expected == 0:
            if record[0] not in {0x90, 0x91}:  # neither a header that more follow nor the last one
                break
            header = EltoritoSectionHeader()
            _parse(header.parse, record)
            platform, expected = header.platform_id, header.num_section_entries
        elif record[0] != 0x44:  # a continuation of the entry before holds nothing that is used here
            result.append(_parse_entry(record, platform))
            expected -= 1
    return tuple(result)


def _parse(parser: Callable[[bytes], None], record: bytes) -> None:
    try:
        parser(record)
    except PyCdlibException as error:
        raise ValueError(str(error)) from error


def _parse_entry(record: bytes, platform: int) -> CatalogEntry:
    entry = EltoritoEntry()
    _parse(entry.parse, record)
    bootable = entry.boot_indicator == 0x88
    return CatalogEntry(platform, entry.sector_count, entry.load_rba, bootable, entry.boot_media_type)


def with_boot_info_table(program: Content, sector: int) -> Content:
    """Return a boot program with the table in its bytes 8 to 63 that tells it where it is; `sector` is its first.

    The table holds, as 32-bit little-endian numbers, the primary volume descriptor's sector, the program's, its size
    in bytes, and the sum of its 32-bit words from byte 64 on; the rest is zero.
    """
    total = 0
    body = Slice(program, TABLE_END, program.size - TABLE_END)
    for block in body.blocks():
        words = block.tobytes()
        words += bytes(-len(words) % 4)
        total += sum(struct.unpack(f"<{len(words) // 4}I", words))
    table = struct.pack("<4I", DESCRIPTORS_SECTOR, sector, program.size, total & 0xFFFFFFFF)
    head = program.read(0, TABLE_OFFSET) + table.ljust(TABLE_END - TABLE_OFFSET, b"\0")
    return Composite(program.size, [(0, Bytes(head, program.origin)), (TABLE_END, body)], program.origin)
