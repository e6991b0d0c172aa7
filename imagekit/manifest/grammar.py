"""The manifest language: one line a directive, each knowing its file and line.

    f PATH MODE USER GROUP      a file, its content from the proto area
    d PATH MODE USER GROUP      a directory
    s PATH=TARGET               a symbolic link; TARGET is the text in it
    h PATH=TARGET               a hard link; TARGET is a path from the root of the image

Fields are separated by spaces and tabs.  `#` starts a comment at the beginning of a line and after white space.  Lines
end in LF or CRLF; the last may lack its end.  A link's line is split at its first `=`.

Facts from smartos-live: tools/common/manifest.c (five and two fields, modes up to 7777), tools/builder/builder.c (the
first `=`; hard links are made from the root of the image), tools/sorter (what stands after a directive is kept).
"""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, cast

from imagekit.errors import InputError, Problems
from imagekit.marks import mark_at

DirectiveKind = Literal["f", "d", "s", "h"]

KIND_NAMES: dict[str, str] = {"f": "file", "d": "directory", "s": "symbolic link", "h": "hard link"}

LONGEST_LINE = 1 << 16
"""Characters: many times what two paths of 1,023 bytes and a comment take."""

_BLANK = re.compile(r"[ \t]+")
_COMMENT = re.compile(r"(?:^|[ \t])#")
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_MODE = re.compile(r"0*[0-7]{1,4}")


@dataclass(frozen=True, slots=True)
class Directive:
    """One line that says what is at a path.

    `path` is as written, but for a directory's closing slash and the root, which is "" however it is written.
    `mode_text`, `user` and `group` are "" for links, `target` is "" for the others.  `key` is the line's second field:
    what manifests are sorted by.  `text` is the whole line, comment included, without the white space around it.
    """

    kind: DirectiveKind
    path: str
    mode_text: str
    user: str
    group: str
    target: str
    key: str
    text: str
    file: str
    line: int

    @property
    def mode(self) -> int:
        """The permission bits of a file or directory."""
        return int(self.mode_text, 8)

    @property
    def where(self) -> str:
        """File and line, for messages."""
        return f"{self.file}:{self.line}"

    @property
    def name(self) -> str:
        """The path as it is written."""
        return self.key if self.kind in "fd" else self.path

    @property
    def comment(self) -> str:
        """The comment after the directive, from its `#` on, or ""."""
        return split_comment(self.text)[1]

    @property
    def properties(self) -> tuple[str, ...]:
        """What two directives of one path have to agree on: mode as a number, owner, target."""
        if self.kind in "sh":
            return self.kind, self.target
        return self.kind, f"{self.mode:04o}", self.user, self.group


@dataclass(frozen=True, slots=True)
class Comment:
    """A line that holds nothing but a comment; `text` starts with its `#`."""

    text: str
    file: str
    line: int


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that is no directive; `what` says what was found and what is expected."""

    what: str
    text: str
    file: str
    line: int

    @property
    def where(self) -> str:
        """File and line, for messages."""
        return f"{self.file}:{self.line}"


@dataclass(frozen=True, slots=True)
class Parsed:
    """All that the lines of one file hold, each list in the order of the lines."""

    file: str
    directives: list[Directive]
    comments: list[Comment]
    bad: list[BadLine]


def split_comment(line: str) -> tuple[str, str]:
    """Return a line's directive and its comment, either of which may be ""; no white space around them."""
    found = _COMMENT.search(line) if "#" in line else None
    if found is None:
        return line.strip(" \t"), ""
    return line[: found.start()].strip(" \t"), line[found.end() - 1 :].rstrip(" \t")


