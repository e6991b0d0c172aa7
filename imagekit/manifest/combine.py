"""Many manifests into one: sorted, each key once.

What comes out is what smartos-live's tools/build_manifest and tools/sorter make: lines are sorted by their second
field, by code point; a line replaces an earlier one with the same second field; the text of a line is kept as it is.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from imagekit.manifest.findings import Finding, FindingsError, at
from imagekit.manifest.grammar import KIND_NAMES, Directive


@dataclass(frozen=True, slots=True)
class Combination:
    """The lines that remain, sorted, and what was said about those that did not agree."""

    directives: tuple[Directive, ...]
    findings: tuple[Finding, ...]

    @property
    def text(self) -> str:
        """The combined manifest."""
        return "".join(f"{directive.text}\n" for directive in self.directives)


def combine(directives: Iterable[Directive], *, strict: bool = False) -> Combination:
    """Combine directives; of those with one key the last stands, and which of one path counts does not change.

    Identical directories are merged without a word; every other line that comes twice is a finding (M301 when the two
    say the same, M302 when not; also for two kinds of entry at one path, which both stand).  With `strict`, conflicts
    are refused: FindingsError lists all of them.

    Lines of two paths with one key are refused always (see `mistaken_keys`): one of the two would be lost.
    """
    all_directives = list(directives)
    if mistaken := mistaken_keys(all_directives):
        raise FindingsError("lines would be lost", mistaken, hint="rename one of them")
    last = {directive.key: directive for directive in all_directives}
    findings = repetitions(all_directives)
    conflicts = [finding for finding in findings if finding.code == "M302"]
    if strict and conflicts:
        hint = "let one manifest ship each path, or make their lines agree"
        raise FindingsError("manifests contradict each other", conflicts, hint=hint)
    return Combination(tuple(last[key] for key in sorted(last)), tuple(findings))


def sort_key(line: str) -> str:
    """Return what a manifest's line is sorted by: its second field.  The line has single blanks."""
    return line.split(" ", 2)[1]


def repetitions(directives: Iterable[Directive]) -> list[Finding]:
    """Return M301 and M302 for every directive whose path an earlier one has."""
    first: dict[str, Directive] = {}
    findings = []
    for directive in directives:
        earlier = first.get(directive.path)
        if earlier is not None and (finding := repetition(earlier, directive)):
            findings.append(finding)
        first[directive.path] = directive
    return findings


def mistaken_keys(directives: Iterable[Directive]) -> list[Finding]:
    """Return M302 for every directive that would take the place of one of another path: its key is the same.

    Such are `s a=b` and `f a=b`, and `d .`, which is the root, and `f .`, which is an impossible name.
    """
    first: dict[str, Directive] = {}
    findings = []
    for directive in directives:
        if (one := first.setdefault(directive.key, directive)).path != directive.path:
            message = (
                f"{_called(directive)} and {_called(one)} ({one.where}) have one second field, {one.key}: "
                "one would be lost"
            )
            findings.append(at(directive, "M302", message))
    return findings


def _called(directive: Directive) -> str:
    return directive.path or "the root"


def repetition(earlier: Directive, later: Directive) -> Finding | None:
    """Return what is to be said about a later directive at an earlier one's path."""
    if earlier.properties == later.properties:
        if later.kind == "d":
            return None
        return at(later, "M301", f"{later.path} is in {earlier.where} already, with the same properties")
    message = f"{later.path} is {describe(later)} here, but {describe(earlier)} in {earlier.where}"
    return at(later, "M302", message)


def describe(directive: Directive) -> str:
    """Say what a directive makes of its path: "a file 0644 root:sys"."""
    kind = KIND_NAMES[directive.kind]
    if directive.kind in "sh":
        return f"a {kind} to {directive.target}"
    return f"a {kind} {directive.mode:04o} {directive.user}:{directive.group}"
