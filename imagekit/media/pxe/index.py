"""Reading and writing index.json.  It is input like any other: its fields are held to what the command line takes."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

from imagekit.boot.console import Console
from imagekit.boot.kernel_arguments import check_property
from imagekit.boot.mac_address import check_mac
from imagekit.boot.modules import name_problem
from imagekit.boot.places import BOOT, LOADER_CONF, PLATFORM, PLATFORM_KERNEL
from imagekit.clock import Stamp
from imagekit.content import DiskFile
from imagekit.errors import FormatError, ImagekitError, PlanError, Thing
from imagekit.marks import first_mark
from imagekit.media.pxe.catalog import (
    FORMAT,
    INDEX,
    LAYOUTS,
    MODULES,
    UEFI,
    Catalog,
    Platform,
    Script,
    Served,
    ServedModule,
    image_path,
    machine_folder,
    platform_folder,
    script_path,
)
from imagekit.media.pxe.request import is_listable
from imagekit.media.pxe.texts import RESERVED_STAMPS
from imagekit.media.pxe.url import check_url
from imagekit.platform.layout import BOOT_ARCHIVE
from imagekit.tree import check_path

LARGEST = 4 << 20
"""Bytes of the longest index.json that is read or written: some thousands of platforms."""

_SHA256 = re.compile("[0-9a-f]{64}")
_MODULE_FOLDER = re.compile(f"{MODULES}/[0-9a-f]{{8}}")


def read_index(directory: Path) -> bytes | None:
    """Return a directory's index.json, or None where there is none; raise FormatError for one that is too long."""
    path = directory / INDEX
    if not path.exists():
        return None
    file = DiskFile(path)
    if file.size > LARGEST:
        raise _error(f"it has {file.size:,} bytes, {LARGEST:,} are the most", str(path))
    return file.read()


def parse_catalog(text: bytes, where: str) -> Catalog:
    """Read index.json; raise FormatError when it is not one that imagekit wrote."""
    try:
        if len(text) > LARGEST:
            raise ValueError(f"it has {len(text):,} bytes, {LARGEST:,} are the most")  # noqa: TRY301 - one way out
        if (mark := first_mark(text)) is not None:
            raise ValueError(f"line {mark[0]} begins with {mark[1]}")  # noqa: TRY301 - one way out
        return _catalog(_object(json.loads(text)))
    except RecursionError:
        raise _error("it is nested too deep", where) from None
    except (ValueError, ImagekitError) as error:
        raise _error(str(error), where) from None


def index_text(catalog: Catalog, directory: Path) -> bytes:
    """Return index.json; raise PlanError when it would be longer than one that is read."""
    text = (json.dumps(catalog.data(), indent=2) + "\n").encode()
    if len(text) > LARGEST:
        raise PlanError(
            f"{INDEX} would have {len(text):,} bytes, {LARGEST:,} are the most",
            where=str(directory),
            hint=f"begin another directory with {Thing.OUTPUT}",
        )
    return text


def _error(problem: str, where: str) -> FormatError:
    hint = f"name another folder with {Thing.OUTPUT}, or begin anew in an empty one"
    return FormatError(f"not an index that imagekit wrote: {problem}", where=where, hint=hint)


def _catalog(top: dict[str, object]) -> Catalog:
    if top.get("format") != FORMAT:
        raise ValueError(f"its format is {str(top.get('format'))[:60]!r}, expected {FORMAT}")
    catalog = Catalog(
        layout=_text(top, "layout"),
        url=_text(top, "url"),
        default=None if top.get("default") is None else _stamp(top, "default"),
        console=_console(top),
        platforms=tuple(map(_platform, _list(top, "platforms"))),
        scripts=tuple(map(_script, _list(top, "scripts"))),
        loader=tuple(map(_boot_file, _list(top, "loader"))),
        uefi=None if top.get("uefi") is None else _text(top, "uefi"),
    )
    stamps = {platform.stamp for platform in catalog.platforms}
    named = {script.stamp for script in catalog.scripts} | ({catalog.default} if catalog.default else set())
    machines = all((script.mac is None) == (catalog.layout == "smartos") for script in catalog.scripts)
    if catalog.uefi not in {None, *UEFI} or (catalog.has_images and not catalog.wants_images):
        raise ValueError("its images for UEFI machines do not fit to the rest")
    if catalog.layout not in LAYOUTS or not stamps or not named <= stamps or not machines:
        raise ValueError("its parts do not fit together")
    if check_url(catalog.url) != catalog.url:
        raise ValueError("its url does not end in a slash")
    for twice in (
        [platform.stamp for platform in catalog.platforms],
        [script.path for script in catalog.scripts],
        [file.path for file in catalog.loader],
    ):
        if len(set(twice)) < len(twice):
            raise ValueError("it names one thing twice")
    return catalog


