"""Puts into a placement what stands before the directories: volume descriptors, boot catalog and path tables."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

from imagekit.formats.iso import el_torito
from imagekit.formats.iso.directories import Directories
from imagekit.formats.iso.layout import (
    FLAG_DIRECTORY,
    IDENTIFIER,
    SECTOR,
    SELF,
    TERMINATOR,
    DirectoryRecord,
    record_time,
)
from imagekit.formats.iso.placement import Placement
from imagekit.formats.iso.volume import VolumeIds, volume_descriptor


@dataclass(frozen=True, slots=True, kw_only=True)
class Places:
    """The sectors in which they start, in their order; `boot_record` and `catalog` are 0 where nothing boots.

    `table_size` is that of each path table, in bytes.
    """

    primary: int
    boot_record: int
    terminator: int
    catalog: int
    table_l: int
    table_m: int
    table_size: int

    @classmethod
    def reserve(cls, placement: Placement, table_size: int, *, bootable: bool) -> Self:
        """Take the sectors that they need."""
        return cls(
            primary=placement.reserve(SECTOR),
            boot_record=placement.reserve(SECTOR) if bootable else 0,
            terminator=placement.reserve(SECTOR),
            catalog=placement.reserve(SECTOR) if bootable else 0,
            table_l=placement.reserve(table_size),
            table_m=placement.reserve(table_size),
            table_size=table_size,
        )


def put_headers(
    placement: Placement,
    places: Places,
    directories: Directories,
    ids: VolumeIds,
    *,
    time: int,
    root_time: int,
    boot: Sequence[el_torito.CatalogEntry],
) -> None:
    """Put all of them into a placement that is complete; times are in seconds since 1970."""
    root = directories.root
    descriptor = volume_descriptor(
        ids,
        time=time,
        sectors=placement.next_sector,
        table_size=places.table_size,
        table_l=places.table_l,
        table_m=places.table_m,
        root=DirectoryRecord(root.sector, root.size, record_time(root_time), FLAG_DIRECTORY, SELF),
    )
    placement.put_bytes(places.primary, descriptor, "primary volume descriptor")
    if boot:
        placement.put_bytes(places.boot_record, el_torito.boot_record(places.catalog), "boot record")
        placement.put_bytes(places.catalog, el_torito.pack_catalog(boot), "boot catalog")
    terminator = bytes((TERMINATOR,)) + IDENTIFIER + b"\1"
    placement.put_bytes(places.terminator, terminator, "volume descriptor set terminator")
    placement.put_bytes(places.table_l, directories.path_table("<"), "path table L")
    placement.put_bytes(places.table_m, directories.path_table(">"), "path table M")
