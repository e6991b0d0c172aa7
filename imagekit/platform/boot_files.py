"""The boot files of a platform: proto.boot and its tarball, made from the boot manifest."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

from imagekit.boot.places import BOOT_VERSION
from imagekit.clock import build_time
from imagekit.content import Bytes
from imagekit.files.kept import others_in
from imagekit.files.output import Outputs
from imagekit.files.rehearsal import Rehearsal
from imagekit.formats import folder, tar
from imagekit.manifest.known import OF_BUILDS
from imagekit.platform.fixups import put_file
from imagekit.platform.request import Inputs, WorkspaceRequest, find_inputs
from imagekit.platform.tarball import entries_data, shipped_tree
from imagekit.product import Product, write_product
from imagekit.progress import Show, unseen
from imagekit.tree import File, Tree

FOLDER = "proto.boot"
OF_BOOT = OF_BUILDS - {"M413"}
MANIFESTS = ("boot.manifest.gen", "boot.manifest.d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The boot files with everything decided and nothing written."""

    inputs: Inputs
    tree: Tree
    warnings: tuple[str, ...]

    @property
    def folder(self) -> Path:
        """Where the boot files are laid out."""
        return self.inputs.root / FOLDER

    @property
    def tarball(self) -> Path:
        """Where their tarball goes."""
        return self.inputs.output / f"{self.inputs.name('boot')}.tgz"

    def lines(self) -> Iterator[str]:
        """Return the plan as text."""
        yield f"folder   {self.folder}"
        yield f"tarball  {self.tarball}"
        for entry in self.tree:
            if entry.path:
                size = f"{entry.content.size:,}" if isinstance(entry, File) else "-"
                yield f"{entry.mode:04o} {entry.user}:{entry.group} {size:>10}  {entry.path}"

    def data(self) -> dict[str, object]:
        """Return the plan as data."""
        return {
            "kind": "boot",
            "folder": str(self.folder),
            "tarball": str(self.tarball),
            "entries": entries_data(self.tree),
            "warnings": list(self.warnings),
        }

    def rehearse(self, outputs: Rehearsal) -> None:
        """Name the outputs, for what would keep them from being made."""
        outputs.folder(self.folder)
        outputs.file(self.tarball)

    def write(self, show: Show = unseen) -> list[Product]:
        """Lay out the boot files and make their tarball; return the summary of the tarball."""
        started = monotonic()
        with Outputs() as outputs:
            folder.fill(self.tree, outputs.folder(self.folder))
            product = write_product(
                outputs, self.tarball, tar.plan(self.tree), compress=True, level=self.inputs.level, show=show
            )
        return [replace(product, seconds=monotonic() - started)]


def plan(request: WorkspaceRequest) -> Plan:
    """Decide everything about the boot files; raise InputError for all that does not fit."""
    inputs = find_inputs(request, MANIFESTS)
    time = build_time(inputs.stamp)
    known = inputs.config.boot_known
    tree, warnings = shipped_tree(inputs.manifests, inputs.protos, time=time, known=known, judged=OF_BOOT)
    put_file(tree, BOOT_VERSION, Bytes(f"{inputs.stamp.text}\n".encode(), "build stamp"), time=time)
    lost = others_in(request.root / FOLDER, {entry.path for entry in tree}, "goes")
    return Plan(inputs=inputs, tree=tree, warnings=(*inputs.warnings, *warnings, *lost))
