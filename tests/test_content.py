import errno
import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagekit.content import BLOCK_SIZE, Bytes, Composite, Deferred, DiskFile, Slice, data_blocks, write_sparse
from imagekit.errors import FormatError, ImagekitError, InputError, OutputError
from imagekit.files.output import Outputs
from imagekit.files.temporary import Temporary


@st.composite
def composites(draw):
    pieces, expected = [], bytearray()
    for _ in range(draw(st.integers(0, 5))):
        expected += bytes(draw(st.integers(0, 9)))
        data = draw(st.binary(max_size=12))
        pieces.append((len(expected), Bytes(data)))
        expected += data
    expected += bytes(draw(st.integers(0, 9)))
    return Composite(len(expected), draw(st.permutations(pieces))), bytes(expected)


@given(composites(), st.data())
def test_composite_reads_as_its_pieces_with_zeros_between(made, data):
    content, expected = made
    assert content.read() == expected
    start = data.draw(st.integers(0, len(expected)))
    length = data.draw(st.integers(0, len(expected) - start))
    assert content.read(start, length) == expected[start : start + length]
    assert Slice(content, start, length).read() == expected[start : start + length]


@given(composites(), st.data())
def test_data_ranges_cover_all_that_is_not_zero(made, data):
    content, expected = made
    start = data.draw(st.integers(0, len(expected)))
    part = Slice(content, start, len(expected) - start)
    rebuilt = bytearray(part.size)
    end = 0
    for offset, length in part.data_ranges():
        assert offset >= end
        assert length > 0
        end = offset + length
        rebuilt[offset:end] = expected[start + offset : start + end]
    assert bytes(rebuilt) == expected[start:]


@given(composites(), st.integers(1, 7))
def test_data_blocks_are_aligned_and_cover_the_data(made, block_size):
    content, expected = made
    rebuilt = bytearray(content.size)
    done = 0
    for offset, length in data_blocks(content, block_size):
        assert offset % block_size == 0
        assert offset >= done
        done = offset + length
        rebuilt[offset:done] = expected[offset:done]
    assert bytes(rebuilt) == expected


def test_pieces_may_not_overlap_nor_pass_the_end():
    with pytest.raises(ImagekitError, match="over its neighbour"):
        Composite(10, [(0, Bytes(b"abc", "a")), (2, Bytes(b"d", "b"))])
    with pytest.raises(ImagekitError, match="past the size"):
        Composite(10, [(8, Bytes(b"abc"))])


def test_a_slice_outside_is_an_error_of_the_image():
    with pytest.raises(FormatError) as caught:
        Slice(Bytes(b"abc", "x.img"), 2, 2, "x.img!/file")
    assert caught.value.where == "x.img!/file"


@pytest.mark.parametrize("change", ["grow", "shrink", "touch", "remove"])
def test_a_file_that_changes_is_noticed(tmp_path, change):
    path = tmp_path / "f"
    path.write_bytes(b"x" * 100)
    content = DiskFile(path)
    if change == "grow":
        path.write_bytes(b"x" * 101)
    elif change == "shrink":
        path.write_bytes(b"x" * 99)
    elif change == "touch":
        os.utime(path, ns=(0, 0))
    else:
        path.unlink()
    with pytest.raises(InputError) as caught:
        content.read()
    assert caught.value.where == str(path)


def test_a_change_is_noticed_when_size_and_times_are_put_back(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"x" * 100)
    before = path.stat()
    content = DiskFile(path)
    while path.stat().st_ctime_ns == before.st_ctime_ns:  # file systems count time in ticks of the kernel's
        path.write_bytes(b"y" * 100)
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert path.stat().st_mtime_ns == before.st_mtime_ns
    with pytest.raises(InputError, match="changed while it was being read: its times differ"):
        content.read()


def test_another_name_is_no_change(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"x" * 100)
    before = path.stat()
    content = DiskFile(path)
    number = 0
    while path.stat().st_ctime_ns == before.st_ctime_ns:
        number += 1
        (tmp_path / str(number)).hardlink_to(path)
    assert content.read() == b"x" * 100


@pytest.mark.parametrize("left", [0, 40])
def test_a_file_that_is_cut_between_the_look_and_the_read_is_noticed(tmp_path, monkeypatch, left):
    path = tmp_path / "f"
    path.write_bytes(b"x" * 100)
    content, fstat = DiskFile(path), os.fstat

    def look_and_cut(fd):
        status = fstat(fd)
        os.truncate(path, left)
        return status

    monkeypatch.setattr(os, "fstat", look_and_cut)
    with pytest.raises(InputError, match=f"{left} bytes now, 100 before") as caught:
        content.read()
    assert caught.value.where == str(path)


