# ruff: noqa: PT012 - what fails is a run of several steps

import contextlib
import errno
import os
import signal
import socket
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from imagekit import disk, interrupts
from imagekit.disk import remove
from imagekit.errors import OutputError
from imagekit.files import partials
from imagekit.files.output import OutputFile, Outputs

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def test_all_outputs_appear_together_with_their_modes(tmp_path):
    old = os.umask(0o077)
    try:
        with Outputs() as outputs:
            outputs.file(tmp_path / "a").write(b"one")
            outputs.file(tmp_path / "sub/b", mode=0o600).write(b"two")
            assert not (tmp_path / "a").exists()
    finally:
        os.umask(old)
    assert (tmp_path / "a").read_bytes() == b"one"
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o644
    assert (tmp_path / "sub/b").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "sub"]


def test_a_failure_leaves_the_old_output_and_nothing_else(tmp_path):
    (tmp_path / "a").write_bytes(b"old")

    def fail():
        with Outputs() as outputs:
            outputs.file(tmp_path / "a").write(b"new")
            outputs.file(tmp_path / "b").write(b"new")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"a": b"old"}


def test_a_failure_leaves_no_folder_that_was_not_there(tmp_path):
    (tmp_path / "there").mkdir()

    def fail():
        with Outputs() as outputs:
            outputs.file(tmp_path / "there/new/a").write(b"1")
            outputs.file(tmp_path / "there/new/deep/b").write(b"2")
            outputs.folder(tmp_path / "there/new/c").file("d/e").write(b"3")
            outputs.folder(tmp_path / "there/other/folders").file("f").write(b"4")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]
    with pytest.raises(OutputError, match="cannot write"), Outputs() as outputs:
        outputs.file(tmp_path / "there/new" / "deep" / ("n" * 300) / "a")
    assert list(tmp_path.rglob("*")) == [tmp_path / "there"]


def test_folders_that_were_made_stay_when_something_else_came_into_them(tmp_path):
    def fail():
        with Outputs() as outputs:
            outputs.file(tmp_path / "new/a").write(b"1")
            (tmp_path / "new/other").write_bytes(b"")
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError):
        fail()
    assert list(tmp_path.rglob("*")) == [tmp_path / "new", tmp_path / "new/other"]


def test_a_full_disk_is_told_with_what_is_free(tmp_path, monkeypatch):
    def full(*_arguments):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "pwrite", full)
    with Outputs() as outputs:
        for file in (outputs.file(tmp_path / "a"), outputs.folder(tmp_path / "new").file("b/c")):
            with pytest.raises(OutputError, match=rf"no space left: [\d,]+ bytes are free in {tmp_path}$") as caught:
                file.write_at(0, b"1")
            assert caught.value.where == str(file.path)


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_a_quota_is_a_full_disk_too(tmp_path, monkeypatch, number):
    def full(*_arguments):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "write", full)
    with pytest.raises(OutputError, match=r"no space left: [\d,]+ bytes are free") as caught, Outputs() as outputs:
        outputs.file(tmp_path / "a").write(b"1")
    assert caught.value.hint == "free some space, or write elsewhere"
    assert list(tmp_path.iterdir()) == []


def test_short_writes_and_reads_go_on(tmp_path, monkeypatch):
    """A system may take or give fewer bytes than it was asked to: near a limit, when a signal comes, on NFS."""
    write, pwrite, preadv = os.write, os.pwrite, os.preadv
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:3]))
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: pwrite(fd, data[:3], offset))
    monkeypatch.setattr(os, "preadv", lambda fd, buffers, offset: preadv(fd, [buffers[0][:3]], offset))
    with Outputs() as outputs:
        one, two = outputs.file(tmp_path / "one"), outputs.file(tmp_path / "two")
        assert one.write(b"0123456789") == 10
        two.write_at(5, b"0123456789")
        buffer = bytearray(10)
        assert disk.read_at(two.fileno(), 5, memoryview(buffer)) == 10
        assert buffer == b"0123456789"
        assert disk.read_at(two.fileno(), 10, memoryview(buffer)) == 5
    assert (tmp_path / "one").read_bytes() == b"0123456789"
    assert (tmp_path / "two").read_bytes() == bytes(5) + b"0123456789"


