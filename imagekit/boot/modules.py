"""Boot modules: files that the boot program loads for the kernel, which shows them in /system/boot.

The kernel (illumos uts/i86pc/dboot) takes from a module's string `type=` and `name=`; a module of type hash holds the
SHA-1, 40 hex digits and a newline, of the module of the same name, and the kernel stops when the two do not agree.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagekit.content import Bytes, Content, DiskFile
from imagekit.errors import InputError, Problems, Thing

RESERVED = ("ramdisk", "boot_archive")
"""Names of the boot archive's own module."""

_PART = re.compile(r"[A-Za-z0-9_.+@-]+")
LARGEST = 1 << 30
"""Bytes: boot programs keep modules in memory below 4 GiB, together with the boot archive."""


@dataclass(frozen=True, slots=True)
class ModuleRequest:
    """A file that was named as a module; `name` is its path in /system/boot."""

    path: Path
    name: str

    @classmethod
    def parse(cls, text: str) -> "ModuleRequest":
        """Return the module that `FILE[:NAME]` names; the name is the file's own unless given."""
        path, colon, name = text.rpartition(":")
        if not colon or Path(text).is_file():
            path, name = text, Path(text).name
        return cls(Path(path), name.lstrip("/"))


@dataclass(frozen=True, slots=True)
class Module:
    """A module as it goes onto a medium: `name` is its path in /system/boot, `digest` its SHA-1 in hex."""

    name: str
    content: Content
    digest: str

    @property
    def hash_content(self) -> Content:
        """What is in the file beside it, NAME.hash."""
        return Bytes(f"{self.digest}\n".encode(), f"hash of {self.content.origin}")


def read_modules(requests: Iterable[ModuleRequest]) -> tuple[Module, ...]:
    """Read the files that were named; raise InputError for all that cannot be modules, together."""
    import hashlib  # noqa: PLC0415 - slow to import, and most commands have no modules

    modules: list[Module] = []
    problems = Problems()
    for request in requests:
        problem = _problem(request, [module.name for module in modules])
        if problem:
            problems.add(str(request.path), problem)
            continue
        content = DiskFile(request.path)
        digest = hashlib.sha1(usedforsecurity=False)
        for block in content.blocks():
            digest.update(block)
        modules.append(Module(request.name, content, digest.hexdigest()))
    problems.raise_if_any(
        InputError,
        "these cannot be boot modules",
        alone="",
        hint=f"write {Thing.MODULE} FILE[:NAME]; NAME is the file's path in /system/boot, such as etc/system",
    )
    return tuple(modules)


def _problem(request: ModuleRequest, taken: Sequence[str]) -> str | None:
    path, name = request.path, request.name
    if not path.is_file():
        return "no regular file" if path.exists() else "no such file"
    size = path.stat().st_size
    if not size:
        return "empty, and boot programs load no empty file"
    if size > LARGEST:
        return f"{size:,} bytes; modules share the memory below 4 GiB with the boot archive"
    return name_problem(name, taken)


def name_problem(name: str, taken: Sequence[str]) -> str | None:
    """Return why a module beside those of the names `taken` cannot have this name, or None."""
    parts = name.split("/")
    if any(part in {".", ".."} or not _PART.fullmatch(part) for part in parts):
        return f"{name!r} is no name for a module: letters, digits and _ . - + @, in parts separated by /"
    if name in RESERVED or name.endswith(".hash"):
        return f"the name {name!r} is taken by the boot archive or by hashes"
    for other in taken:
        if other == name or other.startswith(f"{name}/") or name.startswith(f"{other}/"):
            return f"the name {name!r} clashes with the module {other!r}"
    return None


def loader_variables(names: Iterable[str], folder: str, taken: Iterable[str] = ()) -> list[tuple[str, str]]:
    """Return the variables of loader.conf, in order, that load modules of these names in `folder` of the medium.

    Those of other modules begin with the names `taken`.
    """
    variables: list[tuple[str, str]] = []
    used = set(taken)
    for module in names:
        prefix = stem = "module_" + re.sub(r"[^A-Za-z0-9]+", "_", module)[:40]
        number = 1
        while prefix in used:
            number += 1
            prefix = f"{stem}_{number}"
        used.add(prefix)
        for name, kind, suffix in ((prefix, "file", ""), (f"{prefix}.hash", "hash", ".hash")):
            variables += [
                (f"{name}_load", "YES"),
                (f"{name}_type", kind),
                (f"{name}_name", f"/{folder}/{module}{suffix}"),
                (f"{name}_flags", f"name={module}"),
            ]
    return variables
