"""The FAT reader against damage: every one is a FormatError that names the place, never a loop or another exception."""

import itertools
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.content import Bytes, Content
from imagekit.errors import FormatError
from imagekit.formats import fat
from imagekit.formats.fat import chains
from imagekit.formats.fat.layout import LONG_RECORD, RECORD
from imagekit.formats.fat.names import long_records
from imagekit.tree import File, Tree

SIZE = 34_099_200
END = 0x0FFFFFFF


class Patched(Content):
    """Another content with some bytes replaced."""

    def __init__(self, base, patches, size=None):
        self._base = base
        self._patches = patches
        self._size = base.size if size is None else size

    @property
    def size(self):
        return self._size

    @property
    def origin(self):
        return "x.img"

    def read_into(self, offset, buffer):
        self._base.read_into(offset, buffer)
        for place, data in self._patches:
            for index, byte in enumerate(data, place - offset):
                if 0 <= index < len(buffer):
                    buffer[index] = byte


def make():
    tree = Tree()
    files = {
        "one": 1500,
        "two": 2000,
        "dir/three": 700,
        "dir/deep/four": 10,
        "none": 0,
        "dir/Long Name Of This.text": 5,
    }
    for path, size in files.items():
        tree.add_parents(path)
        tree.add(File(path=path, content=Bytes(path.encode()[-1:] * size)))
    return fat.plan(tree, SIZE, label="DAMAGE", volume_id=1)


PLAN = make()
IMAGE = PLAN.content("x.img")
AT = {placed.entry.path: placed for placed in PLAN.placement.placed()}
ROOT = PLAN.placement.directories[0].offset
TABLE = PLAN.geometry.fat_offset(0)


def table(cluster, value):
    return (TABLE + 4 * cluster, struct.pack("<L", value))


def record(directory, alias):
    """Return where the directory record with a short name lies."""
    offset = AT[directory].offset
    return offset + IMAGE.read(offset, 512).index(alias)


def first_cluster(path, value):
    alias, directory = AT[path].alias, AT[path].entry.parent
    at = record(directory, alias)
    return [(at + 20, struct.pack("<H", value >> 16)), (at + 26, struct.pack("<H", value & 0xFFFF))]


def size_of(path, value):
    return (record(AT[path].entry.parent, AT[path].alias) + 28, struct.pack("<L", value))


def test_undamaged_and_patched_with_the_same():
    volume = fat.read_volume(Patched(IMAGE, [(0, IMAGE.read(0, 512))]))
    assert [entry.path for entry in volume.tree if isinstance(entry, File)] == [
        "one", "two", "dir/three", "dir/deep/four", "dir/Long Name Of This.text", "none",
    ]  # fmt: skip
    assert volume.tree["dir/three"].content.origin == "x.img!/dir/three"


HEADERS = {
    "no mark": ([(510, b"\0\0")], "ends in '00 00'"),
    "exfat": ([(3, b"EXFAT   "), (11, bytes(53))], "0 bytes per sector.*EXFAT"),
    "sector size": ([(11, b"\x01\x02")], "513 bytes per sector"),
    "cluster size": ([(13, b"\x03")], "3 sectors per cluster"),
    "no cluster size": ([(13, b"\0")], "0 sectors per cluster"),
    "nothing reserved": ([(14, b"\0\0")], "no reserved sectors"),
    "no tables": ([(16, b"\0")], "0 copies"),
    "255 tables": ([(16, b"\xff")], "255 copies"),
    "root records": ([(17, b"\x10\0")], "16 records"),
    "media": ([(21, b"\x01")], "media byte 0x1"),
    "fat16 with 0 root records": ([(22, b"\x40\0")], "0 records"),
    "no sectors": ([(32, bytes(4))], "0 sectors in all"),
    "few sectors": ([(32, b"\x10\0\0\0")], "16 sectors in all"),
    "more sectors than there are": ([(32, b"\x8c\x04\x01\x00")], "has 34,150,400 bytes, but only 34,099,200"),
    "short table": ([(36, b"\x10\0\0\0")], "room for 2,048 entries"),
    "no table": ([(36, bytes(4))], "the table has 0 sectors"),
    "huge table": ([(36, b"\xff\xff\xff\xff")], "data area starts at"),
    "active table": ([(40, b"\x85\0")], "table 5 is the active one of 2"),
    "root cluster 0": ([(44, bytes(4))], "first cluster is number 0"),
    "root cluster far": ([(44, b"\xff\xff\xff\x7f")], "first cluster is number 2,147,483,647"),
}

