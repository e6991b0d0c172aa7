"""The reader of a disk's master boot record: sticks with one FAT partition, as SmartOS's were before 2019."""

from collections.abc import Callable
from dataclasses import dataclass, field

from imagekit.content import Content, Slice
from imagekit.errors import FormatError
from imagekit.formats.mbr.layout import ACTIVE, EXTENDED, MBR_MARK, MBR_SLOT, PROTECTIVE, SECTOR, SLOT_SIZE, SLOTS


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A used slot; `number` counts from 1, `first_lba` and `sectors` are in sectors."""

    number: int
    type: int
    active: bool
    first_lba: int
    sectors: int

    @property
    def end_lba(self) -> int:
        """The first sector behind the partition."""
        return self.first_lba + self.sectors

    @property
    def is_extended(self) -> bool:
        """Tell whether it holds partitions of its own."""
        return self.type in EXTENDED

    def __str__(self) -> str:
        return f"partition {self.number} (type {self.type:#04x}, sectors {self.first_lba:,} to {self.end_lba - 1:,})"


@dataclass(frozen=True, slots=True, kw_only=True)
class MbrImage:
    """What `read` found on a disk: the primary partitions, in the order of their slots."""

    content: Content = field(repr=False)
    partitions: tuple[Partition, ...]

    def slice(self, partition: Partition) -> Slice:
        """Return what a partition holds."""
        where = f"{self.content.origin}!partition {partition.number}"
        return Slice(self.content, partition.first_lba * SECTOR, partition.sectors * SECTOR, where)


def used_slots(sector: bytes) -> tuple[Partition, ...]:
    """Return the used slots of a first sector; none when it is no master boot record.

    A boot sector of a file system has the same mark: bytes of its program are no slots, and are not taken for ones.
    """
    if len(sector) < SECTOR or sector[SECTOR - 2 : SECTOR] != MBR_MARK:
        return ()
    table = sector[SLOTS]
    found = []
    for number in range(1, 5):
        slot = MBR_SLOT.parse(table[(number - 1) * SLOT_SIZE :][:SLOT_SIZE])
        if slot.status not in {0, ACTIVE}:
            return ()
        if slot.type:
            found.append(
                Partition(
                    number=number,
                    type=slot.type,
                    active=slot.status == ACTIVE,
                    first_lba=slot.first_lba,
                    sectors=slot.sectors,
                )
            )
    return tuple(found)


def is_mbr(content: Content) -> bool:
    """Tell whether a content begins with a master boot record whose partitions are its own, not those of a GPT."""
    return bool(_types(content)) and PROTECTIVE not in _types(content)


def is_protective(content: Content) -> bool:
    """Tell whether a content begins with the master boot record of a disk with a GPT."""
    return PROTECTIVE in _types(content)


def _types(content: Content) -> set[int]:
    return {partition.type for partition in used_slots(content.read(0, min(content.size, SECTOR)))}


def read(content: Content) -> MbrImage:
    """Read a disk's primary partitions; those in an extended one are not looked for.

    FormatError when there are none, or when one is empty, lies outside the disk or over another.
    """
    partitions = used_slots(content.read(0, min(content.size, SECTOR)))
    if not partitions:
        raise FormatError("no master boot record with partitions", where=content.origin)
    end, before = 1, "the master boot record"
    for partition in sorted(partitions, key=lambda partition: partition.first_lba):
        where = f"{content.origin}!partition {partition.number}"
        if not partition.sectors or partition.end_lba * SECTOR > content.size:
            raise FormatError(
                f"{partition} is empty or lies outside the disk of {content.size // SECTOR:,} sectors",
                where=where,
                hint="the image is damaged or cut short",
            )
        if partition.first_lba < end:
            raise FormatError(f"{partition} begins in {before}", where=where, hint="the image is damaged")
        end, before = partition.end_lba, str(partition)
    return MbrImage(content=content, partitions=partitions)


def find(content: Content, wanted: Callable[[Content], bool]) -> Content:
    """Return what the first partition holds that is `wanted`, active ones before all; FormatError without one.

    The partitions are checked as by `read`.
    """
    disk = read(content)
    for partition in sorted(disk.partitions, key=lambda partition: not partition.active):
        inside = disk.slice(partition)
        if wanted(inside):
            return inside
    listed = ", ".join(map(str, disk.partitions))
    extended = "; what is in an extended one is not looked for" if any(p.is_extended for p in disk.partitions) else ""
    raise FormatError(
        f"no partition holds a file system that can be read here: {listed}{extended}", where=content.origin
    )
