"""The primary volume descriptor: who made the volume, when, and where its root and path tables are."""

import re
from dataclasses import dataclass

from imagekit.errors import PlanError
from imagekit.formats.iso.layout import NO_VOLUME_TIME, PRIMARY, SECTOR, VOLUME_DESCRIPTOR, DirectoryRecord, volume_time
from imagekit.formats.iso.names import d_characters

_NOT_A_CHARACTER = re.compile("[^A-Z0-9_ !\"%&'()*+,./:;<=>?-]")


def volume_id_of(text: str) -> str:
    """Return a volume id like `text`."""
    return d_characters(text)[:32]


def check_volume_id(text: str) -> str:
    """Return the id of a volume; raise PlanError unless it can be one."""
    if not 1 <= len(text) <= 32 or text != d_characters(text):
        raise PlanError(
            f"not a volume id: {text!r}",
            hint=f"a volume id is 1 to 32 of A-Z, 0-9 and _, such as {d_characters(text)[:32] or 'SMARTOS'}",
        )
    return text


@dataclass(frozen=True, slots=True, kw_only=True)
class VolumeIds:
    """The identifiers of the primary volume descriptor; each in capitals, as ECMA-119 8.4 wants them."""

    volume: str
    volume_set: str
    system: str
    publisher: str
    preparer: str
    application: str

    def check(self) -> None:
        """Raise PlanError unless the characters and lengths are those that may stand there."""
        check_volume_id(self.volume)
        if len(self.volume_set) > 128 or self.volume_set != d_characters(self.volume_set):
            raise PlanError(
                f"not a volume set id: {self.volume_set!r}", hint="a volume set id is at most 128 of A-Z, 0-9 and _"
            )
        for what, text, limit in (
            ("system", self.system, 32),
            ("publisher", self.publisher, 128),
            ("preparer", self.preparer, 128),
            ("application", self.application, 128),
        ):
            if len(text) > limit or _NOT_A_CHARACTER.search(text):
                raise PlanError(
                    f"not a {what} id: {text!r}",
                    hint=f"at most {limit} capital letters, digits, spaces and !\"%&'()*+,-./:;<=>?_",
                )


def volume_descriptor(
    ids: VolumeIds, *, time: int, sectors: int, table_size: int, table_l: int, table_m: int, root: DirectoryRecord
) -> bytes:
    """Return the primary volume descriptor of a volume of `sectors`.

    `time` is in seconds since 1970; the path tables have `table_size` bytes each and start in sectors `table_l` and
    `table_m`.
    """
    result: bytes = VOLUME_DESCRIPTOR.build(
        {
            "type": PRIMARY,
            "version": 1,
            "flags": 0,
            "system_id": _padded(ids.system, 32),
            "volume_id": _padded(ids.volume, 32),
            "sectors": sectors,
            "escapes": bytes(32),
            "set_size": 1,
            "sequence_number": 1,
            "block_size": SECTOR,
            "path_table_size": table_size,
            "path_table_l": table_l,
            "path_table_l_copy": 0,
            "path_table_m": table_m,
            "path_table_m_copy": 0,
            "root": root.pack(),
            "volume_set_id": _padded(ids.volume_set, 128),
            "publisher_id": _padded(ids.publisher, 128),
            "preparer_id": _padded(ids.preparer, 128),
            "application_id": _padded(ids.application, 128),
            "copyright_file": _padded("", 37),
            "abstract_file": _padded("", 37),
            "bibliographic_file": _padded("", 37),
            "created": volume_time(time),
            "modified": volume_time(time),
            "expires": NO_VOLUME_TIME,
            "effective": volume_time(time),
            "structure_version": 1,
            "application_use": bytes(512),
        }
    )
    return result


def _padded(text: str, size: int) -> bytes:
    return text.encode("ascii").ljust(size)
