"""What a boot medium is made from: a platform and its boot files, found in a workspace or named one by one.

Either may be a folder, or an image or tarball that holds it: a released platform-STAMP.tgz, a SmartOS ISO or USB image.
"""

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from imagekit.boot.places import CDBOOT, ISOBOOT, LOADER, PLATFORM, PMBR, STAGE2
from imagekit.clock import Stamp
from imagekit.content import Content, DiskFile
from imagekit.errors import InputError, Thing
from imagekit.formats import folder
from imagekit.media.finding import boot_files, find_platform, loaders
from imagekit.media.parts import part_of
from imagekit.platform.layout import BOOT_ARCHIVE, PLATFORM_VERSION
from imagekit.tree import Directory, File, Tree

_CHECKOUT = ("tools/build_live", "tools/build_illumos", "configure-projects")
"""What a checkout of smartos-live has before it is built."""


@dataclass(frozen=True, slots=True)
class SourceRequest:
    """Where to look: `root` is a smartos-live workspace; `platform` and `boot` take the place of what it holds."""

    root: Path
    platform: Path | None = None
    boot: Path | None = None


@dataclass(frozen=True, slots=True)
class Sources:
    """A platform and boot files.

    `platform` holds i86pc/… and etc/version/platform; `boot` holds boot/… (and etc/version/boot, when the build left
    it).  `name` is what products are named after: platform-[VERSION-]STAMP.  `programs` are the boot programs that are
    there, by path; those of discs may come from a build's proto area, and were looked for in `disc_origin`.
    """

    name: str
    stamp: Stamp | None
    platform: Tree
    boot: Tree
    platform_origin: str
    boot_origin: str
    programs: Mapping[str, Content]
    disc_origin: str
    warnings: tuple[str, ...]

    def program(self, path: str) -> Content:
        """Return a boot program; raise InputError when there is none at `path`."""
        if path in self.programs:
            return self.programs[path]
        if path == CDBOOT:
            raise InputError(
                "no cdboot, the BIOS boot program of CDs",
                where=f"{self.disc_origin}/{CDBOOT}",
                hint="copy it from the build's proto/boot/cdboot",
            )
        raise InputError(
            f"no file {path} among the boot files, and the medium would not boot without it",
            where=self.boot_origin,
            hint=f"name a folder like a build's proto.boot with {Thing.BOOT}",
        )


def find_sources(request: SourceRequest, *, boot_required: bool = True) -> Sources:
    """Find platform and boot files; raise InputError, with what to do, when either is missing.

    Unless `boot_required`, a workspace without boot files will do: there are none then.
    """
    named = _named_platform(request)
    found = find_platform(named.tree, named.path)
    platform = part_of(named.tree, named.path, origin=found.prefix)
    warnings: list[str] = []
    stamp = _stamp(platform, found.name)
    if stamp is None:
        warnings.append(f"{found.origin}: no build stamp in its name nor in {PLATFORM_VERSION}")
    if f"{BOOT_ARCHIVE}.hash" not in platform:
        warnings.append(f"{found.origin}: {BOOT_ARCHIVE}.hash is missing: the kernel cannot verify its boot archive")
    boot, boot_origin = Tree(), str(request.root / "proto.boot")
    proto: Path | None = None
    boot_named = _named_boot(request, named)
    if boot_required or boot_named is not None or (request.root / "proto.boot").is_dir():
        place = boot_named or _workspace_boot(request)
        boot, boot_warnings = boot_files(place.tree, place.path)
        boot_origin = str(place.path)
        warnings += boot_warnings
        if place is not named and place.path.is_dir() and PLATFORM in place.tree:
            warnings.append(f"{place.path}: of this folder platform/ is left out; the platform comes from elsewhere")
        proto = request.root / "proto" if boot_named is None else _proto_beside(place.path)
    return Sources(
        name=found.name if found.name.startswith("platform-") else f"platform-{stamp.text}" if stamp else "platform",
        stamp=stamp,
        platform=platform,
        boot=boot,
        platform_origin=found.origin,
        boot_origin=boot_origin,
        programs=_programs(boot, proto, built_first=boot_named is None),
        disc_origin=str(request.root / "proto") if boot_named is None else boot_origin,
        warnings=tuple(warnings),
    )


