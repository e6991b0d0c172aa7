"""USB images: a GPT disk that boots under BIOS (pmbr, stage 2) and UEFI (ESP), its root a FAT32 file system.

The layout is that of smartos-live's tools/build_boot_image and tools/format_image: entry 0 "loader" is the ESP,
1 "boot" holds stage 2, 2 "root" boot files and platform, 8 "reserved" lies at the end.
"""

import time as clock
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from imagekit.boot.console import Console
from imagekit.boot.sectors import SECTOR, STAGE2_LIMIT, BootPrograms, read_boot_programs
from imagekit.clock import build_time, derived_uuid
from imagekit.content import Composite
from imagekit.errors import PlanError
from imagekit.formats import fat, gpt
from imagekit.media.contents import LOADER, READ_BY_LOADER, esp_tree, medium_tree, warnings_about
from imagekit.media.product import Product, write_product
from imagekit.media.sources import Request as SourceRequest
from imagekit.media.sources import Sources, find_sources
from imagekit.output import Outputs

DEFAULT_SIZE = 1_940_000_256
"""Bytes: fits sticks sold as 2 GB that are somewhat smaller."""

MEBIBYTE = 1 << 20
ALIGNMENT = MEBIBYTE // SECTOR
"""Partitions start and end at multiples of this many sectors."""

ESP_SIZE = 256 * MEBIBYTE
RESERVED_SECTORS = 16_384
LOADER_LIMIT = 4 << 30
"""Bytes from the start of the root partition that the loader can read: its offsets have 32 bits."""

TAGS = {"loader": 12, "boot": 1, "root": 2, "reserved": 11}
"""VTOC tags by partition name (illumos sys/vtoc.h), for partition.map."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for.  `size` is in bytes, None for the smallest image that holds everything."""

    sources: SourceRequest
    console: Console
    output: Path | None = None
    size: int | None = DEFAULT_SIZE
    compress: bool = True


@dataclass(frozen=True, slots=True)
class Plan:
    """A USB image with everything decided and nothing written."""

    kind: ClassVar[str] = "usb"
    output: Path
    compress: bool
    console: Console
    time: int
    disk: gpt.GptDisk
    programs: BootPrograms
    esp: fat.FatPlan
    root: fat.FatPlan
    warnings: tuple[str, ...] = field(default=())

    @property
    def map_output(self) -> Path:
        """Where partition.map goes: beside the image."""
        return self.output.with_name("partition.map")

    def partition(self, name: str) -> gpt.Partition:
        """Return the partition of this name."""
        return next(partition for partition in self.disk.partitions if partition.name == name)

    def partition_map(self) -> str:
        """Return partition.map: a line `NAME TAG START SIZE` a partition, in bytes, for sdc-headnode's scripts."""
        return "".join(f"{part.name} {TAGS[part.name]} {part.offset} {part.size}\n" for part in self.disk.partitions)

    def content(self) -> Composite:
        """Return the whole image."""
        boot, root = self.partition("boot"), self.partition("root")
        pieces = list(self.disk.pieces())
        pieces.append((self.partition("loader").offset, self.esp.content()))
        pieces.append((boot.offset, gpt.as_content(self.programs.patched_stage2(root.first_lba), "patched gptzfsboot")))
        pieces.append((root.offset, self.root.content()))
        return Composite(self.disk.size, pieces, origin=str(self.output))

    def write(self) -> list[Product]:
        """Write the image and partition.map, both or none; return the image's summary."""
        with Outputs() as outputs:
            product = write_product(outputs, self.output, self.content(), compress=self.compress)
            outputs.file(self.map_output).write(self.partition_map().encode())
        return [product]
