"""The checker finds what is wrong: damage of many kinds is planted, and each kind has to be seen for what it is."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.content import Bytes, Composite
from imagekit.formats import ufs
from imagekit.tree import Directory, File, HardLink, Special, Symlink, Tree
from kit import ufs_check

TIME = 1600000000


def make_tree():
    tree = Tree()
    tree.add(Directory(path="d", uid=70000, gid=65535))
    for index in range(40):
        tree.add(File(path=f"d/file-with-a-long-name-{index:02}", content=Bytes(b"x" * (index * 100))))
    tree.add(Directory(path="d/sub"))
    tree.add(Directory(path="d/sub/deeper"))
    tree.add(Directory(path="e"))
    tree.add(File(path="e/double", content=Composite(4_400_000, [(0, Bytes(b"begin")), (4_399_997, Bytes(b"end"))])))
    tree.add(File(path="e/single", content=Bytes(bytes(range(256)) * 250)))
    tree.add(File(path="e/tail", content=Bytes(b"t" * 5000)))
    tree.add(File(path="e/two", content=Bytes(b"2" * 8192)))
    tree.add(File(path="e/empty", content=Bytes(b"")))
    tree.add(HardLink(path="e/again", target="e/tail"))
    tree.add(Symlink(path="e/link", target="tail"))
    tree.add(Special(path="e/console", type="c", major=5, minor=1))
    tree.add(Special(path="e/disk", type="b", major=300, minor=100000))
    tree.add(Special(path="e/fifo", type="p"))
    return tree


class Image:
    """An image with names for its places."""

    def __init__(self, data, plan):
        self.data = data
        self.plan = plan
        self.g = plan.geometry

    def put(self, at, form, *values):
        struct.pack_into("<" + form, self.data, at, *values)

    def get(self, at, form="i"):
        return struct.unpack_from("<" + form, self.data, at)[0]

    def superblock(self, name, value, form="i"):
        """Set a field in the primary superblock and in every copy."""
        offset = name if isinstance(name, int) else ufs_check.FIELDS[name]
        for start in (8192, *(self.fragment(c * self.g.fpg + self.g.sblkno) for c in range(self.g.ncg))):
            self.put(start + offset, form, value)

    def fragment(self, address):
        return address * self.g.fsize

    def group(self, index=0):
        return self.fragment(index * self.g.fpg + self.g.cblkno)

    def number(self, path):
        return self.plan.placement.numbers[path]

    def inode(self, path):
        return self.numbered(self.number(path))

    def numbered(self, number):
        """Return the byte at which an inode stands."""
        group, index = divmod(number, self.g.ipg)
        return self.fragment(group * self.g.fpg + self.g.iblkno) + index * 128

    def entry(self, path):
        """Return the byte at which the directory entry of a path stands."""
        parent, _, name = path.rpartition("/")
        start = self.fragment(next(n for n in self.plan.placement.nodes if n.entry.path == parent).data[0][0])
        return self.data.index(struct.pack("<H", len(name)) + name.encode() + b"\0", start) - 6

    def free_inode(self):
        return self.numbered(self.g.ipg - 1)

    def free_fragment(self):
        """Return the first fragment of the last free block."""
        return self.plan.placement.free.rindex((1 << self.g.frag) - 1) * self.g.frag


@pytest.fixture(scope="module")
def pristine():
    plan = ufs.plan(make_tree(), 10240 * 1024, time=TIME, bytes_per_inode=12248)
    return bytes(plan.content().read()), plan


@pytest.fixture(scope="module")
def small():
    plan = ufs.plan(make_tree(), 5500 * 1024, time=TIME, bytes_per_inode=12248)
    return bytes(plan.content().read()), plan


def test_pristine_image_is_clean(pristine):
    image, plan = pristine
    assert plan.geometry.ncg > 2
    assert ufs_check.check(image) == []


DAMAGE: list[tuple[str, str, Callable[[Image], object]]] = []


def damage(code: str):
    def add(function):
        DAMAGE.append((function.__name__, code, function))
        return function

    return add


def simple(name: str, code: str, function: Callable[[Image], object]) -> None:
    DAMAGE.append((name, code, function))


# --- superblock
for field in sorted(set(ufs_check.FIELDS) - {
    "magic", "time", "state", "minfree", "optim", "bsize", "fsize", "frag", "cpg", "ipg", "spc",
    "ndir", "nbfree", "nifree", "nffree",
}):  # fmt: skip
    simple(f"fs_{field}", "superblock", lambda i, f=field: i.superblock(f, i.get(8192 + ufs_check.FIELDS[f]) + 1))
for field in ("ndir", "nbfree", "nifree", "nffree"):
    simple(f"fs_cstotal_{field}", "totals", lambda i, f=field: i.superblock(f, i.get(8192 + ufs_check.FIELDS[f]) + 1))
simple("magic", "magic", lambda i: i.superblock("magic", 0x011955))
simple("frag", "sizes", lambda i: i.superblock("frag", 8))
simple("block_size", "sizes", lambda i: i.superblock("bsize", 16384))
simple("inodes_per_group", "groups", lambda i: i.superblock("ipg", i.g.ipg + 1))
simple("sectors_per_cylinder", "groups", lambda i: i.superblock("spc", i.g.nsect + 1))
simple("time_without_state", "state", lambda i: i.superblock("time", TIME + 1))
simple("active", "clean", lambda i: i.superblock(209, 0, "B"))
simple("optimise_for_beauty", "superblock", lambda i: i.superblock("optim", 2))
simple("more_than_all_kept_free", "superblock", lambda i: i.superblock("minfree", 100))
simple("large_files_without_any", "flags", lambda i: i.superblock(211, 1, "B"))
simple("memory_pointers", "superblock", lambda i: i.superblock(728, 1))
simple("copy_in_first_group", "copy", lambda i: i.put(i.fragment(i.g.sblkno) + 300, "B", 1))
simple("copy_in_middle_group", "copy", lambda i: i.put(i.fragment(i.g.fpg + i.g.sblkno) + 36, "i", 1))
simple("boot_area", "boot area", lambda i: i.put(100, "B", 1))
# --- groups
simple("group_magic", "group header", lambda i: i.put(i.group() + 4, "i", 0x090256))
simple("group_number", "group header", lambda i: i.put(i.group(1) + 12, "i", 0))
simple("group_cylinders", "group header", lambda i: i.put(i.group(2) + 16, "h", i.g.cpg))
simple("group_inodes", "group header", lambda i: i.put(i.group(1) + 18, "h", 1))
simple("group_fragments", "group header", lambda i: i.put(i.group(2) + 20, "i", i.g.fpg))
simple("group_rotor", "group header", lambda i: i.put(i.group(1) + 40, "i", i.g.fpg))
simple("group_inode_rotor", "group header", lambda i: i.put(i.group(1) + 48, "i", -1))
simple("group_link", "group header", lambda i: i.put(i.group(1), "I", 1))
simple("group_table_offset", "group header", lambda i: i.put(i.group() + 92, "i", 240))
simple("group_directories", "group sums", lambda i: i.put(i.group() + 24, "i", 1))
simple("group_free_blocks", "group sums", lambda i: i.put(i.group(1) + 28, "i", 1))
simple("group_free_runs", "free runs", lambda i: i.put(i.group() + 56, "i", 77))
simple("group_zero_runs", "free runs", lambda i: i.put(i.group() + 52, "i", 1))
simple("cylinder_table", "cylinders", lambda i: i.put(i.group(1) + 168, "i", 1))
simple("position_table", "positions", lambda i: i.put(i.group(1) + 168 + 4 * i.g.cpg, "h", 1))
simple("inode_marked_free", "inode map", lambda i: i.put(i.group() + 168 + 20 * i.g.cpg, "B", 0xF7))
simple("free_inode_marked", "inode map", lambda i: i.put(i.group(2) + 168 + 20 * i.g.cpg + 3, "B", 0x10))
simple("reserved_inode_marked_free", "inode map", lambda i: i.put(i.group() + 168 + 20 * i.g.cpg, "B", 0xFD))
simple("group_padding", "group padding", lambda i: i.put(i.group(1) + 4000, "B", 1))
simple("group_spares", "group padding", lambda i: i.put(i.group(1) + 104, "i", 1))
simple("summary_record", "summary", lambda i: i.put(i.fragment(i.g.csaddr) + 16 + 8, "i", 1))
simple("summary_padding", "summary", lambda i: i.put(i.fragment(i.g.csaddr) + 16 * i.g.ncg, "i", 1))


def fragment_map(i: Image, group: int) -> int:
    return i.group(group) + 168 + 20 * i.g.cpg + -(-i.g.ipg // 8)


@damage("fragment map")
def used_fragment_marked_free(i):
    at = fragment_map(i, 0) + 80 // 8  # lost+found
    i.put(at, "B", i.data[at] | 1)


@damage("fragment map")
def free_fragment_marked_used(i):
    free = i.free_fragment()
    group, index = divmod(free, i.g.fpg)
    at = fragment_map(i, group) + index // 8
    i.put(at, "B", i.data[at] & ~(1 << index % 8))


@damage("fragment map")
def fragments_after_the_end_marked_free(i):
    i.put(fragment_map(i, i.g.ncg - 1) + i.g.group_size(i.g.ncg - 1) // 8 + 1, "B", 0x80)


# --- inodes
simple("free_inode_with_size", "free inode", lambda i: i.put(i.free_inode() + 8, "Q", 1))
simple("free_inode_with_address", "free inode", lambda i: i.put(i.free_inode() + 40, "i", 1000))
simple("free_inode_with_links", "free inode", lambda i: i.put(i.free_inode() + 2, "h", 1))
simple("reserved_inode", "reserved inode", lambda i: i.put(i.numbered(1), "HH", 0o100644, 1))
simple("unknown_type", "type", lambda i: i.put(i.inode("e/tail"), "H", 0o170644))
simple("no_links", "links", lambda i: i.put(i.inode("e/empty") + 2, "h", 0))
simple("link_too_many", "links", lambda i: i.put(i.inode("e/tail") + 2, "h", 3))
simple("directory_link_too_few", "links", lambda i: i.put(i.inode("d") + 2, "h", 2))
simple("owner", "owner", lambda i: i.put(i.inode("e/tail") + 116, "I", 5))
simple("large_owner", "owner", lambda i: i.put(i.inode("d") + 4, "H", 70000 & 0xFFFF))
simple("microseconds", "time", lambda i: i.put(i.inode("e/tail") + 28, "i", 1_000_000))
simple("inode_flags", "inode flags", lambda i: i.put(i.inode("e/tail") + 100, "i", 2))
simple("acl", "inode flags", lambda i: i.put(i.inode("e/tail") + 112, "i", 5))
simple("attributes", "inode flags", lambda i: i.put(i.inode("e/tail") + 124, "i", 5))
simple("device_in_wrong_slot", "special", lambda i: i.put(i.inode("e/console") + 40, "2i", 1281, 0))
simple("device_with_size", "special", lambda i: i.put(i.inode("e/console") + 8, "Q", 512))
simple("fifo_with_device", "special", lambda i: i.put(i.inode("e/fifo") + 44, "i", 5))
simple("empty_link", "link", lambda i: i.put(i.inode("e/link") + 8, "Q", 0))
simple("link_with_nul", "link", lambda i: i.put(i.inode("e/link") + 8, "Q", 5))
simple("inline_link", "range", lambda i: i.put(i.inode("e/link") + 40, "4s", b"tail"))
simple("grown_file", "hole", lambda i: i.put(i.inode("e/two") + 8, "Q", 8193))
simple("shrunk_file", "past end", lambda i: i.put(i.inode("e/two") + 8, "Q", 4096))
simple("shrunk_long_file", "past end", lambda i: i.put(i.inode("e/single") + 8, "Q", 49152))
simple("absurd_size", "size", lambda i: i.put(i.inode("e/two") + 8, "Q", 1 << 62))
simple("blocks_held", "blocks", lambda i: i.put(i.inode("e/tail") + 104, "i", 4))
simple("address_outside", "range", lambda i: i.put(i.inode("e/two") + 40, "i", i.g.size))
simple("address_negative", "range", lambda i: i.put(i.inode("e/two") + 40, "i", -400))
simple("address_in_inode_table", "metadata", lambda i: i.put(i.inode("e/two") + 40, "i", i.g.fpg + i.g.iblkno))
simple("address_in_summary", "metadata", lambda i: i.put(i.inode("e/tail") + 44, "i", i.g.csaddr))
simple("two_owners", "double", lambda i: i.put(i.inode("e/two") + 40, "i", i.get(i.inode("e/single") + 40)))
simple("unaligned_block", "crossing", lambda i: i.put(i.inode("e/two") + 40, "i", i.free_fragment() + 1))
simple("hole", "hole", lambda i: i.put(i.inode("e/two") + 44, "i", 0))
simple("no_single_indirect", "hole", lambda i: i.put(i.inode("e/single") + 88, "i", 0))
simple("no_double_indirect", "hole", lambda i: i.put(i.inode("e/double") + 92, "i", 0))
simple("needless_triple", "past end", lambda i: i.put(i.inode("e/single") + 96, "i", i.free_fragment()))
simple("indirect_outside", "range", lambda i: i.put(i.inode("e/single") + 88, "i", i.g.size + 4))
simple(
    "address_after_end", "past end",
    lambda i: i.put(i.fragment(i.get(i.inode("e/single") + 88)) + 4000, "i", i.free_fragment()),
)  # fmt: skip
simple(
    "double_indirect_two_owners", "double",
    lambda i: i.put(i.fragment(i.get(i.inode("e/double") + 92)), "i", i.get(i.inode("e/double") + 88)),
)  # fmt: skip
simple("garbage_after_end", "tail", lambda i: i.put(i.fragment(i.get(i.inode("e/tail") + 44)) + 1000, "B", 1))
simple("garbage_after_link", "tail", lambda i: i.put(i.fragment(i.get(i.inode("e/link") + 40)) + 4, "B", 1))
# --- directories
simple("record_of_zero", "chain", lambda i: i.put(i.entry("e/tail") + 4, "H", 0))
simple("record_unaligned", "chain", lambda i: i.put(i.entry("e/tail") + 4, "H", 18))
simple("record_over_chunk", "chain", lambda i: i.put(i.entry("e/tail") + 4, "H", 600))
simple("name_longer_than_record", "chain", lambda i: i.put(i.entry("e/tail") + 6, "H", 40))
simple("name_with_slash", "name", lambda i: i.put(i.entry("e/tail") + 9, "c", b"/"))
simple("name_with_nul", "name", lambda i: i.put(i.entry("e/tail") + 9, "B", 0))
simple("name_empty", "name", lambda i: i.put(i.entry("e/tail") + 6, "H", 0))
simple("name_without_nul", "padding", lambda i: i.put(i.entry("e/tail") + 12, "c", b"x"))
simple("name_twice", "names", lambda i: i.put(i.entry("e/disk") + 8, "4s", b"fifo"))
simple("entry_to_free_inode", "dangling", lambda i: i.put(i.entry("e/tail"), "I", i.g.ipg - 1))
simple("entry_to_no_inode", "dangling", lambda i: i.put(i.entry("e/tail"), "I", i.g.inodes + 5))
simple("entry_to_another", "links", lambda i: i.put(i.entry("e/tail"), "I", i.number("e/two")))
simple("entry_gone", "unreferenced", lambda i: i.put(i.entry("e/empty"), "I", 0))
simple("directory_entry_gone", "unreachable", lambda i: i.put(i.entry("d/sub"), "I", 0))
simple("directory_with_two_names", "two parents", lambda i: i.put(i.entry("e/tail"), "I", i.number("d/sub")))
simple("directory_made_file", "links", lambda i: i.put(i.inode("d/sub/deeper"), "H", 0o100755))
simple("file_made_directory", "directory size", lambda i: i.put(i.inode("e/tail"), "H", 0o40755))
simple("directory_size", "directory size", lambda i: i.put(i.inode("e") + 8, "Q", 500))
simple("directory_empty", "directory size", lambda i: i.put(i.inode("d/sub/deeper") + 8, "Q", 0))
simple("directory_with_hole", "hole", lambda i: i.put(i.inode("e") + 40, "i", 0))
simple("root_made_file", "root", lambda i: i.put(i.numbered(2), "H", 0o100755))
simple("lost_found_renamed", "lost+found", lambda i: i.put(i.entry("lost+found") + 8, "c", b"L"))
simple("lost_found_short", "lost+found", lambda i: i.put(i.inode("lost+found") + 8, "Q", 512))


def folder(i: Image, path: str) -> int:
    return i.fragment(i.get(i.inode(path) + 40))


@damage("unreachable")
def directory_below_itself(i):
    i.put(i.entry("d/sub"), "I", i.number("d"))
    i.put(i.entry("d"), "I", 0)


simple("dot_of_another", "dots", lambda i: i.put(folder(i, "e"), "I", i.number("d")))
simple("dot_renamed", "dots", lambda i: i.put(folder(i, "e") + 8, "c", b"x"))
simple("dot_dot_second_only", "dots", lambda i: i.put(folder(i, "d/sub/deeper") + 4, "H", 16))
simple("dot_dot_of_another", "parent", lambda i: i.put(folder(i, "d/sub") + 12, "I", i.number("e")))
simple("dot_dot_of_root", "parent", lambda i: i.put(folder(i, "") + 12, "I", i.number("e")))
simple("unused_chunk_with_name", "unused entry", lambda i: i.put(folder(i, "lost+found") + 512 + 6, "H", 4))
simple("free_space", "free space", lambda i: i.put(i.fragment(i.free_fragment()), "B", 1))
simple("after_the_end", "free space", lambda i: i.put(len(i.data) - 1, "B", 1))


@pytest.mark.parametrize(("code", "plant"), [row[1:] for row in DAMAGE], ids=[row[0] for row in DAMAGE])
def test_damage_is_found(pristine, code, plant):
    image = Image(bytearray(pristine[0]), pristine[1])
    plant(image)
    found = ufs_check.check(image.data)
    assert any(finding.startswith(f"{code}:") for finding in found), found


@pytest.mark.parametrize("size", [1, 7, 8, 12, 412, 500, 511, 513, 1000])
@pytest.mark.parametrize("path", ["", "d", "e", "d/sub/deeper", "lost+found"])
def test_directories_of_odd_sizes_are_findings(pristine, path, size):
    image = Image(bytearray(pristine[0]), pristine[1])
    image.put((image.inode(path) if path else image.numbered(2)) + 8, "Q", size)
    found = ufs_check.check(image.data)
    assert any(finding.startswith("directory size:") for finding in found), found


@pytest.mark.parametrize("length", [0, 8191, 9571, 9572, 20000, 1 << 20])
def test_images_that_are_cut_short_are_findings(pristine, length):
    assert ufs_check.check(pristine[0][:length])


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_whatever_is_damaged_the_checker_does_not_raise(small, data):
    """Numbers in tables, inodes, addresses and directories are replaced by those that most often matter."""
    image = Image(bytearray(small[0]), small[1])
    g = image.g
    nodes = image.plan.placement.nodes
    places = [(8192, 1380), (image.group(), g.cgsize), (image.fragment(g.csaddr), g.fsize)]
    places += [(image.numbered(node.number), 128) for node in nodes]
    places += [
        (image.fragment(first), count * g.fsize)
        for node in nodes
        for first, count in node.indirect or (node.data if isinstance(node.entry, Directory) else ())
    ]
    for _ in range(data.draw(st.integers(1, 3))):
        start, length = data.draw(st.sampled_from(places))
        at = start + data.draw(st.integers(0, (length - 8) // 2)) * 2
        number = data.draw(st.sampled_from([0, 1, 2, 7, 12, 412, 511, 512, 513, 4095, 1 << 20, (1 << 31) - 1, -1]))
        form = "HIQ"[data.draw(st.integers(0, 2))]
        image.put(at, form, number % (1 << 8 * struct.calcsize(form)))
    assert isinstance(ufs_check.check(image.data), list)


def test_there_are_many_kinds_of_damage():
    assert len({name for name, _, _ in DAMAGE}) == len(DAMAGE)
    assert len({code for _, code, _ in DAMAGE}) > 40
