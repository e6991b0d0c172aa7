"""What an ISO 9660 image will be: where everything stands, decided before a byte is written."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from imagekit.content import Bytes, Composite, Content
from imagekit.formats.iso.el_torito import PLATFORM_IDS, VIRTUAL_SECTOR, Platform
from imagekit.formats.iso.layout import SECTOR


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
class Extent:
    """A run of whole sectors: what it holds, from which sector of 2048 bytes on, and its size in bytes."""

    sector: int
    size: int
    what: str

    @property
    def sectors(self) -> int:
        """The sectors that it takes."""
        return -(-self.size // SECTOR)


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


class Layout:
    """Extents being laid out one after the other."""

    def __init__(self, first_sector: int) -> None:
        self.next_sector = first_sector
        self._pieces: dict[int, tuple[Extent, Content]] = {}

    def reserve(self, size: int) -> int:
        """Take the sectors that `size` bytes need; return the first."""
        sector = self.next_sector
        self.next_sector += -(-size // SECTOR)
        return sector

    def align(self, sectors: int) -> None:
        """Leave out sectors up to the next multiple of `sectors`."""
        self.next_sector += -self.next_sector % sectors

    def put(self, sector: int, content: Content, what: str) -> None:
        """Say what stands at a sector that was reserved."""
        self._pieces[sector] = (Extent(sector=sector, size=content.size, what=what), content)

    def put_bytes(self, sector: int, data: bytes, what: str) -> None:
        """Say which bytes stand at a sector that was reserved."""
        self.put(sector, Bytes(data, what), what)

    def result(self) -> tuple[tuple[Extent, ...], tuple[Content, ...]]:
        """Return the extents by sector, and what they hold."""
        ordered = [self._pieces[sector] for sector in sorted(self._pieces)]
        return tuple(extent for extent, _ in ordered), tuple(content for _, content in ordered)
