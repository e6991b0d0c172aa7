"""imagekit tar."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagekit.cli import options
from imagekit.clock import Stamp

if TYPE_CHECKING:
    from imagekit.formats.gzip import Level


@click.command("tar")
@options.manifests
@options.protos
@click.option(
    "-o",
    "--output",
    type=options.OUTPUT_FILE,
    required=True,
    metavar="FILE",
    help="The tarball; compressed unless the name ends in .tar.",
)
@options.stamp
@options.level
@options.dry_run
@options.as_json
def command(
    manifests: tuple[Path, ...],
    protos: tuple[Path, ...],
    output: Path,
    stamp: Stamp | None,
    level: "Level",
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make a tarball of what a manifest ships.

    Owners and modes are the manifest's; names become numbers through the proto area's etc/passwd and etc/group. All
    entries have the time of the build stamp; without any it is 1980.

    \b
      imagekit tar -o platform.tgz
      imagekit tar -m manifest -p proto -o platform.tar
    """
    from imagekit.platform import tarball  # noqa: PLC0415 - keeps --help quick

    request = tarball.TarRequest(output=output, manifests=manifests, protos=protos, stamp=stamp, level=level)
    options.carry_out(tarball.plan(request), dry_run=dry_run, as_json=as_json)
