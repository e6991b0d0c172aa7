"""From a placement to the bytes of an image: metadata is made here, file contents are put in their places unread."""

from typing import Literal
from zlib import crc32

from imagekit.content import Bytes, Composite, Content, Slice
from imagekit.formats.ufs import layout, superblock
from imagekit.formats.ufs.addresses import AddressBlocks, of_runs
from imagekit.formats.ufs.directory import pack
from imagekit.formats.ufs.groups import Counts, GroupWriter
from imagekit.formats.ufs.placement import Node, Placement
from imagekit.tree import File

_LARGE_FILE = (1 << 31) - 1
"""Bytes of the longest file that a program without large file support can open."""

_ID16 = 0xFFFF
"""The most that the 16-bit owner fields hold; it also means: see the 32-bit field."""


def render(
    placement: Placement, *, time: int, optimise: Literal["space", "time"], minfree: int, origin: str
) -> Composite:
    """Return the image of a placement; `time` is seconds since 1970, `minfree` percent."""
    image = _Image(placement)
    image.put_metadata(time=time, optimise=optimise, minfree=minfree)
    return Composite(placement.geometry.image_size, image.pieces, origin)


class _Image:
    def __init__(self, placement: Placement) -> None:
        self._placement = placement
        self._geometry = g = placement.geometry
        self.pieces: list[tuple[int, Content]] = []
        self._tables = [bytearray() for _ in range(g.ncg)]
        self._used = [bytearray(g.ipg) for _ in range(g.ncg)]
        self._directories = [0] * g.ncg
        self._used[0][:2] = b"\1\1"  # inodes 0 and 1 do not exist but count as used
        for node in placement.nodes:
            self._put_inode(node, self._put_addresses(node))
            self._put_data(node)

    def _put_data(self, node: Node) -> None:
        content = node.content
        if content is None:
            if node.type != layout.DIRECTORY:
                return
            content = self._directory(node)
        fsize = self._geometry.fsize
        done = 0
        for first, count in node.data:
            length = min(count * fsize, node.size - done)
            piece = content if length == node.size else Slice(content, done, length)
            self.pieces.append((first * fsize, piece))
            done += length

    def _directory(self, node: Node) -> Content:
        numbers = self._placement.numbers
        names, paths = self._placement.directories[node.entry.path]
        parent = numbers[node.entry.parent]
        data = pack(node.number, parent, names, [numbers[path] for path in paths], node.size)
        return Bytes(data, f"/{node.entry.path}")

    def _put_addresses(self, node: Node) -> list[int]:
        """Put the blocks of addresses of a node; return its direct and indirect addresses."""
        g = self._geometry
        if not node.indirect:
            direct = [address for first, count in node.data for address in range(first, first + count, g.frag)]
            if node.device:
                direct = [0, node.device]
            return direct + [0] * (layout.DIRECT + layout.INDIRECT - len(direct))
        data = of_runs(node.data, g.frag)
        blocks = AddressBlocks(data, of_runs(node.indirect, g.frag), g.nindir)
        index = 0
        for first, count in node.indirect:
            origin = f"block addresses of /{node.entry.path}"
            self.pieces.append((first * g.fsize, Bytes(blocks.pack(index, count // g.frag), origin)))
            index += count // g.frag
        return [*data[: layout.DIRECT], *blocks.roots]

    def _put_inode(self, node: Node, addresses: list[int]) -> None:
        entry = node.entry
        group, index = divmod(node.number, self._geometry.ipg)
        table = self._tables[group]
        end = (index + 1) * layout.INODE_SIZE
        if len(table) < end:
            table.extend(bytes(end - len(table)))
        # fmt: off
        layout.INODE.pack_into(
            table, index * layout.INODE_SIZE,
            node.type | entry.mode, node.links, min(entry.uid, _ID16), min(entry.gid, _ID16), node.size,
            entry.mtime, 0, entry.mtime, 0, entry.mtime, 0,
            *addresses,
            0, node.fragments * self._geometry.nspf, _generation(node.number), 0, entry.uid, entry.gid, 0,
        )
        # fmt: on
        self._used[group][index] = 1
        self._directories[group] += node.type == layout.DIRECTORY

    def put_metadata(self, *, time: int, optimise: Literal["space", "time"], minfree: int) -> None:
        """Put what the inodes leave to be said: groups, their tables, the summary, superblocks."""
        g, nodes = self._geometry, self._placement.nodes
        groups = GroupWriter(g, self._placement.free, time)
        summary = []
        for group in range(g.ncg):
            block, counts = groups.block(group, bytes(self._used[group]), self._directories[group])
            summary.append(counts)
            start = group * g.fpg
            self._put(start + g.cblkno, block, f"cylinder group {group}")
            self._put(start + g.iblkno, self._tables[group], f"inode table {group}")
        self._put(g.csaddr, b"".join(map(Counts.pack, summary)), "summary area")
        data = superblock.pack(
            g,
            Counts(*map(sum, zip(*summary, strict=True))),
            time=time,
            optimise=optimise,
            minfree=minfree,
            large_files=any(isinstance(node.entry, File) and node.size > _LARGE_FILE for node in nodes),
        )
        self.pieces.append((layout.SUPERBLOCK_OFFSET, Bytes(data, "superblock")))
        for group in range(g.ncg):
            self._put(group * g.fpg + g.sblkno, data, f"superblock copy {group}")

    def _put(self, fragment: int, data: bytes | bytearray, origin: str) -> None:
        self.pieces.append((fragment * self._geometry.fsize, Bytes(bytes(data), origin)))


def _generation(number: int) -> int:
    """Return ic_gen: 31 bits that look random and are the same for an inode number in every image."""
    return crc32(number.to_bytes(4, "little")) & 0x7FFFFFFF
