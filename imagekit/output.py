"""Outputs that appear complete or not at all.

Every output is written under a temporary name in its own folder; when all outputs of a run are complete they are
synced and renamed into place.  Whatever ends the run early (an error, SIGINT, a full disk) removes the temporaries.
"""

import contextlib
import errno
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self

from imagekit.errors import OutputError


class OutputFile:
    """A file being written: sequential `write`, or `write_at` an offset in bytes."""

    def __init__(self, path: Path, mode: int) -> None:
        self.path = path
        self._mode = mode
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._fd, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".partial", dir=path.parent)
        except OSError as error:
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

    @contextlib.contextmanager
    def reporting_errors(self) -> Iterator[None]:
        """Turn an OSError inside the block into an OutputError that names this output."""
        try:
            yield
        except OSError as error:
            raise _output_error(self.path, error) from error

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


class Outputs:
    """The outputs of one run, published together when the `with` block ends well.

    with Outputs() as outputs:
        image = outputs.file(Path("x.iso"))
        image.write(...)
    """

    def __init__(self) -> None:
        self._files: list[OutputFile] = []

    def file(self, path: Path, mode: int = 0o644) -> OutputFile:
        """Open an output; `mode` is what it will have, whatever the umask.  Raise OutputError when it can't be made."""
        if path.is_dir():
            raise OutputError("a folder stands where the output should go", where=str(path), hint="name a file")
        output = OutputFile(path, mode)
        self._files.append(output)
        return output

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                for output in self._files:
                    output._finish()  # noqa: SLF001 - one class in two halves
                for output in self._files:
                    output._publish()  # noqa: SLF001
                for folder in {output.path.parent for output in self._files}:
                    _sync_folder(folder)
        finally:
            for output in self._files:
                output._discard()  # noqa: SLF001 - does nothing to one that was published


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
