"""What a boot medium is made from: a platform and its boot files, found in a workspace or named one by one.

Either may be a folder, or an image or tarball that holds it: a released platform-STAMP.tgz, a SmartOS ISO or USB image.
"""

import contextlib
import re
from dataclasses import dataclass, replace
from pathlib import Path

from imagekit.clock import Stamp
from imagekit.content import Content, DiskFile
from imagekit.errors import InputError
from imagekit.formats import folder
from imagekit.platform.layout import BOOT_ARCHIVE, PLATFORM_KERNEL
from imagekit.tree import Directory, Entry, File, HardLink, Symlink, Tree

CDBOOT = "boot/cdboot"
ISOBOOT = "boot/isoboot"
_MADE_ANEW = "boot/efiboot.img"
_DATED = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_MOST_LINKS = 40
"""Links that lead to links; more are taken for a circle, as the kernel does."""


@dataclass(frozen=True, slots=True)
class Request:
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


def find_sources(request: Request, *, boot_required: bool = True) -> Sources:
    """Find platform and boot files; raise InputError, with what to do, when either is missing.

    Unless `boot_required`, a workspace without boot files will do: there are none then.
    """
    platform, platform_origin, name = _find_platform(request)
    warnings: list[str] = []
    stamp = _stamp(platform, name)
    if stamp is None:
        warnings.append(f"{platform_origin}: no build stamp in its name nor in etc/version/platform")
    if f"{BOOT_ARCHIVE}.hash" not in platform:
        warnings.append(f"{platform_origin}: {BOOT_ARCHIVE}.hash is missing: the kernel cannot verify its boot archive")
    boot, boot_origin = Tree(), str(request.root / "proto.boot")
    if boot_required or request.boot is not None or (request.root / "proto.boot").is_dir():
        boot, boot_origin, boot_warnings = _find_boot(request)
        warnings += boot_warnings
    return Sources(
        name=name if name.startswith("platform-") else f"platform-{stamp.text}" if stamp else "platform",
        stamp=stamp,
        platform=platform,
        boot=boot,
        platform_origin=platform_origin,
        boot_origin=boot_origin,
        cdboot=_disc_program(request, boot, CDBOOT) or _disc_place(request, boot_origin),
        isoboot=_disc_program(request, boot, ISOBOOT),
        warnings=tuple(warnings),
    )


def _find_platform(request: Request) -> tuple[Tree, str, str]:
    """Return the platform's tree, where it is, and its name."""
    path = request.platform or request.root / "output/platform-latest"
    if request.platform is None and not path.exists():
        raise InputError(
            "no platform here: it should be at output/platform-latest",
            where=str(request.root),
            hint="run inside a smartos-live workspace after a build, name one with -r, or give --platform and --boot",
        )
    tree, path = _open(path, "--platform")
    tops = [entry.path for entry in tree.children("") if isinstance(entry, Directory)]
    for prefix in ("", "platform", *(top for top in tops if top.startswith("platform-"))):
        inside = f"{prefix}/" if prefix else ""
        if all(inside + place in tree for place in (PLATFORM_KERNEL, BOOT_ARCHIVE)):
            name = prefix if prefix.startswith("platform-") else path.name
            origin = str(path / prefix) if path.is_dir() else f"{path}!/{prefix}"
            return _part(tree, path, origin=prefix), origin, name
    missing = [place for place in (PLATFORM_KERNEL, BOOT_ARCHIVE) if place not in tree]
    raise InputError(
        f"not a platform: no {' and no '.join(missing)} in it",
        where=str(path),
        hint=f"a platform holds {PLATFORM_KERNEL} and {BOOT_ARCHIVE}",
    )


def _find_boot(request: Request) -> tuple[Tree, str, list[str]]:
    """Return the boot files, as they lie at the top of a medium, where they are, and warnings."""
    path = request.boot or request.root / "proto.boot"
    if request.boot is None and not path.is_dir():
        raise InputError(
            "no boot files here: they should be in proto.boot",
            where=str(request.root),
            hint="run `gmake boot` or `imagekit boot` in the workspace, or name a folder with --boot",
        )
    tree, path = _open(path, "--boot")
    warnings: list[str] = []
    if not isinstance(tree.get("boot"), Directory):
        if "loader64.efi" not in tree and "loader" not in tree:
            raise InputError(
                "no boot files in it: neither boot/ nor loader64.efi",
                where=str(path),
                hint="--boot names a folder like a build's proto.boot, with boot/loader64.efi, boot/pmbr and so on",
            )
        return _part(tree, path, target="boot"), str(path), warnings
    if "platform" in tree and path.is_dir():
        warnings.append(f"{path}: of this folder platform/ is left out; the platform comes from elsewhere")
    # Where a whole medium was named, its platform is not wanted, nor the ESP that is made anew for each ISO.
    return _part(tree, path, without=("platform", _MADE_ANEW)), str(path), warnings


def _disc_program(request: Request, boot: Tree, path: str) -> Content | None:
    """Return a boot program that is no boot file of its own in a build: from proto, unless a folder was named."""
    file = request.root / "proto" / path
    if request.boot is None and file.is_file():
        return DiskFile(file)
    entry = boot.get(path)
    return entry.content if isinstance(entry, File) else None


def _disc_place(request: Request, boot_origin: str) -> str:
    """Return where cdboot was looked for."""
    return str(request.root / "proto" / CDBOOT) if request.boot is None else f"{boot_origin}/{CDBOOT}"


def _open(path: Path, option: str) -> tuple[Tree, Path]:
    """Return what is in a folder or an image, and the folder's path behind all links."""
    if path.is_dir():
        return folder.read(path), path.resolve()
    if not path.is_file():
        raise InputError("no such folder or file", where=str(path), hint=f"{option} names a folder, or an image of it")
    from imagekit.formats import detect  # noqa: PLC0415 - brings in all formats, and most runs name folders

    return detect.open_tree(DiskFile(path)), path


def _part(tree: Tree, path: Path, *, origin: str = "", target: str = "", without: tuple[str, ...] = ()) -> Tree:
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
    target = _target(tree, entry)
    if entry is not target and not isinstance(target, File):
        link = entry.target if isinstance(entry, HardLink | Symlink) else ""
        found = f"a {target.KIND}" if target else "nothing in here"
        raise InputError(
            f"a link to {link}, which is {found}; media hold files",
            where=f"{path}/{entry.path}",
            hint="put the file itself in the link's place",
        )
    return target


def _target(tree: Tree, entry: Entry) -> Entry | None:
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


def version_text(tree: Tree, path: str) -> str | None:
    """Return what a one-line version file says, or None when the tree has none there."""
    entry = tree.get(path)
    if not isinstance(entry, File):
        return None
    return entry.content.read(0, min(entry.content.size, 256)).decode("utf-8", "replace").strip()


def _stamp(platform: Tree, name: str) -> Stamp | None:
    """Return what the platform's version file says, else a date in it or in the folder's name."""
    version = version_text(platform, "etc/version/platform")
    dates = [found[0] for found in map(_DATED.search, (version or "", name)) if found]
    for text in (version, *dates):
        with contextlib.suppress(InputError):  # some other text
            return Stamp(text or "")
    return None
