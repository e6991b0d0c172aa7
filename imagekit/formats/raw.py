"""Writes a content to a file as it is, and digests it on the way."""

import hashlib
import os
import queue
import threading
from dataclasses import dataclass
from typing import Self

from imagekit.content import BLOCK_SIZE, Content, data_blocks, is_zero
from imagekit.output import OutputFile
from imagekit.progress import SILENT, Progress

_AHEAD = 4  # blocks that may wait for the digest
_ZEROS = bytes(BLOCK_SIZE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was written: its size in bytes, holes included, and its SHA-256."""

    size: int
    sha256: str


def write_raw(content: Content, output: OutputFile, progress: Progress = SILENT) -> Result:
    """Write a content to an output of its own; zeros become holes.

    A second thread digests, which takes longest, as zeros count too; this one writes, and waits for the disk.
    """
    output.truncate(content.size)
    with _Digest() as digest:
        done = 0
        for offset, length in data_blocks(content):
            digest.zeros(offset - done)
            block = digest.buffer()[:length]
            content.read_into(offset, block)
            if not is_zero(block):
                output.write_at(offset, block)
            digest.block(block)
            progress.advance(offset + length - done)
            done = offset + length
        digest.zeros(content.size - done)
        with output.reporting_errors():
            os.fsync(output.fileno())
        progress.advance(content.size - done)
    return Result(size=content.size, sha256=digest.hexdigest())


class _Digest:
    """SHA-256 in a thread of its own; the buffers go round, so that a block is not touched before it is digested."""

    def __init__(self) -> None:
        self._digest = hashlib.sha256()
        self._work: queue.SimpleQueue[memoryview | int | None] = queue.SimpleQueue()
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        self._made = 0
        self._given_up = False
        self._thread = threading.Thread(target=self._run, name="sha256")

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        self._given_up = kind is not None
        self._work.put(None)
        self._thread.join()

    def buffer(self) -> memoryview:
        """Return a block's room, when one is free."""
        if self._made < _AHEAD:
            self._made += 1
            return memoryview(bytearray(BLOCK_SIZE))
        return self._free.get()

    def block(self, block: memoryview) -> None:
        """Digest a part of a buffer and take the buffer back."""
        self._work.put(block)

    def zeros(self, count: int) -> None:
        """Digest a run of zeros."""
        self._work.put(count)

    def hexdigest(self) -> str:
        """Return the digest, once all is done."""
        return self._digest.hexdigest()

    def _run(self) -> None:
        while (work := self._work.get()) is not None and not self._given_up:
            if isinstance(work, int):
                self._update_zeros(work)
            else:
                self._digest.update(work)
                self._free.put(memoryview(work.obj))

    def _update_zeros(self, count: int) -> None:
        while count and not self._given_up:
            part = min(count, BLOCK_SIZE)
            self._digest.update(_ZEROS[:part])
            count -= part
