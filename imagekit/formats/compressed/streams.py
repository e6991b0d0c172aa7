"""Inflates xz, bzip2 and zstd files of one or more streams, with libraries that check their sums.

Formats: the .xz file format 1.2, bzip2's `BZh` streams, and RFC 8878 (zstd) with its skippable frames.
"""

import bz2
import importlib
import lzma
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from imagekit.content import BLOCK_SIZE, Content
from imagekit.errors import FormatError
from imagekit.formats.forward import Forward
from imagekit.progress import SILENT, Progress

_MEMORY = 256 << 20
"""Bytes that a decompressor may take; `xz -9` wants 65 MiB."""

_ZSTD_WINDOW_LOG = 27
"""The largest window, as a power of two: 128 MiB, what zstd itself takes unless told otherwise."""

_ZSTD_MODULES = ("compression.zstd", "backports.zstd")
_SKIPPABLE = range(0x184D2A50, 0x184D2A60)


class Decompressor(Protocol):
    """What the standard library's decompressors have in common."""

    @property
    def eof(self) -> bool:
        """Tell whether the end of the stream was reached."""

    @property
    def needs_input(self) -> bool:
        """Tell whether more comes only of more input."""

    @property
    def unused_data(self) -> bytes:
        """What followed the end of the stream."""

    @property
    def decompress(self) -> Callable[[bytes, int], bytes]:
        """A function of data and the most bytes that it may return."""


@dataclass(frozen=True, slots=True)
class Compression:
    """A kind of compressed file: its name, the bytes that it begins with, and what inflates one stream of it."""

    name: str
    magic: bytes
    decompressor: Callable[[Content], Decompressor]

    def begins(self, start: bytes) -> bool:
        """Tell whether a stream begins like this; of zstd, a frame that is to be skipped may come first."""
        skippable = self.name == "zstd" and int.from_bytes(start[:4], "little") in _SKIPPABLE
        return start.startswith(self.magic) or skippable


def _xz(_content: Content) -> Decompressor:
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_MEMORY)


def _bzip2(_content: Content) -> Decompressor:
    return bz2.BZ2Decompressor()


def _zstd(content: Content) -> Decompressor:
    module = _zstd_module()
    if module is None:
        raise FormatError(
            "compressed with zstd, and this Python has no library for that",
            where=content.origin,
            hint="install one (pip install backports.zstd), or inflate the file first: zstd -d",
        )
    window = module.DecompressionParameter.window_log_max
    return module.ZstdDecompressor(options={window: _ZSTD_WINDOW_LOG})  # type: ignore[no-any-return]


def _zstd_module() -> Any | None:
    for name in _ZSTD_MODULES:
        try:
            return importlib.import_module(name)
        except ImportError:
            continue
    return None


XZ = Compression("xz", b"\xfd7zXZ\0", _xz)
BZIP2 = Compression("bzip2", b"BZh", _bzip2)
ZSTD = Compression("zstd", b"\x28\xb5\x2f\xfd", _zstd)
_BZIP2_BLOCK = (bytes.fromhex("314159265359"), bytes.fromhex("177245385090"))  # the first block, or the end


def is_xz(content: Content) -> bool:
    """Tell whether a content begins like an xz file."""
    return _start(content).startswith(XZ.magic)


def is_bzip2(content: Content) -> bool:
    """Tell whether a content begins like a bzip2 file: with a block size and a block, since `BZh` alone is a text."""
    start = _start(content)
    return start.startswith(BZIP2.magic) and start[3:4] in b"123456789" and start[4:10] in _BZIP2_BLOCK


def is_zstd(content: Content) -> bool:
    """Tell whether a content begins like a zstd file; behind a frame that is to be skipped another must follow."""
    start = _start(content)
    if start.startswith(ZSTD.magic):
        return True
    if len(start) < 8 or not ZSTD.begins(start):
        return False
    behind = 8 + int.from_bytes(start[4:8], "little")
    return behind + 4 <= content.size and ZSTD.begins(content.read(behind, 4))


def _start(content: Content) -> bytes:
    return content.read(0, min(content.size, 16))


def pieces(compression: Compression, content: Content, progress: Progress = SILENT) -> Iterator[bytes]:
    """Yield what all streams of a file hold, in pieces of at most a block.

    FormatError when one is damaged, cut short, wants too much memory, or is followed by anything but streams or zeros.
    """
    source = Forward(content, progress)
    while True:
        yield from _stream(source, compression)
        if not _another(source, compression):
            return


def _stream(source: Forward, compression: Compression) -> Iterator[bytes]:
    stream = compression.decompressor(source.content)
    while not stream.eof:
        data = b""
        if stream.needs_input:
            data = source.block()
            if not data:
                raise source.error(f"the {compression.name} file is cut short")
        try:
            piece = stream.decompress(data, BLOCK_SIZE)
        except Exception as error:  # each library has errors of its own; none of them is ours
            raise source.error(f"the {compression.name} file cannot be inflated: {error or 'no memory'}") from error
        if piece:
            yield piece
    source.give_back(stream.unused_data)


def _another(source: Forward, compression: Compression) -> bool:
    """Tell whether a stream follows; zeros may stand between, as xz pads with them."""
    while start := source.block():
        start = start.lstrip(b"\0")
        if not start:
            continue
        while len(start) < len(XZ.magic) and (more := source.block()):
            start += more
        source.give_back(start)
        if compression.begins(start):
            return True
        raise source.error(f"there is something other than {compression.name} data behind the end")
    return False
