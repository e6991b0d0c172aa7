"""tar: round trips, Python's tarfile as a second opinion, hostile and damaged archives."""

import gzip as reference
import io
import random
import tarfile
import tracemalloc
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.content import Bytes, Composite, Content
from imagekit.errors import FormatError, PlanError
from imagekit.formats import tar
from imagekit.formats.tar import layout
from imagekit.tree import Directory, Entry, File, HardLink, Special, Symlink, Tree

NAMES = st.one_of(
    st.text("abcXYZ019.-_ ", min_size=1, max_size=12),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=8),
    st.sampled_from(
        ["n" * 99, "n" * 100, "n" * 101, "m" * 155, "d" * 156, "\udcff\udc80", "new\nline", "a=b", "back\\"]
    ),
).filter(lambda name: name not in {".", ".."})
IDS = st.sampled_from([0, 1, 60001, 8**7 - 1, 8**7, (1 << 32) - 1])
TIMES = st.sampled_from([0, 1, 1_795_000_000, 8**11 - 1, 8**11, -5])
OWNERS = st.sampled_from(["", "root", "bin", "o" * 31, "o" * 32, "o" * 33, "k\u00f6nig"])
MODES = st.integers(0, 0o7777)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    tree = Tree()
    folders = [""]
    linkable: list[Entry] = []
    for _ in range(draw(st.integers(0, 12))):
        path = "/".join(filter(None, [draw(st.sampled_from(folders)), draw(NAMES)]))
        if path in tree:
            continue
        common = {
            "path": path,
            "mode": draw(MODES),
            "uid": draw(IDS),
            "gid": draw(IDS),
            "mtime": draw(TIMES),
            "user": draw(OWNERS),
            "group": draw(OWNERS),
        }
        kind = draw(st.sampled_from("dfffslhb"))
        if kind == "d":
            tree.add(Directory(**common))
            folders.append(path)
            continue
        if kind == "h" and linkable:
            target = draw(st.sampled_from(linkable))
            values = {name: getattr(target, name) for name in common if name != "path"}
            tree.add(HardLink(path=path, target=target.path, **values))
            continue
        entry: Entry
        if kind == "s":
            entry = Symlink(target=draw(NAMES | st.sampled_from(["/etc/passwd", "../../up", "t" * 101])), **common)
        elif kind == "b":
            entry = Special(type=draw(st.sampled_from("bcp")), **common)
        else:
            data = draw(st.binary(max_size=40) | st.sampled_from([b"x" * 512, b"y" * 1025]))
            entry = File(content=Bytes(data), **common)
        tree.add(entry)
        linkable.append(entry)
    return tree


def backwards(tree: Tree) -> Tree:
    """Return the tree with hard links before what they are links to, where they share a directory."""
    result = Tree(tree.root)
    directories = [entry for entry in tree if isinstance(entry, Directory) and entry.path]
    others = [entry for entry in tree if not isinstance(entry, Directory)]
    for entry in [*directories, *reversed(others)]:
        result.add(entry)
    return result


def inodes(tree: Tree) -> list[object]:
    """Return all that an archive must keep, but for which of the names of a file comes first."""
    found = []
    names: dict[str, list[str]] = {}
    for entry in tree:
        names.setdefault(entry.target if isinstance(entry, HardLink) else entry.path, []).append(entry.path)
    for path, all_names in names.items():
        entry = tree[path]
        content = entry.content.read() if isinstance(entry, File) else None
        plain = replace(entry, path="", **({"content": None} if content is not None else {}))  # type: ignore[arg-type]
        found.append((sorted(all_names), content, plain))
    return sorted(found, key=lambda row: row[0])


def opened(raw: bytes, name: str = "x.tar") -> Tree:
    return tar.read(Bytes(raw, name))


