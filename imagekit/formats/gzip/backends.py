"""The libraries that deflate: libdeflate and ISA-L, or the standard library's zlib where those are not installed.

Each always makes the same bytes of the same input, whatever the number of threads; no two make the same.
"""

import importlib
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from types import ModuleType
from typing import Literal

from imagekit.errors import InputError
from imagekit.formats.gzip.last_block import open_end

Level = Literal["quick", "close", "best"]
"""How hard to try.  "close" comes close to gzip -6 in size, in two fifths of its time; "best" is 3 % smaller than
gzip -9; "quick" is an eighth larger than "close", in a third of its time.

That is with libdeflate and ISA-L.  zlib alone takes its levels 6, 9 and 2, and gzip's time.
"""

_SYNC_FLUSH = 2  # the same number in zlib and ISA-L
_MODULES = {"libdeflate": "deflate", "isa-l": "isal.isal_zlib", "zlib": "zlib"}
_NUMBERS: dict[str, dict[Level, int]] = {
    "libdeflate": {"quick": 1, "close": 5, "best": 10},
    "isa-l": {"quick": 2, "close": 3, "best": 3},
    "zlib": {"quick": 2, "close": 6, "best": 9},
}
_PREFERRED: dict[Level, tuple[str, ...]] = {
    "quick": ("isa-l", "zlib"),
    "close": ("libdeflate", "zlib"),
    "best": ("libdeflate", "zlib"),
}

# Where samples say that less than a tenth is to be gained, "quick" has the first try (one sample of sixteen may well be
# of something else).  What that makes smaller by little stays so, and what it does not make smaller is stored as it is:
# unless longer samples show that it repeats farther away than "quick" looks (ISA-L's finds little beyond 4 KiB).
_SAMPLES, _SAMPLE_SIZE, _LITTLE, _HARDLY, _NOT_AT_ALL = 16, 2048, 0.9, 0.95, 0.995
_STRETCH, _STRETCH_EVERY = 1 << 16, 1 << 20  # bytes

# Deflate makes a thousandth of zeros, no less.  Near that, as with a file system's empty groups, "quick" is enough.
_NEXT_TO_NOTHING, _NEAR_THE_LEAST = 0.02, 0.002  # of a sample; of the whole

_STORED_SIZE = 0xFFFF  # bytes of a stored block (RFC 1951, 3.2.4)

_MEBIBYTE = 1 << 20

_Deflate = Callable[[memoryview, memoryview], bytes]
"""Makes deflate blocks, up to a byte boundary, of data and of what stands before it."""


