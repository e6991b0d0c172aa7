"""tar archives as GNU tar and bsdtar list them, and theirs as imagekit does."""

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from imagekit.content import Bytes, DiskFile
from imagekit.files.output import Outputs
from imagekit.formats import gzip, table, tar
from imagekit.tree import Directory, File, HardLink, Special, Symlink, Tree

ENVIRONMENT = {"PATH": os.environ["PATH"], "TZ": "UTC", "LC_ALL": "C.UTF-8"}
TIME = 1_795_305_600  # 2026-11-22 00:00:00 UTC


def run(*command: str | Path) -> str:
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, check=False)
    assert (done.returncode, done.stderr) == (0, ""), (command, done.stderr)
    return done.stdout


@pytest.fixture
def tree() -> Tree:
    root = {"user": "root", "group": "root", "mtime": TIME}
    deep = "/".join(["directory" * 5] * 3)
    tree = Tree.of(
        [
            Directory(path="usr", mode=0o755, gid=3, user="root", group="sys", mtime=TIME),
            File(
                path="usr/su", content=Bytes(b"program" * 999), mode=0o4555, gid=2, user="root", group="bin", mtime=TIME
            ),
            File(path="usr/empty", content=Bytes(b""), mode=0o400, uid=60_001, gid=60_001, user="nobody", mtime=1),
            HardLink(path="usr/link", target="usr/su", mode=0o4555, gid=2, user="root", group="bin", mtime=TIME),
            Symlink(path="usr/sym", target="../etc/passwd", **root),
            Symlink(path="usr/long", target="t" * 150, **root),
            Directory(path="tmp", mode=0o1777, gid=3, user="root", group="sys", mtime=TIME),
            File(path="tmp/\u00fcml\u00e4ut", content=Bytes(b"x" * 513), uid=(1 << 31) - 1, user="big", mtime=TIME),
            Special(path="tmp/null", type="c", major=1, minor=3, mode=0o666, **root),
            Special(path="tmp/fifo", type="p", mode=0o600, **root),
        ]
    )
    tree.add_parents(f"{deep}/x", mtime=TIME)
    tree.add(File(path=f"{deep}/" + "name" * 25, content=Bytes(b"deep"), **root))
    tree.add(File(path=f"{deep}/" + "name" * 30, content=Bytes(b"deeper"), **root))
    return tree


def letters(tree: Tree, path: str, *, links_as_files: bool) -> str:
    entry = tree[path]
    kinds = {Directory: "d", File: "-", Symlink: "l", HardLink: "-" if links_as_files else "h"}
    kind = entry.type if isinstance(entry, Special) else kinds[type(entry)]
    mode = list("".join("rwx"[bit % 3] if entry.mode >> (8 - bit) & 1 else "-" for bit in range(9)))
    for bit, place, letter in ((0o4000, 2, "s"), (0o2000, 5, "s"), (0o1000, 8, "t")):
        if entry.mode & bit:
            mode[place] = letter if mode[place] == "x" else letter.upper()
    return kind + "".join(mode)


def size(tree: Tree, path: str) -> str:
    entry = tree[path]
    if isinstance(entry, Special) and entry.type != "p":
        return f"{entry.major},{entry.minor}"
    return str(entry.content.size if isinstance(entry, File) else 0)


def shown(tree: Tree, path: str) -> str:
    entry = tree[path]
    if isinstance(entry, Symlink):
        return f"{path} -> {entry.target}"
    if isinstance(entry, HardLink):
        return f"{path} link to {entry.target}"
    return path + ("/" if isinstance(entry, Directory) else "")


def written(tree: Tree, folder: Path, *, compress: bool) -> Path:
    path = folder / ("x.tgz" if compress else "x.tar")
    with Outputs() as outputs:
        output = outputs.file(path)
        if compress:
            gzip.compress(tar.plan(tree), output.write)
        else:
            output.write(tar.plan(tree).read())
    return path


@pytest.mark.parametrize("compress", [False, True])
def test_gnu_tar_lists_what_went_in(need: Callable[..., None], tree: Tree, tmp_path: Path, compress: bool) -> None:
    need("tar")
    path = written(tree, tmp_path, compress=compress)
    lines = run("tar", "-tvf", path, "--full-time", "--quoting-style=literal").splitlines()
    numbers = run("tar", "-tvf", path, "--numeric-owner", "--quoting-style=literal").splitlines()
    below = [entry for entry in tree if entry.path]
    assert len(lines) == len(numbers) == len(below)
    for line, numeric, entry in zip(lines, numbers, below, strict=True):
        mode, owner, length, day, hour, name = line.split(None, 5)
        assert mode == letters(tree, entry.path, links_as_files=False)
        # Without a name GNU tar shows the number.
        assert owner == f"{entry.user or entry.uid}/{entry.group or entry.gid}"
        assert numeric.split()[1] == f"{entry.uid}/{entry.gid}"
        assert length == size(tree, entry.path)
        assert (day, hour) == (("2026-11-22", "00:00:00") if entry.mtime == TIME else ("1970-01-01", "00:00:01"))
        assert name == shown(tree, entry.path)


