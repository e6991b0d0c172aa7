"""UFS images as a whole: what is written is consistent and comes back; what does not fit or cannot be is refused."""

import importlib.util
import json
import mmap
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.content import Bytes, Composite, DiskFile, Slice, write_sparse
from imagekit.errors import FormatError, InputError, PlanError
from imagekit.formats import ufs
from imagekit.output import Outputs
from imagekit.tree import Directory, File, HardLink, Special, Symlink, Tree

_SPEC = importlib.util.spec_from_file_location("ufs_check", Path(__file__).with_name("ufs_check.py"))
ufs_check = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(ufs_check)

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
    st.binary(min_size=1, max_size=8).map(lambda raw: raw.replace(b"/", b"_").replace(b"\0", b"_").decode("utf-8", "surrogateescape")),
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
    json.dumps(plan.as_dict(entries=True))


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
    expected = bytes.fromhex(
        "ed410300000000000002000000000000" "00105e5f0000000000105e5f00000000" "00105e5f0000000054000000"
    )  # fmt: skip
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
    held = {node.size: node.fragments for node in plan.nodes}
    assert held[49151] == held[49152] == 48
    assert held[49153] == 14 * 4
    assert held[edges[1] + 1] == (12 + 1024 + 1 + 3) * 4


def test_triple_indirect_addresses(tmp_path):
    size = (12 + 1024 + 1024**2 + 3) * 4096 + 17
    marks = [(offset, Bytes(f"at {offset}".encode())) for offset in (0, 12 * 4096, 1036 * 4096, size - 4096 * 3, size - 20)]
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
    at = plan.geometry.inode_offset(plan.numbers["l"])
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
    assert plan.numbers["lost+found"] == 3
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


def patched(image, *patches):
    data = bytearray(image.read())
    for at, form, *values in patches:
        struct.pack_into("<" + form, data, at, *values)
    return Bytes(bytes(data), "x.ufs")


SB = 8192


@pytest.mark.parametrize(
    ("patches", "message"),
    [
        ([(SB + 1372, "I", 0x54190100)], "big-endian"),
        ([(SB + 1372, "I", 0xDECADE)], "multi-terabyte"),
        ([(SB + 1372, "I", 0xDECADE00)], "multi-terabyte"),
        ([(SB + 1372, "I", 0)], "not a UFS: the magic number is 0x00000000"),
        ([(SB + 1320, "i", 1)], "fs_version is 1"),
        ([(SB + 48, "i", 16384)], "fs_bsize"),
        ([(SB + 52, "i", 0)], "fs_fsize"),
        ([(SB + 56, "i", 8)], "fs_frag"),
        ([(SB + 120, "i", 5)], "fs_inopb"),
        ([(SB + 116, "i", 5)], "fs_nindir"),
        ([(SB + 184, "i", -32)], "fs_ipg"),
        ([(SB + 188, "i", 0)], "fs_fpg"),
        ([(SB + 44, "i", 1 << 30)], "groups of"),
        ([(SB + 36, "i", 1 << 30)], "the file system has"),
        ([(SB + 16, "i", 1 << 30)], "inode table of group 0"),
        ([(SB + 184, "i", 1 << 20)], "inodes in a group"),
        ([(SB + 24, "i", 1 << 30), (SB + 28, "i", 0)], "of group"),
        ([(SB + 1324, "i", 500), (SB + 209, "B", 0xFD)], "log with changes"),
    ],
)
def test_superblocks_that_are_no_use_are_refused(patches, message):
    image = patched(image_of(Tree(), 8192 * KIB), *patches)
    with pytest.raises(FormatError, match=r"^x\.ufs: ") as failure:
        ufs.read(image)
    assert message in str(failure.value)


def test_a_log_that_was_rolled_is_no_hindrance():
    image = patched(image_of(Tree()), (SB + 1324, "i", 500), (SB + 209, "B", 0xFD), (SB + 4, "I", 1))
    assert "lost+found" in ufs.read(image)


