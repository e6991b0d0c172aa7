"""The one place that knows what time it is, and the ids that derive from it.

The same inputs give the same bytes, so no other module asks the system's clock for something that is written.
"""

import os
import re
import time
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime

from imagekit.errors import InputError

_DATE = re.compile(r"(?<![0-9A-Za-z])([0-9]{8}T[0-9]{6})Z(?![0-9A-Za-z])")
_STAMP = re.compile(r"[0-9A-Za-z_][0-9A-Za-z._+:@=~-]{0,99}")
_LATEST = 253402300799
"""9999-12-31T23:59:59Z in seconds since 1970: the latest time that a stamp can say."""

_EARLIEST = 315532800
"""1980-01-01 in seconds since 1970."""

_NAMESPACE = uuid.UUID("6f1c3f0e-0d57-5c0c-9d0a-1d6c5f3f7c11")


@dataclass(frozen=True, slots=True)
class Stamp:
    """A build stamp: as SmartOS writes it, 20261122T000000Z, or any word that can be part of a name and of a URL.

    Raise InputError when it is neither.
    """

    text: str

    def __post_init__(self) -> None:
        if _STAMP.fullmatch(self.text) is None:
            raise InputError(
                f"not a build stamp: {self.text[:60]!r}",
                hint="a build stamp looks like 20261122T000000Z; others have up to 100 letters, digits and ._+:@=~-",
            )

    @classmethod
    def found_in(cls, text: str) -> "Stamp | None":
        """Return the first date in a text as a stamp, or None."""
        found = _DATE.search(text)
        return cls(found[0]) if found else None

    @property
    def seconds(self) -> int | None:
        """The last date in the stamp as seconds since 1970 (UTC); None when it holds none since then."""
        for text in reversed(_DATE.findall(self.text)):
            try:
                seconds = int(datetime.strptime(text, "%Y%m%dT%H%M%S").replace(tzinfo=UTC).timestamp())
            except ValueError:  # in month 13
                continue
            if seconds >= 0:
                return seconds
        return None


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

    SOURCE_DATE_EPOCH comes first, then the date in the build stamp.  Without either it is 1980-01-01, the earliest
    time that every format can hold: never the present.
    """
    epoch = source_date_epoch()
    if epoch is None and stamp is not None:
        epoch = stamp.seconds
    return _EARLIEST if epoch is None else epoch


def undated(stamp: Stamp) -> list[str]:
    """Return a warning when nothing but 1980 is left for the times of what is built."""
    if source_date_epoch() is not None or stamp.seconds is not None:
        return []
    return [f"the build stamp {stamp.text} holds no date, so all files are of 1980-01-01: set SOURCE_DATE_EPOCH"]


def now() -> int:
    """Return the present in seconds since 1970, for the names and lines of logs: it goes into no product."""
    return int(time.time())


def derived_uuid(*parts: str) -> uuid.UUID:
    """Return the UUID (version 5) that these parts always have: for GPT GUIDs, volume ids and the like."""
    import hashlib  # noqa: PLC0415 - slow to import, and the command line needs stamps only

    # uuid5 would refuse the surrogate escapes that stand for bytes that are no UTF-8.
    name = "\0".join(parts).encode("utf-8", "surrogateescape")
    digest = hashlib.sha1(_NAMESPACE.bytes + name, usedforsecurity=False).digest()
    return uuid.UUID(bytes=digest[:16], version=5)
