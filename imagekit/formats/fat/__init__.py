"""FAT12, FAT16 and FAT32: `plan` lays out a file system, `read_volume` and `read` take one apart."""

from imagekit.formats.fat.layout import FatType
from imagekit.formats.fat.placement import Placed, Placement
from imagekit.formats.fat.plan import FatPlan, minimum_size, plan
from imagekit.formats.fat.reader import FatVolume, has_boot_mark, is_fat, read, read_volume
from imagekit.formats.fat.sizes import default_cluster_size

__all__ = [
    "FatPlan",
    "FatType",
    "FatVolume",
    "Placed",
    "Placement",
    "default_cluster_size",
    "has_boot_mark",
    "is_fat",
    "minimum_size",
    "plan",
    "read",
    "read_volume",
]
