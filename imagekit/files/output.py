"""Outputs that appear complete or not at all.

Every output is written under a temporary name in the folder that it goes to; when all outputs of a run are complete
and synced, they are renamed into place.  Whatever ends the run early (an error, an interrupt, a full disk) removes the
temporaries, and the folders that were made for them.
"""

import contextlib
import os
from abc import ABC, abstractmethod
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Self

from imagekit import disk
from imagekit.disk import make_folders_above, remove, remove_empty, reporting_errors, sync_folder
from imagekit.errors import OutputError
from imagekit.files import ledger, partials, places
from imagekit.files.kept import keep_others
from imagekit.interrupts import held


class _Output(ABC):
    """What a run makes or removes: finished and synced, then published, and at the end cleaned up after."""

    target: Path
    appears = True
    """Whether something is at `target` when it is published."""
    _made_folders: Sequence[Path] = ()

    @abstractmethod
    def _finish(self) -> None:
        """Complete and sync what is still a temporary."""

    @abstractmethod
    def _publish(self) -> None:
        """Put it in place."""

    @abstractmethod
    def _discard(self) -> list[Path]:
        """Remove the temporaries that are left; return those that cannot be removed."""

    def folders(self) -> list[Path]:
        """Return the folders in which names change, to be synced: those above the folders that were made, too."""
        return [self.target.parent, *(folder.parent for folder in self._made_folders)]


class OutputFile(_Output):
    """A file being written: sequential `write`, or `write_at` an offset in bytes.

    `path` is what it is called in messages; `target`, behind all symbolic links, is where it goes.
    """

    def __init__(self, path: Path, target: Path, mode: int) -> None:
        self.path = path
        self.target = target
        self._mode = mode
        with self.reporting_errors():
            self._made_folders = make_folders_above(target)
            try:
                self._fd, self._temporary = partials.make_file(target)
            except OSError:
                remove_empty(self._made_folders)
                raise
        self._lock: int | None = None

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
        with self.reporting_errors():
            disk.write_at(self._fd, offset, data)

    def truncate(self, size: int) -> None:
        """Set the file's size in bytes; what was never written reads as zeros."""
        with self.reporting_errors():
            os.truncate(self._fd, size)

    def reporting_errors(self) -> contextlib.AbstractContextManager[None]:
        """Turn an OSError inside the block into an OutputError that names this output."""
        return reporting_errors(self.path)

    def _finish(self) -> None:
        with self.reporting_errors():
            os.fchmod(self._fd, self._mode)
            os.fsync(self._fd)
            self._lock = os.dup(self._fd)  # another descriptor of the same lock, as closing this one may show errors
            self._close()

    def _close(self) -> None:
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _publish(self) -> None:
        with self.reporting_errors():
            self._temporary.replace(self.target)
        partials.release(self._lock)
        self._lock = None

    def _discard(self) -> list[Path]:
        left = remove(self._temporary)
        with contextlib.suppress(OSError):
            self._close()
        partials.release(self._lock)
        remove_empty(self._made_folders)
        return left


class OutputLink(_Output):
    """A symbolic link to `leads_to`, made or replaced when all else is in place."""

    def __init__(self, target: Path, leads_to: str) -> None:
        self.target = target
        self._leads_to = leads_to
        self._folder: Path | None = None
        self._lock: int | None = None

    def _finish(self) -> None:
        """Do nothing: a link is made when it is published."""

    def _publish(self) -> None:
        with reporting_errors(self.target):
            self._lock, self._folder = partials.make_folder(self.target)
            link = self._folder / "link"
            link.symlink_to(self._leads_to)
            link.replace(self.target)

    def _discard(self) -> list[Path]:
        left = remove(self._folder) if self._folder else []
        partials.release(self._lock)
        return left


