"""A network of its own with a DHCP server on it, asked as PXE firmware, iPXE and the illumos loader ask.

Run it as `unshare --user --map-root-user --net python dhcp_network.py FOLDER SERVER...`: it needs no rights outside.
The client is a relay agent at 10.0.0.2, in a second network namespace.  It prints what each client is given, as JSON.
"""

import contextlib
import ctypes
import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from pathlib import Path

SERVER, RELAY = "10.0.0.1", "10.0.0.2"
CLONE_NEWNET = 0x40000000
ARCHITECTURE, USER_CLASS, IPXE_FEATURES, BOOT_FILE, ROOT_PATH = 93, 77, 175, 67, 17
HTTP, MULTIBOOT, EFI, MULTIBOOT2 = 0x13, 0x19, 0x24, 0x2A  # what an iPXE can do

CLIENTS = {  # name: (architecture, user class, iPXE's features)
    "bios": (0, "", ()),
    "uefi": (7, "", ()),
    "uefi, as some call it": (9, "", ()),
    "ipxe, bios": (0, "iPXE", (HTTP, MULTIBOOT)),
    "ipxe, uefi, stock": (7, "iPXE", (HTTP, EFI)),
    "ipxe, uefi, triton": (7, "iPXE", (HTTP, EFI, MULTIBOOT2)),
    "loader, bios": (0, "illumos", ()),
}


def option(code, data):
    return bytes([code, len(data)]) + data


def discover(number, architecture, user_class, features):
    """Return a DHCPDISCOVER that came through the relay agent (RFC 2131)."""
    head = struct.pack(">BBBBIHH", 1, 1, 6, 1, number, 0, 0) + bytes(12) + socket.inet_aton(RELAY)
    head += bytes([0x52, 0x54, 0, 0x12, 0x34, number]) + bytes(10 + 64 + 128)
    options = option(53, b"\x01") + option(55, bytes([1, 3, 66, BOOT_FILE, ROOT_PATH]))
    options += option(60, f"PXEClient:Arch:{architecture:05}:UNDI:002001".encode())
    options += option(ARCHITECTURE, struct.pack(">H", architecture))
    if user_class:
        options += option(USER_CLASS, user_class.encode())
    if features:
        options += option(IPXE_FEATURES, b"".join(option(code, b"\x01") for code in features))
    return head + b"\x63\x82\x53\x63" + options + b"\xff"


def offered(reply):
    """Return (boot file, next server, root path) of a DHCPOFFER."""
    options, place = {}, 240
    while place < len(reply) and reply[place] != 255:
        if reply[place]:
            options[reply[place]] = reply[place + 2 : place + 2 + reply[place + 1]]
            place += 1 + reply[place + 1]
        place += 1
    name = options.get(BOOT_FILE) or reply[108:236]
    texts = (name.partition(b"\0")[0].decode(), options.get(ROOT_PATH, b"").partition(b"\0")[0].decode())
    return texts[0], socket.inet_ntoa(reply[20:24]), texts[1]


def ask(name, number):
    """Ask until there is an answer: the server may not be up yet."""
    packet = discover(number, *CLIENTS[name])
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as relay:
        relay.bind((RELAY, 67))
        for _ in range(60):
            with contextlib.suppress(ConnectionRefusedError):
                relay.sendto(packet, (SERVER, 67))
                while select.select([relay], [], [], 1)[0]:
                    reply = relay.recv(4096)
                    if reply[4:8] == packet[4:8]:  # and no late answer to another client
                        return offered(reply)
    return None


def ip(*arguments):
    subprocess.run(["ip", *arguments], check=True)


def main(folder, *server):
    """Make the network, start the server, ask as each client."""
    os.chdir(folder)
    ip("link", "set", "lo", "up")
    ip("link", "add", "pxe0", "type", "veth", "peer", "name", "pxe1")
    ip("addr", "add", f"{SERVER}/24", "dev", "pxe0")
    ip("link", "set", "pxe0", "up")
    with Path("log").open("wb") as log:
        started, ready = os.pipe()
        moved, go = os.pipe()
        answer, result = os.pipe()
        child = os.fork()
        if child == 0:
            if ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNET):
                os._exit(1)
            os.write(ready, b".")
            os.read(moved, 1)
            ip("addr", "add", f"{RELAY}/24", "dev", "pxe1")
            ip("link", "set", "pxe1", "up")
            found = {name: ask(name, number) for number, name in enumerate(CLIENTS, start=1)}
            os.write(result, json.dumps(found).encode())
            os._exit(0)
        os.read(started, 1)
        ip("link", "set", "pxe1", "netns", str(child))
        os.write(go, b".")
        while b"LOWER_UP" not in subprocess.run(["ip", "link", "show", "pxe0"], check=True, capture_output=True).stdout:
            time.sleep(0.01)  # Kea would not wait for the cable
        process = subprocess.Popen(server, stdout=log, stderr=log)
        try:
            while os.waitpid(child, os.WNOHANG) == (0, 0):
                if process.poll() is not None:
                    os.kill(child, signal.SIGKILL)
                    os.waitpid(child, 0)
                    sys.exit("the server has ended")
                time.sleep(0.05)
        finally:
            process.terminate()
            process.wait()
        print(os.read(answer, 65536).decode())


if __name__ == "__main__":
    main(*sys.argv[1:])
