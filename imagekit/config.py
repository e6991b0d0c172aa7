"""imagekit.yaml of a workspace: what differs from how SmartOS is built.

platform:
  complete: [usr/share/lib/zoneinfo]                # all below these in the proto areas has to be shipped
  prebuilt:
    etc/svc/repository.db: prebuilt/repository.db   # path in the image: file, relative to imagekit.yaml
  hooks:
    smf-import: [ssh, build-zone, smf_import]       # a command; the root of the image is its last argument
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from imagekit.errors import InputError, nearest

NAME = "imagekit.yaml"

_KEYS = ("root-size", "usr-size", "complete", "prebuilt", "hooks")

DEFAULT_COMPLETE = ("usr/share/lib/zoneinfo", "platform/i86pc/ucode")
"""What smartos-live's tzcheck and ucodecheck look at."""

_LARGEST_FILE = 1 << 20  # bytes
_LONGEST_SHOWN = 60  # characters
_NUMBER = re.compile(r"0*[1-9][0-9]{0,11}")


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration, and the file that it is from, if any.

    Sizes are in KiB; `complete` are paths in the image, None for smartos-live's; `prebuilt` maps paths in the image to
    files, `hooks` names to commands.
    """

    path: Path | None = None
    root_kib: int | None = None
    usr_kib: int | None = None
    complete: tuple[str, ...] | None = None
    prebuilt: Mapping[str, Path] = field(default_factory=dict)
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


def read_config(path: Path, hooks: tuple[str, ...]) -> Config:
    """Return the configuration in a file; `hooks` are the names that there are.  Raise InputError for all slips."""
    import yaml  # noqa: PLC0415 - most builds have no such file

    # Every value is text here, so that "on" and "2026-01-01" are words.  The C loader cannot stand deep nesting.
    try:
        document = yaml.load(_read(path), yaml.BaseLoader)  # noqa: S506 - it makes text, lists and mappings only
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"not YAML: {error.problem}", where=f"{path}{line}") from error
    except yaml.YAMLError as error:
        raise InputError(f"not YAML: {error}", where=str(path)) from error
    except RecursionError:
        raise InputError("not a configuration: it is nested too deep", where=str(path)) from None
    reader = _Reader(path)
    top = reader.mapping(document or {}, "the file", ("platform",))
    section = reader.mapping(top.get("platform") or {}, "platform", _KEYS)
    prebuilt = reader.mapping(section.get("prebuilt") or {}, "prebuilt")
    commands = reader.mapping(section.get("hooks") or {}, "hooks", hooks)
    complete = section.get("complete")
    return Config(
        path=path,
        root_kib=reader.count(section.get("root-size"), "root-size"),
        usr_kib=reader.count(section.get("usr-size"), "usr-size"),
        complete=None if complete is None else tuple(one.strip("/") for one in reader.words(complete, "complete")),
        prebuilt={name.strip("/"): path.parent / reader.word(file, name) for name, file in prebuilt.items()},
        hooks={name: reader.command(command, name) for name, command in commands.items()},
    )


def _read(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", where=str(path)) from error
    if len(data) > _LARGEST_FILE:
        raise InputError(f"not a configuration: it has more than {_LARGEST_FILE:,} bytes", where=str(path))
    return data


def _shown(value: object) -> str:
    """Return how a message shows a value: aliases make a short file hold lists that no screen could."""
    if isinstance(value, str):
        return repr(value) if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]!r}..."
    kind = "list" if isinstance(value, list) else "mapping"
    return f"a {kind}" if value else f"an empty {kind}"


class _Reader:
    """Values of the file, checked."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def mapping(self, value: object, name: str, known: tuple[str, ...] | None = None) -> dict[str, object]:
        """Return a mapping with string keys, all of them known ones."""
        if not isinstance(value, dict):
            raise self._wrong(name, "a mapping", value)
        for key in value:
            if not isinstance(key, str):
                raise self._wrong(f"a key of {name}", "a word", key)
            if known is not None and key not in known:
                near = nearest(key, known)
                hint = f"did you mean {near}?" if near else f"one of {', '.join(known)}"
                raise InputError(f"unknown key {_shown(key)} in {name}", where=str(self._path), hint=hint)
        return value

    def words(self, value: object, name: str) -> tuple[str, ...]:
        """Return a list of strings."""
        if not isinstance(value, list):
            raise self._wrong(name, "a list", value)
        return tuple(self.word(item, name) for item in value)

    def command(self, value: object, name: str) -> tuple[str, ...]:
        """Return a list of strings that starts with a program."""
        words = self.words(value, name)
        if not words:
            raise self._wrong(name, "a program and its arguments", value)
        return words

    def count(self, value: object, name: str) -> int | None:
        """Return a number of at least 1, or None when there is none."""
        if value is None:
            return None
        if not isinstance(value, str) or _NUMBER.fullmatch(value) is None:
            raise self._wrong(name, "a number", value)
        return int(value)

    def word(self, value: object, name: str) -> str:
        """Return a string."""
        if not isinstance(value, str) or not value:
            raise self._wrong(name, "a word", value)
        return value

    def _wrong(self, name: str, expected: str, value: object) -> InputError:
        return InputError(f"{name}: expected {expected}, found {_shown(value)}", where=str(self._path))
