"""A planned FAT file system: where everything lies, and its content as pieces."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from imagekit.content import Bytes, Composite, Content
from imagekit.formats.fat import names
from imagekit.formats.fat.layout import (
    ARCHIVE,
    BACKUP_SECTOR,
    DIRECTORY,
    DOT,
    DOT_DOT,
    FIRST_CLUSTER,
    FSINFO_SECTOR,
    RECORD,
    SECTOR,
    VOLUME_LABEL,
    BootSector,
    Geometry,
    pack_fsinfo,
)
from imagekit.formats.fat.table import allocation_table
from imagekit.tree import Directory, File

_UNKNOWN = 0xFFFFFFFF  # FSInfo: no cluster is known to be free


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
class FatPlan:
    """A FAT file system of which everything is decided.

    `directories` come first, the root first of all; `files` follow in the order of the plan, each in neighbouring
    clusters.  `children` are the paths in each directory, in the order of its records.
    """

    boot: BootSector
    directories: tuple[Placed, ...]
    files: tuple[Placed, ...]
    children: dict[str, tuple[str, ...]] = field(repr=False)

    @property
    def geometry(self) -> Geometry:
        """Sizes and places of the file system's parts."""
        return self.boot.geometry

    @property
    def format(self) -> str:
        """FAT12, FAT16 or FAT32."""
        return f"FAT{self.geometry.kind}"

    @property
    def size(self) -> int:
        """The size in bytes."""
        return self.geometry.sector_count * SECTOR

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

    def content(self, origin: str | None = None) -> Content:
        """Return the file system: headers, tables, directories and files as pieces."""
        geometry = self.geometry
        boot = Bytes(self.boot.pack(), "the boot sector")
        table = allocation_table(
            geometry.kind, [placed.cluster + placed.clusters - 1 for placed in self.placed() if placed.clusters]
        )
        pieces: list[tuple[int, Content]] = [(0, boot)]
        if geometry.kind == 32:
            next_free = FIRST_CLUSTER + self.used_clusters if self.free_clusters else _UNKNOWN
            fsinfo = Bytes(pack_fsinfo(self.free_clusters, next_free), "FSInfo")
            pieces += [
                (FSINFO_SECTOR * SECTOR, fsinfo),
                (BACKUP_SECTOR * SECTOR, boot),
                ((BACKUP_SECTOR + FSINFO_SECTOR) * SECTOR, fsinfo),
            ]
        pieces.extend((geometry.fat_offset(copy), table) for copy in range(geometry.fat_copies))
        by_path = {placed.entry.path: placed for placed in self.placed()}
        pieces.extend(
            (placed.offset, Bytes(self._records(placed, by_path), f"the directory /{placed.entry.path}"))
            for placed in self.directories
        )
        pieces.extend((placed.offset, placed.entry.content) for placed in self.files if isinstance(placed.entry, File))
        return Composite(self.size, pieces, origin or f"{self.format} file system")

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
            "free_clusters": self.free_clusters,
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
                for placed in self.placed()
            ],
        }

    def lines(self) -> Iterator[str]:
        """Yield the plan for people: what the file system is, then a line for each entry, in the order on the disk."""
        geometry = self.geometry
        yield f"{self.format} {self.boot.label or '(no label)'} {self.boot.volume_id:08x}, {self.size:,} bytes"
        yield f"{geometry.cluster_count:,} clusters of {geometry.cluster_size:,} bytes, {self.free_clusters:,} free"
        yield f"{'OFFSET':>16} {'SIZE':>14} {'CLUSTER':>9}  PATH"
        for placed in self.placed():
            offset = f"{placed.offset:,}" if placed.offset else "-"
            slash = "/" if isinstance(placed.entry, Directory) and placed.entry.path else ""
            yield f"{offset:>16} {placed.size:>14,} {placed.cluster:>9}  /{placed.entry.path}{slash}"

    def _records(self, directory: Placed, by_path: dict[str, Placed]) -> bytes:
        path, mtime = directory.entry.path, directory.entry.mtime
        records = []
        if path:
            parent = by_path[directory.entry.parent]
            # Above a directory of the first level is cluster 0, whatever cluster the root has.
            up = parent.cluster if parent.entry.path else 0
            records += [
                _record(DOT, DIRECTORY, mtime, directory.cluster, 0),
                _record(DOT_DOT, DIRECTORY, parent.entry.mtime, up, 0),
            ]
        elif self.boot.label:
            records.append(_record(self.boot.label.encode("ascii").ljust(11), VOLUME_LABEL, mtime, 0, 0))
        for child in (by_path[child] for child in self.children[path]):
            name = child.entry.name
            if not names.fits(name):
                records.append(names.long_records(name, child.alias))
            is_directory = isinstance(child.entry, Directory)
            attributes, size = (DIRECTORY, 0) if is_directory else (ARCHIVE, child.size)
            records.append(_record(child.alias, attributes, child.entry.mtime, child.cluster, size))
        return b"".join(records)


def _record(alias: bytes, attributes: int, mtime: int, cluster: int, size: int) -> bytes:
    date, clock = names.to_dos(mtime)
    high, low = divmod(cluster, 0x10000)
    return RECORD.pack(alias, attributes, 0, 0, clock, date, date, high, clock, date, low, size)
