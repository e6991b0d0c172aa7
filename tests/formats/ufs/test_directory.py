"""Directory blocks: packing, chains, and chains that lie."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagekit.errors import FormatError
from imagekit.formats.ufs.directory import pack, packed_size, unpack

NAMES = st.binary(min_size=1, max_size=255).filter(
    lambda name: b"/" not in name and b"\0" not in name and name not in {b".", b".."}
)


def test_root_directory_after_newfs():
    expected = bytes.fromhex(
        "020000000c0001002e000000020000000c0002002e2e000003000000e8010a006c6f73742b666f756e640000"
    ).ljust(512, b"\0")
    assert pack(2, 2, [b"lost+found"], [3], packed_size([b"lost+found"])) == expected


def test_lost_and_found_is_a_block_of_unused_entries():
    data = pack(3, 2, [], [], 4096)
    assert data[:24] == bytes.fromhex("030000000c0001002e00000002000000f40102002e2e0000")
    assert data[512:524] == struct.pack("<IHHI", 0, 512, 0, 0)
    assert data.count(struct.pack("<IHH", 0, 512, 0)) == 7


@given(st.lists(NAMES, max_size=60, unique=True))
def test_what_is_packed_comes_back(names):
    size = packed_size(names)
    data = pack(9, 8, names, range(100, 100 + len(names)), size)
    assert len(data) == size
    assert size % 512 == 0
    assert list(unpack(data, "here")) == [(b".", 9), (b"..", 8), *zip(names, range(100, 200), strict=False)]


def test_chunks_are_filled_to_the_last_byte():
    names = [bytes((65 + index,)) * 119 for index in range(4)]  # 24 + 3 * 128 = 408; 104 left
    assert packed_size(names) == 1024
    assert packed_size([*names[:3], b"z" * 95]) == 512
    assert packed_size([*names[:3], b"z" * 96]) == 1024


@pytest.mark.parametrize(
    ("at", "form", "value"),
    [
        (28, "H", 0),
        (28, "H", 8),
        (28, "H", 18),
        (28, "H", 516),
        (30, "H", 300),
        (30, "H", 0),
        (33, "B", 0),
        (33, "B", 47),
    ],
)
def test_broken_chains_are_refused(at, form, value):
    data = bytearray(pack(9, 8, [b"name", b"other"], [10, 11], 512))
    struct.pack_into(f"<{form}", data, at, value)
    with pytest.raises(FormatError, match=r"^image!/d: damaged directory"):
        list(unpack(bytes(data), "image!/d"))


def test_a_chunk_that_ends_within_an_entry_is_refused():
    data = bytearray(pack(9, 8, [b"name"], [10], 512))
    struct.pack_into("<H", data, 24 + 4, 480)
    with pytest.raises(FormatError, match=r"8 bytes|entry of 0 bytes"):
        list(unpack(bytes(data), "image!/d"))
