"""What a PXE directory holds, as index.json says it: for scripts, and for imagekit's own next run."""

from collections.abc import Iterator
from dataclasses import dataclass

from imagekit.boot.console import Console

INDEX = "index.json"
FORMAT = 1
LAYOUTS = ("smartos", "triton")
UEFI = ("iso", "multiboot2")
"""What UEFI machines boot by: an ISO image as a disc, or the kernel itself by an iPXE that has multiboot 2."""

PLATFORMS = "os"
IMAGES = "iso"
"""Where the images for UEFI machines lie."""

MODULES = "bootfs"
"""Where boot modules lie, in a folder for each set of them (or for each machine, as Triton has it)."""


def platform_folder(stamp: str) -> str:
    """Return the folder of a platform."""
    return f"{PLATFORMS}/{stamp}"


def image_path(stamp: str, sha256: str) -> str:
    """Return the path of an image for UEFI machines; another content has another name."""
    return f"{IMAGES}/{stamp}-{sha256[:8]}.iso"


def script_path(stamp: str, mac: str | None) -> str:
    """Return a script's path: for a machine, as Triton's booter names it, with the address in capitals."""
    return f"boot.ipxe.01{mac.replace(':', '').upper()}" if mac else f"{stamp}.ipxe"


def machine_folder(mac: str) -> str:
    """Return where a machine's modules lie, as Triton's booter has it."""
    return f"{MODULES}/{mac.replace(':', '')}"


@dataclass(frozen=True, slots=True)
class Served:
    """A file of the directory: its path there, its size in bytes, its SHA-256 in hex."""

    path: str
    size: int
    sha256: str

    def data(self) -> dict[str, object]:
        """Return it as data."""
        return {"path": self.path, "size": self.size, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform in os/STAMP; `hash` is None when the build left no boot_archive.hash."""

    stamp: str
    kernel: Served
    archive: Served
    hash: Served | None

    @property
    def files(self) -> tuple[Served, ...]:
        """All its files."""
        return (self.kernel, self.archive, *([self.hash] if self.hash else []))

    def data(self) -> dict[str, object]:
        """Return it as data."""
        return {
            "stamp": self.stamp,
            "kernel": self.kernel.data(),
            "boot_archive": self.archive.data(),
            "boot_archive_hash": self.hash.data() if self.hash else None,
        }


@dataclass(frozen=True, slots=True)
class ServedModule:
    """A boot module and its hash; `name` is its path in /system/boot."""

    name: str
    file: Served
    hash: Served

    def data(self) -> dict[str, object]:
        """Return it as data."""
        return {"name": self.name, "file": self.file.data(), "hash": self.hash.data()}


@dataclass(frozen=True, slots=True)
class Script:
    """A script that boots one platform straight; `mac` is the machine that it is for, where it is for one only.

    `properties` are the boot properties that were given.  `folder` is where the modules lie ("" without any).
    """

    path: str
    stamp: str
    console: Console
    properties: tuple[tuple[str, str], ...]
    folder: str
    modules: tuple[ServedModule, ...]
    mac: str | None = None
    iso: Served | None = None
    """The image that UEFI machines boot instead."""

    def data(self) -> dict[str, object]:
        """Return it as data."""
        return {
            "path": self.path,
            "stamp": self.stamp,
            "mac": self.mac,
            "console": str(self.console),
            "properties": dict(self.properties),
            "folder": self.folder,
            "modules": [module.data() for module in self.modules],
            "iso": self.iso.data() if self.iso else None,
        }


@dataclass(frozen=True, slots=True)
class Catalog:
    """All of a PXE directory.  `default` is the stamp that was asked for, None for the newest; platforms newest first.

    `loader` are the files of the illumos loader, without its generated loader.conf.
    """

    layout: str
    url: str
    default: str | None
    console: Console
    platforms: tuple[Platform, ...]
    scripts: tuple[Script, ...]
    loader: tuple[Served, ...]
    uefi: str | None = None
    """One of UEFI, None when nobody asked for either."""

    @property
    def wants_images(self) -> bool:
        """Whether UEFI machines are to boot by images: iPXE reads parts of files by HTTP and HTTPS only."""
        return self.layout == "smartos" and self.uefi != "multiboot2" and not self.url.startswith("tftp:")

    @property
    def has_images(self) -> bool:
        """Whether there are images for UEFI machines."""
        return any(script.iso for script in self.scripts)

    @property
    def default_stamp(self) -> str:
        """The platform that boots by itself."""
        return self.default or self.platforms[0].stamp

    def platform(self, stamp: str) -> Platform | None:
        """Return the platform of a stamp, or None."""
        return next((platform for platform in self.platforms if platform.stamp == stamp), None)

    def served(self) -> Iterator[Served]:
        """Yield all files that come from elsewhere (the generated ones are not kept here), each once."""
        found: dict[str, Served] = {}
        for platform in self.platforms:
            found.update((file.path, file) for file in platform.files)
        for script in self.scripts:
            for module in script.modules:
                found.update((file.path, file) for file in (module.file, module.hash))
            if script.iso:
                found[script.iso.path] = script.iso
        found.update((file.path, file) for file in self.loader)
        yield from found.values()

    def data(self) -> dict[str, object]:
        """Return it as data."""
        return {
            "format": FORMAT,
            "layout": self.layout,
            "url": self.url,
            "default": self.default,
            "console": str(self.console),
            "uefi": self.uefi,
            "platforms": [platform.data() for platform in self.platforms],
            "scripts": [script.data() for script in self.scripts],
            "loader": [file.data() for file in self.loader],
        }
