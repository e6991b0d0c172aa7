"""Images that come compressed: what is in them, and what is said of damaged and hostile ones."""

import bz2
import contextlib
import gzip
import importlib
import io
import lzma
import os
import random
import struct
import tarfile
import zipfile
import zlib
from functools import partial

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.content import Bytes
from imagekit.errors import FormatError, ImagekitError, OutputError
from imagekit.files import temporary
from imagekit.formats import compressed, table
from imagekit.formats.compressed import streams

zstd = streams._zstd_module()
needs_zstd = pytest.mark.skipif(zstd is None, reason="needs backports.zstd or Python 3.14")


def zipped(data, name="image.usb", method=zipfile.ZIP_DEFLATED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr(name, data)
    return file.getvalue()


PACK = {
    "gzip": gzip.compress,
    "xz": lzma.compress,
    "bzip2": bz2.compress,
    "zip": zipped,
}
if zstd:
    PACK["zstd"] = partial(zstd.compress, options={zstd.CompressionParameter.checksum_flag: 1})


def archive(data=b"content"):
    """Return a tarball with a file in it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w") as tar:
        member = tarfile.TarInfo("name")
        member.size = len(data)
        tar.addfile(member, io.BytesIO(data))
    return file.getvalue()


def opened(data):
    return table.open_tree(Bytes(data, "image"))


@pytest.mark.parametrize("kind", PACK)
def test_what_is_compressed_is_read(kind):
    content = random.Random(1).randbytes(3 << 20) + bytes(3 << 20) + b"end"
    packed = PACK[kind](archive(content))
    assert table.name_of(Bytes(packed)) == kind
    (file,) = opened(packed).files()
    assert (file.path, file.content.read()) == ("name", content)
    assert file.content.origin == "image!/name"


@pytest.mark.parametrize("kind", sorted({"xz", "bzip2", "zstd"} & PACK.keys()))
def test_streams_follow_each_other(kind):
    data = archive()
    half = len(data) // 2
    packed = PACK[kind](data[:half]) + bytes(8) + PACK[kind](b"") + PACK[kind](data[half:]) + bytes(512)
    assert [file.content.read() for file in opened(packed).files()] == [b"content"]


@needs_zstd
def test_zstd_frames_that_are_to_be_skipped():
    frame = struct.pack("<2I", 0x184D2A53, 4) + b"skip"
    for packed in (
        frame + zstd.compress(archive()),
        zstd.compress(archive()) + frame,
        frame * 3 + zstd.compress(archive()),
    ):
        assert table.name_of(Bytes(packed)) == "zstd"
        assert len(opened(packed)) == 2


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2])
@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 5 << 20])
def test_a_zip_files_member_is_read_to_its_end(method, size):
    output = temporary.Temporary("x")
    compressed.inflate(Bytes(zipped(bytes(range(256)) * (size // 256 + 1), method=method)), output)
    assert output.read() == bytes(range(256)) * (size // 256 + 1)


def test_a_zip_file_may_hold_what_macos_adds():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        packed.writestr("folder/", b"")
        packed.writestr("folder/image.tar", archive())
        packed.writestr("__MACOSX/._image.tar", b"x")
    assert "name" in opened(file.getvalue())


def test_a_zip_file_of_several_files_is_no_wrapping():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for number in range(9):
            packed.writestr(f"file{number}", b"x")
    with pytest.raises(FormatError, match=r"holds 9 files \(file0, .*, file4, \.\.\.\)") as caught:
        opened(file.getvalue())
    assert "unpack it" in caught.value.hint
    with pytest.raises(FormatError, match="holds no file"):
        opened(zipped(b"", "folder/"))


def changed(data, place, value):
    data = bytearray(data)
    struct.pack_into("<H", data, place, value)
    return bytes(data)


def test_a_zip_file_that_cannot_be_unpacked_says_why():
    packed = zipped(archive())
    directory = packed.index(b"PK\x01\x02")
    with pytest.raises(FormatError, match="encrypted"):
        opened(changed(packed, directory + 8, 1))
    with pytest.raises(FormatError, match="method 9,"):
        opened(changed(packed, directory + 10, 9))
    with pytest.raises(FormatError, match="are noted"):
        opened(changed(packed, directory + 16, 0x1234))
    with pytest.raises(FormatError, match="are noted"):  # more comes than is noted
        opened(changed(packed, directory + 24, 10))
    with pytest.raises(FormatError, match=r"image!/image\.usb: no header of a member"):
        opened(b"PK\3\4" + bytes(40) + changed(packed, 0, 0))


def test_a_large_directory_of_a_zip_file_is_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as packed:
        for number in range(15_000):
            packed.writestr(f"file{number:020}", b"")
    with pytest.raises(FormatError, match="small"):
        opened(file.getvalue())


@pytest.mark.parametrize("kind", PACK)
def test_damage_is_named(kind):
    packed = PACK[kind](archive(random.Random(1).randbytes(100_000)))
    with pytest.raises(FormatError, match="image"):
        opened(packed[: len(packed) * 3 // 4])
    with pytest.raises(FormatError, match="image"):
        opened(packed[: len(packed) // 2] + b"damaged" + packed[len(packed) // 2 + 7 :])
    if kind != "zip":  # what stands around a zip file is no part of it
        with pytest.raises(FormatError, match=r"image@0x[0-9a-f]+: there is something other"):
            opened(packed + b"and more")


def lofi(data):
    from imagekit.formats.lofi import compress

    output = temporary.Temporary("x")
    compress(Bytes(data + bytes(-len(data) % 512)), output)
    return output.read()


@pytest.mark.parametrize("kind", [*PACK, "lofi", "mixed"])
def test_layers_are_counted(kind):
    pack = {**PACK, "lofi": lofi}
    kinds = list(pack) if kind == "mixed" else [kind]
    data = archive()
    for layer in range(table.MOST_LAYERS):
        data = pack[kinds[layer % len(kinds)]](data)
    assert "name" in opened(data)
    for layer in range(3):
        with pytest.raises(FormatError, match="image: compressed more than 8 times over"):
            opened(pack[kinds[layer % len(kinds)]](data))
        data = pack[kinds[layer % len(kinds)]](data)


def test_1100_layers(shared):
    path = shared / "cases/20-nested-and-implied/nested-gzip-1100.gz"
    if not path.is_file():
        pytest.skip("needs ../shared/cases")
    with pytest.raises(FormatError, match="more than 8 times over"):
        opened(path.read_bytes())


@pytest.mark.parametrize("kind", PACK)
def test_what_holds_too_much_is_refused(kind):
    packed = Bytes(PACK[kind](bytes(4 << 20)))
    compressed.inflate(packed, temporary.Temporary("x"), limit=4 << 20)
    with pytest.raises(FormatError, match="holds more than"):
        compressed.inflate(packed, temporary.Temporary("x"), limit=(4 << 20) - 1)


@pytest.mark.parametrize("kind", PACK)
def test_a_temporary_file_leaves_room(kind, monkeypatch):
    """Of the space in TMPDIR the last is not taken, and the message says where and what to do."""

    class Free:
        f_frsize = 4096
        f_bavail = 1000

    packed = Bytes(PACK[kind](b"x" * (40 << 20)), "image")
    compressed.inflate(packed, temporary.Temporary("image"))
    monkeypatch.setattr(os, "fstatvfs", lambda _fd: Free)
    with pytest.raises(OutputError, match="no room for a temporary copy of image: 4,096,000 bytes are left") as caught:
        compressed.inflate(packed, temporary.Temporary("image"))
    assert "TMPDIR" in caught.value.hint
    compressed.inflate(Bytes(PACK[kind](b"x" * (15 << 20))), temporary.Temporary("image"))  # little is no harm


def test_zeros_take_no_room():
    output = temporary.Temporary("x")
    compressed.inflate(Bytes(lzma.compress(bytes(100 << 20), preset=0)), output)
    assert output.size == 100 << 20
    assert os.fstat(output._fd).st_blocks == 0


@needs_zstd
def test_without_a_library_zstd_is_named(monkeypatch):
    packed = PACK["zstd"](archive())

    def fail(name):
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", fail)
    with pytest.raises(FormatError, match="zstd, and this Python has no library") as caught:
        opened(packed)
    assert "zstd -d" in caught.value.hint


def test_what_wants_much_memory_is_refused():
    packed = bytearray(lzma.compress(archive(), filters=[{"id": lzma.FILTER_LZMA2, "dict_size": 1 << 20}]))
    assert packed[14:16] == b"\x21\x01"  # the filter in the block's header, and the size of its property
    packed[16] = 40  # 4 GiB - 1
    packed[20:24] = struct.pack("<I", zlib.crc32(packed[12:20]))
    with pytest.raises(FormatError, match="cannot be inflated: Memory usage limit"):
        opened(bytes(packed))


@pytest.mark.parametrize(
    ("start", "name"),
    [(b"7z\xbc\xaf\x27\x1c", "7-Zip"), (b"\x1f\x9d\x90", "compress"), (b"QFI\xfb", "qcow2"), (b"LZIP\1", "lzip")],
)
def test_other_files_are_named(start, name):
    with pytest.raises(FormatError, match=name):
        opened(start + bytes(1000))


def test_an_empty_file_is_named():
    with pytest.raises(FormatError, match="image: empty"):
        opened(b"")


@settings(max_examples=150, deadline=None)
@given(st.sampled_from([*PACK, "lofi"]), st.data())
def test_nothing_but_errors_comes_of_damage(kind, data):
    packed = bytearray({**PACK, "lofi": lofi}[kind](archive()))
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(packed) - 1))
        packed[place] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, len(packed)))
    for hostile in (bytes(packed), bytes(packed[:cut]), bytes(packed) + bytes(packed[cut:])):
        with contextlib.suppress(ImagekitError):
            opened(hostile)
