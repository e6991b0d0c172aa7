"""The demo: a small workspace with manifests, a proto area made from them, and boot stand-ins."""

import random
from pathlib import Path

import imagekit
from imagekit.content import Bytes, Content, DiskFile
from imagekit.errors import InputError
from imagekit.formats import folder
from imagekit.manifest.grammar import Directive
from imagekit.manifest.sources import read_manifests
from imagekit.tree import File, HardLink, Symlink, Tree

STAMP = "20261122T000000Z"
CONFIG = """\
# The demo differs from a SmartOS build: its images are small, and what needs an illumos host was made before.
platform:
  root-size: 12288
  usr-size: 16384
  prebuilt:
    etc/svc/repository.db: prebuilt/repository.db
    smartdc/man/whatis: prebuilt/whatis
    usr/lib/brand/joyent-minimal/repository.db: prebuilt/repository.db
    usr/share/man/whatis: prebuilt/whatis
"""
LARGEST = 60_000
"""Bytes of the largest made-up file."""


def make_demo(target: Path) -> Path:
    """Make the demo workspace at `target`, which must not exist or be empty; return its path.

    It holds manifest.d, boot.manifest.d, proto and imagekit.yaml, as a smartos-live workspace does after a build.
    """
    manifests = shipped_folder("manifests") / "demo"
    stand_ins = shipped_folder("bootloader") / "built"
    tree = Tree()
    for name in ("platform", "boot"):
        place = "manifest.d" if name == "platform" else "boot.manifest.d"
        _put(tree, f"{place}/demo.manifest", DiskFile(manifests / f"{name}.manifest"))
    _put(tree, "imagekit.yaml", Bytes(CONFIG.encode()))
    _put(tree, "prebuilt/repository.db", Bytes(b"stands for an SMF repository\n"))
    _put(
        tree, "prebuilt/whatis", Bytes(b"imgadm imgadm(8) - manage images\nvmadm vmadm(8) - manage virtual machines\n")
    )
    _put(tree, "proto/buildstamp", Bytes(f"{STAMP}\n".encode()))
    directives = read_manifests([manifests / "platform.manifest", manifests / "boot.manifest"])
    for directive in sorted(directives, key=lambda one: one.kind == "h"):
        _add(tree, directive, (manifests / "files", stand_ins))
    folder.extract(tree, target)
    return target


def shipped_folder(name: str) -> Path:
    """Return a folder that comes with imagekit: beside the package in a checkout, inside it when installed."""
    package = Path(imagekit.__file__).resolve().parent
    for candidate in (package / "data" / name, package.parent / name):
        if candidate.is_dir():
            return candidate
    raise InputError(f"this installation of imagekit lacks its folder {name}", hint="install it again")


def _put(tree: Tree, path: str, content: Content) -> None:
    tree.add_parents(path)
    tree.add(File(path=path, content=content))


def _add(tree: Tree, directive: Directive, seeds: tuple[Path, ...]) -> None:
    """Add what a line of the manifest describes to the proto area."""
    path = f"proto/{directive.path}"
    if directive.kind == "d":
        tree.add_parents(f"{path}/.")
        return
    tree.add_parents(path)
    if directive.kind == "s":
        tree.add(Symlink(path=path, target=directive.target))
    elif directive.kind == "h":
        tree.add(HardLink(path=path, target=f"proto/{directive.target}"))
    else:
        seed = next((top / directive.path for top in seeds if (top / directive.path).is_file()), None)
        tree.add(File(path=path, content=DiskFile(seed) if seed else Bytes(_made_up(directive.path))))


def _made_up(path: str) -> bytes:
    """Return what stands for a file: text that names it, and for programs bytes that compress as programs do."""
    title = f"# stands for /{path} in imagekit's demo\n".encode()
    if not any(part in path for part in ("bin/", "lib/lib", "kernel/", "amd64/")):
        return title
    rng = random.Random(path)
    pool = rng.randbytes(4096)
    size = rng.randrange(4096, LARGEST)
    words = [pool[start : start + 24] for start in (rng.randrange(4072) for _ in range(size // 24))]
    return title + b"".join(words)
