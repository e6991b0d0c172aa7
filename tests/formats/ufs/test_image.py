"""UFS images as a whole: what is written is consistent and comes back; what does not fit or cannot be is refused."""

import json
import mmap
import os
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.content import Bytes, Composite, DiskFile, write_sparse
from imagekit.errors import InputError, PlanError
from imagekit.files.output import Outputs
from imagekit.formats import ufs
from imagekit.formats.ufs.survey import Inventory
from imagekit.tree import Directory, File, HardLink, Special, Symlink, Tree
from kit import ufs_check

TIME = 1600000000
KIB = 1024


def listing(tree):
    """Return a tree as data that does not depend on the order of entries, nor on which of two names is the link."""
    rows, groups = {}, {}
    for entry in tree:
        real = entry
        while isinstance(real, HardLink):
            real = tree[real.target]
        what = (real.content.read() if isinstance(real, File) else
                real.target if isinstance(real, Symlink) else
                (real.type, real.major, real.minor) if isinstance(real, Special) else None)  # fmt: skip
        rows[entry.path] = (real.KIND, real.mode, real.uid, real.gid, real.mtime, what)
        groups.setdefault(real.path, set()).add(entry.path)
    rows.pop("lost+found", None)
    return rows, sorted(sorted(group) for group in groups.values() if len(group) > 1)


def pattern(size, seed=0):
    return bytes((seed + 7 * index) % 251 + 1 for index in range(min(size, 251))).ljust(251, b"\1") * (size // 251 + 1)


def content(size, seed=0):
    return Bytes(pattern(size, seed)[:size])


def image_of(tree, size=4096 * KIB, **options):
    options = {"time": TIME, "bytes_per_inode": 12248} | options
    return Bytes(ufs.plan(tree, size, **options).content().read(), "x.ufs")


SIZES = st.one_of(
    st.sampled_from([0, 1, 511, 512, 1023, 1024, 1025, 3072, 3073, 4095, 4096, 4097, 8191, 8193]),
    st.sampled_from([45056, 49151, 49152, 49153, 53248, 98304, 98305, 106496]),
    st.integers(0, 70_000),
)
OWNERS = st.sampled_from([0, 1, 100, 65534, 65535, 65536, 70000, 2**32 - 1])
COMMON = {
    "mode": st.integers(0, 0o7777),
    "uid": OWNERS,
    "gid": OWNERS,
    "mtime": st.sampled_from([0, -1, 1600000000, 2**31 - 1, -(2**31)]),
}
NAME = st.one_of(
    st.text("abc.", min_size=1, max_size=3),
    st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=60),
    st.integers(200, 255).map(lambda length: "n" * length),
    st.binary(min_size=1, max_size=8).map(lambda raw: os.fsdecode(raw.translate(bytes.maketrans(b"/\0", b"__")))),
).filter(lambda name: name not in {".", ".."} and len(os.fsencode(name)) <= 255)  # fmt: skip


@st.composite
def trees(draw):
    tree = Tree(draw(st.builds(Directory, path=st.just(""), **COMMON)))
    folders, linkable, names = [""], [], set()
    for index in range(draw(st.integers(0, 25))):
        parent = draw(st.sampled_from(folders))
        name = draw(NAME)
        path = f"{parent}/{name}" if parent else name
        raw = path.encode("utf-8", "surrogateescape")
        if raw in names or raw == b"lost+found" or len(raw) > 1023:
            continue
        names.add(raw)
        kind = draw(st.sampled_from("ddffffllhbcps"))
        common = {"path": path} | {key: draw(value) for key, value in COMMON.items()}
        if kind == "d":
            tree.add(Directory(**common))
            folders.append(path)
            continue
        if kind == "h" and linkable:
            tree.add(HardLink(path=path, target=draw(st.sampled_from(linkable))))
            continue
        if kind == "l":
            target = draw(st.one_of(st.text("ab/.\u20ac", min_size=1, max_size=70), st.just("x" * 1023)))
            tree.add(Symlink(target=target, **common))
        elif kind in "bcps":
            numbers = draw(st.sampled_from([(0, 0), (1, 2), (127, 255), (128, 3), (300, 100000)]))
            major, minor = numbers if kind in "bc" else (0, 0)
            tree.add(Special(type=kind, major=major, minor=minor, **common))
        else:
            tree.add(File(content=content(draw(SIZES), index), **common))
        linkable.append(path)
    return tree


