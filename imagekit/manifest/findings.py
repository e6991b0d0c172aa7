"""What checks report: findings, and the table of their codes.

docs/lint.md has a section for every code.  A code, once given, keeps its meaning.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

from imagekit.errors import InputError, listed
from imagekit.manifest.grammar import Directive

Severity = Literal["error", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("error", "warning", "note")

CODES: dict[str, tuple[Severity, str]] = {
    "M001": ("error", "line that is no directive"),
    "M002": ("error", "allowance of an unknown code"),
    "M003": ("warning", "allowance that nothing needs"),
    "M004": ("error", "allowance without a reason"),
    "M101": ("error", "unknown user"),
    "M102": ("error", "unknown group"),
    "M103": ("warning", "mode that is not four octal digits"),
    "M104": ("error", "mode that looks like a slip"),
    "M105": ("error", "set-id file that others may write"),
    "M201": ("error", "path with a leading slash"),
    "M202": ("error", "path with a double slash"),
    "M203": ("error", "path with . or .."),
    "M204": ("warning", "directory with a closing slash: no entry of its name"),
    "M205": ("error", "name longer than 255 bytes"),
    "M206": ("error", "path longer than 1023 bytes"),
    "M207": ("warning", "names that differ only in case"),
    "M208": ("warning", "variable that nobody replaced"),
    "M301": ("warning", "duplicate entry"),
    "M302": ("error", "conflicting entries"),
    "M303": ("warning", "directory without an entry"),
    "M304": ("error", "entry below something that is no directory"),
    "M305": ("error", "hard link to nothing"),
    "M306": ("error", "hard link in a circle or to a directory"),
    "M307": ("error", "hard link that leaves the image"),
    "M308": ("warning", "symbolic link that leaves the image"),
    "M309": ("warning", "unsorted lines"),
    "M401": ("error", "file missing from the proto area"),
    "M402": ("error", "something else in the proto area"),
    "M403": ("error", "symbolic link with another target in the proto area"),
    "M404": ("error", "hard link that is none in the proto area"),
    "M405": ("error", "file that no manifest ships"),
    "M406": ("error", "unreadable in the proto area"),
    "M407": ("error", "mode that differs from the proto area's"),
    "M408": ("warning", "file taken through a symbolic link of the proto area"),
    "M409": ("note", "link or directory that the proto area lacks"),
    "M410": ("error", "no usable accounts"),
    "M411": ("error", "no platform can be made of it"),
    "M412": ("warning", "nothing to check below a path that has to be complete"),
    "M413": ("warning", "sources that gitstatus.json does not name"),
}
"""The severity and the title of every code."""

_ALLOWANCE = re.compile(r"#[ \t]*imagekit:[ \t]*allow\b[ \t]*(?P<codes>[^ \t]*)[ \t]*(?P<reason>.*)")


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, or worth knowing, at a line of a manifest; line 0 when it is at none.

    A comparison says that the proto area has something else than the line makes.  The line suffices to make it.
    """

    code: str
    severity: Severity
    message: str
    path: str = ""
    file: str = ""
    line: int = 0
    is_comparison: bool = False

    @property
    def where(self) -> str:
        """File and line when a line is concerned, else the path."""
        return f"{self.file}:{self.line}" if self.line else self.file or self.path

    @property
    def brief(self) -> str:
        """Place, code and message: for where the severity is said already."""
        return f"{self.where}: {self.code}: {self.message}"

    def __str__(self) -> str:
        return f"{self.where}: {self.code} {self.severity}: {self.message}"

    def as_json(self) -> dict[str, str | int]:
        """Return what --json prints."""
        fields = asdict(self)
        del fields["is_comparison"]
        return fields


def is_below(path: str, prefixes: Iterable[str]) -> bool:
    """Tell whether a path of the image is one of the prefixes or below one; "" is the root of the image."""
    return any(not prefix or path == prefix or path.startswith(f"{prefix}/") for prefix in prefixes)


def is_fatal(finding: Finding, complete: Sequence[str] = ()) -> bool:
    """Tell whether a finding keeps an image from being made: the one judge for `verify`, `tar`, `boot` and `platform`.

    At and below the paths `complete` the proto area decides about all but modes, elsewhere the manifest: there a
    comparison is never fatal.
    """
    if finding.is_comparison and (finding.code == "M407" or not is_below(finding.path, complete)):
        return False
    return finding.severity == "error"


