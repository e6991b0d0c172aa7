"""Master boot records: the layout that writer and reader of other formats share.

The first sector of a disk (512 bytes): 446 bytes of boot program and disk signature, four slots, and the mark 55 AA.
"""

import construct

SECTOR = 512
"""Bytes per sector."""

SLOTS = slice(0x1BE, 0x1FE)
SLOT_SIZE = 16
MBR_MARK = b"\x55\xaa"

ACTIVE = 0x80
PROTECTIVE = 0xEE
"""The type of the slot that covers a disk with a GPT."""

EXTENDED = (0x05, 0x0F, 0x85)
"""Types of slots that hold partitions of their own, in a chain."""

MBR_SLOT = construct.Struct(
    "status" / construct.Int8ul,  # 0x80: active
    "first_chs" / construct.Bytes(3),
    "type" / construct.Int8ul,
    "last_chs" / construct.Bytes(3),
    "first_lba" / construct.Int32ul,
    "sectors" / construct.Int32ul,
)
