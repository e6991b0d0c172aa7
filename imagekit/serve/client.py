"""One client's connection: requests are read within limits of time and size, answers go out; h11 keeps the protocol."""

import re
import socket
import time
from collections.abc import Iterator
from http import HTTPStatus
from typing import BinaryIO

import h11

REQUEST_SECONDS = 30.0
"""How long a request may take to arrive, and how long a connection may be idle before it."""

REQUEST_SIZE = 64 * 1024
"""Bytes that a request and its headers may have."""

MOST_HEADERS = 100

SEND_SECONDS = 60.0
"""How long a client may take nothing of what is sent to it."""

_PIECE = 16 << 20  # bytes given to sendfile at once
_FOLDED = re.compile(rb"\n[ \t]")  # a header that goes on in a second line: RFC 9112, 5.2


class BadRequestError(Exception):
    """What came is no request that is answered; `status` is the HTTP status that says why."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


class _Length:
    """Stands for bytes that h11 counts, and that the kernel sends."""

    def __init__(self, length: int) -> None:
        self._length = length

    def __len__(self) -> int:
        return self._length


class Client:
    """A connection to a client; `request_line` is the first line of what it sent last, as it came."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        # Else a small file waits for the client's receipt of its headers.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)
        connection.settimeout(SEND_SECONDS)
        self._protocol = h11.Connection(h11.SERVER, max_incomplete_event_size=REQUEST_SIZE)
        self._received = bytearray()

    @property
    def request_line(self) -> bytes:
        """The first line of the request, as far as it came."""
        return bytes(self._received[:REQUEST_SIZE]).lstrip(b"\r\n").partition(b"\n")[0].rstrip(b"\r")

    def request(self) -> h11.Request | None:
        """Return the next request, None when the client has ended; raise BadRequestError, or OSError as sockets do."""
        if self._protocol.our_state is h11.DONE:
            self._received = bytearray(self._protocol.trailing_data[0])
            self._protocol.start_next_cycle()
        if self._protocol.our_state is not h11.IDLE:
            return None
        # Slow clients are given up by the time of a whole request, not of each of its bytes.
        give_up = time.monotonic() + REQUEST_SECONDS
        try:
            while (event := self._protocol.next_event()) is h11.NEED_DATA:
                self._receive(give_up)
            if not isinstance(event, h11.Request):
                return None
            self._check(event)
            self._protocol.next_event()  # its end, unless it has a body
        except h11.RemoteProtocolError as error:
            raise BadRequestError(error.error_status_hint) from error
        return event

    def _receive(self, give_up: float) -> None:
        seconds = give_up - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        self._socket.settimeout(seconds)
        try:
            data = self._socket.recv(REQUEST_SIZE)
        finally:
            self._socket.settimeout(SEND_SECONDS)
        self._received += data
        self._protocol.receive_data(data)

    def _check(self, request: h11.Request) -> None:
        """Refuse what h11 lets pass."""
        behind = len(self._protocol.trailing_data[0])
        head = self._received[: len(self._received) - behind]
        if _FOLDED.search(head):
            raise BadRequestError(HTTPStatus.BAD_REQUEST)
        if len(request.headers) > MOST_HEADERS:
            raise BadRequestError(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        if not request.http_version.startswith(b"1."):
            raise BadRequestError(HTTPStatus.HTTP_VERSION_NOT_SUPPORTED)

    def send_head(self, status: HTTPStatus, headers: list[tuple[str, str]]) -> None:
        """Send the status line and the headers."""
        if self._protocol.their_state is not h11.DONE:  # a body is not read, and must not become the next request
            headers = [*headers, ("Connection", "close")]
        response = h11.Response(status_code=status, headers=headers, reason=status.phrase)
        self._socket.sendall(self._protocol.send(response) or b"")

    def send(self, data: bytes) -> None:
        """Send a part of what the headers promised."""
        self._socket.sendall(self._protocol.send(h11.Data(data=data)) or b"")

    def send_file(self, file: BinaryIO, offset: int, length: int) -> Iterator[int]:
        """Send `length` bytes of a file from `offset` on, by the kernel; yield how many went out each time."""
        self._protocol.send_with_data_passthrough(h11.Data(data=_Length(length)))  # type: ignore[arg-type]
        end = offset + length
        while offset < end:
            count = self._socket.sendfile(file, offset, min(end - offset, _PIECE))
            if not count:  # the file became shorter, and the length was promised
                self._protocol.send_failed()
                return
            offset += count
            yield count

    def end_answer(self) -> None:
        """End an answer, whole or not."""
        if self._protocol.our_state is h11.SEND_BODY:
            self._socket.sendall(self._protocol.send(h11.EndOfMessage()) or b"")
