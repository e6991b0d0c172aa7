"""Manifests shown as `ls -l` shows folders."""

import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imagekit.errors import InputError, nearest
from imagekit.manifest.grammar import KIND_NAMES, Directive
from imagekit.manifest.relations import hard_links, missing_directories, standing

_TYPES = {"f": stat.S_IFREG, "d": stat.S_IFDIR}


@dataclass(frozen=True, slots=True)
class Row:
    """One entry: `permissions` as ls prints them, `name` with where a link leads."""

    path: str
    kind: str
    permissions: str
    user: str
    group: str
    target: str

    @property
    def name(self) -> str:
        """The path, and where it leads."""
        if self.kind == "symbolic link":
            return f"{self.path} -> {self.target}"
        return f"{self.path} link to {self.target}" if self.kind == "hard link" else self.path

    def as_json(self) -> dict[str, str]:
        """Return what --json prints."""
        row = {"path": self.path, "kind": self.kind, "permissions": self.permissions}
        return row | {"user": self.user, "group": self.group, "target": self.target}


def listing(directives: Iterable[Directive], path: str = "", *, recursive: bool = False) -> list[Row]:
    """Return what a manifest puts at `path`: a directory's entries, with `recursive` all below it, or one other entry.

    Directories that have no entry of their own are shown as the image will have them: 0755 root:root.

    Raise InputError when the manifest has nothing there.
    """
    path = path.strip("/")
    entries, _ = standing(directives)
    implied, _ = missing_directories(entries)
    links = hard_links(entries).targets
    everything = {folder: _implied(folder) for folder in implied}
    everything |= {one.path: _row(one, entries, links.get(one.path)) for one in entries.values() if one.path}
    if path and path not in everything:
        near = nearest(path, everything)
        raise InputError(f"the manifest has nothing at {path!r}", hint=f"did you mean {near}?" if near else None)
    if path and everything[path].kind != "directory":
        return [everything[path]]
    prefix = f"{path}/" if path else ""
    chosen = [one for one in everything if one.startswith(prefix) and (recursive or "/" not in one[len(prefix) :])]
    return [everything[one] for one in sorted(chosen)]


def _implied(path: str) -> Row:
    return Row(path, "directory", "drwxr-xr-x", "root", "root", "")


def _row(directive: Directive, entries: dict[str, Directive], final: str | None) -> Row:
    kind = KIND_NAMES[directive.kind]
    if directive.kind == "s":
        return Row(directive.path, kind, "lrwxrwxrwx", "root", "root", directive.target)
    if directive.kind == "h":
        source = None if final is None else entries.get(final)
        if source is None or source.kind == "s":
            return Row(directive.path, kind, "hrwxrwxrwx", "root", "root", directive.target)
        permissions = "h" + stat.filemode(source.mode)[1:]
        return Row(directive.path, kind, permissions, source.user, source.group, directive.target)
    permissions = stat.filemode(_TYPES[directive.kind] | directive.mode)
    return Row(directive.path, kind, permissions, directive.user, directive.group, "")


def aligned(rows: Sequence[Row]) -> list[str]:
    """Return the rows as lines of text with aligned columns."""
    user = max((len(row.user) for row in rows), default=0)
    group = max((len(row.group) for row in rows), default=0)
    return [f"{row.permissions} {row.user:<{user}} {row.group:<{group}} {row.name}" for row in rows]
