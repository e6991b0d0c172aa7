"""USB images: a GPT disk that boots under BIOS (pmbr, stage 2) and UEFI (ESP), its root a FAT32 file system.

The layout is that of smartos-live's tools/build_boot_image and tools/format_image: entry 0 "loader" is the ESP,
1 "boot" holds stage 2, 2 "root" boot files and platform, 8 "reserved" lies at the end.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from imagekit.boot.console import Console
from imagekit.boot.places import LOADER, PMBR, READ_BY_LOADER, STAGE2
from imagekit.boot.sectors import SECTOR, STAGE2_LIMIT, BootPrograms, read_boot_programs
from imagekit.clock import derived_uuid
from imagekit.content import Bytes, Composite
from imagekit.errors import InputError, PlanError, Thing
from imagekit.files.output import Outputs
from imagekit.files.rehearsal import Rehearsal
from imagekit.formats import fat, gpt, gzip
from imagekit.media.additions import Additions
from imagekit.media.medium import find_medium, plan_esp
from imagekit.media.sources import SourceRequest
from imagekit.product import Product, write_product
from imagekit.progress import Show, unseen
from imagekit.tree import Tree

DEFAULT_SIZE = 1_940_000_256
"""Bytes: fits sticks sold as 2 GB that are somewhat smaller."""

MEBIBYTE = 1 << 20
ALIGNMENT = MEBIBYTE // SECTOR
"""Partitions start and end at multiples of this many sectors."""

ESP_SIZE = 256 * MEBIBYTE
RESERVED_SECTORS = 16_384
LOADER_REACH = 4 << 30
"""Bytes from the start of the root partition that the loader can read: its offsets have 32 bits."""

MAP_NAME = "partition.map"
TAGS = {"loader": 12, "boot": 1, "root": 2, "reserved": 11}
"""VTOC tags by partition name (illumos sys/vtoc.h), for partition.map."""


@dataclass(frozen=True, slots=True)
class UsbRequest:
    """What was asked for.  `size` is in bytes, None for the smallest image that holds everything.

    `mbr_active` marks the entry of the protective MBR, for BIOSes that start only what has an active one.
    """

    sources: SourceRequest
    console: Console | None = None
    output: Path | None = None
    size: int | None = DEFAULT_SIZE
    compress: bool = True
    digest: bool = True
    mbr_active: bool = False
    level: gzip.Level = "close"
    additions: Additions = field(default_factory=Additions)


@dataclass(frozen=True, slots=True)
class Plan:
    """A USB image with everything decided and nothing written."""

    output: Path
    compress: bool
    digest: bool
    level: gzip.Level
    console: Console
    disk: gpt.GptPlan
    programs: BootPrograms
    esp: fat.FatPlan
    root: fat.FatPlan
    warnings: tuple[str, ...]

    @property
    def map_output(self) -> Path:
        """Where partition.map goes: beside the image."""
        return self.output.with_name(MAP_NAME)

    def partition(self, name: str) -> gpt.Partition:
        """Return the partition of this name."""
        return next(partition for partition in self.disk.partitions if partition.name == name)

    def partition_map(self) -> str:
        """Return partition.map: a line `NAME TAG START SIZE` a partition, in bytes, for sdc-headnode's scripts."""
        return "".join(f"{part.name} {TAGS[part.name]} {part.offset} {part.size}\n" for part in self.disk.partitions)

    def content(self) -> Composite:
        """Return the whole image."""
        root = self.partition("root")
        stage2 = Bytes(self.programs.patched_stage2(root.first_lba), "patched gptzfsboot")
        contents = {
            self.partition("loader").index: self.esp.content(),
            self.partition("boot").index: stage2,
            root.index: self.root.content(),
        }
        return self.disk.content(contents, origin=str(self.output))

    def lines(self) -> Iterator[str]:
        """Return the plan as text."""
        yield f"USB image  {self.output}{' (gzip)' if self.compress else ''}"
        yield f"map        {self.map_output}"
        yield f"size       {self.disk.size:,} bytes"
        yield f"console    {self.console}"
        yield f"stage 2    {self.programs.stage2_sectors} sectors at LBA {self.partition('boot').first_lba}"
        yield ""
        yield from self.disk.lines()
        for name, system in (("loader", self.esp), ("root", self.root)):
            yield ""
            yield f"in {name}:"
            yield from system.lines()

    def data(self) -> dict[str, object]:
        """Return the plan as data; sizes and offsets are in bytes."""
        return {
            "kind": "usb",
            "output": str(self.output),
            "partition_map": str(self.map_output),
            "compress": self.compress,
            "size": self.disk.size,
            "console": str(self.console),
            "stage2_sectors": self.programs.stage2_sectors,
            "disk_guid": str(self.disk.disk_guid),
            "partitions": [{**part.data(), "tag": TAGS[part.name]} for part in self.disk.partitions],
            "loader": self.esp.data(),
            "root": self.root.data(),
            "warnings": list(self.warnings),
        }

    def rehearse(self, outputs: Rehearsal) -> None:
        """Name the outputs, for what would keep them from being made."""
        outputs.file(self.output, None if self.compress else self.content())
        outputs.file(self.map_output)

    def write(self, show: Show = unseen) -> list[Product]:
        """Write the image and partition.map, both or neither; return the image's summary."""
        with Outputs() as outputs:
            product = write_product(
                outputs,
                self.output,
                self.content(),
                compress=self.compress,
                level=self.level,
                digest=self.digest,
                show=show,
            )
            outputs.file(self.map_output).write(self.partition_map().encode())
        return [product]


