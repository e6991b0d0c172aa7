"""The PC that products boot in, as QEMU's command line: firmware, bus, network and four serial ports.

Port 0xe9 stands for the text screen: boot stand-ins write there.  Firmware reports on port 0x402.  A guest that
writes v to port 0xf4 ends QEMU with status (v << 1) | 1.  No image is ever written to: guests write to a temporary
overlay, which QEMU puts into TMPDIR.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from imagekit.boot.console import SERIAL_PORTS

QEMU = "qemu-system-x86_64"

DEBUG_PORTS = {"text": 0xE9, "firmware": 0x402}

EXIT_DEVICE = ("-device", "isa-debug-exit,iobase=0xf4,iosize=4")

# (code, variables): where Debian and Ubuntu, Fedora, Arch keep OVMF.
_OVMF = (
    ("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    ("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
)

BUSES: Mapping[str, tuple[str, tuple[str, ...]]] = {  # bus: (machine, devices)
    "usb": ("q35", ("-device", "qemu-xhci", "-device", "usb-storage,drive=d0,bootindex=0")),
    "ahci": ("q35", ("-device", "ide-hd,drive=d0,bus=ide.0,bootindex=0")),
    "virtio": ("q35", ("-device", "virtio-blk-pci,drive=d0,bootindex=0")),
    "piix": ("pc", ("-device", "ide-hd,drive=d0,bus=ide.0,bootindex=0")),
    "cd": ("q35", ("-device", "ide-cd,drive=d0,bus=ide.0,bootindex=0")),
}


@dataclass(frozen=True, slots=True)
class Network:
    """QEMU's own network: DHCP names `bootfile`, TFTP serves `folder`; the virtio card has Debian's iPXE in its ROM."""

    folder: Path
    bootfile: str

    def arguments(self) -> list[str]:
        """Return QEMU's arguments."""
        served = f"user,id=n0,tftp={escape(self.folder)},bootfile={escape(self.bootfile)}"
        return ["-netdev", served, "-device", "virtio-net-pci,netdev=n0,bootindex=0"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A PC.

    `firmware` is bios (SeaBIOS) or uefi (OVMF); `image` is on `bus` (one of BUSES); `memory` is in MiB; `display` are
    QEMU's arguments for the screen.  `ports` says where the serial ports and DEBUG_PORTS lead: the name of the port,
    and QEMU's character device for it without an id, such as "stdio,mux=on"; a port that is not named leads nowhere.
    `monitor` is the port, with a multiplexed device, that QEMU's monitor shares.
    """

    firmware: str = "bios"
    bus: str = "usb"
    image: Path | None = None
    network: Network | None = None
    memory: int = 512
    accelerator: str = "tcg"
    display: Sequence[str] = ("-display", "none")
    ports: Mapping[str, str] = field(default_factory=dict)
    monitor: str | None = None

    def command(self) -> list[str]:
        """Return the command line; raise FileNotFoundError when UEFI is wanted and there is no OVMF."""
        machine, devices = BUSES[self.bus]
        command = [QEMU, "-M", machine, "-accel", self.accelerator, "-m", str(self.memory)]
        if self.accelerator == "kvm":
            command += ["-cpu", "host"]
        command += ["-nodefaults", "-no-user-config", "-no-reboot", *self.display]
        for port in SERIAL_PORTS:
            command += ["-chardev", _with_id(self.ports.get(port, "null"), port), "-serial", f"chardev:{port}"]
        for port, base in DEBUG_PORTS.items():
            if port in self.ports:
                command += ["-chardev", _with_id(self.ports[port], port)]
                command += ["-device", f"isa-debugcon,iobase={base:#x},chardev={port}"]
        if self.monitor:
            command += ["-mon", f"chardev={self.monitor},mode=readline"]
        command += EXIT_DEVICE
        command += self._firmware()
        if self.image is not None:
            media = "media=cdrom,readonly=on" if self.bus == "cd" else "snapshot=on,werror=report"
            # An absolute path: what stands before a colon in a relative one would be a protocol.
            command += ["-drive", f"if=none,id=d0,format=raw,{media},file={escape(self.image.absolute())}", *devices]
        if self.network is not None:
            command += self.network.arguments()
        return command

    def _firmware(self) -> list[str]:
        if self.firmware == "bios":  # SeaBIOS, QEMU's default
            return []
        found = ovmf()
        if found is None:
            raise FileNotFoundError("OVMF")
        code, variables = found
        return [
            *("-drive", f"if=pflash,format=raw,readonly=on,file={code}"),
            *("-drive", f"if=pflash,format=raw,snapshot=on,file={variables}"),
        ]


def ovmf() -> tuple[Path, Path] | None:
    """Return the paths of OVMF's code and of its pristine variables, or None where it is not installed."""
    for code, variables in _OVMF:
        if Path(code).is_file() and Path(variables).is_file():
            return Path(code), Path(variables)
    return None


def escape(value: Path | str) -> str:
    """Return a value as it may stand in an argument of QEMU's, where a comma ends it."""
    return str(value).replace(",", ",,")


def _with_id(device: str, name: str) -> str:
    kind, comma, options = device.partition(",")
    return f"{kind},id={name}{comma}{options}"
