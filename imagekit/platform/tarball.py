"""Tarballs of what a manifest ships, with its owners and modes."""

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from imagekit.clock import Stamp, build_time
from imagekit.content import Content
from imagekit.files.output import Outputs
from imagekit.files.rehearsal import Rehearsal
from imagekit.formats import gzip, tar
from imagekit.manifest.findings import grouped
from imagekit.manifest.known import Known, set_apart
from imagekit.manifest.resolve import resolve
from imagekit.manifest.sources import outdated, read_manifests, workspace_manifests, workspace_protos
from imagekit.platform.request import find_config, proto_stamp
from imagekit.product import Product, write_product
from imagekit.progress import Show, unseen
from imagekit.tree import File, HardLink, Symlink, Tree


@dataclass(frozen=True, slots=True, kw_only=True)
class TarRequest:
    """What was asked for: manifests (files and folders), proto areas (the first that has a file supplies it), output.

    What is empty is looked for in the workspace `root`.  All entries carry the time of SOURCE_DATE_EPOCH, else of
    `stamp`, else of the proto area's own.
    """

    output: Path
    root: Path = Path()
    manifests: Sequence[Path] = ()
    protos: Sequence[Path] = ()
    stamp: Stamp | None = None
    level: gzip.Level = "close"


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A tarball with everything decided and nothing written."""

    output: Path
    compress: bool
    level: gzip.Level
    time: int
    tree: Tree
    archive: Content
    warnings: Sequence[str]

    def _counts(self) -> dict[str, int]:
        kinds: dict[str, int] = {}
        for entry in self.tree:
            if entry.path:
                kinds[entry.KIND] = kinds.get(entry.KIND, 0) + 1
        return dict(sorted(kinds.items()))

    def lines(self) -> Iterator[str]:
        """Return the plan as text."""
        yield f"output   {self.output}"
        yield f"archive  {self.archive.size:,} bytes" + (" before compression" if self.compress else "")
        yield f"content  {sum(entry.content.size for entry in self.tree.files()):,} bytes"
        yield f"time     {self.time} (seconds since 1970)"
        for kind, count in self._counts().items():
            yield f"entries  {count:,} x {kind}"

    def data(self) -> dict[str, object]:
        """Return the plan as data; sizes are in bytes."""
        return {
            "kind": "tar",
            "output": str(self.output),
            "compress": self.compress,
            "archive_size": self.archive.size,
            "content_size": sum(entry.content.size for entry in self.tree.files()),
            "time": self.time,
            "entries": entries_data(self.tree),
            "warnings": list(self.warnings),
        }

    def rehearse(self, outputs: Rehearsal) -> None:
        """Name the outputs, for what would keep them from being made."""
        outputs.file(self.output, None if self.compress else self.archive)

    def write(self, show: Show = unseen) -> list[Product]:
        """Write the tarball."""
        with Outputs() as outputs:
            return [
                write_product(outputs, self.output, self.archive, compress=self.compress, level=self.level, show=show)
            ]


def plan(request: TarRequest) -> Plan:
    """Decide all about a tarball: compressed unless the output's name ends in .tar.

    Raise FindingsError with everything that keeps manifest and proto areas from fitting together.
    """
    protos = request.protos or workspace_protos(request.root)
    time = build_time(request.stamp or proto_stamp(protos))
    manifests = request.manifests or workspace_manifests(request.root)
    # What is known of the platform may be missing in another manifest: nothing is stale.
    tree, warnings = shipped_tree(manifests, protos, time=time, known=find_config(request.root).known)
    return Plan(
        output=request.output,
        compress=request.output.suffix != ".tar",
        level=request.level,
        time=time,
        tree=tree,
        archive=tar.plan(tree, request.output.name.removesuffix(".gz")),
        warnings=(*outdated(manifests), *warnings),
    )


def shipped_tree(
    manifests: Sequence[Path],
    protos: Sequence[Path],
    *,
    time: int,
    known: Sequence[Known] = (),
    judged: Collection[str] = (),
) -> tuple[Tree, tuple[str, ...]]:
    """Return the tree that manifests describe, all of it of the time `time`, and warnings; raise as `resolve` does.

    `known` are the warnings that are no news; of the codes in `judged`, those that are no more are told.
    """
    resolution = resolve(read_manifests(manifests), protos, mtime=time)
    sorting = set_apart(resolution.warnings, known, judged)
    return resolution.tree, (*grouped(sorting.new), *sorting.remarks())


def entries_data(tree: Tree) -> list[dict[str, object]]:
    """Return all entries below the root as data, for plans; sizes are in bytes."""
    return [
        {
            "path": entry.path,
            "kind": entry.KIND,
            "mode": f"{entry.mode:04o}",
            "user": entry.user,
            "uid": entry.uid,
            "group": entry.group,
            "gid": entry.gid,
            **({"size": entry.content.size, "origin": entry.content.origin} if isinstance(entry, File) else {}),
            **({"target": entry.target} if isinstance(entry, Symlink | HardLink) else {}),
        }
        for entry in tree
        if entry.path
    ]
