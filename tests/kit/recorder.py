"""Records the system's calls that change a disk, and says what would be on it after a power cut at any moment."""

import os
from pathlib import Path


class Recorder:
    """Stands in for functions of `os`; what they do is done and noted.

    The disk that it models loses all that was not synced: a file has the bytes of its last fsync (none before the
    first), while names change in the order in which they were changed, as on a file system with a journal.
    """

    def __init__(self, monkeypatch, top: Path) -> None:
        self.top = top
        self.calls: list[tuple] = []
        self._contents: dict[int, bytes] = {}  # inode: what is on the disk of it
        self.states: list[dict[str, bytes | str]] = []
        for path in top.rglob("*"):
            if path.is_file():
                self._contents[path.stat().st_ino] = path.read_bytes()
        for name in ("fsync", "rename", "replace", "mkdir", "rmdir", "unlink", "symlink", "link"):
            monkeypatch.setattr(os, name, self._wrapped(name, getattr(os, name)))
        from imagekit import disk

        monkeypatch.setattr(disk, "exchange", self._wrapped("exchange", disk.exchange))
        self._note()

    def _wrapped(self, name, call):
        def recorded(*arguments, **options):
            if name == "fsync":
                status = os.fstat(arguments[0])
                place = Path(f"/proc/self/fd/{arguments[0]}").readlink()
                self.calls.append(("fsync", self._short(place)))
                if not place.is_dir():
                    self._contents[status.st_ino] = place.read_bytes()
                result = call(*arguments, **options)
            else:
                result = call(*arguments, **options)
                self.calls.append((name, *(self._short(one) for one in arguments if isinstance(one, str | Path))))
            self._note()
            return result

        return recorded

    def _short(self, path) -> str:
        return os.path.relpath(path, self.top) if Path(path).is_absolute() else str(path)

    def _note(self) -> None:
        """Note what a power cut now would leave."""
        state: dict[str, bytes | str] = {}
        for path in self.top.rglob("*"):
            name = str(path.relative_to(self.top))
            if path.is_symlink():
                state[name] = str(path.readlink())
            elif path.is_file():
                state[name] = self._contents.get(path.stat().st_ino, b"")
        self.states.append(state)