SHAPES = st.sampled_from([(4096, 1024), (4096, 1024), (8192, 1024), (4096, 512), (4096, 4096), (8192, 2048)])


@settings(max_examples=120, deadline=None)
@given(trees(), SHAPES, st.sampled_from([2048, 12248, 14000]), st.integers(0, 3))
def test_random_trees_come_back_from_consistent_images(tree, shape, nbpi, spare):
    options = {"block_size": shape[0], "fragment_size": shape[1], "bytes_per_inode": nbpi}
    needed = ufs.needed_size(tree, **options)
    plan = ufs.plan(tree, (needed + 64 * spare) * KIB, time=TIME, **options)
    data = plan.content("x.ufs").read()
    assert len(data) == plan.size
    assert ufs_check.check(data) == []
    assert listing(ufs.read(Bytes(data))) == listing(tree)
    totals = ufs.read_superblock(Bytes(data)).total
    assert (totals.free_blocks, totals.free_fragments) == (plan.usage.free_blocks, plan.usage.free_fragments)
    assert totals.free_inodes == plan.usage.free_inodes
    json.dumps(plan.data(entries=True))


@settings(max_examples=40, deadline=None)
@given(trees(), SHAPES, st.integers(0, 3_000_000))
def test_where_the_last_file_begins_does_not_depend_on_its_size(tree, shape, size):
    options = {"time": TIME, "block_size": shape[0], "fragment_size": shape[1], "bytes_per_inode": 12248}
    options["last"] = "the last"
    tree.add(File(path="the last", content=Bytes(b"")))
    before = ufs.plan(tree, 16384 * KIB, **options)
    tree.replace(File(path="the last", content=content(size)))
    after = ufs.plan(tree, 16384 * KIB, **options)
    assert places(after)[:-1] == places(before)[:-1]
    assert after.placement.nodes[-1].entry.path == "the last"
    assert (after.placement.nodes[-1].number, after.geometry) == (before.placement.nodes[-1].number, before.geometry)
    ranges = after.last if size else []
    if size >= 12 * shape[0]:  # less ends in fragments
        *full, (offset, length) = ranges
        assert full == before.last[: len(full)]
        assert offset == before.last[len(full)][0]
        assert length <= before.last[len(full)][1]
    data = after.content("x.ufs").read()
    assert b"".join(data[offset : offset + length] for offset, length in ranges)[:size] == content(size).read()
    assert ufs_check.check(data) == []


def test_only_an_inode_can_be_the_last():
    tree = Tree.of([File(path="a", content=content(5)), HardLink(path="b", target="a")])
    for path in ("b", "c"):
        with pytest.raises(PlanError, match=f"/{path}: no inode of its own"):
            ufs.plan(tree, 1024 * KIB, time=TIME, last=path)


def places(plan):
    return [(node.entry.path, node.number, node.data, node.indirect) for node in plan.placement.nodes]


@settings(max_examples=40, deadline=None)
@given(trees())
def test_the_plan_and_the_streamed_image_agree(tree):
    plan = ufs.plan(tree, 8192 * KIB, time=TIME)
    image = plan.content()
    whole = image.read()
    assert b"".join(bytes(block) for block in image.blocks(4096 + 512)) == whole
    assert plan.content().read() == whole
    covered = bytearray(whole)
    for offset, length in image.data_ranges():
        covered[offset : offset + length] = bytes(length)
    assert not any(covered)


