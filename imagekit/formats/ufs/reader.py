"""From an image to a Tree: every address, length and chain in it is doubted first.

What an image can make imagekit do is bounded by its size: a fragment counts towards one inode only, so neither shared
blocks of addresses nor overlapping directories cost more than the image has fragments.
"""

from array import array
from collections.abc import Iterator
from sys import byteorder
from typing import TYPE_CHECKING, NamedTuple

from imagekit.content import Composite, Content, Slice
from imagekit.errors import FormatError
from imagekit.formats.ufs import layout
from imagekit.formats.ufs.directory import unpack
from imagekit.formats.ufs.superblock import Superblock, read_superblock
from imagekit.tree import Directory, Entry, File, HardLink, Special, Symlink, Tree, TreeTooLargeError

if TYPE_CHECKING:
    Addresses = array[int]

_INLINE_LINK = 60
"""Bytes of a link target that foreign writers keep where the addresses are."""

_LARGEST_DIRECTORY = 64 << 20
"""Bytes of a directory that may be read: it is read whole, and a sparse image can be of any size."""

_SPECIAL = {kind: letter for letter, kind in layout.SPECIAL_TYPES.items()}


class _Inode(NamedTuple):
    number: int
    mode: int
    size: int
    mtime: int
    addresses: tuple[int, ...]  # 12 direct, 3 indirect
    flags: int
    sectors: int
    uid: int
    gid: int
    raw: bytes

    @property
    def type(self) -> int:
        return self.mode & layout.TYPE_MASK


def read(content: Content) -> Tree:
    """Return what is in a UFS image, lost+found with it; file contents are read when they are asked for.

    Raise FormatError for an image that is damaged, or is no UFS of illumos on x86.
    """
    try:
        return _Reader(content).tree()
    except TreeTooLargeError as error:
        raise FormatError(error.what, where=content.origin) from None


