"""Writing contents as they are: the same bytes, holes for zeros, the right digest, and no half-written output."""

import hashlib
import os
import random
import signal
import threading

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagekit import interrupts
from imagekit.content import BLOCK_SIZE, Bytes, Composite, Content
from imagekit.errors import InputError, OutputError
from imagekit.files import raw
from imagekit.files.output import Outputs

MIB = 1 << 20


class Counter:
    """Progress that adds up."""

    def __init__(self):
        self.total = 0

    def advance(self, count):
        assert count >= 0
        self.total += count


def write(content, path):
    progress = Counter()
    with Outputs() as outputs:
        result = raw.write_raw(content, outputs.file(path), progress)
    assert progress.total == content.size
    return result


def test_what_is_in_place_is_left_as_it_is(tmp_path):
    data = random.Random(1).randbytes(3 * BLOCK_SIZE)
    standing = (BLOCK_SIZE - 10, BLOCK_SIZE + 20)
    with Outputs() as outputs:
        output = outputs.file(tmp_path / "image")
        output.write_at(BLOCK_SIZE, b"other")  # nobody does that: it shows that it is left alone
        result = raw.write_raw(Bytes(data), output, in_place=[standing])
    written = (tmp_path / "image").read_bytes()
    assert result.sha256 == hashlib.sha256(data).hexdigest()
    assert written[:BLOCK_SIZE] == data[:BLOCK_SIZE]
    assert written[BLOCK_SIZE : 2 * BLOCK_SIZE] == b"other".ljust(BLOCK_SIZE, b"\0")
    assert written[2 * BLOCK_SIZE :] == data[2 * BLOCK_SIZE :]


@given(
    st.integers(1, 3 * BLOCK_SIZE),
    st.lists(
        st.tuples(st.integers(0, MIB + 5000), st.sampled_from([1, 4096, 65_536, MIB - 1, MIB, 2 * MIB])), max_size=4
    ),
)
@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_in_place_may_begin_and_end_anywhere(tmp_path, size, gaps):
    data = random.Random(size).randbytes(size)
    ranges, end = [], 0
    for gap, length in gaps:
        start, end = end + gap, min(end + gap + length, size)
        if start < end:
            ranges.append((start, end - start))
    with Outputs() as outputs:
        output = outputs.file(tmp_path / "image")
        for start, length in ranges:
            output.write_at(start, data[start : start + length])
        result = raw.write_raw(Bytes(data), output, in_place=ranges)
    assert (tmp_path / "image").read_bytes() == data
    assert result.sha256 == hashlib.sha256(data).hexdigest()


PIECES = st.lists(
    st.tuples(st.integers(0, 3 * MIB), st.sampled_from([0, 1, 4096, BLOCK_SIZE, BLOCK_SIZE + 1]), st.booleans()),
    max_size=6,
)


