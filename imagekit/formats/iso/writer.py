"""Plans an ISO 9660 image with Rock Ridge and El Torito from a Tree.

The volume follows interchange level 2 but for the depth of directories, which is not limited to eight: kernels and
loaders do not mind, and moving directories elsewhere (RRIP 4.1.5) would only make trouble.  Sectors, in order: system
area (zeros), volume descriptors, boot catalog, path tables, directories, continuation area, file data, padding.  The
boot catalog is not a file in any directory: the image lists exactly the tree.
"""

from collections.abc import Sequence

from imagekit.errors import InputError, PlanError
from imagekit.formats.iso import el_torito
from imagekit.formats.iso.directories import Directories
from imagekit.formats.iso.layout import (
    DESCRIPTORS_SECTOR,
    EARLIEST,
    FLAG_DIRECTORY,
    IDENTIFIER,
    LATEST,
    SECTOR,
    SELF,
    TERMINATOR,
    DirectoryRecord,
    record_time,
)
from imagekit.formats.iso.plan import BootEntry, BootPlan, IsoPlan, Layout
from imagekit.formats.iso.survey import InodeTable, content_key, time_warnings
from imagekit.formats.iso.volume import VolumeIds, volume_descriptor
from imagekit.tree import File, Tree

PADDING_SECTORS = 150
"""Zeros at the end, counted in the volume's size: drives that read ahead, or lose the last blocks of a CD written track
at once, then do so beyond the data.  mkisofs and xorriso pad as much; in a sparse or compressed image it costs nothing.
"""

_SECTOR_LIMIT = 1 << 32
_MOST_BOOT_ENTRIES = 20


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
    return _Writer(tree, ids, time, boot, alignment // SECTOR).plan()


class _Writer:
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
        self._layout = Layout(DESCRIPTORS_SECTOR)
        self._directories = Directories(tree, self._inodes, self._layout)
        self._file_sectors: dict[str, int] = {}

    def plan(self) -> IsoPlan:
        if len(self._boot) > _MOST_BOOT_ENTRIES:
            raise PlanError(f"{len(self._boot)} boot entries; at most {_MOST_BOOT_ENTRIES}")
        layout = self._layout
        primary = layout.reserve(SECTOR)
        record, catalog = (layout.reserve(SECTOR), 0) if self._boot else (0, 0)
        terminator = layout.reserve(SECTOR)
        if self._boot:
            catalog = layout.reserve(SECTOR)
        table_size = len(self._directories.path_table("<"))
        table_l, table_m = layout.reserve(table_size), layout.reserve(table_size)
        self._directories.place()
        self._place_files()
        boot = tuple(self._boot_plan(entry, file) for entry, file in self._boot)
        layout.reserve(SECTOR * PADDING_SECTORS)
        if layout.next_sector > _SECTOR_LIMIT:
            raise PlanError(f"the image would have {layout.next_sector:,} sectors; at most {_SECTOR_LIMIT:,}")

        root = self._directories.root
        time = record_time(self._tree.root.mtime)
        descriptor = volume_descriptor(
            self._ids,
            time=self._time,
            sectors=layout.next_sector,
            table_size=table_size,
            table_l=table_l,
            table_m=table_m,
            root=DirectoryRecord(root.sector, root.size, time, FLAG_DIRECTORY, SELF),
        )
        layout.put_bytes(primary, descriptor, "primary volume descriptor")
        if boot:
            entries = [
                el_torito.CatalogEntry(el_torito.PLATFORM_IDS[entry.platform], entry.load_sectors, entry.sector)
                for entry in boot
            ]
            layout.put_bytes(record, el_torito.boot_record(catalog), "boot record")
            layout.put_bytes(catalog, el_torito.pack_catalog(entries), "boot catalog")
        layout.put_bytes(terminator, bytes((TERMINATOR,)) + IDENTIFIER + b"\1", "volume descriptor set terminator")
        layout.put_bytes(table_l, self._directories.path_table("<"), "path table L")
        layout.put_bytes(table_m, self._directories.path_table(">"), "path table M")
        self._directories.put(self._file_sectors)
        extents, contents = layout.result()
        return IsoPlan(
            volume_id=self._ids.volume,
            time=self._time,
            size=layout.next_sector * SECTOR,
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
                    self._layout.align(self._alignment)
                sectors[key] = self._layout.reserve(content.size)
                if file.path in patched:
                    content = el_torito.with_boot_info_table(content, sectors[key])
                self._layout.put(sectors[key], content, f"/{file.path}")
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
