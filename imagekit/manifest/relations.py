"""How the entries of one manifest hang together: paths that can stand, directories above them, where links lead."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from imagekit.manifest.findings import Finding, at
from imagekit.manifest.grammar import KIND_NAMES, Directive

LONGEST_NAME = 255
"""Bytes in one name: the limit of UFS, ZFS, tmpfs and of Rock Ridge readers."""

LONGEST_PATH = 1023
"""Bytes in a path: illumos' MAXPATHLEN of 1024 counts the closing NUL."""


def encoded_length(text: str) -> int:
    """Return the bytes that a path takes on disk."""
    return len(text) if text.isascii() else len(text.encode("utf-8", "surrogateescape"))


def _is_plain(key: str) -> bool:
    """Tell whether no rule of paths can concern a line: a quick test that most lines pass."""
    return len(key) < 64 and "//" not in key and "/." not in key and key[0] not in "/." and key[-1] != "/"


def path_findings(directive: Directive) -> Iterator[Finding]:
    """Yield M201 to M206: what is wrong with the path itself."""
    name = directive.name
    if name[0] == "/":
        yield at(directive, "M201", f"found {name!r}, expected a path from the root of the image without leading slash")
    if "//" in name:
        yield at(directive, "M202", f"found {name!r}, expected single slashes")
    parts = name.split("/")
    if any(part in {".", ".."} for part in parts) and not (name == "." and directive.kind == "d"):
        yield at(directive, "M203", f"found {name!r}, expected a path without . and ..")
    if name[-1] == "/" and name.strip("/"):
        message = f"found {name!r}: {directive.path} has no entry of its own name, as sorting and comparing need it"
        yield at(directive, "M204", message)
    longest = max(parts, key=encoded_length)
    if encoded_length(longest) > LONGEST_NAME:
        message = f"found a name of {encoded_length(longest)} bytes, expected at most {LONGEST_NAME}: {longest[:40]}..."
        yield at(directive, "M205", message)
    if encoded_length(name) > LONGEST_PATH:
        message = f"found a path of {encoded_length(name)} bytes, expected at most {LONGEST_PATH}: {name[:60]}..."
        yield at(directive, "M206", message)


def can_stand(directive: Directive) -> bool:
    """Tell whether an image can have the path of a directive."""
    return _is_plain(directive.key) or all(finding.severity != "error" for finding in path_findings(directive))


def standing(directives: Iterable[Directive]) -> tuple[dict[str, Directive], list[Finding]]:
    """Return the directive that counts at each possible path, and M201 to M206 about all lines."""
    entries: dict[str, Directive] = {}
    findings: list[Finding] = []
    for directive in directives:
        if not _is_plain(directive.key):
            wrong = list(path_findings(directive))
            findings += wrong
            if any(finding.severity == "error" for finding in wrong):
                continue
        earlier = entries.get(directive.path)
        if earlier is None or counts_over(directive, earlier):
            entries[directive.path] = directive
    return entries, findings


def counts_over(later: Directive, earlier: Directive) -> bool:
    """Tell which of two directives of one path counts: the one that stands last in the combined manifest.

    That is the later of two with the same key (the sorter keeps it alone), else the one with the greater key (both are
    kept, sorted).  So the order of files and of blocks of lines does not matter to links, and sorting changes nothing.
    """
    return later.key >= earlier.key


def missing_directories(entries: Mapping[str, Directive]) -> tuple[list[str], list[Finding]]:
    """Return the parent directories that have no entry, and M303 and M304 about them.

    They are in the order of the lines that need them; each is reported once, at the first of these.
    """
    missing: dict[str, None] = {}
    findings = []
    blocked: set[str] = set()
    for path, directive in entries.items():
        parent = path.rpartition("/")[0]
        above = entries.get(parent)
        if not parent or parent in missing or (above is not None and above.kind == "d"):
            continue
        chain = [parent]
        while (up := chain[-1].rpartition("/")[0]) and up not in entries and up not in missing:
            chain.append(up)
        for folder in reversed(chain):
            holder = entries.get(folder)
            if holder is None:
                missing[folder] = None
                message = f"{folder} has no entry, but {path} is in it"
                findings.append(at(directive, "M303", message))
            elif holder.kind != "d" and folder not in blocked:
                blocked.add(folder)
                kind = KIND_NAMES[holder.kind]
                message = f"{path} cannot be in {folder}, which is a {kind} ({holder.where})"
                findings.append(at(directive, "M304", message))
    return list(missing), findings


@dataclass(frozen=True, slots=True)
class HardLinks:
    """Where the hard links of a manifest lead: path of link to path of what it is another name of."""

    targets: Mapping[str, str]
    findings: tuple[Finding, ...]


def hard_links(entries: Mapping[str, Directive]) -> HardLinks:
    """Follow every hard link, through other hard links too, to what it is a name of; M305 to M307 where it can't be."""
    targets: dict[str, str] = {}
    findings = []
    ends = _ends(entries)
    for path, directive in entries.items():
        if directive.kind != "h":
            continue
        target, end = directive.target, ends[path]
        if target.startswith("/") or any(part in {"", ".", ".."} for part in target.split("/")):
            message = (
                f"found {target!r} as target of {path}, expected a path from the root of the image without . and .."
            )
            findings.append(at(directive, "M307", message))
            continue
        final = None if end is None else entries.get(end)
        if end is None:
            findings.append(at(directive, "M306", f"{path} leads back to itself through {target}"))
        elif final is None:
            findings.append(at(directive, "M305", f"{path} is a hard link to {end}, which has no entry"))
        elif final.kind == "d":
            findings.append(at(directive, "M306", f"{path} is a hard link to the directory {end} ({final.where})"))
        else:
            targets[path] = end
    return HardLinks(targets, tuple(findings))


def _ends(entries: Mapping[str, Directive]) -> dict[str, str | None]:
    """Return the path that each hard link leads to in the end; None when it leads into a circle."""
    ends: dict[str, str | None] = {}
    for path, directive in entries.items():
        if directive.kind != "h":
            continue
        chain = []
        place = path
        # Nobody comes by the same link twice: who meets one knows where it ends, or is still on the way from it.
        while place not in ends and (entry := entries.get(place)) is not None and entry.kind == "h":
            ends[place] = None
            chain.append(place)
            place = entry.target
        end = ends.get(place, place)
        ends.update(dict.fromkeys(chain, end))
    return ends


def escaping_links(entries: Iterable[Directive]) -> Iterator[Finding]:
    """Yield M308 for symbolic links that climb above the root of the image."""
    for directive in entries:
        if directive.kind != "s" or ".." not in directive.target:
            continue
        target = directive.target
        depth = 0 if target.startswith("/") else directive.path.count("/")
        for part in target.split("/"):
            if part == "..":
                depth -= 1
            elif part not in {"", "."}:
                depth += 1
            if depth < 0:
                message = f"{directive.path} leads above the root of the image: {target}"
                yield at(directive, "M308", message)
                break
