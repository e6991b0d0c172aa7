"""One connection of the HTTP server: requests are read within limits of time and size, files go out with sendfile."""

import email.utils
import html
import http.server
import io
import os
import stat
import sys
import time
from http import HTTPStatus
from pathlib import Path
from socketserver import BaseServer
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from imagekit.media.serve.jail import Jail, RefusedError, Target
from imagekit.media.serve.ranges import UnsatisfiableError, parse

if TYPE_CHECKING:
    import socket

REQUEST_SECONDS = 30.0
"""How long a request may take to arrive, and how long a connection may be idle before it."""

REQUEST_SIZE = 64 * 1024
"""Bytes that a request and its headers may have."""

SEND_SECONDS = 60.0
"""How long a client may take nothing of what is sent to it."""

_PIECE = 16 << 20  # bytes given to sendfile at once

_TYPES = {  # suffix: type; the host's own table would make this differ from host to host
    ".html": "text/html; charset=utf-8",
    ".ipxe": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}


class _TooLargeError(Exception):
    """A request has more bytes than REQUEST_SIZE."""


class _Requests(io.RawIOBase):
    """What a client sends.  Slow clients are given up by the time of a whole request, not of each of its bytes."""

    def __init__(self, connection: "socket.socket") -> None:
        self._connection = connection
        self.begin()

    def begin(self) -> None:
        """Start the limits anew, for the next request."""
        self._give_up = time.monotonic() + REQUEST_SECONDS
        self._left = REQUEST_SIZE

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        seconds = self._give_up - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        self._connection.settimeout(seconds)
        try:
            count = self._connection.recv_into(buffer)
        finally:
            self._connection.settimeout(SEND_SECONDS)
        self._left -= count
        if self._left < 0:
            raise _TooLargeError
        return count


