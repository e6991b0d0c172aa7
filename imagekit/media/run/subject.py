"""What is to be booted: a disk image, a CD image or a PXE directory, told by what is in it, not by its name."""

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from imagekit import disk
from imagekit.boot.console import DEVICES
from imagekit.content import Content, DiskFile
from imagekit.errors import ImagekitError, InputError, OutputError
from imagekit.formats import detect, gzip
from imagekit.media.pxe.catalog import INDEX
from imagekit.media.pxe.index import parse_catalog, read_index
from imagekit.progress import progress_bar
from imagekit.tree import File

_LARGEST_SETTINGS = 64 * 1024  # bytes of a loader.conf
_OS_CONSOLE = re.compile(rb"""^\s*os_console\s*=\s*["']?([a-z]+)""", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be booted: `kind` is usb (a partitioned disk), cd or pxe, or "" when a file is neither.

    `path` is the image itself, inflated, or the folder; `console` is the one that it was made for, where it says so.
    """

    kind: str
    path: Path
    console: str | None = None


@contextlib.contextmanager
def opened(path: Path, folder: Path) -> Iterator[Subject]:
    """Yield what `path` is; a gzip file is inflated into `folder`, and removed in the end.

    Raise InputError when there is nothing, FormatError when a compressed file is damaged, and OutputError when
    `folder` cannot hold what is in it.
    """
    if path.is_dir():
        folder_path = path.resolve()
        yield Subject("pxe", folder_path, _console_of_folder(folder_path))
        return
    if not path.is_file():
        found = "neither a file nor a folder" if path.exists() else "no such file or folder"
        raise InputError(f"cannot boot: {found}", where=str(path))
    content = DiskFile(path)
    if not gzip.is_gzip(content):
        yield _image(content, path)
        return
    with _Inflated(folder / "image") as copy:
        with progress_bar(f"inflating {path.name}", content.size) as progress:
            gzip.inflate(content, copy, progress=progress)
        yield _image(DiskFile(copy.path), copy.path)


class _Inflated:
    """A sparse file that is gone at the end of the `with` block."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> Self:
        with self._reporting():
            self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        return self

    def __exit__(self, *_error: object) -> None:
        os.close(self._fd)
        self.path.unlink()

    @contextlib.contextmanager
    def _reporting(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise OutputError(
                f"cannot inflate the image: {error.strerror}",
                where=str(self.path),
                hint="set TMPDIR to a folder with more space, or inflate the image first",
            ) from error

    def write_at(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        with self._reporting():
            disk.write_at(self._fd, offset, data)

    def truncate(self, size: int) -> None:
        with self._reporting():
            os.truncate(self._fd, size)


_KINDS = {"iso": "cd", "gpt": "usb"}


def _image(content: Content, path: Path) -> Subject:
    kind = _KINDS.get(detect.kind_of(content) or "")
    return Subject(kind, path, _console(content)) if kind else Subject("", path)


def _console(content: Content) -> str | None:
    """Return the console that the image's loader.conf names, when there is one and it can be read.

    A damaged image is no reason to complain here: that it does not boot may be what is to be seen.
    """
    with contextlib.suppress(ImagekitError):
        settings = detect.open_tree(content).get("boot/loader.conf")
        if isinstance(settings, File) and settings.content.size <= _LARGEST_SETTINGS:
            named = _OS_CONSOLE.findall(settings.content.read())
            if named and named[-1].decode() in DEVICES:
                return str(named[-1].decode())
    return None


def _console_of_folder(folder: Path) -> str | None:
    """Return the console that a PXE directory's index names, when there is one and it can be read."""
    with contextlib.suppress(OSError, ImagekitError):
        index = read_index(folder)
        if index is not None:
            return parse_catalog(index, str(folder / INDEX)).console.device
    return None
