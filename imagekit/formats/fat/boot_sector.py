"""The boot sector of a FAT file system, and the FSInfo sector of a FAT32; their fields are pyfatfs' declarations."""

from dataclasses import dataclass, replace

from pyfatfs.BootSectorHeader import FAT12BootSectorHeader, FAT32BootSectorHeader
from pyfatfs.FSInfo import FSInfo

from imagekit.errors import FormatError
from imagekit.formats.fat.geometry import Geometry
from imagekit.formats.fat.layout import (
    BACKUP_SECTOR,
    FAT12_CLUSTERS,
    FAT32_CLUSTERS,
    FIRST_CLUSTER,
    FSINFO_SECTOR,
    MARK,
    MEDIA,
    NO_LABEL,
    SECTOR,
)

_SMALL_DISK = 1024 * 2 * 16
"""Sectors of a disk of 1,024 cylinders with 2 heads and 16 sectors per track; larger ones have 255 heads and 63."""

# int 18h asks the BIOS for the next boot device; should that return: hlt, and a jump back to it.
_BOOT_CODE = b"\xcd\x18\xf4\xeb\xfd"


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
