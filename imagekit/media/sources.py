"""What a boot medium is made from: a platform and its boot files, found in a workspace or named one by one.

Either may be a folder, or an image or tarball that holds it: a released platform-STAMP.tgz, a SmartOS ISO or USB image.
"""

import contextlib
from dataclasses import dataclass
from pathlib import Path

from imagekit.boot.places import CDBOOT, ISOBOOT, PLATFORM
from imagekit.clock import Stamp
from imagekit.content import Content, DiskFile
from imagekit.errors import InputError
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
    it).  `name` is what products are named after: platform-[VERSION-]STAMP.  `cdboot` is the boot program of CDs, or
    the place where it was looked for; `isoboot` that of ISO images on sticks.
    """

    name: str
    stamp: Stamp | None
    platform: Tree
    boot: Tree
    platform_origin: str
    boot_origin: str
    cdboot: Content | str
    isoboot: Content | None
    warnings: tuple[str, ...]

    def boot_file(self, path: str) -> Content:
        """Return a boot file's content; raise InputError when there is none at `path`."""
        entry = self.boot.get(path)
        if not isinstance(entry, File):
            raise InputError(
                f"no file {path} among the boot files, and the medium would not boot without it",
                where=self.boot_origin,
                hint="name a folder like a build's proto.boot with --boot",
            )
        return entry.content

    def cdboot_file(self) -> Content:
        """Return the boot program of CDs; raise InputError when there is none."""
        if isinstance(self.cdboot, str):
            raise InputError(
                "no cdboot, the BIOS boot program of CDs",
                where=self.cdboot,
                hint="copy it from the build's proto/boot/cdboot",
            )
        return self.cdboot


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
    programs = dict.fromkeys((CDBOOT, ISOBOOT))
    boot_named = _named_boot(request, named)
    if boot_required or boot_named is not None or (request.root / "proto.boot").is_dir():
        place = boot_named or _workspace_boot(request)
        boot, boot_warnings = boot_files(place.tree, place.path)
        boot_origin = str(place.path)
        warnings += boot_warnings
        if place is not named and place.path.is_dir() and PLATFORM in place.tree:
            warnings.append(f"{place.path}: of this folder platform/ is left out; the platform comes from elsewhere")
        proto = request.root / "proto" if boot_named is None else _proto_beside(place.path)
        programs = {path: _disc_program(boot, path, proto, first=boot_named is None) for path in programs}
    return Sources(
        name=found.name if found.name.startswith("platform-") else f"platform-{stamp.text}" if stamp else "platform",
        stamp=stamp,
        platform=platform,
        boot=boot,
        platform_origin=found.origin,
        boot_origin=boot_origin,
        cdboot=programs[CDBOOT] or (f"{request.root / 'proto' if boot_named is None else boot_origin}/{CDBOOT}"),
        isoboot=programs[ISOBOOT],
        warnings=tuple(warnings),
    )


@dataclass(frozen=True, slots=True)
class _Named:
    """A folder or an image that was named, opened; a folder's path is that behind all links."""

    tree: Tree
    path: Path


def _named_platform(request: SourceRequest) -> _Named:
    if request.platform is not None:
        return _open(request.platform, "--platform")
    path = request.root / "output/platform-latest"
    if path.exists():
        return _open(path, "--platform")
    root = Path.cwd() if request.root == Path() else request.root
    if any((root / name).exists() for name in _CHECKOUT):
        raise InputError(
            "this smartos-live checkout is not built yet: it has no output/platform-latest",
            where=str(root),
            hint="run `./configure`, `gmake world` and `gmake live` (or `imagekit platform`) first, "
            "or name a platform that you have with --platform",
        )
    raise InputError(
        "no platform here: it should be at output/platform-latest",
        where=str(root),
        hint="run inside a smartos-live workspace after a build, name one with -r, or give --platform and --boot",
    )


def _named_boot(request: SourceRequest, platform: _Named) -> _Named | None:
    """Return what --boot names, else what --platform names when boot files are in it, or None."""
    if request.boot is None:
        return platform if request.platform is not None and loaders(platform.tree) else None
    return platform if request.boot == request.platform else _open(request.boot, "--boot")


def _workspace_boot(request: SourceRequest) -> _Named:
    path = request.root / "proto.boot"
    if not path.is_dir():
        raise InputError(
            "no boot files here: they should be in proto.boot",
            where=str(Path.cwd() if request.root == Path() else request.root),
            hint="run `gmake boot` or `imagekit boot` in the workspace, or name a folder with --boot",
        )
    return _open(path, "--boot")


def _proto_beside(path: Path) -> Path | None:
    """Return the proto area of the build that a folder of boot files belongs to."""
    for folder_path in (path, path.parent):
        if folder_path.name == "proto.boot":
            return folder_path.parent / "proto"
    return None


def _disc_program(boot: Tree, path: str, proto: Path | None, *, first: bool) -> Content | None:
    """Return a boot program of discs: a build leaves it in its proto area, a medium has it among its boot files.

    With `first`, that in the proto area is preferred.
    """
    entry = boot.get(path)
    among = entry.content if isinstance(entry, File) else None
    built = DiskFile(proto / path) if proto is not None and (proto / path).is_file() else None
    return built or among if first else among or built


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
