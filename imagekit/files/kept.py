"""What is in a folder that an output replaces, and is not the build's: named before, and kept where that is wanted."""

import os
import shutil
from collections.abc import Collection, Container, Iterator
from pathlib import Path

from imagekit.disk import folders_in, reporting_errors

_MOST_NAMED = 10
"""Files that a message names one by one."""


def others_in(folder: Path, known: Container[str], becomes: str) -> list[str]:
    """Return a warning that names what is in a folder that will be replaced and is not `known`: it stays, or goes."""
    if not folder.is_dir():
        return []
    with reporting_errors(folder):
        others = sorted(path for path in _paths_below(folder) if path not in known)
    if not others:
        return []
    more = f" and {len(others) - _MOST_NAMED:,} more" if len(others) > _MOST_NAMED else ""
    return [f"{folder} is there: in it {becomes} {', '.join(others[:_MOST_NAMED])}{more}"]


def keep_others(old: Path, new: Path, replaced: Collection[str]) -> None:
    """Give all files below `old` that `new` lacks a name there too, but for those `replaced`.

    Both names are one file's where the file system has hard links: so nothing is lost, whatever happens next.  Raise
    OSError for what cannot be kept, such as a file where `new` has a folder.
    """
    for path in _paths_below(old):
        target = new / path
        if path in replaced or (os.path.lexists(target) and not _is_folder(target)):
            continue
        try:
            _keep(old / path, target)
        except OSError as error:
            reason = f"{path} of the folder that is there cannot be kept: {error.strerror}"
            raise OSError(error.errno, reason) from error


def _keep(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        os.link(source, target, follow_symlinks=False)
    except OSError:
        if _is_folder(target) or not (source.is_symlink() or source.is_file()):
            raise
        shutil.copy2(source, target, follow_symlinks=False)


def _paths_below(top: Path) -> Iterator[str]:
    """Yield the path, relative to `top`, of all that is below it and no folder itself."""
    for folder, others in folders_in(top):
        yield from (str((folder / name).relative_to(top)) for name in others)


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()
