"""How the illumos loader reads loader.conf files: what it takes from them, and what it loses behind an error.

The facts are those of illumos usr/src/boot: forth/support.4th reads lines and assignments, and hands each variable to
the command `set`, whose words common/interp_parse.c splits, unquotes and expands.

A line that is wrong ends the reading of its file.  The Forth code reads 80 bytes at a time and does not empty that
buffer for the next file.  So the next file begins with what was left there, often the wrong line itself: then it is
lost as a whole, and so are those behind it.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from imagekit.boot.console import DEVICES, device_names
from imagekit.boot.loader_conf import LONGEST, RESERVED, is_of_module
from imagekit.boot.places import DEFAULTS, LOADER_CONF, LOCAL, TRANSIENT
from imagekit.content import Content
from imagekit.errors import InputError
from imagekit.marks import mark_at

_MORE_FILES = "loader_conf_files"
_CHUNK = 80
"""Bytes that the loader reads at once."""

_MOST_FILES = 1000
_DEEPEST = 16
"""Files that are read, and files that name files: the loader has no limits but its memory."""

_LARGEST = 1 << 20
"""Bytes of a loader.conf; real ones have a few hundred."""

_NAME = r"[A-Za-z][A-Za-z0-9_.,/-]*"
_LINE = re.compile(
    rf"""[ \t]*
    (?:(?P<name>{_NAME})[ \t]*=[ \t]*
       (?P<value>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[A-Za-z0-9/:-][A-Za-z0-9_.,@/:-]*)
       [ \t]*)?
    (?:\#.*)?""",
    re.VERBOSE | re.DOTALL,
)
_ASSIGNMENT = re.compile(rf"[ \t]*{_NAME}[ \t]*(?P<sign>=[ \t]*)?(?P<rest>.*)", re.DOTALL)
_ENVIRONMENT = {"ISADIR": "amd64"}
"""What the loader sets by itself, and files use."""


@dataclass(frozen=True, slots=True)
class Setting:
    """A variable's value, and the line where it was given."""

    value: str
    file: str
    line: int

    @property
    def where(self) -> str:
        """File and line, for messages."""
        return f"{self.file}:{self.line}"


@dataclass(slots=True)
class Fault:
    """A line that the loader does not understand: it and all behind it in the file are lost, and all of `lost`."""

    file: str
    line: int
    reason: str
    lost: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        more = f", and all of {', '.join(self.lost)}" if self.lost else ""
        return f"{self.file}:{self.line}: {self.reason}: the loader ignores the rest of the file{more}"


def conf_bytes(content: Content) -> bytes:
    """Return what is in a loader.conf; raise InputError for what is too large for one."""
    if content.size > _LARGEST:
        raise InputError(f"{content.size:,} bytes are no loader.conf", where=content.origin)
    return content.read()


def os_console(values: Mapping[str, str]) -> str | None:
    """Return the device that the loader's variables choose for the kernel, or None where they name none."""
    device = device_names(values.get("os_console", ""))[0]
    return device if device in DEVICES else None


class LoaderReading:
    """What the loader knows after the files that were read, in their order.

    `settings` are variables by name, those of boot modules too; `faults` are the lines that were wrong; `files` are
    those that were read.
    """

    def __init__(self) -> None:
        self.settings: dict[str, Setting] = {}
        self.faults: list[Fault] = []
        self.files: set[str] = set()
        self.next_files: list[str] | None = None
        self._lines = _Lines()

    def value(self, name: str) -> str | None:
        """Return a variable's value, or None."""
        setting = self.settings.get(name)
        return None if setting is None else setting.value

    def read(self, file: str, data: bytes) -> None:
        """Read one file; its name is only for reports."""
        self.files.add(file)
        for line, where, number in self._lines.of(file, data):
            reason = self._take(line.decode("latin-1"), where, number)
            if reason is None:
                continue
            known = [fault for fault in self.faults if fault.file == where]
            if not known:
                self.faults.append(Fault(where, number, reason))
            elif file not in {where, *known[0].lost}:
                known[0].lost.append(file)
            return

    def _take(self, line: str, file: str, number: int) -> str | None:
        """Obey a line; return what is wrong with it, or None."""
        match = _LINE.fullmatch(line)
        if match is None:
            return _syntax_error(line)
        name, value = match["name"], match["value"]
        if name is None:
            return None
        is_quoted = value[0] in "\"'"
        if is_quoted:
            value = value.replace("\\", "")
        if name != _MORE_FILES and (name in RESERVED or is_of_module(name)):
            value = value[1:-1] if value[0] == '"' or (is_quoted and not name.endswith("_load")) else value
        else:
            expanded = _expand(value, self.value)
            if expanded is None or len(f"{name}={expanded}") > LONGEST:
                return _bad_definition(value)
            value = expanded
            if name == _MORE_FILES:
                self.next_files = value.split()
        self.settings[name] = Setting(value, file, number)
        return None


