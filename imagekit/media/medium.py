"""What lies on a medium: boot files at the top, the platform beside them, loader.conf for the chosen console."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from imagekit.boot.console import Console
from imagekit.boot.loader_conf import loader_conf
from imagekit.boot.loader_reading import conf_bytes, read_loader_files
from imagekit.boot.loader_warnings import loader_warnings
from imagekit.boot.modules import Module
from imagekit.boot.places import (
    ANSWERS,
    BIOS_LOADER,
    BOOT,
    BOOT_VERSION,
    BOOTFS,
    DEFAULTS,
    EFI_LOADER,
    LOADER_CONF,
    LOCAL,
    PLATFORM,
    PRIVATE_ANSWERS,
    READ_BY_LOADER,
    SNIPPETS,
)
from imagekit.clock import Stamp, build_time
from imagekit.content import Bytes, Content
from imagekit.errors import PlanError
from imagekit.formats import fat
from imagekit.media.additions import Additions, age_warnings, answers_of, private_warnings, reads_modules
from imagekit.media.repacking import LoaderConf, new_loader_conf
from imagekit.media.sources import SourceRequest, Sources, find_sources, version_text
from imagekit.platform.archive import check_boot_archive
from imagekit.platform.layout import PLATFORM_VERSION, ROOT_PASSWORD
from imagekit.tree import Directory, Entry, File, Tree

_ANSWERS = f"{BOOTFS}/{ANSWERS}"

_SMALL = 4096
"""Bytes of files whose content goes into the ids."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Medium:
    """What an image is made of: its root file system `tree`, and the boot `programs` outside of it, by path.

    All entries have the owner root, and the time of the build.  `modules` are those that were given.  Products are
    named after `name`.
    """

    name: str
    stamp: Stamp | None
    console: Console
    tree: Tree
    programs: Mapping[str, Content]
    modules: Sequence[Module]
    warnings: Sequence[str] = ()

    @property
    def time(self) -> int:
        """The time of all that is on the medium, in seconds since 1970."""
        return build_time(self.stamp)

    def ids(self, kind: str, *more: str) -> tuple[str, ...]:
        """Return what GUIDs and volume ids derive from.

        Of small files the content counts too; among them is boot_archive.hash, so another platform has other ids.
        """
        return (kind, self.name, *more, *_listing(self.tree))


def find_medium(
    request: SourceRequest,
    chosen: Console | None,
    additions: Additions,
    needed: Iterable[str],
    wanted: Iterable[str] = (),
) -> Medium:
    """Return a medium of what was asked for, with the boot programs that are `needed`, or `wanted` where there are any.

    Without a `chosen` console it is that of the boot files' own loader.conf, or text.  Raise InputError for what is
    missing, and for a platform that would not boot.
    """
    sources = find_sources(request)
    modules, warnings = additions.read()
    programs = {path: sources.program(path) for path in needed}
    programs |= {path: sources.programs[path] for path in wanted if path in sources.programs}
    check_boot_archive(sources.platform, sources.platform_origin)
    tree, conf = _tree(sources, chosen, modules)
    return Medium(
        name=sources.name,
        stamp=sources.stamp,
        console=conf.console,
        tree=tree,
        programs=programs,
        modules=modules,
        warnings=(
            *sources.warnings,
            *warnings,
            *_answers_warnings(sources, tree, modules),
            *conf.warnings,
            *_warnings_about(tree, conf.console),
        ),
    )


def _tree(sources: Sources, chosen: Console | None, modules: Sequence[Module]) -> tuple[Tree, LoaderConf]:
    """Return the root file system of a medium, and its loader.conf, which is in it."""
    time = build_time(sources.stamp)
    tree = Tree(Directory(path="", mtime=time))
    for entry in _in_order(sources):
        tree.add(replace(entry, mtime=time, uid=0, gid=0, user="root", group="root"))
    conf = new_loader_conf(tree, chosen, modules, BOOTFS)
    for path in conf.unused:
        tree.remove(path)
    _put(tree, LOADER_CONF, Bytes(conf.text, f"generated {LOADER_CONF}"), time)
    for module in modules:
        _put(tree, f"{BOOTFS}/{module.name}", module.content, time)
        _put(tree, f"{BOOTFS}/{module.name}.hash", module.hash_content, time)
    answers = tree.get(_ANSWERS)
    needed = answers_of(modules) is not None if PRIVATE_ANSWERS in tree else not reads_modules(sources.stamp)
    if isinstance(answers, File) and needed:
        _put(tree, PRIVATE_ANSWERS, answers.content, time)
    return tree, conf


