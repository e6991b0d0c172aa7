"""Plans a FAT file system: which clusters each directory and file of a Tree gets."""

from collections.abc import Sequence

from imagekit.errors import PlanError
from imagekit.formats.fat import names
from imagekit.formats.fat.layout import FIRST_CLUSTER, OEM_NAME, RECORD_SIZE, SECTOR, BootSector, Kind
from imagekit.formats.fat.sizes import fitting, smallest
from imagekit.formats.fat.survey import survey_tree
from imagekit.formats.fat.writer import FatPlan, Placed
from imagekit.tree import Directory, File, Tree


def plan(
    tree: Tree,
    size: int,
    *,
    label: str,
    volume_id: int,
    kind: Kind | None = 32,
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
    cluster = FIRST_CLUSTER

    def place(entry: Directory | File, length: int) -> Placed:
        nonlocal cluster
        start, clusters = cluster, geometry.clusters(length)
        cluster += clusters
        return Placed(
            entry=entry,
            alias=survey.aliases.get(entry.path, b""),
            cluster=start if clusters else 0,
            clusters=clusters,
            offset=geometry.offset(start) if clusters else 0,
            size=length,
        )

    def place_root() -> Placed:
        if geometry.kind == 32:
            return place(tree.root, survey.records[""] * RECORD_SIZE)
        return Placed(
            entry=tree.root,
            alias=b"",
            cluster=0,
            clusters=0,
            offset=geometry.root_sector * SECTOR,
            size=geometry.root_records * RECORD_SIZE,
        )

    everything = [entry for entries in survey.contents.values() for entry in entries]
    by_path = {entry.path: entry for entry in everything}
    ordered = [by_path[entry.path] for entry in tree if entry.path]
    directories = [entry for entry in ordered if isinstance(entry, Directory)]
    files = [entry for entry in ordered if isinstance(entry, File)]
    leads = [lead.strip("/") for lead in first]
    files.sort(key=lambda file: _rank(file.path, leads))
    return FatPlan(
        boot=boot,
        directories=(
            place_root(),
            *(place(entry, survey.records[entry.path] * RECORD_SIZE) for entry in directories),
        ),
        files=tuple(place(entry, entry.content.size) for entry in files),
        children={path: tuple(entry.path for entry in entries) for path, entries in survey.contents.items()},
    )


def minimum_size(
    tree: Tree | None = None, *, kind: Kind | None = 32, cluster_size: int | None = None, spare: int = 0
) -> int:
    """Return the smallest good size, in bytes, of a file system that holds a Tree (none: any) with `spare` bytes free.

    It is a multiple of 4 KiB on FAT32, of 2 KiB on FAT12 and FAT16.  With `kind` or `cluster_size` None it goes with
    what `plan` will choose.  What FAT cannot hold is not counted.
    """
    return smallest(survey_tree(tree or Tree()), kind, cluster_size, spare=spare)


def _rank(path: str, first: Sequence[str]) -> int:
    for rank, lead in enumerate(first):
        if path == lead or path.startswith(f"{lead}/"):
            return rank
    return len(first)