class _Lines:
    """Lines of one file after the other, with the buffer that the loader has for all of them."""

    def __init__(self) -> None:
        self._buffer = b""
        self._start = ("", 1)  # file and line where the buffer begins

    def of(self, file: str, data: bytes) -> Iterator[tuple[bytes, str, int]]:
        """Yield the lines that the loader gets when it reads a file: text, and the file and line where it begins."""
        at = offset = 0
        where, number = self._start
        ended = False
        while not ended:
            while self._buffer[at : at + 1] == b"\n":
                at += 1
                number += 1
            begin = (where, number)
            parts: list[bytes] = []
            while True:
                end = self._buffer.find(b"\n", at)
                end = len(self._buffer) if end < 0 else end
                parts.append(self._buffer[at:end])
                at = end
                if at < len(self._buffer) or ended:
                    break
                if offset == 0:
                    where, number = file, 1
                self._buffer, at = data[offset : offset + _CHUNK], 0
                self._start = (where, number)
                offset += len(self._buffer)
                ended = not self._buffer
                if not any(parts):
                    begin = (where, number)
            yield b"".join(parts), *begin


def read_loader_files(get: Callable[[str], bytes | None], snippets: Sequence[str] = ()) -> LoaderReading:
    """Read all files that the loader would, as it does: `get` returns a file's bytes, or None when it is missing.

    Paths have no slash at the front; `snippets` are those in boot/conf.d, in order.
    """
    reading = LoaderReading()
    left = _MOST_FILES

    def include(files: Iterable[str], above: tuple[str, ...]) -> None:
        nonlocal left
        for file in [*files, *snippets]:
            data = get(file)
            left -= 1
            if data is None or left < 0:
                continue
            if file in above or len(above) == _DEEPEST:
                asked = reading.settings[_MORE_FILES]
                reading.faults.append(Fault(asked.file, asked.line, "files that name each other without an end"))
                left = 0
                return
            reading.read(file, data)
            following, reading.next_files = reading.next_files, None
            if following is not None:
                include([name.lstrip("/") for name in following], (*above, file))

    include([DEFAULTS], ())
    if _MORE_FILES not in reading.settings:  # these defaults are not illumos' own
        include([LOADER_CONF, LOCAL], ())
    data = get(TRANSIENT)
    if data is not None:
        reading.read(TRANSIENT, data)
    return reading


def _expand(text: str, variable: Callable[[str], str | None]) -> str | None:
    """Return what the command parser makes of one word, or None when it fails or finds several words.

    Quotes of one kind within the other stay, and count all the same; $ is left alone in single quotes only.
    """
    found: list[str] = []
    in_single = in_double = False
    at = 0
    while at < len(text):
        letter = text[at]
        at += 1
        if letter == "'":
            in_single = not in_single
            found.append(letter if in_double else "")
        elif letter == '"':
            in_double = not in_double
            found.append(letter if in_single else "")
        elif letter.isspace() and not in_single and not in_double:
            return None
        elif letter == "$" and not in_single:
            closing = {"{": "}", "(": ")"}.get(text[at : at + 1])
            match = re.compile(rf".([^{closing}]*){re.escape(closing)}" if closing else r"([^\s]*)").match(text, at)
            if match is None:
                return None
            found.append(variable(match[1]) or _ENVIRONMENT.get(match[1], ""))
            at = match.end()
        else:
            found.append(letter)
    return None if in_single or in_double else "".join(found)


def _bad_definition(value: str) -> str:
    if "$" in value and value[0] == '"':
        return "a $ in double quotes, which begins the name of a variable (write the value in single quotes)"
    if len(value) > LONGEST // 2:
        return f"more than {LONGEST:,} bytes"
    return "a quote within the value, which the loader cannot take"


def _syntax_error(line: str) -> str:
    """Return what is wrong with a line that is no assignment."""
    if (mark := mark_at(line)) is not None:
        return mark
    if line.endswith("\r") and _LINE.fullmatch(line.rstrip("\r")):
        return "a carriage return"
    match = _ASSIGNMENT.fullmatch(line)
    if match is None:
        return "a syntax error (a name begins with a letter)"
    if match["sign"] is None:
        return "a syntax error (no = behind the name)"
    rest = match["rest"]
    if not rest or rest.startswith("#"):
        return "a syntax error (no value behind the =)"
    if rest[0] in "\"'":
        is_whole = re.match(rf"{rest[0]}(?:\\.|[^{rest[0]}\\])*{rest[0]}", rest, re.DOTALL)
        return f"a syntax error ({'text behind the value' if is_whole else 'the closing quote is missing'})"
    return "a syntax error (put the value in quotes)"
