"""Reads a content from front to back, in blocks, as what inflates it needs them."""

from imagekit.content import BLOCK_SIZE, Content
from imagekit.errors import FormatError
from imagekit.progress import SILENT, Progress

_BLOCK = BLOCK_SIZE // 4


class Forward:
    """A content, and how far it is read; `progress` counts the bytes of it."""

    def __init__(self, content: Content, progress: Progress = SILENT) -> None:
        self.content = content
        self._progress = progress
        self._next = 0
        self._ahead = b""
        self._used = 0  # bytes of what was read ahead

    @property
    def offset(self) -> int:
        """Where the next byte stands."""
        return self._next - len(self._ahead) + self._used

    def error(self, what: str) -> FormatError:
        """Return an error that names this place."""
        return FormatError(what, where=f"{self.content.origin}@{self.offset:#x}")

    def block(self, most: int = _BLOCK) -> bytes:
        """Return the next bytes, up to a block of them, and `most` at most; none at the end."""
        if self._used == len(self._ahead):
            count = min(_BLOCK, self.content.size - self._next)
            self._ahead, self._used = self.content.read(self._next, count), 0
            self._next += count
            self._progress.advance(count)
        data = self._ahead[self._used : self._used + most]
        self._used += len(data)
        return data

    def give_back(self, data: bytes) -> None:
        """Let `data` be read again, next."""
        start = self._used - len(data)
        if start >= 0 and self._ahead.startswith(data, start):
            self._used = start
        else:
            self._ahead, self._used = data + self._ahead[self._used :], 0
