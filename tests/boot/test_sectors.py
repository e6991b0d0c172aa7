import struct
import uuid

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagekit.boot.sectors import STAGE2_LIMIT, find_multiboot_header, read_boot_programs
from imagekit.content import Bytes
from imagekit.errors import InputError

MAGIC, FLAGS = 0x1BADB002, 0x00010000
PMBR = bytes(range(256)) + bytes(range(254)) + b"\x55\xaa"
IDENTITY = uuid.UUID("00112233-4455-6677-8899-aabbccddeeff")


def header(checksum=-(MAGIC + FLAGS) & 0xFFFFFFFF):
    return struct.pack("<8I", MAGIC, FLAGS, checksum, 1, 2, 3, 4, 5)


STAGE2 = b"\x90" * 516 + header() + b"\x90" * 1000


def programs(stage2=STAGE2, pmbr=PMBR):
    return read_boot_programs(Bytes(pmbr, "pmbr"), Bytes(stage2, "gptzfsboot"))


def test_pmbr_is_patched_where_the_contract_says_and_nowhere_else():
    patched = programs().patched_pmbr(526336, IDENTITY)
    assert len(patched) == 512
    assert patched[0xFA:0xFC] == b"\x02\x00"
    assert struct.unpack_from("<H", patched, 0xFC) == (4,)  # 1,548 bytes are four sectors
    assert struct.unpack_from("<Q", patched, 0xFE) == (526336,)
    assert patched[0x106:0x116] == IDENTITY.bytes
    assert patched[0x03:0x3E] == bytes(0x3B)
    untouched = [*range(3), *range(0x3E, 0xFA), *range(0x116, 0x200)]
    assert all(patched[offset] == PMBR[offset] for offset in untouched)


def test_stage2_is_padded_and_carries_the_root_lba():
    found = programs()
    patched = found.patched_stage2(0x1_0008_1000)
    assert found.stage2_sectors == 4
    assert len(patched) == 4 * 512
    assert struct.unpack_from("<Q", patched, 516 + 24) == (0x1_0008_1000,)
    assert patched[:516] == b"\x90" * 516
    assert patched[516 + 32 : 1548] == b"\x90" * 1000


@given(st.integers(0, 8183), st.binary(max_size=64))
def test_the_header_is_found_at_any_multiple_of_four(word, tail):
    offset = 4 * word
    found = find_multiboot_header(bytes(offset) + header() + tail)
    assert found == (offset if offset + 32 <= 32768 else None)


@given(st.integers(1, 3))
def test_a_header_off_its_alignment_is_none(shift):
    assert find_multiboot_header(bytes(shift) + header() + bytes(8)) is None


def test_a_bad_checksum_is_passed_over():
    assert find_multiboot_header(header(checksum=1) + header()) == 32


@pytest.mark.parametrize(
    ("change", "where", "says"),
    [
        ({"pmbr": PMBR[:-1]}, "pmbr", "511"),
        ({"pmbr": PMBR + b"\0"}, "pmbr", "513"),
        ({"pmbr": PMBR[:-2] + b"\xaa\x55"}, "pmbr", "AA 55"),
        ({"stage2": b"\x90" * 4096}, "gptzfsboot", "multiboot"),
        ({"stage2": header(checksum=7) * 10}, "gptzfsboot", "multiboot"),
        ({"stage2": b""}, "gptzfsboot", "multiboot"),
        ({"stage2": header() + bytes(STAGE2_LIMIT - 31)}, "gptzfsboot", "1,048,577"),
    ],
)
def test_what_is_no_boot_program_is_refused(change, where, says):
    with pytest.raises(InputError) as caught:
        programs(**change)
    assert caught.value.where == where
    assert says in caught.value.what
    assert "«boot»" in caught.value.hint
