"""Folders on disk: what is read from them, and what is laid out in them."""

import contextvars
import errno
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.content import Bytes, Composite
from imagekit.errors import ImagekitError, InputError, OutputError, PlanError
from imagekit.files.ledger import Ledger
from imagekit.formats import folder
from imagekit.interrupts import Interrupted, Interrupts
from imagekit.tree import Directory, File, HardLink, Special, Symlink, Tree


def describe(tree: Tree) -> list[tuple]:
    """Return all that an entry says, contents included, without owners."""
    rows = []
    for entry in tree:
        detail: object = None
        if isinstance(entry, File):
            detail = entry.content.read()
        elif isinstance(entry, (Symlink, HardLink)):
            detail = entry.target
        rows.append((entry.KIND, entry.path, entry.mode, entry.mtime, detail))
    return rows


@pytest.fixture
def sample(tmp_path: Path) -> Path:
    top = tmp_path / "sample"
    (top / "a").mkdir(parents=True)
    (top / "a" / "x").write_bytes(b"linked")
    os.link(top / "a" / "x", top / "b")
    os.link(top / "a" / "x", top / "a" / "w")
    (top / "B").write_bytes(b"big")
    (top / "B").chmod(0o4751)
    (top / "empty").mkdir(mode=0o700)
    (top / "escape").symlink_to("/etc")
    (top / "dangling").symlink_to("no where")
    (top / "untidy").symlink_to(".//up/./")
    os.utime(top / "B", (5, 1_000_000_000.75))
    return top


def test_reading_a_folder(sample: Path):
    tree = folder.read(sample)
    assert [(entry.KIND, entry.path) for entry in tree] == [
        ("directory", ""),
        ("file", "B"),
        ("directory", "a"),
        ("file", "a/w"),
        ("hard link", "a/x"),
        ("hard link", "b"),
        ("symbolic link", "dangling"),
        ("directory", "empty"),
        ("symbolic link", "escape"),
        ("symbolic link", "untidy"),
    ]
    big = tree["B"]
    assert isinstance(big, File)
    assert (big.mode, big.mtime, big.uid, big.gid, big.content.read()) == (0o4751, 1_000_000_000, 0, 0, b"big")
    assert [tree[path].target for path in ("a/x", "b")] == ["a/w", "a/w"]
    assert tree["escape"].target == "/etc"
    assert tree["dangling"].target == "no where"
    assert tree["untidy"].target == ".//up/./"


def test_owners_are_kept_on_request(sample: Path):
    entry = folder.read(sample, keep_owners=True)["B"]
    assert (entry.uid, entry.gid) == (os.getuid(), os.getgid())


def test_order_does_not_depend_on_the_disk(tmp_path: Path):
    names = ["z", "a", "a.b", "a-b", "\u00e9", "Z", "a0"]
    for top, order in ((tmp_path / "one", names), (tmp_path / "two", names[::-1])):
        for name in order:
            (top / name).mkdir(parents=True)
            (top / name / "f").write_bytes(b"")
    trees = [[entry.path for entry in folder.read(tmp_path / top)] for top in ("one", "two")]
    assert trees[0] == trees[1] == [entry.path for entry in folder.read(tmp_path / "one").sorted()]


def test_names_that_are_not_utf8(tmp_path: Path):
    raw = os.fsencode(tmp_path) + b"/caf\xe9"
    Path(os.fsdecode(raw)).write_bytes(b"x")
    tree = folder.read(tmp_path)
    copy = tmp_path.parent / f"{tmp_path.name}-copy"
    folder.extract(tree, copy)
    assert [os.fsencode(path.name) for path in copy.iterdir()] == [b"caf\xe9"]


def test_all_special_files_are_named(tmp_path: Path):
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listener:
        old = Path.cwd()
        os.chdir(tmp_path)
        try:
            listener.bind("door")
        finally:
            os.chdir(old)
    with pytest.raises(InputError) as caught:
        folder.read(tmp_path)
    assert f"{tmp_path}/pipe: found a fifo" in str(caught.value)
    assert f"{tmp_path}/door: found a socket" in str(caught.value)
    tree = folder.read(tmp_path, special=True)
    assert [(entry.path, entry.type) for entry in tree if isinstance(entry, Special)] == [("door", "s"), ("pipe", "p")]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device nodes")
