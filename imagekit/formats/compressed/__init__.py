"""Files that are compressed as a whole, with gzip, xz, bzip2 or zstd, or as the only file in a zip file."""

from collections.abc import Callable, Iterator, Mapping
from typing import Literal, TypeGuard, get_args

from imagekit.content import Content, Sparse, is_zero
from imagekit.errors import FormatError
from imagekit.formats import gzip
from imagekit.formats.compressed.streams import BZIP2, XZ, ZSTD, compression_of, pieces
from imagekit.formats.compressed.zip_file import is_zip, zip_pieces
from imagekit.progress import SILENT, Progress

Kind = Literal["gzip", "xz", "bzip2", "zstd", "zip"]

LARGEST = 64 << 30
"""Bytes that a compressed file may hold: no medium is as large, and a small file may hold any number of zeros."""

_PIECES: Mapping[str, Callable[[Content, Progress], Iterator[bytes]]] = {
    "xz": lambda content, progress: pieces(content, XZ, progress),
    "bzip2": lambda content, progress: pieces(content, BZIP2, progress),
    "zstd": lambda content, progress: pieces(content, ZSTD, progress),
    "zip": zip_pieces,
}


def is_kind(kind: str | None) -> TypeGuard[Kind]:
    """Tell whether a kind of image is a compression."""
    return kind in get_args(Kind)


def kind_of(content: Content) -> Kind | None:
    """Return what a content is compressed with, or None."""
    if gzip.is_gzip(content):
        return "gzip"
    if is_zip(content):
        return "zip"
    found = compression_of(content)
    return found.name if found else None


def inflate(content: Content, output: Sparse, *, limit: int = LARGEST, progress: Progress = SILENT) -> None:
    """Inflate one layer to an output of its own; zeros become holes.  `progress` counts compressed bytes.

    FormatError when the file is damaged or cut short, of no known kind, or holds more than `limit` bytes.
    """
    kind = kind_of(content)
    if kind == "gzip":
        gzip.inflate(content, output, limit=limit, progress=progress)
        return
    if kind is None:
        raise FormatError("not compressed in a way that is known here", where=content.origin)
    size = 0
    for piece in _PIECES[kind](content, progress):
        if size + len(piece) > limit:
            raise FormatError(f"it holds more than {limit:,} bytes", where=content.origin, hint="inflate it first")
        if not is_zero(piece):
            output.write_at(size, piece)
        size += len(piece)
    output.truncate(size)
