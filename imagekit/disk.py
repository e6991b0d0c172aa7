"""What is needed of the file system: whole reads and writes, folders made and removed, errors that name the output."""

import contextlib
import errno
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

from imagekit.errors import OutputError

_KINDS = {
    stat.S_IFREG: "file",
    stat.S_IFDIR: "folder",
    stat.S_IFBLK: "block device",
    stat.S_IFCHR: "character device",
    stat.S_IFIFO: "fifo",
    stat.S_IFSOCK: "socket",
}


def read_at(fd: int, offset: int, buffer: memoryview) -> int:
    """Fill `buffer` from `offset` bytes on; return how many bytes there were, fewer only at the end of the file."""
    done = 0
    while done < len(buffer):
        count = os.preadv(fd, [buffer[done:]], offset + done)
        if count == 0:
            break
        done += count
    return done


def write_at(fd: int, offset: int, data: bytes | bytearray | memoryview) -> None:
    """Write `data`, all of it, at `offset` bytes."""
    view = memoryview(data)
    done = 0
    while done < len(view):
        done += os.pwrite(fd, view[done:], offset + done)


def what_stands_at(path: Path) -> str | None:
    """Return "file", "folder", "block device" and so on; None for nothing.  Links are followed."""
    try:
        return _KINDS.get(stat.S_IFMT(path.stat().st_mode), "special file")
    except (FileNotFoundError, NotADirectoryError):
        return None


def make_folders_above(path: Path) -> list[Path]:
    """Make the folders that an output lies in; return those that were not there, the innermost first."""
    made: list[Path] = []
    for folder in path.parents:
        if folder.exists():
            if not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
            break
        made.append(folder)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError:
        remove_empty(made)
        raise
    return made


def remove_empty(folders: list[Path]) -> None:
    """Remove folders that were made for an output, unless something is in them."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def remove(path: Path) -> list[Path]:
    """Remove a file, or a folder with all that is in it, whatever its modes; return `path` if it is still there."""
    with contextlib.suppress(OSError):
        if _is_folder(path):
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
        if _is_folder(path):  # one that is read-only, or has such folders in it, and this is not root
            path.chmod(0o700)
            for place, names, _ in os.walk(path):
                for folder in (Path(place, name) for name in names):
                    if _is_folder(folder):
                        folder.chmod(0o700)
            shutil.rmtree(path, ignore_errors=True)
    return [path] if os.path.lexists(path) else []


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def sync_folder(folder: Path) -> None:
    """Make the names in a folder safe from a crash of the system."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except PermissionError:  # it may be written to, but not read: then the system writes it in its own time
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


@contextlib.contextmanager
def reporting_errors(path: Path) -> Iterator[None]:
    """Turn the errors of writing inside the block into an OutputError that names `path`.

    A ValueError or OverflowError is one too: a name or a time, from an image, that the system does not take.
    """
    try:
        yield
    except OSError as error:
        raise _output_error(path, error) from error
    except (ValueError, OverflowError) as error:
        raise OutputError(f"cannot write: {error}", where=str(path)) from error


def _output_error(path: Path, error: OSError) -> OutputError:
    reason = error.strerror or str(error)
    hint = None
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        with contextlib.suppress(OSError):
            # An output in a folder that is being made lies under another name as yet.
            folder = next(parent for parent in path.absolute().parents if parent.is_dir())
            free = os.statvfs(folder)
            reason = f"no space left: {free.f_bavail * free.f_frsize:,} bytes are free in {folder}"
        hint = "free some space, or write elsewhere"
    elif error.errno in {errno.EACCES, errno.EPERM, errno.EROFS}:
        hint = "write elsewhere"
    elif error.errno == errno.EFBIG:
        hint = "the file system there cannot hold a file of this size; write elsewhere"
    return OutputError(f"cannot write: {reason}", where=str(path), hint=hint)
