"""The one place that knows what time it is, and the ids that derive from it.

The same inputs give the same bytes, so no other module asks the system's clock for something that is written.
"""

import os
import re
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from imagekit.errors import InputError

STAMP_FORMAT = "%Y%m%dT%H%M%SZ"
_STAMP = re.compile(r"[0-9]{8}T[0-9]{6}Z")
_LATEST = 253402300799
"""9999-12-31T23:59:59Z in seconds since 1970: the latest time that a stamp can say."""

_NAMESPACE = uuid.UUID("6f1c3f0e-0d57-5c0c-9d0a-1d6c5f3f7c11")


@dataclass(frozen=True, slots=True)
class Stamp:
    """A build stamp, as SmartOS writes it: 20261122T000000Z."""

    text: str

    def __post_init__(self) -> None:
        self.parse(self.text)

    @staticmethod
    def parse(text: str) -> int:
        """Return the seconds since 1970 of a stamp; raise InputError when it is not one."""
        hint = "a build stamp looks like 20261122T000000Z"
        # strptime alone takes fields that are too short, and digits of all scripts.
        if _STAMP.fullmatch(text) is None:
            raise InputError(f"not a build stamp: {text[:60]!r}", hint=hint)
        try:
            seconds = int(datetime.strptime(text, STAMP_FORMAT).replace(tzinfo=UTC).timestamp())
        except ValueError:
            raise InputError(f"not a build stamp: {text!r} is no date", hint=hint) from None
        if seconds < 0:
            raise InputError(f"not a build stamp: {text!r} is before 1970", hint=hint)
        return seconds

    @property
    def seconds(self) -> int:
        """The stamp as seconds since 1970 (UTC)."""
        return self.parse(self.text)


def source_date_epoch() -> int | None:
    """Return SOURCE_DATE_EPOCH from the environment in seconds, or None when it is not set."""
    text = os.environ.get("SOURCE_DATE_EPOCH")
    if text is None or not text.strip():
        return None
    if re.fullmatch("[0-9]{1,12}", text) is None or int(text) > _LATEST:
        raise InputError(
            f"SOURCE_DATE_EPOCH is {text[:60]!r}, not a number of seconds before the year 10000",
            hint="unset it, or set it to seconds since 1970",
        )
    return int(text)


def build_time(stamp: Stamp | None) -> int:
    """Return the time, in seconds since 1970, that everything made by this run carries.

    SOURCE_DATE_EPOCH comes first, then the build stamp.  Without either it is 1980-01-01, the earliest time that
    every format can hold: never the present.
    """
    epoch = source_date_epoch()
    if epoch is not None:
        return epoch
    return stamp.seconds if stamp else 315532800


def derived_uuid(*parts: str) -> uuid.UUID:
    """Return the UUID (version 5) that these parts always have: for GPT GUIDs, volume ids and the like."""
    import hashlib  # noqa: PLC0415 - slow to import, and the command line needs stamps only

    # uuid5 would refuse the surrogate escapes that stand for bytes that are no UTF-8.
    name = "\0".join(parts).encode("utf-8", "surrogateescape")
    digest = hashlib.sha1(_NAMESPACE.bytes + name, usedforsecurity=False).digest()
    return uuid.UUID(bytes=digest[:16], version=5)
