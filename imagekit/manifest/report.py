"""What `imagekit verify` says, as text and as JSON."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, replace

from imagekit.errors import Thing
from imagekit.manifest.findings import Finding, as_document, count_line, in_order
from imagekit.manifest.sums import Sum, sums
from imagekit.manifest.verify import Verification
from imagekit.progress import Show, unseen


def add_sums(found: Verification, show: Show = unseen) -> tuple[Verification, list[Sum]]:
    """Hash every file that could be found; what can't be read to its end joins the findings (M406)."""
    total = sum(file.content.size for file in found.tree.files())
    with show("hashing", total) as progress:
        done, failures = sums(found.tree.files(), progress)
    late = [Finding("M406", "error", failure.reason, failure.path) for failure in failures]
    return replace(found, findings=tuple(in_order([*found.findings, *late]))), done


def lines(found: Verification, *, verbose: bool = False, unshipped: bool = False) -> Iterator[str]:
    """Yield the findings, what was asked for besides, and a summary; notes and suppliers only when `verbose`."""
    if verbose:
        yield from map(str, in_order([*found.findings, *found.known]))
    else:
        yield from short(found.findings)
    yield from found.stale
    if verbose:
        yield from (f"{path}: from {proto}" for path, proto in found.suppliers.items())
    if unshipped:
        yield from (f"{path}: no manifest ships it" for path in found.unshipped)
    entries, files, stray = len(found.tree) - 1, len(found.suppliers), len(found.unshipped)
    hint = "" if unshipped or not stray else f" ({Thing.UNSHIPPED} lists them)"
    yield f"{entries:,} entries, files found: {files:,}, files that no manifest ships: {stray:,}{hint}"
    verdict = count_line(found.findings)
    if not found.is_good:
        fatal = len(found.fatal)
        verdict += f"; {fatal or 'none'} of the errors keep{'' if fatal > 1 else 's'} an image from being made"
    yield verdict + known_count(len(found.known))


def short(findings: Sequence[Finding]) -> Iterator[str]:
    """Yield all errors, and of warnings a line a code, so that a new one is seen."""
    yield from (str(finding) for finding in findings if finding.severity == "error")
    warnings: dict[str, list[Finding]] = {}
    for finding in findings:
        if finding.severity == "warning":
            warnings.setdefault(finding.code, []).append(finding)
    for code, same in warnings.items():
        yield str(same[0]) + (
            f" (and {len(same) - 1:,} more of {code}; {Thing.VERBOSE} lists all)" if len(same) > 1 else ""
        )


def known_count(count: int) -> str:
    """Return what stands behind the counts of findings when there are known ones."""
    return f"; {count:,} known warning{'' if count == 1 else 's'}" if count else ""


def document(found: Verification, done: Sequence[Sum] | None = None) -> dict[str, object]:
    """Return all of it for --json."""
    result: dict[str, object] = {
        "good": found.is_good,
        **as_document(found.findings),
        "fatal": len(found.fatal),
        "known": len(found.known),
        "stale": list(found.stale),
        "suppliers": {path: str(proto) for path, proto in found.suppliers.items()},
        "unshipped": list(found.unshipped),
    }
    return result if done is None else {**result, "sums": [asdict(one) for one in done]}
