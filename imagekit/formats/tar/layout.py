"""The layout of tar headers (POSIX.1-2017, pax, "ustar Interchange Format"), for their writer and their reader.

A struct, not a construct declaration: there is one for each of tens of thousands of files.
"""

import struct

BLOCK = 512
"""Bytes: headers take one, contents are filled up to whole ones."""

RECORD = 20 * BLOCK
"""Bytes: an archive is filled up to whole ones, as GNU tar does."""

HEADER = struct.Struct("100s8s8s8s12s12s8sc100s6s2s32s32s8s8s155s12x")
"""name, mode, uid, gid, size, mtime, checksum, type, link name, magic, version, user, group, major, minor, prefix.

Numbers are octal digits in ASCII.  The checksum is the sum of the header's bytes, its own eight being spaces.
"""

CHECKSUM = slice(148, 156)

MAGIC = b"ustar\0"
VERSION = b"00"
GNU_MAGIC = b"ustar "

NAME_SIZE = 100
PREFIX_SIZE = 155
OWNER_SIZE = 31
"""Bytes of a user's or group's name: the field has 32, the last one is NUL."""

FILE = b"0"
OLD_FILE = b"\0"
CONTIGUOUS = b"7"
HARD_LINK = b"1"
SYMLINK = b"2"
CHARACTER = b"3"
BLOCK_DEVICE = b"4"
DIRECTORY = b"5"
FIFO = b"6"
PAX = b"x"
PAX_GLOBAL = b"g"
GNU_LONG_NAME = b"L"
GNU_LONG_LINK = b"K"
GNU_SPARSE = b"S"

SPECIAL_TYPES = {CHARACTER: "c", BLOCK_DEVICE: "b", FIFO: "p"}
"""Type flags of the entries that are neither file, link nor directory, and how a Tree calls them."""


def checksum(header: bytes) -> int:
    """Return the sum that belongs into a header of 512 bytes."""
    return sum(header) - sum(header[CHECKSUM]) + 8 * ord(" ")