def test_bsdtar_lists_what_went_in(need: Callable[..., None], tree: Tree, tmp_path: Path) -> None:
    need("bsdtar")
    path = written(tree, tmp_path, compress=True)
    lines = run("bsdtar", "-tvf", path).splitlines()
    below = [entry for entry in tree if entry.path]
    assert len(lines) == len(below)
    for line, entry in zip(lines, below, strict=True):
        mode, _, user, group, length, _, _, _, name = line.split(None, 8)
        assert mode[1:] == letters(tree, entry.path, links_as_files=True)[1:]
        assert (user, group) == (entry.user or str(entry.uid), entry.group or str(entry.gid))
        assert length == size(tree, entry.path)
        assert re.sub(r"^([0-9]+) ", "", name) == shown(tree, entry.path)


def test_gnu_tar_unpacks_what_went_in(need: Callable[..., None], tree: Tree, tmp_path: Path) -> None:
    need("tar")
    tree.remove("tmp/null")  # only root may make devices
    path = written(tree, tmp_path, compress=True)
    target = tmp_path / "out"
    target.mkdir()
    run("tar", "-C", target, "--no-same-owner", "-xpf", path)
    for entry in tree:
        found = target / entry.path
        status = found.lstat()
        assert isinstance(entry, Symlink) or not entry.path or status.st_mode & 0o7777 == entry.mode
        assert not entry.path or int(status.st_mtime) == entry.mtime
        if isinstance(entry, File):
            assert found.read_bytes() == entry.content.read()
        elif isinstance(entry, Symlink):
            assert str(found.readlink()) == entry.target
        elif isinstance(entry, HardLink):
            assert found.samefile(target / entry.target)


@pytest.mark.parametrize(
    "tool", ["tar --format=gnu", "tar --format=ustar", "tar --format=pax", "bsdtar", "tar --format=v7"]
)
def test_reads_what_others_pack(need: Callable[..., None], tmp_path: Path, tool: str) -> None:
    program, *options = tool.split()
    need(program)
    source = tmp_path / "in"
    (source / "folder").mkdir(parents=True)
    (source / "folder" / "file").write_bytes(b"text" * 1000)
    (source / "folder" / "file").chmod(0o4751)
    os.utime(source / "folder" / "file", (TIME, TIME))
    os.link(source / "folder" / "file", source / "name")
    (source / "link").symlink_to("folder/file")
    if options not in (["--format=ustar"], ["--format=v7"]):
        (source / ("n" * 120)).write_text("long")
    path = tmp_path / "x.tgz"
    run(program, *options, "-C", source, "-czf", path, ".")
    found = tar.read(DiskFile(path))
    assert sorted(entry.path for entry in found) == sorted(
        ["", *(os.path.relpath(place, source) for place in source.rglob("*"))]
    )
    files = [entry for entry in found.files() if not entry.path.startswith("nnn")]
    (file,) = files
    assert (file.mode, file.mtime, file.content.read()) == (0o4751, TIME, b"text" * 1000)
    (hard,) = [entry for entry in found if isinstance(entry, HardLink)]
    assert {hard.path, hard.target} == {"name", "folder/file"}
    assert isinstance(link := found["link"], Symlink)
    assert link.target == "folder/file"


@pytest.mark.parametrize("tool", ["bsdtar", "tar"])
def test_reads_archives_of_v7(need: Callable[..., None], tmp_path: Path, tool: str) -> None:
    need(tool)
    folder = tmp_path / "in"
    (folder / "d/sub").mkdir(parents=True)
    (folder / "d/file").write_bytes(b"x" * 600)
    (folder / "d/sub/hard").hardlink_to(folder / "d/file")
    (folder / "d/soft").symlink_to("file")
    archive = tmp_path / "old.tar"
    run(tool, "--format=v7", "-cf", archive, "-C", folder, "d")
    assert DiskFile(archive).read(257, 5) != b"ustar"
    assert table.name_of(DiskFile(archive)) == "tar"
    found = table.open_tree(DiskFile(archive))
    assert sorted(entry.path for entry in found) == ["", "d", "d/file", "d/soft", "d/sub", "d/sub/hard"]
    for path in ("d/file", "d/sub/hard"):
        inode = found.inode(path)
        assert isinstance(inode, File)
        assert inode.content.read() == b"x" * 600
    assert [type(found[path]) for path in ("d/sub", "d/soft")] == [Directory, Symlink]
