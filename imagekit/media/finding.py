"""Finds the platform and the boot files in what was named: a folder, a tarball's tree, a whole medium's."""

from dataclasses import dataclass
from pathlib import Path

from imagekit.boot.places import BIOS_LOADER, BOOT, EFIBOOT, LOADER, PLATFORM, PLATFORM_KERNEL, PMBR, PXEBOOT, STAGE2
from imagekit.errors import InputError, Thing, listed
from imagekit.media.parts import part_of
from imagekit.platform.layout import BOOT_ARCHIVE
from imagekit.tree import Directory, Tree

LATEST = "platform-latest"
_TRITON = "os"
"""Where a Triton USB key has its platforms: os/STAMP/platform."""

_TRITON_MARK = ".joyliveusb"
_LOADERS = (LOADER, BIOS_LOADER, PMBR, STAGE2, PXEBOOT)
_MADE_ANEW = (EFIBOOT, "boot.catalog")
"""What is made for each ISO image: the ESP, and the boot catalog (a file where mkisofs wrote the image)."""


@dataclass(frozen=True, slots=True)
class FoundPlatform:
    """A platform: where it is in the tree, its name, and what messages call its place."""

    prefix: str
    name: str
    origin: str


def find_platform(tree: Tree, path: Path) -> FoundPlatform:
    """Find the platform in what is at `path`; raise InputError when there is none, or more than one.

    It is the whole, or in platform/, in what platform-latest leads to, or in the only folder platform-STAMP or
    os/STAMP/platform.
    """
    for prefix in ("", PLATFORM, LATEST):
        target = tree.follow(prefix)
        if isinstance(target, Directory) and not _missing(tree, target.path):
            return _found(path, target.path)
    platforms = [place for place in _places(tree) if not _missing(tree, place)]
    if len(platforms) > 1:
        separator = "/" if path.is_dir() else "!/"
        raise InputError(
            f"more than one platform is in it, and no {LATEST}:{listed(platforms)}",
            where=str(path),
            hint=f"name one: {Thing.PLATFORM} {path}{separator}{platforms[-1]}",
        )
    if platforms:
        return _found(path, platforms[0])
    places = [place for place in (PLATFORM, *_places(tree)) if isinstance(tree.get(place), Directory)]
    prefix = places[0] if len(places) == 1 else ""
    raise InputError(
        f"not a platform: no {' and no '.join(_missing(tree, prefix))} in it",
        where=_origin(path, prefix),
        hint=f"a platform holds {PLATFORM_KERNEL} and {BOOT_ARCHIVE}",
    )


def _places(tree: Tree) -> list[str]:
    """Return where platforms may be, other than at fixed places."""
    tops = [entry.path for entry in tree.children("") if isinstance(entry, Directory)]
    places = [top for top in tops if top.startswith("platform-")]
    if isinstance(tree.get(_TRITON), Directory):
        stamps = [entry.path for entry in tree.children(_TRITON)]
        places += [f"{stamp}/{PLATFORM}" for stamp in stamps if f"{stamp}/{PLATFORM}" in tree]
    return sorted(places)


def _missing(tree: Tree, prefix: str) -> list[str]:
    inside = f"{prefix}/" if prefix else ""
    return [place for place in (PLATFORM_KERNEL, BOOT_ARCHIVE) if inside + place not in tree]


def _found(path: Path, prefix: str) -> FoundPlatform:
    top = prefix.split("/", maxsplit=1)[0]
    return FoundPlatform(prefix, top if top.startswith("platform-") else path.name, _origin(path, prefix))


def _origin(path: Path, prefix: str) -> str:
    return str(path / prefix) if path.is_dir() else f"{path}!/{prefix}" if prefix else str(path)


def loaders(tree: Tree) -> list[str]:
    """Return which boot programs of illumos are in a tree of boot files or of a medium."""
    return [path for path in _LOADERS if path in tree]


def boot_files(tree: Tree, path: Path) -> tuple[Tree, list[str]]:
    """Return boot files, as they lie at the top of a medium, and warnings; raise InputError when there are none."""
    hint = f"{Thing.BOOT} names a folder like a build's proto.boot, with boot/loader64.efi, boot/pmbr and so on"
    if not isinstance(tree.get(BOOT), Directory):
        if "loader64.efi" not in tree and "loader" not in tree:
            raise InputError("no boot files in it: neither boot/ nor loader64.efi", where=str(path), hint=hint)
        return part_of(tree, path, target=BOOT), []
    if "usr" in tree or "kernel" in tree:
        boot = path.with_name(f"{path.name}.boot")
        raise InputError(
            "a whole proto area, not boot files: it holds usr/ or kernel/ too",
            where=str(path),
            hint=f"did you mean {boot}?"
            if boot.is_dir()
            else "`gmake boot` or `imagekit boot` fills proto.boot from it",
        )
    if not loaders(tree):
        what = "it boots with GRUB, as SmartOS did before 2019" if "boot/grub" in tree else "no loader is in boot/"
        raise InputError(f"no boot files in it: {what}", where=str(path), hint=hint)
    if _TRITON_MARK in tree:
        return _of_triton(tree, path)
    # Where a whole medium was named, its platforms are not wanted, nor what is made anew.
    others = [place for place in (*_places(tree), LATEST) if place in tree]
    warnings = [f"{path}: platforms that are left out of the boot files: {', '.join(others)}"] if others else []
    return part_of(tree, path, without=(PLATFORM, *others, *_MADE_ANEW)), warnings


def _of_triton(tree: Tree, path: Path) -> tuple[Tree, list[str]]:
    """Return only the boot files of a Triton USB key: the rest is for its headnode."""
    tops = [entry.path for entry in tree.children("")]
    without = sorted(top for top in tops if top not in {BOOT, "etc"})
    warning = f"{path}: a Triton USB key, of which only boot/ and etc/ are taken; left out: {', '.join(without)}"
    return part_of(tree, path, without=(*without, *_MADE_ANEW)), [warning]
