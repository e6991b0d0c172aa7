"""Directories as bytes: chunks of 512 bytes, each covered by a chain of entries."""

from collections.abc import Iterable, Iterator, Sequence

from imagekit.errors import FormatError
from imagekit.formats.ufs.layout import DIRECTORY_CHUNK, DIRECTORY_ENTRY, NAME_MAX, entry_size

_DOTS = 2 * entry_size(1)
"""Bytes of the entries "." and ".."; both names take the least there is."""


def packed_size(names: Iterable[bytes]) -> int:
    """Return the size in bytes of a directory with these names beside "." and ".."."""
    position = _DOTS
    for name in names:
        need = 8 + (len(name) + 4 & ~3)
        if position % DIRECTORY_CHUNK + need > DIRECTORY_CHUNK:
            position += -position % DIRECTORY_CHUNK
        position += need
    return position + -position % DIRECTORY_CHUNK


def pack(number: int, parent: int, names: Sequence[bytes], numbers: Sequence[int], size: int) -> bytes:
    """Return a directory of `size` bytes (at least packed_size) with inode `number`, in the directory `parent`.

    `numbers` are the inodes of `names`.  Chunks that no name reaches hold one unused entry each.
    """
    data = bytearray(size)
    put = DIRECTORY_ENTRY.pack_into
    last = position = 0
    for name, inode in ((b".", number), (b"..", parent), *zip(names, numbers, strict=True)):
        length = len(name)
        need = 8 + (length + 4 & ~3)
        if position % DIRECTORY_CHUNK + need > DIRECTORY_CHUNK:
            _stretch(data, last, position)
            position += -position % DIRECTORY_CHUNK
        put(data, position, inode, need, length)
        data[position + 8 : position + 8 + length] = name
        last = position
        position += need
    _stretch(data, last, position)
    for chunk in range(position + -position % DIRECTORY_CHUNK, size, DIRECTORY_CHUNK):
        put(data, chunk, 0, DIRECTORY_CHUNK, 0)
    return bytes(data)


def _stretch(data: bytearray, last: int, position: int) -> None:
    """Let the entry at `last`, which ends at `position`, own the rest of its chunk."""
    inode, _, length = DIRECTORY_ENTRY.unpack_from(data, last)
    DIRECTORY_ENTRY.pack_into(data, last, inode, position - last + -position % DIRECTORY_CHUNK, length)


def unpack(data: bytes, where: str) -> Iterator[tuple[bytes, int]]:
    """Yield (name, inode) of the used entries; raise FormatError naming `where` when a chain is broken."""
    for chunk in range(0, len(data), DIRECTORY_CHUNK):
        position, end = chunk, min(chunk + DIRECTORY_CHUNK, len(data))
        while position < end:
            if end - position < DIRECTORY_ENTRY.size:
                raise _broken(where, position, f"{end - position} bytes are left for an entry")
            inode, record, length = DIRECTORY_ENTRY.unpack_from(data, position)
            if (
                record % 4
                or record < (entry_size(length) if inode else DIRECTORY_ENTRY.size)
                or record > end - position
            ):
                raise _broken(where, position, f"an entry of {record} bytes for a name of {length}")
            if inode:
                name = data[position + 8 : position + 8 + length]
                if not 1 <= length <= NAME_MAX or b"\0" in name or b"/" in name:
                    raise _broken(where, position, f"the name {name!r}")
                yield name, inode
            position += record


def _broken(where: str, position: int, found: str) -> FormatError:
    return FormatError(f"damaged directory: {found} at byte {position:,}", where=where, hint="the image is damaged")
