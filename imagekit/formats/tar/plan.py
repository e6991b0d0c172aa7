"""Plans a tar archive of a Tree: ustar headers, and a pax header before what they cannot say."""

import tarfile
from dataclasses import replace

from imagekit.content import Bytes, Composite, Content
from imagekit.errors import PlanError
from imagekit.formats.tar import layout
from imagekit.tree import Directory, Entry, File, HardLink, HardLinkError, Special, Symlink, Tree

_LARGEST_ID = 8**7 - 1
_LARGEST_NUMBER = 8**11 - 1  # of a size in bytes, or of a time in seconds since 1970
_TYPE_FLAGS = {name: flag for flag, name in layout.SPECIAL_TYPES.items()}


def plan(tree: Tree, origin: str = "archive.tar") -> Composite:
    """Return a tar archive of all entries below the root, in the order of the tree.

    Of the names of one file the first carries the content; the others are hard links to it.  PlanError when a hard
    link leads to nothing, or for a socket, which tar cannot hold.
    """
    pieces: list[tuple[int, Content]] = []
    start = end = 0  # the run of headers that is being gathered
    headers: list[bytes] = []
    first_names: dict[str, str] = {}  # of what has hard links: the name that carries it, by the path of the inode
    linked = {_inode(tree, entry).path for entry in tree if isinstance(entry, HardLink)}
    for entry in tree:
        if not entry.path:
            continue
        inode = _inode(tree, entry)
        carrier = first_names.setdefault(inode.path, entry.path) if inode.path in linked else entry.path
        content = inode.content if isinstance(inode, File) and carrier == entry.path else None
        header = _header(inode, entry.path, content.size if content else 0, None if carrier == entry.path else carrier)
        headers.append(header)
        end += len(header)
        if content and content.size:
            pieces.append((start, Bytes(b"".join(headers), f"{origin}: headers")))
            pieces.append((end, content))
            headers.clear()
            start = end = -(-(end + content.size) // layout.BLOCK) * layout.BLOCK
    pieces.append((start, Bytes(b"".join(headers), f"{origin}: headers")))
    # Two blocks of zeros end the archive; like the filling, nothing has to stand there.
    size = -(-(end + 2 * layout.BLOCK) // layout.RECORD) * layout.RECORD
    return Composite(size, pieces, origin)


def _inode(tree: Tree, entry: Entry) -> Entry:
    """Return what an entry is a name of: itself, but for a hard link."""
    try:
        return tree.inode(entry.path)
    except HardLinkError as error:
        raise PlanError(error.what, where=error.where) from None


def _header(inode: Entry, path: str, size: int, hard_link: str | None) -> bytes:
    """Return the header blocks of a path: of `inode`'s kind, or of a hard link to the path `hard_link`."""
    name, target, major, minor = path, "", 0, 0
    if hard_link is not None:
        kind, target = layout.HARD_LINK, hard_link
    elif isinstance(inode, File):
        kind = layout.FILE
    elif isinstance(inode, Directory):
        kind, name = layout.DIRECTORY, f"{path}/"
    elif isinstance(inode, Symlink):
        kind, target = layout.SYMLINK, inode.target
    elif isinstance(inode, Special) and inode.type in _TYPE_FLAGS:
        kind, major, minor = _TYPE_FLAGS[inode.type], inode.major, inode.minor
        if not (0 <= major <= _LARGEST_ID and 0 <= minor <= _LARGEST_ID):
            raise PlanError(f"a tar archive cannot hold the device number {major},{minor}", where=f"/{path}")
    else:
        raise PlanError("a tar archive cannot hold a socket", where=f"/{path}")
    split = _split(name)
    if (
        split is None
        or not (target.isascii() and inode.user.isascii() and inode.group.isascii())
        or len(target) > layout.NAME_SIZE
        or max(len(inode.user), len(inode.group)) > layout.OWNER_SIZE
        or not (0 <= inode.uid <= _LARGEST_ID and 0 <= inode.gid <= _LARGEST_ID)
        or not (size <= _LARGEST_NUMBER and 0 <= inode.mtime <= _LARGEST_NUMBER)
    ):
        return _pax_header(replace(inode, path=path), kind, size, target)
    prefix, short = split
    header = bytearray(
        layout.HEADER.pack(
            short,
            b"%07o\0" % inode.mode,
            b"%07o\0" % inode.uid,
            b"%07o\0" % inode.gid,
            b"%011o\0" % size,
            b"%011o\0" % inode.mtime,
            b" " * 8,
            kind,
            target.encode("ascii"),
            layout.MAGIC,
            layout.VERSION,
            inode.user.encode("ascii"),
            inode.group.encode("ascii"),
            b"%07o\0" % major,
            b"%07o\0" % minor,
            prefix,
        ).ljust(layout.BLOCK, b"\0")
    )
    header[layout.CHECKSUM] = b"%06o\0 " % sum(header)
    return bytes(header)


def _split(name: str) -> tuple[bytes, bytes] | None:
    """Return (prefix, name) as they fit into a header, None when they do not."""
    if not name.isascii():
        return None
    raw = name.encode("ascii")
    if len(raw) <= layout.NAME_SIZE:
        return b"", raw
    cut = raw.find(b"/", len(raw) - layout.NAME_SIZE - 1)
    if 0 < cut <= layout.PREFIX_SIZE and cut < len(raw) - 1:
        return raw[:cut], raw[cut + 1 :]
    return None


def _pax_header(entry: Entry, kind: bytes, size: int, target: str) -> bytes:
    """Return a pax header and the ustar header behind it."""
    info = tarfile.TarInfo(entry.path)
    info.type = kind
    info.mode, info.uid, info.gid, info.mtime, info.size = entry.mode, entry.uid, entry.gid, entry.mtime, size
    info.uname, info.gname, info.linkname = entry.user, entry.group, target
    if isinstance(entry, Special):
        info.devmajor, info.devminor = entry.major, entry.minor
    return info.tobuf(tarfile.PAX_FORMAT, "utf-8", "surrogateescape")
