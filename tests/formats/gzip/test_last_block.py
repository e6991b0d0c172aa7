"""The open end of a deflate stream: whatever libdeflate makes, another stream can follow, and nothing else changes."""

import random
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.formats.gzip import last_block

deflate = pytest.importorskip("deflate")

NOISE = random.Random(1).randbytes(200_000)
END = b"\x03\x00"


def opened(data: bytes, level: int) -> bytes | None:
    result = last_block.open_end(bytes(deflate.deflate_compress(data, level)), memoryview(data))
    if result is not None:
        inflater = zlib.decompressobj(-15)
        assert inflater.decompress(result) == data
        assert not inflater.eof
        # The end is at a byte boundary: whole blocks can follow.
        assert inflater.decompress(b"\x00\x03\x00\xfc\xffabc" + END) == b"abc"
        assert inflater.eof
        assert not inflater.unused_data
    return result


@pytest.mark.parametrize("level", range(1, 13))
def test_programs_are_opened_wherever_they_are_cut(program: bytes, level: int) -> None:
    rng = random.Random(level)
    for _ in range(6):
        start = rng.randrange(len(program) - 400_000)
        data = program[start : start + rng.randrange(20_000, 400_000)]
        # A few end in zeros or the like, with fixed codes.
        assert opened(data, level) is not None or data.endswith(bytes(100))


PIECES = st.lists(
    st.one_of(
        st.tuples(st.just("program"), st.integers(0, 1 << 20), st.integers(0, 90_000)),
        st.tuples(st.just("noise"), st.integers(0, 100_000), st.integers(0, 90_000)),
        st.tuples(st.just("zeros"), st.just(0), st.integers(0, 90_000)),
        st.tuples(st.binary(min_size=1, max_size=9), st.just(0), st.integers(1, 90_000)),
    ),
    min_size=1,
    max_size=5,
)


@settings(max_examples=150, deadline=None)
@given(PIECES, st.sampled_from([1, 5, 6, 10, 12]))
def test_nothing_else_changes(program: bytes, pieces: list[tuple[str | bytes, int, int]], level: int) -> None:
    whole = {"program": program, "noise": NOISE, "zeros": bytes(90_000)}
    parts = []
    for kind, start, size in pieces:
        source = whole[kind] if isinstance(kind, str) else kind * (size // len(kind) + 1)
        parts.append(source[start : start + size])
    data = b"".join(parts)
    if data:
        opened(data, level)


@pytest.mark.parametrize("size", [1024, 65_535, 65_536 + 1024, 200_000])
def test_stored_ends_are_opened(program: bytes, size: int) -> None:
    assert opened(program[:300_000] + NOISE[:size], 5) is not None
    assert opened(NOISE[:size], 5) is not None


def test_a_last_block_of_300_000_bytes_is_found() -> None:
    """The longest: all alike, so that it is not cut, and hardly shrinking."""
    rng = random.Random(2)
    data = b"".join(rng.randbytes(2).hex().encode() for _ in range(250_000))
    assert opened(data[:300_000], 5) is not None
    assert opened(data, 5) is not None


def test_other_streams_are_left_alone(program: bytes) -> None:
    assert last_block.open_end(NOISE[:5000], memoryview(program)) is None
    fixed = zlib.compressobj(6, zlib.DEFLATED, -15, 8, zlib.Z_FIXED)
    stream = fixed.compress(program[:50_000]) + fixed.flush()
    assert last_block.open_end(stream, memoryview(program)[:50_000]) is None
    # What is right but for another content is not taken.
    stream = bytes(deflate.deflate_compress(program[:50_000], 5))
    assert last_block.open_end(stream, memoryview(program)[1:50_001]) is None
