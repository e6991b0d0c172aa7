"""What a command made: the line that it prints, and the same for scripts."""

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from imagekit.content import Content
from imagekit.files import raw
from imagekit.files.output import Outputs
from imagekit.formats import gzip
from imagekit.progress import Show, unseen


@dataclass(frozen=True, slots=True)
class Product:
    """One finished output: its size in bytes, its SHA-256 in hex (None: not asked for), the seconds that it took.

    `warnings` are what only making it showed; `what` says what it is, where its size and time tell nothing.
    """

    path: Path
    size: int
    sha256: str | None
    seconds: float
    warnings: tuple[str, ...] = ()
    what: str = ""

    def line(self) -> str:
        """Return the summary for people."""
        if self.what:
            return f"{self.path}  {self.what}"
        digest = f"  sha256 {self.sha256}" if self.sha256 else ""
        return f"{self.path}  {self.size:,} bytes{digest}  {self.seconds:.1f} s"

    def data(self) -> dict[str, object]:
        """Return the summary for scripts."""
        data = {**asdict(self), "path": str(self.path), "seconds": round(self.seconds, 3)}
        del data["warnings"], data["what"]
        return data


def write_product(
    outputs: Outputs,
    path: Path,
    content: Content,
    *,
    compress: bool,
    level: gzip.Level = "close",
    digest: bool = True,
    compressed: Sequence[tuple[int, int]] = (),
    show: Show = unseen,
) -> Product:
    """Write a content to an output of its own, as it is (zeros become holes) or compressed; `show` shows the progress.

    What is `compressed` already, as (offset, length) in bytes, is only put into the output's own format.
    Without `digest`, an output that is not compressed has no SHA-256: that takes longer than writing it.
    """
    started = time.monotonic()
    output = outputs.file(path)
    with show(path.name, content.size) as progress:
        result: gzip.Result | raw.Result
        if compress:
            result = gzip.compress(content, output.write, level=level, progress=progress, compressed=compressed)
        else:
            result = raw.write_raw(content, output, progress, digests=("sha256",) if digest else ())
    return Product(path, result.size, result.sha256, time.monotonic() - started)
