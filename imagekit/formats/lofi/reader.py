"""Read a compressed lofi file at any offset, decompressing the segments that are asked for."""

import lzma
import zlib
from array import array
from collections import OrderedDict
from sys import byteorder
from threading import Lock

from imagekit.content import Content, KnownContent
from imagekit.errors import FormatError
from imagekit.formats.lofi.layout import (
    COMPRESSED,
    HEADER,
    HEADER_SIZE,
    INDEX_ENTRY,
    SECTOR,
    SEGMENT_LIMIT,
    SIGNATURES,
    STORED,
)

_CACHE = 4 << 20
"""Bytes of decompressed segments that are kept."""

_MOST_SEGMENTS = 1 << 23
"""Segments that an index may have: it is kept in memory, 8 bytes each.  At 128 KiB they are 1 TiB."""

_LZMA_MEMORY = 256 << 20
_ANY_WRAPPER = 32 + zlib.MAX_WBITS
"""The driver takes zlib and gzip streams, whatever the signature says."""


def is_lofi(content: Content) -> bool:
    """Tell whether a content begins like a compressed lofi file."""
    return content.size >= HEADER_SIZE and _signature(content.read(0, 36)) in SIGNATURES


def _signature(raw: bytes) -> str:
    return raw.partition(b"\0")[0].decode("latin-1")


class Lofi(KnownContent):
    """The image inside a compressed lofi file.

    Raise FormatError when the file is no such thing, or is damaged; segments are checked when they are read.
    """

    __slots__ = ("_algorithm", "_cache", "_file", "_index", "_lock", "_segment_size", "_start")

    def __init__(self, file: Content, origin: str | None = None) -> None:
        """`origin` is what messages call the image inside; the default is the file's own origin."""
        self._file = file
        if file.size < HEADER_SIZE:
            raise self._damaged(f"{file.size:,} bytes are too few for a header")
        header = HEADER.parse(file.read(0, HEADER_SIZE))
        self._algorithm = _signature(header.signature)
        if self._algorithm not in SIGNATURES:
            raise FormatError(
                f"not a compressed lofi file: it begins with {header.signature[:8]!r}",
                where=file.origin,
                hint=f"such a file begins with one of {', '.join(SIGNATURES)} and a NUL",
            )
        self._segment_size = segment_size = int(header.segment_size)
        if segment_size < SECTOR or segment_size & (segment_size - 1) or segment_size > SEGMENT_LIMIT:
            raise self._damaged(
                f"segments of {segment_size:,} bytes, expected a power of two, {SECTOR} to {SEGMENT_LIMIT:,}"
            )
        count = int(header.entries) - 1
        if count < 1:
            raise self._damaged(f"an index of {header.entries} entries, expected at least 2")
        if not 1 <= header.last_size <= segment_size:
            raise self._damaged(f"a last segment of {header.last_size:,} bytes, expected 1 to {segment_size:,}")
        super().__init__((count - 1) * segment_size + int(header.last_size), origin or file.origin)
        self._start = HEADER_SIZE + INDEX_ENTRY * int(header.entries)
        if self._start > file.size:
            raise self._damaged(f"an index of {header.entries:,} entries in a file of {file.size:,} bytes")
        if count > _MOST_SEGMENTS:
            raise self._damaged(f"an index of {header.entries:,} entries is not credible")
        self._index = self._read_index()
        self._cache: OrderedDict[int, bytes] = OrderedDict()
        self._lock = Lock()

    def _read_index(self) -> "array[int]":
        index = array("Q", self._file.read(HEADER_SIZE, self._start - HEADER_SIZE))
        if byteorder == "little":
            index.byteswap()
        if index[0] != 0:
            raise self._damaged(f"the first segment is at {index[0]:,}, expected 0")
        room = self._file.size - self._start
        for number in range(len(index) - 1):
            length = index[number + 1] - index[number]
            if not 2 <= length <= self._segment_size + 1:
                raise self._damaged(
                    f"segment {number:,} takes {length:,} bytes, expected 2 to {self._segment_size + 1:,}"
                )
        if index[-1] > room:
            raise self._damaged(f"segments end at {index[-1]:,}, but only {room:,} bytes follow the index")
        return index

    def _damaged(self, what: str) -> FormatError:
        return FormatError(
            f"damaged compressed lofi file: {what}", where=self._file.origin, hint="the file is damaged or cut short"
        )

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Decompress the segments that the buffer touches, unless they are still in memory."""
        done = 0
        while done < len(buffer):
            number, skip = divmod(offset + done, self._segment_size)
            part = memoryview(self._segment(number))[skip : skip + len(buffer) - done]
            buffer[done : done + len(part)] = part
            done += len(part)

    def _segment(self, number: int) -> bytes:
        with self._lock:
            data = self._cache.get(number)
            if data is not None:
                self._cache.move_to_end(number)
                return data
        data = self._unpack(number)
        with self._lock:
            self._cache[number] = data
            while len(self._cache) > max(_CACHE // self._segment_size, 2):
                self._cache.popitem(last=False)
        return data

    def _unpack(self, number: int) -> bytes:
        first = self._index[number]
        packed = self._file.read(self._start + first, self._index[number + 1] - first)
        size = min(self._segment_size, self._size - number * self._segment_size)
        flag, body = packed[0], packed[1:]
        if flag == STORED:
            if len(body) != size:
                raise self._damaged(f"segment {number:,} is stored in {len(body):,} bytes, expected {size:,}")
            return body
        if flag != COMPRESSED:
            raise self._damaged(f"segment {number:,} begins with {flag}, expected 0 (stored) or 1 (compressed)")
        try:
            data, rest = self._decompress(body, size)
        except (zlib.error, lzma.LZMAError, MemoryError) as error:
            raise self._damaged(f"segment {number:,} does not decompress: {error}") from error
        if rest is None:
            raise self._damaged(f"segment {number:,} does not end after the {size:,} bytes that are expected")
        if len(data) != size or rest:
            raise self._damaged(
                f"segment {number:,} has {len(data):,} bytes, expected {size:,}; {len(rest):,} bytes follow"
            )
        return data

    def _decompress(self, body: bytes, size: int) -> tuple[bytes, bytes | None]:
        """Return at most size + 1 bytes, and what follows the stream, or None when the stream has not ended."""
        if self._algorithm == "lzma":
            unlzma = lzma.LZMADecompressor(lzma.FORMAT_ALONE, memlimit=_LZMA_MEMORY)
            data = unlzma.decompress(body, size + 1)
            return data, unlzma.unused_data if unlzma.eof else None
        inflate = zlib.decompressobj(_ANY_WRAPPER)
        data = inflate.decompress(body, size + 1)
        return data, inflate.unused_data if inflate.eof else None
