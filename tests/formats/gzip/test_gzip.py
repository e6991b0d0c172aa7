"""gzip: the same bytes from any number of threads, round trips, and what damage does to the reader."""

import gzip as reference
import hashlib
import random
import struct
import threading
import zlib
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit import parallel
from imagekit.content import BLOCK_SIZE, Bytes, Composite, Content
from imagekit.errors import FormatError, InputError, OutputError
from imagekit.files import raw
from imagekit.files.output import Outputs
from imagekit.formats import gzip
from imagekit.formats.gzip import reader
from imagekit.formats.gzip.crc import append_zeros, combine
from imagekit.formats.gzip.zeros import deflated_zeros

WORDS = [hex(number**3) for number in range(9)]
LIBRARIES = gzip.available()
LEVELS: tuple[gzip.Level, ...] = ("quick", "close", "best")


def packed(content: Content, **options: object) -> bytes:
    parts: list[bytes] = []
    result = gzip.compress(content, parts.append, **options)  # type: ignore[arg-type]
    data = b"".join(parts)
    assert (result.size, result.sha256) == (len(data), hashlib.sha256(data).hexdigest())
    assert (result.crc32, content.size & 0xFFFFFFFF) == struct.unpack("<II", data[-8:])
    return data


class Memory:
    """An output in memory."""

    def __init__(self) -> None:
        self.data = bytearray()
        self.written = 0

    def write_at(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        self.data[len(self.data) :] = bytes(max(0, offset - len(self.data)))
        self.data[offset : offset + len(data)] = data
        self.written += len(data)

    def truncate(self, size: int) -> None:
        self.data[len(self.data) :] = bytes(max(0, size - len(self.data)))
        del self.data[size:]


def unpacked(data: bytes, **options: object) -> bytes:
    memory = Memory()
    found = gzip.inflate(Bytes(data, "x.gz"), memory, **options)  # type: ignore[arg-type]
    assert found.size == len(memory.data)
    return bytes(memory.data)


@st.composite
def sparse(draw: st.DrawFn) -> Composite:
    """Pieces with holes between them, around the edges of blocks."""
    position, pieces = 0, []
    for _ in range(draw(st.integers(0, 4))):
        position += draw(st.sampled_from([0, 1, 4096, 32768, BLOCK_SIZE - 1, BLOCK_SIZE, 3 * BLOCK_SIZE]))
        rng = random.Random(draw(st.integers(0, 99)))
        size = draw(st.sampled_from([1, 700, 40_000, BLOCK_SIZE, BLOCK_SIZE + 5]))
        kinds = [rng.randbytes(size), bytes(size), (rng.randbytes(500) * (size // 500 + 1))[:size]]
        pieces.append((position, Bytes(draw(st.sampled_from(kinds)))))
        position += size
    return Composite(position + draw(st.sampled_from([0, 1, 100_000, BLOCK_SIZE])), pieces)


@settings(max_examples=40, deadline=None)
@given(sparse(), st.sampled_from(LIBRARIES), st.integers(1, 4))
def test_round_trip(content: Composite, library: str, threads: int) -> None:
    data = packed(content, library=library, threads=threads)
    plain = content.read()
    assert reference.decompress(data) == plain
    assert unpacked(data) == plain
    assert data == packed(content, library=library, threads=1)


@settings(max_examples=40, deadline=None)
@given(sparse(), st.sampled_from(LIBRARIES), st.integers(1, 4))
def test_bytes_do_not_depend_on_threads_or_holes(content: Composite, library: str, threads: int) -> None:
    filled = Bytes(content.read())
    assert packed(content, library=library, threads=threads) == packed(filled, library=library, threads=1)


@pytest.mark.parametrize("library", LIBRARIES)
def test_what_follows_zeros_is_compressed_the_same_behind_a_hole(library: str) -> None:
    text = b"".join(b"%d " % (number * number) for number in range(99_999))[:BLOCK_SIZE]
    zeros = 3 * BLOCK_SIZE - 40_000
    for start in (zeros, 3 * BLOCK_SIZE):
        content = Composite(6 * BLOCK_SIZE + 7, [(5, Bytes(text[:700])), (start, Bytes(bytes(300) + text))])
        assert packed(content, library=library) == packed(Bytes(content.read()), library=library)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=300), st.binary(max_size=300), st.integers(0, 5000))
def test_crcs_combine(one: bytes, two: bytes, zeros: int) -> None:
    assert combine(zlib.crc32(one), zlib.crc32(two), len(two)) == zlib.crc32(one + two)
    assert append_zeros(zlib.crc32(one), zeros) == zlib.crc32(one + bytes(zeros))


def test_crcs_of_huge_parts_combine() -> None:
    # Four parts of 2^32 bytes in one step, and one by one.
    one, step = zlib.crc32(b"x"), zlib.crc32(b"x")
    for _ in range(4):
        step = append_zeros(step, 1 << 32)
    assert append_zeros(one, 1 << 34) == step != one


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 3000) | st.sampled_from([BLOCK_SIZE - 1, BLOCK_SIZE, 258 * 1000, 258 * 1000 + 1]))
def test_zeros_inflate_and_end_at_a_byte(length: int) -> None:
    stream = zlib.decompressobj(-15)
    assert stream.decompress(deflated_zeros(length)) == bytes(length)
    assert stream.decompress(b"\x03\x00") == b""
    assert stream.eof
    assert not stream.unused_data


