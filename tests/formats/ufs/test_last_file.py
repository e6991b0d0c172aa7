"""A file that is made inside its image: its bytes are where they should be, and come back."""

import errno
import os
from types import SimpleNamespace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagekit.content import Bytes
from imagekit.errors import InputError, OutputError
from imagekit.files.output import Outputs
from imagekit.formats import lofi
from imagekit.formats.ufs import LastFile

IMAGE_SIZE = 1000

RANGES = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 90)), max_size=6)
"""Gaps before ranges, and their lengths."""

WRITES = st.lists(st.tuples(st.integers(0, 900), st.binary(max_size=300)), max_size=8)


def plan(last, size):
    """Return what a file has to know of a plan."""
    return SimpleNamespace(last=last, size=size)


def placed(gaps):
    ranges, end = [], 0
    for gap, length in gaps:
        ranges.append((end + gap, length))
        end += gap + length
    return ranges


@settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RANGES, WRITES)
def test_every_byte_lies_in_its_place(tmp_path, gaps, writes):
    ranges = placed(gaps)
    expected = bytearray()
    with Outputs() as outputs:
        output = outputs.file(tmp_path / "image")
        file = LastFile(plan(ranges, IMAGE_SIZE), output, "usr.lgz")
        assert file.size == 0
        for offset, data in writes:
            file.write_at(offset, data)
            expected.extend(bytes(max(0, offset + len(data) - len(expected))))
            expected[offset : offset + len(data)] = data
        size = len(expected) + 7
        file.truncate(size)
        expected.extend(bytes(7))
        assert (file.size, file.origin) == (size, "usr.lgz")
        assert file.read() == expected
        assert file.read(3, 4) == expected[3:7]
    image = (tmp_path / "image").read_bytes()
    room = b"".join(image[offset : offset + length] for offset, length in ranges)
    assert (room + image[IMAGE_SIZE:])[:size] == expected
    covered = bytearray(image)
    for offset, length in [*ranges, (IMAGE_SIZE, len(image))]:
        covered[offset : offset + length] = bytes(len(covered[offset : offset + length]))
    assert not any(covered)
    assert len(image) == IMAGE_SIZE + max(0, size - len(room))


def test_where_it_lies_is_known(tmp_path):
    with Outputs() as outputs:
        file = LastFile(plan([(10, 5), (20, 5)], 100), outputs.file(tmp_path / "image"), "usr.lgz")
    assert file.lies_in(plan([(10, 3)], 100))
    assert file.lies_in(plan([(10, 5)], 100))
    assert file.lies_in(plan([(10, 5), (20, 2)], 100))
    assert file.lies_in(plan([(10, 5), (20, 5), (100, 5)], 100))
    assert not file.lies_in(plan([(10, 5), (20, 5), (100, 5), (200, 2)], 100))
    assert not file.lies_in(plan([(10, 5), (21, 5), (100, 5)], 100))
    assert not file.lies_in(plan([(10, 6)], 100))
    assert not file.lies_in(plan([(11, 3)], 100))
    assert not file.lies_in(plan([(10, 4), (20, 2)], 100))
    assert not file.lies_in(plan([(10, 5), (21, 2)], 100))
    assert not file.lies_in(plan([(10, 5), (20, 6)], 100))


def test_what_moves_leaves_nothing_behind(tmp_path):
    """What it left would lie in blocks of the larger image that nothing is written to."""
    data = os.urandom(300_000)
    with Outputs() as outputs:
        output = outputs.file(tmp_path / "image")
        file = LastFile(plan([(100_000, 50_000), (200_000, 100_000)], 400_000), output, "usr.lgz")
        file.truncate(len(data))
        file.write_at(0, data)
        assert file.moved(tmp_path).read() == data
        output.truncate(1 << 20)
        assert os.pread(output.fileno(), 1 << 20, 0) == bytes(1 << 20)


def test_what_is_compressed_into_an_image_is_what_is_compressed_alone(tmp_path):
    content = Bytes(bytes(300_000) + os.urandom(5000) + bytes(range(256)) * 4000, "image")
    content = Bytes(content.read().ljust(-(-content.size // 512) * 512, b"\0"), "image")
    with Outputs() as outputs:
        lofi.compress(content, outputs.file(tmp_path / "alone"))
        file = LastFile(plan([(512, 3000), (5000, 4000)], 1 << 20), outputs.file(tmp_path / "image"), "usr.lgz")
        lofi.compress(content, file)
        assert lofi.Lofi(file).read() == content.read()
        inside = file.read()
    assert inside == (tmp_path / "alone").read_bytes()


def test_a_disk_that_fails_is_named(tmp_path, monkeypatch):
    with Outputs() as outputs:
        file = LastFile(plan([(0, 50)], 100), outputs.file(tmp_path / "image"), "usr.lgz")
        file.truncate(40)
        file.write_at(0, b"x")

        def full(*_arguments):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

        monkeypatch.setattr(os, "pwrite", full)
        monkeypatch.setattr(os, "preadv", full)
        with pytest.raises(OutputError, match="no space left") as caught:
            file.write_at(0, b"x")
        assert caught.value.where == str(tmp_path / "image")
        with pytest.raises(InputError, match=r"cannot read from .*image: No space left"):
            file.read()
        monkeypatch.undo()
        os.truncate(next(tmp_path.glob(".image.*.partial")), 10)
        with pytest.raises(InputError, match=r"image is cut short") as short:
            file.read()
        assert short.value.where == "usr.lgz"
