"""GUID partition tables: the plan's bytes, round trips, and what damage does to the reader."""

import struct
import uuid
import zlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.content import Bytes, Content
from imagekit.errors import FormatError, PlanError
from imagekit.formats import gpt
from imagekit.formats.gpt import GptPlan, Partition

DISK = uuid.UUID("00000000-1111-5222-8333-444444444444")
SECTORS = 4096


def guid(number: int) -> uuid.UUID:
    return uuid.uuid5(DISK, str(number))


def part(index: int, first: int, sectors: int, **more: object) -> Partition:
    values = {"name": f"p{index}", "type_guid": gpt.EFI_SYSTEM, "guid": guid(index), **more}
    return Partition(index=index, first_lba=first, sectors=sectors, **values)  # type: ignore[arg-type]


def disk(*partitions: Partition, **more: object) -> GptPlan:
    values = {"size": SECTORS * 512, "disk_guid": DISK, "partitions": partitions, **more}
    return GptPlan(**values)  # type: ignore[arg-type]


def smartos() -> GptPlan:
    """The layout of a SmartOS USB image, smaller."""
    last = gpt.last_usable(SECTORS * 512)
    return disk(
        part(0, 64, 512, name="loader"),
        part(1, 576, 2, name="boot", type_guid=gpt.ILLUMOS_BOOT),
        part(2, 1024, 2048, name="root", type_guid=gpt.ILLUMOS_ROOT),
        part(8, last - 63, 64, name="reserved", type_guid=gpt.ILLUMOS_RESERVED),
        boot_code=b"\xeb\x3c\x90" + b"code".ljust(507, b"\x11") + b"\x55\xaa",
    )


def image(plan: GptPlan) -> bytearray:
    return bytearray(plan.content().read())


def reading(raw: bytes | bytearray) -> gpt.GptImage:
    return gpt.read(Bytes(bytes(raw), "x.usb"))


def test_layout_is_the_one_of_libefi() -> None:
    raw = image(smartos())
    last = SECTORS - 1
    assert raw[:3] == b"\xeb\x3c\x90"
    assert raw[510:512] == b"\x55\xaa"
    assert raw[0x1BE:0x1FE] == bytes.fromhex("00000200eeffffff01000000") + struct.pack("<I", last) + bytes(48)
    for lba, other, entries in ((1, last, 2), (last, 1, last - 32)):
        header = raw[lba * 512 : lba * 512 + 512]
        signature, revision, size, crc, zero, mine, alternate, first, usable = struct.unpack_from("<8s4I4Q", header)
        assert (signature, revision, size, zero) == (b"EFI PART", 0x10000, 92, 0)
        assert (mine, alternate, first, usable) == (lba, other, 34, last - 33)
        assert struct.unpack_from("<16sQII", header, 56) == (DISK.bytes_le, entries, 9, 128)
        assert crc == zlib.crc32(header[:16] + bytes(4) + header[20:92])
        assert not any(header[92:])
        array = raw[entries * 512 : entries * 512 + 9 * 128]
        assert struct.unpack_from("<I", header, 88)[0] == zlib.crc32(array)
        assert array[2 * 128 + 56 : 2 * 128 + 64] == "root".encode("utf-16-le")


def test_large_disks_cap_the_protective_size() -> None:
    plan = disk(size=(1 << 32) * 512 + (1 << 20))
    assert plan.mbr()[0x1BE + 12 : 0x1BE + 16] == b"\xff\xff\xff\xff"
    assert gpt.read(plan.content()).notes == ()


def test_contents_stand_in_their_partitions() -> None:
    plan = smartos()
    content = plan.content({1: Bytes(b"stage2" * 10), 2: Bytes(b"r" * 2048 * 512)})
    found = gpt.read(content)
    by_name = {partition.name: found.slice(partition) for partition in found.partitions}
    assert by_name["boot"].read().startswith(b"stage2stage2")
    assert set(by_name["root"].read()) == {ord("r")}
    assert by_name["root"].origin == "disk!root"
    with pytest.raises(PlanError, match=r"1,025 bytes, partition 1 \('boot', sectors 576 to 577\) only 1,024"):
        plan.content({1: Bytes(bytes(1025), "stage2")})
    with pytest.raises(PlanError, match="partition 4, which does not exist"):
        plan.content({4: Bytes(b"x")})


