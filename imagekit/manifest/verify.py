"""Does a manifest fit its proto areas: everything that does not, at once."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagekit.errors import InputError, Thing
from imagekit.manifest.accounts import read_accounts, smartos_accounts
from imagekit.manifest.findings import Finding, at, compared, in_order, is_below, is_fatal, without_allowed
from imagekit.manifest.grammar import Directive
from imagekit.manifest.proto import ProtoPath
from imagekit.manifest.resolve import examine, kind_of
from imagekit.tree import Tree


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found.

    `findings` are in the order of the manifest's lines.  `unshipped` are the files (and links) of the proto areas that
    no manifest ships, outside the complete prefixes; `suppliers` says which proto area each shipped file comes from.
    `tree` is as much of the image as could be made, `complete` the prefixes below which all has to be shipped.
    `known` are the warnings that imagekit.yaml names, `stale` says which of its entries match nothing any more.
    """

    findings: tuple[Finding, ...]
    unshipped: tuple[str, ...]
    suppliers: Mapping[str, Path]
    tree: Tree
    complete: tuple[str, ...] = ()
    known: tuple[Finding, ...] = ()
    stale: tuple[str, ...] = ()

    @property
    def is_good(self) -> bool:
        """Whether no finding is an error."""
        return not any(finding.severity == "error" for finding in self.findings)

    @property
    def fatal(self) -> tuple[Finding, ...]:
        """What keeps an image from being made."""
        return tuple(finding for finding in self.findings if is_fatal(finding, self.complete))


def verify(
    directives: Sequence[Directive],
    roots: Sequence[Path],
    *,
    complete: Sequence[str] = (),
    expected: Sequence[str] = (),
    modes: bool = False,
    mtime: int = 0,
) -> Verification:
    """Check a manifest against proto areas; the first that has a path supplies it.

    Below each prefix in `complete` all that a proto area has needs a line of its kind, as smartos-live's tzcheck sees
    it: files, links and directories; hard links have to be ones.  Below each path in `expected`, and in `complete`,
    there should be something.  With `modes`, the permission bits of files and directories have to be the manifest's.
    `mtime` (seconds since 1970) is that of the tree's entries.

    Raise InputError when a proto area can't be read at all or a prefix is in none of them.
    """
    protos = ProtoPath(roots)
    prefixes = _prefixes(complete, protos)
    findings: list[Finding] = []
    try:
        accounts = read_accounts(roots)
    except InputError as error:
        findings.append(Finding("M410", "error", error.what, file=error.where or "etc/passwd and etc/group"))
        accounts = smartos_accounts()
    examined = examine(directives, protos, mtime=mtime, accounts=accounts)
    checked: list[Finding] = []
    for directive in examined.entries.values():
        within = is_below(directive.path, prefixes)
        if directive.kind == "f" and not (modes or within):
            continue  # its content was looked for, and that is all
        try:
            checked += _against_proto(directive, protos, modes=modes, within=within)
        except OSError as error:
            if directive.kind != "f":  # about files it is known already
                checked.append(at(directive, "M406", f"cannot examine {directive.path}: {error.strerror}"))
    shipped = {directive.path for directive in directives}
    stray, unshipped = _unshipped(protos, shipped, prefixes)
    # Of the folders that cannot be listed, the walk has met all.
    known = {finding.path for finding in examined.findings if finding.code == "M406"}
    late = [
        Finding("M406", "error", f"cannot list the folder {path}: {reason}", path)
        for path, reason in protos.unreadable()
        if path not in known
    ]
    findings += [*without_allowed([*examined.findings, *checked], directives), *stray, *late]
    findings += _empty([*prefixes, *expected], protos)
    return Verification(tuple(in_order(findings)), tuple(unshipped), examined.suppliers, examined.tree, prefixes)


def _empty(paths: Sequence[str], protos: ProtoPath) -> Iterator[Finding]:
    """Yield M412 for the paths at and below which the proto areas have no file and no link."""
    for path in dict.fromkeys(paths):
        found = protos.lookup(path) if path else None
        if found is None and path:
            yield Finding("M412", "warning", f"nothing is at {path} in {protos.places()}", path)
        elif found is not None and found[1].is_dir(follow_symlinks=False):
            below = (entry for proto in protos.protos for _, entry in proto.walk(path))
            if all(entry.is_dir(follow_symlinks=False) for entry in below):
                yield Finding("M412", "warning", f"no file is below {path} in {protos.places()}", path)


