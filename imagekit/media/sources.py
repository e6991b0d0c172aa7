"""What a boot medium is made from: a platform and its boot files, found in a workspace or named one by one."""

import re
from dataclasses import dataclass, replace
from pathlib import Path

from imagekit.clock import Stamp
from imagekit.content import Content, DiskFile
from imagekit.errors import InputError
from imagekit.formats import folder
from imagekit.tree import Entry, File, HardLink, Symlink, Tree

KERNEL = "i86pc/kernel/amd64/unix"
ARCHIVE = "i86pc/amd64/boot_archive"
_STAMP = re.compile(r"\d{8}T\d{6}Z")


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
    it).  `name` is what products are named after: platform-[VERSION-]STAMP.  `cdboot` is where the boot program of
    CDs was looked for.
    """

    name: str
    stamp: Stamp | None
    platform: Tree
    boot: Tree
    platform_folder: Path
    cdboot: Path
    warnings: tuple[str, ...]

    def boot_file(self, path: str) -> Content:
        """Return a boot file's content; raise InputError when the boot folder has none at `path`."""
        entry = self.boot.get(path)
        if not isinstance(entry, File):
            raise InputError(
                f"no file {path} among the boot files, and the medium would not boot without it",
                where=self.boot_folder,
                hint="name a folder like a build's proto.boot with --boot",
            )
        return entry.content

    def cdboot_file(self) -> Content:
        """Return the boot program of CDs; raise InputError when there is none."""
        if not self.cdboot.is_file():
            raise InputError(
                "no cdboot, the BIOS boot program of CDs",
                where=str(self.cdboot),
                hint="copy it from the build's proto/boot/cdboot",
            )
        return DiskFile(self.cdboot)

    @property
    def boot_folder(self) -> str:
        """Where the boot files come from."""
        return str(self.cdboot.parent.parent)


def find_sources(request: Request, *, boot_required: bool = True) -> Sources:
    """Find platform and boot files; raise InputError, with what to do, when either is missing.

    Unless `boot_required`, a workspace without boot files will do: there are none then.
    """
    platform_folder = _find_platform(request)
    platform = _read(platform_folder)
    boot_folder, prefix = request.root / "proto.boot", ""
    boot = Tree()
    if boot_required or request.boot is not None or boot_folder.is_dir():
        boot_folder, prefix = _find_boot(request)
        boot = _read(boot_folder, prefix)
    warnings: list[str] = []
    stamp = _stamp(platform, platform_folder)
    if stamp is None:
        warnings.append(f"{platform_folder}: no build stamp in its name nor in etc/version/platform")
    if f"{ARCHIVE}.hash" not in platform:
        warnings.append(f"{platform_folder}/{ARCHIVE}.hash is missing: the kernel cannot verify its boot archive")
    cdboot = boot_folder / ("cdboot" if prefix else "boot/cdboot")
    if request.boot is None:
        cdboot = request.root / "proto/boot/cdboot"
    name = platform_folder.name
    if not name.startswith("platform-"):
        name = f"platform-{stamp.text}" if stamp else "platform"
    return Sources(name, stamp, platform, boot, platform_folder, cdboot, tuple(warnings))


def _find_platform(request: Request) -> Path:
    if request.platform is None:
        latest = request.root / "output/platform-latest"
        if not latest.exists():
            raise InputError(
                "no platform here: it should be at output/platform-latest",
                where=str(request.root),
                hint="run inside a smartos-live workspace after a build, name one with -r, "
                "or give --platform and --boot",
            )
        candidates = [latest]
    else:
        candidates = [request.platform, request.platform / "platform"]
    for candidate in candidates:
        if (candidate / KERNEL).is_file() and (candidate / ARCHIVE).is_file():
            return candidate.resolve()
    missing = [name for name in (KERNEL, ARCHIVE) if not (candidates[0] / name).is_file()]
    raise InputError(
        f"not a platform: no {' and no '.join(missing)} in it",
        where=str(candidates[0]),
        hint="a platform folder holds i86pc/kernel/amd64/unix and i86pc/amd64/boot_archive",
    )


def _find_boot(request: Request) -> tuple[Path, str]:
    """Return the folder of boot files and where in the medium it goes ("" or "boot")."""
    if request.boot is None:
        folder_path = request.root / "proto.boot"
        if not folder_path.is_dir():
            raise InputError(
                "no boot files here: they should be in proto.boot",
                where=str(request.root),
                hint="run `gmake boot` in the workspace, or name a folder with --boot",
            )
    else:
        folder_path = request.boot
        if not folder_path.is_dir():
            raise InputError("no such folder", where=str(folder_path), hint="--boot names a folder like proto.boot")
    if (folder_path / "boot").is_dir():
        return folder_path.resolve(), ""
    if (folder_path / "loader64.efi").is_file() or (folder_path / "loader").is_file():
        return folder_path.resolve(), "boot"
    raise InputError(
        "no boot files in it: neither boot/ nor loader64.efi",
        where=str(folder_path),
        hint="--boot names a folder like a build's proto.boot, with boot/loader64.efi, boot/pmbr and so on",
    )


def _read(path: Path, prefix: str = "") -> Tree:
    """Read a folder, under `prefix`; links to files become files of their own, as `cp -r` would copy them."""
    found = folder.read(path)
    tree = Tree()
    for entry in found:
        if entry.path:
            place = f"{prefix}/{entry.path}" if prefix else entry.path
            tree.add_parents(place)
            tree.add(replace(_followed(entry, found, path), path=place))
    return tree


def _followed(entry: Entry, tree: Tree, top: Path) -> Entry:
    if isinstance(entry, HardLink):
        return tree[entry.target]
    if isinstance(entry, Symlink):
        target = top / entry.path
        if target.is_file():
            return File(path=entry.path, mode=target.stat().st_mode & 0o7777, content=DiskFile(target.resolve()))
    return entry


def version_text(tree: Tree, path: str) -> str | None:
    """Return what a one-line version file says, or None when the tree has none there."""
    entry = tree.get(path)
    if not isinstance(entry, File):
        return None
    return entry.content.read(0, min(entry.content.size, 256)).decode("utf-8", "replace").strip()


def _stamp(platform: Tree, path: Path) -> Stamp | None:
    for text in (version_text(platform, "etc/version/platform"), path.name):
        found = _STAMP.search(text or "")
        if found:
            return Stamp(found[0])
    return None
