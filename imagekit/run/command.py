"""Carries out `imagekit run`: what is booted, in which machine, and what is shown of it."""

import contextlib
import os
import shutil
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagekit.errors import ImagekitError, InputError, Thing
from imagekit.interrupts import held
from imagekit.media.pxe.texts import MENU
from imagekit.progress import Say, Show, unsaid, unseen
from imagekit.run import console
from imagekit.run.guard import Guard
from imagekit.run.machine import QEMU, Machine, Network, ovmf
from imagekit.run.process import Ending, Scratch
from imagekit.run.subject import Subject, opened

ATTACHMENTS = {"usb": "usb", "disk": "ahci", "cd": "cd"}
"""What --as calls the buses of the machine."""

DEFAULT_MEMORY = 4 << 30
DEFAULT_TIMEOUT = 300.0
_MIB = 1 << 20
_LEAST_MEMORY = 64 * _MIB
_KVM = Path("/dev/kvm")


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRequest:
    """What was asked for.

    `attach` is usb, disk, cd or pxe, None for what the product is; `console` is text or a serial port, None for the
    one that the image was made for; `memory` is in bytes, None for the default; `expect` are texts that should
    appear within `timeout` seconds, none for a terminal; `accelerator` is tcg, kvm or auto.
    """

    path: Path
    firmware: str = "bios"
    attach: str | None = None
    console: str | None = None
    memory: int | None = None
    expect: Sequence[str] = ()
    timeout: float = DEFAULT_TIMEOUT
    accelerator: str = "auto"
    bootfile: str | None = None
    more: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """How it went: the console, the texts that did not appear on it, why it is over, and what was on it last."""

    console: str
    missing: Sequence[str] = ()
    reason: str = ""
    last_lines: Sequence[str] = ()

    def lines(self) -> Iterable[str]:
        """Return what to tell when something is missing."""
        for text in self.missing:
            yield f"imagekit: not seen on {self.console}: {text!r}"
        yield f"imagekit: {self.reason}" + ("; the last lines:" if self.last_lines else "; nothing came out")
        yield from (f"  {line}" for line in self.last_lines)


def run(request: RunRequest, say: Say = unsaid, show: Show = unseen) -> Outcome:
    """Boot a product and return how it went; without texts to expect, when the machine has ended.

    What somebody at the terminal should know goes to `say`, each line before QEMU has the terminal or after that.

    Raise InputError for what cannot be booted or when QEMU or its firmware are missing, ImagekitError when QEMU fails.
    """
    _check(request)
    with (
        _scratch() as scratch,
        opened(request.path, scratch.folder, show) as subject,
        _over_http(request, subject) as url,
    ):
        chosen = request.console or subject.console or "ttya"
        machine = _machine(request, subject, chosen, url, say)
        command = [*machine.command(), *request.more]
        if request.expect:
            return _watch(request, command, scratch, chosen)
        say(_how_to_end(machine, chosen))
        ending = console.attach(command, scratch)
        _end_line()
        for line in _result(ending, scratch):
            say(line)
        return Outcome(chosen)


@contextlib.contextmanager
def _scratch() -> Iterator[Scratch]:
    """Make a folder for temporaries, which is removed whatever ends the run."""
    with held():
        folder = tempfile.TemporaryDirectory(prefix="imagekit-run-", ignore_cleanup_errors=True)
    with folder as name, Guard(Path(name)) as guard:
        yield Scratch(Path(name), guard)


def _check(request: RunRequest) -> None:
    """Raise InputError unless all that is needed is installed, and what was asked for makes sense."""
    if shutil.which(QEMU) is None:
        raise InputError(f"{QEMU} is not installed", hint="apt-get install qemu-system-x86 (Debian, Ubuntu)")
    if request.firmware == "uefi" and ovmf() is None:
        raise InputError("OVMF, the UEFI firmware for QEMU, is not installed", hint="apt-get install ovmf")
    if request.accelerator == "kvm" and not os.access(_KVM, os.R_OK | os.W_OK):
        raise InputError(
            f"{_KVM} is missing, or this user may not write to it", hint=f"{Thing.ACCEL} tcg works everywhere"
        )
    if request.memory is not None and request.memory < _LEAST_MEMORY:
        raise InputError(
            f"a machine of {request.memory:,} bytes of memory boots nothing", hint=f"{Thing.MEMORY} 64M or more"
        )


