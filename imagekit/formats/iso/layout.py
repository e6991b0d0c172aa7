"""ISO 9660 on disk: volume descriptors, directory records, path tables and times, each declared once.

Section numbers are those of ECMA-119 (ISO 9660).  Numbers that stand there in both byte orders are written so and
read from their little-endian half, as kernels do: the other half is wrong in too many images to mean anything.
"""

import struct
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from construct import (
    Bytes,
    BytesInteger,
    Const,
    Construct,
    ExprAdapter,
    Int8ub,
    Int16ub,
    Int16ul,
    Int32ub,
    Int32ul,
    Padding,
    Sequence,
    Struct,
)

SECTOR = 2048
"""Bytes per logical sector; logical blocks are as large in what imagekit writes."""

DESCRIPTORS_SECTOR = 16
"""The sector of the first volume descriptor; those before it are the system area (6.2.1)."""

IDENTIFIER = b"CD001"
PRIMARY, SUPPLEMENTARY, BOOT_RECORD, TERMINATOR = 1, 2, 0, 255
"""Types of volume descriptor (8.1.1)."""

JOLIET_ESCAPES = (b"%/@", b"%/C", b"%/E")
"""What the escape sequences of a supplementary descriptor hold when its names are UCS-2 big-endian (Joliet)."""

FLAG_DIRECTORY, FLAG_ASSOCIATED, FLAG_MULTI_EXTENT = 0x02, 0x04, 0x80
"""File flags of a directory record (9.1.6)."""

SELF, PARENT = b"\0", b"\1"
"""The names of a directory's first two records: itself and the directory above (7.6.2)."""


def _both(little: Construct, big: Construct) -> Construct:
    """Return a number that is written little-endian, then big-endian (7.2.3, 7.3.3)."""
    return ExprAdapter(Sequence(little, big), lambda pair, _: int(pair[0]), lambda number, _: [number, number])


VOLUME_DESCRIPTOR = Struct(
    "type" / Int8ub,
    "identifier" / Const(IDENTIFIER),
    "version" / Int8ub,
    "flags" / Int8ub,  # of a supplementary descriptor; zero in the primary one
    "system_id" / Bytes(32),
    "volume_id" / Bytes(32),
    Padding(8),
    "sectors" / _both(Int32ul, Int32ub),  # the volume's size in logical blocks
    "escapes" / Bytes(32),  # of a supplementary descriptor; zeros in the primary one
    "set_size" / _both(Int16ul, Int16ub),
    "sequence_number" / _both(Int16ul, Int16ub),
    "block_size" / _both(Int16ul, Int16ub),  # bytes
    "path_table_size" / _both(Int32ul, Int32ub),  # bytes
    "path_table_l" / Int32ul,  # where the little-endian table is, in blocks; then where its copy is
    "path_table_l_copy" / Int32ul,
    "path_table_m" / Int32ub,
    "path_table_m_copy" / Int32ub,
    "root" / Bytes(34),  # the root's directory record
    "volume_set_id" / Bytes(128),
    "publisher_id" / Bytes(128),
    "preparer_id" / Bytes(128),
    "application_id" / Bytes(128),
    "copyright_file" / Bytes(37),
    "abstract_file" / Bytes(37),
    "bibliographic_file" / Bytes(37),
    "created" / Bytes(17),
    "modified" / Bytes(17),
    "expires" / Bytes(17),
    "effective" / Bytes(17),
    "structure_version" / BytesInteger(1),
    Padding(1),
    "application_use" / Bytes(512),
    Padding(653),
)
"""Primary (8.4) and supplementary (8.5) volume descriptors: one sector."""

assert VOLUME_DESCRIPTOR.sizeof() == SECTOR

_RECORD = struct.Struct("<BBI4sI4s7sBBBHHB")
RECORD_SIZE = _RECORD.size
"""Bytes of a directory record before its name (9.1)."""

RECORD_LIMIT = 254
"""Bytes of the longest directory record: its length is a byte, and even."""


