"""Plans a FAT32 file system: which clusters each directory and file of a Tree gets, and whether all of it fits."""

from collections.abc import Sequence

from imagekit.errors import PlanError
from imagekit.formats.fat import names
from imagekit.formats.fat.image import FatPlan, Placed
from imagekit.formats.fat.layout import (
    CLUSTER_SIZES,
    FAT32_CLUSTERS,
    MAX_CLUSTERS,
    MAX_SECTORS,
    OEM_NAME,
    RECORD_SIZE,
    ROOT_CLUSTER,
    SECTOR,
    BootSector,
    Geometry,
)
from imagekit.formats.fat.survey import Survey, survey_tree
from imagekit.tree import Directory, File, Tree

# Readers disagree about 65,525 to 65,535 clusters; the sizes that are computed here keep clear of them.
_SAFE_CLUSTERS = 65536
_SIZE_UNIT = 4096  # bytes; the computed sizes are multiples

# (largest size in bytes, cluster size in bytes) as Windows chooses them for FAT32.
_DEFAULT_CLUSTERS = (
    (260 << 20, 512),
    (8 << 30, 4096),
    (16 << 30, 8192),
    (32 << 30, 16384),
    (MAX_SECTORS * SECTOR, 32768),
)


def plan(
    tree: Tree,
    size: int,
    *,
    label: str,
    volume_id: int,
    cluster_size: int | None = None,
    hidden_sectors: int = 0,
    first: Sequence[str] = (),
) -> FatPlan:
    """Plan a FAT32 file system of `size` bytes that holds a Tree.

    `label` is "" or at most 11 characters; `volume_id` has 32 bits; `cluster_size` in bytes is chosen by `size` unless
    given; `hidden_sectors` is the sector at which the partition starts on its disk.  Files lie in the order of the
    Tree, but for those at or below the paths in `first`, which lead, in the order of `first`.

    A hard link becomes a copy of its file.  Modes and owners are lost, times are cut to even seconds from 1980 to 2107
    (UTC).  Raise PlanError, with all that is wrong, when something in the Tree cannot stand on FAT or does not fit.
    """
    names.check_label(label)
    for what, number in (("volume id", volume_id), ("partition start", hidden_sectors)):
        if not 0 <= number <= 0xFFFFFFFF:
            raise PlanError(f"FAT's {what} has 32 bits: {number:#x} does not fit")
    survey = survey_tree(tree)
    _raise_all(survey.faults)
    geometry = _geometry(survey, size, cluster_size)
    boot = BootSector(
        geometry=geometry,
        oem_name=OEM_NAME.decode("ascii"),
        label=label,
        volume_id=volume_id,
        hidden_sectors=hidden_sectors,
        root_cluster=ROOT_CLUSTER,
        active_fat=0,
    )
    cluster = ROOT_CLUSTER

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

    everything = [entry for entries in survey.contents.values() for entry in entries]
    by_path = {entry.path: entry for entry in everything}
    ordered = [by_path[entry.path] for entry in tree if entry.path]
    directories = [entry for entry in ordered if isinstance(entry, Directory)]
    files = [entry for entry in ordered if isinstance(entry, File)]
    leads = [lead.strip("/") for lead in first]
    files.sort(key=lambda file: _rank(file.path, leads))
    return FatPlan(
        boot=boot,
        directories=tuple(
            place(entry, survey.records[entry.path] * RECORD_SIZE) for entry in (tree.root, *directories)
        ),
        files=tuple(place(entry, entry.content.size) for entry in files),
        children={path: tuple(entry.path for entry in entries) for path, entries in survey.contents.items()},
    )


def check(tree: Tree) -> list[PlanError]:
    """Return all that keeps a Tree from standing on FAT, one error an entry; the size is not looked at."""
    return survey_tree(tree).faults


def minimum_size(tree: Tree | None = None, *, cluster_size: int | None = None, spare: int = 0) -> int:
    """Return the smallest good size, in bytes, of a FAT32 that holds a Tree (none: of any) and has `spare` bytes free.

    It is a multiple of 4 KiB.  With `cluster_size` None it goes with the cluster size that `plan` will choose.  What
    FAT cannot hold (see `check`) is not counted.
    """
    return _minimum_size(survey_tree(tree or Tree()), cluster_size, spare)


