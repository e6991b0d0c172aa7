"""Writes a content to a file as it is, and digests it on the way."""

import hashlib
import os
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from imagekit.content import BLOCK_SIZE, Content, data_runs, is_zero, write_sparse
from imagekit.output import OutputFile
from imagekit.progress import SILENT, Progress

_AHEAD = 4  # blocks that may wait for the digest
_ZEROS = memoryview(bytes(BLOCK_SIZE))


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was written: its size in bytes, holes included, and the digests (hex) that were asked for."""

    size: int
    sha256: str | None = None
    sha1: str | None = None


def write_raw(
    content: Content, output: OutputFile, progress: Progress = SILENT, *, digests: Sequence[str] = ("sha256",)
) -> Result:
    """Write a content to an output of its own; zeros become holes.

    `digests` are of sha256 and sha1.  A second thread makes them, which takes longest, as zeros count too; this one
    writes, and waits for the disk.
    """
    if not digests:
        write_sparse(content, output, progress)
        return Result(size=content.size)
    output.truncate(content.size)
    with _Digests(digests) as sums:
        done = 0
        for offset, length in data_runs(content):
            sums.zeros(offset - done)
            block = sums.buffer()[:length]
            content.read_into(offset, block)
            if not is_zero(block):
                output.write_at(offset, block)
            sums.block(block)
            progress.advance(offset + length - done)
            done = offset + length
        sums.zeros(content.size - done)
        with output.reporting_errors():
            os.fsync(output.fileno())
        progress.advance(content.size - done)
    return Result(size=content.size, **sums.in_hex())


class _Digests:
    """Digests made in a thread of their own; the buffers go round: a block is not touched before it is digested."""

    def __init__(self, names: Sequence[str]) -> None:
        self._digests = {name: hashlib.new(name, usedforsecurity=False) for name in names}
        self._work: queue.SimpleQueue[memoryview | int | None] = queue.SimpleQueue()
        self._free: queue.SimpleQueue[memoryview] = queue.SimpleQueue()
        self._made = 0
        self._given_up = False
        self._thread = threading.Thread(target=self._run, name="digests")

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

    def in_hex(self) -> dict[str, str]:
        """Return the digests by name, once all is done."""
        return {name: digest.hexdigest() for name, digest in self._digests.items()}

    def _run(self) -> None:
        while (work := self._work.get()) is not None and not self._given_up:
            if isinstance(work, int):
                self._update_zeros(work)
            else:
                self._update(work)
                self._free.put(memoryview(work.obj))

    def _update_zeros(self, count: int) -> None:
        while count and not self._given_up:
            part = min(count, BLOCK_SIZE)
            self._update(_ZEROS[:part])
            count -= part

    def _update(self, data: memoryview) -> None:
        for digest in self._digests.values():
            digest.update(data)
