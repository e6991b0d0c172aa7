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

from imagekit import interrupts
from imagekit.disk import remove
from imagekit.errors import OutputError
from imagekit.output import OutputFile, Outputs

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
from imagekit.output import Outputs
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


def test_what_cannot_be_removed_is_told(tmp_path, monkeypatch):
    (tmp_path / "x").mkdir()
    monkeypatch.setattr("imagekit.output.remove", lambda path: [path] if path.suffix == ".old" else remove(path))
    with pytest.raises(OutputError, match="all is complete, but") as caught, Outputs() as outputs:
        outputs.folder(tmp_path / "x").file("f").write(b"new")
    assert Path(caught.value.where).suffix == ".old"
    assert (tmp_path / "x/f").read_bytes() == b"new"


def test_an_old_folder_comes_back_when_the_new_one_cannot_take_its_place(tmp_path, monkeypatch):
    (tmp_path / "x").mkdir()
    (tmp_path / "x/mine").write_bytes(b"old")

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
    interrupts.handle()
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
        interrupts.handle()
        with pytest.raises(interrupts.Interrupted), Outputs() as outputs:
            make(outputs, tmp_path / "x")
    assert names(tmp_path) == []


@pytest.mark.usefixtures("handled")
def test_interrupts_come_once():
    with pytest.raises(interrupts.Interrupted), interrupts.held():
        with interrupts.held():
            os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGTERM)
    for number in SIGNALS:
        os.kill(os.getpid(), number)


def test_what_the_caller_ignores_stays_ignored(handled):
    del handled
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    interrupts.handle()
    os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
