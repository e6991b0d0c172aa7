"""The audit of a placement: whoever chose the numbers, each inode and each fragment has one owner, or is free.

It knows nothing of how places are chosen (allocation.py, placement.py).  A fault there would cost a file without a
word, so every plan passes here before a byte is written.
"""

from collections.abc import Iterable, Sequence
from itertools import chain
from typing import TYPE_CHECKING

from imagekit.errors import PlanError
from imagekit.formats.ufs import layout
from imagekit.formats.ufs.geometry import Geometry

if TYPE_CHECKING:
    from imagekit.formats.ufs.placement import Node


def audit(geometry: Geometry, nodes: Sequence["Node"], free: bytes) -> None:
    """Raise PlanError unless the nodes and the free fragments share the file system out, and nothing has two owners.

    `free` has for every block of the file system the bits of its free fragments.
    """
    _audit_numbers(geometry, nodes)
    left = _data_map(geometry)
    for node in nodes:
        held = 0
        for first, count in chain(node.data, node.indirect):
            held += count
            if not _take(left, geometry.frag, first, count):
                others = _others(node, nodes, first, count)
                found = f"also those of {others}" if others else "no place for data"
                raise _unsound(f"fragments {first:,}+{count} of {_name(node)} are {found}")
        if held != node.fragments:
            raise _unsound(f"{_name(node)} holds {held:,} fragments, {node.fragments:,} are needed")
    if left != free:
        raise _unsound("the map of free fragments is not what the files leave")


def _audit_numbers(geometry: Geometry, nodes: Sequence["Node"]) -> None:
    numbers = {node.number for node in nodes}
    if len(numbers) == len(nodes) and min(numbers) >= layout.ROOT_INODE and max(numbers) < geometry.inodes:
        return
    owners: dict[int, Node] = {}
    for node in nodes:
        if not layout.ROOT_INODE <= node.number < geometry.inodes:
            raise _unsound(f"{_name(node)} has inode {node.number:,} of {geometry.inodes:,}")
        other = owners.setdefault(node.number, node)
        if other is not node:
            raise _unsound(f"{_name(other)} and {_name(node)} both have inode {node.number:,}")


def _data_map(geometry: Geometry) -> bytearray:
    """Return for every block the bits of the fragments that can hold data: all outside the groups' own tables."""
    frag = geometry.frag
    blocks, rest = divmod(geometry.size, frag)
    result = bytearray([(1 << frag) - 1]) * blocks
    if rest:
        result.append((1 << rest) - 1)
    for group in range(geometry.ncg):
        start = group * geometry.fpg
        first = start + geometry.sblkno if group else 0
        end = start + geometry.dblkno if group else geometry.first_data
        whole = end // frag
        result[first // frag : whole] = bytes(whole - first // frag)
        if end % frag:
            result[whole] &= -1 << end % frag & 0xFF
    return result


def _take(left: bytearray, frag: int, first: int, count: int) -> bool:
    """Take a run of fragments off the map; False when it is not all there, or is cut by a block's boundary."""
    block, offset = divmod(first, frag)
    if count <= 0 or first < 0 or first + count > len(left) * frag or (offset and offset + count > frag):
        return False
    whole, rest = (0, count) if offset else divmod(count, frag)
    if whole:
        if left.count((1 << frag) - 1, block, block + whole) != whole:
            return False
        left[block : block + whole] = bytes(whole)
        block += whole
    if rest:
        mask = (1 << rest) - 1 << offset
        if left[block] & mask != mask:
            return False
        left[block] &= ~mask
    return True


def _others(node: "Node", nodes: Iterable["Node"], first: int, count: int) -> str:
    """Return the names of those that hold a part of a run too."""
    return ", ".join(
        _name(other)
        for other in nodes
        if other is not node
        and any(start < first + count and first < start + length for start, length in chain(other.data, other.indirect))
    )


def _name(node: "Node") -> str:
    return f"/{node.entry.path}"


def _unsound(what: str) -> PlanError:
    return PlanError(
        f"the plan of the UFS is not sound: {what}", hint="this is a defect of imagekit; nothing was written"
    )
