"""Compress an image the way `lofiadm -C` does, in several threads."""

import contextlib
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from imagekit.content import BLOCK_SIZE, Content, Sparse, data_blocks, is_zero
from imagekit.errors import PlanError
from imagekit.formats.gzip.backends import Level
from imagekit.formats.lofi.deflate import deflate
from imagekit.formats.lofi.layout import (
    COMPRESSED,
    HEADER,
    HEADER_SIZE,
    INDEX_ENTRY,
    LEAST_SAVING,
    SECTOR,
    SEGMENT_LIMIT,
    SEGMENT_SIZE,
    STORED,
)
from imagekit.parallel import Buffer, in_order
from imagekit.progress import SILENT, Progress

_ENTRIES_LIMIT = 1 << 32


@dataclass(frozen=True, slots=True)
class Compressed:
    """What became of an image."""

    size: int  # bytes, padding and all
    segments: int
    stored: int  # segments that compression would not have made smaller


def compress(
    content: Content,
    output: Sparse,
    *,
    segment_size: int = SEGMENT_SIZE,
    level: Level = "close",
    threads: int | None = None,
    progress: Progress = SILENT,
) -> Compressed:
    """Write an image as a compressed lofi file (algorithm gzip), which is all that there is in the output.

    The bytes do not depend on `threads` (default: one per processor).  `progress` counts bytes of the image.  Raise
    PlanError when the image's or the segments' size is not of the format.
    """
    size = content.size
    if size == 0 or size % SECTOR:
        raise PlanError(
            f"a lofi file cannot hold {size:,} bytes",
            where=content.origin,
            hint=f"its size is a multiple of {SECTOR} bytes",
        )
    if not SECTOR <= segment_size <= SEGMENT_LIMIT or segment_size & (segment_size - 1):
        raise PlanError(
            f"segments of {segment_size:,} bytes cannot be", hint=f"a power of two, {SECTOR} to {SEGMENT_LIMIT:,}, can"
        )
    count = -(-size // segment_size)
    if count + 1 >= _ENTRIES_LIMIT:
        raise PlanError(f"{count:,} segments are too many for the format", hint="take larger segments")
    start = HEADER_SIZE + INDEX_ENTRY * (count + 1)
    work = _Work(content, segment_size, level)
    index = [0]
    stored = 0
    with contextlib.closing(in_order(work.compress, work.batches(), threads)) as batches:
        for segments in batches:
            output.write_at(start + index[-1], b"".join(segments))
            for segment in segments:
                index.append(index[-1] + len(segment))
                stored += segment[0] == STORED
            done = (len(index) - 1) * segment_size
            progress.advance(min(done, size) - (done - len(segments) * segment_size))
    header = HEADER.build(
        {
            "signature": b"gzip".ljust(36, b"\0"),
            "segment_size": segment_size,
            "entries": count + 1,
            "last_size": size - (count - 1) * segment_size,
        }
    )
    output.write_at(0, header + struct.pack(f">{count + 1}Q", *index))
    length = start + index[-1]
    length += -length % SECTOR
    output.truncate(length)
    return Compressed(length, count, stored)


class _Work:
    """Compresses batches of segments."""

    def __init__(self, content: Content, segment_size: int, level: Level) -> None:
        self._content = content
        self._segment_size = segment_size
        self._level = level
        self._batch_size = max(segment_size, BLOCK_SIZE)  # so that small files are not opened for every segment
        self._zeros = self._pack(memoryview(bytes(segment_size)))
        self._own = Buffer(self._batch_size)

    def batches(self) -> Iterator[tuple[int, bool]]:
        """Yield (offset in bytes, whether there may be data in it) of all batches."""
        step = self._batch_size
        done = 0
        for start, _ in data_blocks(self._content, step):
            yield from ((offset, False) for offset in range(done, start, step))
            yield start, True
            done = start + step
        yield from ((offset, False) for offset in range(done, self._content.size, step))

    def compress(self, task: tuple[int, bool]) -> list[bytes]:
        """Return the segments of a batch, each with its flag."""
        offset, data = task
        length = min(self._batch_size, self._content.size - offset)
        size = self._segment_size
        if not data and length % size == 0:
            return [self._zeros] * (length // size)
        batch = self._own.view[:length]
        if data:
            self._content.read_into(offset, batch)
        else:
            batch[:] = bytes(length)
        return [self._pack_unless_zero(batch[at : at + size]) for at in range(0, length, size)]

    def _pack_unless_zero(self, segment: memoryview) -> bytes:
        return self._zeros if len(segment) == self._segment_size and is_zero(segment) else self._pack(segment)

    def _pack(self, segment: memoryview) -> bytes:
        most = self._segment_size - LEAST_SAVING
        if most > 0:
            packed = deflate(segment, self._level)
            if len(packed) <= most and len(packed) < len(segment):
                return bytes((COMPRESSED,)) + packed
        return bytes((STORED,)) + segment
