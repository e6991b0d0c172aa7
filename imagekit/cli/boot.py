"""imagekit boot."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagekit.cli import options
from imagekit.clock import Stamp

if TYPE_CHECKING:
    from imagekit.formats.gzip import Level


@click.command("boot")
@options.root
@options.boot_manifests
@options.protos
@click.option(
    "-o", "--output", type=options.OUTPUT_FOLDER, metavar="DIR", help="The tarball's folder.  [default: ROOT/output]"
)
@options.stamp
@options.level
@options.dry_run
@options.as_json
def command(
    root: Path,
    manifests: tuple[Path, ...],
    protos: tuple[Path, ...],
    output: Path | None,
    stamp: Stamp | None,
    level: "Level",
    dry_run: bool,
    as_json: bool,
) -> None:
    """Lay out the boot files (proto.boot) and make their tarball, from the boot manifest.

    \b
      imagekit boot
    """
    from imagekit.platform import boot_files, request  # noqa: PLC0415 - keeps --help quick

    asked = request.WorkspaceRequest(
        root=root, manifests=manifests, protos=protos, output=output, stamp=stamp, level=level
    )
    options.carry_out(boot_files.plan(asked), dry_run=dry_run, as_json=as_json)