CHAINS = {
    "root chain free": ([table(2, 0)], "cluster 2 leads to a free one"),
    "root chain circle": ([table(2, 2)], "x.img!/: its chain .* circle"),
    "circle": ([table(AT["two"].cluster + 2, AT["two"].cluster)], "x.img!/two: its chain .* circle"),
    "cross": ([table(AT["two"].cluster, AT["one"].cluster + 1)], "/two: its chain of clusters meets that of /one in"),
    "same start": (first_cluster("two", AT["one"].cluster), "/two: .* meets that of /one"),
    "out of range": ([table(AT["one"].cluster, 0x0FFFFFF0)], "/one: .* number 268,435,440; there are 2 to"),
    "to cluster 1": ([table(AT["one"].cluster, 1)], "/one: .* number 1;"),
    "bad": ([table(AT["one"].cluster, 0x0FFFFFF7)], "/one: .* marked as bad"),
    "free": ([table(AT["one"].cluster + 1, 0)], "/one: .* leads to a free one"),
    "short chain": ([table(AT["one"].cluster, END)], "/one: .* 1,500 bytes, for which it needs 3 .* has 1"),
    "long chain": ([table(AT["one"].cluster + 2, 300), table(300, END)], "/one: .* more than the 3"),
    "starts at the end mark": (first_cluster("one", END), "/one: .* number 268,435,455"),
    "starts nowhere": (first_cluster("one", 0), "/one: the file has 1,500 bytes, but its first cluster is 0"),
    "0 bytes with a cluster": (first_cluster("none", 300), "/none: the file has 0 bytes, but its first cluster is 300"),
    "4 GiB": ([size_of("one", 0xFFFFFFFF)], "/one: .* 4,294,967,295 bytes, for which it needs 8,388,608"),
    "directory at 0": (first_cluster("dir", 0), "/dir: .* number 0;"),
    "directory is its parent": (first_cluster("dir/deep", AT["dir"].cluster), "/dir/deep: .* meets that of /dir "),
    "directory is the root": (first_cluster("dir", 2), "/dir: .* meets that of / in cluster 2"),
    "directory is a file": (first_cluster("dir/deep", AT["dir/three"].cluster), "meets that of"),
}

NAMES = {
    "slash": ([(record("", b"ONE  "), b"A/B")], "x.img!/: no file can have this name: 'A/B"),
    "control": ([(ROOT + 32 + 1, b"\x07\0")], r"'\\x07"),
    "long name with a slash": ([(ROOT + 32 + 1, b"/\0")], "with '/'"),
    "twice": ([(record("", b"TWO  ") - 32, IMAGE.read(record("", b"ONE  ") - 32, 43))], "two entries of this name"),
    "no name": ([(record("", b"ONE  ") - 32, b"\xe5"), (record("", b"ONE  "), b" " * 11)], "has no name"),
}


@pytest.mark.parametrize(("patches", "says"), [*HEADERS.values(), *CHAINS.values(), *NAMES.values()],
                         ids=[*HEADERS, *CHAINS, *NAMES])  # fmt: skip
def test_damage(patches, says):
    with pytest.raises(FormatError, match=says) as error:
        fat.read(Patched(IMAGE, patches))
    assert error.value.where.startswith("x.img")


@pytest.mark.parametrize("size", [0, 1, 511, 512, 100_000, SIZE - 1])
def test_cut_short(size):
    with pytest.raises(FormatError):
        fat.read(Patched(IMAGE, [], size))


