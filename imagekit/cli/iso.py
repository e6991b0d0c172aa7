"""imagekit iso."""

from pathlib import Path

import click

from imagekit.boot.console import Console
from imagekit.boot.modules import ModuleRequest
from imagekit.cli import options


def _volume_id(text: str) -> str:
    from imagekit.formats.iso.volume import check_volume_id  # noqa: PLC0415 - keeps --help quick

    return check_volume_id(text)


@click.command("iso")
@options.root
@options.platform
@options.boot
@options.console
@click.option(
    "-o",
    "--output",
    type=options.OUTPUT_FILE,
    metavar="FILE",
    help="The image.  [default: ROOT/output-iso/PLATFORM.iso]",
)
@click.option(
    "--esp-size",
    callback=options.size(),
    default="auto",
    metavar="BYTES",
    help="Size of the EFI system partition in the image; 256M is the original's.  [default: what the loader needs]",
)
@click.option(
    "--volume-id",
    callback=options.optional(_volume_id),
    metavar="ID",
    help="Volume id, at most 32 characters.  [default: SMARTOS_STAMP]",
)
@click.option(
    "--hybrid", is_flag=True, help="One image for disc and stick: with GPT and MBR in front, for BIOS and UEFI."
)
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
    esp_size: int | None,
    volume_id: str | None,
    hybrid: bool,
    modules: tuple[ModuleRequest, ...],
    answers: Path | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make a bootable ISO 9660 image (Rock Ridge, El Torito) for BIOS and UEFI.

    Inside a smartos-live workspace it does what tools/build_boot_image -I does. With --platform and --boot it needs
    no workspace; cdboot then comes from the boot folder, or from proto beside proto.boot.

    \b
      imagekit iso
      imagekit iso --hybrid
      imagekit iso --platform platform-20261122T000000Z --boot proto.boot -c ttya -o smartos.iso
    """
    from imagekit.media import additions, iso, sources  # noqa: PLC0415 - keeps --help quick

    request = iso.IsoRequest(
        sources.SourceRequest(root, platform, boot),
        console,
        output,
        esp_size,
        volume_id,
        hybrid,
        additions.Additions(modules, answers),
    )
    options.carry_out(iso.plan(request), dry_run=dry_run, as_json=as_json)
