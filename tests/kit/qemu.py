"""Boot an image in QEMU and bring back what came out of each port.

A PC with four serial ports (ttya to ttyd), the debug port 0xe9 (which stands for the text screen), and the debug port
0x402, where the firmware reports.  A guest that writes v to port 0xf4 ends QEMU with status (v << 1) | 1.  The image
itself is never written to.  The processor is always emulated (TCG): slower hosts of virtual machines give the same
result, and nested virtualisation was found to be many times slower than emulation.
"""

import os
import subprocess
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagekit.run.machine import QEMU, Machine, escape, ovmf

__all__ = ["CONSOLES", "END_WORDS", "FAILURE_WORDS", "PORTS", "QEMU", "Boot", "BootFailedError", "boot", "ovmf"]

CONSOLES = ("text", "ttya", "ttyb", "ttyc", "ttyd")
PORTS = (*CONSOLES, "firmware")
"""Where something can come out: the consoles, and the port where SeaBIOS and OVMF report."""

FAILURE_WORDS = (
    "-STANDIN-FAIL",
    "No bootable device",  # SeaBIOS
    "No bootable option or device",  # OVMF
    "UEFI Interactive Shell",  # OVMF found nothing else to start
)
END_WORDS = ("-STANDIN-END",)

_POLL = 0.05  # seconds between looks at the ports
_LEAVE = 5.0  # seconds for a guest that said its last word to end QEMU by itself, before it is ended
_HANG = 300.0  # seconds after which a silent guest is given up: a guard against hanging for ever, not a limit


@dataclass(frozen=True, slots=True)
class Boot:
    """What a boot came to.

    `status` is QEMU's exit status, or None when it was ended from here; `reason` says why it is over; `ports` holds
    what came out of each of PORTS.
    """

    command: Sequence[str]
    status: int | None
    reason: str
    ports: Mapping[str, str]

    def __str__(self) -> str:
        parts = [f"{self.reason}; status {self.status}"]
        for port, text in self.ports.items():
            lines = text.splitlines()[-12:]
            parts += [f"-- {port}: {'the last lines' if lines else 'nothing'}", *lines]
        return "\n".join([*parts, f"-- {' '.join(self.command)}"])


class BootFailedError(Exception):
    """A guest said a failure word, or said nothing for very long; `boot` is what came out."""

    def __init__(self, boot: Boot) -> None:
        super().__init__(str(boot))
        self.boot = boot


def command_line(image: Path | None, folder: Path, *, firmware: str, bus: str, memory: int) -> list[str]:
    """Return QEMU's command line; each port writes to a file of its name in `folder`.  `memory` is in MiB."""
    ports = {port: f"file,path={escape(folder / port)}" for port in PORTS}
    return Machine(firmware=firmware, bus=bus, image=image, memory=memory, ports=ports).command()


def boot(
    image: Path | None,
    folder: Path,
    *,
    firmware: str = "bios",
    bus: str = "usb",
    memory: int = 512,
    more: Sequence[str] = (),
    end_words: Iterable[str] = END_WORDS,
    failure_words: Iterable[str] = FAILURE_WORDS,
) -> Boot:
    """Boot `image` until a port shows one of `end_words` or the guest ends QEMU.

    `firmware` is bios or uefi; `bus` is usb, ahci, virtio, piix (an IDE disk) or cd; `folder` is an empty one for the
    ports' files; `more` are further arguments for QEMU (without an image, what else to boot).  Raise BootFailedError
    on one of `failure_words` and when the guest hangs.
    """
    command = [*command_line(image, folder, firmware=firmware, bus=bus, memory=memory), *more]
    environment = os.environ | {"TMPDIR": str(folder)}  # for what the guest writes to the disk
    with (folder / "qemu").open("wb") as messages:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=messages, stderr=messages, env=environment)
    try:
        reason = _watch(process, folder, tuple(end_words), tuple(failure_words))
    finally:
        status = process.poll()
        if status is None:
            process.kill()
            process.wait()
    ports = _ports(folder)
    result = Boot(command, status, reason or f"QEMU ended: {_text(folder / 'qemu')}", ports)
    failed = [word for word in failure_words if any(word in text for text in ports.values())]
    if failed or status == 1 or reason == "hangs":
        raise BootFailedError(result)
    return result


def _watch(process: subprocess.Popen[bytes], folder: Path, ends: tuple[str, ...], failures: tuple[str, ...]) -> str:
    """Wait for the words or the end of QEMU; return why the boot is over ("" when QEMU ended without a word)."""
    give_up = time.monotonic() + _HANG
    while time.monotonic() < give_up:
        ended = process.poll() is not None
        shown = "\0".join(_ports(folder).values())
        for word in (*failures, *ends):
            if word in shown:
                if not ended:
                    _wait(process, _LEAVE if "STANDIN" in word else 0)
                return f"said {word!r}"
        if ended:
            return ""
        time.sleep(_POLL)
    return "hangs"


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    try:
        process.wait(seconds)
    except subprocess.TimeoutExpired:
        process.terminate()


def _ports(folder: Path) -> dict[str, str]:
    return {port: _text(folder / port) for port in PORTS}


def _text(path: Path) -> str:
    return path.read_bytes().decode("latin-1") if path.exists() else ""
