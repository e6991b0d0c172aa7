"""The plan of a PXE directory: what it will hold, what is new, what goes, and what will not work as expected."""

import contextlib
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from imagekit.boot.console import Console
from imagekit.boot.ipxe import ARCHIVE_LIMIT, limit_warnings
from imagekit.boot.kernel_arguments import disagreements
from imagekit.boot.loader_conf import is_kept_back
from imagekit.boot.modules import Module
from imagekit.boot.places import DEFAULTS, LOADER, LOADER_CONF, PLATFORM, PRIVATE_ANSWERS
from imagekit.content import Composite, Content
from imagekit.errors import InputError, PlanError, Thing
from imagekit.files.output import OutputFolder, Outputs
from imagekit.files.rehearsal import Rehearsal
from imagekit.interrupts import held
from imagekit.media.additions import age_warnings, answers_of
from imagekit.media.medium import loader_conf_warnings
from imagekit.media.pxe import existing, publish
from imagekit.media.pxe.catalog import INDEX, PLATFORMS, Catalog, Platform, platform_folder, script_path
from imagekit.media.pxe.combine import combine
from imagekit.media.pxe.index import index_text, parse_catalog, read_index
from imagekit.media.pxe.request import (
    Found,
    PxeRequest,
    loader_files,
    module_contents,
    read_platform,
    served_content,
    text_content,
)
from imagekit.media.pxe.texts import SUMS, boot_of, generated, prefix, sums
from imagekit.media.pxe.uefi import plan_image
from imagekit.media.repacking import own_settings
from imagekit.media.sources import Sources, find_sources
from imagekit.product import Product
from imagekit.progress import Show, unseen


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A PXE directory with everything decided and nothing written.

    `folders` are new folders of files (a platform, a set of modules): name: {path in the directory: content}.
    `images` are new ISO images for UEFI machines, by path; `files` are single files, in the order in which they should
    appear; `gone` is what is removed at the end.
    `index` is the index that was found, for the check that nobody changed it since.
    """

    output: Path
    catalog: Catalog
    index: bytes | None
    folders: Mapping[str, Mapping[str, Content]]
    images: Mapping[str, Composite]
    files: Mapping[str, Content]
    gone: tuple[str, ...]
    share: bool
    warnings: tuple[str, ...]

    def lines(self) -> Iterator[str]:
        """Return the plan as text."""
        yield f"PXE directory  {self.output}"
        yield f"layout         {self.catalog.layout}"
        yield f"URIs           {prefix(self.catalog) or 'relative to the scripts'}"
        yield f"console        {self.catalog.console}"
        yield f"default        {self.catalog.default_stamp}"
        for platform in self.catalog.platforms:
            new = " (new)" if platform_folder(platform.stamp) in self.folders else ""
            yield f"platform       {platform.stamp}{new}, boot archive {platform.archive.size:,} bytes"
        for script in self.catalog.scripts:
            yield f"script         {script.path}: unix {boot_of(self.catalog, script).arguments(script.console)}"
            for module in boot_of(self.catalog, script).modules():
                yield f"  module       {module.text()}"
            if script.iso:
                yield f"  under UEFI   {script.iso.path}, {script.iso.size:,} bytes"
        for contents in self.folders.values():
            yield from (f"write          {path}, {content.size:,} bytes" for path, content in contents.items())
        singles = {**self.images, **self.files}
        yield from (f"write          {path}, {content.size:,} bytes" for path, content in singles.items())
        yield from (f"remove         {path}" for path in self.gone)

    def data(self) -> dict[str, object]:
        """Return the plan as data."""
        return {
            "kind": "pxe",
            "output": str(self.output),
            **self.catalog.data(),
            "boots": [
                {
                    "script": script.path,
                    "arguments": boot_of(self.catalog, script).arguments(script.console),
                    "modules": [module.text() for module in boot_of(self.catalog, script).modules()],
                }
                for script in self.catalog.scripts
            ],
            "write": [path for contents in self.folders.values() for path in contents] + [*self.images, *self.files],
            "remove": list(self.gone),
            "warnings": list(self.warnings),
        }

    def rehearse(self, outputs: Rehearsal) -> None:
        """Name the outputs, for what would keep them from being made."""
        outputs.folder_that_stays(self.output)
        for name in self.folders:
            outputs.folder(self.output / name)
        for name in (*self.images, *self.files):
            outputs.file(self.output / name)

    def write(self, _show: Show = unseen) -> list[Product]:
        """Write what is new, the menu last, then remove what is gone; return the summaries of the scripts.

        Planning and writing belong into one `locked` block.
        """
        started = time.monotonic()
        if read_index(self.output) != self.index:
            raise PlanError(f"{INDEX} changed meanwhile", where=str(self.output), hint="run imagekit again")
        with contextlib.ExitStack() as until_removed:
            with Outputs() as outputs:
                for name, contents in self.folders.items():
                    self._fill(outputs.folder(self.output / name), name, contents)
                for path, image in self.images.items():
                    publish.put_image(image, outputs.file(self.output / path))
                for path, content in self.files.items():
                    output = outputs.file(self.output / path)
                    for block in content.blocks():
                        output.write(block)
                for path in self.gone:
                    outputs.remove(self.output / path)
                until_removed.enter_context(held())  # until the folders that are empty then are gone, too
            publish.remove_empty_above(self.output, self.gone)
        seconds = time.monotonic() - started
        return [
            Product(self.output / path, file.size, file.sha256, seconds)
            for path, content in self.files.items()
            if ".ipxe" in path
            for file in [served_content(path, content)]
        ]

    def _fill(self, folder: OutputFolder, name: str, contents: Mapping[str, Content]) -> None:
        for path, content in contents.items():
            # A file of answers may be edited in place one day; then it must not change here, behind its hash's back.
            publish.put(
                content, folder, path.removeprefix(f"{name}/"), share=self.share and name.startswith(f"{PLATFORMS}/")
            )


def plan(request: PxeRequest) -> Plan:
    """Decide everything about a PXE directory; raise InputError or PlanError for all that can be known to fail."""
    if request.output.exists() and not request.output.is_dir():
        raise InputError("not a folder", where=str(request.output), hint=f"name a folder with {Thing.OUTPUT}")
    index = read_index(request.output)
    old = None if index is None else parse_catalog(index, str(request.output / INDEX))
    modules, warnings = request.additions.read()
    every = [find_sources(one, boot_required=False) for one in request.sources]
    for sources in every:
        warnings += (warning for warning in sources.warnings if warning not in warnings)
        if answers_of(modules) is not None:
            warnings += age_warnings(sources.stamp, has_medium=False)
    found = [read_platform(sources) for sources in every]
    loader = {path: content for sources in every[:1] for path, content in loader_files(sources)}
    for sources in every[:1]:
        warnings += loader_conf_warnings(sources.boot, request.console or (old.console if old else Console()))
        own, _ = own_settings(sources.boot)
        if own:
            warnings.append(
                f"{sources.boot_origin}: its {LOADER_CONF} is not taken into the directory: {', '.join(own)}; "
                f"use {Thing.CONSOLE}, {Thing.PROPERTIES}, {Thing.MODULE} and {Thing.ANSWERS}"
            )
        if PRIVATE_ANSWERS in sources.boot:
            instead = "" if request.additions.answers else f"; use {Thing.ANSWERS}"
            warnings.append(f"{sources.boot_origin}: its {PRIVATE_ANSWERS} is not taken into the directory{instead}")
    catalog, places = combine(request, old, found, modules)
    catalog = replace(
        catalog,
        loader=tuple(served_content(path, content) for path, content in loader.items()) if loader else catalog.loader,
    )
    catalog, images, image_warnings = _with_images(catalog, found, every, modules)
    warnings += image_warnings
    folders: dict[str, Mapping[str, Content]] = {}
    for one in found:
        if not existing.is_there(request.output, old, one, replace=request.replace):
            folders[platform_folder(one.platform.stamp)] = one.contents
    known = {file.path: file for file in old.served()} if old else {}

    def is_new(path: str, content: Content) -> bool:
        return known.get(path) != served_content(path, content) or not (request.output / path).is_file()

    for folder in places:
        contents = {path: content for one in modules for path, content in module_contents(one, folder).items()}
        before = {path for path in known if path.startswith(f"{folder}/")}
        if before != contents.keys() or any(is_new(path, content) for path, content in contents.items()):
            folders[folder] = contents
    images = {
        path: image for path, image in images.items() if not existing.has_image(request.output, known, catalog, path)
    }
    files = {path: content for path, content in loader.items() if is_new(path, content)}
    texts = {path: text_content(path, text) for path, text in generated(catalog).items()}
    files |= texts
    listed = {file.path: file.sha256 for file in catalog.served()}
    listed |= {path: served_content(path, content).sha256 for path, content in texts.items()}
    files = _before_menu(files, INDEX, text_content(INDEX, index_text(catalog, request.output)))
    listed[INDEX] = served_content(INDEX, files[INDEX]).sha256
    files = _before_menu(files, SUMS, text_content(SUMS, sums(listed)))
    gone = existing.gone(old, catalog)
    existing.check_free(request.output, old, [*images, *files])
    existing.check_others(request.output, old, catalog, [*folders, *gone])
    warnings += _warnings(request, catalog, found)
    return Plan(
        output=request.output,
        catalog=catalog,
        index=index,
        folders=folders,
        images=images,
        files=files,
        gone=gone,
        share=request.share,
        warnings=tuple(warnings),
    )


def _before_menu(files: dict[str, Content], path: str, content: Content) -> dict[str, Content]:
    """Put a file before the last one, the menu: what clients start from appears when all else is there."""
    *names, last = files
    return {name: files[name] for name in names} | {path: content, last: files[last]}


def _with_images(
    catalog: Catalog, found: Sequence[Found], every: Sequence[Sources], modules: Sequence[Module]
) -> tuple[Catalog, dict[str, Composite], list[str]]:
    """Return the catalog with images for UEFI machines, their contents by path, and warnings."""
    scripts = {script.path: script for script in catalog.scripts}
    images: dict[str, Composite] = {}
    warnings: list[str] = []
    without: list[str] = []
    for one, sources in zip(found, every, strict=True) if catalog.wants_images else ():
        if catalog.uefi != "iso" and LOADER not in sources.programs:
            without.append(one.platform.stamp)
            continue
        loader, boot = sources.program(LOADER), dict(loader_files(sources))
        if DEFAULTS not in boot:
            warnings.append(f"{DEFAULTS} is missing: the UEFI loader finds its root file system by it")
        path = script_path(one.platform.stamp, None)
        served, image = plan_image(scripts[path], one, loader, boot, modules)
        scripts[path] = replace(scripts[path], iso=served)
        images[served.path] = image
    if without:
        warnings.append(
            f"no {LOADER} among boot files, so no ISO image for UEFI machines: to boot {', '.join(without)}, they "
            "need an iPXE with multiboot 2, such as Triton's"
        )
    return replace(catalog, scripts=tuple(scripts[path] for path in sorted(scripts))), images, warnings


def _warnings(request: PxeRequest, catalog: Catalog, found: Sequence[Found]) -> list[str]:
    """Return what will not boot, or not as expected."""
    warnings = []
    properties = {one.name: one.value for one in request.properties}
    warnings += disagreements(properties, catalog.console)
    if catalog.loader:
        warnings += (
            f"{Thing.PROPERTIES} {name}=... reaches the kernel by iPXE only: "
            "from the loader it takes no variable of such a name"
            for name in properties
            if is_kept_back(name)
        )
    new = {one.platform.stamp for one in found}
    for script in catalog.scripts:
        if script.stamp in new:
            boot = boot_of(catalog, script)
            warnings += limit_warnings(boot, script.console, prefix(catalog), with_menu=script.mac is None)
    for one in found:
        warnings += _archive_warning(one.platform)
    warnings += _uefi_warnings(request, catalog, new)
    # Those that are to be removed are there as yet.
    names = {platform.stamp for platform in catalog.platforms} | {stamp.text for stamp in request.remove}
    place = request.output / PLATFORMS
    for folder in sorted(place.iterdir()) if place.is_dir() else ():
        if folder.is_dir() and not folder.name.startswith(".") and folder.name not in names:
            wrong = "" if (folder / PLATFORM).is_dir() else f": no folder named {PLATFORM} in it, so it would not boot"
            warnings.append(f"{folder} is in no menu, imagekit did not put it there{wrong}")
    return warnings


def _uefi_warnings(request: PxeRequest, catalog: Catalog, new: set[str]) -> Iterator[str]:
    """Yield what UEFI machines will miss; that there are no boot files is told elsewhere."""
    if catalog.url.startswith("tftp:") and catalog.uefi != "multiboot2" and catalog.layout == "smartos":
        yield (
            f"{Thing.URL} {catalog.url}: iPXE boots no ISO image over TFTP, so UEFI machines need one with "
            f"multiboot 2, such as Triton's; give an http:// URL, or {Thing.UEFI} multiboot2 to have this said no more"
        )
    old = [script.stamp for script in catalog.scripts if not script.iso and script.stamp not in new]
    if catalog.wants_images and old and (catalog.has_images or request.uefi == "iso"):
        yield (
            f"no ISO image for UEFI machines of {', '.join(sorted(old))}: name them once more with {Thing.PLATFORM}, "
            f"and boot files with {Thing.BOOT}"
        )


def _archive_warning(platform: Platform) -> Iterator[str]:
    if platform.archive.size > ARCHIVE_LIMIT:
        yield (
            f"{platform.stamp}: a boot archive of {platform.archive.size:,} bytes; above {ARCHIVE_LIMIT:,} stock iPXE "
            'was reported to fail with "Requested memory not available": use Triton\'s iPXE or the illumos loader'
        )
