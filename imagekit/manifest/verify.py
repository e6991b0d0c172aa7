"""Does a manifest fit its proto areas: everything that does not, at once."""

import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagekit.errors import InputError
from imagekit.manifest.accounts import read_accounts, smartos_accounts
from imagekit.manifest.findings import Finding, at, in_order, without_allowed
from imagekit.manifest.grammar import Directive
from imagekit.manifest.proto import ProtoPath
from imagekit.manifest.resolve import examine, kind_of
from imagekit.tree import Tree


@dataclass(frozen=True, slots=True)
class Verification:
    """What was found.

    `findings` are in the order of the manifest's lines.  `unshipped` are the files (and links) of the proto areas that
    no manifest ships, outside the complete prefixes; `suppliers` says which proto area each shipped file comes from.
    `tree` is as much of the image as could be made.
    """

    findings: tuple[Finding, ...]
    unshipped: tuple[str, ...]
    suppliers: Mapping[str, Path]
    tree: Tree

    @property
    def is_good(self) -> bool:
        """Whether no finding is an error."""
        return not any(finding.severity == "error" for finding in self.findings)


def verify(
    directives: Sequence[Directive],
    roots: Sequence[Path],
    *,
    complete: Sequence[str] = (),
    modes: bool = False,
    mtime: int = 0,
) -> Verification:
    """Check a manifest against proto areas; the first that has a path supplies it.

    Below each prefix in `complete`, a file that no manifest ships is an error.  With `modes`, the permission bits of
    files and directories have to be the manifest's.  `mtime` (seconds since 1970) is that of the tree's entries.

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
        if directive.kind == "f" and not modes:
            continue  # its content was looked for, and that is all
        try:
            checked += _against_proto(directive, protos, modes=modes)
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
    return Verification(tuple(in_order(findings)), tuple(unshipped), examined.suppliers, examined.tree)


def _prefixes(complete: Sequence[str], protos: ProtoPath) -> tuple[str, ...]:
    """Return the prefixes as paths of the image; raise InputError for those that no proto area has."""
    prefixes = tuple(prefix.strip("/") for prefix in complete)
    for prefix in prefixes:
        if prefix and protos.lookup(prefix) is None:
            places = ", ".join(str(proto.root) for proto in protos.protos)
            near = protos.nearest(prefix)
            hint = f"did you mean {near}?" if near else "--complete takes a path of the image, such as usr/vm"
            raise InputError(f"nothing is at {prefix} in {places}", where=f"--complete {prefix}", hint=hint)
    return prefixes


def _against_proto(directive: Directive, protos: ProtoPath, *, modes: bool) -> Iterator[Finding]:
    """Compare a directive with what is at its path in the proto areas: of a file no more than its mode."""
    if not directive.path:
        return
    found = protos.lookup(directive.path)
    if found is None:
        if directive.kind != "f" and not protos.is_hidden(directive.path):
            message = f"{directive.path} is in no proto area; the manifest's line is enough to make it"
            yield at(directive, "M409", message)
        return
    entry = found[1]
    if directive.kind == "s":
        yield from _symbolic_link(directive, entry)
    elif directive.kind == "h":
        yield from _hard_link(directive, entry, protos)
    elif directive.kind == "d" and not entry.is_dir(follow_symlinks=False):
        mode = entry.stat(follow_symlinks=False).st_mode
        yield at(directive, "M402", f"found a {kind_of(mode)} at {entry.path}, expected a directory")
    elif modes and (entry.is_dir(follow_symlinks=False) or entry.is_file(follow_symlinks=False)):
        mode = stat.S_IMODE(entry.stat(follow_symlinks=False).st_mode)
        if mode != directive.mode:
            message = f"found mode {mode:04o} of {entry.path}, expected {directive.mode:04o}"
            yield at(directive, "M407", message)


def _symbolic_link(directive: Directive, entry: os.DirEntry[str]) -> Iterator[Finding]:
    if not entry.is_symlink():
        kind = kind_of(entry.stat(follow_symlinks=False).st_mode)
        yield at(directive, "M402", f"found a {kind} at {entry.path}, expected a symbolic link")
        return
    target = os.readlink(entry.path)  # noqa: PTH115 - thousands of them
    if target != directive.target:
        yield at(directive, "M403", f"found {entry.path} leading to {target}, expected {directive.target}")


def _hard_link(directive: Directive, entry: os.DirEntry[str], protos: ProtoPath) -> Iterator[Finding]:
    other = protos.lookup(directive.target)
    if other is None:
        return
    here, there = entry.stat(follow_symlinks=False), other[1].stat(follow_symlinks=False)
    if (here.st_dev, here.st_ino) != (there.st_dev, there.st_ino):
        message = f"found {entry.path} and {other[1].path} to be two files, expected two names of one"
        yield at(directive, "M404", message)


def _unshipped(protos: ProtoPath, shipped: set[str], prefixes: tuple[str, ...]) -> tuple[list[Finding], list[str]]:
    """Return M405 for what is not shipped below the prefixes, and the paths of what is not shipped elsewhere."""
    findings: list[Finding] = []
    elsewhere: dict[str, None] = {}
    below = tuple(f"{prefix}/" for prefix in prefixes if prefix)
    for proto in protos.protos:
        for path, entry in proto.walk():
            if path in shipped or entry.is_dir(follow_symlinks=False):
                continue
            if "" in prefixes or path in prefixes or path.startswith(below):
                message = f"no manifest ships {entry.path}, and all below a complete prefix has to be shipped"
                findings.append(Finding("M405", "error", message, path, entry.path))
            else:
                elsewhere[path] = None
    return findings, sorted(elsewhere)
