"""A platform that is planned, and how it is made: both images, the folder around them, the tarball, the links."""

from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from dataclasses import dataclass, replace
from time import monotonic

from imagekit.boot.places import PLATFORM_KERNEL
from imagekit.content import Bytes, Content, Deferred
from imagekit.files import raw
from imagekit.files.output import OutputFile, Outputs
from imagekit.files.rehearsal import Rehearsal
from imagekit.formats import gzip, lofi, tar
from imagekit.formats.ufs import LastFile
from imagekit.platform.build_log import BuildLog
from imagekit.platform.hooks import Step, run_commands
from imagekit.platform.images import USR_ARCHIVE, Images, growth, plan_images
from imagekit.platform.layout import (
    BOOT_ARCHIVE,
    IMAGE_KERNEL,
    PLATFORM_FILES,
    PLATFORM_VERSION,
    ROOT_PASSWORD,
)
from imagekit.platform.request import Inputs
from imagekit.product import Product, write_product
from imagekit.progress import Show, unseen
from imagekit.tree import Directory, File, Tree

_HASH_SIZE = 41
"""Bytes of boot_archive.hash: a SHA-1 in hex, and a newline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """A platform with everything decided that can be before the target's own programs have run."""

    inputs: Inputs
    time: int
    tree: Tree
    steps: Sequence[Step]
    images: Images
    root_password: str | None
    git_status: str
    warnings: tuple[str, ...]
    log: BuildLog

    @property
    def name(self) -> str:
        """The name of the platform folder."""
        return self.inputs.name("platform")

    def lines(self) -> Iterator[str]:
        """Return the plan as text."""
        yield f"platform  {self.inputs.output / self.name}"
        yield f"tarball   {self.inputs.output / self.name}.tgz"
        yield f"manifest  {', '.join(map(str, self.inputs.manifests))}"
        yield f"proto     {', '.join(map(str, self.inputs.protos))}"
        yield f"time      {self.time} (seconds since 1970)"
        yield f"/         {self.images.root}, with {USR_ARCHIVE} still empty"
        yield f"/usr      {self.images.usr}"
        for step in self.steps:
            yield f"hook      {step}"

    def data(self) -> dict[str, object]:
        """Return the plan as data."""
        return {
            "kind": "platform",
            "name": self.name,
            "output": str(self.inputs.output),
            "time": self.time,
            "root": self.images.root.data(),
            "usr": self.images.usr.data(),
            "hooks": {step.hook.name: str(step) for step in self.steps},
            "warnings": list(self.warnings),
        }

    def rehearse(self, outputs: Rehearsal) -> None:
        """Name the outputs, for what would keep them from being made."""
        place = self.inputs.output
        outputs.folder(place / self.name)
        # What /usr will have, compressed, comes on top.
        outputs.file(place / f"{self.name}.tgz", self.images.root.content("boot_archive"))
        for name in ("gitstatus.json", "buildstamp"):
            outputs.file(place / name)
        for name in ("platform-latest", "platform-latest.tgz"):
            outputs.link(place / name)

    def write(self, show: Show = unseen) -> list[Product]:
        """Carry the plan out; return the summaries of the boot archive and the tarball."""
        products = _assemble(self, show)
        self.log.lines(product.line() for product in products)
        self.log.messages(f"warning: {warning}" for product in products for warning in product.warnings)
        return products


