"""Master boot records (MBR, fdisk): what partitions a disk without a GPT has."""

from imagekit.formats.mbr.reader import MbrImage, Partition, find, is_mbr, is_protective, read

__all__ = ["MbrImage", "Partition", "find", "is_mbr", "is_protective", "read"]
