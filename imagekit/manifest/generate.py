"""A manifest for what is there: a Tree written down as directives."""

import re

from imagekit.errors import InputError, Problems
from imagekit.manifest.combine import sort_key
from imagekit.manifest.relations import LONGEST_NAME, LONGEST_PATH, encoded_length
from imagekit.tree import Directory, Entry, File, HardLink, Symlink, Tree

_UNWRITABLE = re.compile(r"[\x00-\x20\x7f]")


def manifest_of(tree: Tree, *, user: str = "root", group: str = "root") -> str:
    """Return the manifest that describes a Tree: its modes and links, all owned by `user` and `group`.

    Raise one InputError for all names that no manifest can hold (white space, a leading #, = in a link's name) and for
    entries that no directive makes.
    """
    lines: list[str] = []
    problems = Problems()
    for entry in tree:
        if not entry.path:
            continue
        problem = _problem(entry)
        if problem:
            problems.add(f"/{entry.path!r}" if "\n" in entry.path else f"/{entry.path}", problem)
        else:
            lines.append(_line(entry, user, group))
    problems.raise_if_any(InputError, "a manifest cannot hold these", hint="rename them, or take them out")
    return "".join(f"{line}\n" for line in sorted(lines, key=sort_key))


def split_owner(text: str) -> tuple[str, str]:
    """Return user and group of USER:GROUP; raise InputError when it is something else."""
    user, _, group = text.partition(":")
    if not user or not group or ":" in group or "#" in {user[0], group[0]} or _UNWRITABLE.search(text):
        raise InputError(f"found {text!r} as owner, expected USER:GROUP", hint="such as root:bin")
    return user, group


def _problem(entry: Entry) -> str | None:
    """Say why no directive can describe an entry, or return None."""
    if not isinstance(entry, (Directory, File, Symlink, HardLink)):
        return f"found a {entry.KIND}, expected files, directories and links"
    if _UNWRITABLE.search(entry.path):
        return "found white space or a control character in the path"
    if encoded_length(entry.path) > LONGEST_PATH or any(
        encoded_length(name) > LONGEST_NAME for name in entry.path.split("/")
    ):
        return f"found a path or name that is too long, expected at most {LONGEST_PATH} and {LONGEST_NAME} bytes"
    if entry.path.startswith("#"):
        return "found a path that starts with #, which would start a comment"
    if isinstance(entry, (Symlink, HardLink)):
        if "=" in entry.path:
            return "found = in the path of a link, which would end the path"
        if _UNWRITABLE.search(entry.target) or not entry.target:
            return f"found the target {entry.target!r}, expected one without white space and control characters"
    return None


def _line(entry: Entry, user: str, group: str) -> str:
    if isinstance(entry, Symlink):
        return f"s {entry.path}={entry.target}"
    if isinstance(entry, HardLink):
        return f"h {entry.path}={entry.target}"
    return f"{'d' if isinstance(entry, Directory) else 'f'} {entry.path} {entry.mode:04o} {user} {group}"
