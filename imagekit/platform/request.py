"""What `imagekit boot` and `imagekit platform` are asked for, and where that is found in a smartos-live workspace."""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from imagekit.clock import Stamp, undated
from imagekit.config import NAME, Config, read_config
from imagekit.errors import InputError, Thing
from imagekit.formats.gzip import Level
from imagekit.manifest.proto import ProtoPath
from imagekit.manifest.sources import MANIFESTS, outdated, workspace_manifests, workspace_protos
from imagekit.marks import refuse_marks
from imagekit.platform.hooks import NAMES


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkspaceRequest:
    """What was asked of a workspace, for its boot files or its platform.  What is empty is looked for in `root`."""

    root: Path
    manifests: tuple[Path, ...] = ()
    protos: tuple[Path, ...] = ()
    output: Path | None = None
    stamp: Stamp | None = None
    config: Path | None = None
    level: Level = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlatformRequest(WorkspaceRequest):
    """What was asked for a platform; sizes in KiB, None for the original's."""

    root_password: str | None = None
    root_kib: int | None = None
    usr_kib: int | None = None
    fit: bool = False
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Inputs:
    """All inputs by name.  `version` is "" unless the workspace was configured with one."""

    root: Path
    manifests: tuple[Path, ...]
    protos: tuple[Path, ...]
    output: Path
    stamp: Stamp
    version: str
    config: Config
    level: Level
    warnings: tuple[str, ...] = ()

    def name(self, what: str) -> str:
        """Return what a product is called: WHAT-[VERSION-]STAMP."""
        return "-".join(part for part in (what, self.version, self.stamp.text) if part)


def find_inputs(request: WorkspaceRequest, names: Sequence[str] = MANIFESTS) -> Inputs:
    """Find what the request does not name; raise InputError, with what to do, for what is missing.

    `names` are what the manifest of a workspace may be called.
    """
    root = request.root
    _check_built(request, names)
    manifests = request.manifests or tuple(workspace_manifests(root, names))
    protos = request.protos or tuple(workspace_protos(root))
    version_file = root / "configure-buildver"
    stamp, warnings = (request.stamp, []) if request.stamp else find_stamp(protos)
    return Inputs(
        root=root,
        manifests=manifests,
        protos=protos,
        output=request.output or root / "output",
        stamp=stamp,
        version=_first_line(version_file) if version_file.is_file() else "",
        config=find_config(root, request.config),
        warnings=(*warnings, *undated(stamp), *outdated(manifests)),
        level=request.level,
    )


def _check_built(request: WorkspaceRequest, names: Sequence[str]) -> None:
    """Raise one InputError for all that a smartos-live checkout lacks before it is built."""
    root = request.root
    missing = {}
    if not request.protos and not (root / "proto/buildstamp").is_file() and not (root / "proto/etc").is_dir():
        missing["proto"] = "gmake world"
    if not request.manifests and not any((root / name).exists() for name in names):
        missing[names[0]] = "gmake manifest"
    if missing and (root / "tools/build_live").is_file():
        first = [] if (root / "build.env").is_file() else ["./configure"]
        raise InputError(
            f"this checkout of smartos-live is not built yet: no {' and no '.join(missing)} is here",
            where=str(root),
            hint=f"run {', then '.join(dict.fromkeys([*first, *missing.values()]))}",
        )


def find_config(root: Path, config: Path | None = None) -> Config:
    """Return the configuration that was named, else that of the workspace; raise InputError for all slips in it."""
    if config is not None:
        return read_config(config, NAMES)
    found = root / NAME
    return read_config(found, NAMES) if found.is_file() else Config()


def find_stamp(protos: Sequence[Path]) -> tuple[Stamp, list[str]]:
    """Return the build stamp, and warnings: the proto areas' own, else the environment's BUILDSTAMP, as for gmake.

    Raise InputError when there is neither.
    """
    stamp = proto_stamp(protos)
    wanted = os.environ.get("BUILDSTAMP", "")
    if stamp is None and not wanted:
        ProtoPath(protos)  # one that is not there, or cannot be read, is what is wrong then
        raise InputError(
            "no build stamp: no proto area has a file buildstamp",
            where=", ".join(map(str, protos)),
            hint=f"give one: {Thing.STAMP} 20261122T000000Z, or BUILDSTAMP in the environment",
        )
    if stamp is None:
        try:
            return Stamp(wanted), []
        except InputError as error:
            raise error.at("BUILDSTAMP in the environment") from None
    if wanted not in {"", stamp.text}:
        return stamp, [
            f"BUILDSTAMP is {wanted}, but the proto area was built as {stamp.text}, so that stands; else {Thing.STAMP}"
        ]
    return stamp, []


def proto_stamp(protos: Sequence[Path]) -> Stamp | None:
    """Return the build stamp that the first proto area with a file `buildstamp` carries, if any does."""
    for proto in protos:
        file = proto / "buildstamp"
        if file.is_file():
            text = _first_line(file)
            try:
                return Stamp(text)
            except InputError as error:
                raise error.at(str(file)) from None
    return None


def _first_line(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", where=str(file)) from error
    refuse_marks(data, str(file))
    return data.decode("utf-8", "replace").partition("\n")[0].strip()
