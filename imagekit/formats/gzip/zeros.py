"""Runs of zeros as deflate blocks, made directly: at two bits for 258 zeros, as small as deflate can."""

from functools import cache

_MATCH = 258  # the longest match that deflate has


@cache
def deflated_zeros(length: int) -> bytes:
    """Return `length` zero bytes (1 or more) as deflate blocks that end at a byte boundary and refer to nothing before.

    One dynamic block (RFC 1951, 3.2.7) of few symbols: literal 0 has the code 10, end of block 11, a match of 258 bytes
    the code 0, its distance 1 the code 0.  An empty stored block behind it fills the last byte.
    """
    bits = _Bits()
    bits.number(0, 1)  # not the last block
    bits.number(2, 2)  # dynamic codes
    bits.number(286 - 257, 5)  # codes for literals and lengths
    bits.number(0, 5)  # one code for distances
    bits.number(18 - 4, 4)  # lengths of the code that the lengths are written in, in this order:
    for symbol in (16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1):
        bits.number({18: 1, 1: 2, 2: 2}.get(symbol, 0), 3)
    one, two, gap = "10", "11", "0"  # lengths 1 and 2, and a gap of 11 + (7 bits) unused codes
    bits.code(two)  # literal 0
    for unused in (138, 117):
        bits.code(gap)
        bits.number(unused - 11, 7)
    bits.code(two)  # 256, end of block
    bits.code(gap)
    bits.number(28 - 11, 7)
    bits.code(one)  # 285, a match of 258
    bits.code(one)  # distance 1
    matches = (length - 1) // _MATCH
    bits.code("10" * (length - matches * _MATCH))
    bits.code("00" * matches)
    bits.code("11")
    bits.number(0, 3)  # stored, not the last block
    return bits.packed() + b"\x00\x00\xff\xff"


class _Bits:
    """Bits in the order of deflate: from the least significant one of each byte."""

    def __init__(self) -> None:
        self._text: list[str] = []

    def number(self, value: int, width: int) -> None:
        """Append a number, least significant bit first."""
        self._text.append(f"{value:0{width}b}"[::-1])

    def code(self, text: str) -> None:
        """Append Huffman codes, most significant bit first."""
        self._text.append(text)

    def packed(self) -> bytes:
        """Return the bits, the last byte filled with zeros."""
        text = "".join(self._text)
        return int(text[::-1], 2).to_bytes(-(-len(text) // 8), "little")
