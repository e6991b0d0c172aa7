"""The console that a boot medium talks to: which device, and at what speed."""

import re
from dataclasses import dataclass
from typing import Self

from imagekit.errors import InputError, Thing, nearest

SERIAL_PORTS = ("ttya", "ttyb", "ttyc", "ttyd")
DEVICES = ("text", *SERIAL_PORTS)
BAUD_RATES = (300, 600, 1200, 2400, 4800, 9600, 19200, 38400, 57600, 115200)
"""The speeds that the illumos serial driver and the loader both set."""

DEFAULT_BAUD = 115200


@dataclass(frozen=True, slots=True)
class Console:
    """A chosen console: `device` is one of DEVICES, `baud` is the speed of its port in bits per second."""

    device: str = "text"
    baud: int = DEFAULT_BAUD

    @classmethod
    def parse(cls, text: str) -> Self:
        """Return the console that `DEVICE[:BAUD]` names ("vga" is "text"); raise InputError for any other."""
        name, colon, speed = text.partition(":")
        device = "text" if name == "vga" else name
        if device not in DEVICES:
            near = _elsewhere(name) or nearest(name.lower(), (*DEVICES, "vga"))
            guess = f"; did you mean {near}?" if near else ""
            raise InputError(f"unknown console {name!r}{guess}", hint="a console is one of text (or vga), ttya to ttyd")
        if not colon:
            return cls(device)
        if device == "text":
            raise InputError(
                f"{text!r}: the text console has no speed", hint=f"write {Thing.CONSOLE} text, or name a serial port"
            )
        if speed not in map(str, BAUD_RATES):
            rates = ", ".join(map(str, BAUD_RATES))
            raise InputError(f"{speed!r} is no speed of a serial port", hint=f"use one of {rates}")
        return cls(device, int(speed))

    @property
    def devices(self) -> tuple[str, ...]:
        """All devices, the chosen one first, `text` last unless chosen: the loader's `console` list."""
        if self.device == "text":
            return DEVICES
        return (self.device, *(port for port in SERIAL_PORTS if port != self.device), "text")

    def mode(self, port: str) -> str:
        """Return a serial port's mode line: speed, data bits, parity, stop bits, handshake (eeprom(8))."""
        return f"{self.baud if port == self.device else DEFAULT_BAUD},8,n,1,-"

    def __str__(self) -> str:
        return self.device if self.baud == DEFAULT_BAUD else f"{self.device}:{self.baud}"


def device_names(value: str) -> list[str]:
    """Return the devices of a list in `console`, or in `os_console`, where the kernel takes the first alone."""
    return re.split("[ ,]", value)


def _elsewhere(name: str) -> str | None:
    """Return the device that other systems call so, such as ttyS0 (Linux) or COM1, or None."""
    match = re.match(r"(?:/dev/)?(?:(ttyS|ttyu|cuau)|com)([0-9])(?![0-9])", name, re.IGNORECASE)
    if match is None:
        return None
    number = int(match[2]) - (match[1] is None)
    return SERIAL_PORTS[number] if 0 <= number < len(SERIAL_PORTS) else None
