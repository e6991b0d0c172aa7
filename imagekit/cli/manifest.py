"""imagekit manifest: combine, lint, fmt, diff, ls, from-tree."""

from pathlib import Path

import click

from imagekit.cli import options

_PATHS = click.argument("paths", nargs=-1, type=options.PATH, metavar="[FILE|DIR]...")
_OUTPUT = click.option(
    "-o", "--output", type=options.FILE, metavar="FILE", help="Where to write it; - is standard output, the default."
)

_CONFIG = click.option("--config", type=options.FILE, metavar="FILE", help="Configuration, for the warnings that are "
                       "known.  [default: imagekit.yaml in the current folder]")  # fmt: skip


@click.command("combine")
@_PATHS
@_OUTPUT
@click.option("--strict", is_flag=True, help="Refuse manifests that contradict each other.")
@_CONFIG
@click.option("-v", "--verbose", is_flag=True, help="List all warnings, not the first of each code.")
def combine(paths: tuple[Path, ...], output: Path | None, strict: bool, config: Path | None, verbose: bool) -> None:
    """Print many manifests as one: sorted, each path once.

    It is what `build_manifest DIR | sorter` prints in a smartos-live workspace, byte for byte. Of several lines with
    one second field (PATH, or PATH=TARGET of links) the last stands, with a warning; identical directories merge
    silently.

    \b
      imagekit manifest combine manifest.d -o manifest.gen
      imagekit manifest combine --strict a.manifest b.manifest
    """
    from imagekit.manifest.combine import combine as combine_directives  # noqa: PLC0415 - keeps --help quick
    from imagekit.manifest.findings import grouped  # noqa: PLC0415
    from imagekit.manifest.known import set_apart  # noqa: PLC0415
    from imagekit.manifest.sources import read_manifests, workspace_manifests  # noqa: PLC0415
    from imagekit.platform.request import find_config  # noqa: PLC0415

    chosen = paths or workspace_manifests(Path(), ["manifest.d"])
    combined = combine_directives(read_manifests(chosen), strict=strict)
    sorting = set_apart(combined.findings, find_config(Path(), config).known)
    listed = [finding.brief for finding in sorting.new] if verbose else grouped(sorting.new)
    options.warn([*listed, *sorting.remarks()])
    _write(combined.text, output)


@click.command("lint")
@_PATHS
@click.option("-p", "--proto", "protos", type=options.FOLDER, multiple=True, metavar="DIR", help="Where etc/passwd and "
              "etc/group say which owners there are.  [default: the accounts of a stock SmartOS]")  # fmt: skip
@click.option("--strict", is_flag=True, help="Fail on warnings too.")
@_CONFIG
@click.option("-v", "--verbose", is_flag=True, help="List all warnings, not the first of each code; known ones, too.")
@options.as_json
@click.pass_context
def lint(
    ctx: click.Context,
    paths: tuple[Path, ...],
    protos: tuple[Path, ...],
    strict: bool,
    config: Path | None,
    verbose: bool,
    as_json: bool,
) -> None:
    """Check manifests that make one image together.

    Prints FILE:LINE: CODE SEVERITY: MESSAGE for each finding; docs/lint.md explains the codes. Exit status 1 for errors
    (with --strict also for warnings), else 0. A comment at the end of a line quiets a finding there:

    \b
      f usr/bin/odd 0044 root bin   # imagekit: allow M104 the tests need an unreadable file
    """
    from imagekit.manifest import report  # noqa: PLC0415 - keeps --help quick
    from imagekit.manifest.accounts import read_accounts  # noqa: PLC0415
    from imagekit.manifest.findings import as_document, summary  # noqa: PLC0415
    from imagekit.manifest.known import OF_LINT, set_apart  # noqa: PLC0415
    from imagekit.manifest.lint import lint as find  # noqa: PLC0415
    from imagekit.manifest.sources import parse_files, workspace_manifests  # noqa: PLC0415
    from imagekit.platform.request import find_config  # noqa: PLC0415

    files = parse_files(paths or workspace_manifests(Path(), ["manifest.d"]))
    found = find(files, read_accounts(protos) if protos else None)
    # What is known of a workspace may be missing in a few of its manifests.
    sorting = set_apart(found, find_config(Path(), config).known, () if paths else OF_LINT)
    findings = sorting.new
    if as_json:
        known = {"known": len(sorting.known), "stale": sorting.stale}
        options.print_json({**as_document(findings), **known})
    else:
        *table, counts = summary(findings)
        listed = map(str, found) if verbose else map(str, findings) if strict else report.short(findings)
        options.print_lines([*listed, *sorting.stale, *table, counts + report.known_count(len(sorting.known))])
    if any(finding.severity == "error" or strict for finding in findings):
        ctx.exit(1)