def test_a_directory_of_endless_length():
    clusters = range(1000, 1000 + 5000)
    chain = [table(cluster, cluster + 1) for cluster in clusters]
    filled = [(PLAN.geometry.offset(cluster), b"\xe5" + bytes(31)) for cluster in clusters]
    with pytest.raises(FormatError, match="more than the 4,096"):
        fat.read(Patched(IMAGE, [table(2, 1000), *chain, *filled]))


def test_an_orphaned_long_name_gives_way_to_the_short_one():
    at = record("dir", AT["dir/Long Name Of This.text"].alias)
    for patch in [
        (at - 32 + 13, b"\0"),  # another checksum
        (at - 64 + 13, b"\0"),  # of the first record only
        (at - 64, b"\x43"),  # a piece is missing
        (at - 64, b"\xe5"),  # the record with the end of the name is deleted
        (at - 64, b"\x02"),  # not marked as the last
        (at - 32, b"\x02"),  # the same piece twice
        (at - 32, b"\x41"),  # a second beginning, with the wrong checksum
        (at - 32 + 1, b"\x00\xd8"),  # half a surrogate pair
        (at, b"M"),  # the file was renamed by a system that knows no long names
    ]:
        patches = [patch, (at - 32 + 13, b"\0")] if patch[1] == b"\x41" else [patch]
        found = [entry.name for entry in fat.read(Patched(IMAGE, patches)).children("dir")]
        assert found[2] in {"LONGNA~1.TEX", "MONGNA~1.TEX"}, patch


def test_deleted_entries_and_labels_below_the_root_are_left_out():
    at = record("", b"ONE  ")
    tree = fat.read(Patched(IMAGE, [(at - 32, b"\xe5"), (at, b"\xe5")]))
    assert "one" not in tree
    assert "two" in tree
    label = record("dir", AT["dir/three"].alias)
    assert "dir/three" not in fat.read(Patched(IMAGE, [(label + 11, b"\x08")]))


def test_attributes_case_bits_and_old_characters():
    at = record("", b"TWO  ")
    for patches, name, mode in [
        ([(at - 32, b"\xe5"), (at + 12, b"\x08"), (at, b"TWO     EXT")], "two.EXT", 0o644),
        ([(at - 32, b"\xe5"), (at + 12, b"\x10"), (at, b"TWO     EXT")], "TWO.ext", 0o644),
        ([(at - 32, b"\xe5"), (at, b"\x05\x81     "), (at + 11, b"\x21")], "σü", 0o444),
    ]:
        entry = fat.read(Patched(IMAGE, patches))[name]
        assert entry.mode == mode


def test_dirty_volumes_say_so():
    assert fat.read_volume(IMAGE).clean
    assert not fat.read_volume(Patched(IMAGE, [(TABLE + 7, b"\x07")])).clean
    assert not fat.read_volume(Patched(IMAGE, [(TABLE + 7, b"\x0b")])).clean


def test_the_second_table_can_be_the_active_one():
    broken = [table(cluster, 0) for cluster in range(2, 20)]
    tree = fat.read(Patched(IMAGE, [*broken, (40, b"\x81\0")]))
    assert tree["one"].content.read() == b"e" * 1500


def test_high_bits_of_a_table_entry_are_not_its_own():
    patches = [
        (TABLE + 4 * cluster + 3, bytes([0xF0 | IMAGE.read(TABLE + 4 * cluster + 3, 1)[0]])) for cluster in range(2, 20)
    ]
    assert fat.read(Patched(IMAGE, patches))["one"].content.size == 1500


def test_a_path_of_absurd_length():
    """400 directories, each in the one before, with long names."""
    name = "n" * 255
    start, patches = 5000, []
    long = long_records(name, b"NNNNNN~1   ")
    for depth in range(400):
        cluster = start + 2 * depth
        patches += [table(cluster, cluster + 1), table(cluster + 1, END)]
        short = RECORD.pack(b"NNNNNN~1   ", 0x10, 0, 0, 0, 0, 0, 0, 0, 0, cluster + 2, 0)
        patches.append((PLAN.geometry.offset(cluster), long + short))
    with pytest.raises(FormatError, match=r"too much to read: .* a path of 4,099 characters") as error:
        fat.read(Patched(IMAGE, [*patches, *first_cluster("dir", start)]))
    assert error.value.where.startswith("x.img!/dir/nnn")


