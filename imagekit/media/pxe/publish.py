"""Putting files into a PXE directory that clients boot from meanwhile: all new ones first, then the menu by rename."""

import contextlib
import errno
import fcntl
import os
import struct
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from imagekit.boot.places import BOOT
from imagekit.content import Composite, Content, DiskFile, Slice, data_runs, write_sparse
from imagekit.disk import make_folders_above, remove_empty, reporting_errors
from imagekit.errors import OutputError, PlanError, Thing
from imagekit.files.output import OutputFile, OutputFolder, Outputs
from imagekit.interrupts import held
from imagekit.media.pxe.catalog import IMAGES, INDEX, MODULES, PLATFORMS

FICLONE = 0x40049409
"""The ioctl that makes a file share the blocks of another until one of them changes (linux/fs.h)."""

FICLONERANGE = 0x4020940D
"""The same for a part of a file: struct file_clone_range."""

SHARED_BLOCK = 4096
"""Bytes: file systems share blocks of this size, or multiples of it (then the ioctl fails for others)."""

WORLD_READABLE = 0o444


@contextlib.contextmanager
def locked(directory: Path, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Keep other runs of imagekit out of a directory, which is made when it is missing.

    While another one is at work there, wait, once `waiting` has told so; raise PlanError when that is None.  When what
    is done meanwhile fails, folders made here go again, if they are empty.
    """
    made: list[Path] = []
    descriptor = -1
    try:
        with held(), reporting_errors(directory):
            made = make_folders_above(directory / INDEX)
        descriptor = _lock(directory, waiting)
        _clear(directory)
        yield
    finally:
        remove_empty(made)  # with the lock still on it, so that nobody begins to fill it
        if descriptor >= 0:
            os.close(descriptor)


def _lock(directory: Path, waiting: Callable[[], None] | None) -> int:
    """Return a descriptor of the directory with a lock on it, which ends when that is closed."""
    while True:
        with reporting_errors(directory):
            directory.mkdir(exist_ok=True)  # it may have gone with the run that made it
            descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            _wait_for(descriptor, directory, waiting)
            if _is_still(directory, descriptor):
                return descriptor
        except BaseException:
            os.close(descriptor)
            raise
        os.close(descriptor)


def _clear(directory: Path) -> None:
    """Remove what runs that were killed left: before planning, for it may be hard links, which count in a source."""
    for name in ("", PLATFORMS, IMAGES, MODULES, BOOT, "dhcp"):
        Outputs().clear(directory / name)


def _wait_for(descriptor: int, directory: Path, waiting: Callable[[], None] | None) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        if waiting is None:
            hint = f"try again later, or without {Thing.NO_WAIT}"
            raise PlanError("another imagekit is at work here", where=str(directory), hint=hint) from None
        waiting()
        fcntl.flock(descriptor, fcntl.LOCK_EX)


def _is_still(directory: Path, descriptor: int) -> bool:
    """Tell whether an open folder is still the one of this name."""
    try:
        return os.path.samestat(directory.stat(), os.fstat(descriptor))
    except FileNotFoundError:
        return False


def put(content: Content, folder: OutputFolder, name: str, *, share: bool) -> None:
    """Put a file into a folder: sharing the blocks of its source where possible, else copied.

    With reflinks a later change of the source does not show here.  A hard link is the same file: what is written
    *into* the source later would show, though builds replace files instead; so it is the second choice, `share`
    allows it, and it is not made of a file that servers could not read, for mode and owner are shared too.
    """
    if isinstance(content, DiskFile):
        path = folder.place / name
        for parent in reversed(path.relative_to(folder.place).parents):
            (folder.place / parent).mkdir(exist_ok=True)
            (folder.place / parent).chmod(0o755)
        if _reflink(content.path, path) or (share and _hard_link(content.path, path)):
            content.read(0, 0)  # raises an error when the source is no longer what was planned
            return
    write_sparse(content, folder.file(name))


def put_image(image: Composite, output: OutputFile) -> None:
    """Write an image: sharing the blocks of the files in it where possible, else copied."""
    output.truncate(image.size)
    for offset, piece in image.pieces():
        shared = 0
        if isinstance(piece, DiskFile):
            shared = _reflink_part(piece.path, output.fileno(), offset, piece.size // SHARED_BLOCK * SHARED_BLOCK)
            piece.read(0, 0)  # raises an error when the source is no longer what was planned
        rest = Slice(piece, shared, piece.size - shared)
        for start, length in data_runs(rest):
            output.write_at(offset + shared + start, rest.read(start, length))


def _reflink_part(source: Path, target: int, offset: int, size: int) -> int:
    """Share the first `size` bytes of a file with an open one at `offset`; return how many are shared: all or 0."""
    if not size or offset % SHARED_BLOCK:
        return 0
    try:
        with source.open("rb") as old:
            fcntl.ioctl(target, FICLONERANGE, struct.pack("=qQQQ", old.fileno(), 0, size, offset))
    except OSError:
        return 0
    return size


def _reflink(source: Path, target: Path) -> bool:
    try:
        with source.open("rb") as old, target.open("xb") as new:
            fcntl.ioctl(new, FICLONE, old.fileno())
            os.fchmod(new.fileno(), 0o644)
            os.fsync(new.fileno())
    except OSError:
        target.unlink(missing_ok=True)
        return False
    return True


def _hard_link(source: Path, target: Path) -> bool:
    try:
        if source.stat().st_mode & WORLD_READABLE != WORLD_READABLE:
            return False
        os.link(source, target)
    except OSError as error:
        if error.errno in {errno.ENOSPC, errno.EDQUOT}:
            raise OutputError(f"cannot write: {error.strerror}", where=str(target)) from error
        return False
    return True


def remove_empty_above(directory: Path, paths: Iterable[str]) -> None:
    """Remove the folders in which removed files and folders lay, where nothing else is in them."""
    for name in paths:
        remove_empty([directory / parent for parent in Path(name).parents if parent != Path()])