@contextlib.contextmanager
def _over_http(request: RunRequest, subject: Subject) -> Iterator[str]:
    """Serve a PXE directory to a UEFI machine, which iPXE boots over HTTP alone; yield the URL, else ""."""
    if subject.kind != "pxe" or request.firmware != "uefi" or request.bootfile:
        yield ""
        return
    from imagekit.serve.server import GUEST_SEES, Server  # noqa: PLC0415 - most runs need no server

    with Server(subject.path, port=0) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield server.url(GUEST_SEES)
        finally:
            server.shutdown()
            thread.join()


def _machine(request: RunRequest, subject: Subject, chosen: str, url: str, say: Say) -> Machine:
    attach = request.attach or subject.kind
    if not attach:
        raise InputError(
            "neither a disk with a GPT nor an ISO image",
            where=str(request.path),
            hint=f"say what it is: {Thing.AS} usb",
        )
    if (attach == "pxe") != (subject.kind == "pxe"):
        wanted = "a folder" if attach == "pxe" else "an image"
        raise InputError(f"{Thing.AS} {attach} needs {wanted}", where=str(request.path))
    display, ports, monitor = _shown(request, chosen)
    if attach == "pxe" and request.firmware == "bios" and chosen == "ttya":
        # iPXE's menus are on the text screen only; so SeaBIOS repeats that on the first serial port.
        display = (*display, "-machine", "graphics=off")
    return Machine(
        firmware=request.firmware,
        bus=ATTACHMENTS.get(attach, "usb"),
        image=None if attach == "pxe" else subject.path,
        network=_network(request, subject, url) if attach == "pxe" else None,
        memory=_memory(request.memory, say) // _MIB,
        accelerator=accelerator(request.accelerator),
        display=display,
        ports=ports,
        monitor=monitor,
    )


def _shown(request: RunRequest, chosen: str) -> tuple[Sequence[str], dict[str, str], str | None]:
    """Return what the machine's display, its ports and its monitor have to be for the chosen console."""
    headless = ("-display", "none", "-device", "VGA")
    if request.expect:
        return headless, {chosen: "stdio,signal=off"}, None
    if chosen != "text":
        return headless, {chosen: "stdio,mux=on,signal=off"}, chosen
    match console.screen(os.environ, terminal=sys.stdin.isatty() and sys.stdout.isatty()):
        case "window":
            return ("-device", "VGA", "-monitor", "vc"), {}, None
        case "curses":
            return ("-display", "curses", "-device", "VGA", "-monitor", "vc"), {}, None
        case _:
            return headless, {"text": "stdio,signal=off"}, None


def _how_to_end(machine: Machine, chosen: str) -> str:
    if machine.monitor:
        return f"{chosen} is on this terminal: Ctrl-A X ends the machine, Ctrl-A C changes to QEMU's monitor"
    if chosen in machine.ports:
        return "no display here, so this is what goes to port 0xe9 instead of the text screen; Ctrl-C ends the machine"
    if "curses" in machine.display:
        return "the screen is on this terminal: Esc 2 changes to QEMU's monitor, quit ends the machine there"
    return "the screen is in QEMU's window; Ctrl-C here ends the machine"


def _network(request: RunRequest, subject: Subject, url: str) -> Network:
    bootfile = request.bootfile or MENU
    if not (subject.path / bootfile).is_file():
        scripts = sorted(path.name for path in subject.path.glob("*.ipxe"))
        raise InputError(
            f"no {bootfile} in it: not a PXE directory",
            where=str(request.path),
            hint=f"name one with {Thing.BOOTFILE}: {', '.join(scripts)}" if scripts else "imagekit pxe makes one",
        )
    return Network(subject.path, f"{url}{bootfile}")


