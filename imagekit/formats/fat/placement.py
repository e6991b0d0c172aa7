"""Where the directories and files of a Tree lie on FAT: each in neighbouring clusters, one behind the other."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from imagekit.formats.fat.geometry import Geometry
from imagekit.formats.fat.layout import FIRST_CLUSTER, RECORD_SIZE, SECTOR
from imagekit.formats.fat.survey import Survey
from imagekit.tree import Directory, File, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
    """A directory or file and where it lies.

    `alias` is the short name (11 bytes); `cluster` the first of `clusters` neighbours, 0 when there are none; `offset`
    and `size` in bytes from the start of the file system (a directory's size is that of its records).  The root
    directory of FAT12 and FAT16 has a place of its own before the clusters, and the size of that place.
    """

    entry: Directory | File
    alias: bytes
    cluster: int
    clusters: int
    offset: int
    size: int

    @property
    def end(self) -> int:
        """The offset in bytes behind the last byte."""
        return self.offset + self.size


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """All that lies on a FAT file system.

    `directories` come first, the root first of all; `files` follow in the order of the plan, each in neighbouring
    clusters.  `children` are the paths in each directory, in the order of its records.
    """

    geometry: Geometry
    directories: tuple[Placed, ...]
    files: tuple[Placed, ...]
    children: dict[str, tuple[str, ...]] = field(repr=False)

    @property
    def used_clusters(self) -> int:
        """How many clusters hold directories and files: they are the first ones."""
        return sum(placed.clusters for placed in self.placed())

    @property
    def free_clusters(self) -> int:
        """How many clusters are free."""
        return self.geometry.cluster_count - self.used_clusters

    def placed(self) -> Iterator[Placed]:
        """Yield the directories, then the files, in the order in which they lie."""
        yield from self.directories
        yield from self.files


def place(tree: Tree, survey: Survey, geometry: Geometry, first: Sequence[str]) -> Placement:
    """Give all of a Tree its clusters; files at or below the paths in `first` lead, in that order."""
    cluster = FIRST_CLUSTER

    def take(entry: Directory | File, length: int) -> Placed:
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

    def take_root() -> Placed:
        if geometry.kind == 32:
            return take(tree.root, survey.records[""] * RECORD_SIZE)
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
    return Placement(
        geometry=geometry,
        directories=(
            take_root(),
            *(take(entry, survey.records[entry.path] * RECORD_SIZE) for entry in directories),
        ),
        files=tuple(take(entry, entry.content.size) for entry in files),
        children={path: tuple(entry.path for entry in entries) for path, entries in survey.contents.items()},
    )


def _rank(path: str, first: Sequence[str]) -> int:
    for rank, lead in enumerate(first):
        if path == lead or path.startswith(f"{lead}/"):
            return rank
    return len(first)
