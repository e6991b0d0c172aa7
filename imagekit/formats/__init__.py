"""The formats that imagekit reads and writes, a folder each, whose modules have the same names where they are there.

`layout` declares what stands on the disk; `survey` finds what a Tree needs, and all that the format cannot hold of it;
`plan` decides where everything stands; `writer` makes the bytes of that; `reader` takes a Content, trusts nothing in
it, and gives a Tree.  `table` says which formats are read.
"""

from collections.abc import Iterator
from typing import Any, Protocol, runtime_checkable

from imagekit.content import Composite


@runtime_checkable
class Plan(Protocol):
    """An image of which everything is decided and nothing is written, in any format."""

    @property
    def size(self) -> int:
        """The size of the image in bytes."""

    def content(self) -> Composite:
        """Return the image; contents of files are read while it is."""

    def lines(self) -> Iterator[str]:
        """Yield the plan as text."""

    def data(self) -> dict[str, Any]:
        """Return the plan as data for JSON; sizes and offsets are in bytes."""
