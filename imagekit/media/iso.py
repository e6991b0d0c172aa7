"""ISO images: Rock Ridge, bootable from CD by El Torito under BIOS (cdboot) and UEFI (efiboot.img).

What lies where is that of smartos-live's tools/build_boot_image -I.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath

from imagekit.boot.console import Console
from imagekit.boot.modules import Module
from imagekit.boot.places import BOOTFS, CDBOOT, EFIBOOT, ISOBOOT, LOADER, PMBR
from imagekit.clock import derived_uuid
from imagekit.content import Composite
from imagekit.errors import PlanError, Thing
from imagekit.files.output import Outputs
from imagekit.files.rehearsal import Rehearsal
from imagekit.formats import fat, gpt
from imagekit.formats import iso as iso9660
from imagekit.formats.iso.layout import SECTOR
from imagekit.media import hybrid
from imagekit.media.additions import Additions
from imagekit.media.medium import Medium, find_medium, plan_esp
from imagekit.media.sources import SourceRequest
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
    disk: gpt.GptPlan | None
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
    needed = (LOADER, CDBOOT, *([PMBR] if request.hybrid else []))
    wanted = [ISOBOOT] if request.hybrid else []
    medium = find_medium(request.sources, request.console, request.additions, needed, wanted)
    ids = medium.ids("iso", str(medium.console))
    esp, volume = plan_volume(medium, ids, esp_size=request.esp_size, volume_id=request.volume_id)
    disk = None
    warnings = [*medium.warnings, *volume.warnings]
    if request.hybrid:
        isoboot = medium.programs.get(ISOBOOT)
        disk = hybrid.plan_disk(volume, EFIBOOT, medium.programs[PMBR], isoboot, ids)
        if isoboot is None:
            warnings.append(hybrid.NO_ISOBOOT)
    output = request.output or request.sources.root / "output-iso" / f"{medium.name}.iso"
    return Plan(output, medium.console, esp, volume, disk, tuple(warnings))


def plan_volume(
    medium: Medium,
    ids: Sequence[str],
    *,
    esp_size: int | None = None,
    volume_id: str | None = None,
    alignment: int = SECTOR,
) -> tuple[fat.FatPlan, iso9660.IsoPlan]:
    """Plan the volume of a medium: the boot programs of discs that it has come into its tree.

    Return its EFI system partition, of `esp_size` bytes or as many as the loader needs, and the volume.  Raise
    PlanError for a boot module that would not be loaded.
    """
    esp = plan_esp(medium.programs[LOADER], esp_size, time=medium.time, volume_id=derived_uuid(*ids).fields[0])
    programs = {**medium.programs, EFIBOOT: esp.content()}
    for path in (CDBOOT, EFIBOOT, ISOBOOT):
        if path in programs:
            file = File(path=path, mode=0o444, mtime=medium.time, user="root", group="root", content=programs[path])
            medium.tree.replace(file)
    # SeaBIOS boots only when the BIOS entry is the first, default one.
    bios = [iso9660.BootEntry(path=CDBOOT, platform="bios", boot_info_table=True)] if CDBOOT in programs else []
    volume = iso9660.plan(
        medium.tree,
        volume_id=volume_id or iso9660.volume_id_of(f"SMARTOS_{medium.stamp.text}" if medium.stamp else "SMARTOS"),
        time=medium.time,
        boot=[*bios, iso9660.BootEntry(path=EFIBOOT, platform="efi")],
        alignment=alignment,
    )
    _check_modules(volume, medium.modules)
    return esp, volume


def _check_modules(volume: iso9660.IsoPlan, modules: Sequence[Module]) -> None:
    """Raise PlanError for a module that the loader would not load from a disc, and boot on without it."""
    for module in modules:
        for path in (f"{BOOTFS}/{module.name}", f"{BOOTFS}/{module.name}.hash"):
            for place in (path, *map(str, PurePosixPath(path).parents)):
                if place in volume.unseen:
                    raise PlanError(
                        f"a boot module that would not be loaded from a disc: {volume.unseen[place]}",
                        where=module.content.origin,
                        hint=f"give it a shorter name: {Thing.MODULE} FILE:NAME; 172 bytes will do, 177 with .hash",
                    )
