"""The ISO image that UEFI machines boot over HTTP: stock iPXE starts no multiboot kernel there, but it does `sanboot`.

The illumos loader for UEFI is built without network drivers (illumos usr/src/boot, LOADER_DISABLE_SNP), so it can load
nothing itself; iPXE shows it the image as a disc.  In it is what the directory serves anyway, and no more: everyone may
fetch it.
"""

from collections.abc import Mapping, Sequence

from imagekit.boot.console import DEVICES, Console
from imagekit.boot.loader_conf import loader_conf
from imagekit.boot.modules import Module, loader_variables
from imagekit.boot.places import BOOTFS, LOADER, LOADER_CONF
from imagekit.clock import Stamp, build_time
from imagekit.content import Bytes, Composite, Content
from imagekit.media.iso import plan_volume
from imagekit.media.medium import Medium
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
    stamp = Stamp(script.stamp)
    time = build_time(stamp)
    console = _console(script)
    tree = Tree(Directory(path="", mtime=time))
    files = dict(boot)
    folder = f"{platform_folder(script.stamp)}/"
    files |= {path.removeprefix(folder): content for path, content in platform.contents.items()}
    for module in modules:
        files |= module_contents(module, BOOTFS)
    files[LOADER_CONF] = Bytes(_loader_conf(script, platform, console), f"generated {LOADER_CONF}")
    for path in sorted(files):
        _add(tree, path, files[path], time)
    medium = Medium(
        name=script.stamp, stamp=stamp, console=console, tree=tree, programs={LOADER: loader}, modules=modules
    )
    _, volume = plan_volume(medium, medium.ids("pxe"), alignment=ALIGNMENT)
    image = volume.content()
    digest = served_content("", image).sha256
    return Served(image_path(script.stamp, digest), image.size, digest), image


def _add(tree: Tree, path: str, content: Content, time: int) -> None:
    tree.add_parents(path, mtime=time)
    tree.add(File(path=path, mode=0o444, mtime=time, user="root", group="root", content=content))


def _console(script: Script) -> Console:
    device = dict(script.properties).get("console", script.console.device)
    return Console(device, script.console.baud) if device in DEVICES else script.console


def _loader_conf(script: Script, platform: Found, console: Console) -> bytes:
    variables = [] if platform.platform.hash else [("boot_archive.hash_load", "NO")]
    variables += loader_properties(script)
    variables += loader_variables((module.name for module in script.modules), BOOTFS)
    return loader_conf(console, variables)