@settings(max_examples=200, deadline=None)
@given(trees(), st.booleans())
def test_round_trip(tree: Tree, turn: bool) -> None:
    if turn:
        tree = backwards(tree)
    archive = tar.plan(tree)
    assert archive.size % layout.RECORD == 0
    found = tar.read(archive)
    assert [entry.path for entry in found] == [entry.path for entry in tree]
    assert inodes(found) == inodes(tree)


@settings(max_examples=100, deadline=None)
@given(trees())
def test_tarfile_sees_the_same(tree: Tree) -> None:
    raw = tar.plan(tree).read()
    with tarfile.open(fileobj=io.BytesIO(raw), errorlevel=2, errors="surrogateescape") as archive:
        members = archive.getmembers()
        below = [entry for entry in tree if entry.path]
        assert [member.name for member in members] == [entry.path for entry in below]
        for member, entry in zip(members, below, strict=True):
            assert (member.mode, member.uid, member.gid) == (entry.mode, entry.uid, entry.gid)
            assert (int(member.mtime), member.uname, member.gname) == (entry.mtime, entry.user, entry.group)
            if isinstance(entry, File):
                held = archive.extractfile(member)
                assert held
                assert held.read() == entry.content.read()
            elif isinstance(entry, Symlink | HardLink):
                assert member.linkname == entry.target
            assert member.islnk() == isinstance(entry, HardLink)
            assert member.isdir() == isinstance(entry, Directory)


@settings(max_examples=60, deadline=None)
@given(trees(), st.sampled_from([tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]))
def test_reads_what_tarfile_writes(tree: Tree, kind: int) -> None:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind, errors="surrogateescape") as archive:
        for entry in tree:
            if not entry.path:
                continue
            info = tarfile.TarInfo(f"./{entry.path}")
            info.mode, info.uid, info.gid, info.mtime = entry.mode, entry.uid, entry.gid, entry.mtime
            info.uname, info.gname = entry.user[:31], entry.group[:31]
            data = b""
            if isinstance(entry, Directory):
                info.type = tarfile.DIRTYPE
            elif isinstance(entry, File):
                data = entry.content.read()
            elif isinstance(entry, Symlink | HardLink):
                info.type = tarfile.LNKTYPE if isinstance(entry, HardLink) else tarfile.SYMTYPE
                info.linkname = entry.target
            elif isinstance(entry, Special):
                info.type = {"b": tarfile.BLKTYPE, "c": tarfile.CHRTYPE, "p": tarfile.FIFOTYPE}[entry.type]
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    expected = Tree()
    for entry in tree:
        if entry.path:
            expected.add(replace(entry, user=entry.user[:31], group=entry.group[:31]))
    found = opened(buffer.getvalue())
    assert inodes(found) == inodes(expected)


def test_sizes_over_8_gib_take_a_pax_header() -> None:
    class Huge(Composite):
        pass

    tree = Tree.of([File(path="huge", content=Huge(9 << 30, [])), File(path="z", content=Bytes(b"end"))])
    archive = tar.plan(tree)
    assert b"size=9663676416\n" in archive.read(0, 2048)
    found = tar.read(archive)
    assert [(entry.path, entry.content.size) for entry in found.files()] == [("huge", 9 << 30), ("z", 3)]
    assert next(reversed(list(found.files()))).content.read() == b"end"


def test_prefixes_keep_long_paths_plain() -> None:
    path = "/".join(["d" * 50] * 3 + ["n" * 100])
    tree = Tree()
    tree.add_parents(path)
    tree.add(File(path=path, content=Bytes(b"")))
    raw = tar.plan(tree).read()
    assert b"PaxHeader" not in raw
    assert path in opened(raw)


