"""The compressed lofi format, as `lofiadm -C` makes it: a header, an index, segments that are compressed one by one.

All integers are big-endian.  Source: illumos usr/src/cmd/lofiadm/main.c, usr/src/uts/common/io/lofi.c.
"""

from typing import Final

from construct import Bytes, Int32ub, Struct

SECTOR: Final = 512
"""A lofi file has a multiple of this many bytes, before and after compression."""

SEGMENT_SIZE: Final = 131072
"""Bytes of an uncompressed segment, unless lofiadm -s says otherwise."""

SEGMENT_LIMIT: Final = 64 << 20
"""Bytes: larger segments are neither written nor read here, since some have to be in memory."""

LEAST_SAVING: Final = 2048
"""Bytes that compression must save of a (full) segment, or it is stored as it is."""

STORED: Final = 0
COMPRESSED: Final = 1

HEADER: Final = Struct(
    "signature" / Bytes(36),  # name of the algorithm, NUL padded
    "segment_size" / Int32ub,  # bytes, uncompressed
    "entries" / Int32ub,  # of the index: segments + 1
    "last_size" / Int32ub,  # bytes of the last segment, uncompressed
)
"""Behind it stands the index: for each segment, and for what follows the last, u64 bytes from the end of the index."""

HEADER_SIZE: Final = 48
INDEX_ENTRY: Final = 8
SIGNATURES: Final = ("gzip", "gzip-6", "gzip-9", "lzma")
"""What the driver knows.  All gzip ones are zlib streams (RFC 1950); the level in the name is only a remark."""

assert HEADER.sizeof() == HEADER_SIZE
