"""From a placement to the bytes of a FAT file system: headers, tables and directories are made here."""

from imagekit.content import Bytes, Composite, Content
from imagekit.formats.fat import names
from imagekit.formats.fat.boot_sector import BootSector, pack_fsinfo
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
)
from imagekit.formats.fat.placement import Placed, Placement
from imagekit.formats.fat.table import allocation_table
from imagekit.tree import Directory, File

_UNKNOWN = 0xFFFFFFFF  # FSInfo: no cluster is known to be free


def render(placement: Placement, boot: BootSector, origin: str) -> Composite:
    """Return the file system of a placement; the contents of files are put in their places unread."""
    geometry = placement.geometry
    sector = Bytes(boot.pack(), "the boot sector")
    table = allocation_table(
        geometry.kind, [placed.cluster + placed.clusters - 1 for placed in placement.placed() if placed.clusters]
    )
    pieces: list[tuple[int, Content]] = [(0, sector)]
    if geometry.kind == 32:
        next_free = FIRST_CLUSTER + placement.used_clusters if placement.free_clusters else _UNKNOWN
        fsinfo = Bytes(pack_fsinfo(placement.free_clusters, next_free), "FSInfo")
        pieces += [
            (FSINFO_SECTOR * SECTOR, fsinfo),
            (BACKUP_SECTOR * SECTOR, sector),
            ((BACKUP_SECTOR + FSINFO_SECTOR) * SECTOR, fsinfo),
        ]
    pieces.extend((geometry.fat_offset(copy), table) for copy in range(geometry.fat_copies))
    by_path = {placed.entry.path: placed for placed in placement.placed()}
    pieces.extend(
        (placed.offset, Bytes(_records(placement, placed, by_path, boot.label), f"the directory /{placed.entry.path}"))
        for placed in placement.directories
    )
    pieces.extend((placed.offset, placed.entry.content) for placed in placement.files if isinstance(placed.entry, File))
    return Composite(geometry.sector_count * SECTOR, pieces, origin)


def _records(placement: Placement, directory: Placed, by_path: dict[str, Placed], label: str) -> bytes:
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
    elif label:
        records.append(_record(label.encode("ascii").ljust(11), VOLUME_LABEL, mtime, 0, 0))
    for child in (by_path[child] for child in placement.children[path]):
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
