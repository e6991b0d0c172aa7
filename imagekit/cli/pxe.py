"""imagekit pxe."""

import contextlib
from itertools import chain
from pathlib import Path

import click

from imagekit.boot.console import Console
from imagekit.boot.kernel_arguments import BootProperty, parse_properties
from imagekit.boot.mac_address import check_mac
from imagekit.boot.modules import ModuleRequest
from imagekit.cli import options
from imagekit.clock import Stamp


def _url(text: str) -> str:
    from imagekit.media.pxe import check_url  # noqa: PLC0415 - keeps --help quick

    return check_url(text)


@click.command("pxe")
@options.root
@click.option(
    "--platform",
    "platforms",
    type=options.PATH,
    multiple=True,
    metavar="DIR|FILE",
    help="A platform: a folder, or a tarball or image that holds one; may be repeated.  "
    "[default: the workspace's latest]",
)
@options.boot
@click.option(
    "-c",
    "--console",
    callback=options.optional(Console.parse),
    metavar="DEVICE[:BAUD]",
    help="Primary console: text (or vga), ttya to ttyd.  [default: the directory's, else text]",
)
@click.option(
    "-o",
    "--output",
    type=options.OUTPUT_FOLDER,
    metavar="DIR",
    help="The directory to make or to add to.  [default: ROOT/output-pxe]",
)
@click.option(
    "--url",
    callback=options.optional(_url),
    metavar="PREFIX",
    help='Where the directory will be served, for absolute URIs; "" for relative ones.  [default: relative]',
)
@click.option(
    "--default",
    callback=options.optional(Stamp),
    metavar="STAMP",
    help="The platform that boots by itself.  [default: the newest]",
)
@click.option(
    "-B",
    "properties",
    callback=options.each(parse_properties),
    multiple=True,
    metavar="NAME=VALUE[,...]",
    help="Boot properties for the kernel, as its own -B takes them; may be repeated.",
)
@options.modules
@options.answers
@click.option(
    "--uefi",
    type=click.Choice(["iso", "multiboot2"]),
    help="How UEFI machines boot: from an ISO image, or by an iPXE with multiboot 2.  "
    "[default: the directory's, else iso where there are boot files]",
)
@click.option("--layout", type=click.Choice(["smartos", "triton"]), help="Names of the files.  [default: smartos]")
@click.option(
    "--mac",
    "macs",
    callback=options.each(check_mac),
    multiple=True,
    metavar="ADDRESS",
    help="A machine that boots the platform, for --layout triton; may be repeated.",
)
@click.option(
    "--remove",
    callback=options.each(Stamp),
    multiple=True,
    metavar="STAMP",
    help="A platform to take out; may be repeated.  Without --platform, nothing is added.",
)
@click.option("--replace", is_flag=True, help="Put a platform in the place of another one of the same stamp.")
@click.option("--no-wait", is_flag=True, help="Fail while another imagekit is at work on the directory.")
@click.option("--copy", is_flag=True, help="Copy the platform's files, where they would be hard-linked.")
@options.dry_run
@options.as_json
def command(
    root: Path,
    platforms: tuple[Path, ...],
    boot: Path | None,
    console: Console | None,
    output: Path | None,
    url: str | None,
    default: Stamp | None,
    properties: tuple[tuple[BootProperty, ...], ...],
    modules: tuple[ModuleRequest, ...],
    answers: Path | None,
    uefi: str | None,
    layout: str | None,
    macs: tuple[str, ...],
    remove: tuple[Stamp, ...],
    replace: bool,
    no_wait: bool,
    copy: bool,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make a directory to boot from over the network, or add platforms to it.

    A TFTP or HTTP server serves it as it is: iPXE scripts with a menu, kernels and boot archives, ISO images for UEFI
    machines, and snippets for DHCP servers. What is there stays, and clients that boot meanwhile see the old menu or
    the new.

    \b
      imagekit pxe -c ttyb
      imagekit pxe --platform platform-20261122T000000Z --boot proto.boot --answers answers.json
      imagekit pxe --remove 20260101T000000Z
    """
    from imagekit.media import additions, pxe, sources  # noqa: PLC0415 - keeps --help quick

    places: tuple[Path | None, ...] = platforms or (() if remove else (None,))
    request = pxe.PxeRequest(
        output=output or root / "output-pxe",
        sources=tuple(sources.SourceRequest(root, place, boot) for place in places),
        console=console,
        url=url,
        default=default,
        properties=tuple(chain.from_iterable(properties)),
        additions=additions.Additions(modules, answers),
        uefi=uefi,
        layout=layout,
        macs=macs,
        remove=remove,
        share=not copy,
        replace=replace,
    )

    def waiting() -> None:
        options.note(f"{request.output}: another imagekit is at work here; waiting for it to end")

    with contextlib.nullcontext() if dry_run else pxe.locked(request.output, None if no_wait else waiting):
        options.carry_out(pxe.plan(request), dry_run=dry_run, as_json=as_json)