def test_zeros_cost_next_to_nothing() -> None:
    class Zeros(Composite):
        """A disk that nobody may read."""

        def read_into(self, offset: int, buffer: memoryview) -> None:
            raise AssertionError((offset, len(buffer)))

    size = 5 << 30
    data = packed(Zeros(size, []))
    assert len(data) < size // 980
    assert struct.unpack("<II", data[-8:]) == (append_zeros(0, size), size & 0xFFFFFFFF)


def test_header_says_what_it_was_given() -> None:
    content = Bytes(b"text")
    assert packed(content)[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\x03"
    data = packed(content, mtime=0x12345678, name="smartos.usb")
    assert data[:22] == b"\x1f\x8b\x08\x08\x78\x56\x34\x12\0\x03smartos.usb\0"
    assert unpacked(data) == b"text"
    assert packed(content, mtime=1 << 32) == packed(content, mtime=-5) == packed(content)


def test_an_unknown_library_is_named() -> None:
    with pytest.raises(InputError, match="no such compression library is installed: lzo"):
        gzip.choose("close", "lzo")
    assert "zlib" in gzip.available()
    for level, name in (("quick", "isa-l 2"), ("close", "libdeflate 5"), ("best", "libdeflate 10")):
        if name.split()[0] in LIBRARIES:
            assert gzip.choose(level).name == name
    assert [gzip.choose(level, "zlib").name for level in ("quick", "close", "best")] == ["zlib 2", "zlib 6", "zlib 9"]


@pytest.mark.parametrize("library", LIBRARIES)
def test_time_is_not_wasted_on_what_cannot_shrink(library: str) -> None:
    rng = random.Random(3)
    noise, text = (
        rng.randbytes(BLOCK_SIZE),
        b"".join(b"%d " % (number * number) for number in range(99_999))[:BLOCK_SIZE],
    )
    none = memoryview(b"")
    backend = gzip.choose("close", library)
    stored = backend.deflate(memoryview(noise), none)
    assert stored.count(noise[:0xFFFF]) == 1  # as it is
    assert len(stored) == BLOCK_SIZE + 5 * 17
    assert zlib.decompressobj(-15).decompress(stored) == noise
    # What shrinks a little is given no more time.
    shrinking = memoryview(b"".join(noise[start : start + 2000] + bytes(50) for start in range(0, BLOCK_SIZE, 2000)))
    assert backend.deflate(shrinking, none) == backend._quick(shrinking, none)
    assert len(backend.deflate(memoryview(text), none)) < len(backend._quick(memoryview(text), none))
    # What is known to be compressed is given none at all.
    assert backend.deflate_compressed(memoryview(noise), none) == stored
    assert backend.deflate_compressed(memoryview(text), none) == backend._quick(memoryview(text), none)
    # Nor is what is zeros but for a little; but what samples only took for that is.
    table = text[:200] * 5
    empty = memoryview(table + bytes(BLOCK_SIZE // 2) + table + bytes(BLOCK_SIZE // 2))
    assert backend.deflate(empty, none) == backend._quick(empty, none)
    hidden = memoryview(
        b"".join(
            bytes(2048) + text[start : start + BLOCK_SIZE // 16 - 2048]
            for start in range(0, BLOCK_SIZE, BLOCK_SIZE // 16)
        )
    )
    assert backend._sample(hidden) < 0.02
    assert len(backend.deflate(hidden, none)) < len(backend._quick(hidden, none))
    # It is enough that half of it shrinks.
    mixed = memoryview(noise[: BLOCK_SIZE // 2] + text[: BLOCK_SIZE // 2])
    assert len(backend.deflate(mixed, none)) < len(backend._quick(mixed, none))


def test_what_is_known_to_be_compressed_is_so_from_its_first_byte_to_its_last() -> None:
    backend = gzip.choose("close")
    size, none = backend.block_size, memoryview(b"")
    text = b"".join(b"%d " % (number * number) for number in range(size // 8))[:size]
    known = Bytes(text * 3)
    quick, close = len(backend._quick(memoryview(text), none)), len(backend.deflate(memoryview(text), none))
    assert close < quick * 0.99
    usual = len(packed(known))
    for ranges, blocks in (
        ([(size, size)], 1),
        ([(size, size // 2), (size + size // 2, size // 2)], 1),  # in pieces
        ([(size // 2, 2 * size)], 1),  # half a block before, half a block behind
        ([(size, size // 2)], 0),
    ):
        data = packed(known, compressed=ranges)
        assert reference.decompress(data) == known.read()
        assert abs(len(data) - usual - blocks * (quick - close)) < (quick - close) / 4


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(LIBRARIES), st.sampled_from(LEVELS), st.integers(300, 30_000) | st.sampled_from([4096, 32_768]))
def test_what_repeats_only_at_a_distance_shrinks(library: str, level: gzip.Level, distance: int) -> None:
    """Samples shorter than the distance see noise."""
    data = (random.Random(distance).randbytes(distance) * (BLOCK_SIZE // distance + 1))[:BLOCK_SIZE]
    usual = len(zlib.compress(data, 6))
    # ISA-L's quick level misses some of it, where it shows that there is something.
    misses = BLOCK_SIZE * 0.95 if library == "isa-l" and level == "quick" else 0
    assert len(packed(Bytes(data), library=library, level=level)) < max(1.2 * usual + 4096, misses)


@settings(max_examples=30, deadline=None)
@given(sparse(), st.sampled_from(LEVELS), st.integers(1, 3))
def test_every_level_is_right_for_any_number_of_threads(content: Composite, level: gzip.Level, threads: int) -> None:
    data = packed(content, level=level, threads=threads)
    assert reference.decompress(data) == content.read()
    assert data == packed(content, level=level, threads=1)


def test_the_better_the_smaller(program: bytes) -> None:
    quick, close, best = (len(packed(Bytes(program), level=level)) for level in LEVELS)
    assert best < close < quick
    assert close < 1.01 * len(reference.compress(program, 6))
    if "libdeflate" in LIBRARIES:
        assert best < 0.98 * len(reference.compress(program, 9))


def test_blocks_refer_to_what_stands_before_them() -> None:
    """Noise that comes again right behind a block's border costs nothing, where the library can look back."""
    noise = random.Random(4).randbytes(30_000)
    text = b"".join(b"%d " % (number * number) for number in range(199_999))[: BLOCK_SIZE - len(noise)]
    for library in set(LIBRARIES) - {"libdeflate"}:
        once, twice = (len(packed(Bytes(text + noise + more), library=library)) for more in (b"", noise))
        assert twice - once < 3000


def test_quick_is_larger_and_no_less_right() -> None:
    rng = random.Random(1)
    content = Bytes(" ".join(rng.choices(WORDS, k=60_000)).encode())
    quick = packed(content, level="quick")
    assert len(packed(content)) < len(quick)
    assert unpacked(quick) == content.read()


class Failing(Content):
    """100 blocks, of which one cannot be read."""

    def __init__(self, bad: int) -> None:
        self.bad = bad
        self.reads = 0

    @property
    def size(self) -> int:
        return 100 * BLOCK_SIZE

    @property
    def origin(self) -> str:
        return "failing"

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self.reads += 1
        if offset <= self.bad * BLOCK_SIZE < offset + len(buffer):
            raise InputError("cannot read: bad sector", where="failing")
        buffer[::1000] = bytes([1]) * len(buffer[::1000])


def test_errors_of_reading_end_it_at_once() -> None:
    content = Failing(3)
    before = threading.active_count()
    with pytest.raises(InputError, match="bad sector"):
        gzip.compress(content, lambda _data: None, threads=2)
    assert content.reads < 20
    assert threading.active_count() == before


def test_errors_of_writing_end_it_at_once() -> None:
    content = Failing(1000)
    written: list[bytes] = []

    def write(data: bytes) -> None:
        if len(written) == 5:
            raise OutputError("no space left")
        written.append(data)

    before = threading.active_count()
    with pytest.raises(OutputError, match="no space left"):
        gzip.compress(content, write, threads=2)
    assert content.reads < 20
    assert threading.active_count() == before


def test_little_is_read_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    """Blocks that nobody takes yet would fill the memory."""

    class AtOnce:
        """Does all work when it is submitted, so that what was read is what was submitted."""

        def submit(self, work: Callable[..., object], *arguments: object) -> Future[object]:
            future: Future[object] = Future()
            future.set_result(work(*arguments))
            return future

        def shutdown(self, **_options: object) -> None: ...

    monkeypatch.setattr(parallel, "ThreadPoolExecutor", lambda *_arguments, **_options: AtOnce())
    content = Failing(1000)
    ahead: list[int] = []
    gzip.compress(content, lambda _data: ahead.append(content.reads), threads=3, level="quick")
    blocks = len(ahead) - 2  # the header, and the end
    assert blocks == 100
    assert max(reads - done for done, reads in enumerate(ahead[1:])) <= 7


def test_work_that_is_in_vain_is_left(monkeypatch: pytest.MonkeyPatch) -> None:
    gate = threading.Event()

    class Gated(ThreadPoolExecutor):
        """Opens the gate when what waits has been cancelled, if it is."""

        def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            gate.set()
            super().shutdown(wait=wait)

    class Behind(Failing):
        def read_into(self, offset: int, buffer: memoryview) -> None:
            if offset:
                gate.wait()
            super().read_into(offset, buffer)

    monkeypatch.setattr(parallel, "ThreadPoolExecutor", Gated)
    content = Behind(0)
    with pytest.raises(InputError, match="bad sector"):
        gzip.compress(content, lambda _data: None, threads=1, level="quick")
    assert content.reads <= 2  # the second block may have been begun


def test_progress_counts_all_bytes() -> None:
    class Counter:
        total = 0

        def advance(self, count: int) -> None:
            self.total += count

    content = Composite(10 * BLOCK_SIZE + 17, [(BLOCK_SIZE + 5, Bytes(b"x" * 1000)), (7 * BLOCK_SIZE, Bytes(b"y"))])
    counter = Counter()
    data = packed(content, progress=counter)
    assert counter.total == content.size
    counter = Counter()
    assert unpacked(data, progress=counter) == content.read()
    assert counter.total == len(data)


def test_reads_all_that_the_format_allows() -> None:
    header = b"\x1f\x8b\x08\x1e\0\0\0\0\0\x03" + b"\x05\0extra" + b"name\0" + b"a comment\0"
    header += struct.pack("<H", zlib.crc32(header) & 0xFFFF)
    member = header + reference.compress(b"first")[10:]
    assert unpacked(member + reference.compress(b"") + packed(Bytes(b"third"))) == b"firstthird"
    assert unpacked(member + bytes(1000)) == b"first"
    broken = bytearray(member)
    broken[12] ^= 1
    with pytest.raises(FormatError, match="CRC of the gzip header"):
        unpacked(bytes(broken))


@pytest.mark.parametrize("size", [0, 1, 500, 50_000])
def test_many_short_members_are_inflated_in_linear_time(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    fed = 0

    class Library:
        """zlib, told what goes in."""

        error, crc32 = zlib.error, staticmethod(zlib.crc32)

        class decompressobj:  # noqa: N801
            def __init__(self, bits: int) -> None:
                self._inner = zlib.decompressobj(bits)

            def __getattr__(self, name: str) -> object:
                return getattr(self._inner, name)

            def decompress(self, data: bytes, most: int) -> bytes:
                nonlocal fed
                fed += len(data)
                return self._inner.decompress(data, most)

    monkeypatch.setattr(reader, "inflater", lambda: Library)
    member = reference.compress(random.Random(size).randbytes(size))
    count = 2_000_000 // (len(member) + 500)
    assert len(unpacked(member * count)) == size * count
    assert fed < 3 * count * (len(member) + 1024)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "cut short"),
        (b"PK\3\4" + bytes(100), "not a gzip file: it starts with 50 4b"),
        (b"\x1f\x8b\x07" + bytes(100), "method 7"),
        (b"\x1f\x8b\x08\xe0" + bytes(100), "flags 0xe0"),
        (b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 70_000, "does not end"),
        (b"\x1f\x8b\x08\x08" + bytes(6) + b"n" * 70, "cut short in its header"),
        (reference.compress(b"x", mtime=0) + b"garbage", "behind the last one"),
        (reference.compress(b"x", mtime=0) + bytes(600_000) + b"garbage", "behind the last one"),
        (reference.compress(b"x", mtime=0) + b"\x1f", "cut short"),
    ],
)
def test_what_is_wrong_is_said(data: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        unpacked(data)


SAMPLE = packed(Composite(3 * BLOCK_SIZE, [(1000, Bytes(b"some text, some more text " * 200))]))


@settings(max_examples=150, deadline=None)
@given(st.integers(0, len(SAMPLE) - 1), st.integers(1, 255))
def test_damage_never_goes_unnoticed(offset: int, flip: int) -> None:
    damaged = bytearray(SAMPLE)
    damaged[offset] ^= flip
    try:
        found = unpacked(bytes(damaged))
    except FormatError:
        return
    # Only the header (time, name, system) and the unused bits before a stored block are not covered by the CRC.
    assert found == unpacked(SAMPLE)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, len(SAMPLE) - 1))
def test_cut_files_are_errors(size: int) -> None:
    with pytest.raises(FormatError):
        unpacked(SAMPLE[:size])


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=400))
def test_garbage_is_a_format_error(data: bytes) -> None:
    with pytest.raises(FormatError):
        unpacked(b"\x1f\x8b\x08\0\0\0\0\0\0\x03" + b"\x04" + data[:7] if len(data) < 5 else data)


def test_a_limit_is_the_most_that_is_allowed() -> None:
    for size in (0, 1, 1000, BLOCK_SIZE, BLOCK_SIZE + 1):
        data = packed(Bytes(b"x" * size))
        assert len(unpacked(data, limit=size)) == size
        if size:
            with pytest.raises(FormatError, match=f"more than the {size - 1:,} bytes"):
                unpacked(data, limit=size - 1)


@pytest.mark.parametrize("members", [1, 2])
def test_every_bit_of_a_trailer_matters(members: int) -> None:
    """CRC and size each: of the last member, and of one that another follows."""
    one = reference.compress(b"text")
    for bit in range(64):
        broken = bytearray(one)
        broken[len(one) - 8 + bit // 8] ^= 1 << bit % 8
        with pytest.raises(FormatError, match="are noted"):
            unpacked(bytes(broken) + one * (members - 1))


def test_bombs_are_refused_early() -> None:
    data = packed(Composite(1 << 30, []))
    with pytest.raises(FormatError, match="more than the 10,000,000 bytes"):
        unpacked(data, limit=10_000_000)


def test_temporary_copies_are_sparse_and_go_away() -> None:
    content = Composite(64 * BLOCK_SIZE, [(20 * BLOCK_SIZE, Bytes(b"data" * 1000)), (63 * BLOCK_SIZE, Bytes(b"end"))])
    assert gzip.is_gzip(Bytes(packed(content)))
    assert not gzip.is_gzip(Bytes(bytes(100)))
    copy = gzip.inflate_to_temporary(Bytes(packed(content), "x.usb.gz"))
    assert (copy.size, copy.origin) == (content.size, "x.usb.gz")
    assert copy.read() == content.read()
    assert sum(length for _, length in copy.data_ranges()) < 8 * BLOCK_SIZE
    with pytest.raises(OutputError, match="cannot make a temporary file"):
        gzip.inflate_to_temporary(Bytes(packed(content)), folder=Path("/nowhere"))


def test_raw_outputs_are_digested(tmp_path: Path) -> None:
    content = Composite(70 * BLOCK_SIZE + 3, [(i * 3 * BLOCK_SIZE + i, Bytes(bytes([i]) * 999)) for i in range(20)])
    path = tmp_path / "disk.raw"
    with Outputs() as outputs:
        result = raw.write_raw(content, outputs.file(path))
    assert path.read_bytes() == content.read()
    assert path.stat().st_blocks * 512 < 21 * BLOCK_SIZE
    assert (result.size, result.sha256) == (content.size, hashlib.sha256(content.read()).hexdigest())


def test_raw_errors_end_the_digest() -> None:
    class Nowhere:
        def truncate(self, size: int) -> None: ...

        def write_at(self, offset: int, data: memoryview) -> None:
            raise OutputError(f"no space left at {offset} for {len(data)}")

    before = threading.active_count()
    with pytest.raises(OutputError, match="no space left at 1099511627776 for"):
        raw.write_raw(Composite(2 << 40, [(1 << 40, Bytes(b"x" * 10))]), Nowhere())  # type: ignore[arg-type]
    assert threading.active_count() == before
