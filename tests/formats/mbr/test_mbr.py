"""Disks with a master boot record: what is found on them, and what is said of damaged ones."""

import contextlib
import struct

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.content import Bytes
from imagekit.errors import FormatError, ImagekitError
from imagekit.formats import fat, mbr, table
from imagekit.tree import File, Tree

START, SECTORS = 600, 100


def file_system(name="file"):
    tree = Tree()
    tree.add(File(path=name, content=Bytes(b"content")))
    return fat.plan(tree, SECTORS * 512, label="STICK", kind=None, volume_id=1, hidden_sectors=START).content().read()


def slot(kind=0x0C, first=START, sectors=SECTORS, status=0x80):
    return struct.pack("<B3sB3s2I", status, bytes(3), kind, bytes(3), first, sectors)


def disk(*slots, sectors=START + 2 * SECTORS, systems=((START, "file"),)):
    image = bytearray(sectors * 512)
    image[:3] = b"\xeb\x48\x90"  # as GRUB's stage 1 begins
    for number, one in enumerate(slots):
        image[446 + 16 * number : 462 + 16 * number] = one
    image[510:512] = b"\x55\xaa"
    for start, name in systems:
        image[start * 512 : (start + SECTORS) * 512] = file_system(name)
    return Bytes(bytes(image), "image")


def test_a_stick_as_smartos_made_them():
    image = disk(slot())
    assert table.name_of(image) == "mbr"
    (file,) = table.open_tree(image).files()
    assert file.path == "file"
    assert file.content.origin == "image!partition 1!/file"


def test_the_active_partition_comes_first():
    second = START + SECTORS
    image = disk(slot(status=0), slot(first=second), systems=((START, "one"), (second, "two")))
    assert "two" in table.open_tree(image)
    image = disk(slot(status=0, kind=0x83), slot(first=second, status=0), systems=((second, "two"),))
    assert "two" in table.open_tree(image)


def test_a_file_system_without_partitions_is_none():
    image = Bytes(file_system(), "image")
    assert table.name_of(image) == "fat"
    assert "file" in table.open_tree(image)


def test_a_disk_with_a_gpt_is_none():
    assert table.name_of(disk(slot(kind=0xEE, first=1))) == "gpt"


BAD = [
    ([slot(first=START + 2 * SECTORS)], r"image!partition 1: partition 1 \(type 0x0c, sectors 800 to 899\).*outside"),
    ([slot(sectors=2 * SECTORS + 1)], "outside the disk of 800 sectors"),
    ([slot(sectors=0)], "empty"),
    ([slot(first=0)], "begins in the master boot record"),
    ([slot(), slot(first=START + SECTORS - 1)], r"partition 2 .* begins in partition 1 \("),
    ([slot(first=0xFFFFFFFF, sectors=0xFFFFFFFF)], "outside"),
    ([slot(kind=0x05, sectors=SECTORS, first=START + SECTORS)], "0x05.*what is in an extended one is not looked for"),
    ([slot(first=1, sectors=5)], "no partition holds a file system"),
]


@pytest.mark.parametrize(("slots", "says"), BAD, ids=[row[1] for row in BAD])
def test_what_cannot_be_is_named(slots, says):
    with pytest.raises(FormatError, match=says):
        table.open_tree(disk(*slots))


def test_there_may_be_none():
    with pytest.raises(FormatError, match="no master boot record"):
        mbr.read(disk())
    with pytest.raises(FormatError, match="no master boot record"):
        mbr.read(disk(slot(status=0x7F)))
    with pytest.raises(FormatError, match="no master boot record"):
        mbr.read(Bytes(b"short"))


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 1023), st.integers(0, 255)), max_size=8), st.binary(max_size=64))
def test_nothing_but_errors_comes_of_damage(changes, slots):
    image = bytearray(disk(slot()).read())
    image[446 : 446 + len(slots)] = slots
    for place, value in changes:
        image[place if place < 512 else START * 512 + place - 512] = value
    with contextlib.suppress(ImagekitError):
        table.open_tree(Bytes(bytes(image), "image"))
