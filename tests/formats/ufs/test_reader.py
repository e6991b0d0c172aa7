"""Reading UFS images: what newfs of other systems may make, and what damaged or hostile images do."""

import struct
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.content import Bytes, Composite, DiskFile, Slice
from imagekit.errors import FormatError
from imagekit.formats import table, ufs
from imagekit.tree import Directory, File, HardLink, Special, Symlink, Tree

TIME = 1600000000
KIB = 1024
SB = 8192


def content(size, seed=0):
    return Bytes(bytes((seed + index) % 251 + 1 for index in range(size)))


def image_of(tree, size=4096 * KIB):
    return Bytes(ufs.plan(tree, size, time=TIME, bytes_per_inode=12248).content().read(), "x.ufs")


def inode_at(plan, path):
    """Return the byte at which the inode of a path stands."""
    g = plan.geometry
    group, index = divmod(plan.placement.numbers[path], g.ipg)
    return (group * g.fpg + g.iblkno) * g.fsize + index * 128


def patched(image, *patches):
    data = bytearray(image.read())
    for at, form, *values in patches:
        struct.pack_into("<" + form, data, at, *values)
    return Bytes(bytes(data), "x.ufs")


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


def test_every_ufs_is_known_by_its_magic_number():
    image = image_of(Tree())
    assert ufs.is_ufs(image)
    for magic in (0x54190100, 0xDECADE, 0xDECADE00):
        assert ufs.is_ufs(patched(image, (SB + 1372, "I", magic)))
    assert not ufs.is_ufs(patched(image, (SB + 1372, "I", 1)))
    assert not ufs.is_ufs(Bytes(b"gzip"))


@pytest.mark.parametrize(
    ("order", "options", "kind"),
    [
        ("le", "version=1", "a little-endian UFS of 4.4BSD"),
        ("be", "version=1", "a big-endian UFS of 4.4BSD"),
        ("le", "version=1,bsize=4096,fsize=512,minfree=0", "a little-endian UFS of 4.4BSD"),
        ("le", "version=1,bsize=32768,fsize=4096", "a little-endian UFS of 4.4BSD"),
        ("le", "version=2", "a UFS2"),
        ("be", "version=2", "a UFS2"),
    ],
)
def test_intact_file_systems_of_bsd_are_refused_for_what_they_are(need, tmp_path, order, options, kind):
    need("makefs")
    (tmp_path / "d").mkdir()
    (tmp_path / "d/file").write_text("text")
    image = tmp_path / "x.ffs"
    words = ["makefs", "-t", "ffs", "-B", order, "-o", options, "-s", "4m", image, tmp_path / "d"]
    subprocess.run(words, check=True, capture_output=True)
    assert table.name_of(DiskFile(image)) == "ufs"
    for read in (ufs.read, table.open_tree):
        with pytest.raises(FormatError, match=rf"x\.ffs: {kind}.*, which imagekit does not read$"):
            read(DiskFile(image))


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize(("inode_format", "system"), [(2, "4.4BSD"), (-1, "4.3BSD")])
def test_inode_formats_of_bsd(order, inode_format, system):
    data = bytearray(1 << 20)
    struct.pack_into(f"{order}2i", data, SB + 48, 8192, 1024)
    struct.pack_into(f"{order}i", data, SB + 1324, inode_format)
    struct.pack_into(f"{order}2Q", data, SB + 1336, 8191, 1023)
    struct.pack_into(f"{order}I", data, SB + 1372, 0x011954)
    with pytest.raises(FormatError, match=f"-endian UFS of {system}"):
        ufs.read(Bytes(bytes(data)))


@pytest.mark.parametrize("offset", [8192, 65536, 262144])
def test_ufs2_at_each_place(offset):
    data = bytearray(offset + 1380)
    assert not ufs.is_ufs(Bytes(bytes(data)))
    struct.pack_into("<I", data, offset + 1372, 0x19540119)
    assert ufs.is_ufs(Bytes(bytes(data)))
    assert not ufs.is_ufs(Bytes(bytes(data[:-1])))
    with pytest.raises(FormatError, match="a UFS2"):
        ufs.read(Bytes(bytes(data)))


@pytest.mark.parametrize("clean", [0, 1, 2, 0xFF])
def test_a_log_that_is_not_in_use_is_no_hindrance(clean):
    """Only FSLOG says that what is in the log counts: fs_logbno and fs_rolled stay when logging ends."""
    for rolled in (0, 2):
        image = patched(image_of(Tree()), (SB + 1324, "i", 500), (SB + 4, "I", rolled), (SB + 209, "B", clean))
        assert [entry.path for entry in ufs.read(image)] == ["", "lost+found"]


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
    tree = Tree.of(
        [Directory(path="d")] + [File(path=f"d/{index}", content=content(9000, index)) for index in range(20)]
    )
    plan = ufs.plan(tree, 8192 * KIB, time=TIME)
    data = bytearray(plan.content().read())
    g = plan.geometry
    struct.pack_into("<ii", data, SB + 24, 100, -4)  # cgoffset, cgmask: group 1 moves by 100 fragments
    assert g.ncg == 2
    table = (g.fpg + g.iblkno) * KIB  # of group 1
    moved = table + 100 * KIB
    inode, folder = inode_at(plan, "d/7"), plan.placement.nodes[2].data[0][0] * KIB
    data[moved + 128 : moved + 256] = data[inode : inode + 128]
    entry = data.index(b"\1\0" + b"7\0", folder) - 6
    struct.pack_into("<I", data, entry, g.ipg + 1)
    got = ufs.read(Bytes(bytes(data)))
    assert {file.path: file.content.read() for file in got.files()} == {
        file.path: file.content.read() for file in tree.files()
    }


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
    start = next(node for node in plan.placement.nodes if node.entry.path == parent).data[0][0] * KIB
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
    value = plan.placement.numbers[number] if isinstance(number, str) else number
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
        raw[at : at + 4] = data.draw(
            st.one_of(st.binary(min_size=4, max_size=4), st.just(bytes(4)), st.just(b"\xff" * 4))
        )
    try:
        tree = ufs.read(Bytes(bytes(raw), "x.ufs"))
    except FormatError as error:
        message = str(error)
        assert message.startswith("x.ufs")
        return
    for file in tree.files():
        file.content.read(0, min(file.content.size, 1 << 16))
