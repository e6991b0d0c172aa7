"""Compressed lofi files: written, decoded by a decoder of its own, read at random, damaged."""

import lzma
import os
import random
import struct
import threading
import zlib
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit import parallel
from imagekit.content import Bytes, Composite, DiskFile
from imagekit.errors import FormatError, InputError, OutputError, PlanError
from imagekit.files.output import Outputs
from imagekit.formats import lofi
from imagekit.formats.lofi import deflate, writer

SEGMENT = 131072


def decode(data):
    """Decode a file from the description of the format alone; what is not as described fails an assertion."""
    assert len(data) % 512 == 0
    name, segment_size, entries, last = struct.unpack_from(">36sIII", data)
    assert name == b"gzip" + bytes(32)
    assert segment_size >= 512
    assert segment_size & (segment_size - 1) == 0
    assert 1 <= last <= segment_size
    index = struct.unpack_from(f">{entries}Q", data, 48)
    start = 48 + 8 * entries
    assert index[0] == 0
    assert not any(data[start + index[-1] :])
    assert len(data) - start - index[-1] < 512
    result = []
    for number, (first, after) in enumerate(pairwise(index)):
        segment = data[start + first : start + after]
        size = last if number == entries - 2 else segment_size
        assert segment[0] in (0, 1)
        if segment[0]:
            inflate = zlib.decompressobj(wbits=15)  # RFC 1950, nothing else
            plain = inflate.decompress(segment[1:])
            assert inflate.eof
            assert not inflate.unused_data
            assert len(segment) - 1 <= segment_size - 2048
            assert len(segment) - 1 < size
        else:
            plain = segment[1:]
        assert len(plain) == size
        result.append(plain)
    return b"".join(result)


def compress(tmp_path, content, **options):
    path = tmp_path / "x.lgz"
    with Outputs() as outputs:
        result = lofi.compress(content, outputs.file(path), **options)
    data = path.read_bytes()
    path.unlink()
    assert result.size == len(data)
    return data, result


def noise(size, seed=1):
    return random.Random(seed).randbytes(size)


def test_beginning_is_that_of_lofiadm(tmp_path):
    data, result = compress(tmp_path, Composite(458752000, [(0, Bytes(b"x"))]))
    assert data[:56] == bytes.fromhex("677a6970" + "00" * 32 + "0002000000000dad00020000" + "00" * 8)
    assert (result.segments, result.stored) == (3500, 0)
    assert struct.unpack_from(">Q", data, 56)[0] < 300
    assert len(data) < 600_000


def test_what_does_not_compress_is_stored(tmp_path):
    data, result = compress(tmp_path, Bytes(noise(SEGMENT)))
    assert len(data) == 131584
    assert struct.unpack_from(">3I2Q", data, 36) == (SEGMENT, 2, SEGMENT, 0, 131073)
    assert result.stored == 1
    assert decode(data) == noise(SEGMENT)


def test_short_incompressible_last_segment_is_stored(tmp_path):
    data, result = compress(tmp_path, Bytes(bytes(SEGMENT) + noise(512)))
    assert (result.segments, result.stored) == (2, 1)
    assert decode(data) == bytes(SEGMENT) + noise(512)


def test_saving_less_than_2048_bytes_is_not_worth_it(tmp_path):
    for zeros, stored in ((1500, 1), (4000, 0)):
        plain = noise(SEGMENT - zeros) + bytes(zeros)
        data, result = compress(tmp_path, Bytes(plain))
        assert result.stored == stored
        assert decode(data) == plain


@pytest.mark.parametrize("segment_size", [512, 1024, 2048, 4096, 65536])
def test_segments_of_2048_bytes_or_less_are_never_compressed(tmp_path, segment_size):
    data, result = compress(tmp_path, Bytes(bytes(10240)), segment_size=segment_size)
    assert (result.stored > 0) == (segment_size <= 2048)
    assert decode(data) == bytes(10240)
    assert lofi.Lofi(Bytes(data)).read() == bytes(10240)


PIECES = st.lists(st.tuples(st.sampled_from("zrt"), st.integers(1, 300)), min_size=1, max_size=8)