METADATA = st.one_of(
    st.integers(0, 90),
    st.integers(TABLE, TABLE + 4 * 20),
    st.integers(ROOT, ROOT + 32 * 12),
    st.integers(AT["dir"].offset, AT["dir"].offset + 32 * 10),
)
CHANGE = st.tuples(
    METADATA, st.one_of(st.sampled_from([0, 1, 2, 3, 5, 0xE5, 0xFF, 0x0F, 0x10, 0x41]), st.integers(0, 255))
)


@given(st.lists(CHANGE, min_size=1, max_size=6))
@settings(deadline=None, max_examples=400)
def test_any_damage_is_either_harmless_or_a_format_error(changes):
    image = Patched(IMAGE, [(offset, bytes([value])) for offset, value in changes])
    try:
        tree = fat.read(image)
        assert sum(len(file.content.read()) for file in tree.files()) <= SIZE
    except FormatError as error:
        assert error.where.startswith("x.img")  # noqa: PT017 - there may be no error


def small(kind):
    """Return a FAT12 or FAT16 with the files of the other tests: its image, and where its metadata are."""
    tree = fat.read(IMAGE)
    plan = fat.plan(tree, fat.minimum_size(tree, kind=kind), kind=kind, label="DAMAGE", volume_id=1)
    geometry = plan.geometry
    places = [range(62), range(512, 512 + 40), range(geometry.root_sector * 512, geometry.root_sector * 512 + 32 * 12)]
    places += [range(placed.offset, placed.offset + 32 * 10) for placed in plan.placement.directories[1:]]
    return plan, [offset for place in places for offset in place]


SMALL = {kind: small(kind) for kind in (12, 16)}


@given(
    st.sampled_from([12, 16]),
    st.lists(st.tuples(st.integers(0, 2000), st.one_of(st.sampled_from([0, 1, 2, 0xF0, 0xFF]), st.integers(0, 255)))),
)
@settings(deadline=None, max_examples=400)
def test_any_damage_of_a_small_one_is_either_harmless_or_a_format_error(kind, changes):
    plan, offsets = SMALL[kind]
    patches = [(offsets[place % len(offsets)], bytes([value])) for place, value in changes]
    try:
        tree = fat.read(Patched(plan.content(), patches))
        assert sum(len(file.content.read()) for file in tree.files()) <= plan.size
    except FormatError as error:
        assert error.where.startswith("x.img")  # noqa: PT017 - there may be no error


@pytest.mark.parametrize(
    ("kind", "value", "says"),
    [
        (12, 0xFF7, "/one: .* marked as bad"),
        (12, 0xFF0, "/one: .* number 4,080; there are 2 to"),
        (12, 0, "/one: .* leads to a free one"),
        (16, 0xFFF7, "/one: .* marked as bad"),
        (16, 0xFFF0, "/one: .* number 65,520; there are 2 to"),
        (16, 1, "/one: .* number 1;"),
    ],
)
def test_broken_chains_of_small_ones(kind, value, says):
    plan, _ = SMALL[kind]
    cluster = next(file.cluster for file in plan.placement.files if file.entry.path == "one")
    at = 512 + cluster * kind // 8
    entry = int.from_bytes(plan.content().read(at, 2), "little")
    if kind == 16:
        entry = value
    elif cluster % 2:
        entry = entry & 0xF | value << 4
    else:
        entry = entry & 0xF000 | value
    with pytest.raises(FormatError, match=says):
        fat.read(Patched(plan.content(), [(at, entry.to_bytes(2, "little"))]))


@given(st.binary(max_size=4096))
@settings(max_examples=100)
def test_noise_is_no_file_system(data):
    with pytest.raises(FormatError):
        fat.read(Bytes(data))


