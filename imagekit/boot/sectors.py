"""The two boot programs of a BIOS disk, and what an image must patch into them.

pmbr, in the first sector, loads stage 2 (gptzfsboot) from the "boot" partition; stage 2 finds the loader in the
"root" partition.  Offsets are those of illumos usr/src/boot/sys/boot (i386/pmbr/pmbr.s, common/mb_header.S) and of
smartos-live's tools/format_image.
"""

import struct
import uuid
from dataclasses import dataclass

from construct import Bytes, Const, Int8ul, Int16ul, Int64ul, Padding, Struct

from imagekit.content import Content
from imagekit.errors import InputError, Thing

SECTOR = 512
STAGE2_LIMIT = 1 << 20
"""The size of the "boot" partition in bytes."""

IMAGE_VERSION = (2, 0)
"""Major and minor version; usb-key.sh of Triton reads them to find the root file system."""

PMBR = Struct(
    "jump" / Bytes(3),
    "parameter_block" / Padding(0x3B),  # BIOS parameter block: unused on such a disk, zeroed
    "code" / Bytes(0xFA - 0x3E),
    "version_major" / Int8ul,
    "version_minor" / Int8ul,
    "stage2_sectors" / Int16ul,
    "stage2_lba" / Int64ul,
    "uuid" / Bytes(16),
    "rest" / Bytes(0x1FE - 0x116),
    "signature" / Const(b"\x55\xaa"),
)

MULTIBOOT_MAGIC = 0x1BADB002
MULTIBOOT_SCAN = 32 * 1024
"""The header lies in the first 32 KiB, at a multiple of 4 bytes; never at a fixed place."""
_ROOT_LBA_OFFSET = 24
"""bss_end_addr and entry_addr of the header together: a 64 bit LBA (little-endian)."""

_CURE = (
    f"take pmbr, gptzfsboot and isoboot from a build's proto.boot or proto, or name a folder of them with {Thing.BOOT}"
)


@dataclass(frozen=True, slots=True)
class BootPrograms:
    """pmbr and stage 2 as found, checked and not yet patched; `stage2` is padded to whole sectors."""

    pmbr: bytes
    stage2: bytes
    multiboot_offset: int

    @property
    def stage2_sectors(self) -> int:
        """The length of stage 2 in sectors: pmbr loads exactly so many."""
        return len(self.stage2) // SECTOR

    def patched_pmbr(self, stage2_lba: int, identity: uuid.UUID) -> bytes:
        """Return the 512 bytes of the first sector, for a stage 2 at this LBA."""
        return patched_pmbr(self.pmbr, self.stage2_sectors, stage2_lba, identity)

    def patched_stage2(self, root_lba: int) -> bytes:
        """Return stage 2 for a root partition that starts at this LBA."""
        patched = bytearray(self.stage2)
        struct.pack_into("<Q", patched, self.multiboot_offset + _ROOT_LBA_OFFSET, root_lba)
        return bytes(patched)


def patched_pmbr(pmbr: bytes, stage2_sectors: int, stage2_lba: int, identity: uuid.UUID) -> bytes:
    """Return the 512 bytes of the first sector, for a stage 2 of so many sectors at this LBA; without one, 0 and 0."""
    values = {
        **PMBR.parse(pmbr),
        "version_major": IMAGE_VERSION[0],
        "version_minor": IMAGE_VERSION[1],
        "stage2_sectors": stage2_sectors,
        "stage2_lba": stage2_lba,
        "uuid": identity.bytes,
    }
    return bytes(PMBR.build(values))


def read_pmbr(pmbr: Content) -> bytes:
    """Return the 512 bytes of a pmbr; raise InputError for what is none."""
    if pmbr.size != SECTOR:
        raise InputError(f"a pmbr has 512 bytes, this file has {pmbr.size:,}", where=pmbr.origin, hint=_CURE)
    sector = pmbr.read()
    if sector[-2:] != b"\x55\xaa":
        found = sector[-2:].hex(" ").upper()
        raise InputError(f"a pmbr ends in 55 AA, this file in {found}", where=pmbr.origin, hint=_CURE)
    return sector


def read_boot_programs(pmbr: Content, stage2: Content) -> BootPrograms:
    """Check both programs; raise InputError for what is not a pmbr or not a stage 2."""
    sector = read_pmbr(pmbr)
    program, offset = read_stage2(stage2, "so the root partition cannot be told to it")
    return BootPrograms(sector, program + bytes(-len(program) % SECTOR), offset)


def read_stage2(stage2: Content, consequence: str) -> tuple[bytes, int]:
    """Return a stage 2 and where its multiboot header is, in bytes; raise InputError for what is none."""
    if stage2.size > STAGE2_LIMIT:
        raise InputError(
            f"stage 2 has {stage2.size:,} bytes; the boot partition holds {STAGE2_LIMIT:,}",
            where=stage2.origin,
            hint=_CURE,
        )
    program = stage2.read()
    offset = find_multiboot_header(program)
    if offset is None:
        raise InputError(
            f"no valid multiboot header in the first 32 KiB (magic 0x1BADB002, checksum), {consequence}",
            where=stage2.origin,
            hint=_CURE,
        )
    return program, offset


def find_multiboot_header(program: bytes) -> int | None:
    """Return the offset in bytes of the multiboot header, or None."""
    for offset in range(0, min(len(program), MULTIBOOT_SCAN) - 31, 4):
        magic, flags, checksum = struct.unpack_from("<3I", program, offset)
        if magic == MULTIBOOT_MAGIC and (magic + flags + checksum) & 0xFFFFFFFF == 0:
            return offset
    return None
