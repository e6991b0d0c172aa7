"""What a tar archive may claim: old archives of v7 are read, those that ask for more than is real are refused early."""

import struct
import tarfile
import tracemalloc

import pytest

from imagekit import tree as model
from imagekit.content import Bytes, Composite
from imagekit.errors import FormatError
from imagekit.formats import table, tar
from imagekit.tree import Directory, File, HardLink, Symlink


def old_member(name, kind, data=b"", target=b"", number=b"%*o ", mode=0o644):
    """Return a member as tar of Version 7 wrote it: no magic number, numbers with spaces about them."""
    fields = (number % (6, mode), number % (6, 3), number % (6, 4), number % (11, len(data)), number % (11, 77))
    fields = [field.ljust(size, b"\0") for field, size in zip(fields, (8, 8, 8, 12, 12), strict=True)]
    head = struct.pack("100s8s8s8s12s12s8sc100s255x", name, *fields, b" " * 8, kind, target)
    head = head[:148] + b"%6o\0 " % sum(head) + head[156:]
    return head + data + bytes(-len(data) % 512)


@pytest.mark.parametrize("number", [b"%*o ", b"%0*o\0"])
@pytest.mark.parametrize("file_kind", [b"\0", b"0"])
@pytest.mark.parametrize("end", [1024, 10240])
def test_archives_of_v7_are_read(number, file_kind, end):
    raw = (
        old_member(b"d/", file_kind, number=number, mode=0o40750)
        + old_member(b"d/file", file_kind, b"x" * 600, number=number)
        + old_member(b"d/hard", b"1", target=b"d/file", number=number)
        + old_member(b"d/soft", b"2", target=b"file", number=number)
        + old_member(b"n" * 100, file_kind, b"y", number=number)
        + bytes(end)
    )
    content = Bytes(raw, "old.tar")
    assert table.name_of(content) == "tar"
    found = table.open_tree(content)
    assert [entry.path for entry in found] == ["", "d", "d/file", "d/hard", "d/soft", "n" * 100]
    assert isinstance(found["d"], Directory)
    assert (found["d"].mode, found["d"].uid, found["d"].gid, found["d"].mtime) == (0o750, 3, 4, 77)
    assert isinstance(found["d/file"], File)
    assert found["d/file"].content.read() == b"x" * 600
    assert isinstance(found["d/hard"], HardLink)
    assert isinstance(found["d/soft"], Symlink)


@pytest.mark.parametrize(
    "raw",
    [
        bytes(512),
        bytes(10240),
        b"text\n" * 200,
        old_member(b"x", b"0")[:511],
        old_member(b"", b"0"),
        old_member(b"x", b"0")[:100] + b"9" + old_member(b"x", b"0")[101:],
    ],
)
def test_what_only_looks_a_little_like_an_old_archive_is_none(raw):
    assert table.name_of(Bytes(raw)) is None


def member(name, kind=b"0", data=b"", pax=None):
    info = tarfile.TarInfo(name)
    info.type, info.size, info.pax_headers = kind, len(data), pax or {}
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape") + data + bytes(-len(data) % 512)


def header(kind, records):
    """Return an extended header with (key, value) pairs."""
    data = b""
    for key, value in records:
        body = b" %s=%s\n" % (key, value)
        length = len(body) + 1
        while len(b"%d" % length) + len(body) != length:
            length += 1
        data += b"%d%s" % (length, body)
    return member("x", kind, data)


def refusal(raw, most_memory=32 << 20):
    """Return what is said of an archive, which must not take much memory."""
    content = Bytes(raw, "x.tar") if isinstance(raw, bytes) else raw
    tracemalloc.start()
    try:
        with pytest.raises(FormatError) as failure:
            tar.read(content)
        assert tracemalloc.get_traced_memory()[1] < most_memory
    finally:
        tracemalloc.stop()
    assert len(str(failure.value)) < 300
    return str(failure.value)


@pytest.fixture
def small_trees(monkeypatch):
    monkeypatch.setattr(model, "MOST_ENTRIES", 1000)
    monkeypatch.setattr(model, "MOST_TEXT", 100_000)


