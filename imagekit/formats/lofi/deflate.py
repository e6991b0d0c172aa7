"""The zlib that does the work: libdeflate where it is installed, else the standard library's.

Each makes the same bytes of the same input every time, but not the same as the other; any zlib reads both.  A segment
is compressed whole, which is what libdeflate is for.  ISA-L is quicker still, but makes programs 10 % larger.
"""

import zlib
from collections.abc import Callable

from imagekit.formats.gzip.backends import Level

try:
    import deflate as libdeflate
except ImportError:  # no wheel for this system
    libdeflate = None  # type: ignore[assignment]

_ZLIB: dict[Level, int] = {"quick": 3, "close": 6, "best": 9}
_LIBDEFLATE: dict[Level, int] = {"quick": 4, "close": 5, "best": 10}


def _zlib(data: memoryview, level: Level) -> bytes:
    return zlib.compress(data, _ZLIB[level])


def _libdeflate(data: memoryview, level: Level) -> bytearray:
    return libdeflate.zlib_compress(data, _LIBDEFLATE[level])


deflate: Callable[[memoryview, Level], bytes | bytearray] = _zlib if libdeflate is None else _libdeflate
"""Compress a segment to a zlib stream; other threads run meanwhile."""