def test_the_records_are_32_bytes():
    assert RECORD.size == LONG_RECORD.size == 32


def u16(offset, value):
    return (offset, struct.pack("<H", value))


SECOND_TABLE = PLAN.geometry.fat_offset(1)


@pytest.mark.parametrize("flags", [0x00, 0x01, 0x0F, 0x80])
def test_the_first_table_counts_unless_the_flags_say_another(flags):
    """Their low bits mean something only with 0x80: no mirroring."""
    ruin = (SECOND_TABLE + 8, b"\xff" * 400)
    assert fat.read(Patched(IMAGE, [u16(40, flags), ruin]))["two"].content.read() == b"o" * 2000


def test_the_table_that_the_flags_name_counts():
    ruin = (TABLE + 8, b"\xff" * 400)
    assert fat.read(Patched(IMAGE, [u16(40, 0x81), ruin]))["two"].content.read() == b"o" * 2000
    with pytest.raises(FormatError, match="table 2 is the active one of 2"):
        fat.read(Patched(IMAGE, [u16(40, 0x82)]))


@pytest.mark.parametrize(("signature", "serial", "label"), [(0x29, 1, True), (0x28, 1, False), (0x00, 0, False)])
def test_what_the_extended_boot_signature_tells(signature, serial, label):
    """0x28: a serial number stands behind it, and no label."""
    boot = fat.read_volume(Patched(IMAGE, [(66, bytes([signature]))])).boot
    assert (boot.volume_id, boot.label) == (serial, "DAMAGE" if label else "")


def test_a_table_has_entries_for_all_clusters_and_the_two_before():
    """The last sectors that can be: one cluster more, and the table lacks an entry."""
    geometry = PLAN.geometry
    entries = geometry.fat_sectors * geometry.sector_size * 8 // 32
    per_cluster = geometry.cluster_size // geometry.sector_size

    def reading(clusters):
        sectors = geometry.data_sector + clusters * per_cluster
        patches = [u16(19, 0), (32, struct.pack("<L", sectors))]
        return fat.read_volume(Patched(IMAGE, patches, size=sectors * geometry.sector_size)).boot.geometry

    assert reading(entries - 2).cluster_count == entries - 2
    for clusters in (entries - 1, entries, entries + 1):
        with pytest.raises(FormatError, match=f"room for {entries:,} entries, {clusters:,} clusters need"):
            reading(clusters)


@pytest.mark.parametrize(("clusters", "kind"), [(4084, 12), (4085, 16), (65524, 16)])
def test_the_number_of_clusters_tells_the_kind(clusters, kind):
    """The borders are those of Microsoft's specification: 4085 clusters have 16-bit entries."""
    sector = bytearray(512)
    names = b"\xeb\x3c\x90", b"TEST"
    struct.pack_into("<3s8sHBHBHHBHHHLL", sector, 0, *names, 512, 1, 1, 1, 512, 0, 0xF8, 256, 1, 1, 0, 0)
    struct.pack_into("<L", sector, 32, 1 + 256 + 32 + clusters)
    sector[510:] = b"\x55\xaa"
    assert fat.read_volume(Bytes(bytes(sector).ljust((289 + clusters) * 512, b"\0"))).boot.geometry.kind == kind


def test_pages_of_the_table_are_not_kept_without_end(monkeypatch):
    """Memory does not grow with the table: chains that go to and fro over it read its pages again."""
    monkeypatch.setattr(chains, "_PAGE", 16)
    monkeypatch.setattr(chains, "_KEPT_PAGES", 4)
    made = []
    load = chains.Chains._load
    monkeypatch.setattr(chains.Chains, "_load", lambda self, first: made.append(self) or load(self, first))
    places = [100 + 37 * index % 1000 for index in range(60)]
    patches = [table(one, after) for one, after in itertools.pairwise([*places, END])]
    size = len(places) * PLAN.geometry.cluster_size
    patches += [*first_cluster("two", places[0]), size_of("two", size)]
    fat.read(Patched(IMAGE, patches))
    assert len(made) > 30
    assert len(made[0]._pages) <= 4