def _memory(wanted: int | None, say: Say) -> int:
    """Return the bytes of memory for the machine: what is wanted, else 4 GiB or what this computer can spare."""
    if wanted is not None:
        return wanted
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    spare = max(there // 4 * 3, _LEAST_MEMORY)
    if spare < DEFAULT_MEMORY:
        say(f"the machine gets {spare // _MIB:,} MiB of memory, three quarters of what is here")
    return min(spare, DEFAULT_MEMORY)


def accelerator(wanted: str, *, kvm: Path = _KVM, processors: Path = Path("/proc/cpuinfo")) -> str:
    """Return tcg or kvm; "auto" is kvm where this user may use it, unless this computer is itself virtual.

    There, without help from the hardware below, KVM was found to be 15 to 80 times slower than emulation.
    """
    if wanted != "auto":
        return wanted
    try:
        virtual = "hypervisor" in processors.read_text(errors="replace").split()
    except OSError:
        return "tcg"
    return "kvm" if not virtual and os.access(kvm, os.R_OK | os.W_OK) else "tcg"


def _watch(request: RunRequest, command: Sequence[str], scratch: Scratch, chosen: str) -> Outcome:
    watched = console.Watch(request.expect)
    ending = console.watch(command, scratch, watched, request.timeout, sys.stdout.buffer)
    _end_line()
    if not watched.missing:
        return Outcome(chosen)
    reason = f"{request.timeout:g} s are over" if ending is None else "; ".join(_result(ending, scratch))
    lines = watched.last_lines()
    if chosen == "text" and not lines:
        reason += " (of the text screen, only what goes to port 0xe9 can be watched)"
    return Outcome(chosen, watched.missing, reason, lines)


_REASONS = {
    "guest-shutdown": "the guest switched the machine off",
    "guest-reset": "the guest restarted the machine, and a restart ends it here",
    "guest-panic": "the guest's kernel panicked",
    "host-qmp-quit": "the machine was ended here (Ctrl-A X, or QEMU's monitor)",
    "host-signal": "QEMU was told by a signal to end",
    "host-ui": "the machine's window was closed",
}
"""QMP's ShutdownCause: what to tell."""


def _result(ending: Ending, scratch: Scratch) -> list[str]:
    """Return what to tell of QEMU's end, the reason last; raise ImagekitError when QEMU failed."""
    status = ending.status
    messages = scratch.messages.read_text(errors="replace").strip()
    if status > 1 and status % 2:  # of the exit port: what QEMU itself exits with is 0 or 1
        return [f"the guest ended the machine with {status >> 1}"]
    if status:
        how = f"ended with status {status}" if status > 0 else f"was ended by signal {-status}"
        hints = (hint for word, hint in _HINTS.items() if word in messages.lower())
        raise ImagekitError(f"QEMU {how}" + (f": {messages}" if messages else ""), hint=next(hints, None))
    told = messages.splitlines()
    if ending.disk_error:
        told.append(f"the machine's disk failed: {ending.disk_error}; what is written to it goes to TMPDIR")
    return [*told, _REASONS.get(ending.reason, "the machine was ended")]


# What QEMU complains about, in small letters: what helps.
_HINTS = {
    "romfile": "apt-get install ipxe-qemu (Debian, Ubuntu)",
    "module ui": "apt-get install qemu-system-gui (Debian, Ubuntu), or use a serial console",
    "initialization failed": "QEMU found no display to open a window on; use a serial console",
    "kvm": f"{Thing.ACCEL} tcg works everywhere",
    "allocate memory": f"give the machine less: {Thing.MEMORY} 1G",
    "no space left": "set TMPDIR to a folder with more space",
}


def _end_line() -> None:
    """Give what the guest has written last a line of its own on a terminal."""
    if sys.stdout.isatty():
        sys.stdout.write("\n")
        sys.stdout.flush()
