"""imagekit platform."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from imagekit.cli import options, terminal
from imagekit.cli.things import named
from imagekit.clock import Stamp
from imagekit.progress import unsaid

if TYPE_CHECKING:
    from imagekit.formats.gzip import Level


def _password(text: str) -> str:
    from imagekit.platform.password import check_password  # noqa: PLC0415 - keeps --help quick

    return check_password(text)


@click.command("platform")
@options.root
@options.manifests
@options.protos
@click.option(
    "-o", "--output", type=options.OUTPUT_FOLDER, metavar="DIR", help="Where all goes.  [default: ROOT/output]"
)
@options.stamp
@click.option(
    "--root-password",
    callback=options.optional(_password),
    metavar="PW",
    help="Root's password, kept in root.password.  [default: PLATFORM_PASSWORD of build.env, else a random one]",
)
@click.option(
    "--root-size", type=click.IntRange(min=1), metavar="KIB", help="Size of /.  [default: 350000, DEBUG 353000]"
)
@click.option("--usr-size", type=click.IntRange(min=1), metavar="KIB", help="Size of /usr.  [default: 448000]")
@click.option("--fit", is_flag=True, help="Let an image that is too small grow.")
@click.option("--strict", is_flag=True, help="Take warnings, and what lint warns of, for errors.")
@click.option("--config", type=options.FILE, metavar="FILE", help="Configuration.  [default: ROOT/imagekit.yaml]")
@options.level
@options.dry_run
@options.as_json
def command(
    root: Path,
    manifests: tuple[Path, ...],
    protos: tuple[Path, ...],
    output: Path | None,
    stamp: Stamp | None,
    root_password: str | None,
    root_size: int | None,
    usr_size: int | None,
    fit: bool,
    strict: bool,
    config: Path | None,
    level: "Level",
    dry_run: bool,
    as_json: bool,
) -> None:
    """Build a platform: boot_archive (UFS, with /usr.lgz in it), kernel, tarball.

    It does what `gmake live` does in a smartos-live workspace after the components are built, as a plain user. What
    was done and said is in ROOT/log/build_live.STAMP.EPOCH.log.

    \b
      imagekit platform
      imagekit platform -m manifest.d -p proto -o output --root-password secret
    """
    from imagekit.platform import build_log, plan, request  # noqa: PLC0415 - keeps --help quick

    asked = request.PlatformRequest(
        root=root,
        manifests=manifests,
        protos=protos,
        output=output,
        stamp=stamp,
        root_password=root_password,
        root_kib=root_size,
        usr_kib=usr_size,
        fit=fit,
        strict=strict,
        config=config,
        level=level,
    )
    with build_log.BuildLog(keeps=not dry_run, tell=unsaid if dry_run else terminal.write, named=named) as log:
        options.carry_out(plan.plan(asked, log), dry_run=dry_run, as_json=as_json)