def test_devices(tmp_path: Path):
    try:
        os.mknod(tmp_path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("device nodes are forbidden here")
    with pytest.raises(InputError, match="null: found a character device"):
        folder.read(tmp_path)
    entry = folder.read(tmp_path, special=True)["null"]
    assert isinstance(entry, Special)
    assert (entry.type, entry.major, entry.minor) == ("c", 1, 3)


def test_not_a_folder(tmp_path: Path):
    with pytest.raises(InputError, match="No such file"):
        folder.read(tmp_path / "none")
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(InputError, match="found a file, expected a folder"):
        folder.read(tmp_path / "file")


AS_NOBODY = """
import os, sys
from pathlib import Path
from imagekit.errors import InputError
from imagekit.formats import folder
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
try:
    folder.read(Path(sys.argv[1]))
except InputError as error:
    print(error)
else:
    print("nothing was wrong")
"""


def test_unreadable_things_are_all_named(open_tmp: Path):
    (open_tmp / "secret").write_bytes(b"x")
    (open_tmp / "secret").chmod(0)
    (open_tmp / "closed").mkdir(mode=0)
    (open_tmp / "fine").write_bytes(b"x")
    try:
        run = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(open_tmp)], check=True, capture_output=True, text=True
        )
    finally:
        (open_tmp / "closed").chmod(0o700)
    assert "2 things here cannot be taken" in run.stdout
    assert f"{open_tmp}/secret: cannot read: permission denied" in run.stdout
    assert f"{open_tmp}/closed: cannot read the folder: Permission denied" in run.stdout
    assert "fine" not in run.stdout


def test_round_trip(sample: Path, tmp_path: Path):
    tree = folder.read(sample)
    folder.extract(tree, tmp_path / "copy", keep_set_id=True)
    assert describe(folder.read(tmp_path / "copy")) == describe(tree)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["copy", "sample"]


def test_set_id_bits_are_dropped_unless_wanted(sample: Path, tmp_path: Path):
    folder.extract(folder.read(sample), tmp_path / "copy")
    assert stat.S_IMODE((tmp_path / "copy" / "B").stat().st_mode) == 0o751


def test_holes_stay_holes(tmp_path: Path):
    content = Composite(64 << 20, [(40 << 20, Bytes(b"data"))], origin="test")
    folder.extract(Tree.of([File(path="sparse", content=content)]), tmp_path / "out")
    status = (tmp_path / "out" / "sparse").stat()
    assert status.st_size == 64 << 20
    assert status.st_blocks * 512 < 4 << 20
    with (tmp_path / "out" / "sparse").open("rb") as file:
        file.seek((40 << 20) - 1)
        assert file.read(6) == b"\0data\0"


def test_read_only_directories_and_their_times(tmp_path: Path):
    tree = Tree.of(
        [Directory(path="d", mode=0o555, mtime=77), File(path="d/f", content=Bytes(b"x"), mode=0o444, mtime=78)],
        Directory(path="", mode=0o755, mtime=79),
    )
    folder.extract(tree, tmp_path / "out")
    assert describe(folder.read(tmp_path / "out")) == describe(tree)


CLOSED = """
import os, sys
from pathlib import Path
from imagekit.content import Bytes
from imagekit.formats import folder
from imagekit.tree import Directory, File, Tree
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
tree = Tree.of([Directory(path="d", mode=0, mtime=1), Directory(path="d/e", mode=0, mtime=2),
                Directory(path="d/e/g", mode=0o500, mtime=3), File(path="d/e/f", content=Bytes(b"x"), mode=0)])
os.chdir(sys.argv[1])
folder.extract(tree, Path("out"))
for path in ("out/d", "out/d/e", "out/d/e/g"):
    status = os.stat(path)
    print(path, oct(status.st_mode & 0o7777), int(status.st_mtime))
    os.chmod(path, 0o700)
"""


