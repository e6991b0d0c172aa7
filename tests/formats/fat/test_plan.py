"""Planning and making FAT file systems, without foreign tools."""

import itertools
import json
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.content import Bytes, Composite
from imagekit.errors import PlanError
from imagekit.formats import fat
from imagekit.formats.fat import names
from imagekit.formats.fat.geometry import Geometry
from imagekit.tree import Directory, File, HardLink, Special, Symlink, Tree

MIB = 1 << 20
NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40).filter(
    lambda name: not names.fault(name) and name not in {".", ".."} and "\0" not in name
)
ORDINARY = st.text("aAbBzZ019 .-_~+", min_size=1, max_size=30).filter(lambda name: not names.fault(name))


def tree_of(files, mtime=1700000000):
    tree = Tree(Directory(path="", mtime=mtime))
    for path, data in files.items():
        tree.add_parents(path, mtime=mtime)
        tree.add(File(path=path, content=Bytes(data), mtime=mtime))
    return tree


def planned(tree, size=40 * MIB, **options):
    return fat.plan(tree, size, **{"label": "TEST", "volume_id": 0x1234ABCD, **options})


def listing(tree):
    """Return what FAT keeps of a Tree, the root's time included."""
    result = {}
    for entry in tree:
        time = min(max(entry.mtime, names.EARLIEST), names.LATEST)
        data = entry.content.read() if isinstance(entry, File) else None
        result[entry.path] = (entry.KIND, time - time % 2, data)
    return result


@st.composite
def trees(draw):
    tree = Tree(Directory(path="", mtime=draw(st.integers(0, 1 << 33))))
    directories, taken = [""], {""}
    for name in draw(st.lists(st.one_of(NAMES, ORDINARY), max_size=25)):
        parent = draw(st.sampled_from(directories))
        path = f"{parent}/{name}" if parent else name
        if (key := f"{parent}/{names.folded(name)}") in taken:
            continue
        taken.add(key)
        mtime = draw(st.integers(0, 1 << 33))
        if draw(st.booleans()):
            tree.add(Directory(path=path, mtime=mtime))
            directories.append(path)
        else:
            size = draw(st.sampled_from([0, 1, 511, 512, 513, 5000]))
            tree.add(File(path=path, mtime=mtime, content=Bytes(name.encode()[:1] * size)))
    return tree


@given(
    trees(), st.sampled_from([12, 16, 32]), st.sampled_from([None, 512, 2048, 32768]), st.integers(0, 0xFFFFFFFF),
    st.sampled_from([0, 0, 5_000, 1 << 20])
)  # fmt: skip
@settings(deadline=None, max_examples=150)
def test_round_trip(tree, kind, cluster_size, volume_id, spare):
    size = fat.minimum_size(tree, kind=kind, cluster_size=cluster_size, spare=spare)
    plan = planned(tree, size, kind=kind, cluster_size=cluster_size, volume_id=volume_id, hidden_sectors=63)
    volume = fat.read_volume(plan.content())
    assert listing(volume.tree) == listing(tree)
    assert (volume.kind, volume.label, volume.volume_id, volume.clean) == (f"FAT{kind}", "TEST", volume_id, True)
    assert volume.boot == plan.boot
    assert volume.used_clusters == plan.placement.used_clusters
    assert plan.placement.free_clusters * plan.geometry.cluster_size >= spare
    assert cluster_size in {None, plan.geometry.cluster_size}


