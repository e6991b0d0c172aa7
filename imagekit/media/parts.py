"""A part of a tree as a tree of its own, where links have become the files that they lead to."""

from dataclasses import replace
from pathlib import Path

from imagekit.errors import InputError
from imagekit.tree import Directory, Entry, File, HardLink, Symlink, Tree

_MOST_LINKS = 40
"""Links that lead to links; more are taken for a circle, as the kernel does."""


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
    target = target_of(tree, entry)
    if entry is not target and not isinstance(target, File):
        link = entry.target if isinstance(entry, HardLink | Symlink) else ""
        found = f"a {target.KIND}" if target else "nothing in here"
        raise InputError(
            f"a link to {link}, which is {found}; media hold files",
            where=f"{path}/{entry.path}",
            hint="put the file itself in the link's place",
        )
    return target


def target_of(tree: Tree, entry: Entry) -> Entry | None:
    """Return what a link leads to inside the tree, or None."""
    for _ in range(_MOST_LINKS):
        if isinstance(entry, HardLink):
            found = tree.get(entry.target)
        elif isinstance(entry, Symlink):
            place = _joined(entry.parent, entry.target)
            found = None if place is None else tree.get(place)
        else:
            return entry
        if found is None:
            return None
        entry = found
    return None


def _joined(folder_path: str, target: str) -> str | None:
    """Return the path in the tree to which a link in a folder leads, or None when it leads out."""
    if target.startswith("/"):
        return None
    parts = folder_path.split("/") if folder_path else []
    for part in target.split("/"):
        if part == "..":
            if not parts:
                return None
            parts.pop()
        elif part not in {"", "."}:
            parts.append(part)
    return "/".join(parts)
