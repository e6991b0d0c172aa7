"""Outputs that appear complete or not at all.

Every output is written under a temporary name in its own folder; when all outputs of a run are complete they are
synced and renamed into place.  Whatever ends the run early (an error, SIGINT, a full disk) removes the temporaries,
and the folders that were made for them.
"""

import contextlib
import errno
import os
import shutil
import signal
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from imagekit.errors import OutputError

_INTERRUPTS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class OutputFile:
    """A file being written: sequential `write`, or `write_at` an offset in bytes."""

    def __init__(self, path: Path, mode: int) -> None:
        self.path = path
        self._mode = mode
        self._made_folders = _make_folders_above(path)
        try:
            self._fd, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        except OSError as error:
            _remove_empty(self._made_folders)
            raise _output_error(path, error) from error
        self._temporary = Path(name)

    def fileno(self) -> int:
        """Return the descriptor, for copy_file_range and the like."""
        return self._fd

    def write(self, data: bytes | bytearray | memoryview) -> int:
        """Append `data`, all of it; return its length in bytes."""
        view = memoryview(data)
        done = 0
        with self.reporting_errors():
            while done < len(view):
                done += os.write(self._fd, view[done:])
        return done

    def write_at(self, offset: int, data: bytes | bytearray | memoryview) -> None:
        """Write `data`, all of it, at `offset` bytes."""
        view = memoryview(data)
        with self.reporting_errors():
            while view:
                count = os.pwrite(self._fd, view, offset)
                view = view[count:]
                offset += count

    def truncate(self, size: int) -> None:
        """Set the file's size in bytes; what was never written reads as zeros."""
        with self.reporting_errors():
            os.truncate(self._fd, size)

    def reporting_errors(self) -> contextlib.AbstractContextManager[None]:
        """Turn an OSError inside the block into an OutputError that names this output."""
        return _reporting(self.path)

    def _finish(self) -> None:
        with self.reporting_errors():
            os.fchmod(self._fd, self._mode)
            os.fsync(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _publish(self) -> None:
        with self.reporting_errors():
            self._temporary.replace(self.path)

    def _discard(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
        self._temporary.unlink(missing_ok=True)
        _remove_empty(self._made_folders)


class OutputLink:
    """A symbolic link, made or replaced when all else is in place."""

    def __init__(self, path: Path, target: str) -> None:
        self.path = path
        self._target = target

    def _finish(self) -> None:
        """Do nothing: a link is made when it is published."""

    def _publish(self) -> None:
        with (
            _reporting(self.path),
            tempfile.TemporaryDirectory(prefix=f".{self.path.name}.", dir=self.path.parent) as folder,
        ):
            link = Path(folder, "link")
            link.symlink_to(self._target)
            link.replace(self.path)

    def _discard(self) -> None:
        """Do nothing: there is no temporary."""


class OutputFolder:
    """A folder being filled with files; it takes the place of one of the same name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._made_folders = _make_folders_above(path)
        try:
            name = tempfile.mkdtemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        except OSError as error:
            _remove_empty(self._made_folders)
            raise _output_error(path, error) from error
        self._temporary: Path | None = Path(name)
        self._files: list[OutputFile] = []

    def file(self, name: str, mode: int = 0o644) -> OutputFile:
        """Open the file at `name`, a relative path, in the folder; folders above it have mode 0755."""
        path = self.place / name
        with _reporting(self.path):
            for parent in reversed(path.relative_to(self.place).parents):
                (self.place / parent).mkdir(exist_ok=True)
                (self.place / parent).chmod(0o755)
        output = OutputFile(path, mode)
        self._files.append(output)
        return output

    @property
    def place(self) -> Path:
        """Where the folder is until it is published."""
        assert self._temporary is not None
        return self._temporary

    def complete(self, output: OutputFile) -> Path:
        """Finish a file of this folder early; return where it can be read until the folder is published."""
        self._files.remove(output)
        output._finish()  # noqa: SLF001 - one class in two halves
        output._publish()  # noqa: SLF001
        return output.path

    def _finish(self) -> None:
        for output in list(self._files):
            self.complete(output)
        with _reporting(self.path):
            self.place.chmod(0o755)
            for folder, _, _ in os.walk(self.place):
                _sync_folder(Path(folder))

    def _publish(self) -> None:
        with _reporting(self.path):
            if self.path.is_dir() and not self.path.is_symlink():
                old = self.place.with_suffix(".old")
                self.path.rename(old)
                self.place.rename(self.path)
                shutil.rmtree(old, ignore_errors=True)
            else:
                self.place.rename(self.path)
        self._temporary = None

    def _discard(self) -> None:
        for output in self._files:
            output._discard()  # noqa: SLF001
        if self._temporary is not None:
            shutil.rmtree(self._temporary, ignore_errors=True)
        _remove_empty(self._made_folders)


class Outputs:
    """The outputs of one run, published together when the `with` block ends well.

    with Outputs() as outputs:
        image = outputs.file(Path("x.iso"))
        image.write(...)
    """

    def __init__(self) -> None:
        self._all: list[OutputFile | OutputFolder | OutputLink] = []

    def file(self, path: Path, mode: int = 0o644) -> OutputFile:
        """Open an output; `mode` is what it will have, whatever the umask.  Raise OutputError when it can't be made."""
        if path.is_dir():
            raise OutputError("a folder stands where the output should go", where=str(path), hint="name a file")
        output = OutputFile(path, mode)
        self._all.append(output)
        return output

    def folder(self, path: Path) -> OutputFolder:
        """Begin a folder; raise OutputError when it can't be made."""
        if path.exists() and not path.is_dir():
            raise OutputError("a file stands where the output folder should go", where=str(path))
        output = OutputFolder(path)
        self._all.append(output)
        return output

    def link(self, path: Path, target: str) -> None:
        """Make or replace a symbolic link; raise OutputError when something else stands there."""
        if path.exists() and not path.is_symlink():
            raise OutputError("something that is not a link stands where the link should go", where=str(path))
        self._all.append(OutputLink(path, target))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        try:
            if kind is None:
                for output in self._all:
                    output._finish()  # noqa: SLF001 - one class in two halves
                with _undisturbed():
                    for output in self._all:
                        output._publish()  # noqa: SLF001
                    for folder in {output.path.parent for output in self._all}:
                        _sync_folder(folder)
        finally:
            with _undisturbed():
                for output in reversed(self._all):  # the first made the folders above the others
                    output._discard()  # noqa: SLF001 - does nothing to one that was published


@contextlib.contextmanager
def _undisturbed() -> Iterator[None]:
    """Let no signal come between outputs that appear together, nor between temporaries that go.

    An interrupt that comes now comes too late, or has come already.
    """
    if threading.current_thread() is not threading.main_thread():  # only the main thread gets signals
        yield
        return
    handlers = {number: signal.signal(number, signal.SIG_IGN) for number in _INTERRUPTS}
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


@contextlib.contextmanager
def _reporting(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _output_error(path, error) from error


def _make_folders_above(path: Path) -> list[Path]:
    """Make the folders that an output lies in; return those that were not there, the innermost first."""
    made: list[Path] = []
    with _reporting(path):
        for folder in path.parents:
            if folder.exists():
                break
            made.append(folder)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
        except OSError:
            _remove_empty(made)
            raise
    return made


def _remove_empty(folders: list[Path]) -> None:
    """Remove folders that were made for an output, unless something is in them."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def _sync_folder(folder: Path) -> None:
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def _output_error(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    hint = None
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        with contextlib.suppress(OSError):
            free = os.statvfs(path.parent)
            reason = f"no space left: {free.f_bavail * free.f_frsize:,} bytes are free in {path.parent}"
        hint = "free some space, or write elsewhere with -o"
    elif error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        hint = "write elsewhere with -o"
    elif error.errno == errno.EFBIG:
        hint = "the file system there cannot hold a file of this size; write elsewhere with -o"
    return OutputError(f"cannot write: {reason}", where=str(path), hint=hint)