@pytest.mark.parametrize(
    ("partitions", "message"),
    [
        ([part(0, 40, 10), part(1, 49, 10)], r"'p0', sectors 40 to 49\) and partition 1 \('p1', sectors 49 to 58\) ov"),
        ([part(0, 33, 10)], "usable sectors are 34 to 4,062"),
        ([part(0, 4062, 2)], "usable sectors are 34 to 4,062"),
        ([part(0, 40, 0)], "does not fit"),
        ([part(9, 40, 1)], "entries 0 to 8"),
        ([part(0, 40, 1), part(0, 50, 1, guid=guid(5))], "same index: 0"),
        ([part(0, 40, 1), part(1, 50, 1, guid=guid(0))], "same guid"),
        ([part(0, 40, 1, name="x" * 37)], "at most 36"),
        ([part(0, 40, 1, name="\udc80")], "UTF-16 cannot hold"),
        ([part(0, 40, 1, type_guid=uuid.UUID(int=0))], "unused entry"),
        ([part(0, 40, 1, attributes=1 << 64)], "64 bits"),
    ],
)
def test_impossible_plans_are_refused(partitions: list[Partition], message: str) -> None:
    with pytest.raises(PlanError, match=message):
        disk(*partitions)


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"size": 67 * 512}, "at least 34,816"),
        ({"size": 5000}, "multiple of 512"),
        ({"boot_code": bytes(512)}, "ends in 55 aa"),
        ({"boot_code": b"\x55\xaa"}, "not a boot sector: 2 bytes"),
        ({"entry_count": 0}, "1 to 128"),
        ({"entry_count": 129}, "1 to 128"),
    ],
)
def test_impossible_disks_are_refused(values: dict[str, object], message: str) -> None:
    with pytest.raises(PlanError) as caught:
        disk(**values)
    assert message in f"{caught.value} {caught.value.hint}"