def test_root_inode_after_newfs():
    image = image_of(Tree(Directory(path="", mtime=TIME)), 350000 * KIB)
    inode = image.read(0x7100, 128)
    times = "00105e5f00000000" * 3
    expected = bytes.fromhex(f"ed410300000000000002000000000000{times}54000000")
    assert inode[:44] == expected
    assert inode[44:108] == bytes(60) + b"\2\0\0\0"
    assert inode[112:] == bytes(16)
    assert ufs_check.check(image.read()) == []
    assert image.read(8192 + 132, 4) == (482905400).to_bytes(4, "little")
    assert image.read(28 * KIB + 3 * 128 + 40, 4) == (80).to_bytes(4, "little")  # lost+found


def test_every_file_size_about_the_edges_of_addresses():
    tree = Tree()
    edges = [12 * 4096, (12 + 1024) * 4096]
    for edge in edges:
        for size in range(edge - 1, edge + 2):
            tree.add(File(path=f"f{size}", content=Composite(size, [(size - 3, Bytes(b"end"))])))
    plan = ufs.plan(tree, 20000 * KIB, time=TIME)
    data = plan.content().read()
    assert ufs_check.check(data) == []
    assert listing(ufs.read(Bytes(data))) == listing(tree)
    held = {node.size: node.fragments for node in plan.placement.nodes}
    assert held[49151] == held[49152] == 48
    assert held[49153] == 14 * 4
    assert held[edges[1] + 1] == (12 + 1024 + 1 + 3) * 4


def test_triple_indirect_addresses(tmp_path):
    size = (12 + 1024 + 1024**2 + 3) * 4096 + 17
    marks = [
        (offset, Bytes(f"at {offset}".encode())) for offset in (0, 12 * 4096, 1036 * 4096, size - 4096 * 3, size - 20)
    ]
    tree = Tree.of([File(path="huge", content=Composite(size, marks)), File(path="after", content=content(3000))])
    needed = ufs.needed_size(tree, fragment_size=4096, bytes_per_inode=1 << 20)
    plan = ufs.plan(tree, needed * KIB, time=TIME, fragment_size=4096, bytes_per_inode=1 << 20)
    with Outputs() as outputs:
        write_sparse(plan.content(), outputs.file(tmp_path / "huge.ufs"))
    path = tmp_path / "huge.ufs"
    assert path.stat().st_blocks * 512 < 200 << 20
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as image:
        assert image[8192 + 211] == 1  # fs_flags: a file over 2 GiB
        assert ufs_check.check(image) == []
    got = ufs.read(DiskFile(path))
    huge = got["huge"]
    assert isinstance(huge, File)
    assert huge.content.size == size
    for offset, mark in marks:
        assert huge.content.read(offset, mark.size) == mark.read()
    path.unlink()


def test_thousands_of_entries_in_a_directory():
    tree = Tree.of([Directory(path="d")])
    for index in range(5000):
        tree.add(File(path=f"d/{index:04}{'x' * (index % 90)}", content=Bytes(b"")))
    for index in range(300):
        tree.add(Directory(path=f"d/below{index}"))
    data = image_of(tree, 8192 * KIB, bytes_per_inode=1024).read()
    assert ufs_check.check(data) == []
    assert listing(ufs.read(Bytes(data))) == listing(tree)


def test_link_targets_never_stand_in_the_inode():
    plan = ufs.plan(Tree.of([Symlink(path="l", target="a")]), 2048 * KIB, time=TIME)
    data = plan.content().read()
    at = (plan.geometry.iblkno * KIB) + plan.placement.numbers["l"] * 128
    address, *rest = struct.unpack_from("<15i", data, at + 40)
    assert data[address * KIB : address * KIB + KIB] == b"a".ljust(KIB, b"\0")
    assert not any(rest)
    assert struct.unpack_from("<i", data, at + 104) == (2,)


def test_given_lost_and_found_keeps_owner_and_entries():
    tree = Tree.of([
        File(path="first", content=content(10)),
        Directory(path="lost+found", mode=0o711, uid=5, mtime=7),
        File(path="lost+found/#12", content=content(5000)),
    ])  # fmt: skip
    plan = ufs.plan(tree, 2048 * KIB, time=TIME)
    data = plan.content().read()
    assert ufs_check.check(data) == []
    got = ufs.read(Bytes(data))
    assert (got["lost+found"].mode, got["lost+found"].uid, got["lost+found"].mtime) == (0o711, 5, 7)
    assert plan.placement.numbers["lost+found"] == 3
    assert listing(got) == listing(tree)