class OutputFolder(_Output):
    """A folder being filled with files: at `place` until it is published, then at `target` instead of what was there.

    `path` is what it is called in messages.
    """

    def __init__(self, path: Path, target: Path, replaced: Collection[str] | None = None) -> None:
        self.path = path
        self.target = target
        self._to_replace = replaced
        with reporting_errors(path):
            self._made_folders = make_folders_above(target)
            try:
                self._lock, self.place = partials.make_folder(target)
            except OSError:
                remove_empty(self._made_folders)
                raise
        self._replaced: Path | None = None
        self._files: list[OutputFile] = []

    def file(self, name: str, mode: int = 0o644) -> OutputFile:
        """Open the file at `name`, a relative path, in the folder; folders above it have mode 0755."""
        place = self.place / name
        with reporting_errors(self.path):
            for parent in reversed(place.relative_to(self.place).parents):
                (self.place / parent).mkdir(exist_ok=True)
                (self.place / parent).chmod(0o755)
        output = OutputFile(self.path / name, place, mode)
        self._files.append(output)
        return output

    def _finish(self) -> None:
        while self._files:
            output = self._files[-1]
            output._finish()  # noqa: SLF001 - one class in two halves
            output._publish()  # noqa: SLF001
            self._files.pop()
        with reporting_errors(self.path):
            if self._to_replace is not None and self.target.is_dir():
                keep_others(self.target, self.place, self._to_replace)
            self.place.chmod(0o755)
            for folder, others in disk.folders_in(self.place):
                for name in others:
                    disk.sync_file(folder / name)
                sync_folder(folder)

    def _publish(self) -> None:
        """Exchange the folder with the one that is there, where the system can.

        Elsewhere that one is renamed first, and back when the second rename fails; between the two there is none of
        this name.
        """
        with reporting_errors(self.path):
            if not self.target.is_dir():
                self.place.replace(self.target)
            elif not disk.exchange(self.place, self.target):
                self._replace()

    def _replace(self) -> None:
        old = self.place.with_suffix(partials.OLD)
        lock = partials.hold(self.target)  # or another run would put it back
        try:
            self.target.rename(old)
            try:
                self.place.replace(self.target)
            except OSError as error:
                try:
                    old.rename(self.target)
                except OSError:
                    what = f"cannot write: {error.strerror}; and what was here is {old} now"
                    raise OutputError(what, where=str(self.path)) from error
                raise
            self._replaced = old
        finally:
            partials.release(lock)

    def _discard(self) -> list[Path]:
        for output in self._files:
            output._discard()  # noqa: SLF001
        left = remove(self.place)
        if self._replaced is not None:
            left += remove(self._replaced)
        partials.release(self._lock)
        remove_empty(self._made_folders)
        return left


class _Removal(_Output):
    """A file or a folder that goes when all else is in place."""

    appears = False

    def __init__(self, target: Path) -> None:
        self.target = target
        self._place: Path | None = None
        self._lock: int | None = None

    def _finish(self) -> None:
        """Do nothing: it is there until the others are published."""

    def _publish(self) -> None:
        try:
            if self.target.is_dir() and not self.target.is_symlink():
                self._lock = partials.hold(self.target)
                lock, self._place = partials.make_folder(self.target)
                self.target.rename(self._place)  # an empty folder is replaced
                partials.release(lock)
            else:
                self.target.unlink(missing_ok=True)
        except OSError as error:
            raise OutputError(f"cannot remove: {error.strerror}", where=str(self.target)) from error

    def _discard(self) -> list[Path]:
        left = remove(self._place) if self._place else []
        partials.release(self._lock)
        return left


class _Scratch(OutputFolder):
    """A folder that is never published."""

    appears = False

    def _finish(self) -> None:
        """Do nothing."""

    def _publish(self) -> None:
        """Do nothing."""


