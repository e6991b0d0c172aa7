"""GUID partition tables: `GptPlan` plans a disk that carries one, `read` finds one on a disk."""

from imagekit.formats.gpt.layout import (
    DEFAULT_ENTRIES,
    EFI_SYSTEM,
    FIRST_USABLE,
    ILLUMOS_BOOT,
    ILLUMOS_RESERVED,
    ILLUMOS_ROOT,
    MOST_ENTRIES,
    SECTOR,
    Partition,
    last_usable,
)
from imagekit.formats.gpt.plan import GptPlan
from imagekit.formats.gpt.reader import GptImage, find, is_gpt, read

__all__ = [
    "DEFAULT_ENTRIES",
    "EFI_SYSTEM",
    "FIRST_USABLE",
    "ILLUMOS_BOOT",
    "ILLUMOS_RESERVED",
    "ILLUMOS_ROOT",
    "MOST_ENTRIES",
    "SECTOR",
    "GptImage",
    "GptPlan",
    "Partition",
    "find",
    "is_gpt",
    "last_usable",
    "read",
]