class Handler(http.server.BaseHTTPRequestHandler):
    """Answers GET and HEAD for what is in the server's jail."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else a small file waits for the client's receipt of its headers
    jail: Jail

    def __init__(self, request: Any, client_address: Any, server: BaseServer, jail: Jail) -> None:
        self.jail = jail
        self.command = ""
        self.requestline = ""
        self.request_version = self.protocol_version
        self._status = 0
        self._promised = 0
        self._sent = 0
        super().__init__(request, client_address, server)

    def setup(self) -> None:
        """Put limits on what is read."""
        super().setup()
        self.rfile.close()
        self._requests = _Requests(self.connection)
        self.connection.settimeout(SEND_SECONDS)
        self.rfile = io.BufferedReader(self._requests)

    def handle_one_request(self) -> None:
        """Answer a request, and log a line; a client that has gone or sends nothing is no error."""
        self._requests.begin()
        self.command, self.requestline = "", ""
        self._status = self._promised = self._sent = 0
        try:
            super().handle_one_request()
        except _TooLargeError:
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
        except OSError:
            self.close_connection = True
        if self._status:
            self._log()

    def parse_request(self) -> bool:
        """Read the request; refuse what no client of HTTP/1.0 or 1.1 sends."""
        if not super().parse_request():
            return False
        if self.request_version == "HTTP/0.9":
            self.send_error(HTTPStatus.BAD_REQUEST)
            return False
        if self.request_version == "HTTP/1.1" and len(self.headers.get_all("Host", ())) != 1:
            self.send_error(HTTPStatus.BAD_REQUEST)
            return False
        if self.command not in {"GET", "HEAD"}:
            self.send_error(HTTPStatus.METHOD_NOT_ALLOWED)
            return False
        if "Content-Length" in self.headers or "Transfer-Encoding" in self.headers:
            self.close_connection = True  # a body is not read, and must not be taken for the next request
        return True

    def do_GET(self) -> None:
        """Send a file, a part of one, or the list of what is in a folder."""
        try:
            target = Target.parse(self.path)
            descriptor, status = self.jail.open(target.names)
        except RefusedError as error:
            self.send_error(error.status)
            return
        try:
            if not stat.S_ISDIR(status.st_mode):
                if target.is_folder:
                    self.send_error(HTTPStatus.NOT_FOUND)
                else:
                    self._send_file(target, descriptor, status)
            elif target.is_folder or not target.names:
                self._send_listing(target, descriptor)
            else:
                # From its names, not from the request: one that began with two slashes would name another host.
                self._send_text(HTTPStatus.MOVED_PERMANENTLY, "", {"Location": f"{_path(target)}/"})
        finally:
            os.close(descriptor)

    def do_HEAD(self) -> None:
        """Send what GET would send before the content."""
        self.do_GET()

    def _send_file(self, target: Target, descriptor: int, status: os.stat_result) -> None:
        size = status.st_size
        tag = f'"{size:x}-{status.st_mtime_ns:x}"'
        modified = email.utils.formatdate(status.st_mtime, usegmt=True)
        wanted = None
        if self.command == "GET" and "Range" in self.headers and self.headers.get("If-Range", tag) in {tag, modified}:
            try:
                wanted = parse(self.headers["Range"], size)
            except UnsatisfiableError:
                self.send_error(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, more={"Content-Range": f"bytes */{size}"})
                return
        offset, length = wanted or (0, size)
        self.send_response(HTTPStatus.PARTIAL_CONTENT if wanted else HTTPStatus.OK)
        suffix = Path(os.fsdecode(target.names[-1])).suffix
        self.send_header("Content-Type", _TYPES.get(suffix, "application/octet-stream"))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Content-Length", str(length))
        if wanted:
            self.send_header("Content-Range", f"bytes {offset}-{offset + length - 1}/{size}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Last-Modified", modified)
        self.send_header("ETag", tag)
        self.end_headers()
        if self.command == "GET":
            self._send_part(descriptor, offset, length)

    def _send_part(self, descriptor: int, offset: int, length: int) -> None:
        self._promised = length
        with open(descriptor, "rb", buffering=0, closefd=False) as file:
            while self._sent < length:
                count = self.connection.sendfile(file, offset + self._sent, min(length - self._sent, _PIECE))
                if not count:  # the file became shorter, and the length was promised
                    self.close_connection = True
                    return
                self._sent += count

    def _send_listing(self, target: Target, descriptor: int) -> None:
        title = html.escape(f"{_path(target)}/".replace("//", "/"))
        with os.scandir(descriptor) as entries:
            rows = "".join(_row(one) for one in sorted(entries, key=lambda one: one.name))
        page = f'<!DOCTYPE html>\n<meta charset="utf-8">\n<title>{title}</title>\n<table>\n{rows}</table>\n'
        self._send_text(HTTPStatus.OK, page, {"Content-Type": _TYPES[".html"]})

    def _send_text(self, status: HTTPStatus, text: str, headers: dict[str, str]) -> None:
        data = text.encode("utf-8", "replace")
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if self.command != "HEAD":
            self._promised = len(data)
            self.wfile.write(data)
            self._sent = len(data)

    def send_error(
        self, code: int, message: str | None = None, explain: str | None = None, more: dict[str, str] | None = None
    ) -> None:
        """Answer with a status and its usual phrase; nothing of the request is repeated."""
        del message, explain
        self.request_version = self.protocol_version  # HTTP/0.9, as it is until a version is read, has no headers
        status = HTTPStatus(code)
        headers = {"Content-Type": _TYPES[".txt"], **(more or {})}
        if status == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = "GET, HEAD"
        if status not in {HTTPStatus.NOT_FOUND, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}:
            headers["Connection"] = "close"  # which also ends the connection here
        self._send_text(status, f"{status.value} {status.phrase}\n", headers)

    def version_string(self) -> str:
        """Return what the Server header says."""
        return "imagekit"

    def log_request(self, code: int | str = "-", size: int | str = "-") -> None:
        """Keep the status for the line that is logged when the request is done."""
        del size
        self._status = int(code)

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the name is the base class's
        """Log nothing but requests."""
        del format, args

    def _log(self) -> None:
        line = "".join(c if c.isprintable() and c.isascii() else f"\\x{ord(c):02x}" for c in self.requestline[:1000])
        client = self.client_address[0]
        done = (
            f"{self._sent:,} bytes" if self._sent == self._promised else f"{self._sent:,} of {self._promised:,} bytes"
        )
        print(f'imagekit: {client} "{line}" {self._status} {done}', file=sys.stderr, flush=True)  # noqa: T201


def _path(target: Target) -> str:
    return "/" + "/".join(quote(name) for name in target.names)


def _row(entry: os.DirEntry[str]) -> str:
    """Return an entry's row of the list; nothing for what is hidden, never sent, or gone meanwhile."""
    try:
        status = entry.stat(follow_symlinks=False)
    except OSError:
        return ""
    kind = stat.S_IFMT(status.st_mode)
    if entry.name.startswith(".") or kind not in {stat.S_IFDIR, stat.S_IFREG, stat.S_IFLNK}:
        return ""
    name = entry.name + ("/" if kind == stat.S_IFDIR else "")
    size = f"{status.st_size:,}" if kind == stat.S_IFREG else ""
    link = quote(os.fsencode(name))
    return f'<tr><td><a href="./{link}">{html.escape(name)}</a></td><td align="right">{size}</td></tr>\n'
