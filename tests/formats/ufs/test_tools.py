"""What other readers of UFS see in the images: GRUB's and the Linux kernel's."""

import hashlib
import subprocess
import sys
from datetime import UTC, datetime

import pytest

from imagekit.content import Bytes, write_sparse
from imagekit.files.output import Outputs
from imagekit.formats import ufs
from imagekit.tree import Directory, File, HardLink, Special, Symlink, Tree

TIME = 1600000000


def body(size):
    return b"".join(hashlib.sha256(f"{size} {index}".encode()).digest() for index in range(-(-size // 32)))[:size]


def make_tree():
    tree = Tree(Directory(path="", mode=0o751, uid=3, gid=4, mtime=TIME - 5))
    tree.add(Directory(path="d", uid=70000, gid=65535, mtime=-1))
    tree.add(Directory(path="d/with space", mode=0o1777))
    for size in (0, 1, 1024, 1025, 4096, 49152, 49153, 4_300_000):
        tree.add(File(path=f"d/file{size}", content=Bytes(body(size)), mode=0o640, uid=size, mtime=size))
    tree.add(HardLink(path="d/with space/other", target="d/file1025"))
    for size in (1, 56, 57, 60, 61, 500, 1000):
        tree.add(Symlink(path=f"d/link{size}", target="t" * size, mtime=TIME))
    tree.add(Special(path="d/block", type="b", major=7, minor=8))
    tree.add(Special(path="d/large", type="c", major=300, minor=100000, mode=0o666))
    tree.add(Special(path="d/fifo", type="p"))
    tree.add(Special(path="d/socket", type="s"))
    tree.add(Directory(path="many"))
    for index in range(1000):
        tree.add(File(path=f"many/{index:03}{'n' * (index % 60)}", content=Bytes(body(index))))
    return tree


def write(tree, path, **options):
    with Outputs() as outputs:
        write_sparse(ufs.plan(tree, 12000 * 1024, time=TIME, **options).content(), outputs.file(path))
    return path


@pytest.mark.parametrize("block_size", [4096, 8192])
def test_grub_lists_and_reads(need, tmp_path, block_size):
    need("grub-fstest")
    image = write(make_tree(), tmp_path / "x.ufs", block_size=block_size, bytes_per_inode=4096)

    def grub(*words):
        return subprocess.run(["grub-fstest", str(image), *words], check=True, capture_output=True).stdout

    listed = f" {grub('ls', '(loop0)/d/').decode()} "
    assert all(f" {name} " in listed for name in ("with space/", "file49153", "link1000"))
    assert len(grub("ls", "(loop0)/many/").split()) == 1000
    for size in (0, 1, 1025, 49152, 49153, 4_300_000):
        assert grub("cat", f"(loop0)/d/file{size}") == body(size)
    assert grub("cat", "(loop0)/d/with space/other") == body(1025)
    assert grub("cat", "(loop0)/many/999" + "n" * 39) == body(999)


def expected_lines(tree):
    """Return what kernel-ls should print of each entry, but for the sizes of directories."""
    kinds = {Directory: "d", File: "f", Symlink: "l"}
    for entry in tree:
        real = tree[entry.target] if isinstance(entry, HardLink) else entry
        kind = real.type if isinstance(real, Special) else kinds[type(real)]
        size, digest, path = "0", "-", f"/{entry.path}"
        if isinstance(real, File):
            size, digest = str(real.content.size), hashlib.sha256(real.content.read()).hexdigest()
        elif isinstance(real, Symlink):
            size, path = str(len(real.target)), f"{path} -> {real.target}"
        elif isinstance(real, Directory):
            size = "*"
        time = datetime.fromtimestamp(real.mtime, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        yield " ".join([kind, f"{real.mode:04o}", str(real.uid), str(real.gid), size, time, digest, path])


@pytest.mark.boot
@pytest.mark.parametrize("block_size", [4096, 8192])
def test_linux_sees_what_was_written(need, shared, tmp_path, block_size):
    need("qemu-system-x86_64")
    tree = make_tree()
    image = write(tree, tmp_path / "x.ufs", block_size=block_size, bytes_per_inode=4096)
    tool = shared / "tools" / "kernel-ls"
    run = subprocess.run(
        [sys.executable, str(tool), str(image), "ufs", "ufstype=sunx86"], capture_output=True, text=True, check=True
    )
    seen = set()
    for line in run.stdout.splitlines():
        if line.startswith("kernel "):
            pytest.fail(line)
        if line.startswith("file 0 "):
            kind, mode, uid, gid, size, mtime, digest, path = line.split(" ", 9)[2:]
            seen.add(" ".join([kind, mode, uid, gid, "*" if kind == "d" else size, mtime, digest, path]))
    tree.add(Directory(path="lost+found", mode=0o700, mtime=TIME))
    assert seen == set(expected_lines(tree))
