"""Where the parts of a FAT file system lie."""

from dataclasses import dataclass
from typing import Self

from imagekit.formats.fat.layout import FAT_COPIES, FIRST_CLUSTER, RECORD_SIZE, RESERVED_SECTORS, SECTOR, FatType


@dataclass(frozen=True, slots=True, kw_only=True)
class Geometry:
    """Where things lie: sizes in bytes, the rest counted in sectors of `sector_size`, as in the boot sector."""

    kind: FatType
    sector_size: int
    sector_count: int
    cluster_size: int
    reserved_sectors: int
    fat_copies: int
    fat_sectors: int
    root_records: int  # of FAT12's and FAT16's root directory; 0 on FAT32

    @classmethod
    def filling(cls, kind: FatType, size: int, cluster_size: int, root_records: int = 0) -> Self:
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