def test_no_folder_replaces_a_file(tmp_path):
    (tmp_path / "a").write_bytes(b"mine")
    message = "a file stands where the output folder should go"
    with pytest.raises(OutputError, match=message), Outputs() as outputs:
        outputs.folder(tmp_path / "a").file("f")
    assert (tmp_path / "a").read_bytes() == b"mine"


def test_a_folder_in_the_way_is_an_error(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match="folder"), Outputs() as outputs:
        outputs.file(tmp_path / "a")


def test_a_file_where_a_folder_should_be_is_an_error(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write"), Outputs() as outputs:
        outputs.file(tmp_path / "a/b")


def names(folder):
    return sorted(path.name for path in folder.rglob("*"))


# What stands where the output should go


def fifo(path):
    os.mkfifo(path)
    return "a fifo"


def door(path):
    with socket.socket(socket.AF_UNIX) as listener, contextlib.chdir(path.parent):
        listener.bind(path.name)
    return "a socket"


def device(kind, name):
    def make(path):
        try:
            os.mknod(path, kind | 0o600, os.makedev(0, 0))  # nothing is behind it
        except PermissionError:
            pytest.skip("only root makes devices")
        return f"a {name}"

    return make


@pytest.mark.parametrize(
    "make", [fifo, door, device(stat.S_IFBLK, "block device"), device(stat.S_IFCHR, "character device")]
)
@pytest.mark.parametrize("linked", [False, True])
def test_only_a_file_is_replaced(tmp_path, make, linked):
    place = tmp_path / "place"
    name = make(place)
    before = place.lstat()
    path = tmp_path / "link" if linked else place
    if linked:
        path.symlink_to("place")
    with pytest.raises(OutputError, match=f"{name} stands where the output should go") as caught, Outputs() as outputs:
        outputs.file(path)
    assert caught.value.where == str(path)
    assert ("dd if=FILE" in caught.value.hint) == ("device" in name)
    assert (place.lstat().st_ino, place.lstat().st_mode) == (before.st_ino, before.st_mode)
    with pytest.raises(OutputError, match=name), Outputs() as outputs:
        outputs.folder(path)
    assert names(tmp_path) == ["link", "place"][not linked :]


def test_a_link_stays_and_what_it_leads_to_is_replaced(tmp_path):
    (tmp_path / "far").mkdir()
    (tmp_path / "far/old").write_bytes(b"old")
    (tmp_path / "one").symlink_to("two")
    (tmp_path / "two").symlink_to("far/old")
    (tmp_path / "dangling").symlink_to("new/place")
    with Outputs() as outputs:
        outputs.file(tmp_path / "one").write(b"new")
        outputs.file(tmp_path / "dangling").write(b"first")
        assert [path.name for path in (tmp_path / "far").glob(".old.*")] != []
    assert [(tmp_path / name).readlink() for name in ("one", "two", "dangling")] == [
        Path("two"),
        Path("far/old"),
        Path("new/place"),
    ]
    assert (tmp_path / "far/old").read_bytes() == b"new"
    assert (tmp_path / "new/place").read_bytes() == b"first"
    assert names(tmp_path / "far") == ["old"]
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(OutputError, match="symbolic links") as caught, Outputs() as outputs:
        outputs.file(tmp_path / "loop")
    assert caught.value.where == str(tmp_path / "loop")


def test_long_names_are_no_trouble(tmp_path):
    name = "\u00e9" * 127  # 254 bytes
    with Outputs() as outputs:
        outputs.file(tmp_path / name).write(b"1")
        outputs.folder(tmp_path / f"{name}x").file("f").write(b"2")
    assert names(tmp_path) == ["f", name, f"{name}x"]


def test_no_two_outputs_go_to_one_place(tmp_path, monkeypatch):
    (tmp_path / "there").mkdir()
    (tmp_path / "link").symlink_to("there/a")
    (tmp_path / "here").symlink_to("there")
    monkeypatch.chdir(tmp_path)
    for first, second in (("a", tmp_path / "a"), ("there/../a", "a"), ("link", "here/a"), ("there/b", "here/b")):
        with pytest.raises(OutputError, match="would go to one place") as caught, Outputs() as outputs:
            outputs.file(Path(first)).write(b"1")
            outputs.file(Path(second))
        assert caught.value.where == str(second)
    with pytest.raises(OutputError, match="would be one in the other"), Outputs() as outputs:
        outputs.folder(Path("there"))
        outputs.file(Path("here/x/y"))
    with pytest.raises(OutputError, match="would be one in the other"), Outputs() as outputs:
        outputs.file(Path("there/x/y"))
        outputs.folder(Path("here"))
    with pytest.raises(OutputError, match="would go to one place"), Outputs() as outputs:
        outputs.folder(Path("latest"))
        outputs.link(Path("latest"), "there")
    assert names(tmp_path) == ["here", "link", "there"]


# Folders


AS_NOBODY = """
import os, random, sys
from pathlib import Path
from imagekit.files.output import Outputs
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
"""


def as_plain_user(folder, code):
    """Run a program as somebody who is not root, in a folder that is theirs; return what it printed."""
    folder.chmod(0o777)
    command = [sys.executable, "-c", AS_NOBODY + code]
    return subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout


def test_a_read_only_folder_goes_when_it_is_replaced(open_tmp):
    code = """
def make(text):
    with Outputs() as outputs:
        folder = outputs.folder(Path("x"))
        folder.file("a/b/c").write(text)
    for name in ("x/a/b", "x/a"):
        Path(name).chmod(0o555)
make(b"old")
make(b"new")
try:
    with Outputs() as outputs:
        scratch = outputs.scratch(Path("."))
        (scratch / "d").mkdir()
        (scratch / "d/f").write_bytes(b"")
        (scratch / "d").chmod(0)
        folder = outputs.folder(Path("x"))
        folder.file("a/b/c")
        for name in ("a/b", "a"):
            (folder.place / name).chmod(0o500)
        raise RuntimeError
except RuntimeError:
    print(*sorted(os.listdir(".")), Path("x/a/b/c").read_text())
"""
    assert as_plain_user(open_tmp, code) == "x new\n"


def test_removing_follows_no_link(tmp_path):
    (tmp_path / "mine").mkdir(mode=0o500)
    (tmp_path / "top").mkdir()
    (tmp_path / "top/link").symlink_to(tmp_path / "mine")
    (tmp_path / "link").symlink_to("mine")
    assert remove(tmp_path / "top") == remove(tmp_path / "link") == remove(tmp_path / "none") == []
    assert names(tmp_path) == ["mine"]
    assert stat.S_IMODE((tmp_path / "mine").stat().st_mode) == 0o500


@pytest.fixture(params=["exchange", "two renames"])
def way(request, monkeypatch):
    """Return how a folder is replaced: in one step, where this system can, and in two."""
    if request.param == "two renames":
        monkeypatch.setattr(disk, "exchange", lambda *_: False)
    return request.param


def test_what_cannot_be_removed_is_told(tmp_path, monkeypatch):
    (tmp_path / "x").mkdir()
    monkeypatch.setattr(disk, "exchange", lambda *_: False)
    monkeypatch.setattr("imagekit.files.output.remove", lambda path: [path] if path.suffix == ".old" else remove(path))
    with pytest.raises(OutputError, match="all is complete, but") as caught, Outputs() as outputs:
        outputs.folder(tmp_path / "x").file("f").write(b"new")
    assert Path(caught.value.where).suffix == ".old"
    assert (tmp_path / "x/f").read_bytes() == b"new"


def test_an_old_folder_comes_back_when_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/mine").write_bytes(b"old")

    monkeypatch.setattr(disk, "exchange", lambda *_: False)
    replace_file, rename = Path.replace, Path.rename

    def refuse(self, target):
        if self.is_dir():
            raise OSError(5, f"no renaming of {self} to {target}")
        return replace_file(self, target)

    def replace():
        with Outputs() as outputs:
            outputs.folder(tmp_path / "x").file("f").write(b"new")

    with monkeypatch.context() as patch, pytest.raises(OutputError, match="no renaming"):
        patch.setattr(Path, "replace", refuse)
        replace()
    assert names(tmp_path) == ["mine", "x"]
    with monkeypatch.context() as patch, pytest.raises(OutputError, match="what was here is") as caught:
        patch.setattr(Path, "replace", refuse)
        patch.setattr(Path, "rename", lambda self, to: refuse(self, to) if self.suffix == ".old" else rename(self, to))
        replace()
    (kept,) = tmp_path.iterdir()
    assert str(kept) in str(caught.value)
    assert names(kept) == ["mine"]


def test_a_folder_is_replaced_whole(tmp_path, way):
    del way
    for text in (b"one", b"two"):
        with Outputs() as outputs:
            outputs.folder(tmp_path / "x").file(text.decode()).write(text)
    assert names(tmp_path) == ["two", "x"]


def test_no_moment_has_neither_folder(tmp_path, monkeypatch):
    """Every call that changes names is looked at: before and after it, one of the two is there."""
    calls = []

    def seen(name, call):
        def recorded(*arguments, **options):
            before = (tmp_path / "x").is_dir()
            result = call(*arguments, **options)
            calls.append((name, before, (tmp_path / "x").is_dir()))
            return result

        return recorded

    with Outputs() as outputs:
        outputs.folder(tmp_path / "x").file("f").write(b"old")
    if not can_exchange(tmp_path):
        pytest.skip("this file system cannot exchange two folders")
    for name in ("rename", "replace", "mkdir", "rmdir", "unlink"):
        monkeypatch.setattr(os, name, seen(name, getattr(os, name)))
    monkeypatch.setattr(disk, "exchange", seen("exchange", disk.exchange))
    with Outputs() as outputs:
        outputs.folder(tmp_path / "x").file("f").write(b"new")
    assert ("exchange", True, True) in calls
    assert all(before and after for _, before, after in calls)
    assert (tmp_path / "x/f").read_bytes() == b"new"
    assert names(tmp_path) == ["f", "x"]


def can_exchange(folder):
    one, two = folder / "one", folder / "two"
    one.mkdir()
    two.mkdir()
    can = disk.exchange(one, two)
    one.rmdir()
    two.rmdir()
    return can


@pytest.mark.parametrize("number", [errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP, errno.EPERM, None])
def test_two_renames_where_the_system_cannot_exchange(tmp_path, monkeypatch, number):
    """As file systems and systems say it; None has no such call at all."""
    import ctypes

    class System:
        def __init__(self, *_arguments, **_options):
            if number is not None:
                self.renameat2 = self.renamex_np = lambda *_: ctypes.set_errno(number) or -1

    monkeypatch.setattr(ctypes, "CDLL", System)
    with Outputs() as outputs:
        outputs.folder(tmp_path / "x").file("f").write(b"old")
    with Outputs() as outputs:
        outputs.folder(tmp_path / "x").file("g").write(b"new")
    assert names(tmp_path) == ["g", "x"]


def test_a_real_failure_of_the_exchange_is_told(tmp_path, monkeypatch):
    import ctypes

    class System:
        def __init__(self, *_arguments, **_options):
            self.renameat2 = self.renamex_np = lambda *_: ctypes.set_errno(errno.EIO) or -1

    with Outputs() as outputs:
        outputs.folder(tmp_path / "x").file("f").write(b"old")
    monkeypatch.setattr(ctypes, "CDLL", System)
    with pytest.raises(OutputError, match="x: cannot write: Input/output error"), Outputs() as outputs:
        outputs.folder(tmp_path / "x").file("g").write(b"new")
    assert names(tmp_path) == ["f", "x"]


def test_a_linked_folder_is_replaced_where_it_is(tmp_path):
    (tmp_path / "far/real").mkdir(parents=True)
    (tmp_path / "far/real/old").write_bytes(b"")
    (tmp_path / "proto.boot").symlink_to("far/real")
    with Outputs() as outputs:
        outputs.folder(tmp_path / "proto.boot").file("new").write(b"")
    assert (tmp_path / "proto.boot").readlink() == Path("far/real")
    assert names(tmp_path) == ["far", "new", "proto.boot", "real"]


def test_scratch_goes_in_any_case(tmp_path):
    (tmp_path / "there").mkdir()
    with Outputs() as outputs:
        scratch = outputs.scratch(tmp_path / "there")
        assert stat.S_IMODE(scratch.stat().st_mode) == 0o700
        (scratch / "f").write_bytes(b"")
        with Outputs() as others:
            others.file(scratch / "g").write(b"")
        assert scratch.parent == tmp_path / "there"
        outputs.file(tmp_path / "out")
    assert names(tmp_path) == ["out", "there"]
    with pytest.raises(RuntimeError), Outputs() as outputs:
        (outputs.scratch(tmp_path / "new/deep") / "f").write_bytes(b"")
        raise RuntimeError
    assert names(tmp_path) == ["out", "there"]


def test_a_folder_that_cannot_be_read_can_be_written_to(open_tmp):
    code = """
os.mkdir("drop", 0o300)
with Outputs() as outputs:
    outputs.file(Path("drop/x")).write(b"1")
print(Path("drop/x").read_text())
"""
    assert as_plain_user(open_tmp, code) == "1\n"


# What runs leave that were killed

KILLED = """
import os, signal, sys
from pathlib import Path
from imagekit import disk
from imagekit.files.output import Outputs
where = sys.argv[1]
def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)
if where == "between":
    disk.exchange = lambda *_: False
    put = Path.replace
    Path.replace = lambda old, new: die() if new.name == "folder" else put(old, new)
elif where == "removing":
    import imagekit.files.output
    imagekit.files.output.remove = die
with Outputs() as outputs:
    outputs.file(Path("image")).write(b"half")
    outputs.folder(Path("folder")).file("deep/f").write(b"half")
    outputs.scratch(Path("."))
    outputs.file(Path("n" * 255)).write(b"half")
    if where == "writing":
        die()
"""


def killed(folder, where, code=KILLED):
    done = subprocess.run([sys.executable, "-c", code, where], cwd=folder, check=False)
    assert done.returncode == -signal.SIGKILL
    return {path.name for path in folder.iterdir()}


def test_the_next_run_removes_what_a_killed_one_left(tmp_path):
    left = killed(tmp_path, "writing")
    assert len(left) == 4
    (tmp_path / ".image.note.partial").write_bytes(b"mine")
    (tmp_path / ".images.abcdefgh.partial").write_bytes(b"of another output")
    (tmp_path / ".image.abcdefgh.partial").symlink_to("image")
    os.mkfifo(tmp_path / ".image.abcdefgi.partial")
    others = {".image.note.partial", ".images.abcdefgh.partial", ".image.abcdefgh.partial", ".image.abcdefgi.partial"}
    with Outputs() as outputs:
        outputs.file(tmp_path / "image")
        assert {path.name for path in tmp_path.iterdir()} & left == {name for name in left if ".image." not in name}
        outputs.folder(tmp_path / "folder")
        outputs.file(tmp_path / ("n" * 255))
        outputs.scratch(tmp_path)
    assert set(names(tmp_path)) == others | {"image", "folder", "n" * 255}
    assert sorted(outputs.cleared) == sorted(f"removed what an earlier run left: {tmp_path / name}" for name in left)


def test_an_old_folder_is_put_back_when_a_run_was_killed_between_two_renames(tmp_path):
    with Outputs() as outputs:
        outputs.folder(tmp_path / "folder").file("mine").write(b"old")
    left = killed(tmp_path, "between")
    assert "folder" not in left
    with contextlib.suppress(RuntimeError), Outputs() as outputs:
        outputs.folder(tmp_path / "folder")
        raise RuntimeError
    assert (tmp_path / "folder/mine").read_bytes() == b"old"
    assert f"put back what an earlier run had moved away: {tmp_path / 'folder'}" in outputs.cleared
    with Outputs() as outputs:
        outputs.clear(tmp_path)
    assert names(tmp_path) == ["folder", "image", "mine"]


def test_an_old_folder_goes_when_a_run_was_killed_while_it_removed_it(tmp_path, way):
    with Outputs() as outputs:
        outputs.folder(tmp_path / "folder").file("mine").write(b"old")
    done = KILLED if way == "exchange" else KILLED.replace("with Outputs", "disk.exchange = lambda *_: 0\nwith Outputs")
    left = killed(tmp_path, "removing", done)
    assert "folder" in left
    with Outputs() as outputs:
        outputs.folder(tmp_path / "folder").file("newer")
    assert [name for name in names(tmp_path) if ".folder" in name] == []
    assert names(tmp_path / "folder") == ["newer"]
    assert len(outputs.cleared) == 1


@pytest.mark.parametrize("lasting", [True, False])
def test_what_another_run_is_making_is_left_alone(tmp_path, lasting):
    """The lock lasts until the output is in place, also when it is complete and waits for others."""
    with Outputs() as outputs:
        file, folder = outputs.file(tmp_path / "image"), outputs.folder(tmp_path / "folder")
        folder.file("f").write(b"1")
        file.write(b"1")
        outputs.scratch(tmp_path)
        if not lasting:
            file._finish()
            folder._finish()
        before = names(tmp_path)
        with contextlib.suppress(RuntimeError), Outputs() as others:
            others.file(tmp_path / "image")
            others.folder(tmp_path / "folder")
            others.scratch(tmp_path)
            others.clear(tmp_path)
            raise RuntimeError
        assert names(tmp_path) == before
        assert others.cleared == []
        if not lasting:
            file._fd = os.open(file._temporary, os.O_RDWR)
    assert names(tmp_path) == ["f", "folder", "image"]


def test_a_temporary_that_another_run_is_about_to_remove_is_not_used(tmp_path, monkeypatch):
    """It comes between the making of a temporary and its lock: both for files and folders."""
    taken = []

    def first_taken(make):
        def wrapped(*arguments, **options):
            result = make(*arguments, **options)
            path = Path(result if isinstance(result, str) else result[1])
            if not taken:
                taken.append(path.name)
                assert partials.clear(path)
            return result

        return wrapped

    monkeypatch.setattr("tempfile.mkstemp", first_taken(__import__("tempfile").mkstemp))
    monkeypatch.setattr("tempfile.mkdtemp", first_taken(__import__("tempfile").mkdtemp))
    with Outputs() as outputs:
        outputs.file(tmp_path / "image").write(b"1")
        taken.clear()
        outputs.folder(tmp_path / "folder").file("f").write(b"1")
    assert names(tmp_path) == ["f", "folder", "image"]


def test_nothing_is_taken_for_left_behind_where_there_are_no_locks(tmp_path, monkeypatch):
    def none(*_arguments):
        raise OSError(errno.ENOLCK, os.strerror(errno.ENOLCK))

    killed(tmp_path, "writing")
    monkeypatch.setattr("fcntl.flock", none)
    before = names(tmp_path)
    with Outputs() as outputs:
        outputs.file(tmp_path / "image").write(b"1")
        outputs.folder(tmp_path / "folder").file("f").write(b"1")
    assert names(tmp_path) == sorted([*before, "f", "folder", "image"])
    assert outputs.cleared == []


def test_what_is_removed_goes_when_all_else_is_there(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "deep").mkdir(parents=True)
        (tmp_path / name / "deep/f").write_bytes(b"1")
    (tmp_path / "three").write_bytes(b"1")
    with Outputs() as outputs:
        for name in ("one", "two", "three", "none"):
            outputs.remove(tmp_path / name)
        with pytest.raises(RuntimeError), Outputs() as failing:
            failing.remove(tmp_path / "one")
            raise RuntimeError
        assert (tmp_path / "one/deep/f").exists()
    assert names(tmp_path) == []


# Depth

DEEP = 250


@pytest.fixture
def shallow():
    """Let functions call each other less deep than folders lie in these tests."""
    limit, frame, depth = sys.getrecursionlimit(), sys._getframe(), 0
    while frame := frame.f_back:
        depth += 1
    sys.setrecursionlimit(depth + DEEP - 50)
    yield
    sys.setrecursionlimit(limit)


@pytest.mark.usefixtures("shallow")
def test_folders_may_lie_deep(tmp_path):
    deep = tmp_path.joinpath(*["d"] * DEEP)
    with Outputs() as outputs:
        outputs.file(deep / "f").write(b"1")
        outputs.folder(deep / "g").file("/".join("e" * DEEP)).write(b"1")
        (outputs.scratch(tmp_path) / "s").mkdir()
    assert (deep / "f").read_bytes() == b"1"
    with pytest.raises(RuntimeError), Outputs() as outputs:
        outputs.file(tmp_path.joinpath(*["x"] * DEEP, "f"))
        raise RuntimeError
    with pytest.raises(OutputError, match="cannot write: File name too long"), Outputs() as outputs:
        outputs.file(tmp_path.joinpath(*["x"] * 3000, "f"))
    assert [path.name for path in tmp_path.iterdir()] == ["d"]
    assert remove(tmp_path / "d") == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.usefixtures("shallow")
def test_a_folder_deeper_than_paths_reach_is_removed(tmp_path):
    """Longer than PATH_MAX, read-only on the way, with links to what must stay."""
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine/f").write_bytes(b"1")
    top = os.open(tmp_path, os.O_RDONLY)
    for level in range(DEEP):
        name = f"{level:03}" * 10
        os.mkdir(name, dir_fd=top)
        below = os.open(name, os.O_RDONLY, dir_fd=top)
        os.symlink(tmp_path / "mine", "link", dir_fd=top)
        os.mkdir("side", 0o500, dir_fd=below)
        os.close(top)
        top = below
    os.close(top)
    assert remove(tmp_path / ("000" * 10)) == []
    assert names(tmp_path) == ["f", "link", "mine"]


# Interrupts


@pytest.mark.usefixtures("handled")
@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupt_never_comes_between_outputs(tmp_path, monkeypatch, number):
    """Once the first has its name, all get theirs; once one goes, all go."""

    def interrupting(method):
        def wrapped(self):
            result = method(self)
            os.kill(os.getpid(), number)
            return result

        return wrapped

    monkeypatch.setattr(OutputFile, "_publish", interrupting(OutputFile._publish))
    with pytest.raises(interrupts.Interrupted), Outputs() as outputs:
        outputs.file(tmp_path / "a").write(b"1")
        outputs.file(tmp_path / "b").write(b"2")
    assert names(tmp_path) == ["a", "b"]
    interrupts.Interrupts().handle()
    monkeypatch.setattr(OutputFile, "_discard", interrupting(OutputFile._discard))
    with pytest.raises(interrupts.Interrupted), Outputs() as outputs:
        outputs.file(tmp_path / "c/d").write(b"3")
        outputs.file(tmp_path / "c/e").write(b"4")
        raise RuntimeError("stop")
    assert names(tmp_path) == ["a", "b"]


@pytest.mark.usefixtures("handled")
def test_an_interrupt_never_comes_between_a_temporary_and_its_note(tmp_path, monkeypatch):
    def interrupting(function):
        def wrapped(*arguments, **options):
            result = function(*arguments, **options)
            os.kill(os.getpid(), signal.SIGTERM)
            return result

        return wrapped

    monkeypatch.setattr("tempfile.mkstemp", interrupting(__import__("tempfile").mkstemp))
    monkeypatch.setattr("tempfile.mkdtemp", interrupting(__import__("tempfile").mkdtemp))
    for make in (Outputs.file, Outputs.folder, Outputs.scratch):
        interrupts.Interrupts().handle()
        with pytest.raises(interrupts.Interrupted), Outputs() as outputs:
            make(outputs, tmp_path / "x")
    assert names(tmp_path) == []
