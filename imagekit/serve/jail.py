"""What a request may name: regular files and folders inside the served folder, and nothing else.

The target of a request becomes a list of names; the path that they make is resolved, and then opened name by name
from the served folder on, without following any link.  So a link may lead to another place inside the folder, and
nothing that is changed between the two steps leads outside.
"""

import errno
import os
import re
import stat
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from urllib.parse import unquote_to_bytes

_ABSOLUTE = re.compile(r"https?://[^/?#]*", re.IGNORECASE)  # the form that proxies are asked in: RFC 9112, 3.2.2
_LONGEST = 8192  # characters; more than any path's, escapes included, that a kernel takes
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_ABSENT = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG, errno.ENXIO}


class RefusedError(Exception):
    """A request that gets nothing; `status` is the HTTP status that says why."""

    def __init__(self, status: HTTPStatus) -> None:
        super().__init__(status.phrase)
        self.status = status


@dataclass(frozen=True, slots=True)
class Target:
    """What a request names: the names from the served folder on, and whether it ended in a slash."""

    names: Sequence[bytes]
    is_folder: bool

    @classmethod
    def parse(cls, text: str) -> "Target":
        """Read a request's target; raise RefusedError when it is none, or leaves the folder.

        Empty names and "." are skipped, since `${base}/os` often begins with two slashes; ".." is refused: clients
        resolve it before they ask.
        """
        if len(text) > _LONGEST:
            raise RefusedError(HTTPStatus.REQUEST_URI_TOO_LONG)
        path = _ABSOLUTE.sub("", text, count=1) if _ABSOLUTE.match(text) else text
        path = path.partition("?")[0] or "/"
        if not path.startswith("/") or "#" in path or _BAD_ESCAPE.search(path):
            raise RefusedError(HTTPStatus.BAD_REQUEST)
        parts = path.split("/")
        names = [name for part in parts if (name := unquote_to_bytes(part.encode("latin-1"))) not in {b"", b"."}]
        if any(b"\0" in name for name in names):
            raise RefusedError(HTTPStatus.BAD_REQUEST)
        if any(name == b".." or b"/" in name for name in names):
            raise RefusedError(HTTPStatus.NOT_FOUND)
        return cls(names, unquote_to_bytes(parts[-1]) in {b"", b"."})


@dataclass(frozen=True, slots=True)
class Jail:
    """The served folder."""

    folder: Path

    def open(self, names: Sequence[bytes]) -> tuple[int, os.stat_result]:
        """Return a descriptor of the regular file or folder at `names`, and its status.

        Raise RefusedError for what is not there, not inside, or neither.
        """
        try:
            return self._open(names)
        except OSError as error:
            if error.errno in _ABSENT:
                raise RefusedError(HTTPStatus.NOT_FOUND) from error
            if error.errno in {errno.EACCES, errno.EPERM}:
                raise RefusedError(HTTPStatus.FORBIDDEN) from error
            if error.errno in {errno.EMFILE, errno.ENFILE}:
                raise RefusedError(HTTPStatus.SERVICE_UNAVAILABLE) from error
            raise RefusedError(HTTPStatus.INTERNAL_SERVER_ERROR) from error

    def _open(self, names: Sequence[bytes]) -> tuple[int, os.stat_result]:
        # Resolved for every request: the folder may be replaced by a new one of its name meanwhile.
        top = os.path.realpath(os.fsencode(self.folder))
        path = os.path.realpath(b"/".join([top, *names]))
        if path != top and not path.startswith(top.rstrip(b"/") + b"/"):
            raise RefusedError(HTTPStatus.NOT_FOUND)
        inner = [name for name in path[len(top) :].split(b"/") if name]
        held = os.open(top, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            for name in inner:
                next_held = _open_in(held, name)
                os.close(held)
                held = next_held
            status = os.fstat(held)
            _check_kind(status)
        except BaseException:
            os.close(held)
            raise
        return held, status


def _open_in(folder: int, name: bytes) -> int:
    # Looked at before it is opened, since opening a device can have effects; and opened so that a fifo, which took
    # the place of what was looked at, does not block.
    _check_kind(os.stat(name, dir_fd=folder, follow_symlinks=False))
    flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
    return os.open(name, flags, dir_fd=folder)


def _check_kind(status: os.stat_result) -> None:
    if not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode)):
        raise RefusedError(HTTPStatus.NOT_FOUND)