class _Reader:
    def __init__(self, content: Content) -> None:
        self._image = content
        self._fs: Superblock = read_superblock(content)
        self._tables: dict[int, bytes] = {}
        self._left = self._fs.size
        """Fragments that no inode has claimed yet."""

    def tree(self) -> Tree:
        """Walk the directories from the root."""
        root = self._inode(layout.ROOT_INODE, "/")
        if root.type != layout.DIRECTORY:
            raise self._damaged("inode 2, the root, is not a directory", "/")
        entry = self._entry(root, "")
        assert isinstance(entry, Directory)
        tree = Tree(entry)
        first_paths: dict[int, str] = {}
        names: dict[int, int] = {}
        seen = {root.number}
        stack = [(root, "")]
        while stack:
            directory, path = stack.pop()
            below = []
            for name, number in self._names(directory, path):
                where = f"{path}/{name}" if path else name
                if len(where) > layout.PATH_MAX:
                    raise self._damaged(f"the path has {len(where):,} characters", where)
                if where in tree:
                    raise self._damaged("the directory has this name twice", where)
                names[number] = names.get(number, 0) + 1
                if number in first_paths:
                    if names[number] > layout.LINK_MAX:
                        raise self._damaged(f"inode {number} has more than {layout.LINK_MAX:,} names", where)
                    first = tree[first_paths[number]]
                    tree.add(_hard_link(first, where))
                    continue
                inode = self._inode(number, where)
                if inode.type == layout.DIRECTORY:
                    if number in seen:
                        raise self._damaged(f"inode {number} is a directory with two names", where)
                    seen.add(number)
                    below.append((inode, where))
                else:
                    first_paths[number] = where
                tree.add(self._entry(inode, where))
            stack.extend(reversed(below))
        return tree

    def _damaged(self, what: str, path: str) -> FormatError:
        where = f"{self._image.origin}!/{path.lstrip('/')}"
        return FormatError(f"damaged UFS: {what}", where=where, hint="the image is damaged")

    def _inode(self, number: int, path: str) -> _Inode:
        fs = self._fs
        if not layout.ROOT_INODE <= number < fs.ncg * fs.ipg:
            raise self._damaged(f"inode {number:,} of {fs.ncg * fs.ipg:,}", path)
        group, index = divmod(number, fs.ipg)
        table = self._tables.get(group)
        if table is None:
            table = self._image.read(fs.inode_table(group), fs.ipg * layout.INODE_SIZE)
            self._tables[group] = table
        at = index * layout.INODE_SIZE
        fields = layout.INODE.unpack_from(table, at)
        mode, _, suid, sgid, size, _, _, mtime, *_ = fields
        flags, sectors, _, _, uid, gid, _ = fields[-7:]
        if not mode & layout.TYPE_MASK:
            raise self._damaged(f"inode {number:,} is free, but has a name", path)
        return _Inode(
            number=number,
            mode=mode,
            size=size,
            mtime=mtime,
            addresses=fields[11:26],
            flags=flags,
            sectors=sectors,
            uid=uid if suid == 0xFFFF else suid,
            gid=gid if sgid == 0xFFFF else sgid,
            raw=table[at : at + layout.INODE_SIZE],
        )

    def _entry(self, inode: _Inode, path: str) -> Entry:
        mode = inode.mode & 0o7777
        if inode.type == layout.REGULAR:
            content = self._data(inode, path)
            return File(path=path, mode=mode, uid=inode.uid, gid=inode.gid, mtime=inode.mtime, content=content)
        if inode.type == layout.DIRECTORY:
            return Directory(path=path, mode=mode, uid=inode.uid, gid=inode.gid, mtime=inode.mtime)
        if inode.type == layout.SYMLINK:
            target = self._link_target(inode, path)
            return Symlink(path=path, mode=mode, uid=inode.uid, gid=inode.gid, mtime=inode.mtime, target=target)
        letter = _SPECIAL.get(inode.type)
        if letter is None:
            raise self._damaged(f"inode {inode.number:,} has the mode {inode.mode:#o}, of no known type", path)
        major, minor = layout.unpack_device(inode.addresses[1]) if letter in "bc" else (0, 0)
        return Special(
            path=path,
            mode=mode,
            uid=inode.uid,
            gid=inode.gid,
            mtime=inode.mtime,
            type=letter,
            major=major,
            minor=minor,
        )

    def _link_target(self, inode: _Inode, path: str) -> str:
        if not 0 < inode.size < self._fs.bsize:
            raise self._damaged(f"a symbolic link of {inode.size:,} bytes", path)
        if inode.sectors == 0 and inode.size <= _INLINE_LINK:
            target = inode.raw[40 : 40 + inode.size]
        else:
            target = self._data(inode, path).read()
        if b"\0" in target:
            raise self._damaged("a symbolic link with a NUL in its target", path)
        return target.decode("utf-8", "surrogateescape")

    def _names(self, directory: _Inode, path: str) -> Iterator[tuple[str, int]]:
        size = directory.size
        if size == 0 or size % layout.DIRECTORY_CHUNK:
            raise self._damaged(f"a directory of {size:,} bytes, expected a multiple of 512", path)
        if size > self._left * self._fs.fsize:
            raise self._damaged(f"a directory of {size:,} bytes is more than is left of the image", path)
        if size > _LARGEST_DIRECTORY:
            raise self._damaged(f"a directory of {size:,} bytes is not credible", path)
        data = self._data(directory, path).read()
        for name, number in unpack(data, f"{self._image.origin}!/{path}"):
            if name not in {b".", b".."}:
                yield name.decode("utf-8", "surrogateescape"), number

    def _data(self, inode: _Inode, path: str) -> Content:
        """Return the data of an inode, as slices of the image."""
        fs = self._fs
        origin = f"{self._image.origin}!/{path}"
        pieces: list[tuple[int, Content]] = []
        start = at = length = 0  # the run being collected: byte in the file, byte in the image, bytes

        def flush() -> None:
            if length:
                pieces.append((start, Slice(self._image, at, length, origin)))

        for block, address in self._blocks(inode, path):
            offset = block * fs.bsize
            count = min(fs.bsize, inode.size - offset)
            fragments = fs.frag if block >= layout.DIRECT else -(-count // fs.fsize)
            if address % fs.frag + fragments > fs.frag or not 0 < address <= fs.size - fragments:
                raise self._damaged(f"block {block:,} at fragment {address:,} (of {fs.size:,})", path)
            self._claim(fragments, path)
            if length and offset == start + length and address * fs.fsize == at + length:
                length += count
                continue
            flush()
            start, at, length = offset, address * fs.fsize, count
        flush()
        if len(pieces) == 1 and pieces[0][1].size == inode.size:
            return pieces[0][1]
        return Composite(inode.size, pieces, origin)

    def _claim(self, fragments: int, path: str) -> None:
        self._left -= fragments
        if self._left < 0:
            raise self._damaged("files hold more fragments than there are: some have two owners", path)

    def _blocks(self, inode: _Inode, path: str) -> Iterator[tuple[int, int]]:
        """Yield (block of the file, fragment address) of the blocks that are no holes."""
        fs = self._fs
        total = -(-inode.size // fs.bsize)
        reach = layout.DIRECT
        for block, address in enumerate(inode.addresses[: min(total, reach)]):
            if address and not self._unwritten(inode, address):
                yield block, address
        for level, address in enumerate(inode.addresses[layout.DIRECT :], 1):
            if total > reach and address and not self._unwritten(inode, address):
                yield from self._indirect(inode, path, level, address, reach, total)
            reach += fs.nindir**level
        if total > reach:
            raise self._damaged(f"a file of {inode.size:,} bytes is more than UFS can hold", path)

    @staticmethod
    def _unwritten(inode: _Inode, address: int) -> bool:
        """Tell whether an address stands for a block that was set aside, but never written: it reads as zeros."""
        return address < 0 and bool(inode.flags & layout.FALLOCATED)

    def _indirect(
        self, inode: _Inode, path: str, level: int, address: int, first: int, total: int
    ) -> Iterator[tuple[int, int]]:
        fs = self._fs
        if address % fs.frag or not 0 < address <= fs.size - fs.frag:
            raise self._damaged(f"a block of addresses at fragment {address:,} (of {fs.size:,})", path)
        self._claim(fs.frag, path)
        addresses: Addresses = array("i", self._image.read(address * fs.fsize, fs.bsize))
        if byteorder == "big":
            addresses.byteswap()
        reach = fs.nindir ** (level - 1)
        for index, inner in enumerate(addresses):
            block = first + index * reach
            if block >= total:
                return
            if not inner or self._unwritten(inode, inner):
                continue
            if level == 1:
                yield block, inner
            else:
                yield from self._indirect(inode, path, level - 1, inner, block, total)


def _hard_link(first: Entry, path: str) -> HardLink:
    return HardLink(path=path, mode=first.mode, uid=first.uid, gid=first.gid, mtime=first.mtime, target=first.path)
