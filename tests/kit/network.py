"""What the network boot tests need around QEMU: its own DHCP and TFTP, a web server, the screen and the keyboard.

QEMU's DHCP server knows one boot file for all clients.  Where firmware has to load a program that asks DHCP again, the
boot file is replaced as soon as it has gone over the wire, which a dump of the network shows.
"""

import contextlib
import re
import select
import socket
import struct
import subprocess
import threading
import time
from pathlib import Path

from kit.command import IMAGEKIT

HOST = "10.0.2.2"
"""What QEMU's own network calls this computer's 127.0.0.1."""

IPXE = Path("/usr/lib/ipxe")
"""Where Debian and Ubuntu keep iPXE's programs."""


def card(folder, bootfile, *more, rom=None, device="virtio-net-pci"):
    """Return QEMU's arguments for a network card to boot from, TFTP serving `folder`; `rom` "" is no ROM at all."""
    name = str(folder).replace(",", ",,")
    network = f"user,id=n0,tftp={name},bootfile={bootfile}"
    romfile = "" if rom is None else f",romfile={rom}"
    return ["-netdev", network, "-device", f"{device},netdev=n0,bootindex=1{romfile}", *more]


@contextlib.contextmanager
def served(folder):
    """Serve a folder with `imagekit serve`; yield its URL for the guest, and a list of what was asked for."""
    command = [*IMAGEKIT, "serve", str(folder), "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    asked = []
    try:
        port = re.match(r"http://127\.0\.0\.1:(\d+)/", process.stdout.readline())[1]
        reader = threading.Thread(target=lambda: asked.extend(process.stderr), daemon=True)
        reader.start()
        yield f"http://{HOST}:{port}/", asked
    finally:
        process.terminate()
        process.wait()
        reader.join()
        process.stdout.close()
        process.stderr.close()


@contextlib.contextmanager
def replaced_when_fetched(path, text, dump):
    """Give a file in a TFTP folder another content once all of it went over the wire, as the dump shows."""
    size = path.stat().st_size
    done = threading.Event()
    fetched = threading.Event()

    def watch():
        while not done.is_set():
            if dump.exists() and tftp_bytes(dump.read_bytes()) >= size:
                new = path.with_name(f"{path.name}.new")
                new.write_text(text)
                new.replace(path)
                fetched.set()
                return
            time.sleep(0.02)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield fetched
    finally:
        done.set()
        watcher.join()


def tftp_bytes(dump):
    """Return the payload bytes of the largest TFTP transfer in a network dump (pcap, Ethernet, IPv4)."""
    transfers = {}
    place = 24
    while place + 16 <= len(dump):
        (length,) = struct.unpack_from("<I", dump, place + 8)
        frame = dump[place + 16 : place + 16 + length]
        place += 16 + length
        if len(frame) < length or frame[12:14] != b"\x08\x00" or frame[23] != 17:
            continue
        udp = 14 + (frame[14] & 15) * 4
        target, size = struct.unpack_from(">HH", frame, udp + 2)
        payload = frame[udp + 8 : udp + size]
        if payload[:2] == b"\x00\x03" and frame[26:30] == bytes([10, 0, 2, 2]):  # DATA from the server
            blocks = transfers.setdefault(target, {})
            blocks[payload[2:4]] = len(payload) - 4
    return max((sum(blocks.values()) for blocks in transfers.values()), default=0)


class Keyboard:
    """Reads the text screen of a booting machine and presses keys, through QEMU's monitor at the socket `path`."""

    def __init__(self, path):
        self.path = path
        self.screens = []
        self._stop = threading.Event()

    @property
    def arguments(self):
        return ["-monitor", f"unix:{self.path},server=on,wait=off", "-device", "VGA"]

    @contextlib.contextmanager
    def pressing(self, steps):
        """Press keys meanwhile: `steps` are (text to wait for on the screen, keys)."""
        worker = threading.Thread(target=self._work, args=(steps,))
        worker.start()
        try:
            yield
        finally:
            self._stop.set()
            worker.join()

    def _work(self, steps):
        while not self.path.exists():
            if self._stop.wait(0.05):
                return
        with socket.socket(socket.AF_UNIX) as monitor, contextlib.suppress(ConnectionError):
            monitor.connect(str(self.path))
            self._ask(monitor, None)
            for text, keys in steps:
                while text not in (screen := self._screen(monitor)):
                    if self._stop.wait(0.1):
                        return
                self.screens.append(screen)
                for key in keys:
                    self._ask(monitor, f"sendkey {key}")

    def _screen(self, monitor):
        """Return the 25 lines of text, as they stand in the memory of the VGA card."""
        answer = self._ask(monitor, "xp /2000hx 0xb8000")
        characters = "".join(chr(int(word, 16) & 0xFF) for word in re.findall(r"0x([0-9a-f]{4})\b", answer))
        return "\n".join(characters[start : start + 80].rstrip() for start in range(0, len(characters), 80))

    @staticmethod
    def _ask(monitor, command):
        if command:
            monitor.sendall(f"{command}\n".encode())
        answer = b""
        while not answer.endswith(b"(qemu) "):
            if not select.select([monitor], [], [], 10)[0]:
                raise ConnectionError
            piece = monitor.recv(65536)
            if not piece:
                raise ConnectionError
            answer += piece
        return answer.decode("latin-1")
