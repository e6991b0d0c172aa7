"""Warnings that a workspace knows of (`known` in imagekit.yaml): counted, not printed, so that a new one is seen."""

import fnmatch
import re
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass

from imagekit.manifest.findings import CODES, Finding

CAN_BE_KNOWN = frozenset(
    {code for code, (severity, _) in CODES.items() if severity == "warning"} | {"M101", "M102", "M302", "M411"}
)
"""The codes of warnings, and of errors that some verbs only warn of."""

OF_LINT = frozenset({"M003", "M103", "M207", "M208", "M309"})
"""The warnings that nothing but lint looks for."""

OF_VERIFY = CAN_BE_KNOWN - OF_LINT - {"M411"}
OF_BUILDS = OF_VERIFY - {"M412"}
"""What these verbs always look for: an entry for one of these codes that matches nothing is stale."""


@dataclass(frozen=True, slots=True)
class Known:
    """A code and the paths of the image where its warnings are known; in the pattern, * and ? stand for / too."""

    code: str
    pattern: str
    where: str

    def stale(self) -> str:
        """Return what is said when there is no such warning."""
        return f"{self.where}: no warning {self.code} is at {self.pattern} any more: take this entry out"


@dataclass(frozen=True, slots=True)
class Sorting:
    """Findings, told apart by what is known: `stale` says what is known and was not found."""

    new: list[Finding]
    known: list[Finding]
    stale: list[str]

    def remarks(self) -> list[str]:
        """Return what is to be said besides the new ones."""
        count = len(self.known)
        return [*self.stale, *([f"{count:,} known warning{'' if count == 1 else 's'} not shown"] if count else [])]


def set_apart(findings: Iterable[Finding], known: Sequence[Known], judged: Collection[str] = ()) -> Sorting:
    """Tell warnings that are known from all other findings; errors and notes never are.

    `judged` are the codes that were looked for everywhere: known ones of these that match nothing are stale.
    """
    patterns: dict[str, list[tuple[Known, re.Pattern[str]]]] = {}
    for one in known:
        patterns.setdefault(one.code, []).append((one, re.compile(fnmatch.translate(one.pattern))))
    result = Sorting([], [], [])
    used: set[Known] = set()
    for finding in findings:
        matching = (
            [one for one, pattern in patterns.get(finding.code, ()) if pattern.match(finding.path)]
            if finding.severity == "warning"
            else []
        )
        used.update(matching)
        (result.known if matching else result.new).append(finding)
    result.stale.extend(one.stale() for one in known if one.code in judged and one not in used)
    return result
