"""Placing an inventory: an inode number and addresses for everything in a tree.

Data goes from front to back in the order of the inventory, so a directory, its files and the directories below it are
neighbours.  An inode is taken from the group in which its data begins, or from the next that has one; those passed
over serve when the last group has none left.
"""

from dataclasses import dataclass
from typing import NamedTuple

from imagekit.content import Content
from imagekit.errors import PlanError
from imagekit.formats.ufs import layout
from imagekit.formats.ufs.allocation import Allocator, Full, Run, space
from imagekit.formats.ufs.geometry import Geometry
from imagekit.formats.ufs.survey import LOST_FOUND, Inventory, Names
from imagekit.tree import Entry

_SECTORS_LIMIT = 1 << 31


class Node(NamedTuple):
    """An inode with its place: runs of fragments of its data in order, and of its blocks of addresses."""

    number: int
    entry: Entry
    type: int  # the type bits of ic_smode
    links: int
    size: int  # bytes
    content: Content | None  # None for directories and special files
    device: int  # ic_db[1] of a device node
    data: tuple[Run, ...]
    indirect: tuple[Run, ...]
    fragments: int  # of both


@dataclass(frozen=True, slots=True, kw_only=True)
class Placement:
    """A tree with everything in its place, and what is free then."""

    geometry: Geometry
    nodes: tuple[Node, ...]  # in the order in which they were placed
    directories: dict[str, Names]
    numbers: dict[str, int]  # inode of each path; hard links are not in it
    free: bytes  # for every block the bits of its free fragments, lowest first
    rest: tuple[Run, ...]  # the free blocks behind all data, in order


class _Numbers:
    """The inode numbers that are free."""

    def __init__(self, geometry: Geometry) -> None:
        self._ipg = geometry.ipg
        self._fpg = geometry.fpg
        self._end = geometry.inodes
        self._next = layout.LOST_FOUND_INODE + 1
        self._passed: list[range] = []

    def take(self, position: int) -> int:
        """Take a number from the group that holds the fragment `position`, or one near it; raise Full."""
        first = min(position // self._fpg * self._ipg, self._end)
        if self._next < first:
            self._passed.append(range(self._next, first))
            self._next = first
        if self._next < self._end:
            self._next += 1
            return self._next - 1
        while self._passed:
            numbers = self._passed[-1]
            if numbers:
                self._passed[-1] = numbers[1:]
                return numbers[0]
            self._passed.pop()
        raise Full("all inodes are used")


def place(inventory: Inventory, geometry: Geometry) -> Placement:
    """Give everything its place; raise Full when it does not fit."""
    allocator = Allocator(geometry)
    numbers = _Numbers(geometry)
    bsize, fsize, frag = geometry.bsize, geometry.fsize, geometry.frag
    nodes = []
    for item in inventory.items:
        entry, kind, links, size, content, device = item
        if entry.path == LOST_FOUND:
            number = layout.LOST_FOUND_INODE
        elif entry.path:
            number = numbers.take(allocator.position)
        else:
            number = layout.ROOT_INODE
        blocks, tail, indirect = space(size, bsize, fsize)
        data: list[Run] = allocator.blocks(blocks) if blocks else []
        # Behind the data, so that where that begins does not depend on the file's size: see LastFile.
        addresses: tuple[Run, ...] = tuple(allocator.blocks(indirect)) if indirect else ()
        if tail:
            address = allocator.fragments(tail)
            if data and sum(data[-1]) == address:
                data[-1] = (data[-1][0], data[-1][1] + tail)
            else:
                data.append((address, tail))
        fragments = (blocks + indirect) * frag + tail
        if fragments * geometry.nspf >= _SECTORS_LIMIT:
            raise too_large(inventory.shown(entry.path), size)
        nodes.append(Node(number, entry, kind, links, size, content, device, tuple(data), addresses, fragments))
    return Placement(
        geometry=geometry,
        nodes=tuple(nodes),
        directories=inventory.directories,
        numbers={node.entry.path: node.number for node in nodes},
        free=bytes(allocator.free),
        rest=tuple(allocator.rest()),
    )


def too_large(path: str, size: int) -> PlanError:
    """Return the error for a file that no UFS can hold."""
    return PlanError(f"a file of {size:,} bytes is past what UFS can hold, which is 1 TiB", where=path)
