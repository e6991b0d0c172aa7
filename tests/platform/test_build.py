"""imagekit platform and boot in a workspace: what the build's environment says, what is kept, hooks, logs."""

import os
import re
import stat
import subprocess
import sys

import pytest

from imagekit.cli import terminal
from imagekit.content import DiskFile
from imagekit.errors import InputError, OutputError
from imagekit.formats import ufs
from imagekit.platform import assemble, boot_files
from imagekit.platform.build_env import platform_password
from imagekit.platform.build_log import BuildLog
from imagekit.platform.demo import make_demo
from imagekit.platform.plan import plan
from imagekit.platform.request import PlatformRequest, WorkspaceRequest
from kit.command import imagekit

STAMP = "20261122T000000Z"
NAME = f"platform-{STAMP}"


@pytest.fixture
def ws(tmp_path, monkeypatch):
    for name in ("BUILDSTAMP", "PLATFORM_PASSWORD", "SOURCE_DATE_EPOCH"):
        monkeypatch.delenv(name, raising=False)
    return make_demo(tmp_path / "ws")


def change(path, *replacements):
    text = path.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    path.write_text(text)


class TestPassword:
    @pytest.mark.parametrize(
        ("line", "password"),
        [
            ("PLATFORM_PASSWORD=secret", "secret"),
            ("  export PLATFORM_PASSWORD = secret   # for the lab", "secret"),
            ("PLATFORM_PASSWORD:=a\nPLATFORM_PASSWORD=b", "b"),
            ("PLATFORM_PASSWORD='two words, a $$ and a \"'", 'two words, a $ and a "'),
            ('PLATFORM_PASSWORD="it\'s"x', "it'sx"),
            ("PLATFORM_PASSWORD=a\\ b\\#c\\$$", "a b#c$"),
            ("PLATFORM_PASSWORD=@1:/.%+=-_^!?*[x]", "@1:/.%+=-_^!?*[x]"),
            ("MY_PLATFORM_PASSWORD=x\n#PLATFORM_PASSWORD=y", None),
            ("PLATFORM_PASSWORD=", None),
            ("ILLUMOS_CLOBBER=no", None),
        ],
    )
    def test_is_what_make_and_the_shell_would_hand_over(self, tmp_path, monkeypatch, need, line, password):
        need("make", "sh")
        monkeypatch.delenv("PLATFORM_PASSWORD", raising=False)
        (tmp_path / "build.env").write_text(f"ILLUMOS_ENABLE_DEBUG=no\n{line}\n")
        assert platform_password(tmp_path) == password
        makefile = "include build.env\nall:\n\t@printf %s $(PLATFORM_PASSWORD)\n"
        said = subprocess.run(
            ["make", "-f", "-"], input=makefile, cwd=tmp_path, text=True, capture_output=True, check=True
        )
        assert said.stdout == (password or "")

    @pytest.mark.parametrize(
        "value", ["a b", "it's", "a$b", "$(HOME)", "a;b", "a\\", "`id`", "a&", "~root", "a|b", '"$$x"', "(x)"]
    )
    def test_that_would_become_another_is_refused(self, tmp_path, value):
        (tmp_path / "build.env").write_text(f"X=1\nPLATFORM_PASSWORD={value}\n")
        with pytest.raises(InputError, match=r"build\.env:2: make and the shell") as caught:
            platform_password(tmp_path)
        assert value not in f"{caught.value} {caught.value.hint}"

    def test_the_option_comes_before_the_file_before_the_environment(self, ws, monkeypatch):
        monkeypatch.setenv("PLATFORM_PASSWORD", "third")
        assert plan(PlatformRequest(root=ws)).root_password == "third"  # noqa: S105
        (ws / "build.env").write_text("PLATFORM_PASSWORD=second\n")
        assert plan(PlatformRequest(root=ws)).root_password == "second"  # noqa: S105
        assert plan(PlatformRequest(root=ws, root_password="first")).root_password == "first"  # noqa: S105, S106

    def test_is_checked_too(self, ws):
        (ws / "build.env").write_text("PLATFORM_PASSWORD='a\tb'\n")
        with pytest.raises(InputError, match="root password"):
            plan(PlatformRequest(root=ws))

    def test_its_hash_is_another_for_every_platform(self, ws):
        """The same password on two platforms cannot be told from their shadow files; each build can be repeated."""
        hashes = []
        for stamp in (STAMP, STAMP, "20261123T000000Z"):
            (ws / "proto/buildstamp").write_text(stamp)
            tree = plan(PlatformRequest(root=ws, root_password="x")).tree  # noqa: S106
            hashes.append(tree["etc/shadow"].content.read())
        assert hashes[0] == hashes[1] != hashes[2]

    @pytest.mark.parametrize("mode", ["0400", "0644", "0600"])
    def test_nobody_but_root_reads_the_shadow_file_however_it_is_shipped(self, ws, mode):
        change(ws / "manifest.d/demo.manifest", ("f etc/shadow 0400 root sys", f"f etc/shadow {mode} root sys"))
        assert plan(PlatformRequest(root=ws)).tree["etc/shadow"].mode == 0o400


