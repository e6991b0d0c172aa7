"""A manifest of sums: the digests of every file of a Tree, computed in threads."""

import contextlib
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

from imagekit.errors import ImagekitError
from imagekit.parallel import in_order, usable_cores
from imagekit.progress import SILENT, Progress
from imagekit.tree import File

MOST_THREADS = 8
"""Hashing more files at once gains nothing: the disk or the memory is the limit by then."""


@dataclass(frozen=True, slots=True)
class Sum:
    """The digests of one file, in hexadecimal, and its size in bytes."""

    path: str
    size: int
    sha256: str
    md5: str

    def __str__(self) -> str:
        return f"{self.sha256} {self.md5} {self.size:>10} {self.path}"


@dataclass(frozen=True, slots=True)
class Failure:
    """A file that could not be read to its end."""

    path: str
    reason: str


def sums(files: Iterable[File], progress: Progress = SILENT) -> tuple[list[Sum], list[Failure]]:
    """Return the sums of the files, in their order, and what could not be read."""

    def digest(file: File) -> Sum | Failure:
        sha256, md5 = hashlib.sha256(), hashlib.md5(usedforsecurity=False)
        try:
            for block in file.content.blocks():
                sha256.update(block)
                md5.update(block)
        except ImagekitError as error:
            return Failure(file.path, str(error))
        return Sum(file.path, file.content.size, sha256.hexdigest(), md5.hexdigest())

    done: list[Sum] = []
    failures: list[Failure] = []
    with contextlib.closing(in_order(digest, files, min(usable_cores(), MOST_THREADS))) as results:
        for result in results:
            if isinstance(result, Sum):
                done.append(result)
                progress.advance(result.size)
            else:
                failures.append(result)
    return done, failures
