"""The kernel's boot properties, as `-B NAME=VALUE,...` carries them: reading, quoting, and whether they agree."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from imagekit.boot.console import BAUD_RATES, SERIAL_PORTS, Console
from imagekit.errors import InputError

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_.-]*")
_MODE = re.compile(r"(?P<baud>[0-9]+),[5-8],[noems],(1|1\.5|2),[-hs]")
"""Speed, data bits, parity, stop bits, handshake: a serial port's mode (eeprom(8))."""

DEFAULT_ROOT_SHADOW = "$5$2HOHRnK3$NvLlm.1KQBbB0WjoP7xcIwGnllhzp2HnT.mDO7DpxYA"
"""The hash that SmartOS media carry: root's password (which is "root") until the system has its own."""


@dataclass(frozen=True, slots=True)
class BootProperty:
    """A boot property; `value` is without quotes."""

    name: str
    value: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the property that `NAME=VALUE` gives; raise InputError for what no boot program hands on whole."""
        name, equals, value = text.partition("=")
        if not equals or not _NAME.fullmatch(name):
            raise InputError(
                f"{text!r} is no boot property",
                hint="write NAME=VALUE; a name is a letter, then letters, digits, _, - and .",
            )
        if len(value) > 1 and value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        problem = _problem(value)
        if problem:
            raise InputError(f"boot property {name}: its value {problem}", hint="write NAME=VALUE in printable ASCII")
        return cls(name, value)

    def __str__(self) -> str:
        return f"{self.name}={quoted(self.value)}"


def _problem(value: str) -> str | None:
    """Return why iPXE, the loader or the kernel would not take a value as it is, or None."""
    if not value:
        return "is empty"
    if not (value.isascii() and value.isprintable()):
        return "holds what is not printable ASCII"
    if '"' in value and "'" in value:
        return "holds both kinds of quotes, so that it cannot be quoted itself"
    if "  " in value or value != value.strip():
        return "has spaces that iPXE drops: at an end, or more than one"
    if any(word.startswith("#") or word in {"||", "&&", ";"} for word in value.split()[1:]):
        return "holds a word (# ..., ||, && or ;) with which an iPXE command ends"
    if "${" in value:
        return "holds ${, which iPXE replaces"
    if "\\" in value:
        return "holds a backslash, which the loader drops"
    return None


def quoted(value: str) -> str:
    """Return a value as it stands in -B: commas and spaces end one that is not in quotes."""
    if not re.search(r"[, \"']", value):
        return value
    quote = "'" if '"' in value else '"'
    return f"{quote}{value}{quote}"


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
        found.append(f"-B console={quoted(device)}, but -c chooses {console.device}: loader and kernel will differ")
    for port in SERIAL_PORTS:
        mode = properties.get(f"{port}-mode")
        if mode is None:
            continue
        found += mode_problems(f"-B {port}-mode={quoted(mode)}", mode, port, Console(console.device, console.baud))
        if port != device:
            found.append(f"-B {port}-mode={quoted(mode)} changes nothing: the console is {device}")
    return found


def mode_problems(what: str, mode: str, port: str, console: Console) -> list[str]:
    """Return what is wrong with a port's mode line, `what` being how to call it: its form, or another speed."""
    match = _MODE.fullmatch(mode)
    if match is None or int(match["baud"]) not in BAUD_RATES:
        return [f"{what} is no mode of a serial port; the usual one is 115200,8,n,1,-"]
    if port == console.device and int(match["baud"]) != console.baud:
        return [f"{what}, but -c {console} means {console.baud}: one of loader and kernel will be unreadable"]
    return []