def test_full_to_the_last_fragment():
    tree = Tree()
    plan = ufs.plan(tree, 2048 * KIB, time=TIME, bytes_per_inode=2048)
    for index in range(plan.usage.free_blocks):
        tree.add(File(path=f"f{index:03}", content=content(4096, index)))
    while True:  # names take directory blocks: give up files until it fits
        try:
            plan = ufs.plan(tree, 2048 * KIB, time=TIME, bytes_per_inode=2048)
        except ufs.ImageTooSmallError:
            tree.remove(list(tree)[-1].path)
        else:
            break
    index = 0
    while plan.usage.free >= KIB:
        tree.add(File(path=f"g{index}", content=content(KIB, index)))
        index += 1
        plan = ufs.plan(tree, 2048 * KIB, time=TIME, bytes_per_inode=2048)
    assert plan.usage.free == 0
    data = plan.content().read()
    assert ufs_check.check(data) == []
    assert listing(ufs.read(Bytes(data))) == listing(tree)
    tree.add(File(path="straw", content=content(1)))
    with pytest.raises(ufs.ImageTooSmallError):
        ufs.plan(tree, 2048 * KIB, time=TIME, bytes_per_inode=2048)


def test_all_inodes_can_be_used():
    tree = Tree()
    plan = ufs.plan(tree, 6144 * KIB, time=TIME, bytes_per_inode=65536)
    assert plan.geometry.ncg == 2
    tree.add(File(path="big", content=Composite(5 << 20, [])))  # moves the placement into the second group
    for index in range(plan.usage.free_inodes - 1):
        tree.add(Special(path=f"fifo{index}", type="p"))
    plan = ufs.plan(tree, 6144 * KIB, time=TIME, bytes_per_inode=65536)
    assert plan.usage.free_inodes == 0
    assert ufs_check.check(plan.content().read()) == []
    tree.add(Special(path="straw", type="p"))
    with pytest.raises(ufs.ImageTooSmallError, match="inodes are needed") as failure:
        ufs.plan(tree, 6144 * KIB, time=TIME, bytes_per_inode=65536)
    assert ufs.plan(tree, failure.value.needed * KIB, time=TIME, bytes_per_inode=65536)


def test_too_small_names_what_is_large_and_what_would_do():
    tree = Tree.of([Directory(path="a"), Directory(path="a/b"), File(path="a/b/large", content=Composite(3 << 20, []))])
    tree.add(File(path="small", content=content(100)))
    with pytest.raises(ufs.ImageTooSmallError) as failure:
        ufs.plan(tree, 2048 * KIB, time=TIME, bytes_per_inode=12248)
    error = failure.value
    assert error.largest.files[0] == ("a/b/large", (3 << 20) + 4096)
    assert [path for path, _ in error.largest.directories[:2]] == ["a", "a/b"]
    assert "/a/b/large" in str(error)
    assert f"{error.needed:,} KiB would do" == error.hint
    assert ufs.plan(tree, error.needed * KIB, time=TIME, bytes_per_inode=12248).usage.free < 300 * KIB
    roomy = ufs.needed_size(tree, bytes_per_inode=12248, free_bytes=5 << 20, free_inodes=2000)
    usage = ufs.plan(tree, roomy * KIB, time=TIME, bytes_per_inode=12248).usage
    assert usage.free >= 5 << 20
    assert usage.free_inodes >= 2000


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (Directory(path="n" * 256), "256 bytes"),
        (File(path="\u20ac" * 86, content=Bytes(b"")), "258 bytes"),
        (Symlink(path="l", target="x" * 1024), "1,024 bytes"),
        (Symlink(path="l", target=""), "cannot be stored"),
        (Symlink(path="l", target="a\0b"), "cannot be stored"),
        (Directory(path="d", uid=1 << 32), "owner 4294967296:0"),
        (Directory(path="d", gid=-1), "owner 0:-1"),
        (Directory(path="d", mtime=1 << 31), "1901..2038"),
        (Directory(path="d", mode=0o40755), "0o40755"),
        (Special(path="s", type="c", major=0, minor=256), "0,256"),
        (Special(path="s", type="D"), "unknown type"),
        (HardLink(path="h", target="nowhere"), "/nowhere, which is not in the tree"),
        (HardLink(path="h", target="h"), "leads back to itself"),
        (HardLink(path="h", target=""), "which is a directory"),
        (File(path="\ud800", content=Bytes(b"")), "stands for no bytes"),
        (File(path="lost+found", content=Bytes(b"")), "fsck needs a directory"),
    ],
)
def test_what_ufs_cannot_hold_is_refused(entry, message):
    with pytest.raises(PlanError, match="UFS cannot hold it") as failure:
        ufs.plan(Tree.of([entry]), 2048 * KIB, time=TIME)
    assert message in str(failure.value)


