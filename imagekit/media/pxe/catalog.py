"""index.json: what a PXE directory holds, for scripts and for imagekit's own next run."""

import json
from collections.abc import Iterator
from dataclasses import dataclass

from imagekit.boot.console import Console
from imagekit.clock import Stamp
from imagekit.errors import FormatError, ImagekitError
from imagekit.tree import check_path

INDEX = "index.json"
FORMAT = 1
LAYOUTS = ("smartos", "triton")
BOOTFS = "bootfs"
"""Where boot modules lie, in a folder for each set of them (or for each machine, as Triton has it)."""


@dataclass(frozen=True, slots=True)
class Served:
    """A file of the directory: its path there, its size in bytes, its SHA-256 in hex."""

    path: str
    size: int
    sha256: str

    def data(self) -> dict[str, object]:
        """Return it as data."""
        return {"path": self.path, "size": self.size, "sha256": self.sha256}


@dataclass(frozen=True, slots=True)
class Platform:
    """A platform in os/STAMP; `hash` is None when the build left no boot_archive.hash."""

    stamp: str
    kernel: Served
    archive: Served
    hash: Served | None

    @property
    def files(self) -> tuple[Served, ...]:
        """All its files."""
        return (self.kernel, self.archive, *([self.hash] if self.hash else []))

    def data(self) -> dict[str, object]:
        """Return it as data."""
        return {
            "stamp": self.stamp,
            "kernel": self.kernel.data(),
            "boot_archive": self.archive.data(),
            "boot_archive_hash": self.hash.data() if self.hash else None,
        }


@dataclass(frozen=True, slots=True)
class ServedModule:
    """A boot module and its hash; `name` is its path in /system/boot."""

    name: str
    file: Served
    hash: Served

    def data(self) -> dict[str, object]:
        """Return it as data."""
        return {"name": self.name, "file": self.file.data(), "hash": self.hash.data()}


@dataclass(frozen=True, slots=True)
class Script:
    """A script that boots one platform straight; `mac` is the machine that it is for, where it is for one only.

    `properties` are the boot properties that were given.  `folder` is where the modules lie ("" without any).
    """

    path: str
    stamp: str
    console: Console
    properties: tuple[tuple[str, str], ...]
    folder: str
    modules: tuple[ServedModule, ...]
    mac: str | None = None

    def data(self) -> dict[str, object]:
        """Return it as data."""
        return {
            "path": self.path,
            "stamp": self.stamp,
            "mac": self.mac,
            "console": str(self.console),
            "properties": dict(self.properties),
            "folder": self.folder,
            "modules": [module.data() for module in self.modules],
        }


@dataclass(frozen=True, slots=True)
class Catalog:
    """All of a PXE directory.  `default` is the stamp that was asked for, None for the newest; platforms newest first.

    `loader` are the files of the illumos loader, without its generated loader.conf.
    """

    layout: str
    url: str
    default: str | None
    console: Console
    platforms: tuple[Platform, ...]
    scripts: tuple[Script, ...]
    loader: tuple[Served, ...]

    @property
    def default_stamp(self) -> str:
        """The platform that boots by itself."""
        return self.default or self.platforms[0].stamp

    def platform(self, stamp: str) -> Platform | None:
        """Return the platform of a stamp, or None."""
        return next((platform for platform in self.platforms if platform.stamp == stamp), None)

    def served(self) -> Iterator[Served]:
        """Yield all files that come from elsewhere (the generated ones are not kept here), each once."""
        found: dict[str, Served] = {}
        for platform in self.platforms:
            found.update((file.path, file) for file in platform.files)
        for script in self.scripts:
            for module in script.modules:
                found.update((file.path, file) for file in (module.file, module.hash))
        found.update((file.path, file) for file in self.loader)
        yield from found.values()

    def data(self) -> dict[str, object]:
        """Return it as data."""
        return {
            "format": FORMAT,
            "layout": self.layout,
            "url": self.url,
            "default": self.default,
            "console": str(self.console),
            "platforms": [platform.data() for platform in self.platforms],
            "scripts": [script.data() for script in self.scripts],
            "loader": [file.data() for file in self.loader],
        }

    def text(self) -> bytes:
        """Return index.json."""
        return (json.dumps(self.data(), indent=2) + "\n").encode()


def parse_catalog(text: bytes, where: str) -> Catalog:
    """Read index.json; raise FormatError when it is not one that imagekit wrote."""
    try:
        return _catalog(_object(json.loads(text)))
    except (ValueError, RecursionError, ImagekitError) as error:
        raise FormatError(
            f"not an index that imagekit wrote: {error}",
            where=where,
            hint="name another folder with -o, or begin anew in an empty one",
        ) from None


def _catalog(top: dict[str, object]) -> Catalog:
    if top.get("format") != FORMAT:
        raise ValueError(f"its format is {top.get('format')!r}, expected {FORMAT}")
    catalog = Catalog(
        layout=_text(top, "layout"),
        url=_text(top, "url"),
        default=None if top.get("default") is None else _stamp(top, "default"),
        console=Console.parse(_text(top, "console")),
        platforms=tuple(map(_platform, _list(top, "platforms"))),
        scripts=tuple(map(_script, _list(top, "scripts"))),
        loader=tuple(map(_served, _list(top, "loader"))),
    )
    stamps = {platform.stamp for platform in catalog.platforms}
    named = {script.stamp for script in catalog.scripts} | ({catalog.default} if catalog.default else set())
    if catalog.layout not in LAYOUTS or not stamps or not named <= stamps:
        raise ValueError("its parts do not fit together")
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


def _path(parent: dict[str, object], name: str = "path") -> str:
    path = _text(parent, name)
    check_path(path)
    return path


def _served(value: dict[str, object]) -> Served:
    size = value.get("size")
    if not isinstance(size, int) or size < 0:
        raise ValueError(f"size is {size!r}")
    return Served(_path(value), size, _text(value, "sha256"))


def _platform(value: dict[str, object]) -> Platform:
    stamp = _stamp(value)
    hashed = value.get("boot_archive_hash")
    platform = Platform(
        stamp=stamp,
        kernel=_served(_object(value.get("kernel"))),
        archive=_served(_object(value.get("boot_archive"))),
        hash=None if hashed is None else _served(_object(hashed)),
    )
    if not all(file.path.startswith(f"os/{stamp}/") for file in platform.files):
        raise ValueError(f"the files of {stamp} are not in its folder")
    return platform


def _script(value: dict[str, object]) -> Script:
    folder = _path(value, "folder")
    modules = tuple(
        ServedModule(_text(module, "name"), _served(_object(module.get("file"))), _served(_object(module.get("hash"))))
        for module in _list(value, "modules")
    )
    if any(not file.path.startswith(f"{BOOTFS}/") for module in modules for file in (module.file, module.hash)):
        raise ValueError(f"modules that are not in {BOOTFS}")
    return Script(
        path=_path(value),
        stamp=_stamp(value),
        console=Console.parse(_text(value, "console")),
        properties=tuple((name, str(text)) for name, text in _object(value.get("properties")).items()),
        folder=folder,
        modules=modules,
        mac=None if value.get("mac") is None else _text(value, "mac"),
    )
