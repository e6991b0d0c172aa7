"""The kernel's boot properties, as `-B NAME=VALUE,...` carries them: reading, quoting, and whether they agree."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from imagekit.boot.console import BAUD_RATES, SERIAL_PORTS, Console
from imagekit.errors import InputError, Thing

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")
"""The kernel leaves longer ones out (illumos fakebop.c)."""

_HINT = "write NAME=VALUE; a name is a letter, then at most 62 letters, digits, _, - and ."
_MODE = re.compile(r"(?P<baud>[0-9]+),[5-8],[noems],(1|1\.5|2),[-hs]")
"""Speed, data bits, parity, stop bits, handshake: a serial port's mode (eeprom(8))."""

_DES_HASH = 13
"""Characters of the oldest hashes that crypt(3C) makes."""

DEFAULT_ROOT_SHADOW = "$5$2HOHRnK3$NvLlm.1KQBbB0WjoP7xcIwGnllhzp2HnT.mDO7DpxYA"
"""The hash that SmartOS media carry: root's password (which is "root") until the system has its own."""

_SEPARATOR = re.compile(r"(?<!,),+(?=[A-Za-z][A-Za-z0-9_.-]*=|\Z)")
"""Where one property ends and the next begins; a comma before anything else is part of a value, as in 9600,8,n,1,-."""

_SETTING = re.compile(r"\$\{[A-Za-z0-9_.:/-]+\}")
"""What iPXE replaces by one of its settings, such as ${net0/mac} or ${uuid}."""


@dataclass(frozen=True, slots=True)
class BootProperty:
    """A boot property; `value` is without quotes."""

    name: str
    value: str

    def __str__(self) -> str:
        return f"{self.name}={quoted(self.value)}"


def parse_properties(text: str) -> tuple[BootProperty, ...]:
    """Return the properties that `NAME=VALUE[,NAME=VALUE...]` gives, split as the kernel splits its own -B.

    Raise InputError for what no boot program hands on whole.
    """
    found: list[BootProperty] = []
    rest = text
    while rest or not found:
        name, equals, rest = rest.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise InputError(f"{text[:200]!r} is no boot property", hint=_HINT)
        value, rest = _first_value(name, rest)
        check_property(name, value)
        found.append(BootProperty(name, value))
    return tuple(found)


def check_property(name: str, value: str) -> None:
    """Raise InputError for a name that is none, and for a value that no boot program hands on whole."""
    if not _NAME.fullmatch(name):
        raise InputError(f"{name!r} is no name of a boot property", hint=_HINT)
    problem = _problem(value)
    if problem:
        raise InputError(f"boot property {name}: its value {problem}", hint="write NAME=VALUE in printable ASCII")


def _first_value(name: str, text: str) -> tuple[str, str]:
    """Return the value that a text begins with, without its quotes, and what follows the comma behind it."""
    begin = 0
    if text[:1] in {'"', "'"}:
        begin = text.find(text[0], 1) + 1
        if not begin:
            raise InputError(f"boot property {name}: the closing quote is missing")
    separator = _SEPARATOR.search(text, begin)
    end, following = separator.span() if separator else (len(text), len(text))
    if begin and end == begin:
        return text[1 : begin - 1], text[following:]
    return text[:end], text[following:]


def _problem(value: str) -> str | None:
    """Return why iPXE, the loader or the kernel would not take a value as it is, or None."""
    if not value:
        return "is empty"
    if not (value.isascii() and value.isprintable()):
        return "holds what is not printable ASCII"
    if "'" in value or '"' in value:
        return "holds a quote, which the loader cannot take: it would drop that line and all behind it"
    if "  " in value or value != value.strip():
        return "has spaces that iPXE drops: at an end, or more than one"
    if any(word.startswith("#") or word in {"||", "&&", ";"} for word in value.split()[1:]):
        return "holds a word (# ..., ||, && or ;) with which an iPXE command ends"
    if "${" in _SETTING.sub("", value):
        return "holds ${ without the name of an iPXE setting, as in ${net0/mac}"
    if "\\" in value:
        return "holds a backslash, which the loader drops"
    return None


def longest_form(value: str) -> str:
    """Return a text as long as this may become when iPXE puts its settings in; the longest usual one is a UUID."""
    return _SETTING.sub("-" * 36, value)


def quoted(value: str) -> str:
    """Return a value as it stands in -B: commas and spaces end one that is not in quotes; a setting may hold them."""
    return f'"{value}"' if re.search(r"[, ]|\$\{", value) else value


def argument(properties: Mapping[str, str]) -> str:
    """Return the properties as the text behind -B."""
    return ",".join(f"{name}={quoted(value)}" for name, value in properties.items())


def console_properties(console: Console, device: str | None = None) -> dict[str, str]:
    """Return what tells the kernel its console: `device`, by default the chosen one, at its speed."""
    device = device or console.device
    if device not in SERIAL_PORTS:
        return {"console": device}
    return {"console": device, f"{device}-mode": console.mode(device)}


def disagreements(properties: Mapping[str, str], console: Console) -> list[str]:
    """Return where given properties and the chosen console would leave someone before a silent console."""
    found = []
    device = properties.get("console", console.device)
    if device != console.device:
        found.append(
            f"{Thing.PROPERTIES} console={quoted(device)}, but {Thing.CONSOLE} chooses {console.device}: "
            "loader and kernel will differ"
        )
    for port in SERIAL_PORTS:
        mode = properties.get(f"{port}-mode")
        if mode is None:
            continue
        found += mode_problems(
            f"{Thing.PROPERTIES} {port}-mode={quoted(mode)}", mode, port, Console(console.device, console.baud)
        )
        if port != device:
            found.append(f"{Thing.PROPERTIES} {port}-mode={quoted(mode)} changes nothing: the console is {device}")
    if "root_shadow" in properties:
        found += shadow_problem(f"{Thing.PROPERTIES} root_shadow", properties["root_shadow"])
    return found


def mode_problems(what: str, mode: str, port: str, console: Console) -> list[str]:
    """Return what is wrong with a port's mode line, `what` being how to call it: its form, or another speed."""
    match = _MODE.fullmatch(mode)
    if match is None or int(match["baud"]) not in BAUD_RATES:
        return [f"{what} is no mode of a serial port; the usual one is 115200,8,n,1,-"]
    if port == console.device and int(match["baud"]) != console.baud:
        return [
            f"{what}, but {Thing.CONSOLE} {console} means {console.baud}: one of loader and kernel will be unreadable"
        ]
    return []


def shadow_problem(what: str, value: str) -> Iterator[str]:
    """Yield what is wrong with root's entry of shadow(5), when it looks like the password itself."""
    if not value.startswith("$") and len(value) != _DES_HASH and value not in {"NP", "*LK*"}:
        yield (
            f"{what} is no hash of a password, such as $5$SALT$...: it will lie there in clear text, "
            "and no password will fit"
        )