def _answers_warnings(sources: Sources, tree: Tree, modules: Sequence[Module]) -> Iterator[str]:
    """Yield what will surprise in the answers on a medium; raise InputError for what setup could not read."""
    answers = tree.get(_ANSWERS)
    placed = answers if isinstance(answers, File) else None
    if placed is not None:
        yield from age_warnings(sources.stamp, has_medium=True)
    given = answers_of(modules) is not None
    yield from private_warnings(sources.boot, sources.boot_origin, placed, given=given)


def _put(tree: Tree, path: str, content: Content, time: int) -> None:
    tree.add_parents(path, mtime=time)
    tree.replace(File(path=path, mode=0o644, mtime=time, user="root", group="root", content=content))


def _in_order(sources: Sources) -> Iterator[Entry]:
    boot = [entry for entry in sources.boot if entry.path]
    yield from (entry for entry in boot if entry.path.split("/")[0] == BOOT)
    yield replace(sources.platform.root, path=PLATFORM)
    yield from (replace(entry, path=f"{PLATFORM}/{entry.path}") for entry in sources.platform if entry.path)
    yield from (entry for entry in boot if entry.path.split("/")[0] not in READ_BY_LOADER)


def plan_esp(loader: Content, size: int | None, *, time: int, volume_id: int, first_sector: int = 0) -> fat.FatPlan:
    """Plan the EFI system partition: the loader where firmware looks for it, and nothing to keep the loader there.

    `size` is in bytes, None for the smallest that holds the loader; `first_sector` is where the partition starts.
    Raise PlanError when the loader does not fit.
    """
    tree = Tree(Directory(path="", mtime=time))
    tree.add_parents(EFI_LOADER, mtime=time)
    tree.add(File(path=EFI_LOADER, mtime=time, content=loader))
    if size is None:
        size = fat.minimum_size(tree, kind=None)
    try:
        return fat.plan(tree, size, label="SYSTEM", kind=None, volume_id=volume_id, hidden_sectors=first_sector)
    except PlanError as error:
        raise error.at(f"EFI system partition with {loader.origin}") from None


def _warnings_about(tree: Tree, console: Console) -> list[str]:
    """Return what of a medium will not work as its user expects."""
    conf = tree[LOADER_CONF]
    assert isinstance(conf, File)
    found = loader_conf_warnings(tree, console, conf.content.read())
    if DEFAULTS not in tree:
        found.append(f"{DEFAULTS} is missing: the UEFI loader finds its root file system by it")
    password = tree.get(f"{PLATFORM}/{ROOT_PASSWORD}")
    if isinstance(password, File) and password.content.size:
        found.append(
            f"{PLATFORM}/{ROOT_PASSWORD}: root's password will lie on the medium in clear text, for whoever can read it"
        )
    if BIOS_LOADER not in tree:
        found.append(f"{BIOS_LOADER} is missing: a machine with a BIOS will not boot")
    boot = version_text(tree, BOOT_VERSION)
    platform = version_text(tree, f"{PLATFORM}/{PLATFORM_VERSION}")
    if boot != platform:
        found.append(
            f"{BOOT_VERSION} says {boot or 'nothing'}, {PLATFORM}/{PLATFORM_VERSION} says {platform or 'nothing'}: "
            "piadm(8) takes a medium only if they agree"
        )
    return found


def loader_conf_warnings(tree: Tree, console: Console, conf: bytes | None = None) -> list[str]:
    """Return what other loader.conf files among the boot files will undo of the generated one, `conf`."""
    snippets = []
    if isinstance(tree.get(SNIPPETS), Directory):
        snippets = sorted(entry.path for entry in tree.children(SNIPPETS) if isinstance(entry, File))

    def get(path: str) -> bytes | None:
        if path == LOADER_CONF:
            return conf or loader_conf(console)
        entry = tree.get(path)
        return conf_bytes(entry.content) if isinstance(entry, File) else None

    reading = read_loader_files(get, snippets)
    found = list(loader_warnings(reading, console))
    if LOCAL in tree and LOCAL not in reading.files:
        found.append(f"{LOCAL}: the loader does not read it: {DEFAULTS} names other files in loader_conf_files")
    return found


def _listing(tree: Tree) -> Iterator[str]:
    """Yield a line for each entry; of small files it tells the content."""
    for entry in tree:
        line = f"{entry.KIND} {entry.mode:o} {entry.path}"
        if isinstance(entry, File):
            line += f" {entry.content.size}"
            if entry.content.size <= _SMALL:
                line += f" {hashlib.sha256(entry.content.read()).hexdigest()}"
        yield line
