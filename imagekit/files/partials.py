"""Partial outputs: temporaries beside what they become, locked, so that the next run knows what a killed one left.

The lock (flock) lies on the temporary itself, and the kernel releases it when the process is gone, however it ended.
Where a file system knows no locks, nothing is ever taken for left behind.
"""

import contextlib
import errno
import fcntl
import os
import re
import tempfile
from collections.abc import Iterator
from pathlib import Path

from imagekit import disk

_LONGEST_PREFIX = 50
"""Characters of a name that begin its temporary's: names may have 255 bytes, characters up to four."""

PARTIAL, OLD = ".partial", ".old"
"""Ends of names: of what is being made, and of what is moved away for the new one."""

_NAME = re.compile(r"\.(.{1,50})\.[a-z0-9_]{8}\.(partial|old)", re.DOTALL)


def make_file(target: Path) -> tuple[int, Path]:
    """Make the temporary of the file `target`, beside it; return its descriptor, which holds the lock, and its path."""
    while True:
        fd, name = tempfile.mkstemp(prefix=_prefix(target), suffix=PARTIAL, dir=target.parent)
        try:
            if _is_ours(fd, name):
                return fd, Path(name)
        except OSError:
            os.unlink(name)  # noqa: PTH108 - as it was given
            os.close(fd)
            raise
        os.close(fd)


def make_folder(target: Path) -> tuple[int, Path]:
    """Make the temporary of the folder (or link) `target`, beside it; return as for a file.  Its mode is 0700."""
    while True:
        name = tempfile.mkdtemp(prefix=_prefix(target), suffix=PARTIAL, dir=target.parent)
        fd = -1
        try:
            fd = os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
            if _is_ours(fd, name):
                return fd, Path(name)
            os.close(fd)
        except FileNotFoundError:  # another run took it for left behind, before it was locked
            pass
        except OSError:
            os.rmdir(name)  # noqa: PTH106 - as it was given
            if fd >= 0:
                os.close(fd)
            raise


def hold(folder: Path) -> int | None:
    """Lock a folder that is about to be moved away; return the descriptor that holds it, None where that can't be."""
    try:
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    if _lock(fd):
        return fd
    os.close(fd)
    return None


def left_in(folder: Path) -> list[Path]:
    """Return what may be temporaries in a folder, by their names."""
    try:
        return [folder / name for name in os.listdir(folder) if _NAME.fullmatch(name)]  # noqa: PTH208 - far quicker
    except OSError:
        return []


def belongs_to(temporary: Path, target: Path) -> bool:
    """Tell whether this is a temporary's name for `target`."""
    match = _NAME.fullmatch(temporary.name)
    return match is not None and match[1] == target.name[:_LONGEST_PREFIX]


def clear(temporary: Path, target: Path | None = None) -> str | None:
    """Remove a temporary that no process holds; return what was done, in words, or None.

    What had been moved away from `target`, and nothing has come in its place, is put back instead.
    """
    try:
        with _unheld(temporary):
            if target is not None and temporary.suffix == OLD and not os.path.lexists(target):
                temporary.rename(target)
                return f"put back what an earlier run had moved away: {target}"
            return None if disk.remove(temporary) else f"removed what an earlier run left: {temporary}"
    except OSError:  # somebody holds it, or it is not ours to touch
        return None


def release(fd: int | None) -> None:
    """Close the descriptor that holds a lock, if there is one."""
    if fd is not None and fd >= 0:
        with contextlib.suppress(OSError):
            os.close(fd)


@contextlib.contextmanager
def _unheld(path: Path) -> Iterator[None]:
    """Lock what stands at `path` during the block; raise OSError when it is locked, or not a file nor a folder."""
    found = os.lstat(path)
    if disk.kind(found) not in {"file", "folder"}:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
    fd = _open(path)
    try:
        if not _lock(fd) or not _is_at(fd, path):
            raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN))
        yield
    finally:
        os.close(fd)


def _open(path: Path) -> int:
    flags = os.O_NOFOLLOW | os.O_NONBLOCK
    try:
        return os.open(path, os.O_RDWR | flags)  # NFS gives locks to writers only
    except (IsADirectoryError, PermissionError):
        return os.open(path, os.O_RDONLY | flags)


def _is_ours(fd: int, name: str) -> bool:
    """Lock a new temporary; return False when another run was quicker, which removes it then."""
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # no locks here
        return True
    return _is_at(fd, name)


def _lock(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True


def _is_at(fd: int, path: Path | str) -> bool:
    try:
        return os.path.samestat(os.fstat(fd), os.lstat(path))
    except FileNotFoundError:
        return False


def _prefix(target: Path) -> str:
    return f".{target.name[:_LONGEST_PREFIX]}."
