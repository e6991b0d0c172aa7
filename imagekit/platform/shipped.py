"""The list of shipped files with their MD5 sums: boot_archive.manifest, and a copy in the image."""

import hashlib
from functools import partial
from operator import itemgetter

from imagekit.content import Content, Deferred
from imagekit.errors import PlanError
from imagekit.tree import File, Tree

PATH = "usr/share/smartos/manifest"


def shipped_files(tree: Tree) -> Deferred:
    """Return a line `MD5  ./PATH` for every regular file of a tree, every name of it, by path.

    The files are those that the tree has now; they are read when the list is.
    """
    files: list[tuple[bytes, File]] = []
    for entry in tree:
        inode = tree.inode(entry.path)
        if isinstance(inode, File):
            files.append((entry.path.encode("utf-8", "surrogateescape"), inode))
    files.sort(key=itemgetter(0))
    if any(b"\n" in path for path, _ in files):
        raise PlanError("a file name holds a newline, and the list of shipped files has a line a file")
    size = sum(32 + len("  ./\n") + len(path) for path, _ in files)
    return Deferred(size, partial(_lines, files), "list of shipped files")


def _lines(files: list[tuple[bytes, File]]) -> bytes:
    sums: dict[str, bytes] = {}  # so that a file of many names is read once
    lines = []
    for path, file in files:
        if file.path not in sums:
            sums[file.path] = _md5(file.content)
        lines += [sums[file.path], b"  ./", path, b"\n"]
    return b"".join(lines)


def _md5(content: Content) -> bytes:
    digest = hashlib.md5(usedforsecurity=False)
    for block in content.blocks():
        digest.update(block)
    return digest.hexdigest().encode()