@pytest.mark.usefixtures("small_trees")
def test_more_entries_than_are_real():
    raw = b"".join(member(f"{index}") for index in range(1000)) + bytes(1024)
    assert refusal(raw) == "x.tar: more than 1,000 entries are not credible"
    assert len(tar.read(Bytes(raw[512:]))) == 1000


@pytest.mark.usefixtures("small_trees")
@pytest.mark.parametrize("kind", [b"0", b"2"])
def test_more_text_than_is_real(kind):
    """In paths, in those of directories that are only implied, in targets, in names of owners."""
    implied = b"".join(member(f"{index}/" + "d" * 30 + "/e" * 100) for index in range(10)) + bytes(1024)
    assert refusal(implied) == "x.tar: more than 100,000 characters in its paths are not credible"
    for key in (b"linkpath", b"uname", b"gname"):
        value = b"v" * (4000 if key == b"linkpath" else 250)
        raw = header(b"g", [(key, value)]) + b"".join(member(f"{index}", kind) for index in range(500)) + bytes(1024)
        if key != b"linkpath" or kind == b"2":
            assert "100,000 characters" in refusal(raw)
        else:
            assert len(tar.read(Bytes(raw))) == 501


def test_limits_of_trees_hold_real_ones():
    assert model.MOST_ENTRIES >= 1_000_000
    assert model.MOST_TEXT >= 50 * model.MOST_ENTRIES


@pytest.mark.parametrize("kind", [b"x", b"g"])
@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        (b"path", b"p" * 4097, "a path of 4,097 letters is not credible"),
        (b"linkpath", b"p" * 4097, "a linkpath of 4,097 letters"),
        (b"uname", b"u" * 257, "a uname of 257 letters"),
        (b"gname", b"u" * 257, "a gname of 257 letters"),
        (b"mtime", b"1." + b"0" * 100_000, "a mtime of 100,002 letters"),
        (b"size", b"9" * 65, "a size of 65 letters"),
    ],
)
def test_values_that_are_too_long_are_refused_once(kind, key, value, said):
    """Where they stand, and not with each member that a global header counts for."""
    assert said in refusal(header(kind, [(key, value)]) + bytes(1024))


@pytest.mark.parametrize("kind", [b"L", b"K"])
def test_long_names_that_are_too_long(kind):
    assert "4,097 letters" in refusal(member("x", kind, b"n" * 4097) + member("f") + bytes(1024))


@pytest.mark.parametrize("kind", [b"x", b"g"])
def test_records_that_say_nothing_are_not_kept(kind):
    """Keys without end, in one header and in many, before one member and before thousands."""
    many = header(kind, [(b"key%d" % index, b"v") for index in range(5000)])
    raw = many * 20 + b"".join(member(f"{index}") for index in range(2000)) + bytes(1024)
    tracemalloc.start()
    assert len(tar.read(Bytes(raw))) == 2001
    assert tracemalloc.get_traced_memory()[1] < 16 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("size", [(1 << 20) + 1, 1 << 34])
def test_extended_headers_that_are_too_long(size):
    info = tarfile.TarInfo("x")
    info.type, info.size = b"x", size
    head = info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")
    raw = Composite(1 << 36, [(0, Bytes(head))], "x.tar")
    assert f"an extended header of {size:,} bytes is not credible" in refusal(raw)


def test_sparse_files_are_named_whichever_record_says_so():
    assert "GNU sparse" in refusal(header(b"x", [(b"GNU.sparse.name", b"n")]) + member("f") + bytes(1024))


def test_a_local_record_wins_over_a_global_one():
    raw = header(b"g", [(b"uname", b"all"), (b"mtime", b"5")]) + member("a") + header(b"x", [(b"uname", b"one")])
    raw += member("b") + member("c") + bytes(1024)
    found = tar.read(Bytes(raw))
    assert [(found[path].user, found[path].mtime) for path in "abc"] == [("all", 5), ("one", 5), ("all", 5)]