def _assemble(plan: Plan, show: Show) -> list[Product]:
    """Make all that a platform consists of; return the summaries of the boot archive and the tarball.

    What can be done at the same time is: sums while /usr is compressed, the boot archive while the tarball is written,
    whose progress is shown for both.
    """
    output = plan.inputs.output
    with Outputs() as outputs:
        folder = outputs.folder(output / plan.name, PLATFORM_FILES)
        images = _final_images(plan)
        archive = folder.file(BOOT_ARCHIVE)
        with plan.log.step("Compressing /usr"), ThreadPoolExecutor(1) as background:
            background.submit(images.shipped.read)
            usr = _compressed_usr(images, archive, plan.inputs.level, show)
        root = images.complete_root(usr)
        in_place = root.last
        if not usr.lies_in(root):  # the image has to grow, or has another place for the end of the file
            root, in_place = images.complete_root(usr.moved(output)), []
        image = root.content("boot_archive")
        with plan.log.step("Writing the boot archive and the platform's tarball"), ThreadPoolExecutor(1) as background:
            # In this context, for it to know when the run is being ended.
            writing = background.submit(copy_context().run, _write_archive, archive, image, in_place)
            tree = _platform_tree(plan, image, Deferred(_HASH_SIZE, lambda: _hash(writing)), images.shipped)
            packed = tar.plan(tree)
            start = next(offset for offset, piece in packed.pieces() if piece is image)
            tarball = write_product(
                outputs,
                output / f"{plan.name}.tgz",
                packed,
                compress=True,
                level=plan.inputs.level,
                compressed=[(start + offset, length) for offset, length in root.last],
                show=show,
            )
            boot_archive, _ = writing.result()
        for file in tree.files():
            path = file.path.removeprefix(f"{plan.name}/")
            if path != BOOT_ARCHIVE:
                raw.write_raw(file.content, folder.file(path, file.mode), digests=())
        outputs.file(output / "gitstatus.json").write(plan.git_status.encode())
        outputs.file(output / "buildstamp").write(_stamp_line(plan))
        outputs.link(output / "platform-latest", plan.name)
        outputs.link(output / "platform-latest.tgz", f"{plan.name}.tgz")
    products = [replace(boot_archive, warnings=tuple(growth("/", root, images.sizes.root))), tarball]
    if plan.root_password is not None:
        size = len(_password_line(plan.root_password))
        products.append(Product(output / plan.name / ROOT_PASSWORD, size, None, 0.0, what="the root password"))
    return products


def _final_images(plan: Plan) -> Images:
    """Run the target's programs where there are any, and plan the images anew for what they made."""
    tree = run_commands(plan.tree, plan.steps, plan.inputs.root, plan.time, plan.inputs.output, plan.log)
    return plan.images if tree is None else plan_images(tree, plan.images.sizes, plan.time)


def _compressed_usr(images: Images, archive: OutputFile, level: gzip.Level, show: Show) -> LastFile:
    """Compress /usr into the boot archive, to where it will be: it is most of it."""
    image = images.usr.content("/usr image")
    compressed = LastFile(images.root, archive, USR_ARCHIVE)
    with show(USR_ARCHIVE, image.size) as progress:
        lofi.compress(image, compressed, level=level, progress=progress)
    return compressed


def _write_archive(
    archive: OutputFile, image: Content, in_place: Sequence[tuple[int, int]]
) -> tuple[Product, str | None]:
    """Write what is not in place of the boot archive; return its summary and its SHA-1."""
    started = monotonic()
    result = raw.write_raw(image, archive, digests=("sha256", "sha1"), in_place=in_place)
    return Product(archive.path, result.size, result.sha256, monotonic() - started), result.sha1


def _hash(writing: Future[tuple[Product, str | None]]) -> bytes:
    """Return what boot_archive.hash holds, once the boot archive is written."""
    return f"{writing.result()[1]}\n".encode()


def _platform_tree(plan: Plan, image: Content, digest: Content, shipped: Content) -> Tree:
    """Return the platform folder as a tree, owned by root: what the tarball holds."""
    kernel = plan.tree[IMAGE_KERNEL]
    assert isinstance(kernel, File)
    contents = {
        PLATFORM_VERSION: Bytes(_stamp_line(plan)),
        BOOT_ARCHIVE: image,
        f"{BOOT_ARCHIVE}.gitstatus": Bytes(plan.git_status.encode()),
        f"{BOOT_ARCHIVE}.hash": digest,
        f"{BOOT_ARCHIVE}.manifest": shipped,
        PLATFORM_KERNEL: kernel.content,
    }
    if plan.root_password is not None:
        contents[ROOT_PASSWORD] = Bytes(_password_line(plan.root_password))
    tree = Tree(Directory(path="", mtime=plan.time))
    for name, content in sorted(contents.items()):
        path = f"{plan.name}/{name}"
        mode = 0o600 if name == ROOT_PASSWORD else 0o644
        tree.add_parents(path, mtime=plan.time)
        tree.add(File(path=path, mode=mode, mtime=plan.time, user="root", group="root", content=content))
    return tree


def _password_line(password: str) -> bytes:
    return f"{password}\n".encode()


def _stamp_line(plan: Plan) -> bytes:
    return f"{plan.inputs.stamp.text}\n".encode()
