"""The plan of a FAT file system: everything decided, nothing written."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from imagekit.content import Composite
from imagekit.errors import PlanError
from imagekit.formats.fat import names
from imagekit.formats.fat.boot_sector import BootSector
from imagekit.formats.fat.geometry import Geometry
from imagekit.formats.fat.layout import FIRST_CLUSTER, OEM_NAME, SECTOR, FatType
from imagekit.formats.fat.placement import Placement, place
from imagekit.formats.fat.sizes import fitting, smallest
from imagekit.formats.fat.survey import survey_tree
from imagekit.formats.fat.writer import render
from imagekit.tree import Directory, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class FatPlan:
    """A FAT file system of which everything is decided."""

    boot: BootSector
    placement: Placement

    @property
    def geometry(self) -> Geometry:
        """Sizes and places of the file system's parts."""
        return self.placement.geometry

    @property
    def format(self) -> str:
        """FAT12, FAT16 or FAT32."""
        return f"FAT{self.geometry.kind}"

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.geometry.sector_count * SECTOR

    def content(self, origin: str | None = None) -> Composite:
        """Return the file system: headers, tables, directories and files as pieces."""
        return render(self.placement, self.boot, origin or f"{self.format} file system")

    def data(self) -> dict[str, object]:
        """Return the plan as JSON data; sizes and offsets in bytes, `hidden` in sectors."""
        geometry = self.geometry
        return {
            "format": self.format,
            "size": self.size,
            "label": self.boot.label,
            "volume_id": f"{self.boot.volume_id:08x}",
            "hidden": self.boot.hidden_sectors,
            "cluster_size": geometry.cluster_size,
            "clusters": geometry.cluster_count,
            "free_clusters": self.placement.free_clusters,
            "tables": [geometry.fat_offset(copy) for copy in range(geometry.fat_copies)],
            "table_size": geometry.fat_sectors * SECTOR,
            "data": geometry.offset(FIRST_CLUSTER),
            "entries": [
                {
                    "path": placed.entry.path,
                    "type": placed.entry.KIND,
                    "alias": names.shown(placed.alias),
                    "cluster": placed.cluster,
                    "clusters": placed.clusters,
                    "offset": placed.offset or None,
                    "size": placed.size,
                }
                for placed in self.placement.placed()
            ],
        }

    def lines(self) -> Iterator[str]:
        """Yield the plan for people: what the file system is, then a line for each entry, in the order on the disk."""
        geometry, free = self.geometry, self.placement.free_clusters
        yield f"{self.format} {self.boot.label or '(no label)'} {self.boot.volume_id:08x}, {self.size:,} bytes"
        yield f"{geometry.cluster_count:,} clusters of {geometry.cluster_size:,} bytes, {free:,} free"
        yield f"{'OFFSET':>16} {'SIZE':>14} {'CLUSTER':>9}  PATH"
        for placed in self.placement.placed():
            offset = f"{placed.offset:,}" if placed.offset else "-"
            slash = "/" if isinstance(placed.entry, Directory) and placed.entry.path else ""
            yield f"{offset:>16} {placed.size:>14,} {placed.cluster:>9}  /{placed.entry.path}{slash}"


def plan(
    tree: Tree,
    size: int,
    *,
    label: str,
    volume_id: int,
    kind: FatType | None = 32,
    cluster_size: int | None = None,
    hidden_sectors: int = 0,
    first: Sequence[str] = (),
) -> FatPlan:
    """Plan a file system of `size` bytes that holds a Tree.

    `label` is "" or at most 11 characters; `volume_id` has 32 bits; `kind` is 12, 16 or 32, `None` for the one that
    suits the size: FAT12 up to 8 MiB, FAT32 from 256 MiB on; `cluster_size` in bytes is chosen by `size` unless given;
    `hidden_sectors` is the sector at which the partition starts on its disk.  Files lie in the order of the Tree, but
    for those at or below the paths in `first`, which lead, in the order of `first`.

    A hard link becomes a copy of its file.  Modes and owners are lost, times are cut to even seconds from 1980 to 2107
    (UTC).  Raise PlanError, with all that is wrong, when something in the Tree cannot stand on FAT or does not fit.
    """
    names.check_label(label)
    for what, number in (("volume id", volume_id), ("partition start", hidden_sectors)):
        if not 0 <= number <= 0xFFFFFFFF:
            raise PlanError(f"FAT's {what} has 32 bits: {number:#x} does not fit")
    survey = survey_tree(tree)
    heading = f"{len(survey.problems)} things in the tree cannot stand on FAT"
    survey.problems.raise_if_any(PlanError, heading, alone="")
    geometry = fitting(survey, size, kind, cluster_size)
    boot = BootSector(
        geometry=geometry,
        oem_name=OEM_NAME.decode("ascii"),
        label=label,
        volume_id=volume_id,
        hidden_sectors=hidden_sectors,
        root_cluster=FIRST_CLUSTER if geometry.kind == 32 else 0,
        active_fat=0,
    )
    return FatPlan(boot=boot, placement=place(tree, survey, geometry, first))


def minimum_size(
    tree: Tree | None = None, *, kind: FatType | None = 32, cluster_size: int | None = None, spare: int = 0
) -> int:
    """Return the smallest good size, in bytes, of a file system that holds a Tree (none: any) with `spare` bytes free.

    It is a multiple of 4 KiB on FAT32, of 2 KiB on FAT12 and FAT16.  With `kind` or `cluster_size` None it goes with
    what `plan` will choose.  What FAT cannot hold is not counted.
    """
    return smallest(survey_tree(tree or Tree()), kind, cluster_size, spare=spare)