class TestStamp:
    def test_the_proto_area_comes_before_the_environment(self, ws, monkeypatch):
        monkeypatch.setenv("BUILDSTAMP", "mine")
        made = plan(PlatformRequest(root=ws))
        assert made.name == NAME
        assert any("BUILDSTAMP is mine" in warning for warning in made.warnings)
        monkeypatch.setenv("BUILDSTAMP", STAMP)
        assert not any("BUILDSTAMP" in warning for warning in plan(PlatformRequest(root=ws)).warnings)
        (ws / "proto/buildstamp").unlink()
        monkeypatch.setenv("BUILDSTAMP", "mine")
        assert plan(PlatformRequest(root=ws)).name == "platform-mine"
        assert boot_files.plan(WorkspaceRequest(root=ws)).tarball.name == "boot-mine.tgz"
        monkeypatch.setenv("BUILDSTAMP", "not/mine")
        with pytest.raises(InputError, match="BUILDSTAMP in the environment: not a build stamp"):
            plan(PlatformRequest(root=ws))
        monkeypatch.delenv("BUILDSTAMP")
        with pytest.raises(InputError, match="no build stamp"):
            plan(PlatformRequest(root=ws))

    def test_without_a_date_is_built_and_goes_onto_media(self, ws):
        (ws / "proto/buildstamp").write_text("my-fix.2\n")
        done = imagekit("platform", cwd=ws)
        assert done.returncode == 0, done.stderr
        assert "my-fix.2 holds no date" in done.stderr
        assert imagekit("boot", cwd=ws).returncode == 0
        tree = ufs.read(DiskFile(ws / "output/platform-my-fix.2/i86pc/amd64/boot_archive"))
        assert tree["etc/passwd"].mtime == 315532800
        assert b"SmartOS my-fix.2 x86_64" in tree["etc/release"].content.read()
        for verb, what in (("usb", ["-o", "x.usb"]), ("iso", ["-o", "x.iso"]), ("pxe", ["-o", "pxe"])):
            done = imagekit(verb, *what, cwd=ws)
            assert done.returncode == 0, done.stderr
        assert (ws / "pxe/os/my-fix.2/platform/i86pc/kernel/amd64/unix").is_file()


class TestUnbuilt:
    def checkout(self, folder):
        (folder / "tools").mkdir()
        (folder / "tools/build_live").touch()
        return folder

    @pytest.mark.parametrize(
        ("there", "missing", "run"),
        [
            ((), "no proto and no GEN", "./configure, then gmake world, then gmake manifest"),
            (("build.env",), "no proto and no GEN", "gmake world, then gmake manifest"),
            (("build.env", "proto/buildstamp"), "no GEN", "gmake manifest"),
            (("build.env", "GEN"), "no proto", "gmake world"),
        ],
    )
    @pytest.mark.parametrize(
        ("verb", "gen"), [(plan, "manifest.gen"), (boot_files.plan, "boot.manifest.gen")], ids=["platform", "boot"]
    )
    def test_one_message_says_what_to_run(self, tmp_path, there, missing, run, verb, gen):
        checkout = self.checkout(tmp_path)
        for name in there:
            path = checkout / name.replace("GEN", gen)
            path.parent.mkdir(exist_ok=True)
            path.touch()
        with pytest.raises(InputError) as caught:
            verb(PlatformRequest(root=checkout))
        assert f"not built yet: {missing.replace('GEN', gen)} is here" in str(caught.value)
        assert caught.value.hint == f"run {run}"

    def test_elsewhere_nothing_is_said_of_gmake(self, tmp_path):
        with pytest.raises(InputError) as caught:
            plan(PlatformRequest(root=tmp_path))
        assert "gmake" not in f"{caught.value} {caught.value.hint}"


