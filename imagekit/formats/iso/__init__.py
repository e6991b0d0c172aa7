"""ISO 9660 images with Rock Ridge and El Torito: `plan` makes them, `read` and `read_volume` read them."""

from imagekit.formats.iso.descriptors import is_iso
from imagekit.formats.iso.placement import Extent
from imagekit.formats.iso.plan import BootEntry, BootPlan, IsoPlan, plan
from imagekit.formats.iso.reader import BootImage, Volume, read, read_volume
from imagekit.formats.iso.volume import volume_id_of

__all__ = [
    "BootEntry",
    "BootImage",
    "BootPlan",
    "Extent",
    "IsoPlan",
    "Volume",
    "is_iso",
    "plan",
    "read",
    "read_volume",
    "volume_id_of",
]