def _prefixes(complete: Sequence[str], protos: ProtoPath) -> tuple[str, ...]:
    """Return the prefixes as paths of the image; raise InputError for those that no proto area has."""
    prefixes = tuple(prefix.strip("/") for prefix in complete)
    for prefix in prefixes:
        if prefix and protos.lookup(prefix) is None:
            near = protos.nearest(prefix)
            hint = f"did you mean {near}?" if near else f"{Thing.COMPLETE} takes a path of the image, such as usr/vm"
            raise InputError(
                f"nothing is at {prefix} in {protos.places()}", where=f"{Thing.COMPLETE} {prefix}", hint=hint
            )
    return prefixes


def _against_proto(directive: Directive, protos: ProtoPath, *, modes: bool, within: bool) -> Iterator[Finding]:
    """Compare a directive with what the proto areas have at its path: with `modes`, the modes too.

    `within` a complete prefix, a file must not be a symbolic link, and a hard link has to be there.
    """
    if not directive.path:
        return
    found = protos.lookup(directive.path)
    if found is None:
        if within and directive.kind == "h" and not protos.is_hidden(directive.path):
            message = f"{directive.path} is in no proto area, expected another name of {directive.target}"
            yield compared(directive, "M404", message)
        elif directive.kind != "f" and not protos.is_hidden(directive.path):
            message = f"{directive.path} is in no proto area; the manifest's line is enough to make it"
            yield at(directive, "M409", message)
        return
    entry = found[1]
    if directive.kind == "s":
        yield from _symbolic_link(directive, entry)
    elif directive.kind == "h":
        yield from _hard_link(directive, entry, protos, within=within)
    elif within and directive.kind == "f" and entry.is_symlink():
        yield compared(directive, "M402", f"found a symbolic link at {entry.path}, expected a file")
    elif directive.kind == "d" and not entry.is_dir(follow_symlinks=False):
        mode = entry.stat(follow_symlinks=False).st_mode
        yield compared(directive, "M402", f"found a {kind_of(mode)} at {entry.path}, expected a directory")
    elif modes and (entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)):
        mode = stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode)
        if mode != directive.mode:
            message = f"found mode {mode:04o} of {entry.path}, expected {directive.mode:04o}"
            yield compared(directive, "M407", message)


def _symbolic_link(directive: Directive, entry: os.DirEntry[str]) -> Iterator[Finding]:
    if not entry.is_symlink():
        kind = kind_of(entry.stat(follow_symlinks=False).st_mode)
        yield compared(directive, "M402", f"found a {kind} at {entry.path}, expected a symbolic link")
        return
    target = os.readlink(entry.path)  # noqa: PTH115 - thousands of them
    if target != directive.target:
        yield compared(directive, "M403", f"found {entry.path} leading to {target}, expected {directive.target}")


def _hard_link(directive: Directive, entry: os.DirEntry[str], protos: ProtoPath, *, within: bool) -> Iterator[Finding]:
    other = protos.lookup(directive.target)
    if other is None:
        if within:
            yield compared(directive, "M404", f"found {entry.path} alone, expected another name of {directive.target}")
        return
    here, there = entry.stat(follow_symlinks=False), other[1].stat(follow_symlinks=False)
    if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
        message = f"found {entry.path} and {other[1].path} to be two files, expected two names of one"
        yield compared(directive, "M404", message)


def _unshipped(protos: ProtoPath, shipped: set[str], prefixes: tuple[str, ...]) -> tuple[list[Finding], list[str]]:
    """Return M405 for what is not shipped below the prefixes, and the paths of what is not shipped elsewhere."""
    findings: dict[str, Finding] = {}
    elsewhere: dict[str, None] = {}
    for proto in protos.protos:
        for path, entry in proto.walk():
            if path in shipped or path in findings or path in elsewhere:
                continue
            is_folder = entry.is_dir(follow_symlinks=False)
            # The folder that has to be complete needs no line itself: implied ones are made.
            if is_below(path, prefixes) and not (is_folder and path in prefixes):
                what = "has a line for this folder" if is_folder else "ships it"
                message = f"no manifest {what}, and all below a complete prefix has to be shipped"
                findings[path] = Finding("M405", "error", message, path, entry.path)
            elif not is_folder:
                elsewhere[path] = None
    return list(findings.values()), sorted(elsewhere)
