"""A manifest and proto areas into a Tree: what `tar` and `platform` write and `verify` checks.

Owners and modes are the manifest's, contents the proto areas', the time the caller's.
"""

import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from imagekit.content import DiskFile
from imagekit.formats.folder import trouble_reading
from imagekit.manifest.accounts import Accounts, read_accounts
from imagekit.manifest.combine import repetitions
from imagekit.manifest.findings import Finding, Severity, at, in_order, without_allowed, without_fatal
from imagekit.manifest.grammar import Directive
from imagekit.manifest.proto import ProtoPath
from imagekit.manifest.relations import escaping_links, hard_links, missing_directories, standing
from imagekit.tree import Directory, Entry, File, HardLink, Symlink, Tree


@dataclass(frozen=True, slots=True)
class Resolution:
    """A manifest come true.

    `tree` has the entries in the order of a combined manifest, parents first.  `warnings` is what was put right or let
    pass.  `suppliers` says which proto area each file's content comes from.
    """

    tree: Tree
    warnings: tuple[Finding, ...]
    suppliers: Mapping[str, Path]


def resolve(
    directives: Sequence[Directive],
    protos: Sequence[Path],
    *,
    mtime: int,
    accounts: Accounts | None = None,
) -> Resolution:
    """Return the Tree that a manifest describes.

    `protos` are searched in order, the first that has a file supplies it; `mtime` is the time of all entries, in
    seconds since 1970; `accounts` are those of the proto areas by default.  Of several directives for a path the last
    stands.  An unknown owner becomes id 0, a directory without an entry 0755 root:root, each with a warning.

    Raise FindingsError with all that keeps the tree from being made.
    """
    examined = examine(directives, ProtoPath(protos), mtime=mtime, accounts=accounts or read_accounts(protos))
    warnings = without_fatal(in_order(without_allowed(examined.findings, directives)))
    return Resolution(examined.tree, tuple(warnings), examined.suppliers)


@dataclass(frozen=True, slots=True)
class Examination:
    """As much of the tree as could be made, and all that was found on the way."""

    tree: Tree
    findings: list[Finding]
    suppliers: dict[str, Path]
    entries: dict[str, Directive]
    hard_links: Mapping[str, str]


def examine(directives: Sequence[Directive], protos: ProtoPath, *, mtime: int, accounts: Accounts) -> Examination:
    """Make as much of the tree as can be made; report everything else, as `resolve` and `verify` need it."""
    entries, findings = _standing(directives)
    owners = _Owners(accounts)
    links = hard_links(entries)
    implied, parent_findings = missing_directories(entries)
    findings += [*parent_findings, *links.findings, *escaping_links(entries.values())]

    tree = Tree(Directory(path="", mtime=mtime, user=owners.root_user, group=owners.root_group))
    suppliers: dict[str, Path] = {}
    contents = _Contents(protos, suppliers, findings)
    for path in _parents_first(entries, implied):
        directive = entries.get(path)
        entry: Entry | None
        if directive is None:
            entry = replace(tree.root, path=path, mode=0o755)
        elif directive.kind == "d":
            user, uid, group, gid = owners.of(directive)
            entry = Directory(path=path, mode=directive.mode, uid=uid, gid=gid, user=user, group=group, mtime=mtime)
        elif directive.kind == "f":
            user, uid, group, gid = owners.of(directive)
            content = contents.find(directive)
            entry = (
                None
                if content is None
                else File(
                    path=path,
                    mode=directive.mode,
                    uid=uid,
                    gid=gid,
                    user=user,
                    group=group,
                    mtime=mtime,
                    content=content,
                )
            )
        else:
            entry = _link(directive, entries, links.targets, owners, mtime)
        if entry is not None and (not path or _is_directory(tree, path.rpartition("/")[0])):
            tree.replace(entry)
    findings += [*owners.findings, *contents.unreadable_folders()]
    return Examination(tree, findings, suppliers, entries, links.targets)


def _is_directory(tree: Tree, path: str) -> bool:
    return isinstance(tree.get(path), Directory)


def _standing(directives: Sequence[Directive]) -> tuple[dict[str, Directive], list[Finding]]:
    """Return the directive that stands at each path that can be made, and findings about the others.

    That two lines differ in mode or owner is no more than a warning: the last stands, as in a combined manifest.  That
    they make two kinds of entry, or links to two places, is an error: both would be made, and the second could not.
    """
    entries, findings = standing(directives)
    if len(entries) < len(directives):
        repeated = repetitions(directives)
        made: dict[str, set[tuple[str, str]]] = {finding.path: set() for finding in repeated}
        for directive in directives if repeated else ():
            if directive.path in made:
                made[directive.path].add((directive.kind, directive.target))
        for finding in repeated:
            severity: Severity = "error" if len(made[finding.path]) > 1 else "warning"
            findings.append(replace(finding, severity=severity))
    # The order of a combined manifest, so that one and many files with the same lines give the same tree.
    return dict(sorted(entries.items(), key=lambda item: item[1].key)), findings


