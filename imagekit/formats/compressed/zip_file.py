"""Reads a zip file as a wrapping: one that holds a single file, as a download or a build's artefact comes.

The directory is read by the standard library's zipfile; what it says is checked against what is inflated.
"""

import io
import struct
import zipfile
import zlib
from collections.abc import Iterator

from imagekit.content import BLOCK_SIZE, Content, Slice
from imagekit.errors import FormatError
from imagekit.formats.compressed.streams import BZIP2, XZ, ZSTD, pieces
from imagekit.formats.forward import Forward
from imagekit.progress import SILENT, Progress

_MARK = b"PK\x03\x04"
_LARGEST_DIRECTORY = 1 << 20  # bytes; a member takes some hundred
_LISTED = 5  # names in a message
_LOCAL_HEADER = struct.Struct("<4s5H3I2H")  # APPNOTE.TXT, 4.3.7
_STORED, _DEFLATED = 0, 8
_COMPRESSIONS = {12: BZIP2, 93: ZSTD, 95: XZ}
_ENCRYPTED = 0x0001
_NOT_FILES = ("__MACOSX/", ".DS_Store")  # what macOS adds


def is_zip(content: Content) -> bool:
    """Tell whether a content begins like a zip file."""
    return content.size >= _LOCAL_HEADER.size and content.read(0, len(_MARK)) == _MARK


def zip_pieces(content: Content, progress: Progress = SILENT) -> Iterator[bytes]:
    """Yield what the one file in a zip file holds, in pieces of at most a block.

    FormatError when it holds none or more than one, is damaged, encrypted, or packed in a way that is not known.
    """
    member = _only_file(content)
    where = f"{content.origin}!/{member.filename}"
    packed = _packed(content, member, where)
    crc = size = 0
    for piece in _unpacked(packed, member, progress):
        crc = zlib.crc32(piece, crc)
        size += len(piece)
        if size > member.file_size:
            break
        yield piece
    if (size, crc) != (member.file_size, member.CRC):
        raise FormatError(
            f"{size:,} bytes with CRC {crc:#010x} were inflated, "
            f"{member.file_size:,} with {member.CRC:#010x} are noted",
            where=where,
            hint="the zip file is damaged",
        )


class _Reader(io.RawIOBase):
    """A content as a file for zipfile, which reads the whole directory at once."""

    def __init__(self, content: Content) -> None:
        super().__init__()
        self._content = content
        self._offset = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._offset

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._offset, io.SEEK_END: self._content.size}[whence]
        if base + offset < 0:
            raise ValueError("a place before the start of the file")
        self._offset = base + offset
        return self._offset

    def read(self, size: int | None = -1) -> bytes:
        left = max(self._content.size - self._offset, 0)
        count = left if size is None or size < 0 else min(size, left)
        if count > _LARGEST_DIRECTORY:
            raise FormatError(
                f"a zip directory of {count:,} bytes; one of a single file is small", where=self._content.origin
            )
        data = self._content.read(self._offset, count)
        self._offset += count
        return data


def _only_file(content: Content) -> zipfile.ZipInfo:
    try:
        with zipfile.ZipFile(_Reader(content)) as archive:
            found = [member for member in archive.infolist() if not member.is_dir()]
    except FormatError:
        raise
    except Exception as error:  # zipfile lets all kinds out of a hostile file
        raise FormatError(f"a damaged zip file: {error}", where=content.origin) from error
    files = [member for member in found if not member.filename.startswith(_NOT_FILES)]
    if len(files) != 1:
        names = ", ".join(member.filename for member in files[:_LISTED]) + (", ..." if len(files) > _LISTED else "")
        holds = f"{len(files):,} files ({names})" if files else "no file"
        raise FormatError(
            f"a zip file that holds {holds}, expected a single image",
            where=content.origin,
            hint="unpack it, and name the image or the folder",
        )
    return files[0]


def _packed(content: Content, member: zipfile.ZipInfo, where: str) -> Content:
    """Return the packed bytes of a member, behind its local header."""
    if member.flag_bits & _ENCRYPTED:
        raise FormatError("encrypted, and imagekit has no password for it", where=where, hint="unpack it first")
    header = Slice(content, member.header_offset, _LOCAL_HEADER.size, where).read()
    mark, *_, name_length, extra_length = _LOCAL_HEADER.unpack(header)
    if mark != _MARK:
        raise FormatError(f"no header of a member there: {mark!r}", where=where, hint="the zip file is damaged")
    start = member.header_offset + _LOCAL_HEADER.size + name_length + extra_length
    return Slice(content, start, member.compress_size, where)


def _unpacked(packed: Content, member: zipfile.ZipInfo, progress: Progress) -> Iterator[bytes]:
    if member.compress_type == _STORED:
        source = Forward(packed, progress)
        yield from iter(source.block, b"")
    elif member.compress_type == _DEFLATED:
        yield from _inflated(Forward(packed, progress))
    elif member.compress_type in _COMPRESSIONS:
        yield from pieces(_COMPRESSIONS[member.compress_type], packed, progress)
    else:
        raise FormatError(
            f"packed with method {member.compress_type}, which imagekit does not read",
            where=packed.origin,
            hint="unpack it, and name what is in it",
        )


def _inflated(source: Forward) -> Iterator[bytes]:
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    pending = b""
    while not stream.eof:
        pending = pending or source.block()
        try:
            # What zlib still holds at the end of the input is less than a block.
            piece = stream.decompress(pending, BLOCK_SIZE) if pending else stream.flush()
        except zlib.error as error:
            raise source.error(f"the zip file's member is damaged near here: {error}") from error
        if piece:
            yield piece
        elif not pending:
            raise source.error("the zip file's member is cut short")
        pending = stream.unconsumed_tail
