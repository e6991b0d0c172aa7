"""Opens the end of a deflate stream, so that another can follow it: what libdeflate makes always ends for good.

RFC 1951, 3.2.3: each block begins with a bit that tells whether it is the last one.  libdeflate does not say where its
last block begins, so that is looked for from the end.  A block with dynamic codes begins with the lengths of the codes
for its codes, which have to fill the code space exactly (Kraft); that is true at one place in a few thousand, and is
found for all places at once, with whole windows of the stream as integers.  What is left is inflated and compared.
"""

import struct
import zlib
from collections.abc import Iterator

_WINDOWS = tuple(kib << 10 for kib in (4, 8, *range(16, 321, 16)))
"""Bytes from the end, in which to look for the last block; libdeflate's have at most 305,000 bytes of plain data.

Each is looked through but for the one before it: in steps that stay in the processor's cache."""

_CODE_LENGTHS, _FIRST_CODE_LENGTH = 19, 17
_LONGEST_HEADER = 330  # bytes: 17 + 19 * 3 bits, and 316 codes of at most 7 + 7 bits
_HISTORY = 32 * 1024
_LEAST, _LEAST_STORED = 1024, 16
"""Bytes of plain data that have to agree: fewer could by chance.  The length of stored ones stands there twice."""

_UNKNOWN = bytes(_HISTORY)
_LAST = 1  # the first bit of a block
_EMPTY_LAST = b"\x03\x00"  # an empty block with fixed codes, marked as the last
_EMPTY_STORED = b"\x00\x00\xff\xff"  # a stored block without its first three bits, which are zeros


def open_end(stream: bytes, data: memoryview) -> bytes | None:
    """Return `stream`, which inflates to `data`, with no block marked as the last, and its end at a byte boundary.

    None where the last block is not one with dynamic codes or stored bytes, or not found.
    """
    stored = _stored_block(stream, data)
    if stored is not None:
        return _unmarked(stream, stored)
    done = len(stream)
    for window in _WINDOWS:
        start = max(len(stream) - window, 0)
        # Where a header reaches into what was looked through already, it still has to be seen whole.
        part = stream[start : done + _LONGEST_HEADER]
        for place in _plausible(int.from_bytes(part, "little"), (done - start) * 8):
            opened = _opened(stream, start * 8 + place, data)
            if opened is not None:
                return opened
        if start == 0:
            break
        done = start
    return None


def _unmarked(stream: bytes, place: int) -> bytes:
    """Return the stream without the bit at `place`."""
    index, bit = divmod(place, 8)
    return b"".join((stream[:index], bytes((stream[index] & ~(1 << bit),)), stream[index + 1 :]))


def _stored_block(stream: bytes, data: memoryview) -> int | None:
    """Return the place, in bits, of a last block that is stored: its length, its complement, then all that is left."""
    tail = stream[-0xFFFF - 4 :]
    number = int.from_bytes(tail, "little")
    mixed = (number ^ number >> 16).to_bytes(len(tail), "little")
    at = mixed.find(b"\xff\xff")
    while at >= 0:
        length = len(tail) - at - 4
        if (
            length >= _LEAST_STORED
            and struct.unpack_from("<H", tail, at)[0] == length
            and data[-length:] == tail[at + 4 :]
        ):
            # What fills the byte are zeros, so the bit before them is the mark.
            end = len(stream) - length - 4
            before = int.from_bytes(stream[max(end - 2, 0) : end], "little")
            return max(end - 2, 0) * 8 + before.bit_length() - 1 if before else None
        at = mixed.find(b"\xff\xff", at + 1)
    return None