def default_cluster_size(size: int) -> int:
    """Return the cluster size in bytes for a FAT32 of `size` bytes: 512 up to 260 MiB, 4096 up to 8 GiB, and so on."""
    for largest, cluster_size in _DEFAULT_CLUSTERS:
        if size <= largest:
            return cluster_size
    raise PlanError(f"a FAT32 file system has at most {MAX_SECTORS * SECTOR:,} bytes, not {size:,}")


def _minimum_size(survey: Survey, cluster_size: int | None, spare: int) -> int:
    if cluster_size is not None:
        return _size_with(survey, cluster_size, spare)
    smallest = 0
    for largest, candidate in _DEFAULT_CLUSTERS:
        size = max(_size_with(survey, candidate, spare), smallest)
        if size <= largest:
            return size
        smallest = largest + _SIZE_UNIT
    raise PlanError(f"the tree needs more than the {MAX_SECTORS * SECTOR:,} bytes that a FAT32 file system can have")


def _size_with(survey: Survey, cluster_size: int, spare: int) -> int:
    clusters = max(survey.used_clusters(cluster_size) + -(-spare // cluster_size), _SAFE_CLUSTERS)
    size = clusters * cluster_size
    while True:
        size = -(-size // _SIZE_UNIT) * _SIZE_UNIT
        missing = clusters - Geometry.for_fat32(size, cluster_size).cluster_count
        if missing <= 0:
            return size
        size += missing * cluster_size


def _geometry(survey: Survey, size: int, requested: int | None) -> Geometry:
    cluster_size = default_cluster_size(size) if requested is None else requested
    if cluster_size not in CLUSTER_SIZES:
        raise PlanError(
            f"clusters of {cluster_size} bytes are not possible", hint=f"one of {', '.join(map(str, CLUSTER_SIZES))}"
        )
    if size % SECTOR or not 0 <= size <= MAX_SECTORS * SECTOR:
        raise PlanError(
            f"a FAT32 file system cannot have {size:,} bytes",
            hint=f"give a multiple of {SECTOR}, at most {MAX_SECTORS * SECTOR:,}",
        )
    geometry = Geometry.for_fat32(size, cluster_size)
    count = geometry.cluster_count
    if count > MAX_CLUSTERS:
        raise PlanError(
            f"{count:,} clusters of {cluster_size} bytes, FAT32 has at most {MAX_CLUSTERS:,}",
            hint="choose larger clusters",
        )
    if count < FAT32_CLUSTERS:
        smallest = _minimum_size(survey, None, 0)
        raise PlanError(
            f"{size:,} bytes are too few for FAT32: {max(count, 0):,} clusters of {cluster_size} bytes, "
            f"at least {FAT32_CLUSTERS:,} are needed",
            hint=f"give it at least {smallest:,} bytes" if size < smallest else "choose smaller clusters",
        )
    if survey.used_clusters(cluster_size) > count:
        needed = _minimum_size(survey, requested, 0)
        if needed <= size:  # it would fit into less with the smaller clusters of a smaller file system
            needed = _size_with(survey, cluster_size, 0)
        raise PlanError(
            f"does not fit: needs {needed:,} bytes, has {size:,}", hint=f"give it at least {needed:,} bytes"
        )
    return geometry


def _rank(path: str, first: Sequence[str]) -> int:
    for rank, lead in enumerate(first):
        if path == lead or path.startswith(f"{lead}/"):
            return rank
    return len(first)


def _raise_all(faults: Sequence[PlanError]) -> None:
    if len(faults) == 1:
        raise faults[0]
    if faults:
        lines = [f"{fault}" + (f" ({fault.hint})" if fault.hint else "") for fault in faults]
        raise PlanError(f"{len(faults)} things in the tree cannot stand on FAT:\n  " + "\n  ".join(lines))
