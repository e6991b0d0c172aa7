"""imagekit verify."""

from pathlib import Path

import click

from imagekit.cli import options, terminal
from imagekit.cli.things import named


@click.command("verify")
@options.root
@options.manifests
@options.protos
@click.option("--complete", multiple=True, metavar="PREFIX", help="A path of the image below which every file of the "
              "proto areas has to be shipped, besides those of imagekit.yaml; may be repeated.")  # fmt: skip
@click.option("--config", type=options.FILE, metavar="FILE", help="Configuration.  [default: ROOT/imagekit.yaml]")
@click.option("--modes", is_flag=True, help="Compare permission bits too.")
@click.option("--unshipped", is_flag=True, help="List the files that no manifest ships.")
@click.option(
    "--content", is_flag=True, help="Print SHA-256, MD5, size and path of every file (findings go to stderr)."
)
@click.option("-v", "--verbose", is_flag=True, help="Show notes, too, and which proto area supplies each file.")
@options.as_json
@click.pass_context
def command(
    ctx: click.Context,
    root: Path,
    manifests: tuple[Path, ...],
    protos: tuple[Path, ...],
    complete: tuple[str, ...],
    config: Path | None,
    modes: bool,
    unshipped: bool,
    content: bool,
    verbose: bool,
    as_json: bool,
) -> None:
    """Check a manifest against a proto area.

    Finds files that are missing or unreadable or something else than the manifest says, links that differ, files that
    no manifest ships; and all (but sizes) that `imagekit platform` and `imagekit tar` would refuse. Prints all
    findings; docs/lint.md explains their codes. Exit status 1 when one is an error.

    \b
      imagekit verify
      imagekit verify -m manifest.gen -p overlay -p proto --modes
      imagekit verify --complete usr/vm --complete usr/img
    """
    from imagekit.manifest import report  # noqa: PLC0415 - keeps --help quick
    from imagekit.manifest.sources import outdated, read_manifests, workspace_manifests, workspace_protos  # noqa: PLC0415
    from imagekit.platform import checks  # noqa: PLC0415
    from imagekit.platform.request import find_config  # noqa: PLC0415

    sources = manifests or workspace_manifests(root)
    options.warn(outdated(sources))
    directives = read_manifests(sources)
    areas = protos or workspace_protos(root)
    configured = find_config(root, config)
    found = checks.check(directives, areas, configured, root, complete=complete, modes=modes, is_any=bool(manifests))
    found = checks.without_known(found, configured, is_any=bool(manifests))
    done = None
    if content:
        found, done = report.add_sums(found, terminal.bar)
    if as_json:
        options.print_json(report.document(found, done))
    else:
        options.print_lines(map(named, report.lines(found, verbose=verbose, unshipped=unshipped)), err=content)
        options.print_lines(map(str, done or ()))
    if not found.is_good:
        ctx.exit(1)
