"""Writes a content to a file as it is, and digests it on the way."""

import hashlib
import os
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Protocol, Self

from imagekit.content import BLOCK_SIZE, Content, data_runs, is_zero
from imagekit.files.output import OutputFile
from imagekit.interrupts import check, held
from imagekit.progress import SILENT, Progress

_AHEAD = 6  # blocks on their way from the reader to the last stage
_ZEROS = memoryview(bytes(BLOCK_SIZE))

_Queue = queue.SimpleQueue[tuple[int, memoryview] | None]
"""Blocks with their offsets in bytes, and None behind the last one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """What was written: its size in bytes, holes included, and the digests (hex) that were asked for."""

    size: int
    sha256: str | None = None
    sha1: str | None = None


def write_raw(
    content: Content,
    output: OutputFile,
    progress: Progress = SILENT,
    *,
    digests: Sequence[str] = ("sha256",),
    in_place: Sequence[tuple[int, int]] = (),
) -> Result:
    """Write a content to an output of its own; zeros become holes.

    What is `in_place`, as (offset, length) in bytes, the output has already.  `digests` are of sha256 and sha1.

    Reading, writing and digesting each have a thread, since each waits for something else; digesting takes longest, as
    zeros count too.
    """
    output.truncate(content.size)
    stop = threading.Event()
    sums = {name: _Digest(name, content.size, stop) for name in digests}
    stages: list[_Stage] = [_Writer(output, in_place), *sums.values()]
    with _Pipeline(stages, stop) as pipeline:
        done = 0
        for offset, block in pipeline.blocks(content):
            progress.advance(offset + len(block) - done)
            done = offset + len(block)
        progress.advance(content.size - done)
    return Result(size=content.size, **{name: digest.in_hex() for name, digest in sums.items()})


class _Stage(Protocol):
    """Something that is done with every block in turn, and then at the end."""

    def take(self, offset: int, block: memoryview) -> None:
        """Do it with a block that is at this offset in bytes."""

    def end(self) -> None:
        """Do what is left."""


class _Writer:
    """Writes blocks that are not all zeros, and waits for the disk while others are still at work."""

    def __init__(self, output: OutputFile, in_place: Sequence[tuple[int, int]]) -> None:
        self._output = output
        self._in_place = in_place

    def take(self, offset: int, block: memoryview) -> None:
        end = offset + len(block)
        if any(start <= offset and end <= start + length for start, length in self._in_place):
            return
        if not is_zero(block):
            self._output.write_at(offset, block)

    def end(self) -> None:
        with self._output.reporting_errors():
            os.fsync(self._output.fileno())


class _Digest:
    """A digest of the whole, zeros between the blocks included."""

    def __init__(self, name: str, size: int, stop: threading.Event) -> None:
        self._digest = hashlib.new(name, usedforsecurity=False)
        self._size = size
        self._stop = stop
        self._done = 0

    def take(self, offset: int, block: memoryview) -> None:
        self._zeros(offset)
        self._update(block)

    def end(self) -> None:
        self._zeros(self._size)

    def in_hex(self) -> str:
        """Return the digest, once all is done."""
        return self._digest.hexdigest()

    def _zeros(self, end: int) -> None:
        while self._done < end and not self._stop.is_set():
            self._update(_ZEROS[: min(end - self._done, BLOCK_SIZE)])

    def _update(self, data: memoryview) -> None:
        self._digest.update(data)
        self._done += len(data)


class _Pipeline:
    """Threads, one a stage, through which blocks go in turn; a block's buffer is used again behind the last stage."""

    def __init__(self, stages: Sequence[_Stage], stop: threading.Event) -> None:
        self._stop = stop
        self._error: BaseException | None = None
        self._queues: list[_Queue] = [queue.SimpleQueue() for _ in range(len(stages) + 1)]
        self._ended: queue.SimpleQueue[None] = queue.SimpleQueue()  # None for each thread
        self._threads = [
            # A daemon, so that nothing that goes wrong can keep the program from ending.
            threading.Thread(target=self._run, args=(stage, *ends), name=type(stage).__name__, daemon=True)
            for stage, ends in zip(stages, pairwise(self._queues), strict=True)
        ]

    def __enter__(self) -> Self:
        try:
            with held():
                for thread in self._threads:
                    thread.start()
        except BaseException:
            self._stop.set()
            self._end()
            raise
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        if kind is not None:
            self._stop.set()
        self._end()
        if kind is None and self._error is not None:
            raise self._error

    def _end(self) -> None:
        """Wait until all threads have ended; after an interrupt, what they still have to do is in vain."""
        started = [thread for thread in self._threads if thread.ident is not None]
        self._queues[0].put(None)
        try:
            for _ in started:
                self._ended.get()
        except BaseException:
            self._stop.set()
            raise
        finally:
            with held():  # Python takes a thread for ended when an exception comes while it is joined
                for thread in started:
                    thread.join()

    def blocks(self, content: Content) -> Iterator[tuple[int, memoryview]]:
        """Read the data of a content and send it through; yield (offset in bytes, block) of what was sent."""
        fresh = min(_AHEAD, -(-content.size // BLOCK_SIZE))
        for offset, length in data_runs(content):
            if fresh:
                fresh -= 1
                buffer = memoryview(bytearray(BLOCK_SIZE))
            else:
                returned = self._queues[-1].get()
                assert returned is not None  # that comes after the last block, and this is one more
                buffer = memoryview(returned[1].obj)
            if self._stop.is_set():
                return
            check()
            block = buffer[:length]
            content.read_into(offset, block)
            self._queues[0].put((offset, block))
            yield offset, block

    def _run(self, stage: _Stage, incoming: _Queue, outgoing: _Queue) -> None:
        while (work := incoming.get()) is not None:
            self._attempt(stage.take, *work)
            outgoing.put(work)
        outgoing.put(None)  # the next stage ends while this one may still wait for the disk
        self._attempt(stage.end)
        self._ended.put(None)

    def _attempt(self, step: Callable[..., None], *arguments: object) -> None:
        if self._stop.is_set():
            return
        try:
            step(*arguments)
        except BaseException as error:  # noqa: BLE001 - raised again in the thread that waits for this one
            self._error = error
            self._stop.set()
