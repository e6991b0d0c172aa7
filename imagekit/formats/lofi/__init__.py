"""Compressed lofi files (`lofiadm -C`): how SmartOS keeps the /usr file system in its boot archive."""

from imagekit.formats.lofi.reader import Lofi, is_lofi
from imagekit.formats.lofi.writer import Compressed, compress

__all__ = ["Compressed", "Lofi", "compress", "is_lofi"]
