"""Rock Ridge: the POSIX attributes of entries, as system use entries in and beside their directory records.

SUSP 1.12 says how such entries are laid out and continued elsewhere, RRIP 1.12 what they mean.  The extension's
identifier is that of RRIP 1.10, RRIP_1991A, the only one that the illumos kernel knows; as all others do, it also takes
the PX entry of 1.12, with the serial number.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass, field

from imagekit.formats.iso.layout import SECTOR, both_32, parse_record_time, parse_volume_time, record_time

_ENTRY_LIMIT = 255
"""Bytes of the longest system use entry: its length is a byte."""

CONTINUATION_SIZE = 28
"""Bytes of a CE entry (SUSP 5.1)."""

NAME_HEAD = 5
"""Bytes of an NM entry before the name."""

NAME_CONTINUES, NAME_CURRENT, NAME_PARENT, NAME_ROOT = 0x01, 0x02, 0x04, 0x08
"""Flags of NM entries, of SL entries and of the components in these (RRIP 4.1.3, 4.1.4)."""

TIME_CREATED, TIME_MODIFIED, TIME_ACCESSED, TIME_CHANGED, TIME_LONG = 0x01, 0x02, 0x04, 0x08, 0x80
"""Flags of a TF entry: which times it holds, in this order, and whether they are of 17 bytes (RRIP 4.1.6)."""

EXTENSION = b"RRIP_1991A"
_DESCRIPTION = b"THE ROCK RIDGE INTERCHANGE PROTOCOL PROVIDES SUPPORT FOR POSIX FILE SYSTEM SEMANTICS"
_SOURCE = (
    b"PLEASE CONTACT DISC PUBLISHER FOR SPECIFICATION SOURCE.  "
    b"SEE PUBLISHER IDENTIFIER IN PRIMARY VOLUME DESCRIPTOR FOR CONTACT INFORMATION."
)


def _entry(signature: bytes, data: bytes) -> bytes:
    return signature + bytes((len(data) + 4, 1)) + data


def sharing_protocol() -> bytes:
    """Return the SP entry that the root's own record begins with (SUSP 5.3)."""
    return _entry(b"SP", b"\xbe\xef\0")


def extension_reference() -> bytes:
    """Return the ER entry that says that Rock Ridge is in use (SUSP 5.5)."""
    lengths = bytes((len(EXTENSION), len(_DESCRIPTION), len(_SOURCE), 1))
    return _entry(b"ER", lengths + EXTENSION + _DESCRIPTION + _SOURCE)


def posix_attributes(mode: int, links: int, uid: int, gid: int, serial: int) -> bytes:
    """Return a PX entry (RRIP 4.1.1); `mode` has the file type's bits, `serial` is one number for one inode."""
    return _entry(b"PX", both_32(mode) + both_32(links) + both_32(uid) + both_32(gid) + both_32(serial))


def device_number(major: int, minor: int) -> bytes:
    """Return the PN entry of a device (RRIP 4.1.2): illumos and others keep the major number in the high half."""
    return _entry(b"PN", both_32(major) + both_32(minor))


def times(seconds: int) -> bytes:
    """Return a TF entry: modified, accessed and changed at one time, in seconds since 1970."""
    return _entry(b"TF", bytes((TIME_MODIFIED | TIME_ACCESSED | TIME_CHANGED,)) + record_time(seconds) * 3)


def alternate_name(name: bytes, room: int) -> list[bytes]:
    """Return the NM entries of a name; the first takes at most `room` bytes, its head included."""
    first = min(room, _ENTRY_LIMIT) - NAME_HEAD
    pieces = [name[:first]]
    step = _ENTRY_LIMIT - NAME_HEAD
    pieces += [name[start : start + step] for start in range(first, len(name), step)]
    last = len(pieces) - 1
    return [_entry(b"NM", bytes((NAME_CONTINUES if n < last else 0,)) + piece) for n, piece in enumerate(pieces)]


