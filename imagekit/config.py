"""imagekit.yaml of a workspace: what differs from how SmartOS is built.

platform:
  complete: [usr/share/lib/zoneinfo]                # all below these in the proto areas has to be shipped
  prebuilt:
    etc/svc/repository.db: prebuilt/repository.db   # path in the image: file, relative to imagekit.yaml
  hooks:
    smf-import: [ssh, build-zone, smf_import]       # a command; the root of the image is its last argument
  known:                                            # warnings that are not printed any more
    - {code: M303, path: usr/node/*, reason: npm makes these folders}
boot:
  known: []                                         # the same for the boot files
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from imagekit.errors import InputError, Problems, nearest
from imagekit.manifest.known import CAN_BE_KNOWN, Known
from imagekit.marks import first_mark

if TYPE_CHECKING:
    from yaml import Node

NAME = "imagekit.yaml"

_KEYS = ("root-size", "usr-size", "complete", "prebuilt", "hooks", "known")

_LARGEST_FILE = 1 << 20  # bytes
_MOST_KNOWN = 1000
_MOST_SHOWN = 20  # problems
_LONGEST_SHOWN = 60  # characters
_NUMBER = re.compile(r"0*[1-9][0-9]{0,11}")


@dataclass(frozen=True, slots=True)
class Config:
    """The configuration, and the file that it is from, if any.

    Sizes are in KiB; `complete` are paths in the image, None for smartos-live's; `prebuilt` maps paths in the image to
    files, `hooks` names to commands; `known` are the warnings that are not news, `boot_known` those of the boot files.
    """

    path: Path | None = None
    root_kib: int | None = None
    usr_kib: int | None = None
    complete: tuple[str, ...] | None = None
    prebuilt: Mapping[str, Path] = field(default_factory=dict)
    hooks: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    known: tuple[Known, ...] = ()
    boot_known: tuple[Known, ...] = ()


def read_config(path: Path, hooks: tuple[str, ...]) -> Config:
    """Return the configuration in a file; `hooks` are the names that there are.  Raise InputError for all slips."""
    import yaml  # noqa: PLC0415 - most builds have no such file

    data = _read(path)
    # YAML may begin with a byte order mark.
    mark = first_mark(data)
    if mark is not None and "merge" in mark[1]:
        raise InputError(f"found {mark[1]}", where=f"{path}:{mark[0]}")
    # Nodes know their lines, and every value is text: "on" and "2026-01-01" are words.  The C loader cannot stand deep
    # nesting.
    try:
        document = yaml.compose(data, yaml.BaseLoader)
    except yaml.MarkedYAMLError as error:
        line = f":{error.problem_mark.line + 1}" if error.problem_mark else ""
        raise InputError(f"not YAML: {error.problem}", where=f"{path}{line}") from error
    except yaml.YAMLError as error:
        raise InputError(f"not YAML: {error}", where=str(path)) from error
    except RecursionError:
        raise InputError("not a configuration: it is nested too deep", where=str(path)) from None
    reader = _Reader(path)
    top = reader.section(document, "the file", ("platform", "boot"))
    section = reader.section(top.get("platform"), "platform", _KEYS)
    boot = reader.section(top.get("boot"), "boot", ("known",))
    prebuilt = reader.section(section.get("prebuilt"), "prebuilt")
    commands = reader.section(section.get("hooks"), "hooks", hooks)
    complete = section.get("complete")
    config = Config(
        path=path,
        root_kib=reader.count(section.get("root-size"), "root-size"),
        usr_kib=reader.count(section.get("usr-size"), "usr-size"),
        complete=None if complete is None else tuple(one.strip("/") for one in reader.words(complete, "complete")),
        prebuilt={name.strip("/"): path.parent / reader.word(file, name) for name, file in prebuilt.items()},
        hooks={name: reader.command(command, name) for name, command in commands.items()},
        known=reader.known(section.get("known")),
        boot_known=reader.known(boot.get("known")),
    )
    heading = f"not a configuration: {len(reader.problems):,} problems"
    reader.problems.raise_if_any(InputError, heading, alone="", most=_MOST_SHOWN, where=str(path))
    return config


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
    """Return how a message shows a node's value: aliases make a short file hold lists that no screen could."""
    if isinstance(value, str):
        return repr(value) if len(value) <= _LONGEST_SHOWN else f"{value[:_LONGEST_SHOWN]!r}..."
    return "an empty list or mapping" if not value else "a list or mapping"