def test_directories_that_shut_their_owner_out_too(open_tmp: Path):
    """Modes and times are set from the innermost one on: behind a closed one nothing can be set any more."""
    open_tmp.chmod(0o777)
    done = subprocess.run([sys.executable, "-c", CLOSED, str(open_tmp)], check=False, capture_output=True, text=True)
    assert done.stderr == ""
    assert done.stdout == "out/d 0o0 1\nout/d/e 0o0 2\nout/d/e/g 0o500 3\n"


@pytest.mark.usefixtures("handled")
def test_an_interrupt_comes_behind_the_rename(tmp_path: Path, monkeypatch):
    """What has its name is noted as complete, whenever the interrupt comes."""
    replace = os.replace

    def interrupted(*arguments):
        replace(*arguments)
        signal.raise_signal(signal.SIGINT)

    ledger = Ledger()

    def extract():
        ledger.open()
        folder.extract(Tree.of([File(path="f", content=Bytes(b"x"))]), tmp_path / "out")

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(Interrupted):
        contextvars.copy_context().run(extract)
    assert ledger.complete() == [tmp_path / "out"]


def test_what_is_there_is_not_touched(tmp_path: Path):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "mine").write_bytes(b"keep")
    (tmp_path / "link").symlink_to(tmp_path)
    (tmp_path / "file").write_bytes(b"keep")
    for name in ("full", "link", "file"):
        with pytest.raises(PlanError, match="not an empty folder"):
            folder.extract(Tree(), tmp_path / name)
    (tmp_path / "empty").mkdir()
    folder.extract(Tree.of([File(path="f", content=Bytes(b"x"))]), tmp_path / "empty")
    assert (tmp_path / "empty" / "f").read_bytes() == b"x"
    assert (tmp_path / "full" / "mine").read_bytes() == b"keep"


def test_nothing_is_written_through_a_link(tmp_path: Path):
    outside = tmp_path / "outside"
    outside.mkdir()
    tree = Tree.of([Symlink(path="way", target=str(outside))])
    with pytest.raises(InputError, match="is a symbolic link"):
        tree.add(File(path="way/out", content=Bytes(b"x")))
    for path in ("../out", "/out", "a//b", "a/../../b"):
        with pytest.raises(InputError, match=r"not a path inside a tree|no directory to be in"):
            tree.add(File(path=path, content=Bytes(b"x")))
    tree.add(HardLink(path="name", target="way"))
    folder.extract(tree, tmp_path / "out")
    assert (tmp_path / "out" / "name").is_symlink()
    assert list(outside.iterdir()) == []


@pytest.mark.parametrize(
    ("entries", "message"),
    [
        ([HardLink(path="a", target="b"), HardLink(path="b", target="a")], "in a circle: /a"),
        ([HardLink(path="a", target="../../etc/passwd")], "/a: found a hard link to /../../etc/passwd, which is noth"),
        ([Directory(path="d"), HardLink(path="a", target="d")], "/a: found a hard link to /d, which is a directory"),
        ([Special(path="dev", type="c"), Special(path="p", type="p")], "/dev: a character device\n  /p: a fifo"),
    ],
)
def test_trees_that_cannot_be_laid_out(tmp_path: Path, entries: list, message: str):
    with pytest.raises(PlanError) as caught:
        folder.extract(Tree.of(entries), tmp_path / "out")
    assert message in str(caught.value)
    assert list(tmp_path.iterdir()) == []


def test_special_files_are_left_out_on_request(tmp_path: Path):
    tree = Tree.of([Special(path="dev", type="c"), HardLink(path="also", target="dev"), Symlink(path="s", target="x")])
    folder.extract(tree, tmp_path / "out", skip_special=True)
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["s"]


def test_a_failure_leaves_nothing_behind(tmp_path: Path):
    gone = tmp_path / "gone"
    gone.write_bytes(b"soon")
    source = tmp_path / "source"
    source.mkdir()
    (source / "d").mkdir()
    (source / "d" / "f").write_bytes(b"1234")
    tree = folder.read(source)
    (source / "d" / "f").write_bytes(b"12345")
    with pytest.raises(ImagekitError, match="changed while it was being read"):
        folder.extract(tree, tmp_path / "out")
    with pytest.raises(OutputError, match="cannot write"):
        folder.extract(Tree.of([Symlink(path="s", target="a\0b")]), tmp_path / "out")
    with pytest.raises(OutputError, match="cannot write"):
        folder.extract(Tree.of([File(path="s", content=Bytes(b""), mtime=1 << 80)]), tmp_path / "out")
    with pytest.raises(OutputError, match="cannot write: Not a directory"):
        folder.extract(Tree(), gone / "below")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["gone", "source"]