@settings(max_examples=60, deadline=None)
@given(PIECES, st.sampled_from([512, 4096, 16384, SEGMENT]), st.integers(1, 4), st.data())
def test_random_images_come_back(tmp_path_factory, pieces, segment_size, threads, data):
    plain = b"".join(
        {"z": bytes(512), "r": noise(512, count), "t": b"text" * 128}[kind] * count for kind, count in pieces
    )
    packed, _ = compress(tmp_path_factory.mktemp("lofi"), Bytes(plain), segment_size=segment_size, threads=threads)
    assert decode(packed) == plain
    image = lofi.Lofi(Bytes(packed))
    assert image.size == len(plain)
    for _ in range(5):
        start = data.draw(st.integers(0, len(plain)))
        length = data.draw(st.integers(0, len(plain) - start))
        assert image.read(start, length) == plain[start : start + length]


def test_bytes_do_not_depend_on_threads_or_holes(tmp_path):
    parts = [(0, Bytes(b"a" * 5000)), (SEGMENT * 9, Bytes(noise(3 * SEGMENT))), (SEGMENT * 40 + 77, Bytes(b"end"))]
    sparse = Composite(SEGMENT * 50 + 512, parts)
    results = {compress(tmp_path, content, threads=threads)[0]
               for content in (sparse, Bytes(sparse.read())) for threads in (1, 2, 7)}  # fmt: skip
    assert len(results) == 1
    assert decode(results.pop()) == sparse.read()


def test_memory_does_not_grow_with_the_cores(tmp_path, monkeypatch):
    asked = []

    def pool(threads):
        asked.append(threads)
        return ThreadPoolExecutor(1)

    monkeypatch.setattr(parallel, "ThreadPoolExecutor", pool)
    for cores in (3, 256):
        monkeypatch.setattr(os, "sched_getaffinity", lambda _process, cores=cores: set(range(cores)), raising=False)
        compress(tmp_path, Bytes(bytes(512)))
    assert asked == [3, 16]


def test_progress_reaches_the_size_of_the_image(tmp_path):
    class Count:
        total = 0

        def advance(self, count):
            assert count >= 0
            self.total += count

    count = Count()
    compress(tmp_path, Bytes(noise(SEGMENT * 20 + 1024)), progress=count)
    assert count.total == SEGMENT * 20 + 1024


def test_standard_zlib_does_too(tmp_path, monkeypatch):
    monkeypatch.setattr(writer, "deflate", deflate._zlib)
    plain = b"some text " * 30000 + bytes(1000 * 512 - 300000)
    data, _ = compress(tmp_path, Bytes(plain))
    assert decode(data) == plain
    start = 48 + 8 * 5 + 1
    assert data[start:].startswith(zlib.compress(plain[:SEGMENT], 6))