def test_all_that_ufs_cannot_hold_is_reported_together():
    tree = Tree.of([Directory(path=f"{index:02}" + "n" * 254) for index in range(25)])
    with pytest.raises(PlanError, match="25 things") as failure:
        ufs.plan(tree, 2048 * KIB, time=TIME)
    assert str(failure.value).count("256 bytes") == 20
    assert str(failure.value).endswith("and 5 more")


def test_other_limits():
    deep = Tree()
    path = ""
    for _ in range(5):
        path = f"{path}/{'d' * 210}".lstrip("/")
        deep.add(Directory(path=path))
    with pytest.raises(PlanError, match="the path has 1,054 bytes"):
        ufs.plan(deep, 2048 * KIB, time=TIME)
    same = Tree.of([Directory(path="\u00e9"), Directory(path="\udcc3\udca9")])
    with pytest.raises(PlanError, match="two entries of the same bytes"):
        ufs.plan(same, 2048 * KIB, time=TIME)
    many = Tree.of([Directory(path=str(index)) for index in range(32766)])
    with pytest.raises(PlanError, match=r"32,769 links \(directories in it\)"):
        ufs.plan(many, 2048 * KIB, time=TIME)
    for size in (1 << 40, 1 << 50):
        with pytest.raises(PlanError):
            ufs.plan(Tree.of([File(path="f", content=Composite(size, []))]), 2048 * KIB, time=TIME)
    for bad in ({"time": -1}, {"time": 1 << 31}, {"time": 0, "minfree": 100}):
        with pytest.raises(PlanError):
            ufs.plan(Tree(), 2048 * KIB, **bad)


@pytest.mark.parametrize("links", [32767, 32768])
def test_as_many_links_as_can_be_counted(links):
    names = Tree.of([File(path="f", content=Bytes(b""))])
    for index in range(links - 1):
        names.add(HardLink(path=f"h{index}", target="f"))
    folders = Tree.of([Directory(path=f"{index}") for index in range(links - 3)])  # and lost+found, itself, its name
    for tree in (names, folders):
        if links <= 32767:
            Inventory.of(tree, block_size=4096, time=0)
            continue
        with pytest.raises(PlanError, match="has 32,768 links"):
            Inventory.of(tree, block_size=4096, time=0)


def test_files_on_disk_must_stay_as_they_are(tmp_path):
    path = tmp_path / "f"
    path.write_bytes(b"x" * 6000)
    image = ufs.plan(Tree.of([File(path="f", content=DiskFile(path))]), 2048 * KIB, time=TIME).content()
    path.write_bytes(b"x" * 5000)
    with pytest.raises(InputError, match="5,000 bytes now, 6,000 before"):
        image.read()


def test_superblock_options():
    fs = ufs.read_superblock(image_of(Tree(), optimise="time", minfree=7))
    assert (fs.optimise, fs.minfree, fs.time, fs.clean) == ("time", 7, TIME, True)
    assert "UFS of 4,096 KiB" in str(ufs.plan(Tree(), 4096 * KIB, time=TIME))
