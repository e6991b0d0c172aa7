"""Reads a content from front to back, in blocks, as what inflates it needs them."""

from imagekit.content import BLOCK_SIZE, Content
from imagekit.errors import FormatError
from imagekit.progress import SILENT, Progress


class Forward:
    """A content, and how far it is read; `progress` counts the bytes of it."""

    def __init__(self, content: Content, progress: Progress = SILENT) -> None:
        self.content = content
        self._progress = progress
        self._next = 0
        self._ahead = b""

    @property
    def offset(self) -> int:
        """Where the next byte stands."""
        return self._next - len(self._ahead)

    def error(self, what: str) -> FormatError:
        """Return an error that names this place."""
        return FormatError(what, where=f"{self.content.origin}@{self.offset:#x}")

    def block(self) -> bytes:
        """Return the next bytes, up to a block of them; none at the end."""
        if self._ahead:
            data, self._ahead = self._ahead, b""
            return data
        count = min(BLOCK_SIZE // 4, self.content.size - self._next)
        data = self.content.read(self._next, count)
        self._next += count
        self._progress.advance(count)
        return data

    def give_back(self, data: bytes) -> None:
        """Let `data` be read again, next."""
        self._ahead = data + self._ahead
