"""Which paths of the image have to be shipped whole: all that the proto areas have at and below them.

Those of the default, and what is expected there, are as smartos-live's tools/tzcheck and tools/ucodecheck want it.
"""

from collections.abc import Sequence
from pathlib import Path

from imagekit.errors import InputError
from imagekit.manifest.proto import ProtoPath

DEFAULT = ("usr/share/lib/zoneinfo", "platform/i86pc/ucode")

EXPECTED = ("usr/share/lib/zoneinfo", "platform/i86pc/ucode/AuthenticAMD", "platform/i86pc/ucode/GenuineIntel")
"""Where, unless other paths are configured, something has to be: nothing there is a suspicious build."""


def complete_paths(configured: Sequence[str] | None, protos: Sequence[Path], where: str) -> list[str]:
    """Return the paths below which all has to be shipped: those configured, or those of the default that are there.

    `where` says in which file they are configured.  Raise InputError for those that no proto area has.
    """
    areas = ProtoPath(protos)
    if configured is None:
        return [prefix for prefix in DEFAULT if areas.lookup(prefix) is not None]
    missing = [prefix for prefix in configured if prefix and areas.lookup(prefix) is None]
    if missing:
        nearby = [near for near in map(areas.nearest, missing) if near]
        raise InputError(
            f"complete: nothing is at {', '.join(missing)} in {areas.places()}",
            where=where,
            hint=f"did you mean {', '.join(nearby)}?" if nearby else "these are paths of the image, such as usr/vm",
        )
    return list(configured)
