"""What a client of the HTTP server gets: files, parts of files and lists of folders, and a line in the log."""

import email.utils
import html
import os
import stat
from http import HTTPStatus
from pathlib import Path
from socketserver import BaseRequestHandler, BaseServer
from typing import Any
from urllib.parse import quote

import h11

from imagekit.progress import Say
from imagekit.serve.client import BadRequestError, Client
from imagekit.serve.jail import Jail, RefusedError, Target
from imagekit.serve.ranges import UnsatisfiableError, parse

_TYPES = {  # suffix: type; the host's own table would make this differ from host to host
    ".html": "text/html; charset=utf-8",
    ".ipxe": "text/plain; charset=utf-8",
    ".json": "application/json",
    ".txt": "text/plain; charset=utf-8",
}


class Handler(BaseRequestHandler):
    """Answers a client's GET and HEAD for what is in the server's jail."""

    def __init__(self, request: Any, client_address: Any, server: BaseServer, jail: Jail, say: Say) -> None:
        self._jail = jail
        self._say = say
        super().__init__(request, client_address, server)

    def handle(self) -> None:
        """Answer one request after the other; a client that has gone or sends nothing is no error."""
        try:
            client = Client(self.request)
            while _Answer(client, self._jail, self._say).give(self.client_address[0]):
                pass
        except OSError:
            pass


class _Answer:
    """The answer to one request, and how much of it was sent."""

    def __init__(self, client: Client, jail: Jail, say: Say) -> None:
        self._client = client
        self._say = say
        self._jail = jail
        self._headers: dict[bytes, bytes] = {}
        self._with_content = True
        self._status: HTTPStatus | None = None
        self._promised = 0
        self._sent = 0

    def give(self, client_name: str) -> bool:
        """Read the request, answer and log it; return whether there may be another."""
        try:
            request = self._client.request()
            if request is None:
                return False
            self._headers = dict(request.headers)
            self._with_content = request.method != b"HEAD"
            self._answer(request)
            self._client.end_answer()
        except BadRequestError as error:
            self._refuse(HTTPStatus(error.status))
            return False
        finally:
            if self._status is not None:
                self._log(client_name, self._status)
        return True

    def _answer(self, request: h11.Request) -> None:
        if request.method not in {b"GET", b"HEAD"}:
            self._refuse(HTTPStatus.METHOD_NOT_ALLOWED, ("Allow", "GET, HEAD"))
            return
        try:
            target = Target.parse(request.target.decode("ascii"))
            descriptor, status = self._jail.open(target.names)
        except RefusedError as error:
            self._refuse(error.status)
            return
        try:
            if not stat.S_ISDIR(status.st_mode):
                if target.is_folder:
                    self._refuse(HTTPStatus.NOT_FOUND)
                else:
                    self._send_file(target, descriptor, status)
            elif target.is_folder or not target.names:
                self._send_listing(target, descriptor)
            else:
                # From its names, not from the request: one that began with two slashes would name another host.
                self._send_text(HTTPStatus.MOVED_PERMANENTLY, "", ("Location", f"{_path(target)}/"))
        finally:
            os.close(descriptor)

    def _send_file(self, target: Target, descriptor: int, status: os.stat_result) -> None:
        size = status.st_size
        tag = f'"{size:x}-{status.st_mtime_ns:x}"'
        modified = email.utils.formatdate(status.st_mtime, usegmt=True)
        try:
            wanted = parse(self._range(tag, modified), size)
        except UnsatisfiableError:
            self._refuse(HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE, ("Content-Range", f"bytes */{size}"))
            return
        offset, length = wanted or (0, size)
        suffix = Path(os.fsdecode(target.names[-1])).suffix
        headers = [
            ("Content-Type", _TYPES.get(suffix, "application/octet-stream")),
            ("X-Content-Type-Options", "nosniff"),
            ("Accept-Ranges", "bytes"),
            ("Last-Modified", modified),
            ("ETag", tag),
        ]
        if wanted:
            headers.append(("Content-Range", f"bytes {offset}-{offset + length - 1}/{size}"))
        self._send_head(HTTPStatus.PARTIAL_CONTENT if wanted else HTTPStatus.OK, length, *headers)
        if self._with_content and length:
            with open(descriptor, "rb", buffering=0, closefd=False) as file:
                for count in self._client.send_file(file, offset, length):
                    self._sent += count

    def _range(self, tag: str, modified: str) -> str:
        """Return the Range header where it counts: of a GET, and of a file that did not change meanwhile."""
        unchanged = self._headers.get(b"if-range", tag.encode()) in {tag.encode(), modified.encode()}
        return self._headers.get(b"range", b"").decode("latin-1") if self._with_content and unchanged else ""

    def _send_listing(self, target: Target, descriptor: int) -> None:
        title = html.escape(f"{_path(target)}/".replace("//", "/"))
        with os.scandir(descriptor) as entries:
            rows = "".join(_row(one) for one in sorted(entries, key=lambda one: one.name))
        page = f'<!DOCTYPE html>\n<meta charset="utf-8">\n<title>{title}</title>\n<table>\n{rows}</table>\n'
        self._send_text(HTTPStatus.OK, page, ("Content-Type", _TYPES[".html"]))

    def _refuse(self, status: HTTPStatus, *headers: tuple[str, str]) -> None:
        """Answer with a status and its usual phrase; nothing of the request is repeated."""
        more = [("Content-Type", _TYPES[".txt"]), *headers]
        if status not in {HTTPStatus.NOT_FOUND, HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE}:
            more.append(("Connection", "close"))
        self._send_text(status, f"{status.value} {status.phrase}\n", *more)

    def _send_text(self, status: HTTPStatus, text: str, *headers: tuple[str, str]) -> None:
        data = text.encode("utf-8", "replace")
        self._send_head(status, len(data), *headers)
        if self._with_content:
            self._client.send(data)
            self._sent = len(data)

    def _send_head(self, status: HTTPStatus, length: int, *headers: tuple[str, str]) -> None:
        self._status = status
        self._promised = length if self._with_content else 0
        general = [
            ("Server", "imagekit"),
            ("Date", email.utils.formatdate(usegmt=True)),
            ("Content-Length", str(length)),
        ]
        self._client.send_head(status, [*general, *headers])

    def _log(self, client_name: str, status: HTTPStatus) -> None:
        line = "".join(
            chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}" for byte in self._client.request_line[:1000]
        )
        done = (
            f"{self._sent:,} bytes" if self._sent == self._promised else f"{self._sent:,} of {self._promised:,} bytes"
        )
        self._say(f'{client_name} "{line}" {status.value} {done}')


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
