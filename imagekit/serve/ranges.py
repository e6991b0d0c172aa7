"""The Range header of HTTP (RFC 9110, section 14): which bytes of a file a client wants."""

import re

_SINGLE = re.compile(r"\s*bytes\s*=\s*([0-9]*)\s*-\s*([0-9]*)\s*", re.IGNORECASE | re.ASCII)
_MOST_DIGITS = 19  # of any file's size; more are read as "very many"


class UnsatisfiableError(Exception):
    """A range that begins behind the end of the file."""


def parse(header: str, size: int) -> tuple[int, int] | None:
    """Return (offset, length) in bytes of the one range that is wanted, None when the whole file is to be sent.

    That is so for what is no range, for other units, and for several ranges at once: a server may ignore them.
    Raise UnsatisfiableError when nothing of the range is in a file of `size` bytes.
    """
    match = _SINGLE.fullmatch(header)
    if match is None or not (match[1] or match[2]):
        return None
    if not match[1]:
        length = min(_number(match[2]), size)
        if length == 0:
            raise UnsatisfiableError
        return size - length, length
    first = _number(match[1])
    last = _number(match[2]) if match[2] else first + size
    if last < first:
        return None
    if first >= size:
        raise UnsatisfiableError
    return first, min(last + 1, size) - first


def _number(digits: str) -> int:
    # Python refuses to read numbers of thousands of digits, and need not read them here.
    significant = digits.lstrip("0") or "0"
    return int(significant) if len(significant) <= _MOST_DIGITS else 10**_MOST_DIGITS
