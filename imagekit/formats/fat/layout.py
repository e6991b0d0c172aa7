"""The layout of FAT file systems, declared once for the writer and the reader: boot sector, geometry, records.

A file system is, in this order: reserved sectors (the boot sector first), the copies of the file allocation table
(FAT), on FAT12 and FAT16 a root directory of fixed size, and the data area, cut into clusters that are counted from 2.
Facts: Microsoft's FAT32 File System Specification 1.03 ("fatgen"), and what illumos' pcfs and EDK2 insist upon.
"""

import struct
from dataclasses import dataclass, replace
from typing import Literal, Self

from pyfatfs.BootSectorHeader import FAT12BootSectorHeader, FAT32BootSectorHeader
from pyfatfs.FATDirectoryEntry import FATDirectoryEntry
from pyfatfs.FSInfo import FSInfo

from imagekit.errors import FormatError

Kind = Literal[12, 16, 32]
"""FAT12, FAT16 or FAT32: the bits per entry of the table."""

SECTOR = 512
"""Bytes per sector that the writer uses; the reader takes what the boot sector says."""

RESERVED_SECTORS: dict[Kind, int] = {12: 1, 16: 1, 32: 32}  # EDK2's tools warn of any other number
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
CLEAN_BITS: dict[Kind, int] = {12: 0, 16: 0xC000, 32: 0x0C000000}  # in entry 1: unmounted cleanly, no read error seen
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

_SMALL_DISK = 1024 * 2 * 16
"""Sectors of a disk of 1,024 cylinders with 2 heads and 16 sectors per track; larger ones have 255 heads and 63."""

