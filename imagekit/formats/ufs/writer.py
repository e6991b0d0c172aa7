"""From a plan to the bytes of an image: metadata is made here, file contents are put in their places unread.

Directories and inode tables are made when they are read, by whoever reads them: while other threads compress, say.
"""

from functools import partial
from typing import TYPE_CHECKING
from zlib import crc32

from imagekit.content import Bytes, Composite, Content, Deferred, Slice
from imagekit.formats.ufs import layout, superblock
from imagekit.formats.ufs.addresses import AddressBlocks, of_runs
from imagekit.formats.ufs.directory import pack
from imagekit.formats.ufs.groups import Counts, GroupWriter
from imagekit.tree import File

if TYPE_CHECKING:
    from imagekit.formats.ufs.geometry import Geometry
    from imagekit.formats.ufs.placement import Node
    from imagekit.formats.ufs.plan import Plan

_LARGE_FILE = (1 << 31) - 1
"""Bytes of the longest file that a program without large file support can open."""

_ID16 = 0xFFFF
"""The most that the 16-bit owner fields hold; it also means: see the 32-bit field."""


def render(plan: "Plan", origin: str) -> Composite:
    """Return the image of a plan."""
    return Composite(plan.size, _Image(plan).pieces, origin)


class _Image:
    def __init__(self, plan: "Plan") -> None:
        self._plan = plan
        self._geometry = g = plan.geometry
        self.pieces: list[tuple[int, Content]] = []
        self._groups: list[list[Node]] = [[] for _ in range(g.ncg)]
        self._addresses: dict[int, list[int]] = {}  # of the inodes of long files
        for node in plan.nodes:
            self._groups[node.number // g.ipg].append(node)
            if node.indirect:
                self._addresses[node.number] = self._put_address_blocks(node)
            self._put_data(node)
        self._put_metadata()

    def _put_data(self, node: "Node") -> None:
        content = node.content
        if content is None:
            if node.type != layout.DIRECTORY:
                return
            content = Deferred(node.size, partial(self._directory, node), f"/{node.entry.path}")
        fsize = self._geometry.fsize
        done = 0
        for first, count in node.data:
            length = min(count * fsize, node.size - done)
            piece = content if length == node.size else Slice(content, done, length)
            self.pieces.append((first * fsize, piece))
            done += length

    def _directory(self, node: "Node") -> bytes:
        numbers = self._plan.numbers
        names, paths = self._plan.directories[node.entry.path]
        parent = numbers[node.entry.parent]
        return pack(node.number, parent, names, [numbers[path] for path in paths], node.size)

    def _put_address_blocks(self, node: "Node") -> list[int]:
        """Put the blocks of addresses of a long file; return its direct and indirect addresses."""
        g = self._geometry
        data = of_runs(node.data, g.frag)
        blocks = AddressBlocks(data, of_runs(node.indirect, g.frag), g.nindir)
        index = 0
        for first, count in node.indirect:
            self._put(first, blocks.pack(index, count // g.frag), f"block addresses of /{node.entry.path}")
            index += count // g.frag
        return [*data[: layout.DIRECT], *blocks.roots]

    def _inode_table(self, nodes: "list[Node]") -> bytes:
        """Return the inodes of a group, as far as the last that is in use."""
        g = self._geometry
        table = bytearray(_table_size(nodes, g))
        for node in nodes:
            entry = node.entry
            if node.indirect:
                addresses = self._addresses[node.number]
            elif node.device:
                addresses = [0, node.device]
            else:
                addresses = list(of_runs(node.data, g.frag))
            addresses += [0] * (layout.DIRECT + layout.INDIRECT - len(addresses))
            # fmt: off
            layout.INODE.pack_into(
                table, node.number % g.ipg * layout.INODE_SIZE,
                node.type | entry.mode, node.links, min(entry.uid, _ID16), min(entry.gid, _ID16), node.size,
                entry.mtime, 0, entry.mtime, 0, entry.mtime, 0,
                *addresses,
                0, node.fragments * g.nspf, _generation(node.number), 0, entry.uid, entry.gid, 0,
            )
            # fmt: on
        return bytes(table)

    def _put_metadata(self) -> None:
        plan, g = self._plan, self._geometry
        groups = GroupWriter(g, plan.free, plan.time)
        summary = []
        for group, nodes in enumerate(self._groups):
            used = bytearray(g.ipg)
            if group == 0:
                used[:2] = b"\1\1"  # inodes 0 and 1 do not exist but count as used
            for node in nodes:
                used[node.number % g.ipg] = 1
            block, counts = groups.block(group, bytes(used), sum(node.type == layout.DIRECTORY for node in nodes))
            summary.append(counts)
            start = group * g.fpg
            self._put(start + g.cblkno, block, f"cylinder group {group}")
            table = Deferred(_table_size(nodes, g), partial(self._inode_table, nodes), f"inode table {group}")
            self.pieces.append(((start + g.iblkno) * g.fsize, table))
        self._put(g.csaddr, b"".join(map(Counts.pack, summary)), "summary area")
        data = superblock.pack(
            g,
            Counts(*map(sum, zip(*summary, strict=True))),
            time=plan.time,
            optimise=plan.optimise,
            minfree=plan.minfree,
            large_files=any(isinstance(node.entry, File) and node.size > _LARGE_FILE for node in plan.nodes),
        )
        self.pieces.append((layout.SUPERBLOCK_OFFSET, Bytes(data, "superblock")))
        for group in range(g.ncg):
            self._put(group * g.fpg + g.sblkno, data, f"superblock copy {group}")

    def _put(self, fragment: int, data: bytes, origin: str) -> None:
        self.pieces.append((fragment * self._geometry.fsize, Bytes(data, origin)))


def _table_size(nodes: "list[Node]", geometry: "Geometry") -> int:
    """Return the bytes of a group's inode table, as far as its last inode that is in use."""
    return max((node.number % geometry.ipg + 1 for node in nodes), default=0) * layout.INODE_SIZE


def _generation(number: int) -> int:
    """Return ic_gen: 31 bits that look random and are the same for an inode number in every image."""
    return crc32(number.to_bytes(4, "little")) & 0x7FFFFFFF