@click.command("fmt")
@click.argument("paths", nargs=-1, type=options.PATH, metavar="FILE|DIR...", required=True)
@click.option("--check", is_flag=True, help="Write nothing; name the files that would change, and fail if any would.")
@click.pass_context
def fmt(ctx: click.Context, paths: tuple[Path, ...], check: bool) -> None:
    """Bring manifests into their canonical form, in place.

    Fields stand one blank apart, modes have four digits; between blank lines and comments the lines are sorted. What
    the manifests say stays the same, which of two lines of one path counts too. The names of the files that change are
    printed.
    """
    from imagekit.manifest.formatting import format_files  # noqa: PLC0415 - keeps --help quick

    changed = format_files(paths, write=not check)
    options.print_lines(str(path) for path in changed)
    if check and changed:
        ctx.exit(1)


@click.command("diff")
@click.argument("old", type=options.PATH, metavar="FILE|DIR")
@click.argument("new", type=options.PATH, metavar="FILE|DIR")
@options.as_json
@click.pass_context
def diff(ctx: click.Context, old: Path, new: Path, as_json: bool) -> None:
    """Compare two manifests, or two folders of them, path by path.

    Prints + for paths that are new, - for those that are gone, ~ for those that changed. Exit status 1 when the two
    differ.
    """
    from imagekit.manifest.difference import differences  # noqa: PLC0415 - keeps --help quick
    from imagekit.manifest.sources import read_manifests  # noqa: PLC0415

    found = list(differences(read_manifests([old]), read_manifests([new])))
    if as_json:
        options.print_json([difference.as_json() for difference in found])
    else:
        options.print_lines(map(str, found))
    if found:
        ctx.exit(1)


@click.command("ls")
@click.argument("path", default="", metavar="[PATH]")
@options.manifests
@click.option("-R", "--recursive", is_flag=True, help="List all that is below PATH.")
@options.as_json
def ls(path: str, manifests: tuple[Path, ...], recursive: bool, as_json: bool) -> None:
    """List what a manifest puts at PATH, like `ls -l`.

    \b
      imagekit manifest ls usr/bin -m manifest.gen
    """
    from imagekit.manifest.listing import aligned, listing  # noqa: PLC0415 - keeps --help quick
    from imagekit.manifest.sources import read_manifests, workspace_manifests  # noqa: PLC0415

    rows = listing(read_manifests(manifests or workspace_manifests(Path())), path, recursive=recursive)
    if as_json:
        options.print_json([row.as_json() for row in rows])
    else:
        options.print_lines(aligned(rows))


def _owner(text: str) -> tuple[str, str]:
    from imagekit.manifest.generate import split_owner  # noqa: PLC0415 - keeps --help quick

    return split_owner(text)


@click.command("from-tree")
@click.argument("folder", type=options.FOLDER, metavar="DIR")
@click.option(
    "--owner",
    callback=options.optional(_owner),
    default="root:root",
    metavar="USER:GROUP",
    help="Who owns all of it.  [default: root:root]",
)
@_OUTPUT
def from_tree(folder: Path, owner: tuple[str, str], output: Path | None) -> None:
    """Print the manifest that describes a folder.

    Modes and links are those on disk. Owners are not: those of a build folder mean nothing in an image.
    """
    from imagekit.formats import folder as folders  # noqa: PLC0415 - keeps --help quick
    from imagekit.manifest.generate import manifest_of  # noqa: PLC0415

    user, group = owner
    _write(manifest_of(folders.read(folder), user=user, group=group), output)


@click.group("manifest", commands=[combine, lint, fmt, diff, ls, from_tree])
def command() -> None:
    """Combine, check, format and compare manifests.

    A FILE may be - for standard input; of a DIR, its files are read in the order of their names.
    """


def _write(text: str, output: Path | None) -> None:
    from imagekit.files.output import Outputs  # noqa: PLC0415 - keeps --help quick

    if output is None or output == Path("-"):
        options.print_text(text)
    else:
        with Outputs() as outputs:
            outputs.file(output).write(text.encode("utf-8", "surrogateescape"))
