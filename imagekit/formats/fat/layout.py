"""The layout of FAT file systems, declared once for the writer and the reader.

A file system is, in this order: reserved sectors (the boot sector first), the copies of the file allocation table
(FAT), on FAT12 and FAT16 a root directory of fixed size, and the data area, cut into clusters that are counted from 2.
The fields of the boot sector are in boot_sector.py.
Facts: Microsoft's FAT32 File System Specification 1.03 ("fatgen"), and what illumos' pcfs and EDK2 insist upon.
"""

import struct
from typing import Literal

from pyfatfs.FATDirectoryEntry import FATDirectoryEntry

FatType = Literal[12, 16, 32]
"""FAT12, FAT16 or FAT32: the bits per entry of the table."""

SECTOR = 512
"""Bytes per sector that the writer uses; the reader takes what the boot sector says."""

RESERVED_SECTORS: dict[FatType, int] = {12: 1, 16: 1, 32: 32}  # EDK2's tools warn of any other number
FAT_COPIES = 2
FSINFO_SECTOR = 1
BACKUP_SECTOR = 6  # of the boot sector; that of FSInfo follows it
FIRST_CLUSTER = 2
MEDIA = 0xF8  # fixed disk; pcfs compares it with the first byte of the FAT
MARK = b"\x55\xaa"
OEM_NAME = b"IMAGEKIT"
NO_LABEL = "NO NAME"

FAT12_CLUSTERS = 4085  # so many, and it is no longer FAT12
FAT32_CLUSTERS = 65525  # fewer, and it is not FAT32, whatever the boot sector says
MAX_CLUSTERS = 0x0FFFFFF5  # the numbers from 0x0ffffff7 on have a meaning of their own
END_OF_CHAIN = 0x0FFFFFFF  # its lowest 12 or 16 bits on FAT12 and FAT16
CLEAN_BITS: dict[FatType, int] = {12: 0, 16: 0xC000, 32: 0x0C000000}  # in entry 1: unmounted cleanly, no errors seen
MAX_SECTORS = 0xFFFFFFFF
MAX_FILE_SIZE = 0xFFFFFFFF  # bytes
MAX_DIRECTORY_RECORDS = 65536  # 2 MiB, where Windows and Linux stop
MAX_PATH = 4096  # characters; no system opens longer ones
CLUSTER_SIZES = (512, 1024, 2048, 4096, 8192, 16384, 32768)  # bytes; pcfs refuses 64 KiB

RECORD = struct.Struct(FATDirectoryEntry.FAT_DIRECTORY_LAYOUT)
"""A directory record: name (11 bytes), attributes, case bits, creation time (tenths, time, date), access date, first
cluster (high half), modification time and date, first cluster (low half), size in bytes."""

LONG_RECORD = struct.Struct("<B10sBBB12sH4s")
"""A piece of a long name: number (0x40 marks the last, which comes first), 5 UTF-16 units, attributes, type 0, checksum
of the short name, 6 units, cluster 0, 2 units."""

RECORD_SIZE = RECORD.size
READ_ONLY: int = FATDirectoryEntry.ATTR_READ_ONLY
VOLUME_LABEL: int = FATDirectoryEntry.ATTR_VOLUME_ID
DIRECTORY: int = FATDirectoryEntry.ATTR_DIRECTORY
ARCHIVE: int = FATDirectoryEntry.ATTR_ARCHIVE
LONG_NAME: int = FATDirectoryEntry.ATTR_LONG_NAME
LONG_NAME_MASK: int = FATDirectoryEntry.ATTR_LONG_NAME_MASK
DELETED: int = FATDirectoryEntry.FREE_DIR_ENTRY_MARK
LAST = 0x40
UNITS_PER_RECORD = 13  # UTF-16 code units
DOT = b".".ljust(11)
DOT_DOT = b"..".ljust(11)