def test_a_failure_leaves_no_folder_above(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def full(self: Path, target: str) -> None:
        raise OSError(errno.ENOSPC, f"no space for {self} to {target}")

    monkeypatch.setattr(Path, "symlink_to", full)
    tree = Tree.of([Directory(path="d", mode=0o555), Symlink(path="d/s", target="x")])
    with pytest.raises(OutputError, match=r"no space left: [\d,]+ bytes are free") as caught:
        folder.extract(tree, tmp_path / "new" / "deep" / "out")
    assert caught.value.hint == "free some space, or write elsewhere"
    assert list(tmp_path.iterdir()) == []


NAMES = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1, max_size=12).filter(
    lambda name: name not in {".", ".."}
)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    tree = Tree(Directory(path="", mode=0o755, mtime=3))
    folders = [""]
    files: list[str] = []
    for name in draw(st.lists(NAMES, max_size=12, unique=True)):
        parent = draw(st.sampled_from(folders))
        path = f"{parent}/{name}" if parent else name
        if len(os.fsencode(name)) > 255:
            continue
        mtime = draw(st.integers(0, 2**33))
        kind = draw(st.sampled_from("dfsh"))
        if kind == "d":
            tree.add(Directory(path=path, mode=draw(st.sampled_from([0o755, 0o555, 0o1777])), mtime=mtime))
            folders.append(path)
        elif kind == "s":
            target = draw(NAMES)
            tree.add(Symlink(path=path, target=target, mtime=mtime))
        elif kind == "h" and files:
            target = draw(st.sampled_from(files))
            old = tree[target]
            tree.add(HardLink(path=path, target=target, mode=old.mode, mtime=old.mtime))
        else:
            mode = draw(st.integers(0, 0o777)) | 0o400
            tree.add(File(path=path, content=Bytes(draw(st.binary(max_size=40))), mode=mode, mtime=mtime))
            files.append(path)
    return tree


def by_inode(tree: Tree) -> list[tuple]:
    """Describe a tree whichever name of a file comes first."""
    rows = []
    for entry in tree:
        file = tree[entry.target] if isinstance(entry, HardLink) else entry
        names = sorted(
            one.path for one in tree if one is file or (isinstance(one, HardLink) and one.target == file.path)
        )
        detail = file.content.read() if isinstance(file, File) else getattr(file, "target", None)
        rows.append((file.KIND, entry.path, entry.mode, entry.mtime, detail, names))
    return sorted(rows)


@given(trees())
@settings(max_examples=60, deadline=None)
def test_any_tree_comes_back(tmp_path_factory: pytest.TempPathFactory, tree: Tree):
    place = tmp_path_factory.mktemp("any") / "out"
    folder.extract(tree, place)
    assert by_inode(folder.read(place)) == by_inode(tree)


def test_directories_get_their_modes_from_the_innermost_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A directory that nobody may enter is closed when all in it is done; root would not notice."""
    tree = Tree.of([Directory(path="a", mode=0), Directory(path="a/b", mode=0o500), Directory(path="a/b/c", mode=0)])
    closed: list[str] = []
    chmod = Path.chmod

    def watched(place: Path, mode: int) -> None:
        closed.append(place.name)
        chmod(place, mode)

    monkeypatch.setattr(Path, "chmod", watched)
    folder.extract(tree, tmp_path / "x")
    monkeypatch.undo()
    assert [name for name in closed if name in "abc"] == ["c", "b", "a"]


def test_no_interrupt_comes_while_a_folder_is_put_in_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, handled: Interrupts
):
    put, holds = Path.replace, []

    def watched(*arguments: Path) -> None:
        holds.append(handled._holds)
        put(*arguments)

    monkeypatch.setattr(Path, "replace", watched)
    folder.extract(Tree.of([Directory(path="d")]), tmp_path / "x")
    assert holds == [1]
    assert handled._holds == 0
