"""Compresses a content as one gzip member, in threads, blocks of data only; the bytes do not depend on the threads."""

import contextlib
import hashlib
import struct
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass

from imagekit.content import BLOCK_SIZE, Content, data_blocks, is_zero
from imagekit.files import raw
from imagekit.formats.gzip.backends import Backend, Level, choose
from imagekit.formats.gzip.crc import append_zeros, combine
from imagekit.formats.gzip.zeros import deflated_zeros
from imagekit.parallel import Buffer, in_order
from imagekit.progress import SILENT, Progress

HEADER = struct.Struct("<4sIBB")
"""Magic with method and flags, modification time (seconds since 1970, 0: none), extra flags, operating system."""

TRAILER = struct.Struct("<II")
"""CRC-32 of the content, and its size modulo 2^32."""

_MAGIC = b"\x1f\x8b\x08"
_FLAG_NAME = 0x08
_UNIX = 3
_LAST_BLOCK = b"\x03\x00"  # an empty block with fixed codes
_HISTORY = 32 * 1024  # how far deflate can look back, in bytes
_MOSTLY = 0.9  # the part of a block that is compressed already, for it to be taken for that
_ZEROS_AT_ONCE = 1024 * BLOCK_SIZE


@dataclass(frozen=True, slots=True, kw_only=True)
class Result(raw.Result):
    """What was written: its size in bytes and SHA-256, and the library that made it; the content's CRC-32."""

    backend: str
    crc32: int


def compress(
    content: Content,
    write: Callable[[bytes], object],
    *,
    level: Level = "close",
    threads: int | None = None,
    mtime: int = 0,
    name: str | None = None,
    progress: Progress = SILENT,
    library: str | None = None,
    compressed: Sequence[tuple[int, int]] = (),
) -> Result:
    """Compress a content into one gzip member, handed to `write` from front to back.

    `mtime` (seconds since 1970) and `name` go into the header; without a name there is none.  `progress` counts the
    content's bytes.  What is known to be `compressed` already, as (offset, length) in bytes, is given little time.
    Errors of reading (InputError, FormatError) and of `write` come out as they are, after the threads have stopped.
    """
    backend = choose(level, library)
    output = _Output(write)
    output.put(_header(mtime, name))
    crc = done = 0
    with contextlib.closing(_deflated(content, backend, threads, compressed)) as blocks:
        for block in blocks:
            crc = _put_zeros(output, crc, block.offset - done, progress)
            done = block.offset + block.length
            if block.data is None:
                crc = _put_zeros(output, crc, block.length, progress)
            else:
                crc = combine(crc, block.crc, block.length)
                output.put(block.data)
                progress.advance(block.length)
    crc = _put_zeros(output, crc, content.size - done, progress)
    output.put(_LAST_BLOCK + TRAILER.pack(crc, content.size & 0xFFFFFFFF))
    return Result(
        size=output.size,
        sha256=output.digest.hexdigest(),
        backend=backend.name,
        crc32=crc,
    )


def _header(mtime: int, name: str | None) -> bytes:
    if not 0 <= mtime < 1 << 32:
        mtime = 0  # the format's word for "none", as it cannot say this one
    flags = _FLAG_NAME if name else 0
    text = name.encode("latin-1", "replace").replace(b"\0", b"") + b"\0" if name else b""
    return HEADER.pack(_MAGIC + bytes([flags]), mtime, 0, _UNIX) + text


class _Output:
    """Counts and digests what goes through to `write`."""

    def __init__(self, write: Callable[[bytes], object]) -> None:
        self._write = write
        self.digest = hashlib.sha256()
        self.size = 0

    def put(self, data: bytes) -> None:
        self._write(data)
        self.digest.update(data)
        self.size += len(data)


def _put_zeros(output: _Output, crc: int, length: int, progress: Progress) -> int:
    """Write a run of zeros; return the CRC with it."""
    done = 0
    while done < length:
        count = min(length - done, _ZEROS_AT_ONCE)
        whole, rest = divmod(count, BLOCK_SIZE)
        output.put(deflated_zeros(BLOCK_SIZE) * whole + (deflated_zeros(rest) if rest else b""))
        progress.advance(count)
        done += count
    return append_zeros(crc, length)


@dataclass(frozen=True, slots=True)
class _Block:
    offset: int
    length: int
    data: bytes | None  # None: zeros
    crc: int


def _deflated(
    content: Content, backend: Backend, threads: int | None, compressed: Sequence[tuple[int, int]]
) -> Generator[_Block]:
    """Yield all blocks of data in order; a few are being read and deflated ahead."""
    own = Buffer(_HISTORY + backend.block_size)

    def work(place: tuple[int, int]) -> _Block:
        offset, length = place
        # The history is what stands before, hole or not: where a source has holes must not change the bytes.
        history = min(offset, _HISTORY)
        buffer = own.view[: history + length]
        content.read_into(offset - history, buffer)
        block = buffer[history:]
        if is_zero(block):
            return _Block(offset, length, None, 0)
        known = _shared(compressed, offset, length) > _MOSTLY * length
        deflate = backend.deflate_compressed if known else backend.deflate
        return _Block(offset, length, deflate(block, buffer[:history]), backend.crc32(block))

    return in_order(work, data_blocks(content, backend.block_size), threads)


def _shared(ranges: Sequence[tuple[int, int]], offset: int, length: int) -> int:
    """Return how many of the `length` bytes at `offset` are in the ranges."""
    end = offset + length
    return sum(max(min(start + count, end) - max(start, offset), 0) for start, count in ranges)
