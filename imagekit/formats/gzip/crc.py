"""CRC-32 of a whole from the CRCs of its parts: each appended part, or run of zeros, takes O(log n).

A CRC is a polynomial over GF(2) modulo the generator, bit 31 being the coefficient of x^0.  Appending n bytes
multiplies what came before by x^(8n); so it is enough to know the powers x^(2^k).
"""

from functools import cache

_GENERATOR = 0xEDB88320
_ONE = 1 << 31
_MASK = 0xFFFFFFFF


def _multiply(one: int, two: int) -> int:
    product = 0
    for bit in range(31, -1, -1):
        if one >> bit & 1:
            product ^= two
        two = two >> 1 ^ (_GENERATOR if two & 1 else 0)
    return product


def _powers() -> list[int]:
    power, powers = _ONE >> 1, []
    for _ in range(32):
        powers.append(power)
        power = _multiply(power, power)
    return powers


_POWERS = _powers()  # x^(2^k); x^(2^32) is x again, since the generator is primitive


@cache
def _shift(length: int) -> int:
    """Return x^(8 * length)."""
    result, index = _ONE, 3
    while length:
        if length & 1:
            result = _multiply(_POWERS[index % 32], result)
        length >>= 1
        index += 1
    return result


def combine(first: int, second: int, length: int) -> int:
    """Return the CRC-32 of two parts, the second of `length` bytes, from the CRCs of both."""
    return _multiply(_shift(length), first) ^ second


def append_zeros(crc: int, length: int) -> int:
    """Return the CRC-32 of a part with the CRC `crc` and `length` zero bytes behind it."""
    return _multiply(_shift(length), crc ^ _MASK) ^ _MASK
