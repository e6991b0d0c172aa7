"""The ISO image that UEFI machines boot over HTTP: stock iPXE starts no multiboot kernel there, but it does `sanboot`.

The illumos loader for UEFI is built without network drivers (illumos usr/src/boot, LOADER_DISABLE_SNP), so it can load
nothing itself; iPXE shows it the image as a disc.  In it is what the directory serves anyway, and no more: everyone may
fetch it.
"""

from collections.abc import Mapping, Sequence

from imagekit.boot.console import DEVICES, Console
from imagekit.boot.loader_conf import loader_conf
from imagekit.boot.modules import Module, loader_variables
from imagekit.boot.places import BOOTFS, EFIBOOT, LOADER_CONF
from imagekit.clock import Stamp, build_time, derived_uuid
from imagekit.content import Bytes, Composite, Content
from imagekit.formats import iso
from imagekit.media import contents
from imagekit.media.iso import check_modules
from imagekit.media.pxe.catalog import Script, Served, image_path, platform_folder
from imagekit.media.pxe.request import Found, module_contents, served_content
from imagekit.media.pxe.texts import loader_properties
from imagekit.tree import Directory, File, Tree

ALIGNMENT = 128 << 10
"""Bytes: where files of this size and more begin, so that they can share blocks with their sources (ZFS's records are
as large, the blocks of Btrfs and XFS smaller)."""


def plan_image(
    script: Script, platform: Found, loader: Content, boot: Mapping[str, Content], modules: Sequence[Module]
) -> tuple[Served, Composite]:
    """Return the image that boots what `script` does, as it is listed, and its content.

    `loader` is the illumos loader for UEFI, `boot` are the files that it reads.  The image's name derives from its
    content, so a client never reads the beginning of one image and the end of another.
    """
    time = build_time(Stamp(script.stamp))
    tree = Tree(Directory(path="", mtime=time))
    files = dict(boot)
    folder = f"{platform_folder(script.stamp)}/"
    files |= {path.removeprefix(folder): content for path, content in platform.contents.items()}
    for module in modules:
        files |= module_contents(module, BOOTFS)
    files[LOADER_CONF] = Bytes(_loader_conf(script, platform), f"generated {LOADER_CONF}")
    for path in sorted(files):
        _add(tree, path, files[path], time)
    ids = ("pxe", script.stamp, *contents.listing(tree))
    esp = contents.plan_esp(loader, None, time=time, volume_id=derived_uuid(*ids).fields[0])
    _add(tree, EFIBOOT, esp.content(), time)
    volume = iso.plan(
        tree,
        volume_id=iso.volume_id_of(f"SMARTOS_{script.stamp}"),
        time=time,
        boot=[iso.BootEntry(path=EFIBOOT, platform="efi")],
        alignment=ALIGNMENT,
    )
    check_modules(volume, modules)
    image = volume.content()
    digest = served_content("", image).sha256
    return Served(image_path(script.stamp, digest), image.size, digest), image


def _add(tree: Tree, path: str, content: Content, time: int) -> None:
    tree.add_parents(path, mtime=time)
    tree.add(File(path=path, mode=0o444, mtime=time, user="root", group="root", content=content))


def _loader_conf(script: Script, platform: Found) -> bytes:
    device = dict(script.properties).get("console", script.console.device)
    console = Console(device, script.console.baud) if device in DEVICES else script.console
    variables = [] if platform.platform.hash else [("boot_archive.hash_load", "NO")]
    variables += loader_properties(script)
    variables += loader_variables((module.name for module in script.modules), BOOTFS)
    return loader_conf(console, variables)