class Outputs:
    """The outputs of one run, published together when the `with` block ends well.

    with Outputs() as outputs:
        image = outputs.file(Path("x.iso"))
        image.write(...)

    Each appears complete or not at all, and none before all are complete.  They appear one after the other, in the
    order in which they were begun, each by a rename of its own.  Interrupts wait until that is done; but when a rename
    fails, or the system goes down, then those before it are new already, and the others old.

    `complete` are those that have appeared, `unremovable` the temporaries that could not be removed, `cleared` a line
    for each thing that earlier runs had left.  A ledger that is open keeps all three for the end of the program.
    """

    def __init__(self) -> None:
        self.complete: list[Path] = []
        self.unremovable: list[Path] = []
        self.cleared: list[str] = []
        self._all: list[_Output] = []
        self._left: dict[Path, list[Path]] = {}
        ledger.enter(self)

    def file(self, path: Path, mode: int = 0o644) -> OutputFile:
        """Open an output; `mode` is what it will have, whatever the umask.

        Where `path` is a symbolic link, what it leads to is replaced, and the link stays.  Raise OutputError when
        the file can't be made, when something else than a file is there, or when another output goes there, too.
        """
        target = places.file_target(path)
        self._check_apart(path, target)
        with held():
            self._clear(target)
            output = OutputFile(path, target, mode)
            self._all.append(output)
        return output

    def folder(self, path: Path, replaced: Collection[str] | None = None) -> OutputFolder:
        """Begin a folder, which replaces the one that is there; symbolic links are followed as for files.

        With `replaced`, the paths of all files that may go, others of the one that is there stay.
        Raise OutputError when it can't be made, or when another output goes there, too, or into it.
        """
        target = places.folder_target(path)
        self._check_apart(path, target, folder=True)
        with held():
            self._clear(target)
            output = OutputFolder(path, target, replaced)
            self._all.append(output)
        return output

    def link(self, path: Path, target: str) -> None:
        """Make or replace a symbolic link; raise OutputError when something else stands there."""
        place = places.link_target(path)
        self._check_apart(path, place)
        with held():
            self._clear(place)
            self._all.append(OutputLink(place, target))

    def remove(self, path: Path) -> None:
        """Remove a file or folder, which others may be reading, when all else is in place.

        A folder disappears at once, and then what is in it; a run that is killed meanwhile leaves a temporary.
        """
        self._all.append(_Removal(path))

    def scratch(self, folder: Path) -> Path:
        """Make a private folder in `folder`, and return it; however the `with` block ends, it is removed then."""
        with held():
            self._clear(folder / "scratch")
            scratch = _Scratch(folder, folder / "scratch")
            self._all.append(scratch)
        return scratch.place

    def put_in_place(self, temporary: Path, path: Path) -> None:
        """Rename what is complete in a scratch folder to its name, at once."""
        with held():
            temporary.replace(path)
            self.complete.append(path)

    def clear(self, folder: Path) -> None:
        """Remove all that runs which were killed left in `folder`, whatever it was to become."""
        with held():
            for temporary in partials.left_in(folder):
                self._note(partials.clear(temporary))

    def _clear(self, target: Path) -> None:
        """Remove what runs that were killed left of the output `target`, or put it back."""
        if target.parent not in self._left:
            self._left[target.parent] = partials.left_in(target.parent)
        for temporary in self._left[target.parent]:
            if partials.belongs_to(temporary, target):
                self._note(partials.clear(temporary, target))

    def _note(self, cleared: str | None) -> None:
        if cleared:
            self.cleared.append(cleared)

    def _check_apart(self, path: Path, target: Path, *, folder: bool = False) -> None:
        others = [(one.target, isinstance(one, OutputFolder)) for one in self._all if not isinstance(one, _Scratch)]
        places.check_apart(path, target, others, folder=folder)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_error: object) -> None:
        try:
            if kind is None:
                for output in self._all:
                    output._finish()  # noqa: SLF001 - one class in two halves
                with held():
                    for output in self._all:
                        output._publish()  # noqa: SLF001
                        if output.appears:
                            self.complete.append(output.target)
                    for folder in dict.fromkeys(folder for output in self._all for folder in output.folders()):
                        with reporting_errors(folder):
                            sync_folder(folder)
        finally:
            left = self.discard()
        if left and kind is None:
            self.unremovable.clear()  # now it is told
            where = ", ".join(map(str, left))
            raise OutputError("all is complete, but this is no longer needed and cannot be removed", where=where)

    def discard(self) -> list[Path]:
        """Remove all temporaries, as the end of the `with` block does; return what cannot be removed."""
        left: list[Path] = []
        with held():
            while self._all:  # the last first, as the first made the folders above the others
                left += self._all.pop()._discard()  # noqa: SLF001
            self.unremovable += left
        return left