class FindingsError(InputError):
    """The findings that keep a manifest from being used, all of them; `findings` holds them."""

    def __init__(self, what: str, findings: Sequence[Finding], *, hint: str | None = None) -> None:
        self.findings = tuple(findings)
        if len(self.findings) == 1:
            found = self.findings[0]
            super().__init__(f"{found.code}: {found.message}", where=found.where, hint=hint)
        else:
            head = f"{what}: {len(self.findings)} problems"
            super().__init__(head + listed([found.brief for found in self.findings], again=head), hint=hint)


def without_fatal(findings: Iterable[Finding], complete: Sequence[str] = (), *, strict: bool = False) -> list[Finding]:
    """Return the findings in spite of which an image is made; raise FindingsError with all others, if there are any.

    With `strict`, every warning is as good as an error.
    """
    fatal: list[Finding] = []
    others: list[Finding] = []
    for finding in findings:
        refused = is_fatal(finding, complete) or (strict and finding.severity != "note")
        (fatal if refused else others).append(finding)
    if fatal:
        hint = "`imagekit verify` shows all that does not fit; docs/lint.md explains the codes"
        raise FindingsError("the manifest and the proto areas do not fit", fatal, hint=hint)
    return others


def grouped(findings: Iterable[Finding]) -> list[str]:
    """Return a line a code: how often it was found, and its first place; of one finding, all of it."""
    first: dict[str, Finding] = {}
    counts: dict[str, int] = {}
    for finding in findings:
        first.setdefault(finding.code, finding)
        counts[finding.code] = counts.get(finding.code, 0) + 1
    return [
        found.brief if counts[code] == 1 else f"{found.brief} (and {counts[code] - 1:,} more: {CODES[code][1]})"
        for code, found in first.items()
    ]


def at(directive: Directive, code: str, message: str, severity: Severity | None = None) -> Finding:
    """Return a finding at a directive's line, of the code's own severity unless another is given."""
    return Finding(code, severity or CODES[code][0], message, directive.path, directive.file, directive.line)


def compared(directive: Directive, code: str, message: str) -> Finding:
    """Return a comparison: the proto area has something else than a directive makes."""
    return replace(at(directive, code, message), is_comparison=True)


def in_order(findings: Iterable[Finding]) -> list[Finding]:
    """Return findings in the order of file, line, code, path: those without a line at the end."""
    return sorted(findings, key=lambda one: (not one.line, one.file, one.line, one.code, one.path, one.message))


def count_line(findings: Iterable[Finding]) -> str:
    """Return "3 errors, 1 warning": what a summary says."""
    severities = [finding.severity for finding in findings]
    counts = [(severities.count(severity), severity) for severity in SEVERITIES]
    return ", ".join(f"{n} {severity}{'' if n == 1 else 's'}" for n, severity in counts if n) or "no findings"


def as_document(findings: Sequence[Finding]) -> dict[str, object]:
    """Return what --json prints of findings."""
    counts = {severity: sum(one.severity == severity for one in findings) for severity in SEVERITIES}
    return {"findings": [finding.as_json() for finding in findings], "counts": counts}


def summary(findings: Sequence[Finding]) -> list[str]:
    """Return a table of how often each code was found, and the line of counts below it."""
    codes = [finding.code for finding in findings]
    rows = [(code, *CODES[code], codes.count(code)) for code in sorted(set(codes))]
    lines = [f"{code} {severity:<7} {count:>5}  {title}" for code, severity, title, count in rows]
    return [*lines, count_line(findings)]


@dataclass(frozen=True, slots=True)
class Allowance:
    """`# imagekit: allow CODE[,CODE] REASON` at the end of a directive's line."""

    codes: tuple[str, ...]
    reason: str


def allowance(comment: str) -> Allowance | None:
    """Return the allowance in a comment, or None when there is none."""
    found = _ALLOWANCE.match(comment)
    if found is None:
        return None
    return Allowance(tuple(code for code in found["codes"].split(",") if code), found["reason"].strip())


def allowed(directives: Iterable[Directive]) -> set[tuple[str, int, str]]:
    """Return (file, line, code) of all that the directives' comments allow with a reason."""
    result: set[tuple[str, int, str]] = set()
    for directive in directives:
        if "#" in directive.text and (found := allowance(directive.comment)) and found.reason:
            result.update((directive.file, directive.line, code) for code in found.codes)
    return result


def without_allowed(findings: Iterable[Finding], directives: Iterable[Directive]) -> list[Finding]:
    """Return the findings but for those that a line's allowance quiets.

    What cannot be made stays so, whatever a line allows: of errors, comparisons alone can be quieted.
    """
    quiet = allowed(directives)
    return [one for one in findings if is_fatal(one) or (one.file, one.line, one.code) not in quiet]
