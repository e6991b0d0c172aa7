"""imagekit tar."""

from pathlib import Path

import click

from imagekit.cli import options
from imagekit.clock import Stamp
from imagekit.errors import InputError


def _stamp(_ctx: click.Context, _param: click.Parameter, value: str | None) -> Stamp | None:
    try:
        return Stamp(value) if value is not None else None
    except InputError as error:
        raise click.BadParameter(f"{error} ({error.hint})") from error


@click.command("tar")
@click.option(
    "-m",
    "--manifest",
    "manifests",
    type=click.Path(path_type=Path),
    required=True,
    multiple=True,
    metavar="FILE|DIR",
    help="A manifest, a folder of manifests, or - for standard input; may be repeated.",
)
@click.option(
    "-p",
    "--proto",
    "protos",
    type=options.FOLDER,
    required=True,
    multiple=True,
    metavar="DIR",
    help="A proto area; of several the first that has a file supplies it.",
)
@click.option(
    "-o",
    "--output",
    type=options.FILE,
    required=True,
    metavar="FILE",
    help="The tarball; compressed unless the name ends in .tar.",
)
@click.option(
    "--stamp",
    callback=_stamp,
    metavar="STAMP",
    help="The build stamp, such as 20261122T000000Z: the time of all entries.  [default: SOURCE_DATE_EPOCH, else 1980]",
)
@options.dry_run
@options.as_json
def command(
    manifests: tuple[Path, ...],
    protos: tuple[Path, ...],
    output: Path,
    stamp: Stamp | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Make a tarball of what a manifest ships.

    Owners and modes are the manifest's; names become numbers through the proto area's etc/passwd and etc/group.

    \b
      imagekit tar -m manifest -p proto -o platform.tgz
    """
    from imagekit.media import tarball  # noqa: PLC0415 - keeps --help quick

    request = tarball.Request(manifests, protos, output, stamp)
    options.carry_out(tarball.plan(request), dry_run=dry_run, as_json=as_json)