def test_the_same_tree_makes_the_same_bytes() -> None:
    tree = Tree.of([File(path="a\u00e9", content=Bytes(b"x"), mtime=7), Directory(path="b", mtime=7)])
    assert tar.plan(tree).read() == tar.plan(tree).read()
    assert tar.plan(Tree()).read() == bytes(layout.RECORD)


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([HardLink(path="a", target="b")], "a hard link to nothing: /b"),
        ([HardLink(path="a", target="b"), HardLink(path="b", target="a")], "a hard link to itself: /"),
        ([Directory(path="d"), HardLink(path="a", target="d")], "a hard link to a directory: /d"),
        ([Special(path="s", type="s")], "cannot hold a socket"),
    ],
)
def test_what_cannot_be_held_is_refused(entries: list[Entry], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        tar.plan(Tree.of(entries))


def archive(*members: tuple[str, dict[str, object]], end: bytes = bytes(1024), kind: int = tarfile.PAX_FORMAT) -> bytes:
    raw = b""
    for name, values in members:
        data = values.pop("data", b"")
        info = tarfile.TarInfo(name)
        for key, value in values.items():
            setattr(info, key, value)
        assert isinstance(data, bytes)
        if "size" not in values:
            info.size = len(data)
        raw += info.tobuf(kind, "utf-8", "surrogateescape") + data + bytes(-len(data) % 512)
    return raw + end


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (archive(("../up", {})), r"'\.\./up' leads out"),
        (archive(("a/../../up", {})), "leads out"),
        (archive(("/etc/passwd", {})), "'/etc/passwd' leads out"),
        (archive(("a", {"type": b"2", "linkname": "/etc"}), ("a/passwd", {})), "no directory to be in: /a is a sym"),
        (archive(("a", {}), ("a/b", {})), "/a is a file"),
        (archive(("a", {"type": b"1", "linkname": "b"})), "a hard link to 'b'"),
        (archive(("a", {"type": b"1", "linkname": "a"})), "a hard link to 'a'"),
        (archive(("d", {"type": b"5"}), ("a", {"type": b"1", "linkname": "d"})), "a hard link to 'd'"),
        (archive(("a", {"type": b"1", "linkname": "../../etc/passwd"})), "leads out"),
        (archive(("d/e", {"type": b"5"}), ("d", {"data": b"x"})), "a file cannot replace a directory"),
        (archive(("s", {"type": b"S"})), "GNU sparse files are not supported"),
        (archive(("s", {"pax_headers": {"GNU.sparse.major": "1"}})), "GNU sparse"),
        (archive(("s", {"type": b"M"})), "multi-volume"),
        (archive(("s", {"type": b"Q"})), "unknown type b'Q'"),
        (archive(("f", {"size": 10_000})), "10,000 bytes at 512 are wanted"),
        (archive(("f", {"size": (1 << 63) - 1})), "are wanted"),
        (archive(("f", {"pax_headers": {"size": "-1"}})), "size of 'f' is -1"),
        (archive(("f", {"pax_headers": {"uid": "1e9"}})), "uid in a pax header is '1e9', no number"),
        (archive(("f", {"pax_headers": {"mtime": "9" * 20}})), "mtime of 'f' is"),
        (archive(("f", {"pax_headers": {"path": "n\0m"}})), "leads out"),
        (archive(("f", {"pax_headers": {"path": "n/" * 200}})), "not credible"),
        (archive(("f", {}), end=b""), "two blocks of zeros"),
        (archive(("f", {}))[:700], "two blocks of zeros"),
        (archive(("f" * 200, {}))[:1024] + bytes(1024), "ends behind a header that extends"),
        (archive(("x", {"type": b"x", "data": b"12 path=a"})), "not LENGTH KEY=VALUE"),
        (archive(("x", {"type": b"x", "data": b"99999999999999 path=a\n"})), "not LENGTH KEY=VALUE"),
        (archive(("x", {"type": b"x", "data": b"0 path=a\n"})), "not LENGTH KEY=VALUE"),
        (archive(("x", {"type": b"x", "size": 1 << 33}), kind=tarfile.GNU_FORMAT), "not credible"),
        (archive(("L", {"type": b"L", "size": 1 << 20})), "are wanted"),
        (b"PK\3\4" + bytes(1020), "not a tar header"),
        (b"", "two blocks of zeros"),
        (b"\xfd7zXZ\0" + bytes(600), "compressed with xz"),
    ],
)
def test_hostile_and_damaged_archives_are_refused(raw: bytes, message: str) -> None:
    with pytest.raises(FormatError, match=message) as caught:
        opened(raw)
    assert str(caught.value).startswith("x.tar")