def symbolic_link(target: bytes) -> list[bytes]:
    """Return the SL entries of a link's target (RRIP 4.1.3).

    Empty components keep doubled and trailing slashes: kernels put a slash between any two components.  Where a target
    needs several entries, they part inside a component wherever possible: libarchive forgets the slash between them.
    """
    special = {b".": NAME_CURRENT, b"..": NAME_PARENT}
    entries = [b""]
    if target.startswith(b"/"):
        entries[0] = bytes((NAME_ROOT, 0))
        target = target[1:]
    room = _ENTRY_LIMIT - 5
    # Nothing is left of "/": its only component is the root.
    for component in target.split(b"/") if target else ():
        rest = b"" if component in special else component
        flags = special.get(component, 0)
        while len(entries[-1]) + 2 + len(rest) > room:
            fits = max(room - len(entries[-1]) - 2, 0)
            if fits and rest:
                entries[-1] += bytes((NAME_CONTINUES, fits)) + rest[:fits]
                rest = rest[fits:]
            entries.append(b"")
        entries[-1] += bytes((flags, len(rest))) + rest
    last = len(entries) - 1
    return [_entry(b"SL", bytes((NAME_CONTINUES if n < last else 0,)) + data) for n, data in enumerate(entries)]


@dataclass(slots=True)
class ContinuationArea:
    """Where system use entries go that find no room in their directory record.

    The pieces that records refer to never cross a sector's end: kernels and the illumos loader read one sector.
    """

    sectors: list[bytearray] = field(default_factory=list)

    def place(self, data: bytes) -> tuple[int, int]:
        """Add `data`, at most a sector; return the sector, counted from the area's first, and the offset in it."""
        if not self.sectors or len(self.sectors[-1]) + len(data) > SECTOR:
            self.sectors.append(bytearray())
        offset = len(self.sectors[-1])
        self.sectors[-1] += data
        return len(self.sectors) - 1, offset

    def pack(self) -> bytes:
        """Return the area's bytes: whole sectors."""
        return b"".join(bytes(sector).ljust(SECTOR, b"\0") for sector in self.sectors)


def _continuation(sector: int, offset: int, length: int) -> bytes:
    return _entry(b"CE", both_32(sector) + both_32(offset) + both_32(length))


def system_use(entries: Sequence[bytes], room: int, area: ContinuationArea, area_sector: int) -> bytes:
    """Return what goes into a record's system use field, of `room` bytes at most; put the rest into `area`.

    `area_sector` is the image's sector where the area will be.  Entries keep their order.
    """
    sizes = [len(entry) for entry in entries]
    if sum(sizes) <= room:
        return b"".join(entries)
    count = used = 0
    while used + sizes[count] + CONTINUATION_SIZE <= room:
        used += sizes[count]
        count += 1
    rest = b""
    if sum(sizes[count:]) <= SECTOR:
        rest = b"".join(entries[count:])
    else:
        rest = system_use(entries[count:], SECTOR, area, area_sector)
    sector, offset = area.place(rest)
    return b"".join(entries[:count]) + _continuation(area_sector + sector, offset, len(rest))


def split_entries(data: bytes) -> list[tuple[bytes, bytes]]:
    """Return (signature, data after the 4-byte head) of each system use entry, up to ST or padding.

    Raise ValueError when the entries do not fill the field as they say.
    """
    result = []
    offset = 0
    while offset + 4 <= len(data):
        signature = data[offset : offset + 2]
        length = data[offset + 2]
        if signature in {b"ST", b"\0\0"}:
            break
        if length < 4 or offset + length > len(data):
            raise ValueError(
                f"a system use entry {signature!r} of {length} bytes where 4 to {len(data) - offset} are possible"
            )
        result.append((signature, data[offset + 4 : offset + length]))
        offset += length
    return result