@dataclass(frozen=True, slots=True)
class DirectoryRecord:
    """An entry of a directory (9.1).

    `extent` is the first logical block and `size` the bytes of data; `attributes` the blocks of the extended attribute
    record before it.  `time` is the 7-byte recording time, `system_use` what SUSP and Rock Ridge keep there.
    """

    extent: int
    size: int
    time: bytes
    flags: int
    name: bytes
    system_use: bytes = b""
    attributes: int = 0
    unit_size: int = 0
    gap_size: int = 0

    def pack(self) -> bytes:
        """Return the record's bytes: of even length, the name padded to an odd one."""
        head_size = RECORD_SIZE + len(self.name)
        head_size += head_size % 2
        length = head_size + len(self.system_use)
        length += length % 2
        head = _RECORD.pack(
            length,
            self.attributes,
            self.extent,
            self.extent.to_bytes(4, "big"),
            self.size,
            self.size.to_bytes(4, "big"),
            self.time,
            self.flags,
            self.unit_size,
            self.gap_size,
            1,
            0x0100,  # the volume's number, 1, in both orders
            len(self.name),
        )
        return ((head + self.name).ljust(head_size, b"\0") + self.system_use).ljust(length, b"\0")

    @classmethod
    def parse(cls, data: bytes, offset: int = 0) -> "DirectoryRecord":
        """Return the record at `offset` of `data`; raise ValueError when it does not hold together."""
        length = data[offset] if offset < len(data) else 0
        end = offset + length
        if length < RECORD_SIZE + 1 or end > len(data):
            room = len(data) - offset
            raise ValueError(f"a directory record of {length} bytes where {RECORD_SIZE + 1} to {room} are possible")
        _, attributes, extent, _, size, _, time, flags, unit, gap, _, _, name_size = _RECORD.unpack_from(data, offset)
        name_end = offset + RECORD_SIZE + name_size
        if not name_size or name_end > end:
            raise ValueError(f"a name of {name_size} bytes in a directory record of {length} bytes")
        name = bytes(data[offset + RECORD_SIZE : name_end])
        # The name is padded so that what follows it starts at an even offset.
        rest = bytes(data[name_end + (name_size + 1) % 2 : end])
        return cls(extent, size, time, flags, name, rest, attributes, unit, gap)


def path_table_record(name: bytes, extent: int, parent: int, order: str) -> bytes:
    """Return a record of a path table (9.4); `order` is "<" (type L) or ">" (type M), `parent` counts from 1."""
    return struct.pack(f"{order}BBIH", len(name), 0, extent, parent) + name + bytes(len(name) % 2)


def both_32(number: int) -> bytes:
    """Return a 32-bit number in both byte orders (7.3.3)."""
    return number.to_bytes(4, "little") + number.to_bytes(4, "big")


EARLIEST = -2208988800
"""1900-01-01T00:00:00Z in seconds since 1970: the earliest time that a record can hold."""
LATEST = 5869583999
"""2155-12-31T23:59:59Z: the latest, since the year is a byte counted from 1900."""

_1970 = datetime(1970, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=1024)
def record_time(seconds: int) -> bytes:
    """Return seconds since 1970 as the 7 bytes of 9.1.5, in UTC; what no record can hold becomes the nearest it can."""
    time = _1970 + timedelta(seconds=min(max(seconds, EARLIEST), LATEST))
    return bytes((time.year - 1900, time.month, time.day, time.hour, time.minute, time.second, 0))


def volume_time(seconds: int) -> bytes:
    """Return seconds since 1970 as the 17 bytes of 8.4.26.1: digits to the hundredth, and the offset from GMT, 0."""
    time = _1970 + timedelta(seconds=seconds)
    digits = f"{time.year:04}{time.month:02}{time.day:02}{time.hour:02}{time.minute:02}{time.second:02}00"
    return digits.encode("ascii") + b"\0"


NO_VOLUME_TIME = b"0" * 16 + b"\0"
"""A time that is not specified (8.4.26.1)."""


@lru_cache(maxsize=1024)
def parse_record_time(data: bytes) -> int | None:
    """Return seconds since 1970 of a 7-byte time, or None when it is not specified or no date."""
    year, month, day, hour, minute, second, zone = struct.unpack("<6Bb", data)
    return _seconds(year + 1900, month, day, hour, minute, second, zone)


def parse_volume_time(data: bytes) -> int | None:
    """Return seconds since 1970 of a 17-byte time, or None when it is not specified or no date."""
    digits = data[:16]
    if not digits.isdigit():
        return None
    year = int(digits[:4])
    month, day, hour, minute, second = (int(digits[place : place + 2]) for place in range(4, 14, 2))
    return _seconds(year, month, day, hour, minute, second, int.from_bytes(data[16:17], "little", signed=True))


def _seconds(year: int, month: int, day: int, hour: int, minute: int, second: int, zone: int) -> int | None:
    """Return seconds since 1970 of a local time `zone` quarters of an hour east of Greenwich."""
    try:
        time = datetime(year, month, day, hour, minute, second, tzinfo=UTC)
    except ValueError:
        return None
    return int((time - _1970).total_seconds()) - zone * 900
