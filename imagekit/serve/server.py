"""The HTTP server: a thread for each of a bounded number of connections, and what to try against it."""

import ipaddress
import os
import signal
import socket
import socketserver
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from imagekit.errors import InputError, Thing
from imagekit.media.pxe.texts import MENU
from imagekit.progress import Say, unsaid
from imagekit.serve.handler import Handler
from imagekit.serve.jail import Jail

MOST_CONNECTIONS = 400
"""Each takes a thread and two or three descriptors, of which a process may often have no more than 1,024."""

_BUSY = b"HTTP/1.1 503 Service Unavailable\r\nConnection: close\r\nContent-Length: 0\r\n\r\n"
GUEST_SEES = "10.0.2.2"
"""What QEMU's own network calls this computer's 127.0.0.1."""


class Server(socketserver.ThreadingMixIn, socketserver.TCPServer):
    """Serves a folder at an address; port 0 means any that is free."""

    allow_reuse_address = True
    daemon_threads = True
    block_on_close = False
    request_queue_size = 256

    def __init__(self, folder: Path, bind: str = "127.0.0.1", port: int = 8080, say: Say = unsaid) -> None:
        """Raise InputError when there is no such folder, or the address is no address or taken.

        `say` is told of each request, from the thread that answers it.
        """
        if not folder.is_dir():
            raise InputError("no such folder", where=str(folder))
        self._free = threading.BoundedSemaphore(MOST_CONNECTIONS)
        try:
            address: Any  # of a shape that goes with its family
            self.address_family, _, _, _, address = socket.getaddrinfo(bind, port, type=socket.SOCK_STREAM)[0]
            super().__init__(address, partial(Handler, jail=Jail(folder.absolute()), say=say))
        except OSError as error:
            raise InputError(
                f"cannot listen on {bind} port {port}: {error.strerror}",
                hint=f"{Thing.PORT} 0 takes any port that is free",
            ) from error

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return int(self.server_address[1])

    @property
    def host(self) -> str:
        """The address that it listens on."""
        return str(self.server_address[0])

    def process_request(self, request: Any, client_address: Any) -> None:
        """Begin a thread for a connection, or turn it away when there are too many."""
        if self._free.acquire(blocking=False):
            super().process_request(request, client_address)
            return
        request.setblocking(False)  # so that a few bytes go out now, or not at all
        try:
            request.send(_BUSY)
        except OSError:
            pass
        finally:
            self.shutdown_request(request)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Serve a connection, in a thread of its own."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._free.release()

    def url(self, host: str | None = None) -> str:
        """Return the URL of the folder, as `host` (by default, the address that it listens on) is called."""
        name = host or self.host
        return f"http://[{name}]:{self.port}/" if ":" in name else f"http://{name}:{self.port}/"


class _Stopped(BaseException):
    """Somebody pressed Ctrl-C, or ended the program from outside: the ordinary end of a server."""


def _stop(_signal: int, _frame: FrameType | None) -> None:
    raise _Stopped


def serve(folder: Path, bind: str, port: int, answer: Say, say: Say) -> None:
    """Serve a folder until Ctrl-C.  To be called in the main thread.

    `answer` is told first what to try, and has to pass it on at once, for scripts that wait for the URL; `say` of
    requests.
    """
    with Server(folder, bind, port, say) as server:
        for line in advice(server, folder):
            answer(line)
        before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
        try:
            for number in before:
                signal.signal(number, _stop)
            server.serve_forever()
        except _Stopped:
            say("stopped")
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)


def advice(server: Server, folder: Path) -> Iterator[str]:
    """Yield the URL and the commands to try."""
    address = ipaddress.ip_address(server.host.partition("%")[0])
    outside = _own_address() if address.is_unspecified else server.host
    yield f"{server.url(outside)}  serves {folder}; Ctrl-C ends it"
    if address.is_loopback:
        yield f"  only this computer can reach it; for others: {Thing.BIND} ADDRESS, or 0.0.0.0"
    scripts = sorted(path.name for path in folder.glob("*.ipxe") if not path.name.startswith("."))
    if not scripts:
        return
    script = MENU if MENU in scripts else scripts[0]
    yield f"  iPXE:  dhcp && chain {server.url(outside)}{script}"
    if address.version == 4 or address.is_unspecified:
        guest = GUEST_SEES if address.is_loopback or address.is_unspecified else server.host
        yield (
            f"  QEMU:  qemu-system-x86_64 -M q35 -m 4G -device virtio-net-pci,netdev=n0,bootindex=0 "
            f"-netdev user,id=n0,bootfile={server.url(guest)}{script}"
        )


def _own_address() -> str:
    """Return this computer's address on the network that leads out, else its name.  Nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # an address that documentation may use: RFC 5737
            return str(probe.getsockname()[0])
        except OSError:
            return os.uname().nodename
