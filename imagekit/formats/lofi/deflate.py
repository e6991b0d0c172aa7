"""The zlib that does the work: zlib-ng where it is installed, else the standard library's.

Each makes the same bytes of the same input every time, but not the same as the other; any zlib reads both.  zlib-ng's
level 4 takes less than half the time of zlib's level 6, and its output is 2 to 4 % larger.  ISA-L is quicker still, but
makes machine code 8 % larger.
"""

import zlib
from collections.abc import Callable

try:
    from zlib_ng import zlib_ng
except ImportError:  # no wheel for this system
    zlib_ng = None  # type: ignore[assignment]


def _zlib(data: memoryview) -> bytes:
    return zlib.compress(data, 6)


def _zlib_ng(data: memoryview) -> bytes:
    return zlib_ng.compress(data, 4)


deflate: Callable[[memoryview], bytes] = _zlib if zlib_ng is None else _zlib_ng
"""Compress a segment to a zlib stream; other threads run meanwhile."""