def _trouble(fields: list[str]) -> str:
    """Say what is wrong with the fields of a line that is no directive."""
    kind = fields[0]
    if (mark := mark_at(kind)) is not None:
        return f"found {mark}"
    if kind not in KIND_NAMES:
        return f"found {kind!r} as kind, expected f, d, s or h"
    if kind in "sh":
        if len(fields) != 2:
            return f"found {len(fields)} fields, expected 2: {kind} PATH=TARGET"
        path, equals, target = fields[1].partition("=")
        if not equals:
            return f"found no '=' in {fields[1]!r}, expected {kind} PATH=TARGET"
        if not path or not target:
            return f"found no {'target' if path else 'path'} in {fields[1]!r}, expected {kind} PATH=TARGET"
        return f"found {path!r}, expected the path of a {KIND_NAMES[kind]}, without a closing slash"
    if len(fields) != 5:
        return f"found {len(fields)} fields, expected 5: {kind} PATH MODE USER GROUP"
    if not _MODE.fullmatch(fields[2]):
        return f"found {fields[2]!r} as mode, expected octal digits up to 7777"
    return f"found {fields[1]!r}, expected the path of a file, without a closing slash"


def _directive(fields: list[str], text: str, file: str, line: int) -> Directive | None:
    kind, count = fields[0], len(fields)
    if count == 5 and kind in {"f", "d"} and _MODE.fullmatch(fields[2]):
        key = path = fields[1]
        if path[-1] in "/.":
            if path[-1] == "/":
                if kind == "f":
                    return None
                path = path.rstrip("/")
            if path == "." and kind == "d":
                path = ""
        return Directive(cast("DirectiveKind", kind), path, fields[2], fields[3], fields[4], "", key, text, file, line)
    if count == 2 and kind in {"s", "h"}:
        key = fields[1]
        path, _, target = key.partition("=")
        if path and target and path[-1] != "/":
            return Directive(cast("DirectiveKind", kind), path, "", "", "", target, key, text, file, line)
    return None


def parse(text: str, file: str) -> Parsed:
    """Read the text of a manifest; `file` is its name for messages.  Bad lines are among the result, not an error."""
    result = Parsed(file, [], [], [])
    if (mark := mark_at(text[:2])) is not None and "\0" in text:
        # Of UTF-16 every line would be a bad one.
        result.bad.append(BadLine(f"found {mark}", "", file, 1))
        return result
    suspicious = _CONTROL.search(text) is not None
    for number, raw in enumerate(text.split("\n"), 1):
        line = raw.strip(" \t\r")
        if not line:
            continue
        if len(line) > LONGEST_LINE:
            what = f"found a line of {len(line):,} characters, expected at most {LONGEST_LINE:,}"
            result.bad.append(BadLine(what, line[:80], file, number))
            continue
        body = line
        if "#" in line:
            body, comment = split_comment(line)
            if not body:
                result.comments.append(Comment(comment, file, number))
                continue
        if suspicious and (control := _CONTROL.search(line)):
            what = f"found the control character {control[0]!r}, expected printable text"
            result.bad.append(BadLine(what, line, file, number))
            continue
        # str.split would also split at the white space beyond ASCII, which may stand in names.
        fields = body.split() if body.isascii() else _BLANK.split(body)
        directive = _directive(fields, line, file, number)
        if directive is None:
            result.bad.append(BadLine(_trouble(fields), line, file, number))
        else:
            result.directives.append(directive)
    return result


def format_directive(directive: Directive) -> str:
    """Return the canonical line: single blanks, four digits of mode, no closing slash, the comment kept."""
    path = directive.path or "."
    if directive.kind in "sh":
        body = f"{directive.kind} {path}={directive.target}"
    else:
        body = f"{directive.kind} {path} {directive.mode:04o} {directive.user} {directive.group}"
    comment = directive.comment
    return f"{body} {comment}" if comment else body


def refuse_bad_lines(bad: Iterable[BadLine]) -> None:
    """Raise one InputError that lists all bad lines; do nothing when there are none."""
    problems = Problems()
    for line in bad:
        problems.add(line.where, line.what)
    problems.raise_if_any(InputError, f"{len(problems)} manifest lines cannot be read", alone="")
