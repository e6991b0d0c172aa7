"""UFS as illumos makes it for boot archives: planning and writing images, and reading them."""

from imagekit.formats.ufs.fit import ImageTooSmallError, Largest, needed_size
from imagekit.formats.ufs.geometry import Geometry
from imagekit.formats.ufs.plan import Plan, Usage, plan

__all__ = ["Geometry", "ImageTooSmallError", "Largest", "Plan", "Usage", "needed_size", "plan"]
