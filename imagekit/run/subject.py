"""What is to be booted: a disk image, a CD image or a PXE directory, told by what is in it, not by its name."""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from imagekit.boot.loader_reading import LoaderReading, conf_bytes, os_console
from imagekit.boot.places import LOADER_CONF
from imagekit.content import Content, DiskFile, write_sparse
from imagekit.errors import ImagekitError, InputError
from imagekit.files.temporary import Temporary
from imagekit.formats import table
from imagekit.formats.lofi import Lofi
from imagekit.media.pxe.catalog import INDEX
from imagekit.media.pxe.index import parse_catalog, read_index
from imagekit.progress import Show, unseen
from imagekit.tree import File


@dataclass(frozen=True, slots=True)
class Subject:
    """What is to be booted: `kind` is usb (a partitioned disk), cd or pxe, or "" when a file is neither.

    `path` is the image itself, inflated, or the folder; `console` is the one that it was made for, where it says so.
    """

    kind: str
    path: Path
    console: str | None = None


@contextlib.contextmanager
def opened(path: Path, folder: Path, show: Show = unseen) -> Iterator[Subject]:
    """Yield what `path` is; what is compressed is inflated into `folder`, which `show` shows, and removed in the end.

    Raise InputError when there is nothing, FormatError when a compressed file is damaged, and OutputError when
    `folder` cannot hold what is in it.
    """
    if path.is_dir():
        folder_path = path.resolve()
        yield Subject("pxe", folder_path, _console_of_folder(folder_path))
        return
    if not path.is_file():
        found = "neither a file nor a folder" if path.exists() else "no such file or folder"
        raise InputError(f"cannot boot: {found}", where=str(path))
    content = DiskFile(path)
    if not table.is_wrapped(content):
        yield _image(content, path)
        return
    made: list[Path] = []

    def named(origin: str) -> Temporary:
        made.append(folder / f"image{len(made)}")
        return Temporary(origin, folder, made[-1].name)

    try:
        with show(f"inflating {path.name}", content.size) as progress:
            inside = table.unwrap(content, named, progress)
        if isinstance(inside, Lofi):
            write_sparse(inside, named(inside.origin))
        yield _image(inside, made[-1])
    finally:
        for file in made:
            file.unlink(missing_ok=True)


_KINDS = {"iso": "cd", "gpt": "usb", "mbr": "usb"}


def _image(content: Content, path: Path) -> Subject:
    kind = _KINDS.get(table.name_of(content) or "")
    return Subject(kind, path, _console(content)) if kind else Subject("", path)


def _console(content: Content) -> str | None:
    """Return the console that the image's loader.conf names, when there is one and it can be read.

    A damaged image is no reason to complain here: that it does not boot may be what is to be seen.
    """
    with contextlib.suppress(ImagekitError):
        settings = table.open_tree(content).get(LOADER_CONF)
        if isinstance(settings, File):
            reading = LoaderReading()
            reading.read(LOADER_CONF, conf_bytes(settings.content))
            return os_console({name: setting.value for name, setting in reading.settings.items()})
    return None


def _console_of_folder(folder: Path) -> str | None:
    """Return the console that a PXE directory's index names, when there is one and it can be read."""
    with contextlib.suppress(OSError, ImagekitError):
        index = read_index(folder)
        if index is not None:
            return parse_catalog(index, str(folder / INDEX)).console.device
    return None
