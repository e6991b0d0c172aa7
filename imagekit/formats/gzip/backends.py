"""The libraries that deflate: ISA-L, or the standard library's zlib where that is not installed.

Each always makes the same bytes of the same input, whatever the number of threads; the two do not make the same.
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

Level = Literal["close", "quick"]
"""How hard to try: with ISA-L "close" comes close to gzip -6 in size; "quick" takes half of the time for 3 % more."""

_SYNC_FLUSH = 2  # the same number in both

_MODULES = {"isa-l": "isal.isal_zlib", "zlib": "zlib"}  # best first
_LEVELS: dict[Level, int] = {"close": 3, "quick": 2}
# Where little is to be gained, level 2 takes half of the time of 3 for the same size; where nothing is, data is stored
# as it is.
_HOPELESS_LEVEL = 2
_SAMPLES, _SAMPLE_SIZE, _HARDLY, _NOT_AT_ALL = 16, 2048, 0.95, 0.995
_STORED_SIZE = 0xFFFF  # bytes of a stored block (RFC 1951, 3.2.4)


@dataclass(frozen=True, slots=True)
class Backend:
    """A library at a level; `name` says both, such as "isa-l 3"."""

    name: str
    crc32: Callable[[memoryview], int]
    _module: ModuleType
    _level: int

    def deflate(self, data: memoryview, history: memoryview) -> bytes:
        """Return `data` as deflate blocks that end at a byte boundary; `history` is what stands before it."""
        left = self._sample(data)
        if left > _NOT_AT_ALL:
            return _stored(data)
        return self._deflate(data, history, _HOPELESS_LEVEL if left > _HARDLY else self._level)

    def _deflate(self, data: memoryview, history: memoryview, level: int) -> bytes:
        method, window, memory, strategy = 8, -15, 8, 0
        parameters = (level, method, window, memory, strategy, *([history] if history else []))
        compressor = self._module.compressobj(*parameters)
        result: bytes = compressor.compress(data) + compressor.flush(_SYNC_FLUSH)
        return result

    def _sample(self, data: memoryview) -> float:
        """Return to what part of its size a sample of `data` shrinks."""
        step = max(len(data) // _SAMPLES, _SAMPLE_SIZE)
        sample = b"".join(
            data[start : start + _SAMPLE_SIZE] for start in range(0, max(len(data) - _SAMPLE_SIZE, 1), step)
        )
        return len(self._deflate(memoryview(sample), data[:0], _HOPELESS_LEVEL)) / max(len(sample), 1)


def _stored(data: memoryview) -> bytes:
    """Return `data` in stored blocks, none of them the last; what stands before ends at a byte boundary."""
    pieces: list[bytes | memoryview] = []
    for start in range(0, len(data), _STORED_SIZE):
        piece = data[start : start + _STORED_SIZE]
        pieces += [struct.pack("<BHH", 0, len(piece), len(piece) ^ 0xFFFF), piece]
    return b"".join(pieces)


def available() -> list[str]:
    """Return the names of the libraries that are installed, best first."""
    return [name for name in _MODULES if _module(name)]


def choose(level: Level, library: str | None = None) -> Backend:
    """Return the best backend that is installed, or the one of `library`; InputError when that is not there."""
    for name in (library,) if library else _MODULES:
        module = _module(name)
        if module:
            number = _LEVELS[level]
            return Backend(f"{name} {number}", module.crc32, module, number)
    raise InputError(
        f"no such compression library is installed: {library}", hint=f"there are: {', '.join(available())}"
    )


def inflater() -> ModuleType:
    """Return the quickest module that has zlib's decompressobj and crc32."""
    return _module("isa-l") or zlib


@cache
def _module(name: str) -> ModuleType | None:
    try:
        return importlib.import_module(_MODULES[name])
    except (ImportError, KeyError):
        return None