def plan(request: UsbRequest) -> Plan:
    """Decide everything about a USB image; raise InputError or PlanError for all that can be known to fail."""
    medium = find_medium(request.sources, request.console, request.additions, needed=(PMBR, STAGE2, LOADER))
    programs = read_boot_programs(medium.programs[PMBR], medium.programs[STAGE2])
    size = _size(request.size, medium.tree)
    ids = medium.ids("usb", str(medium.console), str(size))
    disk = _disk(size, programs, ids, active=request.mbr_active)
    parts = {part.name: part for part in disk.partitions}
    esp = plan_esp(
        medium.programs[LOADER],
        ESP_SIZE,
        time=medium.time,
        volume_id=derived_uuid(*ids, "volume loader").fields[0],
        first_sector=parts["loader"].first_lba,
    )
    root = fat.plan(
        medium.tree,
        parts["root"].size,
        label="SMARTOSBOOT",
        volume_id=derived_uuid(*ids, "volume root").fields[0],
        hidden_sectors=parts["root"].first_lba,
        first=READ_BY_LOADER,
    )
    _check_reach(root)
    output = request.output or request.sources.root / "output-usb" / f"{medium.name}.usb{'.gz' * request.compress}"
    if output.name == MAP_NAME:
        raise InputError(f"partition.map goes there, beside the image: {output}", hint="give the image another name")
    if not request.compress and output.suffix == ".gz":
        raise InputError(
            f"the name ends in .gz, and {Thing.NO_COMPRESS} writes the image as it is",
            where=str(output),
            hint=f"name it {output.stem}, or leave {Thing.NO_COMPRESS} out",
        )
    warnings = [*medium.warnings]
    if request.compress and output.suffix != ".gz":
        warnings.append(f"{output} will be compressed with gzip, though its name does not end in .gz")
    return Plan(
        output=output,
        compress=request.compress,
        digest=request.digest,
        level=request.level,
        console=medium.console,
        disk=disk,
        programs=programs,
        esp=esp,
        root=root,
        warnings=tuple(warnings),
    )


def _size(wanted: int | None, tree: Tree) -> int:
    """Return the size of the image in bytes, checked: the wanted one, or the smallest that holds the tree."""
    root_sectors = _aligned(fat.minimum_size(tree) // SECTOR)
    overhead = (_root_start() + RESERVED_SECTORS + gpt.FIRST_USABLE) * SECTOR
    smallest = overhead + root_sectors * SECTOR
    if wanted is None:
        return smallest
    if wanted % SECTOR:
        raise PlanError(f"an image of {wanted:,} bytes is not whole sectors", hint=f"give a multiple of {SECTOR} bytes")
    if wanted < smallest:
        raise PlanError(
            f"the platform does not fit: an image of {smallest:,} bytes would do, {wanted:,} are given",
            hint=f"give {Thing.SIZE} auto, or {Thing.SIZE} {smallest} or more",
        )
    return wanted


def _aligned(sectors: int) -> int:
    return -(-sectors // ALIGNMENT) * ALIGNMENT


def _root_start() -> int:
    return ALIGNMENT + (ESP_SIZE + STAGE2_LIMIT) // SECTOR


def _disk(size: int, programs: BootPrograms, ids: tuple[str, ...], *, active: bool) -> gpt.GptPlan:
    """Lay out the disk as format_image does: all but the reserved partition start and end at whole MiB."""
    end = gpt.last_usable(size) + 1
    reserved = end - RESERVED_SECTORS
    root = _root_start()
    boot = root - STAGE2_LIMIT // SECTOR
    layout = [
        (0, "loader", gpt.EFI_SYSTEM, ALIGNMENT, boot - ALIGNMENT),
        (1, "boot", gpt.ILLUMOS_BOOT, boot, root - boot),
        (2, "root", gpt.ILLUMOS_ROOT, root, (reserved - root) // ALIGNMENT * ALIGNMENT),
        (8, "reserved", gpt.ILLUMOS_RESERVED, reserved, RESERVED_SECTORS),
    ]
    return gpt.GptPlan(
        size=size,
        disk_guid=derived_uuid(*ids, "disk"),
        boot_code=programs.patched_pmbr(boot, derived_uuid(*ids, "pmbr")),
        active=active,
        partitions=[
            gpt.Partition(
                index=index,
                name=name,
                type_guid=kind,
                guid=derived_uuid(*ids, f"partition {name}"),
                first_lba=first,
                sectors=sectors,
            )
            for index, name, kind, first, sectors in layout
        ],
    )


def _check_reach(root: fat.FatPlan) -> None:
    """Raise PlanError when a file that the loader reads lies beyond what its 32 bit offsets reach."""
    for placed in root.placement.files:
        if placed.entry.path.split("/")[0] in READ_BY_LOADER and placed.end > LOADER_REACH:
            raise PlanError(
                f"ends {placed.end:,} bytes into its partition, and the loader reads only the first "
                f"{LOADER_REACH:,} right",
                where=f"/{placed.entry.path}",
                hint="the boot files and the platform together must be smaller",
            )
