"""Which FAT a size calls for: FAT12, FAT16 or FAT32, how large its clusters are, and whether a Tree fits."""

from collections.abc import Iterator

from imagekit.errors import PlanError
from imagekit.formats.fat.geometry import Geometry
from imagekit.formats.fat.layout import (
    CLUSTER_SIZES,
    FAT12_CLUSTERS,
    FAT32_CLUSTERS,
    MAX_CLUSTERS,
    MAX_SECTORS,
    RECORD_SIZE,
    SECTOR,
    FatType,
)
from imagekit.formats.fat.survey import Survey

_MAX_SIZE = MAX_SECTORS * SECTOR
_MAX_ROOT_RECORDS = 65520  # the largest multiple of 16 (a sector) that 16 bits hold
_FAT16_ROOT_RECORDS = 512  # Microsoft's specification asks for them

# Some readers draw the lines at other numbers of clusters: Microsoft's specification advises to keep 16 away from them.
_CLUSTERS: dict[FatType, range] = {
    12: range(1, FAT12_CLUSTERS - 16),
    16: range(FAT12_CLUSTERS + 16, FAT32_CLUSTERS - 16),
    32: range(65536, MAX_CLUSTERS + 1),
}

# Bytes of which the computed sizes are multiples: a CD's sector, a page.
_SIZE_UNIT: dict[FatType, int] = {12: 2048, 16: 2048, 32: 4096}

# (largest size in bytes, cluster size in bytes): the smallest clusters for FAT12 and FAT16, Windows' choice for FAT32.
_DEFAULT_CLUSTERS: dict[FatType, tuple[tuple[int, int], ...]] = {
    12: tuple((4_000 * cluster_size, cluster_size) for cluster_size in CLUSTER_SIZES),
    16: tuple((65_000 * cluster_size, cluster_size) for cluster_size in CLUSTER_SIZES),
    32: ((260 << 20, 512), (8 << 30, 4096), (16 << 30, 8192), (32 << 30, 16384), (_MAX_SIZE, 32768)),
}

# (largest size in bytes, kind): as mkfs.fat has it, which goes to FAT32 at 512 MiB, however; here an EFI system
# partition of 256 MiB, which SmartOS has, is one already.
_DEFAULT_KINDS: tuple[tuple[int, FatType], ...] = ((8 << 20, 12), ((256 << 20) - SECTOR, 16), (_MAX_SIZE, 32))


def default_cluster_size(size: int, kind: FatType = 32) -> int:
    """Return the cluster size in bytes for a file system of `size` bytes.

    On FAT32 it is 512 up to 260 MiB, 4096 up to 8 GiB, and so on; on FAT12 and FAT16 the smallest that will do.
    """
    return _choose(size, kind, None)[1]


def smallest(survey: Survey, kind: FatType | None, cluster_size: int | None, *, spare: int = 0, floor: int = 0) -> int:
    """Return the smallest size in bytes, `floor` or more, in which a Tree leaves `spare` bytes free.

    It goes with the kind and the cluster size that `fitting` chooses for it, where they are None.
    """
    for largest, its_kind, clusters in _choices(kind, cluster_size):
        size = _size_with(survey, its_kind, clusters, spare, floor)
        if size is not None and size <= largest:
            return size
        floor = max(floor, largest + 1)
    with_clusters = f" with clusters of {cluster_size} bytes" if cluster_size else ""
    raise PlanError(f"the tree is too large for {_name(kind)}{with_clusters}")


