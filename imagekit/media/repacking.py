"""What a new medium keeps of a loader.conf that came with its boot files: all that was not asked for anew.

A build's proto.boot has none.  A medium has one, with its console, its modules, its answers, and what its owner added.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from imagekit.boot.console import BAUD_RATES, DEFAULT_BAUD, SERIAL_PORTS, Console
from imagekit.boot.loader_conf import MODULE_ENDINGS, loader_conf
from imagekit.boot.loader_reading import LoaderReading, conf_bytes, os_console
from imagekit.boot.modules import Module, loader_variables
from imagekit.boot.places import LOADER_CONF, PLATFORM
from imagekit.content import Content
from imagekit.platform.archive import check_hash, sha1_of
from imagekit.tree import File, Tree

_CONSOLE_NAMES = ("console", "os_console", *(f"{port}-mode" for port in SERIAL_PORTS))
_KERNELS = ("bootfile", "kernel")
_TRITON = "headnode"
"""A variable that only the loader.conf of a Triton USB key sets; its others would make no SmartOS medium."""


@dataclass(frozen=True, slots=True)
class LoaderConf:
    """A new loader.conf: its console and text, files that it makes useless, and what was dropped, for the user."""

    console: Console
    text: bytes
    unused: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Line:
    """A setting as it stands in the old file."""

    name: str
    value: str
    text: str


@dataclass(slots=True)
class _Module:
    """The settings X_load, X_name and so on of one module; `path` is its file, `kernel_name` what the kernel calls it.

    Its hash is another one of these.
    """

    lines: list[_Line]
    path: str = ""
    kernel_name: str = ""
    is_hash: bool = False


def new_loader_conf(tree: Tree, chosen: Console | None, modules: Sequence[Module], folder: str) -> LoaderConf:
    """Return the loader.conf of a medium with the contents `tree`, the old one among them, and new modules in `folder`.

    The old one's settings stand, but for the console when one is `chosen`, for modules that come anew, and for what
    names files that are not there: that is dropped with a warning.  InputError for a module that is not the one of its
    hash: the kernel would stop at once.
    """
    names = [module.name for module in modules]
    old = tree.get(LOADER_CONF)
    if not isinstance(old, File):
        console = chosen or Console()
        return LoaderConf(console, loader_conf(console, loader_variables(names, folder)))
    lines, warnings = _read(old.content)
    where = old.content.origin
    console = chosen or _console_of(lines)
    others = [line for line in lines if _prefix(line.name) is None]
    groups = _modules(lines)
    if any(line.name == _TRITON for line in lines):
        dropped = [line.name for line in lines if line.name not in _CONSOLE_NAMES]
        warnings.append(f"{where}: of a Triton USB key; dropped: {', '.join(dropped)}")
        unused = [group.path for group in groups.values()]
        others, groups = [line for line in others if line.name in _CONSOLE_NAMES], {}
    else:
        unused = [group.path for group in groups.values() if _comes_anew(group, names, folder)]
        groups = {prefix: group for prefix, group in groups.items() if not _comes_anew(group, names, folder)}
        for prefix, group in list(groups.items()):
            if group.path and group.path not in tree:
                warnings.append(f"{where}: {prefix}_name is dropped: /{group.path} is not on this medium")
                del groups[prefix]
        for line in [line for line in others if line.name in _KERNELS and _place(line.value) not in tree]:
            warnings.append(f"{where}: {line.name} is dropped: /{_place(line.value)} is not on this medium")
            others.remove(line)
    if chosen is not None:
        ours = {"console", "os_console", f"{chosen.device}-mode"}
        others = [line for line in others if line.name not in ours]
    _check_hashes(tree, groups)
    used = {group.path for group in groups.values()}
    return LoaderConf(
        console,
        _text(console, others, groups, names, folder),
        tuple(path for path in unused if path not in used and _is_boot_file(tree, path)),
        tuple(warnings),
    )


def own_settings(tree: Tree) -> tuple[list[str], set[str]]:
    """Return what boot files' own loader.conf sets beyond what every medium has, and the files of its modules.

    The former are names of variables, and of modules one each.
    """
    old = tree.get(LOADER_CONF)
    if not isinstance(old, File):
        return [], set()
    lines, _ = _read(old.content)
    standard = loader_conf(Console()).decode("ascii").splitlines()
    names = (_prefix(line.name) or line.name for line in lines if line.text not in standard)
    return list(dict.fromkeys(names)), {group.path for group in _modules(lines).values()}


def _read(content: Content) -> tuple[list[_Line], list[str]]:
    """Return what the loader takes from an old file, in the order of its lines, and what it does not."""
    data = conf_bytes(content)
    reading = LoaderReading()
    reading.read(content.origin, data)
    text = data.decode("latin-1").split("\n")
    lines = [
        _Line(name, setting.value, text[setting.line - 1].strip())
        for name, setting in sorted(reading.settings.items(), key=lambda item: item[1].line)
    ]
    return lines, [f"{fault}; it is not kept" for fault in reading.faults]


def _console_of(lines: Iterable[_Line]) -> Console:
    values = {line.name: line.value for line in lines}
    device = os_console(values) or "text"
    speed = values.get(f"{device}-mode", "").partition(",")[0]
    known = device in SERIAL_PORTS and speed in map(str, BAUD_RATES)
    return Console(device, int(speed) if known else DEFAULT_BAUD)


def _prefix(name: str) -> str | None:
    """Return the name of a module of which a variable tells something, or None."""
    endings = [ending for ending in MODULE_ENDINGS if name.endswith(ending) and name != ending]
    return name.removesuffix(endings[0]) if endings else None


def _modules(lines: Iterable[_Line]) -> dict[str, _Module]:
    groups: dict[str, _Module] = {}
    for line in lines:
        prefix = _prefix(line.name)
        if prefix is None:
            continue
        group = groups.setdefault(prefix, _Module([]))
        group.lines.append(line)
        value = line.value.strip("\"'")
        match line.name.removeprefix(prefix):
            case "_name":
                group.path = _place(value)
            case "_type":
                group.is_hash = value == "hash"
            case "_flags":
                flags = [word.removeprefix("name=") for word in value.split() if word.startswith("name=")]
                group.kernel_name = flags[0].lstrip("/") if flags else ""
    for group in groups.values():
        group.kernel_name = group.kernel_name or group.path
    return groups


def _place(value: str) -> str:
    """Return where on the medium a file is that a setting names."""
    return (value.split() or [""])[0].lstrip("/").replace("${ISADIR}", "amd64")


def _comes_anew(group: _Module, names: Sequence[str], folder: str) -> bool:
    return group.kernel_name in names or any(group.path in {f"{folder}/{n}", f"{folder}/{n}.hash"} for n in names)


def _is_boot_file(tree: Tree, path: str) -> bool:
    return isinstance(tree.get(path), File) and not path.startswith(f"{PLATFORM}/")


def _check_hashes(tree: Tree, groups: dict[str, _Module]) -> None:
    contents = {one.kernel_name: tree.get(one.path) for one in groups.values() if not one.is_hash}
    for group in groups.values():
        noted, file = tree.get(group.path), contents.get(group.kernel_name)
        if group.is_hash and isinstance(noted, File) and isinstance(file, File):
            check_hash(noted.content, sha1_of(file.content), f"module {group.kernel_name}")


def _text(
    console: Console, others: Sequence[_Line], groups: dict[str, _Module], names: Sequence[str], folder: str
) -> bytes:
    """Return the file: what every medium has, in its place or as it was, then what was added, then new modules."""
    kept = {line.name: line.text for line in others}
    standard = loader_conf(console).decode("ascii").splitlines()
    lines = [kept.pop(line.partition("=")[0], line) for line in standard]
    lines += kept.values()
    lines += (line.text for group in groups.values() for line in group.lines)
    new = loader_conf(console, loader_variables(names, folder, groups)).decode("ascii").splitlines()
    lines += new[len(standard) :]
    return "".join(f"{line}\n" for line in lines).encode("latin-1")
