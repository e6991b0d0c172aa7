"""What is needed of the file system: whole reads and writes, folders made and removed, errors that name the output.

Nothing here calls itself: folders may lie in each other as deep as the system allows.
"""

import contextlib
import errno
import itertools
import os
import stat
import sys
from collections.abc import Iterator, Sequence
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


def kind(status: os.stat_result) -> str:
    """Return "file", "folder", "block device" and so on."""
    return _KINDS.get(stat.S_IFMT(status.st_mode), "special file")


def what_stands_at(path: Path) -> str | None:
    """Return the kind of what is there; None for nothing.  Links are followed."""
    try:
        return kind(path.stat())
    except (FileNotFoundError, NotADirectoryError):
        return None


def missing_folders_above(path: Path) -> list[Path]:
    """Return the folders that an output lies in and that are not there, the innermost first.

    Raise NotADirectoryError where a file is in the way.
    """
    missing: list[Path] = []
    for folder in path.parents:
        if folder.exists():
            if not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
            break
        missing.append(folder)
    return missing


def make_folders_above(path: Path) -> list[Path]:
    """Make the folders that an output lies in; return those that were not there, the innermost first."""
    made: list[Path] = []
    try:
        for folder in reversed(missing_folders_above(path)):
            with contextlib.suppress(FileExistsError):  # somebody else was quicker
                folder.mkdir()
                made.insert(0, folder)
    except OSError:
        remove_empty(made)
        raise
    return made


def remove_empty(folders: Sequence[Path]) -> None:
    """Remove folders that were made for an output, unless something is in them."""
    for folder in folders:
        with contextlib.suppress(OSError):
            folder.rmdir()


def folders_in(top: Path) -> Iterator[tuple[Path, list[str]]]:
    """Yield a folder and each below it, with the names of what else is in it; links are not followed."""
    waiting = [top]
    while waiting:
        folder = waiting.pop()
        others = []
        with os.scandir(folder) as entries:
            for entry in entries:
                if entry.is_dir(follow_symlinks=False):
                    waiting.append(folder / entry.name)
                else:
                    others.append(entry.name)
        yield folder, others


def remove(path: Path) -> list[Path]:
    """Remove a file, or a folder with all that is in it, whatever its modes; return `path` if it is still there."""
    with contextlib.suppress(OSError):
        if path.is_dir() and not path.is_symlink():
            with contextlib.suppress(OSError):
                _empty(path)
            path.rmdir()
        else:
            path.unlink(missing_ok=True)
    return [path] if os.path.lexists(path) else []


def _empty(path: Path) -> None:
    """Remove what is in a folder: those in it are emptied into it, so that neither depth nor length of paths matters.

    All is named by open folders, so that no link that comes in the way leads anywhere else.
    """
    fresh = (f"{os.urandom(8).hex()}-{number}" for number in itertools.count())
    top = _open_folder(path)
    try:
        while _empty_once(top, top, fresh):
            pass
    finally:
        os.close(top)


def _empty_once(folder: int, top: int, fresh: Iterator[str]) -> bool:
    """Remove what is in an open folder; the folders in it are emptied into `top` first, or moved there as they are.

    Return False when nothing could be done.
    """
    with os.scandir(folder) as entries:
        found = list(entries)
    done = False
    for entry in found:
        with contextlib.suppress(OSError):
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.name, dir_fd=folder)
            else:
                inner = _open_folder(entry.name, folder)  # what cannot be written to cannot be moved
                try:
                    if folder == top:
                        done |= _empty_once(inner, top, fresh)
                finally:
                    os.close(inner)
                if folder == top:
                    os.rmdir(entry.name, dir_fd=top)
                else:
                    os.rename(entry.name, next(fresh), src_dir_fd=folder, dst_dir_fd=top)
            done = True
    return done


def _open_folder(name: Path | str, parent: int | None = None) -> int:
    """Open a folder, and let it be read and written to, if it is ours."""
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW
    try:
        fd = os.open(name, flags, dir_fd=parent)
    except PermissionError:
        os.chmod(name, stat.S_IRWXU, dir_fd=parent)
        fd = os.open(name, flags, dir_fd=parent)
    if stat.S_IMODE(os.fstat(fd).st_mode) & stat.S_IRWXU != stat.S_IRWXU:
        with contextlib.suppress(OSError):
            os.fchmod(fd, stat.S_IRWXU)
    return fd


_SWAP = 2
"""RENAME_EXCHANGE of renameat2(2) on Linux (linux/fs.h), RENAME_SWAP of renamex_np(2) on macOS (sys/stdio.h)."""

_AT_FDCWD = -100
"""For renameat2: a path is relative to the current folder (Linux, fcntl.h)."""

_CANNOT_EXCHANGE = {errno.EINVAL, errno.ENOSYS, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EPERM}
"""What a system or a file system says that knows no such call, and a sandbox that allows only calls it knows."""


def exchange(one: Path, two: Path) -> bool:
    """Exchange two files or folders in one step; return False, with nothing done, where the system can't."""
    try:
        import ctypes  # noqa: PLC0415 - rarely needed, and it takes a while
    except ImportError:  # Python can be built without it
        return False
    system = ctypes.CDLL(None, use_errno=True)
    names = [os.fsencode(one), os.fsencode(two)]
    try:
        if sys.platform == "darwin":
            failed = system.renamex_np(*names, ctypes.c_uint(_SWAP))
        else:
            failed = system.renameat2(_AT_FDCWD, names[0], _AT_FDCWD, names[1], ctypes.c_uint(_SWAP))
    except AttributeError:  # no such call
        return False
    if failed:
        number = ctypes.get_errno()
        if number in _CANNOT_EXCHANGE:
            return False
        raise OSError(number, os.strerror(number), str(one), None, str(two))
    return True


def sync_file(path: Path) -> None:
    """Make what is in a file safe from a crash of the system; links and the like have nothing in them."""
    if path.is_symlink() or not path.is_file():
        return
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except PermissionError:  # its mode lets nobody read it: then the system writes it in its own time
        return
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


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
