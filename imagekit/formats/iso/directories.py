"""The directories of a planned image: their order, their records and where these continue."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from imagekit.formats.iso import rock_ridge
from imagekit.formats.iso.layout import (
    FLAG_DIRECTORY,
    PARENT,
    RECORD_LIMIT,
    RECORD_SIZE,
    SECTOR,
    SELF,
    DirectoryRecord,
    path_table_record,
    record_time,
)
from imagekit.formats.iso.names import primary_names, shadowed_names, sort_key
from imagekit.formats.iso.placement import Placement
from imagekit.formats.iso.survey import InodeTable, encode, name_warnings
from imagekit.tree import Directory, File, Special, Symlink, Tree


@dataclass(slots=True)
class PlannedDirectory:
    """A directory: its primary name, its parent's number in the path table, its entries' paths and primary names.

    `sector` and `size` in bytes are set when it is placed.
    """

    path: str
    name: bytes
    parent: int
    children: list[tuple[str, bytes]] = field(default_factory=list)
    sector: int = 0
    size: int = 0


class Directories:
    """All directories of a tree, in the order of the path tables (ECMA-119 6.9.1): by depth, parent and name."""

    def __init__(self, tree: Tree, inodes: InodeTable, placement: Placement) -> None:
        self._tree = tree
        self._inodes = inodes
        self._placement = placement
        self._area = rock_ridge.ContinuationArea()
        self._area_sector = self._empty_sector = 0
        self.unseen: dict[str, str] = {}
        """What the illumos loader does not find by its name, or not that alone: warnings by path."""
        self._all = [PlannedDirectory("", SELF, 1)]
        for number, directory in enumerate(self._all, 1):
            self._all += self._list(directory, number)
        self._by_path = {directory.path: directory for directory in self._all}

    @property
    def root(self) -> PlannedDirectory:
        """The root."""
        return self._all[0]

    def paths(self) -> list[str]:
        """Return the paths of all entries, directory by directory."""
        return [path for directory in self._all for path, _ in directory.children]

    def _list(self, directory: PlannedDirectory, number: int) -> list[PlannedDirectory]:
        """Fill in what a directory holds; return its subdirectories."""
        kinds = {entry.name: isinstance(entry, Directory) for entry in self._tree.children(directory.path)}
        primary = primary_names(kinds)
        ordered = sorted(kinds, key=lambda name: sort_key(primary[name]))
        prefix = f"{directory.path}/" if directory.path else ""
        directory.children = [(prefix + name, primary[name]) for name in ordered]
        split = [name for name in ordered if len(_names(name, primary[name])) > 1]
        self.unseen |= name_warnings(directory.path, split, dict(shadowed_names(ordered)))
        return [PlannedDirectory(prefix + name, primary[name], number) for name in ordered if kinds[name]]

    def path_table(self, order: str) -> bytes:
        """Return the path table in an order of bytes: "<" for type L, ">" for type M."""
        return b"".join(path_table_record(one.name, one.sector, one.parent, order) for one in self._all)

    def place(self) -> None:
        """Give every directory its sectors, then the continuation area, then the place of what has no data.

        How long records are does not depend on where anything stands, so a first round with nothing placed gives the
        sizes; the continuation area grows alike in the second.
        """
        for directory in self._all:
            directory.size = len(_fill_sectors(self._records(directory, {})))
            directory.sector = self._placement.reserve(directory.size)
        self._area_sector = self._placement.reserve(len(self._area.sectors) * SECTOR)
        self._area = rock_ridge.ContinuationArea()
        # Inside the volume, since some readers check, and in no directory, which libarchive takes for a loop.
        self._empty_sector = self._placement.reserve(SECTOR)

    def put(self, file_sectors: dict[str, int]) -> None:
        """Put the directories into the placement; `file_sectors` says where the data of the files start, by path."""
        for directory in self._all:
            data = _fill_sectors(self._records(directory, file_sectors))
            self._placement.put_bytes(directory.sector, data, f"directory /{directory.path}")
        if self._area.sectors:
            self._placement.put_bytes(self._area_sector, self._area.pack(), "continuation area")

    def _records(self, directory: PlannedDirectory, file_sectors: dict[str, int]) -> list[bytes]:
        above = self._all[directory.parent - 1]
        first, last = [], []
        if not directory.path:
            first, last = [rock_ridge.sharing_protocol()], [rock_ridge.extension_reference()]
        result = [
            self._record(SELF, directory.path, (directory.sector, directory.size), first, last),
            self._record(PARENT, above.path, (above.sector, above.size), [], []),
        ]
        for path, primary in directory.children:
            entry = self._inodes[path].entry
            if isinstance(entry, Directory):
                place = self._by_path[path].sector, self._by_path[path].size
            elif isinstance(entry, File) and entry.content.size:
                place = file_sectors.get(entry.path, 0), entry.content.size
            else:
                place = self._empty_sector, 0
            # The name comes first: the loader stops looking for it where the entries continue elsewhere.
            result.append(self._record(primary, path, place, _names(self._tree[path].name, primary), []))
        return result

    def _record(
        self, primary: bytes, path: str, place: tuple[int, int], first: list[bytes], last: list[bytes]
    ) -> bytes:
        """Return the record of what `path` names, whose data is at `place` (sector, bytes).

        `first` and `last` are system use entries to put before and after the usual ones.
        """
        inode = self._inodes[path]
        entry = inode.entry
        attributes = rock_ridge.posix_attributes(inode.mode, inode.links, entry.uid, entry.gid, inode.serial)
        entries = [*first, attributes, rock_ridge.times(entry.mtime)]
        if isinstance(entry, Symlink):
            entries += rock_ridge.symbolic_link(encode(entry.target))
        elif isinstance(entry, Special) and entry.type in "bc":
            entries.append(rock_ridge.device_number(entry.major, entry.minor))
        use = rock_ridge.system_use([*entries, *last], _room(primary), self._area, self._area_sector)
        flags = FLAG_DIRECTORY if isinstance(entry, Directory) else 0
        return DirectoryRecord(*place, record_time(entry.mtime), flags, primary, use).pack()


def _room(primary: bytes) -> int:
    """Return the bytes that a record with this name has for system use; the name takes an odd number of them."""
    return RECORD_LIMIT - RECORD_SIZE - len(primary) - (len(primary) + 1) % 2


def _names(name: str, primary: bytes) -> list[bytes]:
    """Return the NM entries of a name: one if it fits into the record beside what says where the rest is."""
    return rock_ridge.alternate_name(encode(name), _room(primary) - rock_ridge.CONTINUATION_SIZE)


def _fill_sectors(records: Sequence[bytes]) -> bytes:
    """Return a directory's sectors; no record crosses a sector's end (ECMA-119 6.8.1.1).

    Nor does one end exactly there: cdboot and the illumos loader look at the byte after a record before they ask
    whether the sector is over, and take what lies behind their buffer for a record's length.
    """
    sectors = [bytearray()]
    for record in records:
        if len(sectors[-1]) + len(record) >= SECTOR:
            sectors.append(bytearray())
        sectors[-1] += record
    return b"".join(bytes(sector).ljust(SECTOR, b"\0") for sector in sectors)