def _plausible(bits: int, places: int) -> Iterator[int]:
    """Yield the places, below `places` and from the last to the first, where a last block with dynamic codes may begin.

    Every integer here holds one bit for each place.
    """
    found = bits & ~(bits >> 1) & bits >> 2 & (1 << places) - 1  # the last block; dynamic codes
    # More than 286 codes for literals and lengths, or 30 for distances, cannot be.
    found &= ~(bits >> 4 & bits >> 5 & bits >> 6 & bits >> 7)
    found &= ~(bits >> 9 & bits >> 10 & bits >> 11 & bits >> 12)
    count = [bits >> 13 + bit for bit in range(4)]  # of code lengths, less 4
    columns: list[list[int]] = [[] for _ in range(12)]  # what adds up to 2^column / 2^7 of the code space
    for index in range(_CODE_LENGTHS):
        there = found & _more(count, index - 4) if index >= 4 else found
        low, middle, high = (bits >> _FIRST_CODE_LENGTH + 3 * index + bit for bit in range(3))
        low, middle, high = low & there, middle & there, high & there
        not_low, not_middle, not_high = there ^ low, there ^ middle, there ^ high
        short, two, four, six = not_high & not_middle, not_high & middle, high & not_middle, high & middle
        parts = (short & low, two & not_low, two & low, four & not_low, four & low, six & not_low, six & low)
        for length, part in enumerate(parts, 1):
            columns[7 - length].append(part)
    for column, parts_of_column in enumerate(columns):
        total = _add(parts_of_column, columns[column + 1] if column + 1 < len(columns) else [])
        found &= total if column == 7 else ~total
    while found:
        place = found.bit_length() - 1
        yield place
        found ^= 1 << place


def _more(number: list[int], than: int) -> int:
    """Return where a number, given by its bits from the lowest on, is larger than a constant."""
    result = 0
    for index, bit in enumerate(number):
        result = bit & result if than >> index & 1 else bit | result
    return result


def _add(parts: list[int], carries: list[int]) -> int:
    """Add bits of one column; return the column of the sum, and append what is carried to the next one."""
    parts = list(parts)
    while len(parts) > 2:
        one, two, three = parts.pop(), parts.pop(), parts.pop()
        either = one ^ two
        parts.insert(0, either ^ three)
        carries.append(one & two | either & three)
    if len(parts) == 2:
        carries.append(parts[0] & parts[1])
        return parts[0] ^ parts[1]
    return parts[0] if parts else 0


def _opened(stream: bytes, place: int, data: memoryview) -> bytes | None:
    """Return the stream with its end open if its last block begins at `place`, in bits."""
    index, bit = divmod(place, 8)
    head = int.from_bytes(stream[index : index + _LONGEST_HEADER + 1], "little") >> bit
    try:
        zlib.decompressobj(-15).decompress(head.to_bytes(_LONGEST_HEADER + 1, "little"))
    except zlib.error as error:
        if "too far back" not in str(error):  # which comes behind a right header only
            return None
    try:
        block = int.from_bytes(stream[index:], "little") >> bit
        length = len(stream) - index
        inflater = _inflater(_UNKNOWN)
        size = len(inflater.decompress(block.to_bytes(length, "little")))
    except zlib.error:
        return None
    if not inflater.eof or size > len(data) or size < min(_LEAST, len(data)):
        return None
    # Now it is known where it begins, and so what stands before it: inflate it again, as it will be.
    start = len(data) - size
    inflater = _inflater(bytes(data[max(start - _HISTORY, 0) : start]))
    most = max(length - 4, 1)
    plain = inflater.decompress((block ^ _LAST).to_bytes(length, "little")[:most])
    for room in range(8):  # bits that are left in the last byte
        end = length * 8 - bit - room
        closed = block ^ _LAST | int.from_bytes(_EMPTY_LAST, "little") << end
        attempt = inflater.copy()
        try:
            rest = attempt.decompress(closed.to_bytes(length + 2, "little")[most:])
        except zlib.error:
            continue
        if attempt.eof and plain + rest == data[start:]:
            # A stored block begins with three bits.
            return _unmarked(stream, place) + (b"" if room >= 3 else b"\0") + _EMPTY_STORED
    return None


def _inflater(history: bytes) -> "zlib._Decompress":
    return zlib.decompressobj(-15, zdict=history)
