"""Damaged and hostile ISO 9660 images get an error that names the place, and never more than their due."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.content import Bytes, Composite
from imagekit.errors import FormatError
from imagekit.formats import iso
from imagekit.formats.iso import el_torito, rock_ridge
from imagekit.formats.iso.layout import DirectoryRecord, both_32
from imagekit.tree import Directory, File, HardLink, Special, Symlink, Tree

SECTOR = 2048


def sample():
    tree = Tree()
    tree.add(Directory(path="boot"))
    tree.add(File(path="boot/cdboot", content=Bytes(b"c" * 3000)))
    tree.add(File(path="boot/efiboot.img", content=Bytes(b"e" * 3000)))
    tree.add(HardLink(path="hard", target="boot/cdboot"))
    tree.add(Symlink(path="link", target="../" * 100 + "x"))
    tree.add(Special(path="null", type="c", major=1, minor=3))
    tree.add(File(path="n" * 200, content=Bytes(b"long")))
    tree.add(Directory(path="boot/deep"))
    tree.add(Directory(path="boot/deep/deeper"))
    boot = [
        iso.BootEntry(path="boot/cdboot", platform="bios", boot_info_table=True),
        iso.BootEntry(path="boot/efiboot.img", platform="efi"),
    ]
    return iso.plan(tree, volume_id="DAMAGED", time=0, boot=boot)


PLAN = sample()
WHOLE = PLAN.content().read()
AT = {extent.what: extent.sector * SECTOR for extent in PLAN.extents}
DATA_END = max(extent.sector * SECTOR + extent.size for extent in PLAN.extents)
METADATA = [offset for offset in range(16 * SECTOR, AT["continuation area"] + SECTOR) if WHOLE[offset]]


def read_everything(data):
    """Return None when the image was read in full, else the error."""
    try:
        volume = iso.read_volume(Bytes(bytes(data), "x.iso"))
        for file in volume.tree.files():
            assert file.content.size < 1 << 33
            file.content.read(0, min(file.content.size, 10))
        for boot in volume.boot:
            boot.content.read(0, min(boot.content.size, 10))
    except FormatError as error:
        found = error
    else:
        return None
    assert found.where.startswith("x.iso")
    return found


def test_sound():
    assert read_everything(WHOLE) is None


@settings(derandomize=True, max_examples=800, deadline=None)
@given(st.lists(st.tuples(st.sampled_from(METADATA), st.integers(0, 255)), min_size=1, max_size=4))
def test_changed_bytes(changes):
    data = bytearray(WHOLE)
    for offset, value in changes:
        data[offset] = value
    read_everything(data)


@settings(derandomize=True, max_examples=150, deadline=None)
@given(st.integers(0, DATA_END - 1), st.randoms(use_true_random=False))
def test_cut_and_noise(size, noise):
    assert read_everything(WHOLE[:size]) is not None
    start = noise.randrange(16 * SECTOR, AT["continuation area"])
    data = bytearray(WHOLE)
    data[start : start + 64] = random.Random(start).randbytes(64)
    read_everything(data)


def patched(offset, data):
    result = bytearray(WHOLE)
    result[offset : offset + len(data)] = data
    return result


def record_at(name):
    """Return where the record of a primary name starts."""
    place = WHOLE.index(bytes((len(name),)) + name, AT["directory /"])
    return place - 32


ROOT_RECORD = AT["primary volume descriptor"] + 156


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "no primary volume descriptor: sector 16 starts with ''"),
        (bytes(40 * SECTOR), "starts with '00 00 00 00 00 00'"),
        (patched(AT["primary volume descriptor"], b"\xff"), "no primary volume descriptor"),
        (patched(AT["primary volume descriptor"] + 128, b"\0\0"), "blocks of 0 bytes"),
        (patched(ROOT_RECORD, b"\x10"), "a directory record of 16 bytes"),
        (patched(ROOT_RECORD + 2, b"\xff\xff\xff\x0f"), "past the image's end"),
        (patched(ROOT_RECORD + 10, b"\0\0\0\x10"), "past the image's end"),
        (patched(record_at(b"BOOT") + 2, WHOLE[ROOT_RECORD + 2 : ROOT_RECORD + 6]), "x.iso!/boot: its block"),
        (patched(record_at(b"CDBOOT.;1") + 2, b"\0\0\0\x10"), "x.iso!/boot/cdboot: 3,000 bytes at"),
        (patched(record_at(b"EFIBOOT.IMG;1") + 26, b"\1"), "x.iso!/boot/efiboot.img: a file in interleaved mode"),
        (patched(record_at(b"CDBOOT.;1") + 25, b"\2"), "x.iso!/boot/cdboot: its mode is 100644, but the flags"),
        (patched(record_at(b"CDBOOT.;1") + 32, b"\xf0"), "x.iso!/boot: a name of 240 bytes"),
        (patched(record_at(b"NULL.;1") + 25, b"\x80"), "the last extent of 'null' is missing"),
        (patched(AT["boot record"] + 71, b"\xff\xff\xff"), "boot catalog"),
        (patched(AT["boot catalog"] + 4, b"\1"), "checksum"),
        (patched(AT["boot catalog"] + 32, b"\1"), "boot indicator"),
        (patched(AT["boot catalog"] + 40, b"\0\0\xff\0"), "boot catalog entry 0"),
    ],
)
def test_messages(data, message):
    error = read_everything(data)
    assert message in str(error)
    assert error.hint


def entry(signature, data):
    return signature + bytes((len(data) + 4, 1)) + data


PX = rock_ridge.posix_attributes(0o100644, 1, 0, 0, 1)
PX_LINK = rock_ridge.posix_attributes(0o120777, 1, 0, 0, 1)


def hostile(*uses, name=b"A.;1", extents=((30, 5),), flags=(0,), area=b"", root_use=b""):
    """Return an image whose root, in sector 20, has an entry for each of `uses`; `area` is sector 21."""
    own = rock_ridge.sharing_protocol() + root_use + rock_ridge.extension_reference()[:60]
    own = own[:-60] + entry(b"ER", bytes((1, 0, 0, 1)) + b"R")
    time = bytes((70, 1, 1, 0, 0, 0, 0))
    records = [DirectoryRecord(20, SECTOR, time, 2, b"\0", own), DirectoryRecord(20, SECTOR, time, 2, b"\1")]
    for number, use in enumerate(uses):
        for extent, flag in zip(extents, flags, strict=True):
            records.append(DirectoryRecord(*extent, time, flag, b"%d" % number + name, use))
    data = b"".join(record.pack() for record in records)
    assert len(data) <= SECTOR
    base = PLAN.content()
    descriptor = bytearray(base.read(16 * SECTOR, SECTOR))
    descriptor[156:190] = DirectoryRecord(20, SECTOR, time, 2, b"\0").pack()
    pieces = [(16 * SECTOR, Bytes(bytes(descriptor))), (20 * SECTOR, Bytes(data)), (21 * SECTOR, Bytes(area))]
    return Composite(40 * SECTOR, pieces, "x.iso")


def name_entry(name, flags=0):
    return entry(b"NM", bytes((flags,)) + name)


def continuation(block, offset, size):
    return entry(b"CE", both_32(block) + both_32(offset) + both_32(size))


@pytest.mark.parametrize(
    ("image", "message"),
    [
        (hostile(name_entry(b"a/b") + PX), "'a/b' is no name"),
        (hostile(name_entry(b"..") + PX), "'..' is no name"),
        (hostile(name_entry(b"a\0") + PX), "is no name"),
        (hostile(name_entry(b"same") + PX, name_entry(b"same") + PX), "/same is there already"),
        (hostile(PX_LINK), "a symbolic link to b''"),
        (hostile(PX_LINK + entry(b"SL", b"\0\0\2a\0")), "a symbolic link to b'a\\x00'"),
        (hostile(PX_LINK + entry(b"SL", b"\0\0\x09a")), "a component of 9 bytes where 1 are left"),
        (hostile(PX_LINK + entry(b"SL", b"\0\x20\0")), "flags 0x20"),
        (hostile(PX_LINK + entry(b"SL", b"")), "too short"),
        (hostile(rock_ridge.posix_attributes(0o150644, 1, 0, 0, 1)), "of no known type"),
        (hostile(PX[:20].replace(b"\x2c", b"\x14", 1)), "too short"),
        (hostile(b"NM\3\1abc"), "of 3 bytes where 4 to"),
        (hostile(b"NM\xff\1abc"), "of 255 bytes where 4 to"),
        (hostile(PX + entry(b"ZF", b"pz" + bytes(10))), "zisofs"),
        (hostile(entry(b"TF", b"\2abc")), "times of 3 bytes"),
        (hostile(PX + continuation(21, 0, 28), area=continuation(21, 0, 28)), "in more than 32 places: a loop"),
        (hostile(PX + continuation(39, 2000, 100)), "system use entries continue in 100 bytes"),
        (hostile(PX + continuation(21, 0, 4096)), "system use entries continue in 4,096 bytes"),
        (hostile(entry(b"CL", both_32(21))), "a link to a directory in block 21"),
        (hostile(entry(b"CL", both_32(20))), "its block, 20, is that of another directory"),
        (hostile(entry(b"CL", both_32(39999))), "past the image's end"),
        (hostile(PX, extents=((30, 5), (31, 5)), flags=(0x80, 0x80)), "the last extent"),
    ],
)
def test_hostile_entries(image, message):
    with pytest.raises(FormatError) as caught:
        iso.read(image)
    assert message in str(caught.value)
    assert str(caught.value).startswith("x.iso")


def test_several_extents_are_one_file():
    image = hostile(name_entry(b"big") + PX, extents=((21, 2048), (21, 0), (24, 10)), flags=(0x80, 0x80, 0), area=b"ab")
    file = iso.read(image)["big"]
    assert file.content.size == 2058
    assert file.content.read(0, 3) == b"ab\0"


def test_unusual_entries_are_understood():
    link = entry(b"SL", b"\1\1\2us") + entry(b"SL", b"\0\0\1r\0\4/lib".replace(b"/", b"x"))
    image = hostile(
        name_entry(b"half", 1) + name_entry(b"name") + PX_LINK + link + entry(b"PD", b"xx") + b"ST\4\1" + b"junk"
    )
    assert iso.read(image)["halfname"].target == "usr/xlib"
    dates = entry(b"TF", b"\x83" + b"1999010100000000\0" + b"2001090901464000\xfc")
    assert iso.read(hostile(PX + dates))["0a"].mtime == 1_000_000_000 + 3600
    device = rock_ridge.posix_attributes(0o060600, 1, 0, 0, 1) + rock_ridge.device_number(0, 0x0801)
    assert iso.read(hostile(device))["0a"].minor == 1
    assert "0a" not in iso.read(hostile(PX + entry(b"RE", b"")))


def test_directories_that_overlap_are_not_read_again_and_again():
    """A directory in every sector, each as large as the rest of the image, would take quadratic time."""
    time = bytes((70, 1, 1, 0, 0, 0, 0))
    count = 400
    pieces = [(16 * SECTOR, Bytes(WHOLE[16 * SECTOR : 17 * SECTOR]))]
    for number in range(20, count):
        size = (count - number) * SECTOR
        child = (count - number - 1) * SECTOR
        records = [
            DirectoryRecord(number, size, time, 2, b"\0"),
            DirectoryRecord(number + 1, child, time, 2, b"D%d" % number),
        ]
        pieces.append((number * SECTOR, Bytes(b"".join(record.pack() for record in records))))
    descriptor = bytearray(WHOLE[16 * SECTOR : 17 * SECTOR])
    descriptor[156:190] = DirectoryRecord(20, (count - 20) * SECTOR, time, 2, b"\0").pack()
    pieces[0] = (16 * SECTOR, Bytes(bytes(descriptor)))
    with pytest.raises(FormatError, match=r"larger than the image|another directory"):
        iso.read(Composite(count * SECTOR, pieces, "x.iso"))


def test_paths_have_an_end():
    tree = Tree()
    path = ""
    for _ in range(20):
        path = f"{path}/{'d' * 250}" if path else "d" * 250
        tree.add(Directory(path=path))
    with pytest.raises(FormatError, match="a path of more than 4,096 characters"):
        iso.read(iso.plan(tree, volume_id="DEEP", time=0).content())


@pytest.mark.parametrize(("media", "count", "size"), [(0, 4, 2048), (0, 0, None), (2, 1, 1_474_560), (4, 1, None)])
def test_boot_images_that_are_no_files(media, count, size):
    sector = DATA_END // SECTOR + 10
    record = bytes((0x88, media, 0, 0, 0, 0, count, 0)) + sector.to_bytes(4, "little")
    image = bytes(patched(AT["boot catalog"] + 32, record)) + bytes(2 << 20)
    boot = iso.read_volume(Bytes(image, "x.iso")).boot[0]
    assert boot.path == ""
    assert boot.content.size == (size or len(image) - sector * SECTOR)


def test_names_end_with_the_entry_that_is_not_continued():
    image = hostile(name_entry(b"first", 1) + name_entry(b"second") + name_entry(b"third") + PX)
    assert "firstsecond" in iso.read(image)


def test_empty_files_without_serial_numbers_are_not_one_file():
    """They share block and size, and their writers count links of their own; those with data at one place are one."""
    without = rock_ridge.posix_attributes(0o100644, 2, 0, 0, 1)[:-8]
    without = without[:2] + bytes((len(without),)) + without[3:]
    empty = iso.read(hostile(without, without, extents=((30, 0),)))
    assert [type(empty[path]) for path in ("0a", "1a")] == [File, File]
    full = iso.read(hostile(without, without, extents=((30, 5),)))
    assert [type(full[path]) for path in ("0a", "1a")] == [File, HardLink]
    serial = rock_ridge.posix_attributes(0o100644, 2, 0, 0, 7)
    assert isinstance(iso.read(hostile(serial, serial, extents=((30, 0),)))["1a"], HardLink)


@pytest.mark.parametrize("lengths", [(1000, 1048), (1000, 1049), (1000, 1047), (2048, 1), (1, 2048)])
def test_no_continuation_crosses_the_end_of_a_sector(lengths):
    area = rock_ridge.ContinuationArea()
    places = [area.place(bytes([index + 1]) * length) for index, length in enumerate(lengths)]
    data = area.pack()
    assert len(data) == len(area.sectors) * SECTOR
    for index, ((sector, offset), length) in enumerate(zip(places, lengths, strict=True)):
        assert offset + length <= SECTOR
        start = sector * SECTOR + offset
        assert data[start : start + length] == bytes([index + 1]) * length
    assert len(area.sectors) == (1 if sum(lengths) <= SECTOR else 2)


@pytest.mark.parametrize("platforms", [(0,), (0, 0), (0, 0xEF), (0, 0xEF, 0xEF), (0, 0xEF, 0, 0xEF), (0, 1, 2, 0xEF)])
def test_only_the_last_section_of_a_boot_catalog_says_that_it_is(platforms):
    """El Torito 2.3: header indicator 0x90 where more headers follow, 0x91 in the final one."""
    data = el_torito.pack_catalog(
        [el_torito.CatalogEntry(platform=one, sector=30 + index, load_sectors=4) for index, one in enumerate(platforms)]
    )
    records = [data[at : at + 32] for at in range(64, len(data), 32)]
    indicators, at = [], 0
    while at < len(records) and records[at][0]:
        indicators.append(records[at][0])
        at += 1 + int.from_bytes(records[at][2:4], "little")
    assert indicators == [0x90] * (len(indicators) - 1) + [0x91] * (len(indicators) > 0)
    assert [one.sector for one in el_torito.parse_catalog(data.ljust(2048, b"\0"))] == [
        30 + index for index in range(len(platforms))
    ]


@pytest.mark.parametrize("block_size", [512, 1024, 2048])
def test_boot_images_are_found_whatever_the_logical_block(block_size):
    """The catalog counts sectors of 2048 bytes, directories count logical blocks."""
    blocks = SECTOR // block_size
    time = bytes((70, 1, 1, 0, 0, 0, 0))
    root = DirectoryRecord(20 * blocks, SECTOR, time, 2, b"\0")
    records = [root, DirectoryRecord(20 * blocks, SECTOR, time, 2, b"\1")]
    records += [DirectoryRecord(sector * blocks, SECTOR, time, 0, b"F%d.;1" % sector) for sector in (30, 31, 60)]
    descriptor = bytearray(PLAN.content().read(16 * SECTOR, SECTOR))
    descriptor[156:190] = root.pack()
    descriptor[128:132] = block_size.to_bytes(2, "little") + block_size.to_bytes(2, "big")
    pieces = [
        (16 * SECTOR, bytes(descriptor)),
        (17 * SECTOR, el_torito.boot_record(25)),
        (20 * SECTOR, b"".join(record.pack() for record in records)),
        (25 * SECTOR, el_torito.pack_catalog([el_torito.CatalogEntry(platform=0, sector=30, load_sectors=4)])),
        (30 * SECTOR, b"boot"),
    ]
    volume = iso.read_volume(Composite(70 * SECTOR, [(offset, Bytes(data)) for offset, data in pieces], "x.iso"))
    assert [boot.path for boot in volume.boot] == ["f30"]
    assert volume.boot[0].content.read(0, 4) == b"boot"
