"""What lint looks at line by line: owners, modes, order."""

import re
from collections.abc import Callable, Iterable, Iterator
from functools import cache

from imagekit.errors import nearest
from imagekit.manifest.accounts import Accounts
from imagekit.manifest.findings import Finding, at
from imagekit.manifest.grammar import KIND_NAMES, Directive

_SET_UID, _SET_ID = 0o4000, 0o6000
_VARIABLE = re.compile(r"\$(?:[A-Z_][A-Z0-9_]+|\{\w+\}|\(\w+\))")


def owners(directives: Iterable[Directive], accounts: Accounts) -> Iterator[Finding]:
    """Yield M101 and M102 for names that the image's accounts do not have."""

    @cache
    def hint(name: str, kind: str) -> str:
        near = nearest(name, accounts.users if kind == "user" else accounts.groups)
        return f"; did you mean {near}?" if near else ""

    for directive in directives:
        if directive.kind in "fd":
            if directive.user not in accounts.users:
                message = f"found user {directive.user!r} of {directive.path}, expected one of {accounts.origin}"
                yield at(directive, "M101", message + hint(directive.user, "user"))
            if directive.group not in accounts.groups:
                message = f"found group {directive.group!r} of {directive.path}, expected one of {accounts.origin}"
                yield at(directive, "M102", message + hint(directive.group, "group"))


def modes(directives: Iterable[Directive]) -> Iterator[Finding]:
    """Yield M103 to M105 for modes that nobody writes on purpose."""
    judge: Callable[[str, str], list[tuple[str, str]]] = cache(_judge_mode)
    for directive in directives:
        for code, trouble in judge(directive.kind, directive.mode_text) if directive.mode_text else ():
            kind = KIND_NAMES[directive.kind]
            yield at(directive, code, f"found mode {directive.mode_text!r} of the {kind} {directive.path}{trouble}")


def _judge_mode(kind: str, text: str) -> list[tuple[str, str]]:
    """Return the codes that a mode of a file or directory earns, and how their messages end."""
    mode = int(text, 8)
    result = []
    slip = _slip(kind, text, mode)
    if slip:
        result.append(("M104", f": {slip}"))
    elif len(text) != 4:
        result.append(("M103", f", expected four octal digits: {mode:04o}"))
    if kind == "f" and mode & _SET_ID and mode & 0o022:
        who = "group and others" if mode & 0o022 == 0o022 else "group" if mode & 0o020 else "others"
        result.append(("M105", f", which runs with its owner's or group's rights: its {who} may write"))
    return result


def _slip(kind: str, text: str, mode: int) -> str | None:
    """Say what makes a mode look like a slip of the hand, or return None."""
    owner, group, others = mode >> 6 & 7, mode >> 3 & 7, mode & 7
    if len(text) > 4 and mode > 0o777:
        return "a digit too many, and set-id or sticky bits come of it"
    if (group | others) & ~owner:
        return f"its owner may do less ({_letters(owner)}) than others ({_letters(group | others)})"
    if mode & 0o777 == 0:
        return "nobody may do anything with it"
    if kind == "d" and mode & _SET_UID:
        return "set-user-id means nothing on a directory"
    if kind == "d" and any(bits & 4 and not bits & 1 for bits in (owner, group, others)):
        return "it can be listed but not entered"
    return None


def _letters(bits: int) -> str:
    return "".join(letter if bits & bit else "-" for letter, bit in zip("rwx", (4, 2, 1), strict=True))


def variables(directives: Iterable[Directive]) -> Iterator[Finding]:
    """Yield M208 for paths and targets with something like $VERSION in them: a template that was not filled in."""
    for directive in directives:
        found = _VARIABLE.search(directive.key) if "$" in directive.key else None
        if found:
            yield at(directive, "M208", f"found {found[0]} in {directive.key}: a variable that nobody replaced?")


def case_clashes(directives: Iterable[Directive]) -> Iterator[Finding]:
    """Yield M207 for names in one directory that differ only in case."""
    first: dict[tuple[str, str], Directive] = {}
    for directive in directives:
        parent, _, name = directive.path.rpartition("/")
        earlier = first.setdefault((parent, name.casefold()), directive)
        if earlier.path != directive.path:
            message = f"{directive.path} differs from {earlier.path} ({earlier.where}) only in case"
            yield at(directive, "M207", message)


def order(directives: Iterable[Directive]) -> Iterator[Finding]:
    """Yield M309 for each block of lines (between blank lines and comments) that is not sorted, at its first slip."""
    previous: Directive | None = None
    reported = False
    for directive in directives:
        if previous is None or previous.file != directive.file or previous.line + 1 != directive.line:
            reported = False
        elif directive.key < previous.key and not reported:
            reported = True
            message = f"{directive.key} should stand before {previous.key}: `imagekit manifest fmt` sorts each block"
            yield at(directive, "M309", message)
        previous = directive