def number_32(data: bytes, offset: int) -> int:
    """Return the number at `offset` of an entry's data, from its little-endian half; raise ValueError past the end."""
    if offset + 4 > len(data):
        raise ValueError(f"an entry of {len(data) + 4} bytes is too short")
    return int(struct.unpack_from("<I", data, offset)[0])


@dataclass(slots=True)
class Attributes:
    """What the system use entries of one directory record say; None and empty where they say nothing."""

    name: bytes = b""
    mode: int | None = None
    links: int = 1
    uid: int = 0
    gid: int = 0
    serial: int | None = None
    time: int | None = None
    target: bytes | None = None
    device: tuple[int, int] = (0, 0)
    child: int | None = None
    relocated: bool = False
    compressed: bool = False
    rock_ridge: bool = False


def parse_attributes(entries: Sequence[tuple[bytes, bytes]]) -> Attributes:
    """Return what Rock Ridge says in `entries` (signature, data); raise ValueError when one is cut short."""
    result = Attributes()
    name_done = target_done = False
    slash = b""
    for signature, data in entries:
        if signature == b"NM" and not name_done:
            result.rock_ridge = True
            flags = _flags(data)
            if not flags & (NAME_CURRENT | NAME_PARENT):
                result.name += data[1:]
            name_done = not flags & NAME_CONTINUES
        elif signature == b"PX":
            result.rock_ridge = True
            result.mode, result.links, result.uid, result.gid = (number_32(data, place) for place in (0, 8, 16, 24))
            if len(data) >= 40:
                result.serial = number_32(data, 32)
        elif signature == b"TF":
            result.time = _parse_times(data)
        elif signature == b"SL" and not target_done:
            text, slash = _parse_components(data[1:], slash)
            result.target = (result.target or b"") + text
            target_done = not _flags(data) & NAME_CONTINUES
        elif signature == b"PN":
            high, low = number_32(data, 0), number_32(data, 8)
            # Some writers put the whole device number into the low half; Linux tells them apart in this way.
            result.device = (low >> 8, low & 0xFF) if not high and low > 0xFF else (high, low)
        elif signature == b"CL":
            result.child = number_32(data, 0)
        elif signature == b"RE":
            result.relocated = True
        elif signature == b"ZF":
            result.compressed = True
    return result


def _flags(data: bytes) -> int:
    if not data:
        raise ValueError("an entry of 4 bytes is too short")
    return data[0]


def _parse_times(data: bytes) -> int | None:
    """Return when the file was modified, else created; None when the entry tells neither."""
    flags = _flags(data)
    size, parse = (17, parse_volume_time) if flags & TIME_LONG else (7, parse_record_time)
    place = 1
    created = None
    for flag in (TIME_CREATED, TIME_MODIFIED):
        if flags & flag:
            if place + size > len(data):
                raise ValueError(f"times of {len(data) - 1} bytes are too short")
            time = parse(data[place : place + size])
            place += size
            if flag == TIME_MODIFIED:
                return time
            created = time
    return created


def _parse_components(data: bytes, slash: bytes) -> tuple[bytes, bytes]:
    """Return the text of one SL entry's components, and what parts it from the next entry's.

    `slash` is what parts it from the entry's before.
    """
    special = {NAME_CURRENT: b".", NAME_PARENT: b"..", NAME_ROOT: b"/"}
    text = b""
    place = 0
    while place + 2 <= len(data):
        flags, length = data[place], data[place + 1]
        place += 2
        if place + length > len(data):
            raise ValueError(f"a component of {length} bytes where {len(data) - place} are left")
        kind = flags & ~NAME_CONTINUES
        if kind and kind not in special:
            raise ValueError(f"a component with flags {flags:#x}")
        text += slash + (special[kind] if kind else data[place : place + length])
        slash = b"" if flags & NAME_CONTINUES or kind == NAME_ROOT else b"/"
        place += length
    return text, slash