def _object(value: object) -> dict[str, object]:
    if not isinstance(value, dict):
        raise ValueError(f"found {type(value).__name__} where an object should be")  # noqa: TRY004 - about data
    return value


def _list(parent: dict[str, object], name: str) -> list[dict[str, object]]:
    value = parent.get(name)
    if not isinstance(value, list):
        raise ValueError(f"{name} is no list")  # noqa: TRY004 - about data, not about code
    return [_object(element) for element in value]


def _text(parent: dict[str, object], name: str) -> str:
    value = parent.get(name)
    if not isinstance(value, str):
        raise ValueError(f"{name} is no text")  # noqa: TRY004 - about data, not about code
    return value


def _stamp(parent: dict[str, object], name: str = "stamp") -> str:
    return Stamp(_text(parent, name)).text


def _console(parent: dict[str, object]) -> Console:
    return Console.parse(_text(parent, "console"))


def _served(value: object, path: str | None = None) -> Served:
    """Return a file; where `path` is given, it must be that."""
    file = _object(value)
    size, sha256, found = file.get("size"), _text(file, "sha256"), _text(file, "path")
    check_path(found)
    if path not in {None, found}:
        raise ValueError(f"found the path {found[:200]!r}, expected {path!r}")
    if type(size) is not int or not 0 <= size < 1 << 63:
        raise ValueError(f"the size of {found[:200]!r} is no number of bytes")
    if not _SHA256.fullmatch(sha256):
        raise ValueError(f"the sha256 of {found[:200]!r} is none")
    return Served(found, size, sha256)


def _boot_file(value: object) -> Served:
    file = _served(value)
    if not file.path.startswith(f"{BOOT}/") or file.path == LOADER_CONF or not is_listable(file.path):
        raise ValueError(f"{file.path[:200]!r} is no file of the loader's that is served")
    return file


def _platform(value: dict[str, object]) -> Platform:
    stamp = _stamp(value)
    if stamp in RESERVED_STAMPS:
        raise ValueError(f"{stamp} has another meaning in the scripts")
    folder = f"{platform_folder(stamp)}/{PLATFORM}"
    hashed = value.get("boot_archive_hash")
    return Platform(
        stamp=stamp,
        kernel=_served(value.get("kernel"), f"{folder}/{PLATFORM_KERNEL}"),
        archive=_served(value.get("boot_archive"), f"{folder}/{BOOT_ARCHIVE}"),
        hash=None if hashed is None else _served(hashed, f"{folder}/{BOOT_ARCHIVE}.hash"),
    )


def _modules(value: dict[str, object], folder: str) -> Iterator[ServedModule]:
    taken: list[str] = []
    for module in _list(value, "modules"):
        name = _text(module, "name")
        problem = name_problem(name, taken)
        if problem:
            raise ValueError(problem)
        taken.append(name)
        path = f"{folder}/{name}"
        yield ServedModule(name, _served(module.get("file"), path), _served(module.get("hash"), f"{path}.hash"))


def _script(value: dict[str, object]) -> Script:
    mac = None if value.get("mac") is None else check_mac(_text(value, "mac"))
    script = Script(
        path=_text(value, "path"),
        stamp=_stamp(value),
        console=_console(value),
        properties=tuple(_properties(_object(value.get("properties")))),
        folder=_text(value, "folder"),
        modules=tuple(_modules(value, _text(value, "folder"))),
        mac=mac,
        iso=None if value.get("iso") is None else _image(value.get("iso"), _stamp(value)),
    )
    if script.path != script_path(script.stamp, mac):
        raise ValueError(f"found the script {script.path[:200]!r}, expected {script_path(script.stamp, mac)!r}")
    right = script.folder == machine_folder(mac) if mac else _MODULE_FOLDER.fullmatch(script.folder)
    if not (right if script.modules else script.folder == ""):
        raise ValueError(f"modules in {script.folder[:200]!r}")
    return script


def _image(value: object, stamp: str) -> Served:
    file = _served(value)
    return _served(value, image_path(stamp, file.sha256))


def _properties(properties: dict[str, object]) -> Iterator[tuple[str, str]]:
    for name in properties:
        value = _text(properties, name)
        check_property(name, value)
        yield name, value