@pytest.mark.parametrize(("offset", "size"), [(-1, 1), (0, -1), (3, -1), (5, -3), (4, 0), (0, 4), (3, 1)])
def test_no_slice_reaches_outside(offset, size):
    with pytest.raises(FormatError, match=r"are wanted, but x\.img has 3 bytes"):
        Slice(Bytes(b"abc", "x.img"), offset, size)


def test_neighbours_are_one_range():
    one, two = Bytes(b"abc"), Bytes(b"defg")
    assert list(Composite(20, [(2, one), (5, two), (9, one), (13, one)]).data_ranges()) == [(2, 10), (13, 3)]
    assert list(Composite(4, [(0, two)]).data_ranges()) == [(0, 4)]


@pytest.mark.parametrize("at", [[], [0], [3], [0, 9], [9]])
def test_progress_ends_where_the_content_ends(tmp_path, at):
    class Counted:
        done = 0

        def advance(self, count):
            assert count >= 0
            self.done += count

    content = Composite(10 * BLOCK_SIZE, [(BLOCK_SIZE * place, Bytes(b"x")) for place in at])
    progress = Counted()
    with Outputs() as outputs:
        write_sparse(content, outputs.file(tmp_path / "out"), progress)
    assert progress.done == content.size


@pytest.mark.parametrize("kind", ["folder", "fifo", "device"])
def test_only_regular_files_are_read(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "folder":
        path.mkdir()
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.symlink_to("/dev/null")
    with pytest.raises(InputError, match="expected a regular file") as caught:
        DiskFile(path)
    assert caught.value.where == str(path)


@pytest.fixture
def holey(tmp_path):
    """Return a file of 8 blocks with data in the third."""
    path = tmp_path / "holey"
    with path.open("wb") as file:
        file.truncate(8 * BLOCK_SIZE)
        file.seek(2 * BLOCK_SIZE)
        file.write(b"x" * BLOCK_SIZE)
    return path


def test_holes_are_left_out(holey):
    ranges = list(DiskFile(holey).data_ranges())
    if holey.stat().st_blocks * 512 >= 8 * BLOCK_SIZE:
        pytest.skip("needs a file system with holes")
    assert ranges[0][0] <= 2 * BLOCK_SIZE
    assert sum(length for _, length in ranges) < 4 * BLOCK_SIZE


@pytest.mark.parametrize("number", [errno.EINVAL, errno.EOPNOTSUPP])
@pytest.mark.parametrize("from_call", [1, 2, 3])
def test_a_file_system_without_holes_has_data_everywhere(holey, monkeypatch, number, from_call):
    monkeypatch.setattr(os, "lseek", failing_seek(number, from_call))
    ranges = list(DiskFile(holey).data_ranges())
    covered = set()
    for offset, length in ranges:
        covered |= set(range(offset // BLOCK_SIZE, -(-(offset + length) // BLOCK_SIZE)))
    assert covered >= ({2} if from_call == 3 else {2, 3, 4, 5, 6, 7})
    assert ranges[-1][0] + ranges[-1][1] == 8 * BLOCK_SIZE


@pytest.mark.parametrize("from_call", [1, 2, 3])
def test_other_failures_do_not_pass_for_holes(holey, monkeypatch, from_call):
    monkeypatch.setattr(os, "lseek", failing_seek(errno.EIO, from_call))
    with pytest.raises(InputError, match="cannot read: Input/output error") as caught:
        list(DiskFile(holey).data_ranges())
    assert caught.value.where == str(holey)


def failing_seek(number, from_call):
    """Return an lseek that fails from so many calls on."""
    seek, calls = os.lseek, []

    def lseek(fd, offset, whence):
        calls.append(offset)
        if len(calls) >= from_call:
            raise OSError(number, os.strerror(number))
        return seek(fd, offset, whence)

    return lseek


def test_a_file_that_is_cut_while_its_holes_are_sought_is_noticed(holey):
    ranges = DiskFile(holey).data_ranges()
    next(ranges)
    os.truncate(holey, 3 * BLOCK_SIZE)
    with pytest.raises(InputError, match="changed while it was being read"):
        list(ranges)


def test_sparse_writing_keeps_bytes_and_makes_holes(tmp_path):
    rng = random.Random(1)
    data = rng.randbytes(BLOCK_SIZE + 5)
    source = tmp_path / "source"
    with source.open("wb") as file:
        file.truncate(40 * BLOCK_SIZE + 3)
        file.seek(7 * BLOCK_SIZE + 100)
        file.write(data)
    explicit_zeros = Bytes(bytes(3 * BLOCK_SIZE))
    content = Composite(60 * BLOCK_SIZE, [(0, DiskFile(source)), (50 * BLOCK_SIZE, explicit_zeros)])
    with Outputs() as outputs:
        write_sparse(content, outputs.file(tmp_path / "out"))
    written = (tmp_path / "out").read_bytes()
    assert written == source.read_bytes() + bytes(content.size - source.stat().st_size)
    assert (tmp_path / "out").stat().st_blocks * 512 < 4 * BLOCK_SIZE


def test_deferred_bytes_are_made_once_when_they_are_read():
    made = []
    ready = threading.Event()

    def make():
        made.append(1)
        ready.wait(60)
        return b"0123456789"

    content = Deferred(10, make, "numbers")
    assert (content.size, content.origin, made) == (10, "numbers", [])
    with ThreadPoolExecutor(3) as pool:
        parts = [pool.submit(content.read, start, 4) for start in (0, 3, 6)]
        ready.set()
        assert [part.result() for part in parts] == [b"0123", b"3456", b"6789"]
    assert content.read() == b"0123456789"
    assert made == [1]


def test_what_fails_to_be_made_fails_every_reader():
    def make():
        raise InputError("gone")

    for content, message in ((Deferred(3, make), "gone"), (Deferred(3, lambda: b"four"), "made 4 bytes, expected 3")):
        for _ in range(2):
            with pytest.raises(ImagekitError, match=message):
                content.read()


def test_a_temporary_file_is_written_anywhere_and_leaves_nothing(tmp_path):
    content = Temporary("x.lgz", tmp_path)
    content.write_at(3 * BLOCK_SIZE, b"end")
    content.write_at(5, b"begin")
    content.truncate(3 * BLOCK_SIZE + 9)
    assert list(tmp_path.iterdir()) == []
    assert content.origin == "x.lgz"
    expected = bytes(5) + b"begin" + bytes(3 * BLOCK_SIZE - 10) + b"end" + bytes(6)
    assert content.size == len(expected)
    assert content.read() == expected
    covered = bytearray(len(expected))
    for offset, length in content.data_ranges():
        covered[offset : offset + length] = content.read(offset, length)
    assert covered == expected


def test_a_full_disk_names_the_folder_and_what_to_do(tmp_path, monkeypatch):
    content = Temporary("x.lgz", tmp_path)

    def full(_fd, _data, _offset):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with pytest.raises(OutputError, match=r"cannot write a temporary copy of x\.lgz: No space left") as caught:
        content.write_at(0, b"x")
    assert caught.value.where == str(tmp_path)
    assert "TMPDIR" in caught.value.hint
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "elsewhere"))
    with pytest.raises(OutputError) as caught:
        Temporary("x.lgz", tmp_path).write_at(0, b"x")
    assert caught.value.hint == "make space there"
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(OutputError) as caught:
        Temporary("x.lgz").write_at(0, b"x")
    assert "TMPDIR" in caught.value.hint
    with pytest.raises(OutputError, match="cannot make a temporary file: No such file"):
        Temporary("x.lgz", tmp_path / "nowhere")


@pytest.mark.parametrize(("offset", "size"), [(-1, 1), (0, -1), (2, -1), (0, 4), (4, 0), (3, 1)])
def test_slices_outside_are_refused_whichever_way(offset, size):
    with pytest.raises(FormatError, match=r"are wanted, but x\.img has 3 bytes"):
        Slice(Bytes(b"abc", "x.img"), offset, size)


@pytest.mark.parametrize(("offset", "size"), [(0, 0), (3, 0), (0, 3), (2, 1)])
def test_slices_up_to_the_end(offset, size):
    assert Slice(Bytes(b"abc"), offset, size).read() == b"abc"[offset : offset + size]


def test_ranges_of_neighbours_are_joined():
    pieces = [(0, Bytes(b"a" * 10)), (10, Bytes(b"b" * 5)), (16, Bytes(b"c")), (17, Bytes(b"d"))]
    assert list(Composite(30, pieces).data_ranges()) == [(0, 15), (16, 2)]


@pytest.mark.parametrize("ranges", [[], [(0, b"x")], [(0, b"x"), (400_000, b"y")], [(999_990, b"z" * 10)]])
def test_progress_comes_to_the_end_whatever_the_holes(tmp_path, ranges):
    steps = []

    class Counting:
        def advance(self, count):
            steps.append(count)

    content = Composite(1_000_000, [(offset, Bytes(data)) for offset, data in ranges])
    with Outputs() as outputs:
        write_sparse(content, outputs.file(tmp_path / "f"), Counting())
    assert sum(steps) == 1_000_000
