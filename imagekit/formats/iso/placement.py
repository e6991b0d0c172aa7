"""Where things stand in an image: runs of whole sectors, one after the other."""

from dataclasses import dataclass

from imagekit.content import Bytes, Content
from imagekit.formats.iso.layout import SECTOR


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


class Placement:
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
