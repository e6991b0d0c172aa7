"""Carries out the plan of a platform: both images, the platform folder around them, the tarball, the links."""

import time as clock
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from imagekit.content import Bytes, Content, DiskFile
from imagekit.formats import lofi, raw, tar
from imagekit.output import OutputFolder, Outputs
from imagekit.platform.hooks import run_commands
from imagekit.platform.images import Images, growth, plan_images
from imagekit.platform.layout import BOOT_ARCHIVE, IMAGE_KERNEL, PLATFORM_KERNEL, PLATFORM_VERSION, ROOT_PASSWORD
from imagekit.product import Product, write_product
from imagekit.progress import progress_bar
from imagekit.tree import Directory, File, Tree

if TYPE_CHECKING:
    from imagekit.platform.plan import Plan


def assemble(plan: "Plan") -> list[Product]:
    """Make all that a platform consists of; return the summaries of the boot archive and the tarball."""
    output = plan.inputs.output
    with Outputs() as outputs:
        folder = outputs.folder(output / plan.name)
        contents = _Folder(folder, plan.time)
        # Scratch space beside the outputs, since the system's may be small: the compressed /usr has 200 MB, and what
        # the target's programs work on is as large as the image.
        with Outputs() as temporary:
            scratch = temporary.scratch(output)
            images = _final_images(plan, scratch)
            # The sums are made while /usr is compressed: when it comes to the list of them, they are there.
            with ThreadPoolExecutor(1) as background:
                sums = background.submit(images.shipped.text)
                usr = _compressed_usr(images, scratch)
                shipped = sums.result()
            root = images.complete_root(usr, plan.sizes, plan.time)
            archive, sha1 = contents.stream(BOOT_ARCHIVE, root.content("boot_archive"))
        archive = replace(archive, warnings=tuple(growth("/", root, plan.sizes.root)))
        contents.put(f"{BOOT_ARCHIVE}.gitstatus", plan.git_status.encode())
        contents.put(f"{BOOT_ARCHIVE}.hash", f"{sha1}\n".encode())
        contents.put(f"{BOOT_ARCHIVE}.manifest", shipped)
        kernel = plan.tree[IMAGE_KERNEL]
        assert isinstance(kernel, File)
        contents.stream(PLATFORM_KERNEL, kernel.content)
        contents.put(PLATFORM_VERSION, f"{plan.inputs.stamp.text}\n".encode())
        if plan.root_password is not None:
            contents.put(ROOT_PASSWORD, f"{plan.root_password}\n".encode(), mode=0o600)

        tarball = write_product(outputs, output / f"{plan.name}.tgz", tar.plan(contents.tree(plan.name)), compress=True)
        outputs.file(output / "gitstatus.json").write(plan.git_status.encode())
        outputs.file(output / "buildstamp").write(f"{plan.inputs.stamp.text}\n".encode())
        outputs.link(output / "platform-latest", plan.name)
        outputs.link(output / "platform-latest.tgz", f"{plan.name}.tgz")
    return [archive, tarball]


def _final_images(plan: "Plan", scratch: Path) -> Images:
    """Run the target's programs where there are any, and plan the images anew for what they made."""
    tree = run_commands(plan.tree, plan.steps, plan.inputs.root, plan.time, scratch)
    return plan.images if tree is None else plan_images(tree, plan.sizes, plan.time)


def _compressed_usr(images: Images, scratch: Path) -> Content:
    path = scratch / "usr.lgz"
    image = images.usr.content("/usr image")
    with Outputs() as outputs, progress_bar("usr.lgz", image.size) as progress:
        lofi.compress(image, outputs.file(path), progress=progress)
    return DiskFile(path)


class _Folder:
    """The platform folder being filled, and the same as a tree for its tarball."""

    def __init__(self, folder: OutputFolder, time: int) -> None:
        self._folder = folder
        self._time = time
        self._files: dict[str, tuple[int, DiskFile]] = {}

    def put(self, path: str, data: bytes, mode: int = 0o644) -> None:
        """Write a small file."""
        self.stream(path, Bytes(data), mode)

    def stream(self, path: str, content: Content, mode: int = 0o644) -> tuple[Product, str | None]:
        """Write a file; return its summary, under the name that it will have, and its SHA-1."""
        started = clock.monotonic()
        output = self._folder.file(path, mode)
        with progress_bar(path, content.size) as progress:
            result = raw.write_raw(content, output, progress, digests=("sha256", "sha1"))
        place = self._folder.complete(output)
        self._files[path] = (mode, DiskFile(place))
        seconds = clock.monotonic() - started
        return Product(self._folder.path / path, result.size, result.sha256, seconds), result.sha1

    def tree(self, top: str) -> Tree:
        """Return the folder as a tree below `top`, owned by root: what the tarball holds."""
        tree = Tree(Directory(path="", mtime=self._time))
        for path, (mode, content) in sorted(self._files.items()):
            place = f"{top}/{path}"
            tree.add_parents(place, mtime=self._time)
            tree.add(File(path=place, mode=mode, mtime=self._time, user="root", group="root", content=content))
        return tree
