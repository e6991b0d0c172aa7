"""Where outputs go: what may stand there, whether two of them get in each other's way, whether they can be made."""

import errno
import os
from collections.abc import Iterable
from pathlib import Path

from imagekit.disk import missing_folders_above, reporting_errors, what_stands_at
from imagekit.errors import OutputError


def file_target(path: Path) -> Path:
    """Return where a file is written to: behind all symbolic links.

    Raise OutputError when something else than a file is there, or when it can't be looked at.
    """
    with reporting_errors(path):
        found = what_stands_at(path)
        target = Path(os.path.realpath(path))
    if found not in {None, "file"}:
        hint = "name a file"
        if found in {"block device", "character device"}:
            hint = f"write the image to a file, then copy it: dd if=FILE of={path} bs=1M"
        raise OutputError(f"a {found} stands where the output should go", where=str(path), hint=hint)
    return target


def folder_target(path: Path) -> Path:
    """Return where a folder is made, as for files."""
    with reporting_errors(path):
        found = what_stands_at(path)
        target = Path(os.path.realpath(path))
    if found not in {None, "folder"}:
        raise OutputError(f"a {found} stands where the output folder should go", where=str(path))
    return target


def link_target(path: Path) -> Path:
    """Return where a link is made: only links above it are followed; raise OutputError when anything else is there."""
    with reporting_errors(path):
        taken = path.exists() and not path.is_symlink()
        target = Path(os.path.realpath(path.parent), path.name)
    if taken:
        raise OutputError("something that is not a link stands where the link should go", where=str(path))
    return target


def check_apart(path: Path, target: Path, others: Iterable[tuple[Path, bool]], *, folder: bool = False) -> None:
    """Raise OutputError when another output, (target, whether a folder), goes there, too, or one into the other."""
    for other, is_folder in others:
        inside = folder and target in other.parents
        outside = is_folder and other in target.parents
        if other == target or inside or outside:
            what = "go to one place" if other == target else "be one in the other"
            hint = "name another place for one of them"
            raise OutputError(f"this output and {other} would {what}", where=str(path), hint=hint)


def check_writable(path: Path, target: Path) -> Path:
    """Return the folder that is there already, in or below which `target` would be made.

    Raise OutputError, naming `path`, when that can be known to fail.
    """
    with reporting_errors(path):
        missing = missing_folders_above(target)
        folder = missing[-1].parent if missing else target.parent
        if not os.access(folder, os.W_OK | os.X_OK, effective_ids=os.access in os.supports_effective_ids):
            is_read_only = os.statvfs(folder).f_flag & os.ST_RDONLY
            raise _error(errno.EROFS if is_read_only else errno.EACCES)
        longest = os.pathconf(folder, "PC_NAME_MAX")
        if any(len(os.fsencode(one.name)) > longest for one in (*missing, target)):
            raise _error(errno.ENAMETOOLONG)
        if len(os.fsencode(target)) >= os.pathconf(folder, "PC_PATH_MAX"):
            raise _error(errno.ENAMETOOLONG)
    return folder


def _error(number: int) -> OSError:
    return OSError(number, os.strerror(number))