def test_links_that_lead_out_are_kept_as_text() -> None:
    tree = opened(archive(("a", {"type": b"2", "linkname": "../../../etc/passwd"})))
    assert isinstance(link := tree["a"], Symlink)
    assert link.target == "../../../etc/passwd"


def test_odd_but_valid_archives_are_read() -> None:
    members: list[tuple[str, dict[str, object]]] = [
        (".", {"type": b"5", "mode": 0o700, "uid": 7}),
        ("./a//b/./f", {"data": b"one", "pax_headers": {"mtime": "-1.5", "SCHILY.dev": "1", "comment": "\u00e9"}}),
        ("a/b", {"type": b"5", "mode": 0o711}),
        ("a/b/f", {"data": b"two"}),
        ("a/l", {"type": b"1", "linkname": "a/b/f"}),
        ("a/m", {"type": b"1", "linkname": "./a/l"}),
        ("a/b/f", {"type": b"1", "linkname": "a/m"}),
        ("old/", {"type": b"\0"}),
        ("contiguous", {"type": b"7", "data": b"c"}),
        ("past", {"pax_headers": {"mtime": "-1.5"}}),
    ]
    tree = opened(archive(*members, end=bytes(512)))
    assert (tree.root.mode, tree.root.uid) == (0o700, 7)
    assert [entry.path for entry in tree] == ["", "a", "a/b", "a/b/f", "a/l", "a/m", "old", "contiguous", "past"]
    assert tree["a/b"].mode == 0o711
    assert isinstance(file := tree["a/b/f"], File)
    assert (file.content.read(), file.content.origin) == (b"two", "x.tar!/a/b/f")
    assert isinstance(link := tree["a/m"], HardLink)
    assert link.target == "a/b/f"
    assert isinstance(tree["old"], Directory)
    assert tree["past"].mtime == -2


def test_signed_checksums_and_global_headers_are_read() -> None:
    header = bytearray(archive(("x", {"type": b"g", "data": b"18 gname=everyone\n"}), end=b""))
    member = bytearray(archive(("caf\u00e9", {}), end=b"", kind=tarfile.GNU_FORMAT))
    total = layout.checksum(bytes(member[:512])) - 256 * sum(byte > 127 for byte in member[:512])
    member[layout.CHECKSUM] = b"%06o\0 " % total
    assert opened(bytes(header + member) + bytes(1024))["caf\u00e9"].group == "everyone"


def test_compressed_archives_are_read() -> None:
    tree = Tree.of([File(path="a", content=Bytes(b"text" * 1000))])
    found = opened(reference.compress(tar.plan(tree).read()), "x.tgz")
    assert isinstance(file := found["a"], File)
    assert file.content.read() == b"text" * 1000
    with pytest.raises(FormatError, match="cut short"):
        opened(reference.compress(tar.plan(tree).read())[:-1], "x.tgz")


