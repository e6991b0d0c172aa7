"""Files that are compressed as a whole, with gzip, xz, bzip2 or zstd, or as the only file in a zip file."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Protocol

from imagekit.content import Content, Sparse, is_zero
from imagekit.errors import FormatError
from imagekit.formats import gzip
from imagekit.formats.compressed.streams import BZIP2, XZ, ZSTD, is_bzip2, is_xz, is_zstd, pieces
from imagekit.formats.compressed.zip_file import is_zip, zip_pieces
from imagekit.progress import SILENT, Progress

LARGEST = 64 << 30
"""Bytes that a compressed file may hold: no medium is as large, and a small file may hold any number of zeros."""

_Pieces = Callable[[Content, Progress], Iterator[bytes]]


class _Inflate(Protocol):
    def __call__(self, content: Content, output: Sparse, *, limit: int, progress: Progress) -> object: ...


@dataclass(frozen=True, slots=True)
class Wrapping:
    """A way to compress a file: its name, how it is told by the first bytes, and what inflates it."""

    name: str
    test: Callable[[Content], bool]
    inflate: _Inflate


def _inflate(make_pieces: _Pieces, content: Content, output: Sparse, *, limit: int, progress: Progress) -> None:
    size = 0
    for piece in make_pieces(content, progress):
        if size + len(piece) > limit:
            raise FormatError(f"it holds more than {limit:,} bytes", where=content.origin, hint="inflate it first")
        if not is_zero(piece):
            output.write_at(size, piece)
        size += len(piece)
    output.truncate(size)


WRAPPINGS = (
    Wrapping("gzip", gzip.is_gzip, gzip.inflate),
    Wrapping("zip", is_zip, partial(_inflate, zip_pieces)),
    Wrapping("xz", is_xz, partial(_inflate, partial(pieces, XZ))),
    Wrapping("bzip2", is_bzip2, partial(_inflate, partial(pieces, BZIP2))),
    Wrapping("zstd", is_zstd, partial(_inflate, partial(pieces, ZSTD))),
)


def inflate(content: Content, output: Sparse, *, limit: int = LARGEST, progress: Progress = SILENT) -> None:
    """Inflate one layer to an output of its own; zeros become holes.  `progress` counts compressed bytes.

    FormatError when the file is damaged or cut short, of no known kind, or holds more than `limit` bytes.
    """
    for wrapping in WRAPPINGS:
        if wrapping.test(content):
            wrapping.inflate(content, output, limit=limit, progress=progress)
            return
    raise FormatError("not compressed in a way that is known here", where=content.origin)
