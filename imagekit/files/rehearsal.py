"""The outputs of a run that is only planned: what would keep them from being made, with nothing made."""

import os
from dataclasses import dataclass, field
from pathlib import Path

from imagekit.content import Content, data_runs, is_zero
from imagekit.disk import reporting_errors
from imagekit.errors import OutputError
from imagekit.files import places


@dataclass(slots=True)
class Rehearsal:
    """Takes the outputs of one run, as Outputs does; each raises OutputError when it could not be made."""

    _targets: list[tuple[Path, bool]] = field(default_factory=list)
    _contents: dict[int, list[tuple[Path, Path, Content]]] = field(default_factory=dict)

    def file(self, path: Path, content: Content | None = None) -> None:
        """Rehearse a file; its space is looked at when `content` will be written as it is, with holes for zeros."""
        target = places.file_target(path)
        folder = self._add(path, target)
        if content is not None:
            with reporting_errors(path):
                self._contents.setdefault(folder.stat().st_dev, []).append((path, folder, content))

    def folder(self, path: Path) -> None:
        """Rehearse a folder."""
        self._add(path, places.folder_target(path), folder=True)

    def folder_that_stays(self, path: Path) -> None:
        """Rehearse a folder that is made only where there is none yet, for outputs of their own."""
        target = places.folder_target(path)
        if not target.exists():
            places.check_writable(path, target)

    def link(self, path: Path) -> None:
        """Rehearse a symbolic link."""
        self._add(path, places.link_target(path))

    def _add(self, path: Path, target: Path, *, folder: bool = False) -> Path:
        places.check_apart(path, target, self._targets, folder=folder)
        there = places.check_writable(path, target)
        self._targets.append((target, folder))
        return there

    def check_space(self) -> None:
        """Raise OutputError when what will be written is more than what is free, file system by file system."""
        for written in self._contents.values():
            path, folder, _ = written[0]
            with reporting_errors(path):
                status = os.statvfs(folder)
            free = status.f_bavail * status.f_frsize
            contents = [content for _, _, content in written]
            if sum(length for content in contents for _, length in data_runs(content)) <= free:
                continue
            needed = sum(map(_allocated, contents))
            if needed > free:
                raise OutputError(
                    f"no space left: {free:,} bytes are free in {folder}, {needed:,} will be written",
                    where=str(path),
                    hint="free some space, or write elsewhere",
                )


def _allocated(content: Content) -> int:
    """Return how many bytes of a content are written: those of the blocks that are not all zeros."""
    size = 0
    for offset, length in data_runs(content):
        if not is_zero(content.read(offset, length)):
            size += length
    return size
