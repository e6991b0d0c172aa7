"""imagekit usb."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagekit.boot.console import Console
from imagekit.boot.modules import ModuleRequest
from imagekit.cli import options

if TYPE_CHECKING:
    from imagekit.formats.gzip import Level


@click.command("usb")
@options.root
@options.platform
@options.boot
@options.console
@click.option(
    "-o",
    "--output",
    type=options.OUTPUT_FILE,
    metavar="FILE",
    help="The image; partition.map goes beside it.  [default: ROOT/output-usb/PLATFORM.usb.gz]",
)
@click.option(
    "--size",
    callback=options.size(multiple_of=512),
    default="1940000256",
    metavar="BYTES",
    help="Size of the image, such as 1940000256, 4GB or auto: the smallest that fits.  [default: 1940000256]",
)
@click.option("--no-compress", is_flag=True, help="Write the image itself, sparse, not compressed with gzip.")
@click.option(
    "--mbr-active", is_flag=True, help="Mark the MBR's entry active, for BIOSes that start from nothing else."
)
@options.level
@click.option("--no-sha256", is_flag=True, help="Print no SHA-256 of an image that is not compressed: quicker.")
@options.modules
@options.answers
@options.dry_run
@options.as_json
def command(
    root: Path,
    platform: Path | None,
    boot: Path | None,
    console: Console | None,
    output: Path | None,
    size: int | None,
    no_compress: bool,
    mbr_active: bool,
    no_sha256: bool,
    modules: tuple[ModuleRequest, ...],
    answers: Path | None,
    level: "Level",
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make a bootable USB image (GPT, FAT32) for BIOS and UEFI.

    Inside a smartos-live workspace it does what tools/build_boot_image does. With --platform and --boot it needs no
    workspace.

    \b
      imagekit usb -c ttyb
      imagekit usb --platform platform-20261122T000000Z --boot proto.boot -o smartos.usb.gz
    """
    from imagekit.media import additions, sources, usb  # noqa: PLC0415 - keeps --help quick

    request = usb.UsbRequest(
        sources.SourceRequest(root, platform, boot),
        console,
        output,
        size,
        compress=not no_compress,
        digest=not no_sha256,
        mbr_active=mbr_active,
        level=level,
        additions=additions.Additions(modules, answers),
    )
    options.carry_out(usb.plan(request), dry_run=dry_run, as_json=as_json)
