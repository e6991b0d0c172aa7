"""Reads the volume descriptors at the front of an image."""

from dataclasses import dataclass
from typing import Any

from construct import ConstructError

from imagekit.content import Content
from imagekit.errors import FormatError
from imagekit.formats.iso.layout import (
    BOOT_RECORD,
    DESCRIPTORS_SECTOR,
    IDENTIFIER,
    JOLIET_ESCAPES,
    PRIMARY,
    SECTOR,
    SUPPLEMENTARY,
    TERMINATOR,
    VOLUME_DESCRIPTOR,
)

_MOST = 64
"""Descriptors that are looked at; real images have two to five."""

_ESCAPES = slice(88, 91)


@dataclass(slots=True)
class Descriptors:
    """The descriptors that matter, parsed: the primary one, Joliet's, and the boot record as it is."""

    primary: Any
    joliet: Any = None
    boot_record: bytes | None = None

    @property
    def block_size(self) -> int:
        """Bytes per logical block."""
        return int(self.primary.block_size)


def is_iso(image: Content) -> bool:
    """Tell whether an image has a volume descriptor where the first one belongs."""
    start = DESCRIPTORS_SECTOR * SECTOR + 1
    return image.size >= start + len(IDENTIFIER) and image.read(start, len(IDENTIFIER)) == IDENTIFIER


def damaged(image: Content, what: str, path: str = "") -> FormatError:
    """Return the error that says what is wrong with an image, at a path in it."""
    where = f"{image.origin}!/{path}" if path else image.origin
    return FormatError(what, where=where, hint="the image is damaged, cut short or not ISO 9660")


def read_descriptors(image: Content) -> Descriptors:
    """Return the first descriptor of each kind; raise FormatError when there is no sound primary one."""
    found: dict[str, bytes] = {}
    for number in range(DESCRIPTORS_SECTOR, DESCRIPTORS_SECTOR + _MOST):
        if (number + 1) * SECTOR > image.size:
            break
        data = image.read(number * SECTOR, SECTOR)
        if data[1:6] != IDENTIFIER or data[0] == TERMINATOR:
            break
        if data[0] == SUPPLEMENTARY and data[_ESCAPES] in JOLIET_ESCAPES:
            found.setdefault("joliet", data)
        elif data[0] in {PRIMARY, BOOT_RECORD}:
            found.setdefault("primary" if data[0] == PRIMARY else "boot record", data)
    if "primary" not in found:
        start = image.read(DESCRIPTORS_SECTOR * SECTOR, 6) if image.size >= (DESCRIPTORS_SECTOR + 1) * SECTOR else b""
        raise damaged(
            image,
            f"no primary volume descriptor: sector {DESCRIPTORS_SECTOR} starts with '{start.hex(' ')}', not 01 'CD001'",
        )
    try:
        primary = VOLUME_DESCRIPTOR.parse(found["primary"])
        joliet = VOLUME_DESCRIPTOR.parse(found["joliet"]) if "joliet" in found else None
    except ConstructError as error:
        raise damaged(image, f"a volume descriptor does not hold together: {error}") from error
    result = Descriptors(primary, joliet, found.get("boot record"))
    if result.block_size not in {512, 1024, 2048}:
        raise damaged(image, f"logical blocks of {result.block_size} bytes, not 512, 1024 or 2048")
    return result