class _Reader:
    """Values of the file, checked: what is wrong is among `problems`, and something empty in its place."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self.problems = Problems()

    def section(self, node: "Node | None", name: str, known: tuple[str, ...] | None = None) -> "dict[str, Node]":
        """Return a mapping with words as keys, all of them known ones and none twice; nothing is an empty one."""
        return {} if node is None or not node.value else self.mapping(node, name, known)

    def mapping(self, node: "Node", name: str, known: tuple[str, ...] | None = None) -> "dict[str, Node]":
        """Return a mapping with words as keys, all of them known ones and none twice."""
        from yaml import MappingNode  # noqa: PLC0415 - as above

        if not isinstance(node, MappingNode):
            self._wrong(name, "a mapping", node)
            return {}
        found: dict[str, Node] = {}
        for key_node, value in node.value:
            key = self.word(key_node, f"a key of {name}")
            if not key:
                continue
            if known is not None and key not in known:
                near = nearest(key, known)
                hint = f"did you mean {near}?" if near else f"one of {', '.join(known)}"
                self._add(key_node, f"unknown key {_shown(key)} in {name}", hint)
            elif key in found:
                self._add(key_node, f"{_shown(key)} is in {name} twice")
            else:
                found[key] = value
        return found

    def items(self, node: "Node", name: str) -> "list[Node]":
        """Return the nodes of a list."""
        from yaml import SequenceNode  # noqa: PLC0415 - as above

        if not isinstance(node, SequenceNode):
            self._wrong(name, "a list", node)
            return []
        return list(node.value)

    def words(self, node: "Node", name: str) -> tuple[str, ...]:
        """Return a list of strings."""
        return tuple(self.word(item, name) for item in self.items(node, name))

    def command(self, node: "Node", name: str) -> tuple[str, ...]:
        """Return a list of strings that starts with a program."""
        if node.value == []:
            self._wrong(name, "a program and its arguments", node)
            return ()
        return self.words(node, name)

    def count(self, node: "Node | None", name: str) -> int | None:
        """Return a number of at least 1, or None when there is none."""
        if node is None:
            return None
        if not isinstance(node.value, str) or _NUMBER.fullmatch(node.value) is None:
            self._wrong(name, "a number", node)
            return None
        return int(node.value)

    def word(self, node: "Node", name: str) -> str:
        """Return a string."""
        if not isinstance(node.value, str) or not node.value:
            self._wrong(name, "a word", node)
            return ""
        return str(node.value)

    def known(self, node: "Node | None") -> tuple[Known, ...]:
        """Return the warnings that are known."""
        if node is None or not node.value:
            return ()
        entries = self.items(node, "known")
        if len(entries) > _MOST_KNOWN:
            self._add(node, f"known: {len(entries):,} entries; {_MOST_KNOWN:,} are the most")
            return ()
        return tuple(found for entry in entries if (found := self._known(entry)) is not None)

    def _known(self, entry: "Node") -> Known | None:
        before = len(self.problems)
        parts = self.mapping(entry, "an entry of known", ("code", "path", "reason"))
        missing = [part for part in ("code", "path") if part not in parts]
        if missing:
            if len(self.problems) == before:
                self._add(entry, f"an entry of known lacks its {' and its '.join(missing)}")
            return None
        code = self.word(parts["code"], "code")
        if code and code not in CAN_BE_KNOWN:
            hint = "docs/lint.md explains the codes; errors are never quiet"
            self._add(parts["code"], f"code: {_shown(code)} is no warning", hint)
        if "reason" in parts:
            self.word(parts["reason"], "reason")
        return Known(code, self.word(parts["path"], "path").strip("/"), self._where(entry))

    def _where(self, node: "Node") -> str:
        return f"{self._path}:{node.start_mark.line + 1}"

    def _add(self, node: "Node", what: str, hint: str | None = None) -> None:
        self.problems.add(self._where(node), what, hint)

    def _wrong(self, name: str, expected: str, node: "Node") -> None:
        self._add(node, f"{name}: expected {expected}, found {_shown(node.value)}")
