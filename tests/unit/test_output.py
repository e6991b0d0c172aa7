import os
import signal
import subprocess
import sys
import time

import pytest

from imagekit.errors import OutputError
from imagekit.output import OutputFile, Outputs


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


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupt_never_comes_between_outputs(tmp_path, monkeypatch, number):
    """Once the first has its name, all get theirs; once one goes, all go."""
    arrived = []

    def handler(_number, _frame):
        arrived.append(number)
        raise KeyboardInterrupt

    def interrupting(method):
        def wrapped(self):
            method(self)
            os.kill(os.getpid(), number)

        return wrapped

    def fail():
        with Outputs() as outputs:
            outputs.file(tmp_path / "c/d").write(b"3")
            outputs.file(tmp_path / "c/e").write(b"4")
            raise RuntimeError("stop")

    monkeypatch.setattr(OutputFile, "_publish", interrupting(OutputFile._publish))
    monkeypatch.setattr(OutputFile, "_discard", interrupting(OutputFile._discard))
    old = signal.signal(number, handler)
    try:
        with Outputs() as outputs:
            outputs.file(tmp_path / "a").write(b"1")
            outputs.file(tmp_path / "b").write(b"2")
        with pytest.raises(RuntimeError, match="stop"):
            fail()
        assert not arrived
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), number)
    finally:
        signal.signal(number, old)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b"]


def test_a_folder_in_the_way_is_an_error(tmp_path):
    (tmp_path / "a").mkdir()
    with pytest.raises(OutputError, match="folder"), Outputs() as outputs:
        outputs.file(tmp_path / "a")


def test_a_file_where_a_folder_should_be_is_an_error(tmp_path):
    (tmp_path / "a").write_bytes(b"")
    with pytest.raises(OutputError, match="cannot write"), Outputs() as outputs:
        outputs.file(tmp_path / "a/b")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_leaves_nothing(tmp_path, number):
    code = (
        "import sys, time, pathlib, imagekit.__main__ as program, imagekit.cli as cli\n"
        "from imagekit.output import Outputs\n"
        "def main(**_):\n"
        "    with Outputs() as outputs:\n"
        "        outputs.file(pathlib.Path('out')).write(b'half')\n"
        "        print('ready', flush=True)\n"
        "        time.sleep(600)\n"
        "cli.commands.main = main\n"
        "sys.exit(program.main())\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout.readline() == "ready\n"
        time.sleep(0.05)
        process.send_signal(number)
        _, errors = process.communicate()
    assert process.returncode == 130
    assert errors == "imagekit: interrupted; nothing was left behind\n"
    assert list(tmp_path.iterdir()) == []