def _parents_first(entries: Mapping[str, Directive], implied: Iterable[str]) -> Iterator[str]:
    """Yield all paths in the order of the manifest, each after the directories above it."""
    known = {*entries, *implied}
    done = {""}
    if "" in entries:
        yield ""
    for path in entries:
        chain = []
        while path not in done and path in known:
            chain.append(path)
            done.add(path)
            path = path.rpartition("/")[0]  # noqa: PLW2901 - climbing
        yield from reversed(chain)


class _Owners:
    """Owners' names to numbers, with a finding for each name that is unknown."""

    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self.root_user = accounts.user_name(0)
        self.root_group = accounts.group_name(0)
        self._known: dict[tuple[str, str], tuple[str, int, str, int]] = {}
        self.findings: list[Finding] = []

    def of(self, directive: Directive) -> tuple[str, int, str, int]:
        """Return user, uid, group and gid."""
        names = directive.user, directive.group
        found = self._known.get(names)
        if found is None:
            uid = self._accounts.users.get(directive.user)
            gid = self._accounts.groups.get(directive.group)
            if uid is None or gid is None:
                return self._unknown(directive, uid, gid)
            found = self._known[names] = (directive.user, uid, directive.group, gid)
        return found

    def _unknown(self, directive: Directive, uid: int | None, gid: int | None) -> tuple[str, int, str, int]:
        user, group = directive.user, directive.group
        origin = self._accounts.origin
        if uid is None:
            message = f"found user {user!r} of {directive.path}, expected one of {origin}; id 0 stands in"
            self.findings.append(at(directive, "M101", message, "warning"))
            user = self.root_user
        if gid is None:
            message = f"found group {group!r} of {directive.path}, expected one of {origin}; id 0 stands in"
            self.findings.append(at(directive, "M102", message, "warning"))
            group = self.root_group
        return user, uid or 0, group, gid or 0


def _link(
    directive: Directive, entries: Mapping[str, Directive], targets: Mapping[str, str], owners: _Owners, mtime: int
) -> Entry | None:
    if directive.kind == "s":
        return Symlink(
            path=directive.path, target=directive.target, mtime=mtime, user=owners.root_user, group=owners.root_group
        )
    target = targets.get(directive.path)
    if target is None:
        return None
    final = entries[target]
    if final.kind == "s":
        user, uid, group, gid, mode = owners.root_user, 0, owners.root_group, 0, 0o777
    else:
        user, uid, group, gid = owners.of(final)
        mode = final.mode
    return HardLink(
        path=directive.path, target=target, mode=mode, uid=uid, gid=gid, user=user, group=group, mtime=mtime
    )


class _Contents:
    """Files' contents from the proto areas, with findings where there are none."""

    def __init__(self, protos: ProtoPath, suppliers: dict[str, Path], findings: list[Finding]) -> None:
        self._protos = protos
        self._suppliers = suppliers
        self._findings = findings

    def find(self, directive: Directive) -> DiskFile | None:
        """Return the content of a file, or None with a finding."""
        found = self._protos.locate_file(directive.path)
        if found is None:
            if not self._protos.is_hidden(directive.path):
                self._report(directive, "M401", f"{directive.path} is missing from {self._protos.places()}")
            return None
        proto, entry, through_link = found
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError as error:
            self._report(directive, "M406", f"cannot examine {entry.path}: {error.strerror}")
            return None
        if not stat.S_ISREG(status.st_mode):
            message = f"found a {kind_of(status.st_mode)} at {entry.path}, expected a file"
            self._report(directive, "M402", message)
            return None
        if (trouble := trouble_reading(entry.path)) is not None:
            self._report(directive, "M406", f"cannot read {entry.path}: {trouble}")
            return None
        if through_link:
            message = f"{proto.root / directive.path} is or lies behind a symbolic link; {entry.path} is taken"
            self._report(directive, "M408", message)
        self._suppliers[directive.path] = proto.root
        return DiskFile(entry.path, status)

    def _report(self, directive: Directive, code: str, message: str) -> None:
        self._findings.append(at(directive, code, message))

    def unreadable_folders(self) -> Iterator[Finding]:
        """Yield M406 for the folders that could not be listed."""
        for path, reason in self._protos.unreadable():
            yield Finding("M406", "error", f"cannot list the folder {path}: {reason}", path)


_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "directory",
    stat.S_IFLNK: "symbolic link",
    stat.S_IFBLK: "block device",
    stat.S_IFCHR: "character device",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


def kind_of(mode: int) -> str:
    """Return the name of the kind of file that a mode stands for."""
    return _KINDS.get(stat.S_IFMT(mode), "file of unknown kind")