class TestFoldersThatAreReplaced:
    @pytest.fixture
    def old(self, ws):
        """Make the folder of an earlier build of the same stamp, with a user's files in it."""
        folder = ws / "output" / NAME
        for name in ("notes.txt", "i86pc/amd64/boot_archive.orig", "deep/er/x", "i86pc/amd64/boot_archive"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(name)
        (folder / "deep/link").symlink_to("nowhere")
        (folder / "deep/folder").symlink_to("er")
        os.mkfifo(folder / "fifo")
        (folder / "root.password").write_text("old\n")
        return folder

    @pytest.mark.parametrize("has_links", [True, False])
    def test_a_user_s_own_files_stay_and_are_named_before(self, ws, old, monkeypatch, has_links):
        if not has_links:
            (old / "fifo").unlink()
            monkeypatch.setattr(os, "link", lambda *_arguments, **_options: (_ for _ in ()).throw(OSError(1, "no")))
        made = plan(PlatformRequest(root=ws, root_password="new"))  # noqa: S106
        warning = next(text for text in made.warnings if str(old) in text)
        fifo = ", fifo" if has_links else ""
        assert f"stays deep/er/x, deep/folder, deep/link{fifo}, i86pc/amd64/boot_archive.orig, notes.txt" in warning
        made.write()
        for name in ("notes.txt", "i86pc/amd64/boot_archive.orig", "deep/er/x"):
            assert (old / name).read_text() == name
        assert str((old / "deep/link").readlink()) == "nowhere"
        assert (old / "deep/folder").is_symlink()
        assert not has_links or stat.S_ISFIFO((old / "fifo").stat().st_mode)
        assert (old / "i86pc/amd64/boot_archive").stat().st_size > 1000
        assert (old / "root.password").read_text() == "new\n"
        assert sorted(path.name for path in old.parent.iterdir() if path.name.startswith(".")) == []

    def test_a_build_that_fails_leaves_all_as_it_was(self, ws, old, monkeypatch):
        before = {path: path.lstat().st_ino for path in old.rglob("*")}
        made = plan(PlatformRequest(root=ws))
        monkeypatch.setattr(assemble, "write_product", lambda *_a, **_o: (_ for _ in ()).throw(OutputError("full")))
        with pytest.raises(OutputError):
            made.write()
        assert {path: path.lstat().st_ino for path in old.rglob("*")} == before

    @pytest.mark.parametrize("name", ["etc", "i86pc/kernel/amd64/unix/mine"])
    def test_what_cannot_stay_is_named_and_nothing_is_replaced(self, ws, name):
        folder = ws / "output" / NAME
        (folder / name).parent.mkdir(parents=True)
        (folder / name).write_text("mine")
        made = plan(PlatformRequest(root=ws))
        with pytest.raises(OutputError, match=f"{name} of the folder that is there cannot be kept"):
            made.write()
        assert (folder / name).read_text() == "mine"
        assert [path.name for path in (ws / "output").iterdir()] == [NAME]

    def test_a_password_of_before_does_not_stay(self, ws, old):
        change(ws / "manifest.d/demo.manifest", ("f etc/shadow 0400 root sys\n", ""))
        plan(PlatformRequest(root=ws)).write()
        assert not (old / "root.password").exists()

    def test_what_the_boot_manifest_does_not_ship_is_named(self, ws):
        first = boot_files.plan(WorkspaceRequest(root=ws))
        first.write()
        assert first.warnings == boot_files.plan(WorkspaceRequest(root=ws)).warnings == ()
        for number in range(12):
            (ws / f"proto.boot/boot/mine{number:02}").touch()
        (warning,) = boot_files.plan(WorkspaceRequest(root=ws)).warnings
        assert "in it goes boot/mine00, boot/mine01" in warning
        assert warning.endswith("boot/mine09 and 2 more")


class TestHooks:
    @pytest.fixture
    def tool(self, ws):
        """Let a script of the workspace be the hook smf-import."""
        change(ws / "imagekit.yaml", ("    etc/svc/repository.db: prebuilt/repository.db\n", ""))
        with (ws / "imagekit.yaml").open("a") as file:
            file.write("  hooks: {smf-import: [tools/import]}\n")

        def put(text):
            (ws / "tools").mkdir(exist_ok=True)
            (ws / "tools/import").write_text(f"#!/bin/sh\nset -e\n{text}\necho made > $1/etc/svc/repository.db\n")
            (ws / "tools/import").chmod(0o755)

        return put

    @pytest.fixture
    def programs(self, tmp_path, monkeypatch):
        """Return a function that puts scripts first on the PATH."""
        (tmp_path / "bin").mkdir()
        monkeypatch.setenv("PATH", str(tmp_path / "bin"), prepend=os.pathsep)

        def put(name, text):
            (tmp_path / "bin" / name).write_text(f"#!/bin/sh\n{text}\n")
            (tmp_path / "bin" / name).chmod(0o755)

        return put

    def made(self, ws):
        plan(PlatformRequest(root=ws)).write()
        tree = ufs.read(DiskFile(ws / "output/platform-latest/i86pc/amd64/boot_archive"))
        return tree["etc/svc/repository.db"].content.read()

    def test_a_tool_of_the_workspace_runs_by_pfexec(self, ws, tool, programs, tmp_path):
        tool("test $PRIVILEGED = yes")
        programs("pfexec", f'echo "$1" >> {tmp_path}/calls; PRIVILEGED=yes exec "$@"')
        assert self.made(ws) == b"made\n"
        assert (tmp_path / "calls").read_text() == "tools/import\nchown\n"

    def test_another_program_does_not(self, ws, programs):
        change(ws / "imagekit.yaml", ("    etc/svc/repository.db: prebuilt/repository.db\n", ""))
        with (ws / "imagekit.yaml").open("a") as file:
            file.write("  hooks: {smf-import: [remote]}\n")
        programs("pfexec", "exit 9")
        programs("remote", "echo made > $1/etc/svc/repository.db")
        assert self.made(ws) == b"made\n"

    def test_owners_that_a_plain_user_cannot_set_are_no_failure(self, ws, tool, programs):
        tool("chown root:root $1/etc/passwd; chgrp sys $1/etc/passwd; chmod 644 $1/etc/passwd")
        for name in ("chown", "chgrp"):
            programs(name, "echo Not owner >&2; exit 1")
        assert self.made(ws) == b"made\n"

    def test_owners_are_set_where_they_can_be(self, ws, tool, programs, tmp_path):
        tool("chown 12:34 $1/etc/passwd")
        programs("chown", f'echo "$1" > {tmp_path}/owner')
        assert self.made(ws) == b"made\n"
        assert (tmp_path / "owner").read_text() == "12:34\n"

    def test_other_failures_are_ones(self, ws, tool, programs):
        tool("echo no; false")
        programs("pfexec", 'exec "$@"')
        with pytest.raises(InputError, match=r"tools/import ended with status 1\n  \| no"):
            self.made(ws)
        assert not (ws / "output").exists()


class TestLog:
    def logs(self, ws):
        return sorted((ws / "log").iterdir()) if (ws / "log").is_dir() else []

    def test_is_there_after_a_build(self, ws):
        done = imagekit("platform", "--root-password", "topsecret", cwd=ws)
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""  # no terminal, no lines about steps
        assert re.search(rf"^output/{NAME}/root.password  the root password$", done.stdout, re.MULTILINE)
        (log,) = self.logs(ws)
        assert re.fullmatch(rf"build_live\.{STAMP}\.[0-9]+\.log", log.name)
        lines = log.read_text().splitlines()
        assert all(re.match(r"\[\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ\] ", line) for line in lines)
        text = "\n".join(line[23:] for line in lines)
        for part in (
            f"build stamp: {STAMP}",
            "==> Compressing /usr",
            "done: ",
            f"{NAME}.tgz  ",
            "the build is complete",
        ):
            assert part in text
        assert "topsecret" not in text

    def test_is_complete_when_planning_fails(self, ws):
        (ws / "proto/usr/bin/ls").unlink()
        done = imagekit("platform", cwd=ws)
        assert done.returncode == 1
        (log,) = self.logs(ws)
        text = log.read_text()
        assert "the build failed:" in text
        assert re.search(r"M401: .*usr/bin/ls", text)
        assert "hint: " in text

    def test_holds_what_a_hook_said_that_failed(self, ws):
        change(ws / "imagekit.yaml", ("    etc/svc/repository.db: prebuilt/repository.db\n", ""))
        with (ws / "imagekit.yaml").open("a") as file:
            file.write("  hooks: {smf-import: [sh, -c, 'seq 50; exit 3']}\n")
        assert imagekit("platform", cwd=ws).returncode == 1
        (log,) = self.logs(ws)
        assert re.findall(r"\] +\| (\d+)$", log.read_text(), re.MULTILINE)[:50] == [str(n) for n in range(1, 51)]

    def test_says_that_the_build_was_interrupted(self, ws):
        with (ws / "imagekit.yaml").open("a") as file:
            file.write("  hooks: {smf-import: [sh, -c, 'kill -TERM $PPID; sleep 60']}\n")
        change(ws / "imagekit.yaml", ("    etc/svc/repository.db: prebuilt/repository.db\n", ""))
        done = imagekit("platform", cwd=ws)
        assert done.returncode == 130
        (log,) = self.logs(ws)
        assert "the build was ended: Interrupted" in log.read_text()

    def test_none_for_a_dry_run(self, ws):
        assert imagekit("platform", "-n", cwd=ws).returncode == 0
        assert self.logs(ws) == []

    def test_that_cannot_be_written_stops_nothing(self, ws):
        (ws / "log").write_text("in the way")
        done = imagekit("platform", cwd=ws)
        assert done.returncode == 0
        assert re.search(r"warning: log/build_live\..*: no log of this build: ", done.stderr)

    def test_steps_on_a_terminal(self, monkeypatch, capsys):
        monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
        log = BuildLog(tell=terminal.write)
        with log.step("Boiling"):
            pass
        with pytest.raises(OutputError), log.step("Cooling"):
            raise OutputError("full")
        said = capsys.readouterr().err.replace("\r", "\n").splitlines()
        assert said[0] == "==> Boiling ..."
        assert re.fullmatch(r"==> Boiling \.\.\. \d+\.\d s", said[1])
        assert said[-1] == "==> Cooling ... not done"


class TestImages:
    def test_early_boot_s_files_are_missed_with_strict(self, ws):
        text = (ws / "manifest.d/demo.manifest").read_text()
        (ws / "manifest.d/demo.manifest").write_text(re.sub(r"f usr/sbin/lofiadm .*\n", "", text))
        made = plan(PlatformRequest(root=ws))
        assert any("/usr/sbin/lofiadm is not shipped, and early boot" in warning for warning in made.warnings)
        with pytest.raises(InputError, match="/usr/sbin/lofiadm is not shipped") as caught:
            plan(PlatformRequest(root=ws, strict=True))
        assert "«strict»" in str(caught.value)

    def test_geometry_and_modes_are_the_original_s(self, ws, monkeypatch):
        """As newfs -i 12248 and 14000 make them; nobody but root reads usr.lgz."""
        from imagekit.platform import images

        asked = {}
        planned = images.ufs.plan

        def spy(tree, *arguments, **options):
            asked["/" if "usr.lgz" in tree else "/usr"] = options["bytes_per_inode"]
            return planned(tree, *arguments, **options)

        monkeypatch.setattr(images.ufs, "plan", spy)
        plan(PlatformRequest(root=ws)).write()
        assert asked == {"/": 12_248, "/usr": 14_000}
        root = ufs.read(DiskFile(ws / "output/platform-latest/i86pc/amd64/boot_archive"))
        assert root["usr.lgz"].mode == 0o600

    def test_the_tarball_is_told_where_usr_lies_compressed(self, ws, monkeypatch):
        told = []
        write_product = assemble.write_product

        def spy(outputs, path, content, **options):
            told.append(b"".join(content.read(offset, length) for offset, length in options["compressed"]))
            return write_product(outputs, path, content, **options)

        monkeypatch.setattr(assemble, "write_product", spy)
        plan(PlatformRequest(root=ws)).write()
        root = ufs.read(DiskFile(ws / "output/platform-latest/i86pc/amd64/boot_archive"))
        usr = root["usr.lgz"].content.read()
        assert usr
        assert [archive.startswith(usr) and len(archive) < len(usr) + 4096 for archive in told] == [True]
