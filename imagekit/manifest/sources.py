"""Reading manifests from files, folders of files and standard input."""

import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from imagekit.errors import InputError, Thing
from imagekit.manifest.grammar import Directive, Parsed, parse, refuse_bad_lines

STANDARD_INPUT = Path("-")
LARGEST = 256 << 20
"""Bytes of the longest manifest that is read; that of SmartOS has 1.3 million."""

MANIFESTS = ("manifest.gen", "manifest.d")
"""What the platform's manifest is called in a smartos-live workspace."""


def manifest_files(paths: Iterable[Path]) -> list[Path]:
    """Return the files that `paths` name: a file is itself, a folder its files in the order of their names' bytes.

    A folder's hidden files are left out, as the shell's `*` leaves them out.  Raise InputError for what is not there
    and for a folder without files.
    """
    files: list[Path] = []
    for path in paths:
        if path != STANDARD_INPUT and path.is_dir():
            files += _folder_files(path)
        else:
            files.append(path)
    return files


def _folder_files(folder: Path) -> list[Path]:
    try:
        files = sorted(
            (path for path in folder.iterdir() if not path.name.startswith(".")),
            key=lambda path: os.fsencode(path.name),
        )
    except OSError as error:
        raise InputError(f"cannot read the folder: {error.strerror}", where=str(folder)) from error
    if not files:
        raise InputError("no manifest is in this folder", where=str(folder))
    folders = [path for path in files if path.is_dir()]
    if folders:
        raise InputError(
            f"found a folder among the manifests: {folders[0].name}",
            where=str(folder),
            hint="name the folders one by one: each gives its own files only",
        )
    return files


def read_text(file: Path) -> str:
    """Return the text of a manifest; bytes that are not UTF-8 become surrogate escapes.  "-" is standard input."""
    try:
        if file == STANDARD_INPUT:
            data = sys.stdin.buffer.read(LARGEST + 1)
        else:
            with file.open("rb") as opened:
                data = opened.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"cannot read the manifest: {error.strerror}", where=str(file)) from error
    if len(data) > LARGEST:
        raise InputError(f"not a manifest: it has more than {LARGEST:,} bytes", where=_name(file))
    return data.decode("utf-8", "surrogateescape")


def parse_files(paths: Iterable[Path]) -> list[Parsed]:
    """Parse all files that `paths` name; bad lines are among the results."""
    return [parse(read_text(file), _name(file)) for file in manifest_files(paths)]


def _name(file: Path) -> str:
    return "<stdin>" if file == STANDARD_INPUT else str(file)


def read_manifests(paths: Iterable[Path]) -> list[Directive]:
    """Return the directives of all files that `paths` name, in order; raise one InputError for all bad lines."""
    parsed = parse_files(paths)
    refuse_bad_lines(line for one in parsed for line in one.bad)
    return [directive for one in parsed for directive in one.directives]


def workspace_manifests(root: Path, names: Sequence[str] = MANIFESTS) -> list[Path]:
    """Return where a smartos-live workspace has its manifest: manifest.gen once it is made, else manifest.d."""
    for name in names:
        if (root / name).exists():
            return [root / name]
    what = f"no manifest was given, and no {' or '.join(names)} is here"
    raise _not_here(root, what, "name one", "gmake manifest")


def _not_here(root: Path, what: str, hint: str, command: str) -> InputError:
    """Return what to say when a workspace lacks something; `command` makes it in a checkout of smartos-live."""
    where = str(root if root != Path() else root.resolve())
    if not root.is_dir():
        return InputError("there is no such folder", where=where)
    if (root / "tools/build_live").is_file():
        return InputError(what, where=where, hint=f"this checkout is not built yet: run `{command}`")
    return InputError(what, where=where, hint=f"{hint}, or run inside a smartos-live workspace")


_SOURCES = {
    "manifest.gen": (
        "manifest.d/*",
        "man/manifest",
        "src/manifest",
        "projects/illumos/manifest",
        "projects/illumos-extra/manifest",
        "projects/local/*/manifest",
    ),
    "boot.manifest.gen": ("boot.manifest.d/*", "projects/illumos/boot.manifest"),
}
"""What smartos-live's Makefile makes its manifests of."""


def outdated(manifests: Iterable[Path]) -> Iterator[str]:
    """Yield a warning for each manifest of a workspace that is older than what `gmake manifest` makes it of."""
    for manifest in manifests:
        try:
            made = manifest.stat().st_mtime_ns
            sources = [path for glob in _SOURCES.get(manifest.name, ()) for path in manifest.parent.glob(glob)]
            newer = sorted(str(path) for path in sources if path.stat().st_mtime_ns > made)
        except OSError:
            continue
        if newer:
            more = f" and {len(newer) - 1} more" if len(newer) > 1 else ""
            yield f"{manifest} is older than {newer[0]}{more}: run `gmake manifest`"


def workspace_protos(root: Path) -> list[Path]:
    """Return where a smartos-live workspace has its proto area."""
    if (root / "proto").is_dir():
        return [root / "proto"]
    raise _not_here(
        root, "no proto area was given, and no proto is here", f"name one with {Thing.PROTO}", "gmake world"
    )
