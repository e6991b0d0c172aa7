"""The layout of a GUID partition table, and what its plan and its reader share.

In sectors of 512 bytes (UEFI specification 2.10, chapter 5): 0 the protective MBR, 1 the header, 2 the entry array, and
at the end of the disk a copy of the array and, in the last sector, the backup header.  As illumos' libefi does, the
usable area starts at 34 and ends 33 sectors before the last one, however few entries there are.
"""

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import construct

SECTOR = 512
"""Bytes per sector, the only size that the boot programs know."""

FIRST_USABLE = 34
"""The first sector that a partition may use: behind 32 sectors of entries."""

DEFAULT_ENTRIES = 9
"""What libefi writes: the entries of eight slices and of the reserved one."""

MOST_ENTRIES = 128
"""What nearly all other programs write; the UEFI specification asks for the room that they take."""

EFI_SYSTEM = uuid.UUID("c12a7328-f81f-11d2-ba4b-00a0c93ec93b")
ILLUMOS_BOOT = uuid.UUID("6a82cb45-1dd2-11b2-99a6-080020736631")
ILLUMOS_ROOT = uuid.UUID("6a85cf4d-1dd2-11b2-99a6-080020736631")
ILLUMOS_RESERVED = uuid.UUID("6a945a3b-1dd2-11b2-99a6-080020736631")

UNUSED = uuid.UUID(int=0)
SIGNATURE = b"EFI PART"
REVISION = 0x00010000
HEADER_SIZE = 92
ENTRY_SIZE = 128
TAIL = 33  # sectors behind the usable area: the backup array (32, as for 128 entries) and the backup header
NAME_UNITS = 36  # UTF-16 code units


_GUID = construct.ExprAdapter(  # its first three fields are little-endian
    construct.Bytes(16), lambda raw, _: uuid.UUID(bytes_le=raw), lambda guid, _: guid.bytes_le
)

HEADER = construct.Struct(
    "signature" / construct.Bytes(8),
    "revision" / construct.Int32ul,
    "header_size" / construct.Int32ul,  # bytes that the header's CRC covers
    "header_crc" / construct.Int32ul,  # computed with this field 0
    "reserved" / construct.Const(0, construct.Int32ul),
    "my_lba" / construct.Int64ul,
    "other_lba" / construct.Int64ul,  # where the other header is
    "first_usable" / construct.Int64ul,
    "last_usable" / construct.Int64ul,  # inclusive
    "disk_guid" / _GUID,
    "entries_lba" / construct.Int64ul,
    "entry_count" / construct.Int32ul,
    "entry_size" / construct.Int32ul,  # bytes
    "entries_crc" / construct.Int32ul,  # of entry_count * entry_size bytes
)

ENTRY = construct.Struct(
    "type_guid" / _GUID,  # all zero: unused
    "guid" / _GUID,
    "first_lba" / construct.Int64ul,
    "last_lba" / construct.Int64ul,  # inclusive
    "attributes" / construct.Int64ul,
    "name" / construct.Bytes(2 * NAME_UNITS),  # UTF-16LE, padded with NULs
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One entry; `index` counts from 0, `first_lba` and `sectors` are in sectors, `attributes` are the 64 flag bits."""

    index: int
    name: str
    type_guid: uuid.UUID
    guid: uuid.UUID
    first_lba: int
    sectors: int
    attributes: int = 0

    @property
    def last_lba(self) -> int:
        """The last sector, which belongs to the partition."""
        return self.first_lba + self.sectors - 1

    @property
    def offset(self) -> int:
        """Where it starts on the disk, in bytes."""
        return self.first_lba * SECTOR

    @property
    def size(self) -> int:
        """Its size in bytes."""
        return self.sectors * SECTOR

    def data(self) -> dict[str, object]:
        """Return it as data; offset and size are in bytes."""
        return {
            "index": self.index,
            "name": self.name,
            "type": str(self.type_guid),
            "guid": str(self.guid),
            "offset": self.offset,
            "size": self.size,
        }

    def __str__(self) -> str:
        return f"partition {self.index} ({self.name!r}, sectors {self.first_lba:,} to {self.last_lba:,})"


def last_usable(size: int) -> int:
    """Return the last sector that a partition may use on a disk of `size`."""
    return size // SECTOR - 1 - TAIL


def overlaps(partitions: Sequence[Partition]) -> list[tuple[Partition, Partition]]:
    """Return the neighbours on the disk that overlap: at least one pair when any two do."""
    ordered = sorted(partitions, key=lambda partition: (partition.first_lba, partition.last_lba))
    return [(one, two) for one, two in pairwise(ordered) if two.first_lba <= one.last_lba]
