"""The disk that an ISO image is at the same time: boot sector and partition table in its system area, over its files.

A BIOS starts pmbr, which loads boot/isoboot from where it lies in the volume; UEFI firmware finds efiboot.img as EFI
system partition.  Either loader takes a disk that begins with an ISO 9660 volume for that volume, whatever its
partitions (illumos usr/src/boot, common/part.c, ptable_open).
"""

import uuid

from imagekit.boot.places import ISOBOOT
from imagekit.boot.sectors import SECTOR, patched_pmbr, read_pmbr, read_stage2
from imagekit.clock import derived_uuid
from imagekit.content import Composite, Content
from imagekit.formats import gpt
from imagekit.formats import iso as iso9660

NO_ISOBOOT = f"{ISOBOOT} is missing: on a stick the image will start under UEFI alone"

_CD_SECTOR = 2048


def plan_disk(
    volume: iso9660.IsoPlan, esp: str, pmbr: Content, isoboot: Content | None, ids: tuple[str, ...]
) -> gpt.GptPlan:
    """Lay the disk over a planned volume; `esp` is the path of the EFI system partition in it.

    Without `isoboot`, which is the volume's file of that name, pmbr says under BIOS that there is no boot loader.
    Raise InputError for what is not a pmbr or not a stage 2.
    """
    (esp_image,) = (entry for entry in volume.boot if entry.path == esp)
    partitions = [_partition(0, "loader", gpt.EFI_SYSTEM, esp_image.sector, esp_image.size, ids)]
    sectors = lba = 0
    if isoboot is not None:
        program, _ = read_stage2(isoboot, "so it is no isoboot")
        partitions.append(_partition(1, "boot", gpt.ILLUMOS_BOOT, volume.files[ISOBOOT], len(program), ids))
        sectors, lba = -(-len(program) // SECTOR), partitions[1].first_lba
    return gpt.GptPlan(
        size=volume.size,
        disk_guid=derived_uuid(*ids, "disk"),
        partitions=partitions,
        boot_code=patched_pmbr(read_pmbr(pmbr), sectors, lba, derived_uuid(*ids, "pmbr")),
        entry_count=gpt.MOST_ENTRIES,
    )


def _partition(index: int, name: str, kind: uuid.UUID, sector: int, size: int, ids: tuple[str, ...]) -> gpt.Partition:
    """Return the partition that a file of the volume is: its first sector there, its size in bytes."""
    return gpt.Partition(
        index=index,
        name=name,
        type_guid=kind,
        guid=derived_uuid(*ids, f"partition {name}"),
        first_lba=sector * (_CD_SECTOR // SECTOR),
        sectors=-(-size // _CD_SECTOR) * (_CD_SECTOR // SECTOR),
    )


def content(volume: iso9660.IsoPlan, disk: gpt.GptPlan) -> Composite:
    """Return the image: the volume, with the disk's tables in its system area and in the padding at its end."""
    return Composite(volume.size, [*disk.pieces(), *volume.pieces()], f"hybrid {volume.volume_id}")
