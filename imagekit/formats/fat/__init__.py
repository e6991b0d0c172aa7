"""FAT12, FAT16 and FAT32: `plan` lays out a file system, `read_volume` and `read` take one apart."""

from imagekit.formats.fat.layout import Kind
from imagekit.formats.fat.plan import minimum_size, plan
from imagekit.formats.fat.reader import FatVolume, has_boot_mark, is_fat, read, read_volume
from imagekit.formats.fat.sizes import default_cluster_size
from imagekit.formats.fat.writer import FatPlan, Placed

__all__ = [
    "FatPlan",
    "FatVolume",
    "Kind",
    "Placed",
    "default_cluster_size",
    "has_boot_mark",
    "is_fat",
    "minimum_size",
    "plan",
    "read",
    "read_volume",
]
