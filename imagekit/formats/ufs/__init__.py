"""UFS as illumos makes it for boot archives: planning and writing images, and reading them."""

from imagekit.formats.ufs.fit import ImageTooSmallError, Largest, needed_size
from imagekit.formats.ufs.geometry import Geometry
from imagekit.formats.ufs.identify import is_ufs
from imagekit.formats.ufs.last_file import LastFile
from imagekit.formats.ufs.plan import Plan, Usage, plan
from imagekit.formats.ufs.reader import read
from imagekit.formats.ufs.superblock import Superblock, read_superblock
from imagekit.formats.ufs.survey import check

__all__ = [
    "Geometry",
    "ImageTooSmallError",
    "Largest",
    "LastFile",
    "Plan",
    "Superblock",
    "Usage",
    "check",
    "is_ufs",
    "needed_size",
    "plan",
    "read",
    "read_superblock",
]
