"""The files of a PXE directory that are generated: scripts, menu, loader.conf, server snippets, README, sums."""

from collections.abc import Mapping

from imagekit.boot.dhcp_snippets import Snippets
from imagekit.boot.ipxe import LABELS, Boot, ModuleLine, menu, straight
from imagekit.boot.loader_conf import loader_conf, property_problem
from imagekit.boot.modules import loader_variables
from imagekit.boot.places import BOOT, LOADER_CONF, PLATFORM, PXEBOOT
from imagekit.errors import PlanError
from imagekit.media.pxe.catalog import IMAGES, INDEX, MODULES, Catalog, Script, platform_folder
from imagekit.media.pxe.url import server_address, tftp_prefix

MENU = "smartos.ipxe"
RESERVED_STAMPS = frozenset({MENU.removesuffix(".ipxe"), *LABELS})
"""Stamps whose platforms would take the name of the menu, or of a label in it."""

README = "README"
SUMS = "SHA256SUMS"
DHCP = ("dhcp/isc-dhcpd.conf", "dhcp/kea-dhcp4.json", "dhcp/dnsmasq.conf")
EXAMPLE_SERVER = "192.0.2.1"
"""An address kept for documentation (RFC 5737): it stands for the server that the snippets' reader has."""

TRITON_PREFIX = "tftp://${next-server}/"


def prefix(catalog: Catalog) -> str:
    """Return what stands before paths in scripts: nothing where they are relative to the script."""
    return catalog.url or (TRITON_PREFIX if catalog.layout == "triton" else "")


def boot_of(catalog: Catalog, script: Script) -> Boot:
    """Return what a script boots."""
    platform = catalog.platform(script.stamp)
    assert platform is not None
    archive = [ModuleLine(platform.archive.path, "rootfs", "ramdisk")]
    if platform.hash:
        archive.append(ModuleLine(platform.hash.path, "hash", "ramdisk"))
    image = script.iso.path if script.iso else None
    added = []
    for module in script.modules:
        added.append(ModuleLine(module.file.path, "file", module.name))
        added.append(ModuleLine(module.hash.path, "hash", module.name))
    return Boot(script.stamp, platform.kernel.path, tuple(archive), tuple(added), dict(script.properties), image)


def generated(catalog: Catalog) -> dict[str, bytes]:
    """Return the generated files by path, in the order in which they should appear: the menu behind what it names.

    index.json and SHA256SUMS are not among them.
    """
    scripts = sorted(sorted(catalog.scripts, key=lambda one: one.path), key=lambda one: one.stamp, reverse=True)
    texts = {one.path: straight(boot_of(catalog, one), one.console, prefix(catalog)).encode() for one in scripts}
    if catalog.loader:
        texts[LOADER_CONF] = _loader_conf(catalog)
    texts[README] = _readme(catalog).encode()
    if catalog.layout == "smartos":
        server = server_address(catalog.url) or EXAMPLE_SERVER
        # Images are read over HTTP, and so the script has to come from there, unless it says where that is.
        url = catalog.url or (f"http://{server}/" if catalog.has_images else "")
        snippets = Snippets(f"{url}{MENU}", server, tftp_prefix(catalog.url), images=catalog.has_images)
        for path, text in zip(DHCP, (snippets.isc(), snippets.kea(), snippets.dnsmasq()), strict=True):
            texts[path] = text.encode()
        boots = [boot_of(catalog, script) for script in scripts]
        texts[MENU] = menu(boots, catalog.default_stamp, catalog.console, prefix(catalog)).encode()
    return texts


def _loader_conf(catalog: Catalog) -> bytes:
    """Return loader.conf for the illumos loader, which has no menu of platforms: it boots the default one."""
    platform = catalog.platform(catalog.default_stamp)
    assert platform is not None
    variables = [
        ("bootfile", f"/{platform.kernel.path}"),
        ("boot_archive_name", f"/{platform.archive.path}"),
        *(
            [("boot_archive.hash_name", f"/{platform.hash.path}")]
            if platform.hash
            else [("boot_archive.hash_load", "NO")]
        ),
    ]
    for script in catalog.scripts:
        if script.stamp == platform.stamp and script.mac is None:
            variables += loader_properties(script)
            variables += loader_variables((module.name for module in script.modules), script.folder)
    return loader_conf(catalog.console, variables)


def loader_properties(script: Script) -> list[tuple[str, str]]:
    """Return the boot properties that loader.conf hands on; raise PlanError for one that it cannot."""
    for name, value in script.properties:
        problem = property_problem(name, value)
        if problem:
            raise PlanError(
                f"boot property {name} cannot stand in loader.conf: {problem}",
                hint="leave it out, or make the directory without boot files: then iPXE alone reads it",
            )
    return [(name, value) for name, value in script.properties if name != "console"]


def sums(files: Mapping[str, str]) -> bytes:
    """Return SHA256SUMS of files by path, as sha256sum -c reads it."""
    return "".join(f"{digest}  {path}\n" for path, digest in sorted(files.items())).encode()


def _readme(catalog: Catalog) -> str:
    triton = catalog.layout == "triton"
    lines = [
        "SmartOS over the network",
        "",
        "A TFTP or HTTP server can serve this folder as it is. imagekit pxe made it; run that again to add or remove a",
        "platform. Files beside these, such as an iPXE of yours, are left alone.",
        "",
    ]
    table = []
    if triton:
        table.append(
            ("boot.ipxe.01MAC", "iPXE script for the machine with that MAC address, as Triton's booter names it")
        )
    else:
        table.append(
            (MENU, "iPXE script: a menu of platforms, consoles, ways to boot, kernel debugger; then the default")
        )
        table.append(("STAMP.ipxe", "iPXE script: boots that one platform straight"))
    table.append(
        (
            f"{platform_folder('STAMP')}/{PLATFORM}/",
            "kernel and boot archive of a platform; the kernel depends on these very paths",
        )
    )
    if any(script.modules for script in catalog.scripts):
        table.append(
            (f"{MODULES}/", "boot modules, which SmartOS shows in /system/boot; NAME.hash is the SHA-1 of NAME")
        )
    if catalog.loader:
        table.append((f"{BOOT}/", "the illumos loader's files, with loader.conf for the default platform"))
    if catalog.has_images:
        table.append((f"{IMAGES}/", "ISO images that iPXE boots UEFI machines from (sanboot), over HTTP"))
    if any(file.path == PXEBOOT for file in catalog.loader):
        table.append((PXEBOOT, "the illumos loader for BIOS machines, instead of undionly.kpxe"))
    if not triton:
        table.append((DHCP[0], "for ISC dhcpd: which client is given which program"))
        table.append((DHCP[1], "the same for Kea"))
        table.append((DHCP[2], "the same for dnsmasq"))
    table.append((INDEX, "what is here, for scripts"))
    table.append((SUMS, "check with: sha256sum -c SHA256SUMS"))
    width = max(len(name) for name, _ in table) + 2
    lines += [f"{name:{width}}{text}" for name, text in table]
    lines += ["", f"Default platform: {catalog.default_stamp}", "Platforms:"]
    lines += [f"  {platform.stamp}" for platform in catalog.platforms]
    if not triton:
        where = catalog.url or "http://SERVER/"
        lines += ["", "By hand, at an iPXE prompt:", "", "  dhcp", f"  chain {where}{MENU}"]
    return "".join(f"{line}\n" for line in lines)