def test_short_images_are_refused():
    whole = image_of(Tree())
    for size in (0, 9000, 20000, whole.size - 5 * KIB):
        with pytest.raises(FormatError):
            ufs.read(Slice(whole, 0, size))


def test_staggered_groups_are_read():
    """Real disks have several tracks: newfs staggers the metadata of their groups by fs_cgoffset."""
    tree = Tree.of([Directory(path="d")] + [File(path=f"d/{index}", content=content(9000, index)) for index in range(20)])
    plan = ufs.plan(tree, 8192 * KIB, time=TIME)
    data = bytearray(plan.content().read())
    g = plan.geometry
    struct.pack_into("<ii", data, SB + 24, 100, -4)  # cgoffset, cgmask: group 1 moves by 100 fragments
    assert g.ncg == 2
    start, length = g.inode_offset(g.ipg), g.ipg * 128
    moved = start + 100 * g.fsize
    number = plan.numbers["d/7"]
    inode = g.inode_offset(number)
    index = struct.pack("<H", 1) + b"7\0"
    entry = data.index(index, plan.nodes[2].data[0][0] * g.fsize) - 6
    data[moved : moved + length] = data[start : start + length]
    data[start : start + length] = bytes(length)
    data[moved + 128 : moved + 256] = data[inode : inode + 128]
    struct.pack_into("<I", data, entry, g.ipg + 1)
    assert listing(ufs.read(Bytes(bytes(data)))) == listing(tree)


def inode_at(plan, path):
    return plan.geometry.inode_offset(plan.numbers[path])


@pytest.fixture(scope="module")
def sample():
    tree = Tree.of([
        Directory(path="d"),
        Directory(path="d/e"),
        File(path="d/f", content=content(60_000)),
        File(path="d/small", content=content(5000)),
        Symlink(path="d/l", target="f"),
        Special(path="d/c", type="c", major=1, minor=2),
        HardLink(path="d/zz", target="d/f"),
    ])  # fmt: skip
    plan = ufs.plan(tree, 2048 * KIB, time=TIME)
    return plan, Bytes(plan.content().read(), "x.ufs")


def test_holes_and_blocks_set_aside_read_as_zeros(sample):
    plan, image = sample
    at = inode_at(plan, "d/f")
    holes = ufs.read(patched(image, (at + 44, "i", 0), (at + 88, "i", 0)))["d/f"]
    expected = bytearray(content(60_000).read())
    expected[4096:8192] = bytes(4096)
    expected[12 * 4096 :] = bytes(60_000 - 12 * 4096)
    assert holes.content.read() == expected
    first = struct.unpack("<i", image.read(at + 40, 4))[0]
    aside = patched(image, (at + 40, "i", -first), (at + 100, "i", 2))
    expected = bytearray(content(60_000).read())
    expected[:4096] = bytes(4096)
    assert ufs.read(aside)["d/f"].content.read() == expected
    assert sum(length for _, length in holes.content.data_ranges()) == 11 * 4096


def test_owners_beyond_16_bits_and_old_ones(sample):
    plan, image = sample
    at = inode_at(plan, "d/f")
    got = ufs.read(patched(image, (at + 4, "HH", 65535, 7), (at + 116, "II", 65535, 9)))["d/f"]
    assert (got.uid, got.gid) == (65535, 7)


def test_inline_links_of_foreign_writers(sample):
    plan, image = sample
    at = inode_at(plan, "d/l")
    got = ufs.read(patched(image, (at + 8, "Q", 8), (at + 40, "8s", b"../inner"), (at + 104, "i", 0)))["d/l"]
    assert got.target == "../inner"


