"""tar: `plan` an archive of a Tree, `read` one into a Tree."""

from imagekit.formats.tar.plan import plan
from imagekit.formats.tar.reader import is_tar, read

__all__ = ["is_tar", "plan", "read"]