@given(PIECES, st.integers(0, 2 * MIB))
@settings(deadline=None, max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_file_and_digest_are_those_of_the_content(tmp_path, pieces, tail):
    noise = random.Random(1).randbytes(BLOCK_SIZE + 1)
    placed, end, expected = [], 0, hashlib.sha256()
    for gap, size, zeros in pieces:
        data = bytes(size) if zeros else noise[:size]
        placed.append((end + gap, Bytes(data)))
        expected.update(bytes(gap) + data)
        end += gap + size
    expected.update(bytes(tail))
    path = tmp_path / "image"
    result = write(Composite(end + tail, placed), path)
    assert (result.size, result.sha256) == (end + tail, expected.hexdigest())
    assert hashlib.sha256(path.read_bytes()).hexdigest() == result.sha256
    assert path.stat().st_size == result.size


def test_more_blocks_than_may_wait_for_the_digest(tmp_path):
    data = random.Random(2).randbytes(20 * BLOCK_SIZE + 5)
    result = write(Bytes(data), tmp_path / "image")
    assert result.sha256 == hashlib.sha256(data).hexdigest()
    assert (tmp_path / "image").read_bytes() == data


def test_zeros_take_no_room_on_disk(tmp_path):
    """Neither those between the pieces nor those that a piece turns out to hold."""
    noise = random.Random(3).randbytes(BLOCK_SIZE)
    pieces = [(10 * MIB, Bytes(noise)), (20 * MIB, Bytes(bytes(8 * MIB))), (64 * MIB, Bytes(noise))]
    path = tmp_path / "image"
    write(Composite(100 * MIB, pieces), path)
    assert path.stat().st_blocks * 512 <= 3 * MIB


class Fails(Content):
    """Content whose second block cannot be read."""

    size = 8 * BLOCK_SIZE
    origin = "nowhere"

    def read_into(self, offset, buffer):
        if offset >= BLOCK_SIZE:
            raise InputError("cannot read", where=self.origin)
        buffer[:] = b"x" * len(buffer)


def test_a_failure_leaves_neither_output_nor_thread(tmp_path):
    threads = threading.active_count()
    with pytest.raises(InputError, match="nowhere: cannot read"):
        write(Fails(), tmp_path / "image")
    assert list(tmp_path.iterdir()) == []
    assert threading.active_count() == threads


class Full:
    """An output on a disk that has room for a few blocks."""

    def __init__(self, room=0):
        self.room = room
        self.failed = threading.Event()

    def truncate(self, _size):
        """Take no room."""

    def write_at(self, _offset, _data):
        if self.room == 0:
            self.failed.set()
            raise OutputError("no space left", where="image")
        self.room -= 1


class Watched(Content):
    """Much content, whose reads are counted; `read` is called in each."""

    size = 1000 * BLOCK_SIZE
    origin = "much"

    def __init__(self, read=lambda _: None):
        self.read_count = 0
        self._read = read

    def read_into(self, _offset, buffer):
        self.read_count += 1
        self._read(self.read_count)
        buffer[:] = b"x" * len(buffer)


def test_nothing_is_read_for_a_disk_that_is_full():
    content = Watched()
    with pytest.raises(OutputError, match="no space left"):
        raw.write_raw(content, Full())
    assert content.read_count < 20


def test_what_happens_in_front_is_told_before_what_failed_behind():
    """An interrupt, say, while the disk fills up: whoever asked for it is answered."""
    output = Full()

    def read(count):
        if count == 2:
            output.failed.wait()
            raise InputError("cannot read", where="much")

    with pytest.raises(InputError, match="cannot read"):
        raw.write_raw(Watched(read), output)


def test_a_failure_ends_the_digest_of_a_hole(monkeypatch):
    updates, begun = [], threading.Event()

    class Later(Full):
        """A disk that is full when the digest has come to the hole."""

        def write_at(self, offset, data):
            if self.room == 0:
                begun.wait()
            super().write_at(offset, data)

    def update(self, data):
        begun.set()
        self._stop.wait()
        updates.append(len(data))
        self._done += len(data)

    monkeypatch.setattr(raw._Digest, "_update", update)
    content = Composite(1000 * BLOCK_SIZE, [(500 * BLOCK_SIZE, Bytes(b"x")), (900 * BLOCK_SIZE, Bytes(b"y"))])
    with pytest.raises(OutputError, match="no space left"):
        raw.write_raw(content, Later(room=1))
    assert len(updates) <= 2  # what it was at, and the block behind the hole


def test_all_is_on_the_disk_before_the_digest_is_waited_for(tmp_path, monkeypatch):
    real, seen = os.fsync, []
    # A tail of zeros, so that the digest takes longer than the way to fsync.
    content = Composite(600 * BLOCK_SIZE, [(BLOCK_SIZE, Bytes(b"y" * (2 * BLOCK_SIZE)))])

    def fsync(fd):
        real(fd)
        digesting = any(thread.name == "_Digest" for thread in threading.enumerate())
        seen.append((digesting, os.pread(fd, 4 * BLOCK_SIZE, 0) == content.read(0, 4 * BLOCK_SIZE)))

    with Outputs() as outputs:
        output = outputs.file(tmp_path / "image")
        with monkeypatch.context() as patch:
            patch.setattr(os, "fsync", fsync)
            raw.write_raw(content, output)
    assert seen == [(True, True)]


@pytest.mark.parametrize("names", [(), ("sha1",), ("sha1", "sha256")])
def test_the_digests_are_those_that_were_asked_for(tmp_path, names):
    content = Composite(5 * BLOCK_SIZE, [(BLOCK_SIZE + 7, Bytes(b"y" * (2 * BLOCK_SIZE)))])
    with Outputs() as outputs:
        result = raw.write_raw(content, outputs.file(tmp_path / "image"), digests=names)
    data = (tmp_path / "image").read_bytes()
    assert data == content.read()
    for name in ("sha1", "sha256"):
        expected = hashlib.new(name, data).hexdigest() if name in names else None
        assert getattr(result, name) == expected


def test_holes_of_64_kib_stay_holes(tmp_path):
    content = Composite(64 * BLOCK_SIZE, [(number * BLOCK_SIZE, Bytes(b"x" * 4096)) for number in range(64)])
    with Outputs() as outputs:
        raw.write_raw(content, outputs.file(tmp_path / "image"))
    assert (tmp_path / "image").stat().st_blocks * 512 < 65 * 65536  # the file system needs a little of its own


def test_a_disk_that_fails_is_reported_with_the_output(tmp_path, monkeypatch):
    def fsync(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", fsync)
    with pytest.raises(OutputError, match="image: cannot write: Input/output error"):
        write(Bytes(b"data"), tmp_path / "image")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("handled")
@pytest.mark.parametrize("moment", ["start", "wait"])
def test_an_interrupt_leaves_no_thread_at_work(tmp_path, monkeypatch, moment):
    ended = threading.Event()
    start, end = threading.Thread.start, raw._Digest.end

    def interrupt_start(self):
        start(self)
        os.kill(os.getpid(), signal.SIGTERM)

    def interrupt_wait(self):
        os.kill(os.getpid(), signal.SIGTERM)
        self._stop.wait()  # a long time, were there nobody to end it
        end(self)
        ended.set()

    if moment == "start":
        monkeypatch.setattr(threading.Thread, "start", interrupt_start)
    else:
        monkeypatch.setattr(raw._Digest, "end", interrupt_wait)
    with pytest.raises(interrupts.Interrupted):
        write(Bytes(b"data" * MIB), tmp_path / "out")
    assert ended.is_set() == (moment == "wait")
    assert not {thread.name for thread in threading.enumerate()} & {"_Writer", "_Digest"}
    assert list(tmp_path.iterdir()) == []