def fitting(survey: Survey, size: int, kind: FatType | None, cluster_size: int | None) -> Geometry:
    """Return how a file system of `size` bytes is laid out; kind and cluster size are chosen where they are None.

    Raise PlanError when there is no such file system, or the Tree does not fit.
    """
    if cluster_size not in {None, *CLUSTER_SIZES}:
        raise PlanError(
            f"clusters of {cluster_size} bytes are not possible", hint=f"one of {', '.join(map(str, CLUSTER_SIZES))}"
        )
    if size % SECTOR or not 0 <= size <= _MAX_SIZE:
        raise PlanError(
            f"a {_name(kind)} file system cannot have {size:,} bytes",
            hint=f"give a multiple of {SECTOR}, at most {_MAX_SIZE:,} bytes",
        )
    its_kind, clusters = _choose(size, kind, cluster_size)
    geometry = _geometry(survey, its_kind, size, clusters)
    if geometry is None:
        raise PlanError(
            f"the root directory takes {survey.records['']:,} records, that of FAT{its_kind} has at most "
            f"{_MAX_ROOT_RECORDS:,}",
            hint="spread its entries over several directories, or make it a FAT32",
        )
    count, possible = geometry.cluster_count, _CLUSTERS[its_kind]
    found = f"{max(count, 0):,} clusters of {clusters} bytes"
    if count >= possible.stop:
        raise PlanError(f"{found}, FAT{its_kind} has at most {possible.stop - 1:,}", hint="choose larger clusters")
    if count < possible.start:
        needed = smallest(survey, kind, None)
        raise PlanError(
            f"{size:,} bytes are too few for FAT{its_kind}: {found}, at least {possible.start:,} are needed",
            hint=f"give it at least {needed:,} bytes" if size < needed else "choose smaller clusters",
        )
    if _used_clusters(survey, its_kind, clusters) > count:
        needed = smallest(survey, kind, cluster_size)
        if needed <= size:  # a smaller one has smaller clusters, or shorter tables
            needed = smallest(survey, kind, cluster_size, floor=size)
        raise PlanError(
            f"does not fit: needs {needed:,} bytes, has {size:,}", hint=f"give it at least {needed:,} bytes"
        )
    return geometry


def _choices(kind: FatType | None, cluster_size: int | None) -> Iterator[tuple[int, FatType, int]]:
    """Yield (largest size, kind, cluster size), sizes in bytes ascending: up to which size what is chosen."""
    if cluster_size is None:
        for most, its_kind in _DEFAULT_KINDS if kind is None else [(_MAX_SIZE, kind)]:
            for largest, clusters in _DEFAULT_CLUSTERS[its_kind]:
                yield min(largest, most), its_kind, clusters
    elif kind is None:
        yield 4_000 * cluster_size, 12, cluster_size
        yield 65_000 * cluster_size, 16, cluster_size
        yield _MAX_SIZE, 32, cluster_size
    else:
        yield _MAX_SIZE, kind, cluster_size


def _choose(size: int, kind: FatType | None, cluster_size: int | None) -> tuple[FatType, int]:
    """Return kind and cluster size for a file system of `size` bytes."""
    most = 0
    for largest, its_kind, clusters in _choices(kind, cluster_size):
        if size <= largest:
            return its_kind, clusters
        most = largest
    raise PlanError(f"a {_name(kind)} file system has at most {most:,} bytes, not {size:,}")


def _size_with(survey: Survey, kind: FatType, cluster_size: int, spare: int, floor: int) -> int | None:
    """Return the smallest size in bytes, `floor` or more, with this kind and cluster size; None when there is none."""
    unit, possible = _SIZE_UNIT[kind], _CLUSTERS[kind]
    needed = max(_used_clusters(survey, kind, cluster_size) + -(-spare // cluster_size), possible.start)
    size = -(-max(floor, possible.start * cluster_size) // unit) * unit
    while True:
        geometry = _geometry(survey, kind, size, cluster_size)
        if geometry is None or max(needed, geometry.cluster_count) >= possible.stop:
            return None
        if geometry.cluster_count >= needed:
            return size
        # As many bytes as the missing clusters have are not too many, for the tables only grow.
        missing = max((needed - geometry.cluster_count - 1) * cluster_size, 1)
        size += -(-missing // unit) * unit


def _geometry(survey: Survey, kind: FatType, size: int, cluster_size: int) -> Geometry | None:
    """Return how a file system of `size` bytes is laid out, or None when its root cannot hold so much."""
    if kind == 32:
        return Geometry.filling(kind, size, cluster_size)
    records = -(-survey.records[""] // 16) * 16
    if records > _MAX_ROOT_RECORDS:
        return None
    return Geometry.filling(kind, size, cluster_size, max(records, _FAT16_ROOT_RECORDS if kind == 16 else 0))


def _used_clusters(survey: Survey, kind: FatType, cluster_size: int) -> int:
    """Return how many clusters the Tree takes; the root directory of FAT12 and FAT16 takes none."""
    root = 0 if kind == 32 else -(-survey.records[""] * RECORD_SIZE // cluster_size)
    return survey.used_clusters(cluster_size) - root


def _name(kind: FatType | None) -> str:
    return f"FAT{kind or ''}"