@pytest.mark.parametrize(
    ("path", "offset", "form", "value", "message"),
    [
        ("d/f", 8, "Q", 1 << 62, "is more than UFS can hold"),
        ("d/f", 40, "i", 1 << 20, "block 0 at fragment 1,048,576"),
        ("d/f", 40, "i", -5, "block 0 at fragment -5"),
        ("d/f", 40, "i", 5, "block 0 at fragment 5"),
        ("d/f", 88, "i", 1 << 20, "a block of addresses at fragment 1,048,576"),
        ("d/f", 0, "H", 0o130644, "of no known type"),
        ("d/f", 0, "H", 0, "is free, but has a name"),
        ("d/l", 8, "Q", 0, "a symbolic link of 0 bytes"),
        ("d/l", 8, "Q", 5000, "a symbolic link of 5,000 bytes"),
        ("d/l", 8, "Q", 3, "with a NUL"),
        ("d/e", 8, "Q", 100, "a directory of 100 bytes"),
        ("d/e", 8, "Q", 1 << 40, "more than is left of the image"),
        ("d/small", 0, "H", 0o40755, "a directory of 5,000 bytes"),
    ],
)
def test_damaged_inodes_are_refused(sample, path, offset, form, value, message):
    plan, image = sample
    with pytest.raises(FormatError, match=rf"^x\.ufs!/{path}: ") as failure:
        ufs.read(patched(image, (inode_at(plan, path) + offset, form, value)))
    assert message in str(failure.value)


def entry_at(plan, image, path):
    parent, _, name = path.rpartition("/")
    start = next(node for node in plan.nodes if node.entry.path == parent).data[0][0] * KIB
    return image.read().index(struct.pack("<H", len(name)) + name.encode() + b"\0", start) - 6


@pytest.mark.parametrize(
    ("path", "number", "message"),
    [
        ("d/small", "d", "is a directory with two names"),
        ("d/small", "", "is a directory with two names"),
        ("d/small", "d/e", "is a directory with two names"),
        ("d/small", 999_999, "inode 999,999 of"),
        ("d/small", 1, "inode 1 of"),
        ("d/small", 400, "is free"),
    ],
)
def test_damaged_directories_are_refused(sample, path, number, message):
    plan, image = sample
    value = plan.numbers[number] if isinstance(number, str) else number
    with pytest.raises(FormatError, match=message):
        ufs.read(patched(image, (entry_at(plan, image, path), "I", value)))


def test_a_name_twice_is_refused(sample):
    plan, image = sample
    with pytest.raises(FormatError, match=r"x\.ufs!/d/c: damaged UFS: the directory has this name twice"):
        ufs.read(patched(image, (entry_at(plan, image, "d/l") + 8, "c", b"c")))


def test_shared_blocks_of_addresses_cost_no_more_than_the_image():
    """Thousands of inodes that lead to the same addresses would otherwise make lists larger than memory."""
    tree = Tree.of([File(path="f", content=Composite(4 << 20, []))])
    tree.add(Directory(path="d"))
    for index in range(400):
        tree.add(File(path=f"d/{index}", content=Bytes(b"")))
    plan = ufs.plan(tree, 8192 * KIB, time=TIME)
    data = bytearray(plan.content().read())
    inode = data[inode_at(plan, "f") :][:128]
    for index in range(400):
        at = inode_at(plan, f"d/{index}")
        data[at : at + 128] = inode
    with pytest.raises(FormatError, match="some have two owners"):
        ufs.read(Bytes(bytes(data)))


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_random_damage_gives_a_tree_or_a_clear_error(sample, data):
    _, image = sample
    places = [(SB, 1380), (28 * KIB, 20 * 128), (80 * KIB, 16 * KIB)]
    raw = bytearray(image.read())
    for _ in range(data.draw(st.integers(1, 4))):
        start, length = data.draw(st.sampled_from(places))
        at = start + data.draw(st.integers(0, length - 4))
        raw[at : at + 4] = data.draw(st.one_of(st.binary(min_size=4, max_size=4), st.just(bytes(4)), st.just(b"\xff" * 4)))
    try:
        tree = ufs.read(Bytes(bytes(raw), "x.ufs"))
    except FormatError as error:
        assert str(error).startswith("x.ufs")
        return
    for file in tree.files():
        file.content.read(0, min(file.content.size, 1 << 16))