@dataclass(frozen=True, slots=True)
class Backend:
    """A library at a level; `name` says both, such as "libdeflate 5".

    Data is handed to `deflate` in blocks of at most `block_size` bytes: libdeflate knows nothing of what stands before
    one, and the end of each has to be found in what it made, so its blocks are larger.
    """

    name: str
    block_size: int
    crc32: Callable[[memoryview], int]
    _deflate: "_Deflate"
    _quick: "_Deflate"
    _far: "_Deflate"

    def deflate(self, data: memoryview, history: memoryview) -> bytes:
        """Return `data` as deflate blocks that end at a byte boundary; `history` is what stands before it."""
        sample = self._sample(data)
        if sample < _NEXT_TO_NOTHING:
            tried = self._quick(data, history)
            if len(tried) < _NEAR_THE_LEAST * len(data):
                return tried
        elif sample > _LITTLE:
            tried = self._quick(data, history)
            if len(tried) > _HARDLY * len(data):
                if self._repeats(data):
                    return min(self._deflate(data, history), self._far(data, history), key=len)
                return _unless_in_vain(tried, data)
        return self._deflate(data, history)

    def deflate_compressed(self, data: memoryview, history: memoryview) -> bytes:
        """Do the same with `data` that is known to be compressed already: only "quick" has a try, and no more."""
        return _unless_in_vain(self._quick(data, history), data)

    def _sample(self, data: memoryview) -> float:
        """Return to what part of its size a sample of `data` shrinks."""
        step = max(len(data) // _SAMPLES, _SAMPLE_SIZE)
        sample = b"".join(
            data[start : start + _SAMPLE_SIZE] for start in range(0, max(len(data) - _SAMPLE_SIZE, 1), step)
        )
        return len(self._quick(memoryview(sample), data[:0])) / max(len(sample), 1)

    def _repeats(self, data: memoryview) -> bool:
        """Tell whether a stretch of `data`, twice as long as deflate can look back, shrinks."""
        last = max(len(data) - _STRETCH, 0)
        middle = _STRETCH_EVERY // 2
        stretches = [data[start : start + _STRETCH] for start in range(min(middle, last), last + 1, _STRETCH_EVERY)]
        return any(len(self._far(stretch, data[:0])) < _HARDLY * len(stretch) for stretch in stretches)


def _unless_in_vain(tried: bytes, data: memoryview) -> bytes:
    """Return what was made of `data`, or stored blocks where that saves next to nothing."""
    return tried if len(tried) <= _NOT_AT_ALL * len(data) else _stored(data)


def _stored(data: memoryview) -> bytes:
    """Return `data` in stored blocks, none of them the last; what stands before ends at a byte boundary."""
    pieces: list[bytes | memoryview] = []
    for start in range(0, len(data), _STORED_SIZE):
        piece = data[start : start + _STORED_SIZE]
        pieces += [struct.pack("<BHH", 0, len(piece), len(piece) ^ 0xFFFF), piece]
    return b"".join(pieces)


def available() -> list[str]:
    """Return the names of the libraries that are installed."""
    return [name for name in _MODULES if _module(name)]


def choose(level: Level, library: str | None = None) -> Backend:
    """Return the best backend that is installed, or the one of `library`; InputError when that is not there."""
    for name in (library,) if library else _PREFERRED[level]:
        module = _module(name)
        if module:
            return _backend(name, module, level)
    raise InputError(
        f"no such compression library is installed: {library}", hint=f"there are: {', '.join(available())}"
    )


def inflater() -> ModuleType:
    """Return the quickest module that has zlib's decompressobj and crc32."""
    return _module("isa-l") or zlib


def _backend(name: str, module: ModuleType, level: Level) -> Backend:
    number = _NUMBERS[name][level]
    streaming = "isa-l" if _module("isa-l") else "zlib"
    quick, far = (_streaming(_imported(streaming), _NUMBERS[streaming][kind]) for kind in ("quick", "close"))
    if name == "libdeflate":
        deflate, size = _whole(module, number, _streaming(zlib, _NUMBERS["zlib"][level])), 4 * _MEBIBYTE
    else:
        deflate, size = _streaming(module, number), _MEBIBYTE
    return Backend(f"{name} {number}", size, module.crc32, deflate, quick, far)


def _streaming(module: ModuleType, number: int) -> _Deflate:
    """Return how a module like zlib deflates."""

    def deflate(data: memoryview, history: memoryview) -> bytes:
        method, window, memory, strategy = 8, -15, 8, 0
        parameters = (number, method, window, memory, strategy, *([history] if history else []))
        compressor = module.compressobj(*parameters)
        result: bytes = compressor.compress(data) + compressor.flush(_SYNC_FLUSH)
        return result

    return deflate


def _whole(module: ModuleType, number: int, otherwise: _Deflate) -> _Deflate:
    """Return how libdeflate deflates, and `otherwise` what it ends in a way that cannot be opened again."""

    def deflate(data: memoryview, history: memoryview) -> bytes:
        return open_end(bytes(module.deflate_compress(data, number)), data) or otherwise(data, history)

    return deflate


@cache
def _module(name: str) -> ModuleType | None:
    try:
        return _imported(name)
    except (ImportError, KeyError):
        return None


def _imported(name: str) -> ModuleType:
    return importlib.import_module(_MODULES[name])
