"""ISO images: Rock Ridge, bootable from CD by El Torito under BIOS (cdboot) and UEFI (efiboot.img).

What lies where is that of smartos-live's tools/build_boot_image -I.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from imagekit.boot.console import Console
from imagekit.boot.modules import Module
from imagekit.boot.places import BOOTFS, CDBOOT, EFIBOOT, ISOBOOT, LOADER, PMBR
from imagekit.clock import build_time, derived_uuid
from imagekit.content import Composite
from imagekit.errors import PlanError
from imagekit.files.output import Outputs
from imagekit.files.rehearsal import Rehearsal
from imagekit.formats import fat, gpt
from imagekit.formats import iso as iso9660
from imagekit.media import hybrid
from imagekit.media.additions import Additions
from imagekit.media.contents import answers_warnings, listing, medium_tree, plan_esp, warnings_about
from imagekit.media.sources import SourceRequest, find_sources
from imagekit.product import Product, write_product
from imagekit.progress import Show, unseen
from imagekit.tree import File


@dataclass(frozen=True, slots=True)
class IsoRequest:
    """What was asked for.  `esp_size` is in bytes, None for what the loader needs; `hybrid` is for sticks, too."""

    sources: SourceRequest
    console: Console | None = None
    output: Path | None = None
    esp_size: int | None = None
    volume_id: str | None = None
    hybrid: bool = False
    additions: Additions = field(default_factory=Additions)


@dataclass(frozen=True, slots=True)
class Plan:
    """An ISO image with everything decided and nothing written; `disk` is what a hybrid one is on a stick."""

    output: Path
    console: Console
    esp: fat.FatPlan
    volume: iso9660.IsoPlan
    disk: gpt.GptDisk | None
    warnings: tuple[str, ...]

    def content(self) -> Composite:
        """Return the whole image."""
        return self.volume.content() if self.disk is None else hybrid.content(self.volume, self.disk)

    def lines(self) -> Iterator[str]:
        """Return the plan as text."""
        yield f"ISO image   {self.output}"
        yield f"console     {self.console}"
        yield f"ESP         {self.esp.format}, {self.esp.size:,} bytes"
        yield from self.volume.lines()
        if self.disk is not None:
            yield ""
            yield "on a stick:"
            yield from self.disk.lines()

    def data(self) -> dict[str, object]:
        """Return the plan as data."""
        return {
            "kind": "iso",
            "output": str(self.output),
            "console": str(self.console),
            "esp": self.esp.data(),
            "volume": self.volume.data(),
            "disk": None if self.disk is None else self.disk.data(),
            "warnings": list(self.warnings),
        }

    def rehearse(self, outputs: Rehearsal) -> None:
        """Name the outputs, for what would keep them from being made."""
        outputs.file(self.output, self.content())

    def write(self, show: Show = unseen) -> list[Product]:
        """Write the image; return its summary."""
        with Outputs() as outputs:
            return [write_product(outputs, self.output, self.content(), compress=False, show=show)]


def plan(request: IsoRequest) -> Plan:
    """Decide everything about an ISO image; raise InputError or PlanError for all that can be known to fail."""
    sources = find_sources(request.sources)
    modules, module_warnings = request.additions.read()
    time = build_time(sources.stamp)
    tree, conf = medium_tree(sources, request.console, time, modules)
    module_warnings += answers_warnings(sources, tree, modules)
    ids = ("iso", sources.name, str(conf.console), *listing(tree))
    esp = plan_esp(sources.boot_file(LOADER), request.esp_size, time=time, volume_id=derived_uuid(*ids).fields[0])
    isoboot = sources.isoboot if request.hybrid else None
    programs = {CDBOOT: sources.cdboot_file(), EFIBOOT: esp.content()}
    if isoboot is not None:
        programs[ISOBOOT] = isoboot
    for path, content in programs.items():
        tree.replace(File(path=path, mode=0o444, mtime=time, user="root", group="root", content=content))
    volume_id = request.volume_id or iso9660.volume_id_of(
        f"SMARTOS_{sources.stamp.text}" if sources.stamp else "SMARTOS"
    )
    volume = iso9660.plan(
        tree,
        volume_id=volume_id,
        time=time,
        boot=[
            # SeaBIOS boots only when the BIOS entry is the first, default one.
            iso9660.BootEntry(path=CDBOOT, platform="bios", boot_info_table=True),
            iso9660.BootEntry(path=EFIBOOT, platform="efi"),
        ],
    )
    check_modules(volume, modules)
    disk = None
    warnings = [
        *sources.warnings,
        *module_warnings,
        *conf.warnings,
        *warnings_about(tree, conf.console),
        *volume.warnings,
    ]
    if request.hybrid:
        disk = hybrid.plan_disk(volume, EFIBOOT, sources.boot_file(PMBR), isoboot, ids)
        if isoboot is None:
            warnings.append(hybrid.NO_ISOBOOT)
    output = request.output or request.sources.root / "output-iso" / f"{sources.name}.iso"
    return Plan(
        output,
        conf.console,
        esp,
        volume,
        disk,
        tuple(warnings),
    )


def check_modules(volume: iso9660.IsoPlan, modules: Sequence[Module]) -> None:
    """Raise PlanError for a module that the loader would not load from a disc, and boot on without it."""
    for module in modules:
        for path in (f"{BOOTFS}/{module.name}", f"{BOOTFS}/{module.name}.hash"):
            for place in (path, *map(str, PurePosixPath(path).parents)):
                if place in volume.unseen:
                    raise PlanError(
                        f"a boot module that would not be loaded from a disc: {volume.unseen[place]}",
                        where=module.content.origin,
                        hint="give it a shorter name: --module FILE:NAME; 172 bytes will do, 177 with .hash",
                    )