@st.composite
def plans(draw: st.DrawFn) -> GptPlan:
    sectors = draw(st.integers(68, 1 << 40))
    count = draw(st.integers(1, 128))
    free = range(34, sectors - 33)
    wanted = draw(st.integers(0, min(count, 6, len(free) // 2)))
    indexes = draw(st.lists(st.integers(0, count - 1), min_size=wanted, max_size=wanted, unique=True))
    edges = sorted(draw(st.sets(st.integers(0, len(free) - 1), min_size=2 * wanted, max_size=2 * wanted)))
    name = st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=18)
    partitions = [
        Partition(
            index=index,
            name=draw(name),
            type_guid=draw(st.uuids()),
            guid=draw(st.uuids()),
            first_lba=free[first],
            sectors=last - first + 1,
            attributes=draw(st.integers(0, (1 << 64) - 1)),
        )
        for index, first, last in zip(sorted(indexes), edges[::2], edges[1::2], strict=True)
    ]
    return GptPlan(size=sectors * 512, disk_guid=draw(st.uuids()), partitions=partitions, entry_count=count)


@settings(max_examples=150, deadline=None)
@given(plans())
def test_round_trip(plan: GptPlan) -> None:
    found = gpt.read(plan.content())
    assert list(found.partitions) == list(plan.partitions)
    assert (found.disk_guid, found.entry_count) == (plan.disk_guid, plan.entry_count)
    assert (found.first_usable, found.last_usable) == (34, gpt.last_usable(plan.size))
    assert found.boot_code == plan.mbr()
    assert found.notes == ()


@settings(max_examples=300, deadline=None)
@given(st.integers(0, 3 * 512 + 127), st.integers(1, 255))
def test_any_damage_to_the_primary_leaves_the_backup(offset: int, flip: int) -> None:
    plan = smartos()
    raw = image(plan)
    raw[512 + offset] ^= flip
    found = reading(raw)
    assert found.partitions == plan.partitions
    covered = offset < 92 or 512 <= offset < 512 + 9 * 128
    assert bool(found.notes) == covered
    if covered:
        assert "the backup was used" in found.notes[0]


def test_damage_to_the_backup_is_noted() -> None:
    raw = image(smartos())
    raw[-500] ^= 1
    assert "backup partition table is damaged: the CRC of the GPT header" in reading(raw).notes[0]
    raw = image(smartos())
    raw[-33 * 512] ^= 1
    assert "the CRC of the GPT entries" in reading(raw).notes[0]


def test_a_larger_disk_or_a_missing_backup_is_readable() -> None:
    plan = smartos()
    found = reading(image(plan) + bytes(512 * 100))
    assert found.partitions == plan.partitions
    assert found.notes == ("the backup header belongs in sector 4,095; the last sector is 4,195",)
    raw = image(plan)
    raw[1024] ^= 1
    assert "the backup was used" in reading(raw + bytes(512 * 100)).notes[0]


def test_both_damaged_is_an_error() -> None:
    raw = image(smartos())
    raw[1024] ^= 1
    raw[-33 * 512] ^= 1
    with pytest.raises(FormatError, match="both partition tables are damaged: the CRC of the GPT entries is 0x"):
        reading(raw)


def test_what_is_there_instead_is_named() -> None:
    mbr = bytearray(8192)
    mbr[510:512] = b"\x55\xaa"
    mbr[0x1BE:0x1CE] = struct.pack("<B3sB3sII", 0x80, b"\0\2\0", 0x0C, b"\xff" * 3, 63, 1000)
    with pytest.raises(FormatError, match="an MBR disk without a GPT: type 0x0c at sector 63"):
        reading(mbr)
    with pytest.raises(FormatError, match="no GPT header, no MBR partitions"):
        reading(bytes(8192))
    with pytest.raises(FormatError, match="1,000 bytes are too few"):
        reading(bytes(1000))
    with pytest.raises(FormatError, match=r"sectors of 4,096 bytes"):
        reading(bytes(4096) + b"EFI PART" + bytes(8000))


def test_hybrid_and_absent_mbrs_are_noted() -> None:
    raw = image(smartos())
    raw[0x1CE + 4] = 0x0C
    assert reading(raw).notes == ("a hybrid or foreign MBR: partition types 0xee, 0x0c",)
    raw[:512] = bytes(512)
    assert reading(raw).notes == ("the first sector has no protective MBR entry",)


def resealed(raw: bytearray, offset: int, value: bytes) -> bytes:
    """Change the table at `offset` of both headers (or arrays, from 512 on) and make the checksums fit."""
    for header, array in ((512, 1024), ((SECTORS - 1) * 512, (SECTORS - 33) * 512)):
        place = header + offset if offset < 512 else array + offset - 512
        raw[place : place + len(value)] = value
        raw[header + 88 : header + 92] = struct.pack("<I", zlib.crc32(raw[array : array + 9 * 128]))
        crc = zlib.crc32(raw[header : header + 16] + bytes(4) + raw[header + 20 : header + 92])
        raw[header + 16 : header + 20] = struct.pack("<I", crc)
    return bytes(raw)


@pytest.mark.parametrize(
    ("offset", "value", "message"),
    [
        (8, struct.pack("<I", 0x20000), "revision 0x00020000"),
        (24, struct.pack("<Q", 7), "says that it is in sector 7"),
        (72, struct.pack("<Q", 1 << 60), "outside the disk"),
        (72, struct.pack("<Q", 0), "outside the disk"),
        (80, struct.pack("<II", 0xFFFFFFFF, 128), "4,294,967,295 entries of 128 bytes"),
        (80, struct.pack("<II", 9, 0), "9 entries of 0 bytes"),
        (80, struct.pack("<II", 0, 128), "0 entries"),
        (512 + 32, struct.pack("<QQ", 50, 49), "sectors 50 to 49"),
        (512 + 32, struct.pack("<QQ", 50, 1 << 63), "the disk has 4,096"),
    ],
)
def test_sealed_nonsense_is_refused(offset: int, value: bytes, message: str) -> None:
    with pytest.raises(FormatError) as caught:
        reading(resealed(image(smartos()), offset, value))
    assert message in str(caught.value)


def test_sealed_overlaps_are_noted() -> None:
    found = reading(resealed(image(smartos()), 512 + 32, struct.pack("<QQ", 20, 600)))
    assert [note.partition(")")[2] for note in found.notes] == [
        " leaves the usable sectors 34 to 4,062",
        " and partition 1 ('boot', sectors 576 to 577) overlap",
    ]


class Patched(Content):
    """A content with some bytes replaced."""

    def __init__(self, raw: bytearray, changes: list[tuple[int, bytes]]) -> None:
        for offset, value in changes:
            raw[offset : offset + len(value)] = value[: len(raw) - offset]
        self.raw = raw

    @property
    def size(self) -> int:
        return len(self.raw)

    @property
    def origin(self) -> str:
        return "fuzz"

    def read_into(self, offset: int, buffer: memoryview) -> None:
        buffer[:] = self.raw[offset : offset + len(buffer)]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 4 * 512), st.binary(min_size=1, max_size=16)), max_size=6),
    st.lists(st.tuples(st.integers((SECTORS - 33) * 512, SECTORS * 512 - 1), st.binary(max_size=16)), max_size=3),
    st.integers(0, SECTORS * 512),
)
def test_damaged_images_never_do_worse_than_a_format_error(
    front: list[tuple[int, bytes]], back: list[tuple[int, bytes]], size: int
) -> None:
    raw = image(smartos())
    content = Patched(raw if size % 3 else raw[:size], [change for change in front + back if change[0] < len(raw)])
    try:
        found = gpt.read(content)
    except FormatError:
        return
    for partition in found.partitions:
        assert partition.offset + partition.size <= content.size


