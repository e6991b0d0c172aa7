"""Plans an ISO 9660 image with Rock Ridge and El Torito from a Tree.

The volume follows interchange level 2 but for the depth of directories, which is not limited to eight: kernels and
loaders do not mind, and moving directories elsewhere (RRIP 4.1.5) would only make trouble.  Sectors, in order: system
area (zeros), volume descriptors, boot catalog, path tables, directories, continuation area, file data, padding.  The
boot catalog is not a file in any directory: the image lists exactly the tree.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from imagekit.content import Composite, Content
from imagekit.errors import InputError, PlanError
from imagekit.formats.iso import el_torito
from imagekit.formats.iso.directories import Directories
from imagekit.formats.iso.el_torito import PLATFORM_IDS, VIRTUAL_SECTOR, Platform
from imagekit.formats.iso.layout import DESCRIPTORS_SECTOR, EARLIEST, LATEST, SECTOR
from imagekit.formats.iso.placement import Extent, Placement
from imagekit.formats.iso.survey import InodeTable, content_key, time_warnings
from imagekit.formats.iso.volume import VolumeIds
from imagekit.formats.iso.writer import Places, put_headers
from imagekit.tree import File, Tree

PADDING_SECTORS = 150
"""Zeros at the end, counted in the volume's size: drives that read ahead, or lose the last blocks of a CD written track
at once, then do so beyond the data.  mkisofs and xorriso pad as much; in a sparse or compressed image it costs nothing.
"""

_SECTOR_LIMIT = 1 << 32
_MOST_BOOT_ENTRIES = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class BootEntry:
    """A file of the tree that BIOS or UEFI starts from the CD, without emulation of a disk.

    `boot_info_table` patches bytes 8 to 63 of a BIOS program with where it lies.  `load_sectors` are the sectors of 512
    bytes that the firmware loads: by default all of the file; for an EFI image too large to say so (32 MiB and more),
    0, with which firmware takes all that follows.
    """

    path: str
    platform: Platform
    boot_info_table: bool = False
    load_sectors: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BootPlan:
    """A boot catalog entry as it will be: the first sector and size in bytes of the image, sectors of 512 to load."""

    path: str
    platform: Platform
    sector: int
    size: int
    load_sectors: int
    boot_info_table: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class IsoPlan:
    """A planned image: `size` in bytes, all extents in order, the boot entries, and what the user should know.

    `files` says in which sector the data of a file starts, by path; files without data are not there.
    `unseen` are warnings by path, of what the illumos loader does not find by its name.
    Nothing that is not listed in `extents` is written: system area, gaps and the padding at the end are zeros.
    """

    volume_id: str
    time: int
    size: int
    extents: tuple[Extent, ...]
    boot: tuple[BootPlan, ...]
    warnings: tuple[str, ...]
    unseen: Mapping[str, str]
    contents: tuple[Content, ...]
    files: Mapping[str, int]

    def pieces(self) -> list[tuple[int, Content]]:
        """Return (offset in bytes, content) of all that is not zeros."""
        return [(extent.sector * SECTOR, piece) for extent, piece in zip(self.extents, self.contents, strict=True)]

    def content(self) -> Composite:
        """Return the image; file contents are read while it is."""
        return Composite(self.size, self.pieces(), f"ISO 9660 volume {self.volume_id}")

    def data(self) -> dict[str, Any]:
        """Return the plan as JSON can hold it."""
        return {
            "format": "iso9660",
            "volume_id": self.volume_id,
            "time": self.time,
            "size": self.size,
            "boot": [
                {
                    "path": boot.path,
                    "platform": boot.platform,
                    "platform_id": PLATFORM_IDS[boot.platform],
                    "sector": boot.sector,
                    "size": boot.size,
                    "load_sectors": boot.load_sectors,
                    "boot_info_table": boot.boot_info_table,
                }
                for boot in self.boot
            ],
            "extents": [
                {"sector": extent.sector, "sectors": extent.sectors, "size": extent.size, "what": extent.what}
                for extent in self.extents
            ],
            "warnings": list(self.warnings),
        }

    def lines(self) -> Iterator[str]:
        """Yield the plan as text."""
        yield f"ISO 9660 volume {self.volume_id}, {self.size:,} bytes"
        for boot in self.boot:
            loaded = f"{boot.load_sectors} sectors of {VIRTUAL_SECTOR} bytes" if boot.load_sectors else "to the end"
            table = ", with boot info table" if boot.boot_info_table else ""
            yield f"  {boot.platform} starts /{boot.path} at sector {boot.sector}, loads {loaded}{table}"
        for extent in self.extents:
            yield f"  {extent.sector:>10} {extent.sectors:>9} {extent.size:>13,}  {extent.what}"
        for warning in self.warnings:
            yield f"  warning: {warning}"


def plan(
    tree: Tree,
    *,
    volume_id: str,
    time: int,
    boot: Sequence[BootEntry] = (),
    volume_set_id: str = "",
    system_id: str = "",
    publisher: str = "",
    preparer: str = "",
    application: str = "IMAGEKIT",
    alignment: int = SECTOR,
) -> IsoPlan:
    """Return the plan of an image of `tree`; `time`, in seconds since 1970, is the volume's.

    Files of `alignment` bytes and more begin at multiples of that (whole sectors).

    The same tree gives the same image whatever the order of its entries.  Of `boot`, entries for BIOS come first, since
    firmware wants them so; the first entry is the default one.  A boot program with a boot info table is read here for
    its checksum.  PlanError when the tree, the time or an id is nothing that an ISO can hold; InputError when a boot
    entry's file is missing or unfit.
    """
    ids = VolumeIds(
        volume=volume_id,
        volume_set=volume_set_id,
        system=system_id,
        publisher=publisher,
        preparer=preparer,
        application=application,
    )
    ids.check()
    if not EARLIEST <= time <= LATEST:
        raise PlanError(
            f"the volume's time, {time}, is none that an ISO can hold", hint="give a time from 1900 to 2155"
        )
    return _Planner(tree, ids, time, boot, alignment // SECTOR).plan()


class _Planner:
    def __init__(self, tree: Tree, ids: VolumeIds, time: int, boot: Sequence[BootEntry], alignment: int) -> None:
        self._tree = tree
        self._ids = ids
        self._time = time
        self._alignment = alignment
        self._inodes = InodeTable(tree)
        self._inodes.check()
        self._boot = [
            (entry, self._boot_file(entry)) for entry in sorted(boot, key=lambda entry: entry.platform != "bios")
        ]
        self._placement = Placement(DESCRIPTORS_SECTOR)
        self._directories = Directories(tree, self._inodes, self._placement)
        self._file_sectors: dict[str, int] = {}

    def plan(self) -> IsoPlan:
        if len(self._boot) > _MOST_BOOT_ENTRIES:
            raise PlanError(f"{len(self._boot)} boot entries; at most {_MOST_BOOT_ENTRIES}")
        placement = self._placement
        table_size = len(self._directories.path_table("<"))
        places = Places.reserve(placement, table_size, bootable=bool(self._boot))
        self._directories.place()
        self._place_files()
        boot = tuple(self._boot_plan(entry, file) for entry, file in self._boot)
        placement.reserve(SECTOR * PADDING_SECTORS)
        if placement.next_sector > _SECTOR_LIMIT:
            raise PlanError(f"the image would have {placement.next_sector:,} sectors; at most {_SECTOR_LIMIT:,}")

        put_headers(
            placement,
            places,
            self._directories,
            self._ids,
            time=self._time,
            root_time=self._tree.root.mtime,
            boot=[
                el_torito.CatalogEntry(el_torito.PLATFORM_IDS[entry.platform], entry.load_sectors, entry.sector)
                for entry in boot
            ],
        )
        self._directories.put(self._file_sectors)
        extents, contents = placement.result()
        return IsoPlan(
            volume_id=self._ids.volume,
            time=self._time,
            size=placement.next_sector * SECTOR,
            extents=extents,
            boot=boot,
            warnings=(*time_warnings(self._tree), *self._directories.unseen.values()),
            unseen=self._directories.unseen,
            contents=contents,
            files=self._file_sectors,
        )

    def _place_files(self) -> None:
        """Give every content its sectors, once, directory by directory."""
        patched = {file.path for entry, file in self._boot if entry.boot_info_table}
        sectors: dict[object, int] = {}
        for path in self._directories.paths():
            file = self._inodes[path].entry
            if not isinstance(file, File) or not file.content.size or file.path in self._file_sectors:
                continue
            content = file.content
            # A program that is patched is no longer what others with the same content are.
            key = ("patched", file.path) if file.path in patched else content_key(content)
            if key not in sectors:
                if content.size >= self._alignment * SECTOR:
                    self._placement.align(self._alignment)
                sectors[key] = self._placement.reserve(content.size)
                if file.path in patched:
                    content = el_torito.with_boot_info_table(content, sectors[key])
                self._placement.put(sectors[key], content, f"/{file.path}")
            self._file_sectors[file.path] = sectors[key]

    def _boot_file(self, entry: BootEntry) -> File:
        """Return the file that a boot entry means; raise InputError when it is nothing to boot from."""
        file = self._inodes[entry.path].entry if entry.path in self._tree else None
        if not isinstance(file, File) or not file.content.size:
            found = "missing" if file is None else f"{'an empty' if isinstance(file, File) else 'a'} {file.KIND}"
            raise InputError(
                f"the {entry.platform.upper()} boot image is {found}",
                where=f"/{entry.path}",
                hint="a boot image is a file of the tree that is not empty",
            )
        if entry.boot_info_table and (entry.platform != "bios" or file.content.size < el_torito.TABLE_END):
            raise InputError(
                f"no boot info table fits into {file.content.origin}: {file.content.size:,} bytes for "
                f"{entry.platform.upper()}",
                where=f"/{entry.path}",
                hint=f"it takes bytes 8 to {el_torito.TABLE_END - 1} of a BIOS boot program",
            )
        return file

    def _boot_plan(self, entry: BootEntry, file: File) -> BootPlan:
        count = entry.load_sectors
        if count is None:
            count = -(-file.content.size // el_torito.VIRTUAL_SECTOR)
            if count > el_torito.LOAD_LIMIT and entry.platform == "efi":
                count = 0
        if not (entry.platform == "bios") <= count <= el_torito.LOAD_LIMIT:
            raise PlanError(
                f"{count:,} sectors of 512 bytes are to be loaded; 1 to {el_torito.LOAD_LIMIT:,} can be",
                where=f"/{entry.path}",
                hint="is it a boot program? Firmware loads those for BIOS into the first MiB of memory",
            )
        return BootPlan(
            path=entry.path,
            platform=entry.platform,
            sector=self._file_sectors[file.path],
            size=file.content.size,
            load_sectors=count,
            boot_info_table=entry.boot_info_table,
        )