def test_size_is_close_to_that_of_zlib_level_6(tmp_path, project):
    plain = b"".join(path.read_bytes() for path in sorted((project / "imagekit").rglob("*.py")))
    plain = plain[: len(plain) // 512 * 512]
    data, _ = compress(tmp_path, Bytes(plain))
    usual = sum(len(zlib.compress(plain[at : at + SEGMENT], 6)) for at in range(0, len(plain), SEGMENT))
    assert len(data) < 1.05 * usual


@pytest.mark.parametrize(
    ("size", "segment", "message"),
    [
        (0, 4096, "0 bytes"),
        (1000, 4096, "1,000 bytes"),
        (1024, 256, "256 bytes"),
        (1024, 5000, "5,000 bytes"),
        (1024, 1 << 27, "134,217,728 bytes"),
    ],
)
def test_impossible_requests_are_refused(tmp_path, size, segment, message):
    with pytest.raises(PlanError, match=message):
        compress(tmp_path, Bytes(bytes(size)), segment_size=segment)
    assert list(tmp_path.iterdir()) == []


def test_files_that_fail_while_compressing_leave_nothing(tmp_path):
    source = tmp_path / "source"
    source.write_bytes(noise(SEGMENT * 30))
    content = DiskFile(source)
    source.write_bytes(noise(SEGMENT * 29))
    with pytest.raises(InputError, match="changed while it was being read"):
        compress(tmp_path, content)
    assert list(tmp_path.iterdir()) == [source]


@pytest.mark.parametrize("bad", ["read", "write"])
def test_work_that_is_in_vain_is_left(monkeypatch, bad):
    gate = threading.Event()

    class Gated(ThreadPoolExecutor):
        """Opens the gate when what waits has been cancelled, if it is."""

        def shutdown(self, wait=True, *, cancel_futures=False):
            super().shutdown(wait=False, cancel_futures=cancel_futures)
            gate.set()
            super().shutdown(wait=wait)

    class Slow(Bytes):
        __slots__ = ("reads",)

        def read_into(self, offset, buffer):
            if offset:
                gate.wait()
            elif bad == "read":
                raise InputError("bad sector")
            self.reads += 1
            super().read_into(offset, buffer)

    class Full:
        def write_at(self, offset, data):
            raise OutputError(f"no space left for {len(data)} at {offset}")

    monkeypatch.setattr(parallel, "ThreadPoolExecutor", Gated)
    content = Slow(noise(1 << 20) * 8)
    content.reads = 0
    with pytest.raises((InputError, OutputError), match="bad sector" if bad == "read" else "no space left"):
        lofi.compress(content, Full(), threads=1)
    assert content.reads <= 2  # the one that failed, or was not written, and one that was begun


def pack(segments, *, name=b"gzip", segment_size=4096, last=4096, index=None, entries=None, tail=b""):
    """Make a file of these segments (flag byte first), or of lies about them."""
    if index is None:
        index = [0]
        for segment in segments:
            index.append(index[-1] + len(segment))
    entries = len(index) if entries is None else entries
    header = struct.pack(">36sIII", name, segment_size, entries, last)
    return Bytes(header + struct.pack(f">{len(index)}Q", *index) + b"".join(segments) + tail, "x.lgz")


PLAIN = b"plain text " * 800
GOOD = [b"\1" + zlib.compress(PLAIN[:4096]), b"\0" + PLAIN[4096:8192]]


@pytest.mark.parametrize("name", [b"gzip", b"gzip-6", b"gzip-9"])
def test_all_gzip_names_are_read(name):
    content = pack(GOOD, name=name)
    assert lofi.is_lofi(content)
    image = lofi.Lofi(content)
    assert image.read() == PLAIN[:8192]
    assert image.origin == "x.lgz"


def test_gzip_wrappers_are_read_as_the_driver_does():
    wrapped = zlib.compressobj(wbits=31)
    segment = b"\1" + wrapped.compress(PLAIN[:4096]) + wrapped.flush()
    assert lofi.Lofi(pack([segment])).read() == PLAIN[:4096]


def test_lzma_is_read():
    raw = lzma.compress(PLAIN[:4096], format=lzma.FORMAT_ALONE)
    sized = raw[:5] + struct.pack("<Q", 4096) + raw[13:]
    for packed in (raw, sized):
        assert lofi.Lofi(pack([b"\1" + packed, GOOD[1]], name=b"lzma")).read() == PLAIN[:8192]


def test_segments_are_kept_for_a_while():
    class Counted(Bytes):
        __slots__ = ("reads",)

        def read_into(self, offset, buffer):
            self.reads += 1
            super().read_into(offset, buffer)

    counted = Counted(pack(GOOD).read())
    counted.reads = 0
    image = lofi.Lofi(counted)
    before = counted.reads
    for offset in range(0, 8192, 64):
        assert image.read(offset, 64) == PLAIN[offset : offset + 64]
    assert counted.reads == before + 2


def test_segments_are_not_kept_for_ever():
    """As many as 4 MiB: what lies so far back is read again."""
    count = (4 << 20) // 4096

    class Counted(Bytes):
        __slots__ = ("reads",)

        def read_into(self, offset, buffer):
            self.reads += 1
            super().read_into(offset, buffer)

    counted = Counted(pack([GOOD[0]] * (count + 1)).read())
    counted.reads = 0
    image = lofi.Lofi(counted)
    for number in (*range(count), 0):  # all are kept, and the first is the freshest
        image.read(number * 4096, 1)
    before = counted.reads
    image.read(count * 4096, 1)
    image.read(0, 1)
    assert counted.reads == before + 1
    image.read(4096, 1)
    assert counted.reads == before + 2


def broken(segments=GOOD, **changes):
    return lambda: pack(segments, **changes)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Bytes(b"gzip\0", "x.lgz"), "too few for a header"),
        (broken(name=b"gzip-7"), "not a compressed lofi file"),
        (lambda: Bytes(bytes(512), "x.lgz"), "not a compressed lofi file"),
        (broken(segment_size=5000), "segments of 5,000 bytes"),
        (broken(segment_size=256), "segments of 256 bytes"),
        (broken(segment_size=1 << 30), "segments of 1,073,741,824 bytes"),
        (broken(entries=1), "index of 1 entries"),
        (broken(entries=0), "index of 0 entries"),
        (broken(entries=1 << 31), "index of 2,147,483,648 entries in a file of"),
        (broken(last=0), "last segment of 0 bytes"),
        (broken(last=4097), "last segment of 4,097 bytes"),
        (broken(index=[1, 100, 200]), "first segment is at 1"),
        (broken(index=[0, 100, 100]), "segment 1 takes 0 bytes"),
        (broken(index=[0, 100, 50]), "segment 1 takes -50 bytes"),
        (broken(index=[0, 100, 5000]), "segment 1 takes 4,900 bytes"),
        (broken(segments=GOOD[:1], index=[0, 20, 4000]), "follow the index"),
        (broken(index=[0, len(GOOD[0]), len(GOOD[0]) + len(GOOD[1]) - 512], tail=b""), "stored in 3,584 bytes"),
        (lambda: Bytes(pack(GOOD).read()[:-1], "x.lgz"), "follow the index"),
        (lambda: Bytes(pack(GOOD).read()[:-511], "x.lgz"), "follow the index"),
        (broken(last=1000), "stored in 4,096 bytes, expected 1,000"),
        (broken(segments=[GOOD[0], b"\0" + PLAIN[:1001]], last=1000), "stored in 1,001 bytes, expected 1,000"),
        (broken(segments=[b"\2" + GOOD[0][1:]]), "segment 0 begins with 2"),
        (broken(segments=[b"\0" + PLAIN[:4095]]), "stored in 4,095 bytes"),
        (broken(segments=[GOOD[0][:-1]]), "does not end"),
        (broken(segments=[GOOD[0] + b"x"]), "1 bytes follow"),
        (broken(segments=[GOOD[0][:-1] + b"x"]), "does not decompress"),
        (broken(segments=[b"\1garbage"]), "does not decompress"),
        (broken(segments=[b"\1" + zlib.compress(PLAIN[:4095])]), "has 4,095 bytes, expected 4,096"),
        (broken(segments=[b"\1" + zlib.compress(PLAIN[:4097])]), "expected"),
        (broken(segments=[b"\1" + zlib.compress(bytes(4_000_000))[:4000]]), "does not end after"),
        (broken(segments=[b"\1garbage"], name=b"lzma"), "does not"),
        (broken(segments=[b"\1" + lzma.compress(PLAIN[:4097], format=lzma.FORMAT_ALONE)], name=b"lzma"), "expected"),
    ],
)
def test_damage_is_refused(make, message):
    with pytest.raises(FormatError, match=r"^x\.lgz: ") as failure:
        lofi.Lofi(make()).read()
    assert message in str(failure.value)


def test_other_contents_are_no_lofi():
    assert not lofi.is_lofi(Bytes(b"gzip"))
    assert not lofi.is_lofi(Bytes(b"\x1f\x8b\x08".ljust(100, b"\0")))


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 500), st.binary(min_size=1, max_size=8))
def test_random_damage_gives_bytes_or_a_clear_error(at, patch):
    data = bytearray(pack(GOOD).read())
    data[at : at + len(patch)] = patch
    try:
        image = lofi.Lofi(Bytes(bytes(data), "x.lgz"))
        image.read(0, min(image.size, 1 << 20))
    except FormatError as error:
        assert str(error).startswith("x.lgz")  # noqa: PT017 - no error at all is as good