@pytest.mark.parametrize("what", ["guid", "type_guid"])
def test_no_guid_of_a_partition_is_zeros(what: str) -> None:
    with pytest.raises(PlanError, match="a GUID of zeros means an unused entry"):
        disk(part(0, 64, 8, **{what: uuid.UUID(int=0)})).content()


@pytest.mark.parametrize("size", [128, 256, 512])
def test_entries_may_be_longer_than_what_is_known_of_them(size: int) -> None:
    """UEFI: SizeOfPartitionEntry is 128 times a power of two; what lies behind the first 128 bytes is not looked at."""
    raw = image(smartos())
    for header, array in ((512, 1024), ((SECTORS - 1) * 512, (SECTORS - 33) * 512)):
        entries = [bytes(raw[array + index * 128 :][:128]) for index in range(9)]
        spread = b"".join(entry.ljust(size, b"\xee") for entry in entries)
        raw[array : array + len(spread)] = spread
        raw[header + 84 : header + 92] = struct.pack("<II", size, zlib.crc32(spread))
        crc = zlib.crc32(raw[header : header + 16] + bytes(4) + raw[header + 20 : header + 92])
        raw[header + 16 : header + 20] = struct.pack("<I", crc)
    found = reading(raw)
    named = [(0, "loader"), (1, "boot"), (2, "root"), (8, "reserved")]
    assert [(one.index, one.name) for one in found.partitions] == named


def test_a_backup_that_says_something_else_is_noted() -> None:
    """Both tables are sound, and differ: some tool changed but one of them."""
    raw = image(smartos())
    array, header = (SECTORS - 33) * 512, (SECTORS - 1) * 512
    raw[array + 2 * 128 + 56 : array + 2 * 128 + 58] = b"R\0"
    raw[header + 88 : header + 92] = struct.pack("<I", zlib.crc32(raw[array : array + 9 * 128]))
    raw[header + 16 : header + 20] = struct.pack(
        "<I", zlib.crc32(raw[header : header + 16] + bytes(4) + raw[header + 20 : header + 92])
    )
    found = reading(raw)
    assert found.notes == ("the backup partition table differs from the primary one",)
    assert found.partitions[2].name == "root"
    assert reading(image(smartos())).notes == ()
