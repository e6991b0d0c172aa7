"""What lies in a PXE directory already: what need not be made again, what is in the way, and what goes."""

import os
from collections.abc import Iterable, Mapping
from pathlib import Path

from imagekit.content import DiskFile
from imagekit.errors import InputError, PlanError, Thing, listed
from imagekit.media.pxe.catalog import INDEX, Catalog, Served, platform_folder
from imagekit.media.pxe.request import Found, served_content
from imagekit.media.pxe.texts import SUMS, generated

_MOST_LISTED = 10


def is_there(output: Path, old: Catalog | None, found: Found, *, replace: bool) -> bool:
    """Tell whether a platform is in the directory already.

    Where another one of the same stamp is there, raise PlanError, unless it is to be replaced.
    """
    place = output / platform_folder(found.platform.stamp)
    if not place.exists():
        return False
    known = old.platform(found.platform.stamp) if old else None
    if known is None:  # an earlier run was cut off before it wrote the index, or somebody else put it there
        known_files = {file.path: _on_disk(output, file.path) for file in found.platform.files}
    else:
        known_files = {file.path: file for file in known.files if (output / file.path).is_file()}
    differing = [file.path for file in found.platform.files if known_files.get(file.path) != file]
    differing += sorted(known_files.keys() - {file.path for file in found.platform.files})
    if differing and not replace:
        raise PlanError(
            "another platform is there with the same stamp; what differs or is missing: "
            + ", ".join(Path(path).name for path in differing),
            where=str(place),
            hint=f"give {Thing.REPLACE} to put the new one in its place",
        )
    return not differing


def has_image(output: Path, known: Mapping[str, Served], catalog: Catalog, path: str) -> bool:
    """Tell whether an image of the catalog lies in the directory already; one that no index names is read for that."""
    image = next(file for file in catalog.served() if file.path == path)
    if known.get(path) == image:
        return (output / path).is_file() and (output / path).stat().st_size == image.size
    return _on_disk(output, path) == image


def _on_disk(output: Path, path: str) -> Served | None:
    return served_content(path, DiskFile(output / path)) if (output / path).is_file() else None


def check_free(output: Path, old: Catalog | None, files: Iterable[str]) -> None:
    """Raise InputError when files of somebody else would be written over."""
    ours = {INDEX, SUMS, *(file.path for file in old.served()), *generated(old)} if old else set()
    clash = [path for path in files if path not in ours and (output / path).exists()]
    if clash:
        raise InputError(
            f"files that imagekit did not make are in the way:{listed(clash)}",
            where=str(output),
            hint=f"name a folder of its own with {Thing.OUTPUT}, or move them away",
        )


def check_others(output: Path, old: Catalog | None, new: Catalog, paths: Iterable[str]) -> None:
    """Raise PlanError when files of somebody else lie in folders that will be replaced or removed."""
    ours = {file.path for catalog in (old, new) if catalog for file in catalog.served()}
    others = [
        found
        for path in paths
        if (output / path).is_dir() and not (output / path).is_symlink()
        for place, _, names in os.walk(output / path)
        for name in names
        if (found := (Path(place) / name).relative_to(output).as_posix()) not in ours
    ]
    if others:
        raise PlanError(
            f"files that imagekit did not put there would be lost:{listed(sorted(others), most=_MOST_LISTED)}",
            where=str(output),
            hint="move them away first",
        )


def gone(old: Catalog | None, new: Catalog) -> tuple[str, ...]:
    """Return what is no longer named: scripts first, for clients begin with those."""
    if old is None:
        return ()
    kept = {file.path for file in new.served()} | set(generated(new))
    scripts = [path for path in generated(old) if path not in kept]
    stamps = [platform_folder(platform.stamp) for platform in old.platforms if new.platform(platform.stamp) is None]
    folders = {script.folder for script in old.scripts if script.folder}
    left = {script.folder for script in new.scripts}
    files = [file.path for file in old.loader if file.path not in kept]
    files += [script.iso.path for script in old.scripts if script.iso and script.iso.path not in kept]
    return (*scripts, *stamps, *sorted(folders - left), *files)
