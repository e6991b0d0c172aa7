"""FAT: `plan` lays out a FAT32 file system, `read_volume` and `read` take FAT12, FAT16 and FAT32 apart."""

from imagekit.formats.fat.image import FatPlan, Placed
from imagekit.formats.fat.plan import check, default_cluster_size, minimum_size, plan
from imagekit.formats.fat.reader import FatVolume, read, read_volume

__all__ = [
    "FatPlan",
    "FatVolume",
    "Placed",
    "check",
    "default_cluster_size",
    "minimum_size",
    "plan",
    "read",
    "read_volume",
]
