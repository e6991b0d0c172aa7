"""Checking manifests by themselves: all rules over all lines, then the lines' allowances."""

from collections.abc import Iterable, Sequence

from imagekit.errors import nearest
from imagekit.manifest import rules
from imagekit.manifest.accounts import Accounts, smartos_accounts
from imagekit.manifest.combine import mistaken_keys, repetitions
from imagekit.manifest.findings import CODES, Finding, allowance, at, in_order
from imagekit.manifest.grammar import Comment, Directive, Parsed
from imagekit.manifest.relations import escaping_links, hard_links, missing_directories, standing


def lint(files: Sequence[Parsed], accounts: Accounts | None = None) -> list[Finding]:
    """Return all findings about manifests that make one image together, in the order of files and lines.

    `accounts` are those that owners may have: by default those of a stock SmartOS.
    """
    directives = [directive for parsed in files for directive in parsed.directives]
    findings = [Finding("M001", "error", bad.what, "", bad.file, bad.line) for parsed in files for bad in parsed.bad]
    entries, path_findings = standing(directives)
    findings += path_findings
    findings += rules.owners(directives, accounts or smartos_accounts())
    findings += rules.modes(directives)
    findings += rules.variables(directives)
    findings += rules.case_clashes(entries.values())
    findings += rules.order(directives)
    findings += repetitions(directives)
    findings += mistaken_keys(directives)
    findings += missing_directories(entries)[1]
    findings += hard_links(entries).findings
    findings += escaping_links(entries.values())
    findings = _apply_allowances(findings, directives)
    for parsed in files:
        findings += _allowances_alone(parsed.comments)
    return in_order(findings)


def _apply_allowances(findings: Iterable[Finding], directives: Iterable[Directive]) -> list[Finding]:
    """Take out what the lines allow; report allowances that are wrong or needless."""
    remaining: dict[tuple[str, int], list[Finding]] = {}
    for finding in findings:
        remaining.setdefault((finding.file, finding.line), []).append(finding)
    about_allowances: list[Finding] = []
    for directive in directives:
        if "#" not in directive.text:
            continue
        found = allowance(directive.comment)
        if found is None:
            continue
        if not found.codes or not found.reason:
            message = f"found {directive.comment!r}, expected # imagekit: allow CODE REASON"
            about_allowances.append(at(directive, "M004", message))
            continue
        here = remaining.get((directive.file, directive.line), [])
        for code in found.codes:
            if code not in CODES:
                near = nearest(code, CODES)
                message = f"found an allowance of {code!r}" + (f"; did you mean {near}?" if near else "")
                about_allowances.append(at(directive, "M002", message))
            elif not any(one.code == code for one in here) and not code.startswith("M4"):
                message = f"nothing at {directive.path} needs the allowance of {code} ({CODES[code][1]})"
                about_allowances.append(at(directive, "M003", message))
        here[:] = [one for one in here if one.code not in found.codes]
    return [finding for here in remaining.values() for finding in here] + about_allowances


def _allowances_alone(comments: Iterable[Comment]) -> Iterable[Finding]:
    """Yield M003 for allowances on lines of their own, where they quiet nothing."""
    for comment in comments:
        if allowance(comment.text) is not None:
            message = "an allowance works at the end of a directive's line, not on a line of its own"
            yield Finding("M003", CODES["M003"][0], message, "", comment.file, comment.line)
