"""The plan of a disk that carries a GUID partition table."""

import uuid
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from imagekit.content import Bytes, Composite, Content
from imagekit.errors import PlanError
from imagekit.formats.gpt.layout import (
    DEFAULT_ENTRIES,
    ENTRY,
    ENTRY_SIZE,
    FIRST_USABLE,
    HEADER,
    HEADER_SIZE,
    MOST_ENTRIES,
    NAME_UNITS,
    REVISION,
    SECTOR,
    SIGNATURE,
    TAIL,
    UNUSED,
    Partition,
    last_usable,
    overlaps,
)
from imagekit.formats.mbr.layout import ACTIVE, MBR_MARK, MBR_SLOT, PROTECTIVE, SLOTS


@dataclass(frozen=True, slots=True, kw_only=True)
class GptPlan:
    """The plan of a disk: its partitions, and a boot sector around the protective entry.

    `boot_code` is a whole master boot record of 512 bytes; only its four partition slots are replaced.  `active` marks
    the protective entry as the one to boot from: against the UEFI specification (5.2.3), for BIOSes that look for one.
    PlanError when the partitions overlap, leave the usable area, share an entry or a GUID, or when anything is out of
    its range.
    """

    size: int
    disk_guid: uuid.UUID
    partitions: Sequence[Partition]
    boot_code: bytes = bytes(510) + MBR_MARK
    entry_count: int = DEFAULT_ENTRIES
    active: bool = False

    def __post_init__(self) -> None:
        smallest = (FIRST_USABLE + 1 + TAIL) * SECTOR
        if self.size % SECTOR or self.size < smallest:
            raise PlanError(
                f"a disk of {self.size:,} bytes cannot carry a GPT",
                hint=f"give a multiple of {SECTOR} bytes, at least {smallest:,}",
            )
        if not 1 <= self.entry_count <= MOST_ENTRIES:
            raise PlanError(f"a partition table of {self.entry_count} entries: 1 to {MOST_ENTRIES} are possible")
        if len(self.boot_code) != SECTOR or self.boot_code[-2:] != MBR_MARK:
            raise PlanError(
                f"not a boot sector: {len(self.boot_code):,} bytes that end in '{self.boot_code[-2:].hex(' ')}'",
                hint="a master boot record is 512 bytes long and ends in 55 aa",
            )
        for partition in self.partitions:
            self._check(partition)
        self._check_together()

    def _check(self, partition: Partition) -> None:
        last = last_usable(self.size)
        if not 0 <= partition.index < self.entry_count:
            raise PlanError(f"{partition}: the table has entries 0 to {self.entry_count - 1}")
        if partition.sectors < 1 or partition.first_lba < FIRST_USABLE or partition.last_lba > last:
            raise PlanError(f"{partition} does not fit: the usable sectors are {FIRST_USABLE:,} to {last:,}")
        if not 0 <= partition.attributes < 1 << 64:
            raise PlanError(f"{partition}: attributes {partition.attributes:#x} are more than 64 bits")
        if UNUSED in {partition.type_guid, partition.guid}:
            raise PlanError(f"{partition}: a GUID of zeros means an unused entry")
        _encode_name(partition)

    def _check_together(self) -> None:
        for what in ("index", "guid"):
            seen: dict[object, Partition] = {}
            for partition in self.partitions:
                other = seen.setdefault(getattr(partition, what), partition)
                if other is not partition:
                    raise PlanError(f"{other} and {partition} have the same {what}: {getattr(partition, what)}")
        for one, two in overlaps(self.partitions):
            raise PlanError(f"{one} and {two} overlap")

    def mbr(self) -> bytes:
        """Return the boot sector with the protective entry, as illumos writes it, in its first slot."""
        slot = MBR_SLOT.build(
            {
                "status": ACTIVE if self.active else 0,
                "first_chs": b"\x00\x02\x00",
                "type": PROTECTIVE,
                "last_chs": b"\xff\xff\xff",
                "first_lba": 1,
                "sectors": min(self.size // SECTOR - 1, 0xFFFFFFFF),
            }
        )
        sector = bytearray(self.boot_code)
        sector[SLOTS] = slot.ljust(64, b"\0")
        return bytes(sector)

    def pieces(self) -> list[tuple[int, Content]]:
        """Return (offset in bytes, content) of the boot sector, both arrays and both headers."""
        last = self.size // SECTOR - 1
        array = self._array()
        primary = self._header(array, my_lba=1, other_lba=last, entries_lba=2)
        backup = self._header(array, my_lba=last, other_lba=1, entries_lba=last_usable(self.size) + 1)
        return [
            (0, Bytes(self.mbr(), "the master boot record")),
            (SECTOR, Bytes(primary, "the GPT header")),
            (2 * SECTOR, Bytes(array, "the GPT entries")),
            ((last_usable(self.size) + 1) * SECTOR, Bytes(array, "the backup GPT entries")),
            (last * SECTOR, Bytes(backup, "the backup GPT header")),
        ]

    def lines(self) -> Iterator[str]:
        """Yield the partitions as text."""
        yield f"{'':2} {'NAME':10} {'FIRST LBA':>11} {'SECTORS':>11}  GUID"
        for part in self.partitions:
            yield f"{part.index:2} {part.name:10} {part.first_lba:11} {part.sectors:11}  {part.guid}"

    def data(self) -> dict[str, object]:
        """Return the disk as data; offsets and sizes are in bytes."""
        return {
            "guid": str(self.disk_guid),
            "size": self.size,
            "partitions": [part.data() for part in self.partitions],
        }

    def content(self, contents: Mapping[int, Content] | None = None, origin: str = "disk") -> Composite:
        """Return the disk; `contents` are what the partitions hold, by index, each no larger than its partition."""
        pieces = self.pieces()
        by_index = {partition.index: partition for partition in self.partitions}
        for index, content in (contents or {}).items():
            partition = by_index.get(index)
            if partition is None:
                raise PlanError(f"{content.origin} is meant for partition {index}, which does not exist")
            if content.size > partition.size:
                raise PlanError(
                    f"{content.origin} has {content.size:,} bytes, {partition} only {partition.size:,}",
                    hint="give the partition more sectors",
                )
            pieces.append((partition.offset, content))
        return Composite(self.size, pieces, origin)

    def _array(self) -> bytes:
        array = bytearray(self.entry_count * ENTRY_SIZE)
        for partition in self.partitions:
            start = partition.index * ENTRY_SIZE
            array[start : start + ENTRY_SIZE] = ENTRY.build(
                {
                    "type_guid": partition.type_guid,
                    "guid": partition.guid,
                    "first_lba": partition.first_lba,
                    "last_lba": partition.last_lba,
                    "attributes": partition.attributes,
                    "name": _encode_name(partition),
                }
            )
        return bytes(array)

    def _header(self, array: bytes, **places: int) -> bytes:
        values = {
            "signature": SIGNATURE,
            "revision": REVISION,
            "header_size": HEADER_SIZE,
            "header_crc": 0,
            "first_usable": FIRST_USABLE,
            "last_usable": last_usable(self.size),
            "disk_guid": self.disk_guid,
            "entry_count": self.entry_count,
            "entry_size": ENTRY_SIZE,
            "entries_crc": zlib.crc32(array),
            **places,
        }
        crc = zlib.crc32(HEADER.build(values))
        header: bytes = HEADER.build({**values, "header_crc": crc})
        return header.ljust(SECTOR, b"\0")


def _encode_name(partition: Partition) -> bytes:
    try:
        encoded = partition.name.encode("utf-16-le")
    except UnicodeEncodeError as error:
        raise PlanError(f"{partition}: the name has characters that UTF-16 cannot hold") from error
    if len(encoded) > 2 * NAME_UNITS or "\0" in partition.name:
        raise PlanError(f"{partition}: a name has at most {NAME_UNITS} UTF-16 units and no NUL")
    return encoded.ljust(2 * NAME_UNITS, b"\0")
