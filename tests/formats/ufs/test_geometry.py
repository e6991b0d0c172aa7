"""The geometry of newfs, and what it refuses: the numbers are those that newfs of illumos wrote and fsck accepted."""

import pytest

from imagekit.errors import PlanError
from imagekit.formats.ufs import Geometry, plan
from imagekit.formats.ufs.geometry import default_bytes_per_inode
from imagekit.formats.ufs.layout import pack_device, unpack_device
from imagekit.tree import Tree

FIELDS = (
    "nsect", "ncyl", "cpg", "ncg", "fpg", "ipg", "size", "dsize", "dblkno", "cgoffset", "cssize", "cgsize", "inodes",
)  # fmt: skip
NEWFS = [
    (350000, 4096, 12248, (600, 1166, 16, 73, 4800, 384, 349800, 345402, 76, 300, 2048, 2048, 28032)),
    (353000, 4096, 12248, (600, 1176, 16, 74, 4800, 384, 352800, 348342, 76, 300, 2048, 2048, 28416)),
    (448000, 4096, 14000, (600, 1493, 16, 94, 4800, 352, 447900, 442618, 72, 300, 2048, 2048, 33088)),
    (65536, 4096, 12248, (601, 218, 16, 14, 4808, 384, 65509, 64652, 76, 304, 1024, 2048, 5376)),
    (2048, 4096, 12248, (682, 6, 16, 1, 5456, 448, 2046, 1961, 84, 344, 1024, 2048, 448)),
    (1000000, 4096, 14000, (600, 3333, 16, 209, 4800, 352, 999900, 988176, 72, 300, 4096, 2048, 73568)),
    (10240, 8192, 2048, (602, 34, 16, 3, 4816, 2240, 10234, 9329, 312, 304, 1024, 2048, 6720)),
    (307200, 8192, 2048, (600, 1024, 16, 64, 4800, 2240, 307200, 288239, 312, 304, 1024, 2048, 143360)),
]


@pytest.mark.parametrize(("kib", "block", "nbpi", "numbers"), NEWFS)
def test_geometry_is_that_of_newfs(kib, block, nbpi, numbers):
    geometry = Geometry.of(kib * 1024, block_size=block, bytes_per_inode=nbpi)
    assert tuple(getattr(geometry, field) for field in FIELDS) == numbers
    assert (geometry.sblkno, geometry.cblkno, geometry.iblkno) == (16, 24, 32 if block == 8192 else 28)


@pytest.mark.parametrize(
    ("kib", "block", "nbpi", "blocks", "fragments", "inodes"),
    [
        (350000, 4096, 12248, 86348, 5, 28028),
        (448000, 4096, 14000, 110652, 5, 33084),
        (65536, 4096, 12248, 16160, 7, 5372),
        (2048, 4096, 12248, 487, 8, 444),
        (10240, 8192, 2048, 1163, 16, 6716),
        (307200, 8192, 2048, 36027, 14, 143356),
    ],
)
def test_empty_file_system_has_as_much_free_as_after_newfs(kib, block, nbpi, blocks, fragments, inodes):
    usage = plan(Tree(), kib * 1024, time=0, block_size=block, bytes_per_inode=nbpi).usage
    assert (usage.free_blocks, usage.free_fragments, usage.free_inodes) == (blocks, fragments, inodes)


def test_defaults_are_those_of_newfs():
    assert [default_bytes_per_inode(mib << 20) for mib in (512, 1536, 2560, 5120)] == [2048, 4096, 6144, 8192]
    assert Geometry.of(307200 * 1024, block_size=8192) == Geometry.of(
        307200 * 1024, block_size=8192, bytes_per_inode=2048
    )


def test_groups_grow_with_the_disk_until_their_tables_fill_a_block():
    sizes = {gib: Geometry.of(gib << 30, bytes_per_inode=14000).cpg for gib in (1, 2, 3, 4, 900)}
    assert sizes == {1: 16, 2: 32, 3: 64, 4: 16, 900: 16}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"size": 1000}, "1,000 bytes"),
        ({"size": 0}, "0 bytes"),
        ({"size": 2 << 40}, "at most"),
        ({"size": 65536}, "1,024 sectors"),
        ({"size": 1 << 20, "bytes_per_inode": 511}, "512 to 2,097,152"),
        ({"size": 1 << 30, "bytes_per_inode": 2097153}, "512 to 2,097,152"),
        ({"size": 1 << 20, "block_size": 16384}, "16,384"),
        ({"size": 1 << 20, "block_size": 8192, "fragment_size": 512}, "512"),
        ({"size": 1 << 20, "fragment_size": 1000}, "1,000"),
        ({"size": 1 << 20, "bytes_per_inode": 100}, "100 bytes per inode"),
        ({"size": 1 << 20, "bytes_per_inode": 2097152}, "no inode"),
    ],
)
def test_impossible_requests_are_refused(options, message):
    with pytest.raises(PlanError) as failure:
        Geometry.of(options.pop("size"), **options)
    assert message in f"{failure.value} {failure.value.hint}"


@pytest.mark.parametrize("size", [512 * count for count in range(200, 6000, 37)])
def test_small_and_odd_sizes_hold_together(size):
    try:
        g = Geometry.of(size, bytes_per_inode=4096)
    except PlanError:
        assert size < 1 << 20
        return
    assert g.size * g.fsize <= size
    assert g.fpg % g.frag == 0
    assert (g.ncg - 1) * g.fpg < g.size <= g.ncg * g.fpg
    assert g.group_size(g.ncg - 1) >= min(g.dblkno, g.fpg)
    assert g.cgsize <= g.bsize
    regions = list(g.data_regions())
    assert all(first < end for first, end in regions)
    assert sum(end - first for first, end in regions) == g.dsize - (-g.first_data % g.frag)


@pytest.mark.parametrize(
    ("major", "minor", "value"),
    [
        (0, 0, 0),
        (5, 1, 0x501),
        (127, 255, 0x7FFF),
        (128, 0, 128 << 18),
        (1, 256, 1 << 18 | 256),
        (300, 100000, 78743200),
    ],
)
def test_device_numbers(major, minor, value):
    assert pack_device(major, minor) == value
    assert unpack_device(value) == (major, minor)


def test_large_device_numbers_are_signed_on_disk():
    value = pack_device(0x3FFF, 5)
    assert value is not None
    assert value < 0
    assert unpack_device(value) == (0x3FFF, 5)


@pytest.mark.parametrize("device", [(0, 256), (0x4000, 0), (1, 1 << 18), (0x3FFF, 0x3FFFF), (-1, 0)])
def test_device_numbers_that_no_reader_would_take_back_are_refused(device):
    assert pack_device(*device) is None