@given(
    st.sampled_from([12, 16, 32]),
    st.integers(1, 1 << 40),
    st.sampled_from([512, 1024, 2048, 4096, 8192, 16384, 32768]),
    st.integers(1, 4095),
)
@settings(max_examples=400)
def test_the_tables_are_long_enough_and_not_too_long(kind, size, cluster_size, root_sectors):
    most = {12: 4085, 16: 65525, 32: 1 << 28}[kind] * cluster_size
    geometry = Geometry.filling(kind, size % most, cluster_size, 0 if kind == 32 else root_sectors * 16)
    if geometry.cluster_count < (65525 if kind == 32 else 1):
        return
    entries = geometry.fat_sectors * 512 * 8 // kind
    boundary = max(geometry.sectors_per_cluster, 8) if kind == 32 else 1
    assert entries >= geometry.cluster_count + 2
    # One sector more may be needed to keep the last cluster out.
    assert geometry.fat_sectors - -(-(geometry.cluster_count + 2) * kind // 4096) <= max(boundary // 2, 1)
    assert geometry.data_sector % boundary == 0
    end = geometry.data_sector + (geometry.cluster_count + 1) * geometry.sectors_per_cluster
    assert end > geometry.sector_count >= end - geometry.sectors_per_cluster


def test_boot_sector_byte_by_byte():
    image = planned(tree_of({}), 256 * MIB, label="SMARTOSBOOT", hidden_sectors=2048).content()
    sector = image.read(0, 512)
    assert sector[:11] == b"\xeb\x58\x90IMAGEKIT"
    # bytes/sector, sectors/cluster, reserved, tables, -, -, media, -, sectors/track, heads, hidden, sectors
    assert struct.unpack_from("<HBHBHHBHHHLL", sector, 11) == (512, 1, 32, 2, 0, 0, 0xF8, 0, 63, 255, 2048, 524288)
    # table's sectors, flags, version, root cluster, FSInfo, backup
    assert struct.unpack_from("<LHHLHH", sector, 36) == (4036, 0, 0, 2, 1, 6)
    assert struct.unpack_from("<BBBL11s8s", sector, 64) == (0x80, 0, 0x29, 0x1234ABCD, b"SMARTOSBOOT", b"FAT32   ")
    assert sector[510:] == b"\x55\xaa"
    assert image.read(6 * 512, 1024) == image.read(0, 1024)


def test_fsinfo_and_both_tables():
    tree = tree_of({"a/one": b"x" * 1500, "a/none": b"", "two": b"y"})
    plan = planned(tree)
    image = plan.content()
    info = image.read(512, 512)
    used = 1 + 1 + 3 + 1  # the clusters of the root, of a, one and two
    assert (info[:4], info[484:488], info[508:]) == (b"RRaA", b"rrAa", b"\0\0\x55\xaa")
    assert struct.unpack_from("<LL", info, 488) == (plan.geometry.cluster_count - used, 2 + used)
    length = plan.geometry.fat_sectors * 512
    table = image.read(32 * 512, length)
    assert table == image.read(32 * 512 + length, length)
    end = 0x0FFFFFFF
    # root, a, one (three clusters), two; nothing for the empty file
    assert struct.unpack_from("<9L", table) == (0x0FFFFFF8, end, end, end, 5, 6, end, end, 0)
    assert not any(table[36:])


def test_boot_sector_of_fat12_and_fat16_byte_by_byte():
    for kind, size, expected in [
        # bytes per sector, sectors per cluster, reserved, tables, root records, sectors in 16 bits, media,
        # sectors of a table, sectors per track, heads, hidden, sectors in 32 bits
        (12, 768_000, (512, 1, 1, 2, 16, 1500, 0xF8, 5, 16, 2, 2048, 0)),
        (12, 4 * MIB, (512, 4, 1, 2, 16, 8192, 0xF8, 6, 16, 2, 2048, 0)),
        (16, 32 * MIB - 512, (512, 2, 1, 2, 512, 65535, 0xF8, 128, 63, 255, 2048, 0)),
        (16, 32 * MIB, (512, 2, 1, 2, 512, 0, 0xF8, 128, 63, 255, 2048, 65536)),
        (16, 100 * MIB, (512, 4, 1, 2, 512, 0, 0xF8, 200, 63, 255, 2048, 204800)),
    ]:
        plan = planned(tree_of({}), size, kind=kind, label="", hidden_sectors=2048)
        sector = plan.content().read(0, 512)
        assert sector[:11] == b"\xeb\x3c\x90IMAGEKIT"
        assert struct.unpack_from("<HBHBHHBHHHLL", sector, 11) == expected
        system = b"FAT%d   " % kind
        assert struct.unpack_from("<BBBL11s8s", sector, 36) == (0x80, 0, 0x29, 0x1234ABCD, b"NO NAME    ", system)
        assert sector[62] == 0xCD  # where the jump leads
        assert sector[510:] == b"\x55\xaa"
        assert plan.content().read(512, 3) == b"\xf8\xff\xff"


def test_tables_and_root_of_fat12_and_fat16():
    tree = tree_of({"a/one": b"x" * 1500, "a/none": b"", "two": b"y", "three": b"z"})
    for kind, size, expected in [
        # a, one (three clusters), two, three
        (12, 100 << 10, "f8 ff ff  ff 4f 00  05 f0 ff  ff ff ff"),
        (16, 4 * MIB, "f8 ff ff ff  ff ff  04 00  05 00  ff ff  ff ff  ff ff"),
    ]:
        plan = planned(tree, size, kind=kind)
        geometry, image = plan.geometry, plan.content()
        table = bytes.fromhex(expected)
        length = geometry.fat_sectors * 512
        assert image.read(512, 2 * length) == 2 * table.ljust(length, b"\0")
        root = plan.placement.directories[0]
        records = {12: 16, 16: 512}[kind]
        assert (root.cluster, root.clusters, root.offset, root.size) == (0, 0, 512 + 2 * length, records * 32)
        found = [image.read(root.offset + 32 * number, 12) for number in range(7)]
        # The names in small letters have long ones before them.
        assert found[0::2] == [b"TEST       \x08", b"A          \x10", b"TWO        \x20", b"THREE      \x20"]
        assert geometry.offset(2) == plan.placement.directories[1].offset == root.offset + root.size
        assert image.read(plan.placement.files[0].offset, 1500) == b"x" * 1500
        assert plan.data()["entries"][0]["offset"] == root.offset
        assert plan.data()["format"] == plan.format == f"FAT{kind}"


def test_a_root_grows_by_sectors_and_has_a_limit():
    long = {f"{'n' * 250}{number:05}": b"" for number in range(3119)}  # 21 records each
    for more, count, records in [({}, 1, 16), ({}, 15, 16), ({}, 16, 32), (long, 20, 65520)]:
        tree = tree_of(more | {f"F{number}": b"" for number in range(count)})  # one record each, and the label's
        plan = planned(tree, fat.minimum_size(tree, kind=12), kind=12)
        assert plan.geometry.root_records == records
        assert len(fat.read(plan.content()).children("")) == count + len(more)
    tree.add(File(path="MORE", content=Bytes(b"")))
    for kind in (12, 16):
        with pytest.raises(PlanError, match=rf"65,521 records, that of FAT{kind} has at most 65,520"):
            planned(tree, 8 * MIB, kind=kind)
        with pytest.raises(PlanError, match=f"the tree is too large for FAT{kind}$"):
            fat.minimum_size(tree, kind=kind)
    assert planned(tree, fat.minimum_size(tree, kind=None), kind=None).format == "FAT32"


@pytest.mark.parametrize("offset", range(10))
def test_the_table_can_be_read_from_any_byte(offset):
    table = next(
        piece
        for _, piece in planned(tree_of({"f": bytes(9000), "g": b"1"})).content().pieces()
        if "table" in piece.origin
    )
    whole = table.read()
    for length in range(12):
        assert table.read(offset, length) == whole[offset : offset + length]


def test_dot_entries_lead_to_their_directories():
    plan = planned(tree_of({"a/b/c": b""}))
    image = plan.content()
    a, b = plan.placement.directories[1:]
    dot, up = image.read(b.offset, 32), image.read(b.offset + 32, 32)
    assert (dot[:12], struct.unpack_from("<H", dot, 26)[0]) == (b".          \x10", b.cluster)
    assert (up[:12], struct.unpack_from("<H", up, 26)[0]) == (b"..         \x10", a.cluster)
    assert struct.unpack_from("<H", image.read(a.offset + 32, 32), 26)[0] == 0  # the root, by convention


def test_files_lie_in_the_order_that_is_asked_for():
    tree = tree_of({"z/1": b"1", "platform/unix": b"2", "boot/b": b"3", "boot/a": b"4", "bootx": b"5", "empty": b""})
    order = [file.entry.path for file in planned(tree, first=["boot", "/platform/"]).placement.files]
    assert order == ["boot/b", "boot/a", "platform/unix", "z/1", "bootx", "empty"]
    plan = planned(tree)
    assert [file.entry.path for file in plan.placement.files] == [file.path for file in tree.files()]
    places = [(file.cluster, file.offset, file.clusters) for file in plan.placement.files]
    assert places[-1] == (0, 0, 0)
    assert all(one[1] + one[2] * 512 == two[1] for one, two in itertools.pairwise(places[:-1]))
    for file in plan.placement.files:
        assert plan.content().read(file.offset, file.size) == file.entry.content.read()


def test_a_plan_prints_as_text_and_json():
    plan = planned(tree_of({"boot/loader.conf": b"12345", "empty": b""}))
    data = json.loads(json.dumps(plan.data()))
    assert (data["label"], data["volume_id"], data["cluster_size"]) == ("TEST", "1234abcd", 512)
    by_path = {entry["path"]: entry for entry in data["entries"]}
    assert by_path["boot/loader.conf"]["alias"] == "LOADER~1.CON"
    assert by_path["boot/loader.conf"]["offset"] == data["data"] + 2 * 512
    assert by_path["empty"]["offset"] is None
    lines = list(plan.lines())
    assert "TEST 1234abcd" in lines[0]
    assert lines[-2].endswith("/boot/loader.conf")
    assert len(lines) == 3 + len(data["entries"])


def test_same_tree_same_bytes():
    files = {f"d/Name number {number}": b"%d" % number for number in range(300)}
    one, two = (planned(tree_of(files)).content() for _ in range(2))
    assert list(one.data_ranges()) == list(two.data_ranges())
    assert all(one.read(*piece) == two.read(*piece) for piece in one.data_ranges())


def test_only_what_is_used_is_data():
    ranges = list(planned(tree_of({"f": b"x"}), 1600 * MIB).content().data_ranges())
    assert sum(length for _, length in ranges) < 8192


@pytest.mark.parametrize(
    ("mib", "cluster_size"),
    [(33, 512), (256, 512), (260, 512), (261, 4096), (8192, 4096), (8193, 8192), (65536, 32768)],
)
def test_default_cluster_size_is_always_a_fat32(mib, cluster_size):
    assert fat.default_cluster_size(mib * MIB) == cluster_size
    assert planned(tree_of({}), mib * MIB).geometry.cluster_count >= 65525


@pytest.mark.parametrize(
    ("size", "kind", "cluster_size"),
    [
        (4096, 12, 512),
        (2_048_000, 12, 512),
        (2 * MIB, 12, 1024),
        (8 * MIB, 12, 4096),
        (8 * MIB + 512, 16, 512),
        (33 * MIB, 16, 1024),
        (128 * MIB, 16, 4096),
        (256 * MIB - 512, 16, 8192),
        (256 * MIB, 32, 512),
        (300 * MIB, 32, 4096),
    ],
)
def test_the_size_decides_the_kind(size, kind, cluster_size):
    plan = planned(tree_of({}), size, kind=None)
    assert (plan.format, plan.geometry.cluster_size) == (f"FAT{kind}", cluster_size)
    assert fat.default_cluster_size(size, kind) == cluster_size


@given(st.integers(1, 600_000), st.sampled_from([None, 512, 4096]))
@settings(max_examples=500)
def test_no_kind_is_ever_in_doubt(sectors, cluster_size):
    """Whatever the size, there are never so many clusters that readers might take the kind for another."""
    try:
        plan = planned(Tree(), sectors * 512, kind=None, cluster_size=cluster_size)
    except PlanError as error:
        assert "too few" in str(error)  # noqa: PT017 - there may be no error
        assert cluster_size or sectors < 8
        return
    count = plan.geometry.cluster_count
    assert {12: 1 <= count <= 4068, 16: 4101 <= count <= 65508, 32: count >= 65536}[plan.geometry.kind]
    assert fat.read_volume(plan.content()).kind == plan.format


@given(st.integers(0, 300 * MIB), st.sampled_from([None, 12, 16, 32]), st.sampled_from([0, 0, 100, 70_000]))
@settings(deadline=None, max_examples=300)
def test_minimum_size_is_the_smallest_of_all(size, kind, spare):
    tree = Tree()
    tree.add(File(path="BOOTX64.EFI", content=Huge(size)))
    try:
        smallest = fat.minimum_size(tree, kind=kind, spare=spare)
    except PlanError as error:
        assert str(error) == "the tree is too large for FAT12"  # noqa: PT017 - there may be no error
        assert kind == 12
        assert size > 130_000_000
        return
    plan = planned(tree, smallest, kind=kind)
    unit = 4096 if plan.format == "FAT32" else 2048
    assert smallest % unit == 0
    assert plan.placement.free_clusters * plan.geometry.cluster_size >= spare
    for less in range(1, 40):
        if smallest <= less * unit:
            break
        try:
            smaller = planned(tree, smallest - less * unit, kind=kind)
        except PlanError:
            continue
        assert smaller.placement.free_clusters < -(-spare // smaller.geometry.cluster_size)


def test_a_loader_of_usual_size_takes_little_more_room_than_itself():
    tree = tree_of({"EFI/BOOT/BOOTX64.EFI": bytes(760_000)})
    assert fat.minimum_size(tree, kind=None) == 768_000
    # 5 sectors more: boot sector, root, EFI, BOOT; the tables of 5 sectors; the rest of a CD's sector
    assert 760_000 + 2 * 5 * 512 + 4 * 512 < 768_000 < 760_000 + 2 * 5 * 512 + 4 * 512 + 512 + 2048


def test_minimum_size_is_enough_and_less_is_not():
    files = {f"f{number}": bytes(MIB) for number in range(40)}
    for tree in (tree_of({}), tree_of(files)):
        size = fat.minimum_size(tree)
        assert planned(tree, size).geometry.cluster_count >= 65536
    assert fat.minimum_size() == 34_099_200
    with pytest.raises(PlanError) as error:
        planned(tree_of(files), size - 4096)
    assert str(error.value) == f"does not fit: needs {size:,} bytes, has {size - 4096:,}"
    assert error.value.hint == f"give it at least {size:,} bytes"


class Huge(Bytes):
    """Content of any size that is never read."""

    def __init__(self, size):
        super().__init__(b"")
        self._claimed = size

    @property
    def size(self):
        return self._claimed


@pytest.mark.parametrize("mib", [10, 255, 258, 259, 260, 300, 5000, 8190, 9000, 20000])
def test_minimum_size_goes_with_the_cluster_size_it_leads_to(mib):
    tree = Tree()
    for number in range(0, mib, 1000):
        tree.add(File(path=f"f{number}", content=Huge(min(1000, mib - number) * MIB)))
    size = fat.minimum_size(tree)
    plan = planned(tree, size)
    assert plan.placement.free_clusters * plan.geometry.cluster_size <= max(34 * MIB, size // 50)
    spare = fat.minimum_size(tree, spare=100 * MIB)
    assert planned(tree, spare).placement.free_clusters * planned(tree, spare).geometry.cluster_size >= 100 * MIB


def test_a_volume_can_be_full_to_the_last_cluster():
    empty = planned(Tree(), 34_099_200)
    rest = empty.geometry.cluster_count - 1
    plan = planned(tree_of({"all": bytes(rest * 512)}), 34_099_200)
    assert plan.placement.free_clusters == 0
    assert plan.content().read(512 + 488, 8) == struct.pack("<LL", 0, 0xFFFFFFFF)
    with pytest.raises(PlanError, match="does not fit"):
        planned(tree_of({"all": bytes(rest * 512 + 1)}), 34_099_200)


def test_hard_links_become_copies():
    tree = tree_of({"a/file": b"data"})
    tree.add(HardLink(path="link", target="a/file"))
    back = fat.read(planned(tree).content())
    assert listing(back)["link"] == listing(back)["a/file"] == ("file", 1700000000, b"data")


def test_all_faults_are_reported_together():
    tree = tree_of({"Readme": b"", "README": b"", "a:b": b"", "d/ends.": b"", "n" * 256: b"", "no\udce9": b""})
    tree.add(Symlink(path="sym", target="Readme"))
    tree.add(HardLink(path="hard", target="sym"))
    tree.add(Special(path="pipe", type="p"))
    tree.add(File(path="huge", content=Huge(1 << 32)))
    with pytest.raises(PlanError) as error:
        planned(tree)
    heading, *lines = error.value.what.split("\n")
    assert heading == "9 things in the tree cannot stand on FAT:"
    faults = dict(line.removeprefix("  ").split(": ", 1) for line in lines)
    assert set(faults) == {
        f"/{name}" for name in ("README", "a:b", "d/ends.", "n" * 256, "no\udce9", "sym", "hard", "pipe", "huge")
    }
    assert "differs from 'Readme'" in faults["/README"]
    assert "a symbolic link" in faults["/hard"]
    assert "4,294,967,296 bytes" in faults["/huge"]
    assert faults["/pipe"].endswith(" (leave it out)")


def test_one_fault_keeps_its_place_and_hint():
    tree = tree_of({"f": b""})
    tree.add(Symlink(path="l", target="f"))
    with pytest.raises(PlanError) as error:
        planned(tree)
    assert str(error.value) == "/l: FAT cannot hold a symbolic link"
    assert error.value.hint == "put what it points to in its place"


def test_a_directory_has_at_most_65536_records():
    files = {f"d/{'n' * 240}{number:05}": b"" for number in range(3277)}  # 20 records each, and two
    tree = tree_of(files)
    with pytest.raises(PlanError) as error:
        planned(tree)
    assert error.value.where == "/d"
    assert "65,542 records" in error.value.what
    tree.remove(f"d/{'n' * 240}00000")
    planned(tree)


@pytest.mark.parametrize(
    ("size", "options", "says"),
    [
        (MIB, {}, "1,048,576 bytes are too few for FAT32"),
        (0, {}, "too few"),
        (256 * MIB, {"cluster_size": 4096}, "choose smaller clusters"),
        (40 * MIB + 1, {}, "multiple of 512"),
        (40 * MIB, {"cluster_size": 513}, "513"),
        (40 * MIB, {"cluster_size": 65536}, "65536"),
        (1 << 42, {}, "at most 2,199,023,255,040 bytes"),
        (1 << 40, {"cluster_size": 512}, "larger clusters"),
        (40 * MIB, {"volume_id": 1 << 32}, "volume id"),
        (40 * MIB, {"hidden_sectors": 1 << 32}, "partition start"),
        (40 * MIB, {"label": "lower"}, "'l'"),
        (0, {"kind": 12}, "too few for FAT12: 0 clusters of 512 bytes, at least 1 are needed give it at least 4,096"),
        (2 * MIB, {"kind": 16}, "too few for FAT16"),
        (10 * MIB, {"kind": 16, "cluster_size": 4096}, "choose smaller clusters"),
        (131_072_512, {"kind": 12}, "a FAT12 file system has at most 131,072,000 bytes"),
        (3 << 30, {"kind": 16}, "a FAT16 file system has at most 2,129,920,000 bytes"),
        (4 * MIB, {"kind": 12, "cluster_size": 512}, "FAT12 has at most 4,068 choose larger clusters"),
        (40 * MIB, {"kind": 16, "cluster_size": 512}, "FAT16 has at most 65,508"),
        (2 * MIB + 1, {"kind": None}, "a FAT file system cannot have 2,097,153 bytes"),
    ],
)
def test_what_cannot_be(size, options, says):
    with pytest.raises(PlanError) as error:
        planned(tree_of({}), size, **options)
    assert says in f"{error.value} {error.value.hint}"


def test_the_image_nests_at_an_offset():
    plan = planned(tree_of({"f": b"x"}), hidden_sectors=2048)
    disk = Composite(plan.size + 2 * MIB, [(MIB, plan.content())])
    assert disk.read(MIB, 512) == plan.content().read(0, 512)