@dataclass(frozen=True, slots=True)
class _Named:
    """A folder or an image that was named, opened; a folder's path is that behind all links."""

    tree: Tree
    path: Path


def _named_platform(request: SourceRequest) -> _Named:
    if request.platform is not None:
        return _open(request.platform, Thing.PLATFORM)
    path = request.root / "output/platform-latest"
    if path.exists():
        return _open(path, Thing.PLATFORM)
    root = Path.cwd() if request.root == Path() else request.root
    if any((root / name).exists() for name in _CHECKOUT):
        raise InputError(
            "this smartos-live checkout is not built yet: it has no output/platform-latest",
            where=str(root),
            hint="run `./configure`, `gmake world` and `gmake live` (or `imagekit platform`) first, "
            f"or name a platform that you have with {Thing.PLATFORM}",
        )
    raise InputError(
        "no platform here: it should be at output/platform-latest",
        where=str(root),
        hint=f"run inside a smartos-live workspace after a build, name one with {Thing.ROOT}, "
        f"or give {Thing.PLATFORM} and {Thing.BOOT}",
    )


def _named_boot(request: SourceRequest, platform: _Named) -> _Named | None:
    """Return what --boot names, else what --platform names when boot files are in it, or None."""
    if request.boot is None:
        return platform if request.platform is not None and loaders(platform.tree) else None
    return platform if request.boot == request.platform else _open(request.boot, Thing.BOOT)


def _workspace_boot(request: SourceRequest) -> _Named:
    path = request.root / "proto.boot"
    if not path.is_dir():
        raise InputError(
            "no boot files here: they should be in proto.boot",
            where=str(Path.cwd() if request.root == Path() else request.root),
            hint=f"run `gmake boot` or `imagekit boot` in the workspace, or name a folder with {Thing.BOOT}",
        )
    return _open(path, Thing.BOOT)


def _proto_beside(path: Path) -> Path | None:
    """Return the proto area of the build that a folder of boot files belongs to."""
    for folder_path in (path, path.parent):
        if folder_path.name == "proto.boot":
            return folder_path.parent / "proto"
    return None


def _programs(boot: Tree, proto: Path | None, *, built_first: bool) -> dict[str, Content]:
    """Return the boot programs, by path: a build leaves those of discs in its proto area, a medium has them all.

    With `built_first`, those in the proto area are preferred.
    """
    entries = {path: boot.get(path) for path in (LOADER, PMBR, STAGE2, CDBOOT, ISOBOOT)}
    among = {path: entry.content for path, entry in entries.items() if isinstance(entry, File)}
    places = {path: proto / path for path in (CDBOOT, ISOBOOT)} if proto is not None else {}
    built = {path: DiskFile(place) for path, place in places.items() if place.is_file()}
    return among | built if built_first else built | among


def _open(path: Path, option: str) -> _Named:
    """Open a folder or an image; with FILE!/PATH, as messages name it, only what is at that path in it."""
    if path.is_dir():
        return _Named(folder.read(path), path.resolve())
    if path.is_file():
        from imagekit.formats import table  # noqa: PLC0415 - brings in all formats, and most runs name folders

        return _Named(table.open_tree(DiskFile(path)), path)
    whole, separator, inside = str(path).rpartition("!/")
    if separator and Path(whole).is_file():
        named = _open(Path(whole), option)
        if not isinstance(named.tree.get(inside), Directory):
            raise InputError(f"no folder {inside} in it", where=whole)
        return _Named(part_of(named.tree, named.path, origin=inside), path)
    raise InputError("no such folder or file", where=str(path), hint=f"{option} names a folder, or an image of it")


def version_text(tree: Tree, path: str) -> str | None:
    """Return what a one-line version file says, or None when the tree has none there."""
    entry = tree.get(path)
    if not isinstance(entry, File):
        return None
    return entry.content.read(0, min(entry.content.size, 256)).decode("utf-8", "replace").strip()


def _stamp(platform: Tree, name: str) -> Stamp | None:
    """Return what the platform's version file says, else a date in it or in the folder's name."""
    version = version_text(platform, PLATFORM_VERSION)
    with contextlib.suppress(InputError):  # some other text
        return Stamp(version or "")
    return Stamp.found_in(version or "") or Stamp.found_in(name)
