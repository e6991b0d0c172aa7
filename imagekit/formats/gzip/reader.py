"""Inflates gzip files of one or more members, checking all that the format has to check."""

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imagekit.content import BLOCK_SIZE, Content, Sparse, is_zero
from imagekit.errors import FormatError
from imagekit.files.temporary import Temporary
from imagekit.formats.forward import Forward
from imagekit.formats.gzip.backends import inflater
from imagekit.formats.gzip.writer import TRAILER
from imagekit.progress import SILENT, Progress

_MAGIC = b"\x1f\x8b"
_DEFLATE = 8
_HEADER_CRC, _EXTRA, _NAME, _COMMENT = 0x02, 0x04, 0x08, 0x10
_RESERVED = 0xE0
_LONGEST_TEXT = 64 * 1024  # bytes of a name or comment in a header
_FIRST_BLOCK = 1024
"""Bytes of a member that are inflated first, then twice as many, and so on: members may be short, and very many."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Inflated:
    """What was inflated: bytes in all, and the number of members."""

    size: int
    members: int


def is_gzip(content: Content) -> bool:
    """Tell whether a content starts like a gzip file."""
    return content.size >= 18 and content.read(0, 3) == _MAGIC + bytes([_DEFLATE])


def inflate(content: Content, output: Sparse, *, limit: int | None = None, progress: Progress = SILENT) -> Inflated:
    """Inflate all members to an output of its own; runs of zeros become holes.  `progress` counts compressed bytes.

    FormatError when the file is no gzip file, damaged, cut short, followed by anything but zeros, or holds more than
    `limit` bytes.
    """
    source = _Source(content, progress)
    size = members = 0
    while members == 0 or source.another_member():
        _skip_header(source)
        for piece in _member(source):
            if limit is not None and size + len(piece) > limit:
                raise source.error(f"it holds more than the {limit:,} bytes that are allowed here")
            if not is_zero(piece):
                output.write_at(size, piece)
            size += len(piece)
        members += 1
    output.truncate(size)
    return Inflated(size=size, members=members)


def inflate_to_temporary(
    content: Content, *, folder: Path | None = None, limit: int | None = None, progress: Progress = SILENT
) -> Content:
    """Return what a gzip file holds, readable at any offset: inflated once into an unnamed, sparse temporary file.

    The file is in `folder` (TMPDIR by default) and disappears with the content.  Errors as of `inflate`.
    """
    temporary = Temporary(content.origin, folder)
    inflate(content, temporary, limit=limit, progress=progress)
    return temporary


class _Source(Forward):
    """Reads a gzip file."""

    def take(self, count: int) -> bytes:
        """Return exactly `count` bytes."""
        data = b""
        while len(data) < count:
            more = self.block(count - len(data))
            if not more:
                raise self.error("the gzip file is cut short")
            data += more
        return data

    def take_text(self) -> bytes:
        """Return what stands before the next NUL, and the NUL."""
        data = b""
        while (end := data.find(b"\0") + 1) == 0:
            more = self.block(_FIRST_BLOCK)
            if not more:
                raise self.error("the gzip file is cut short in its header")
            data += more
            if len(data) > _LONGEST_TEXT and b"\0" not in data[:_LONGEST_TEXT]:
                raise self.error("a name or comment in the gzip header does not end")
        self.give_back(data[end:])
        return data[:end]

    def another_member(self) -> bool:
        """Tell whether a member follows; zeros may, as on tapes, anything else may not."""
        start = self.block(len(_MAGIC))
        if start == _MAGIC or (start[:1] == _MAGIC[:1] and len(start) == 1):
            self.give_back(start)
            return True
        while start:
            if not is_zero(start):
                self.give_back(start.lstrip(b"\0"))
                raise self.error("there is something other than gzip members behind the last one")
            start = self.block()
        return False


def _skip_header(source: _Source) -> None:
    header = source.take(10)
    if header[:2] != _MAGIC:
        raise FormatError(
            f"not a gzip file: it starts with {header[:2].hex(' ')}, not 1f 8b", where=source.error("").where
        )
    method, flags = header[2], header[3]
    if method != _DEFLATE or flags & _RESERVED:
        raise source.error(f"gzip method {method} with flags {flags:#04x}: only method 8 is known")
    if flags & _EXTRA:
        length = source.take(2)
        header += length + source.take(int.from_bytes(length, "little"))
    for flag in (_NAME, _COMMENT):
        if flags & flag:
            header += source.take_text()
    if flags & _HEADER_CRC:
        header += source.take(2)
        if struct.unpack("<H", header[-2:])[0] != zlib.crc32(header[:-2]) & 0xFFFF:
            raise source.error("the CRC of the gzip header is wrong")


def _member(source: _Source) -> Iterator[bytes]:
    """Yield what a member holds, behind its header, in pieces of at most a block; then check its trailer."""
    library = inflater()
    stream = library.decompressobj(-15)
    crc = size = 0
    pending = b""
    most = _FIRST_BLOCK
    while not stream.eof:
        if not pending:
            pending = source.block(most)
            most *= 2
            if not pending:
                raise source.error("the gzip file is cut short")
        try:
            piece = stream.decompress(pending, BLOCK_SIZE)
        except (zlib.error, library.error) as error:
            raise source.error(f"the compressed data is damaged near here: {error}") from error
        pending = stream.unconsumed_tail
        if piece:
            crc = library.crc32(piece, crc)
            size += len(piece)
            yield piece
    source.give_back(stream.unused_data)
    noted_crc, noted_size = TRAILER.unpack(source.take(TRAILER.size))
    if (crc, size & 0xFFFFFFFF) != (noted_crc, noted_size):
        raise source.error(
            f"{size:,} bytes with CRC {crc:#010x} were inflated, "
            f"{noted_size:,} (modulo 2^32) with {noted_crc:#010x} are noted",
        )
