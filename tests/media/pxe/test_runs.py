"""Runs of `imagekit pxe` one after the other and beside each other: locks, order, what is replaced, what is left."""

import fcntl
import json
import os
import random
import shutil
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from imagekit.boot.console import Console
from imagekit.clock import Stamp
from imagekit.content import DiskFile
from imagekit.errors import PlanError
from imagekit.files.output import Outputs
from imagekit.media import iso, pxe, usb
from imagekit.media.pxe import publish
from imagekit.media.sources import SourceRequest
from kit import workspace
from kit.pxe_directory import STAMP, check_sums, contents, files, imagekit, make, named, platform

OLDER, NEWER = "20250101T000000Z", "20270101T000000Z"


@pytest.fixture
def ws(tmp_path):
    return workspace.make(tmp_path / "ws", archive=20_000)


class TestBesideEachOther:
    def test_all_of_many_runs_add_their_platforms(self, ws):
        """Each plans with what the one before it left, and no directory is there at first."""
        stamps = [f"20{year}0101T000000Z" for year in range(30, 38)]
        command = [sys.executable, "-m", "imagekit", "pxe", "--platform"]
        runs = [
            subprocess.Popen([*command, platform(ws, stamp)], cwd=ws, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            for stamp in stamps
        ]
        said = [(run.communicate()[1].decode(), run.returncode) for run in runs]
        assert [status for _, status in said] == [0] * len(stamps), said
        index = json.loads((ws / "output-pxe/index.json").read_text())
        assert sorted(one["stamp"] for one in index["platforms"]) == stamps
        check_sums(ws / "output-pxe")

    def test_a_run_waits_and_says_so(self, ws):
        command = [sys.executable, "-m", "imagekit", "pxe"]
        with pxe.locked(ws / "output-pxe"):
            run = subprocess.Popen(command, cwd=ws, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            line = run.stderr.readline()
            assert line == "imagekit: output-pxe: another imagekit is at work here; waiting for it to end\n"
            assert run.poll() is None
            assert files(ws / "output-pxe") == []
        # The folder went with the one that made it, and is made again.
        assert (run.communicate()[1], run.returncode) == ("", 0)
        check_sums(ws / "output-pxe")

    def test_the_lock_is_on_the_folder_that_is_there_then(self, ws):
        """The one that was waited for goes, as that run fails; another lock on it would keep nobody out."""
        folder = ws / "output-pxe"
        first = pxe.locked(folder)
        first.__enter__()
        with pxe.locked(folder, lambda: first.__exit__(None, None, None)):
            assert folder.is_dir()
            with pytest.raises(PlanError), pxe.locked(folder):
                pass

    def test_no_wait(self, ws):
        make(ws, None)
        before = contents(ws / "output-pxe")
        with pxe.locked(ws / "output-pxe"):
            done = imagekit("--no-wait", "--platform", platform(ws, NEWER), cwd=ws)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("imagekit: output-pxe: another imagekit is at work here\n  hint: ")
        assert contents(ws / "output-pxe") == before

    def test_a_dry_run_neither_waits_nor_makes_the_folder(self, ws):
        assert imagekit("-n", cwd=ws).returncode == 0
        assert not (ws / "output-pxe").exists()
        with pxe.locked(ws / "output-pxe"):
            assert imagekit("-n", cwd=ws).returncode == 0

    def test_a_plan_that_was_made_without_the_lock(self, ws):
        make(ws, None)
        plan = pxe.plan(pxe.PxeRequest(output=ws / "output-pxe", sources=(SourceRequest(ws, platform(ws, NEWER)),)))
        make(ws, platform(ws, OLDER))
        with pytest.raises(PlanError, match=r"index\.json changed meanwhile"):
            plan.write()

    def test_failing_leaves_no_folder(self, ws):
        done = imagekit("-o", "a/b/c", "--default", NEWER, cwd=ws)
        assert done.returncode == 1
        assert not (ws / "a").exists()

    def test_the_lock_ends_with_the_block(self, ws):
        for _ in range(2):
            with pxe.locked(ws / "output-pxe"):
                (ws / "output-pxe/mine").touch()
                with pytest.raises(PlanError), pxe.locked(ws / "output-pxe"):
                    pass
        descriptor = os.open(ws / "output-pxe", os.O_RDONLY)
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        os.close(descriptor)


class TestOrder:
    def tarball(self, source, target, names):
        with tarfile.open(target, "w") as tar:
            for name in names:
                tar.add(source / name, name, recursive=False)
        return target

    def test_the_order_of_a_tarball_does_not_show(self, ws):
        for number in range(20):
            (ws / f"proto.boot/boot/forth/f{number}").write_text(f"{number}")
        found = []
        for seed in (1, 2):
            tarballs = []
            for source in (ws / "output" / workspace.NAME, ws / "proto.boot"):
                names = sorted(str(path.relative_to(source)) for path in source.rglob("*"))
                random.Random(seed).shuffle(names)
                tarballs.append(self.tarball(source, ws / f"{seed}-{source.name}.tar", names))
            output = ws / f"out-{seed}"
            done = imagekit("--platform", tarballs[0], "--boot", tarballs[1], "-o", output, cwd=ws)
            assert done.returncode == 0, done.stderr
            check_sums(output)
            found.append(contents(output))
        assert found[0] == found[1]
        assert imagekit("-o", "out-3", cwd=ws).returncode == 0
        assert contents(ws / "out-3") == found[0]

    def test_the_order_of_a_folder_does_not_show(self, ws, monkeypatch):
        make(ws, None)
        before = contents(ws / "output-pxe")
        shutil.rmtree(ws / "output-pxe")
        scandir = os.scandir

        class Shuffled:
            def __init__(self, *arguments):
                with scandir(*arguments) as found:
                    self.entries = list(found)
                random.Random(3).shuffle(self.entries)
                self.rest = iter(self.entries)

            def __enter__(self):
                return self

            def __iter__(self):
                return self.rest

            def __next__(self):
                return next(self.rest)

            def __exit__(self, *error):
                return None

        with monkeypatch.context() as patch:
            patch.setattr("imagekit.formats.folder.os.scandir", Shuffled)
            make(ws, None)
        assert contents(ws / "output-pxe") == before

    def test_the_menu_appears_last(self, ws, monkeypatch):
        """All that it names, the index and the sums are there when a client first sees the new one."""
        make(ws, None)
        folder = ws / "output-pxe"
        seen = []
        replace = Path.replace

        def watched(path, target):
            there = {name: data for name, data in contents(folder).items() if "partial" not in name}
            seen.append((Path(target).relative_to(folder).as_posix(), there))
            return replace(path, target)

        monkeypatch.setattr(Path, "replace", watched)
        make(ws, platform(ws, NEWER))
        names = [name for name, _ in seen]
        assert names[-3:] == ["index.json", "SHA256SUMS", "smartos.ipxe"]
        whole = contents(folder)
        before_menu = seen[-1][1]
        assert before_menu | {"smartos.ipxe": whole["smartos.ipxe"]} == whole
        before_index = next(found for name, found in seen if name == "index.json")
        assert all(path in before_index for path in named(whole["smartos.ipxe"].decode()))


class TestReplacing:
    def test_another_platform_of_the_same_stamp(self, ws):
        make(ws, None)
        other = platform(ws, NEWER, archive=b"built again")
        (other / "etc/version/platform").write_text(f"{STAMP}\n")
        done = imagekit("--platform", other, cwd=ws)
        assert done.returncode == 1
        assert "another platform is there with the same stamp" in done.stderr
        assert "hint: give --replace to put the new one in its place" in done.stderr
        done = imagekit("--platform", other, "--replace", cwd=ws)
        assert (done.returncode, done.stderr) == (0, "")
        folder = ws / "output-pxe"
        assert (folder / f"os/{STAMP}/platform/i86pc/amd64/boot_archive").read_bytes() == b"built again"
        assert [path.name for path in (folder / "os").iterdir()] == [STAMP]
        check_sums(folder)
        make(ws, other)  # the same again is no other one

    def test_what_the_new_one_lacks_goes(self, ws):
        make(ws, None)
        (ws / "output" / workspace.NAME / "i86pc/amd64/boot_archive.hash").unlink()
        make(ws, None, replace=True)
        assert f"os/{STAMP}/platform/i86pc/amd64/boot_archive.hash" not in files(ws / "output-pxe")
        check_sums(ws / "output-pxe")

    @pytest.mark.parametrize("options", [("--replace",), ("--remove", STAMP)])
    def test_files_of_somebody_else_are_not_lost(self, ws, options):
        make(ws, None)
        other = platform(ws, NEWER, archive=b"another")
        if options[0] == "--replace":
            (other / "etc/version/platform").write_text(f"{STAMP}\n")
        mine = ws / f"output-pxe/os/{STAMP}/platform/notes"
        mine.write_text("mine")
        done = imagekit("--platform", other, *options, cwd=ws)
        assert done.returncode == 1
        assert f"would be lost:\n  os/{STAMP}/platform/notes\n" in done.stderr
        assert mine.read_text() == "mine"


class TestRemoving:
    def test_no_warning_of_what_is_removed(self, ws):
        """Also of several, and of -n; one that is in no menu is still told of."""
        older = platform(ws, OLDER)
        make(ws, None, older, platform(ws, NEWER))
        for options in (["-n", "--remove", OLDER], ["-n", "--json", "--remove", OLDER], ["--remove", OLDER]):
            done = imagekit(*options, "--remove", NEWER, cwd=ws)
            assert (done.returncode, done.stderr) == (0, "")
        check_sums(ws / "output-pxe")
        (ws / f"output-pxe/os/{OLDER}/platform").mkdir(parents=True)
        done = imagekit("--platform", platform(ws, "20280101T000000Z"), "--remove", STAMP, cwd=ws)
        assert done.stderr == (
            f"imagekit: warning: output-pxe/os/{OLDER} is in no menu, imagekit did not put it there\n"
        )

    @pytest.mark.parametrize("moment", ["pathlib.Path.replace", "publish.put_image", "output.remove"])
    def test_what_a_killed_run_left_is_removed_and_said(self, ws, moment):
        """Killed between two renames, while files are written, or while the old platform's files are removed."""
        make(ws, None, platform(ws, OLDER))
        program = (
            "import os, pathlib, signal, sys\n"
            "from imagekit.files import output\n"
            "from imagekit.__main__ import main\n"
            "from imagekit.media.pxe import publish\n"
            f"{moment} = lambda *_: os.kill(os.getpid(), signal.SIGKILL)\n"
            "sys.exit(main())\n"
        )
        arguments = ["--platform", platform(ws, NEWER), "--remove", OLDER]
        command = [sys.executable, "-c", program, "pxe", *arguments]
        assert subprocess.run(command, cwd=ws, capture_output=True, check=False).returncode == -9
        folder = ws / "output-pxe"
        left = [name for name in files(folder) if "partial" in name]
        assert left
        done = imagekit("--platform", ws / f"output/platform-{NEWER}", cwd=ws)
        assert done.returncode == 0, done.stderr
        assert "removed what an earlier run left: " in done.stderr
        assert not list(folder.rglob(".*"))
        if (folder / "os" / OLDER).exists():
            make(ws, remove=(Stamp(OLDER),))
        assert sorted(path.name for path in (folder / "os").iterdir()) == [STAMP, NEWER]
        check_sums(folder)

    def test_an_interrupt_meanwhile_leaves_nothing(self, ws):
        """It comes when the index is written: from then on, what goes is gone before the run ends."""
        make(ws, None, platform(ws, OLDER))
        program = (
            "import os, pathlib, signal, sys\n"
            "from imagekit.__main__ import main\n"
            "real = pathlib.Path.replace\n"
            "def put(temporary, path):\n"
            "    real(temporary, path)\n"
            "    if path.name == 'index.json':\n"
            "        os.kill(os.getpid(), signal.SIGINT)\n"
            "pathlib.Path.replace = put\n"
            "sys.exit(main())\n"
        )
        command = [sys.executable, "-c", program, "pxe", "--remove", OLDER]
        done = subprocess.run(command, cwd=ws, capture_output=True, text=True, check=False)
        assert done.returncode == 130, done.stderr
        folder = ws / "output-pxe"
        assert [path.name for path in (folder / "os").iterdir()] == [STAMP]
        assert not [name for name in files(folder) if OLDER in name]
        check_sums(folder)


def test_reflinks_have_the_mode_of_served_files(tmp_path, monkeypatch):
    """Whatever the umask."""
    source = tmp_path / "source"
    source.write_bytes(b"x" * 5000)
    monkeypatch.setattr(publish.fcntl, "ioctl", lambda *_arguments: 0)
    old = os.umask(0o077)
    try:
        with Outputs() as outputs:
            publish.put(DiskFile(source), outputs.folder(tmp_path / "folder"), "a/b", share=True)
    finally:
        os.umask(old)
    assert (tmp_path / "folder/a/b").stat().st_mode & 0o777 == 0o644


class TestSources:
    def test_a_tarball_a_disc_and_a_stick_serve_what_their_folder_does(self, ws, tmp_path):
        """Boot files come from the image where it has some, and from the workspace else."""
        make(ws, None)
        expected = contents(ws / "output-pxe")
        source = ws / "output" / workspace.NAME
        tarball = tmp_path / f"{workspace.NAME}.tgz"
        with tarfile.open(tarball, "w:gz") as tar:
            tar.add(source, workspace.NAME)
        disc, stick = tmp_path / "x.iso", tmp_path / "x.usb.gz"
        iso.plan(iso.IsoRequest(SourceRequest(ws), Console(), disc)).write()
        usb.plan(usb.UsbRequest(SourceRequest(ws), Console(), stick, size=None)).write()
        for number, place in enumerate((tarball, disc, stick)):
            output = tmp_path / f"out-{number}"
            done = imagekit("--platform", place, "-o", output, cwd=ws if place == tarball else tmp_path)
            assert (done.returncode, done.stderr) == (0, ""), place
            assert contents(output) == expected

    def test_several_at_once(self, ws, tmp_path):
        tarball = tmp_path / "other.tar"
        with tarfile.open(tarball, "w") as tar:
            tar.add(platform(ws, NEWER), f"platform-{NEWER}")
        done = imagekit("--platform", ws / "output" / workspace.NAME, "--platform", tarball, cwd=ws)
        assert (done.returncode, done.stderr) == (0, "")
        index = json.loads((ws / "output-pxe/index.json").read_text())
        assert [one["stamp"] for one in index["platforms"]] == [NEWER, STAMP]
        check_sums(ws / "output-pxe")

    def test_of_several_in_one_source_none_is_taken_at_random(self, ws):
        platform(ws, NEWER)
        (ws / "output/platform-latest").unlink()
        done = imagekit("--platform", ws / "output", cwd=ws)
        assert done.returncode == 1
        assert f"\n  {workspace.NAME}\n  platform-{NEWER}\n" in done.stderr
        assert not (ws / "output-pxe").exists()