# int 18h asks the BIOS for the next boot device; should that return: hlt, and a jump back to it.
_BOOT_CODE = b"\xcd\x18\xf4\xeb\xfd"


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Where things lie: sizes in bytes, the rest counted in sectors of `sector_size`, as in the boot sector."""

    kind: Kind
    sector_size: int
    sector_count: int
    cluster_size: int
    reserved_sectors: int
    fat_copies: int
    fat_sectors: int
    root_records: int  # of FAT12's and FAT16's root directory; 0 on FAT32

    @classmethod
    def filling(cls, kind: Kind, size: int, cluster_size: int, root_records: int = 0) -> Self:
        """Return how a file system fills `size` bytes: tables just long enough, then the data area.

        That of FAT32 starts at a multiple of the cluster size and of 4 KiB, at most 63 sectors are lost to that; FAT12
        and FAT16 are for small media, and lose none.  `root_records` is the size of the root directory of those two.
        """
        sector_count, per_cluster, reserved = size // SECTOR, cluster_size // SECTOR, RESERVED_SECTORS[kind]
        root_sectors = -(-root_records * RECORD_SIZE // SECTOR)
        # What tables and data area share, counted in bits of the table; entries 0 and 1 serve no cluster.
        shared = (sector_count - reserved - root_sectors + FIRST_CLUSTER * per_cluster) * kind
        fat_sectors = -(-shared // (SECTOR * 8 * per_cluster + FAT_COPIES * kind))
        if kind == 32:
            boundary = max(per_cluster, 8)
            fat_sectors += -(reserved // FAT_COPIES + fat_sectors) % (boundary // FAT_COPIES)
        return cls(
            kind=kind,
            sector_size=SECTOR,
            sector_count=sector_count,
            cluster_size=cluster_size,
            reserved_sectors=reserved,
            fat_copies=FAT_COPIES,
            fat_sectors=fat_sectors,
            root_records=root_records,
        )

    @property
    def sectors_per_cluster(self) -> int:
        """Sectors per cluster."""
        return self.cluster_size // self.sector_size

    @property
    def root_sector(self) -> int:
        """The sector behind the tables: where the root directory of FAT12 and FAT16 lies."""
        return self.reserved_sectors + self.fat_copies * self.fat_sectors

    @property
    def data_sector(self) -> int:
        """The sector at which cluster 2 starts."""
        return self.root_sector + -(-self.root_records * RECORD_SIZE // self.sector_size)

    @property
    def cluster_count(self) -> int:
        """The number of whole clusters in the data area."""
        return (self.sector_count - self.data_sector) // self.sectors_per_cluster

    @property
    def last_cluster(self) -> int:
        """The highest cluster number."""
        return self.cluster_count + FIRST_CLUSTER - 1

    def fat_offset(self, copy: int) -> int:
        """Return where a copy of the table lies, in bytes."""
        return (self.reserved_sectors + copy * self.fat_sectors) * self.sector_size

    def offset(self, cluster: int) -> int:
        """Return where a cluster lies, in bytes."""
        return self.data_sector * self.sector_size + (cluster - FIRST_CLUSTER) * self.cluster_size

    def clusters(self, size: int) -> int:
        """Return how many clusters hold `size` bytes."""
        return -(-size // self.cluster_size)


@dataclass(frozen=True, slots=True, kw_only=True)
class BootSector:
    """What a boot sector says; `label` is as in it, without the padding, `hidden_sectors` the partition's start."""

    geometry: Geometry
    oem_name: str
    label: str
    volume_id: int
    hidden_sectors: int
    root_cluster: int  # 0 on FAT12 and FAT16
    active_fat: int  # the copy of the table that counts

    def pack(self) -> bytes:
        """Return the boot sector, of 512 bytes."""
        geometry = self.geometry
        is_fat32 = geometry.kind == 32
        header = FAT32BootSectorHeader() if is_fat32 else FAT12BootSectorHeader()
        short_count = 0 if is_fat32 or geometry.sector_count > 0xFFFF else geometry.sector_count
        sectors_per_track, heads = (16, 2) if geometry.sector_count <= _SMALL_DISK else (63, 255)
        header.update(
            BS_jmpBoot=bytes([0xEB, len(header) - 2, 0x90]),  # to the boot code, behind the header
            BS_OEMName=self.oem_name.encode("ascii").ljust(8),
            BPB_BytsPerSec=geometry.sector_size,
            BPB_SecPerClus=geometry.sectors_per_cluster,
            BPB_RsvdSecCnt=geometry.reserved_sectors,
            BPB_NumFATs=geometry.fat_copies,
            BPB_RootEntCnt=geometry.root_records,
            BPB_TotSec16=short_count,
            BPB_Media=MEDIA,
            BPB_FATSz16=0 if is_fat32 else geometry.fat_sectors,
            BPB_SecPerTrk=sectors_per_track,
            BPB_NumHeads=heads,
            BPB_HiddSec=self.hidden_sectors,
            BPB_TotSec32=0 if short_count else geometry.sector_count,
            BS_DrvNum=0x80,
            BS_Reserved1=0,
            BS_BootSig=0x29,  # the next three fields are there
            BS_VolID=self.volume_id,
            BS_VolLab=(self.label or NO_LABEL).encode("ascii").ljust(11),
            BS_FilSysType=f"FAT{geometry.kind}".encode("ascii").ljust(8),
        )
        if is_fat32:
            header.update(
                BPB_FATSz32=geometry.fat_sectors,
                BPB_ExtFlags=0,  # all copies of the table are kept alike
                BPB_FSVer=0,
                BPB_RootClus=self.root_cluster,
                BPB_FSInfo=FSINFO_SECTOR,
                BPB_BkBootSec=BACKUP_SECTOR,
                BPB_Reserved=b"",
            )
        return (bytes(header) + _BOOT_CODE).ljust(SECTOR - len(MARK), b"\0") + MARK

    @classmethod
    def parse(cls, sector: bytes, where: str) -> "BootSector":
        """Read the first 512 bytes of a file system; raise FormatError, at `where`, when they are not of a FAT."""

        def require(good: bool, found: str) -> None:
            if not good:
                raise FormatError(f"not a FAT file system: {found}", where=where)

        require(len(sector) == SECTOR, f"{len(sector)} bytes, a boot sector has {SECTOR}")
        require(sector[-2:] == MARK, f"the boot sector ends in '{sector[-2:].hex(' ')}', not in '55 aa'")
        header = FAT12BootSectorHeader()
        header.parse_header(sector)
        is_fat32 = header["BPB_FATSz16"] == 0
        if is_fat32:
            header = FAT32BootSectorHeader()
            header.parse_header(sector)
        sector_size, per_cluster = header["BPB_BytsPerSec"], header["BPB_SecPerClus"]
        fat_sectors = header["BPB_FATSz32"] if is_fat32 else header["BPB_FATSz16"]
        sector_count = header["BPB_TotSec16"] or header["BPB_TotSec32"]
        require(
            sector_size in {512, 1024, 2048, 4096},
            f"{sector_size} bytes per sector, expected 512 to 4096 (OEM name {_text(header['BS_OEMName'])!r})",
        )
        require(per_cluster.bit_count() == 1, f"{per_cluster} sectors per cluster, not a power of two")
        require(header["BPB_RsvdSecCnt"] > 0, "no reserved sectors")
        require(0 < header["BPB_NumFATs"] <= 16, f"{header['BPB_NumFATs']} copies of the table, expected 1 to 16")
        require(header["BPB_Media"] >= 0xF0, f"media byte {header['BPB_Media']:#x}, expected 0xf0 or more")
        require(fat_sectors > 0, "the table has 0 sectors")
        require(
            is_fat32 == (header["BPB_RootEntCnt"] == 0),
            f"{header['BPB_RootEntCnt']} records in the root directory's area, on a FAT{32 if is_fat32 else '12/16'}",
        )
        geometry = Geometry(
            kind=32,
            sector_size=sector_size,
            sector_count=sector_count,
            cluster_size=per_cluster * sector_size,
            reserved_sectors=header["BPB_RsvdSecCnt"],
            fat_copies=header["BPB_NumFATs"],
            fat_sectors=fat_sectors,
            root_records=header["BPB_RootEntCnt"],
        )
        clusters = geometry.cluster_count
        require(
            clusters > 0,
            f"{sector_count:,} sectors in all, but the data area starts at sector {geometry.data_sector:,}",
        )
        if not is_fat32:
            require(clusters < FAT32_CLUSTERS, f"{clusters:,} clusters, too many for a table of 16-bit entries")
            geometry = replace(geometry, kind=12 if clusters < FAT12_CLUSTERS else 16)
        entries = fat_sectors * sector_size * 8 // geometry.kind
        require(
            entries >= clusters + FIRST_CLUSTER,
            f"the table has room for {entries:,} entries, {clusters:,} clusters need {clusters + FIRST_CLUSTER:,}",
        )
        flags = header["BPB_ExtFlags"] if is_fat32 else 0
        active = flags & 0xF if flags & 0x80 else 0
        require(active < geometry.fat_copies, f"table {active} is the active one of {geometry.fat_copies}")
        named = header["BS_BootSig"] == 0x29
        label = _text(header["BS_VolLab"]) if named else ""
        return cls(
            geometry=geometry,
            oem_name=_text(header["BS_OEMName"]),
            label="" if label == NO_LABEL else label,
            volume_id=header["BS_VolID"] if named or header["BS_BootSig"] == 0x28 else 0,
            hidden_sectors=header["BPB_HiddSec"],
            root_cluster=header["BPB_RootClus"] if is_fat32 else 0,
            active_fat=active,
        )


def _text(raw: bytes) -> str:
    return raw.decode("cp437").rstrip(" \0")


def pack_fsinfo(free_clusters: int, next_free: int) -> bytes:
    """Return the FSInfo sector of a FAT32: how many clusters are free, and where to look for one first."""
    return bytes(FSInfo(free_count=free_clusters, next_free=next_free))
