"""A part of a tree as a tree of its own, where links have become the files that they lead to."""

from dataclasses import replace
from pathlib import Path

from imagekit.errors import InputError
from imagekit.tree import Directory, Entry, File, HardLink, Symlink, Tree


def part_of(tree: Tree, path: Path, *, origin: str = "", target: str = "", without: tuple[str, ...] = ()) -> Tree:
    """Return what is at `origin` in a tree, at `target` in one of its own, without what is at or below some paths.

    Links to files become files of their own, as `cp -r` would copy them.  Raise InputError for links that lead
    nowhere, to a directory, or out of the tree.
    """
    top = tree[origin]
    assert isinstance(top, Directory)
    part = Tree() if target else Tree(replace(top, path=""))
    if target:
        part.add(replace(top, path=target))
    skipped = tuple(f"{place}/" for place in without)
    for entry in tree:
        inside = entry.path.removeprefix(f"{origin}/") if origin else entry.path
        outside = entry.path == origin or (origin and inside == entry.path)
        if not outside and inside not in without and not inside.startswith(skipped):
            part.add(replace(_followed(tree, entry, path), path=f"{target}/{inside}" if target else inside))
    return part


def _followed(tree: Tree, entry: Entry, path: Path) -> Entry:
    if not isinstance(entry, HardLink | Symlink):
        return entry
    target = tree.follow(entry.path)
    if not isinstance(target, File):
        found = f"a {target.KIND}" if target else "nothing in here"
        raise InputError(
            f"a link to {entry.target}, which is {found}; media hold files",
            where=f"{path}/{entry.path}",
            hint="put the file itself in the link's place",
        )
    return target
