"""The zlib that does the work: libdeflate where it is installed, else the standard library's.

Each makes the same bytes of the same input every time, but not the same as the other; any zlib reads both.  A segment
is compressed whole, which is what libdeflate is for: its level 4 takes a quarter to a third of the time of zlib's level
6, and its output is 1 to 4 % larger.  ISA-L is quicker still, but makes machine code 10 % larger.
"""

import zlib
from collections.abc import Callable

try:
    import deflate as libdeflate
except ImportError:  # no wheel for this system
    libdeflate = None  # type: ignore[assignment]


def _zlib(data: memoryview) -> bytes:
    return zlib.compress(data, 6)


def _libdeflate(data: memoryview) -> bytearray:
    return libdeflate.zlib_compress(data, 4)


deflate: Callable[[memoryview], bytes | bytearray] = _zlib if libdeflate is None else _libdeflate
"""Compress a segment to a zlib stream; other threads run meanwhile."""
