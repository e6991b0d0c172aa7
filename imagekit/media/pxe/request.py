"""What was asked of `imagekit pxe`, and the platforms, modules and loader's files that it found for that."""

import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from imagekit.boot.console import Console
from imagekit.boot.kernel_arguments import BootProperty
from imagekit.boot.modules import Module
from imagekit.boot.places import (
    BIOS_LOADER,
    BOOT,
    CDBOOT,
    EFIBOOT,
    ISOBOOT,
    LOADER,
    LOADER_CONF,
    PLATFORM,
    PLATFORM_KERNEL,
    PMBR,
    STAGE2,
)
from imagekit.clock import Stamp
from imagekit.content import Bytes, Content
from imagekit.errors import InputError
from imagekit.media.additions import Additions
from imagekit.media.pxe.catalog import Platform, Served, platform_folder
from imagekit.media.repacking import own_settings
from imagekit.media.sources import SourceRequest, Sources
from imagekit.platform.archive import check_boot_archive
from imagekit.platform.layout import BOOT_ARCHIVE
from imagekit.tree import File

DISK_PROGRAMS = (
    *(PMBR, STAGE2, ISOBOOT, CDBOOT, EFIBOOT, BIOS_LOADER, LOADER),
    *(f"{BOOT}/mbr", f"{BOOT}/zfsboot", f"{BOOT}/loader32.efi"),
)
"""Boot files that start from disks and CDs only, and are not served: those for UEFI have no network drivers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PxeRequest:
    """What was asked for.  What is None stays as it is in the directory, or takes its default in a new one."""

    output: Path
    sources: tuple[SourceRequest, ...] = ()
    console: Console | None = None
    url: str | None = None
    default: Stamp | None = None
    properties: tuple[BootProperty, ...] = ()
    additions: Additions = field(default_factory=Additions)
    layout: str | None = None
    macs: tuple[str, ...] = ()
    remove: tuple[Stamp, ...] = ()
    share: bool = True
    uefi: str | None = None
    replace: bool = False
    """Whether a platform may take the place of another one of its stamp."""


@dataclass(frozen=True, slots=True)
class Found:
    """A platform to be served: the files as they will be listed, and their contents by path."""

    platform: Platform
    contents: dict[str, Content]


def read_platform(sources: Sources) -> Found:
    """Read a platform's files once, for their sums; raise InputError when the kernel would refuse its boot archive."""
    origin = sources.platform_origin
    if sources.stamp is None:
        raise InputError(
            "no build stamp, and platforms are served by their stamps",
            where=origin,
            hint="name the folder platform-STAMP, or write the stamp into its etc/version/platform",
        )
    stamp = sources.stamp.text
    contents: dict[str, Content] = {}
    served: list[Served] = []
    sha1 = ""
    for place in (PLATFORM_KERNEL, BOOT_ARCHIVE, f"{BOOT_ARCHIVE}.hash"):
        entry = sources.platform.get(place)
        if not isinstance(entry, File):
            continue
        path = f"{platform_folder(stamp)}/{PLATFORM}/{place}"
        contents[path] = entry.content
        file, digest = _sum(path, entry.content)
        served.append(file)
        sha1 = digest if place == BOOT_ARCHIVE else sha1
    check_boot_archive(sources.platform, origin, sha1)
    kernel, archive, *rest = served
    return Found(Platform(stamp, kernel, archive, rest[0] if rest else None), contents)


def _sum(path: str, content: Content) -> tuple[Served, str]:
    """Return a file as it is listed, and its SHA-1 in hex."""
    sha256, sha1 = hashlib.sha256(), hashlib.sha1(usedforsecurity=False)
    for block in content.blocks():
        sha256.update(block)
        sha1.update(block)
    return Served(path, content.size, sha256.hexdigest()), sha1.hexdigest()


def served_content(path: str, content: Content) -> Served:
    """Return a file as it will be listed."""
    return _sum(path, content)[0]


def is_served_boot_file(path: str) -> bool:
    """Tell whether a boot file can be used over the network, and is not generated."""
    return path.startswith(f"{BOOT}/") and path not in {*DISK_PROGRAMS, LOADER_CONF}


def loader_files(sources: Sources) -> Iterator[tuple[str, Content]]:
    """Yield path and content of the loader's files that can be used over the network, in order of their paths.

    Raise InputError for a name that SHA256SUMS could not hold as it is.
    """
    _, modules = own_settings(sources.boot)  # that of a medium is not taken over, so nothing would load them
    for entry in sorted(sources.boot.files(), key=lambda one: one.path):
        if is_served_boot_file(entry.path) and entry.path not in modules:
            if not is_listable(entry.path):
                raise InputError(
                    f"a boot file whose name has control characters, backslashes or no UTF-8: {entry.path!r}",
                    where=sources.boot_origin,
                    hint="rename it, or leave it out",
                )
            yield entry.path, entry.content


def is_listable(path: str) -> bool:
    """Tell whether a path can stand in SHA256SUMS as it is."""
    return not re.search(r"[\x00-\x1f\x7f\\\ud800-\udfff]", path)


def module_contents(module: Module, folder: str) -> dict[str, Content]:
    """Return what is served of a module, by path."""
    return {f"{folder}/{module.name}": module.content, f"{folder}/{module.name}.hash": module.hash_content}


def module_folder(modules: tuple[Module, ...]) -> str:
    """Return a name for a set of modules that no other set has, so that old scripts and new ones find their own."""
    digest = hashlib.sha256()
    for module in modules:
        digest.update(f"{module.name}\0{module.digest}\n".encode())
    return digest.hexdigest()[:8]


def text_content(path: str, text: bytes) -> Content:
    """Return a generated file's content."""
    return Bytes(text, f"generated {path}")