class Endless(Content):
    """A terabyte of what looks like the same header again and again."""

    def __init__(self, block: bytes) -> None:
        self.block = block

    @property
    def size(self) -> int:
        return 1 << 40

    @property
    def origin(self) -> str:
        return "endless"

    def read_into(self, offset: int, buffer: memoryview) -> None:
        assert offset % 512 == 0
        buffer[:] = (self.block * (len(buffer) // len(self.block) + 1))[: len(buffer)]


def test_memory_stays_in_proportion() -> None:
    raw = archive(("x", {"type": b"x", "data": b"5 a=\n" * 100_000}), ("f", {}))
    tracemalloc.start()
    try:
        opened(raw)
        _, peak = tracemalloc.get_traced_memory()
        assert peak < 4 * len(raw)
        tracemalloc.reset_peak()
        with pytest.raises(FormatError, match="not credible"):
            tar.read(Endless(archive(("L", {"type": b"L", "size": 1 << 32}), end=b"", kind=tarfile.GNU_FORMAT)))
        assert tracemalloc.get_traced_memory()[1] < 8 << 20
    finally:
        tracemalloc.stop()


def sample() -> bytes:
    rng = random.Random(4)
    tree = Tree.of(
        [
            Directory(path="d"),
            File(path="d/f", content=Bytes(rng.randbytes(700))),
            File(path="d/" + "l" * 120, content=Bytes(b"x")),
            HardLink(path="h", target="d/f"),
            Symlink(path="s", target="t" * 130),
            Special(path="dev", type="c", major=1, minor=3),
            File(path="d\u00e9", content=Bytes(b""), uid=1 << 30),
        ]
    )
    return tar.plan(tree).read()


SAMPLE = sample()


@settings(max_examples=400, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, len(SAMPLE) - 1), st.binary(min_size=1, max_size=12)), min_size=1, max_size=4),
    st.booleans(),
)
def test_damaged_archives_never_do_worse_than_a_format_error(changes: list[tuple[int, bytes]], seal: bool) -> None:
    raw = bytearray(SAMPLE)
    for offset, value in changes:
        raw[offset : offset + len(value)] = value[: len(raw) - offset]
    if seal:  # right checksums, so that the fields themselves are tried
        for start in range(0, len(raw), 512):
            if raw[start + 257 : start + 262] == b"ustar":
                total = layout.checksum(bytes(raw[start : start + 512]))
                raw[start + 148 : start + 156] = b"%06o\0 " % total
    try:
        tree = opened(bytes(raw))
    except FormatError:
        return
    for file in tree.files():
        assert len(file.content.read()) == file.content.size


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=2000))
def test_garbage_is_a_format_error(data: bytes) -> None:
    if not data[:512].strip(b"\0"):
        return
    with pytest.raises(FormatError):
        opened(data)


@pytest.mark.parametrize("number", [0, 1, 8**7 - 1])
def test_device_numbers_that_fit_stand_in_the_header(number: int) -> None:
    raw = tar.plan(Tree.of([Special(path="c", type="c", major=number, minor=number)])).read()
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        (info,) = archive.getmembers()
    assert (info.name, info.devmajor, info.devminor) == ("c", number, number)


@pytest.mark.parametrize("device", [(8**7, 0), (0, 8**7), (-1, 0), (0, -1), (1 << 32, 1)])
def test_device_numbers_that_do_not_fit_are_refused(device: tuple[int, int]) -> None:
    with pytest.raises(PlanError, match="cannot hold the device number") as failure:
        tar.plan(Tree.of([Special(path="c", type="b", major=device[0], minor=device[1])]))
    assert failure.value.where == "/c"


@pytest.mark.parametrize("length", [97, 98, 99, 100, 101, 155, 156])
@pytest.mark.parametrize("kind", [Directory, Symlink])
def test_last_names_about_as_long_as_the_field(length: int, kind: type[Entry]) -> None:
    path = "d/" + "n" * length
    entry = Directory(path=path) if kind is Directory else Symlink(path=path, target="t")
    raw = tar.plan(Tree.of([Directory(path="d"), entry])).read()
    with tarfile.open(fileobj=io.BytesIO(raw)) as archive:
        assert archive.getnames() == ["d", path]
    offset = 0
    while any(
        raw[offset : offset + 512]
    ):  # no header has an empty name beside its prefix: not all programs join the two then
        prefix = raw[offset + 345 : offset + 500].rstrip(b"\0")
        assert raw[offset : offset + 100].strip(b"\0"), prefix
        offset += 512 + -(-int(raw[offset + 124 : offset + 135], 8) // 512) * 512
