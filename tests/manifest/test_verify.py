"""imagekit verify: everything that does not fit, at once, with its line; and the real manifests."""

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import Result

from imagekit.cli.verify import command
from imagekit.errors import InputError
from imagekit.manifest.combine import combine
from imagekit.manifest.grammar import parse
from imagekit.manifest.resolve import resolve
from imagekit.manifest.sources import read_manifests
from imagekit.manifest.sums import sums
from imagekit.manifest.verify import Verification, verify
from imagekit.tree import HardLink
from kit.command import invoke

MANIFEST = """\
d etc 0755 root sys
f etc/group 0644 root sys
f etc/passwd 0644 root sys
d usr 0755 root sys
d usr/bin 0755 root bin
f usr/bin/cp 0555 root bin
h usr/bin/ln=usr/bin/cp
f usr/bin/ls 0555 root bin
s usr/bin/dir=ls
"""


@pytest.fixture
def proto(tmp_path: Path) -> Path:
    """Return a proto area that fits MANIFEST, modes included."""
    top = tmp_path / "proto"
    files = {
        "etc/passwd": "root:x:0:0::/:\n",
        "etc/group": "root::0:\nbin::2:\nsys::3:\n",
        "usr/bin/cp": "copy",
        "usr/bin/ls": "list",
    }
    for path, text in files.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(text)
        (top / path).chmod(0o644 if path.startswith("etc") else 0o555)
    for path in ("", "etc", "usr", "usr/bin"):
        (top / path).chmod(0o755)
    os.link(top / "usr/bin/cp", top / "usr/bin/ln")
    (top / "usr/bin/dir").symlink_to("ls")
    return top


def check(text: str, *protos: Path, complete: tuple[str, ...] = (), modes: bool = False) -> Verification:
    parsed = parse(text, "m")
    assert parsed.bad == []
    return verify(parsed.directives, protos, complete=complete, modes=modes)


def told(found: Verification) -> list[str]:
    return [str(finding) for finding in found.findings]


def run(*arguments: str | Path) -> Result:
    return invoke(command, *arguments)


@pytest.fixture
def manifest(tmp_path: Path) -> Path:
    (tmp_path / "m").write_text(MANIFEST)
    return tmp_path / "m"


def test_what_fits_has_no_finding(proto: Path):
    found = check(MANIFEST, proto, modes=True, complete=("usr", "/etc/"))
    assert (found.findings, found.unshipped, found.is_good) == ((), (), True)
    assert found.suppliers == dict.fromkeys(["etc/group", "etc/passwd", "usr/bin/cp", "usr/bin/ls"], proto)


def test_everything_that_can_differ(proto: Path):
    usr = proto / "usr"
    (usr / "bin/ls").unlink()
    (usr / "bin/dir").unlink()
    (usr / "bin/dir").symlink_to("cp")
    (usr / "bin/ln").unlink()
    (usr / "bin/ln").write_text("copy")
    (usr / "file").write_text("")
    (usr / "folder").mkdir()
    os.mkfifo(usr / "pipe")
    (usr / "via").symlink_to("bin/cp")
    (usr / "target").write_text("")
    text = MANIFEST + (
        "d usr/file 0755 root sys\n"
        "f usr/folder 0644 root sys\n"
        "f usr/pipe 0644 root sys\n"
        "f usr/via 0644 root sys\n"
        "s usr/target=file\n"
        "s usr/bin/LS=ls\n"
        "d usr/bin/LS 0755 root sys\n"
    )
    (usr / "bin/LS").mkdir()
    assert told(check(text, proto)) == [
        f"m:7: M404 error: found {usr}/bin/ln and {usr}/bin/cp to be two files, expected two names of one",
        f"m:8: M401 error: usr/bin/ls is missing from {proto}",
        f"m:9: M403 error: found {usr}/bin/dir leading to cp, expected ls",
        f"m:10: M402 error: found a file at {usr}/file, expected a directory",
        f"m:11: M402 error: found a directory at {usr}/folder, expected a file",
        f"m:12: M402 error: found a fifo at {usr}/pipe, expected a file",
        f"m:13: M408 warning: {usr}/via is or lies behind a symbolic link; {usr}/bin/cp is taken",
        f"m:14: M402 error: found a file at {usr}/target, expected a symbolic link",
        f"m:15: M402 error: found a directory at {usr}/bin/LS, expected a symbolic link",
        "m:16: M302 error: usr/bin/LS is a directory 0755 root:sys here, but a symbolic link to ls in m:15",
    ]


def test_what_the_proto_area_need_not_have(proto: Path):
    text = MANIFEST + "d var 0755 root sys\ns usr/new=x\nh usr/bin/copy=usr/bin/cp\n"
    found = check(text, proto)
    assert [(one.line, one.code, one.severity) for one in found.findings] == [
        (10, "M409", "note"),
        (11, "M409", "note"),
        (12, "M409", "note"),
    ]
    assert found.is_good


def test_modes_only_on_request(proto: Path):
    (proto / "usr/bin/ls").chmod(0o4555)
    (proto / "usr").chmod(0o700)
    assert check(MANIFEST, proto).findings == ()
    found = check(MANIFEST, proto, modes=True)
    assert told(found) == [
        f"m:4: M407 error: found mode 0700 of {proto}/usr, expected 0755",
        f"m:8: M407 error: found mode 4555 of {proto}/usr/bin/ls, expected 0555",
    ]
    assert not found.is_good


def test_the_manifest_itself(proto: Path):
    text = MANIFEST + (
        "f usr/bin/ls 0555 root staff\n"
        "s usr/up=../../x\n"
        "h usr/none=gone\n"
        "f /abs 0644 root sys\n"
        "s usr/ok=../../x # imagekit: allow M308 it is /x\n"
    )
    found = [(one.line, one.code, one.severity) for one in check(text, proto).findings if one.code != "M409"]
    assert found == [
        (10, "M102", "warning"),
        (10, "M302", "warning"),
        (11, "M308", "warning"),
        (12, "M305", "error"),
        (13, "M201", "error"),
    ]


def test_an_allowance_quiets_what_verify_finds(proto: Path):
    (proto / "usr/bin/dir").unlink()
    (proto / "usr/bin/dir").symlink_to("cp")
    text = MANIFEST.replace("s usr/bin/dir=ls", "s usr/bin/dir=ls # imagekit: allow M403 the install step has it wrong")
    assert check(text, proto, complete=("usr",)).findings == ()
    # What cannot be made stays so: `tar` and `platform` refuse it whatever a line allows.
    (proto / "usr/bin/ls").unlink()
    text = text.replace("f usr/bin/ls 0555 root bin", "f usr/bin/ls 0555 root bin # imagekit: allow M401 not built yet")
    assert [one.code for one in check(text, proto).fatal] == ["M401"]


def test_unshipped_files(proto: Path):
    (proto / "usr/bin/stray").write_text("")
    (proto / "usr/bin/lost").symlink_to("ls")
    (proto / "usr/empty").mkdir()
    (proto / "usr/binary").write_text("")
    (proto / "top").write_text("")
    assert check(MANIFEST, proto).unshipped == ("top", "usr/bin/lost", "usr/bin/stray", "usr/binary")
    found = check(MANIFEST, proto, complete=("/usr/bin/",))
    assert found.unshipped == ("top", "usr/binary")
    assert told(found) == [
        f"{proto}/usr/bin/{name}: M405 error: no manifest ships it, and all below a complete prefix has to be shipped"
        for name in ("lost", "stray")
    ]
    everything = check(MANIFEST, proto, complete=("/",))
    assert ([one.path for one in everything.findings], everything.unshipped) == (
        ["top", "usr/bin/lost", "usr/bin/stray", "usr/binary", "usr/empty"],
        (),
    )
    assert everything.findings[-1].message.startswith("no manifest has a line for this folder, and")
    (proto / "usr/bin/stray-2").write_text("")
    exactly = check(MANIFEST, proto, complete=("usr/bin/stray",))
    assert ([one.path for one in exactly.findings], exactly.unshipped) == (
        ["usr/bin/stray"],
        ("top", "usr/bin/lost", "usr/bin/stray-2", "usr/binary"),
    )
    with pytest.raises(InputError, match=f"«complete» usr/bni: nothing is at usr/bni in {proto}"):
        check(MANIFEST, proto, complete=("usr/bni",))
    for slip, hint in (("urs/bni", "did you mean usr/bin?"), ("usr/xyz", "«complete» takes a path of the image")):
        with pytest.raises(InputError) as caught:
            check(MANIFEST, proto, complete=(slip,))
        assert caught.value.hint.startswith(hint)


def test_the_first_proto_area_counts(proto: Path, tmp_path: Path):
    overlay = tmp_path / "overlay"
    (overlay / "usr/bin").mkdir(parents=True)
    (overlay / "usr/bin/ls").write_text("better")
    (overlay / "usr/bin/more").write_text("stray")
    found = check(MANIFEST, overlay, proto)
    assert found.findings == ()
    assert found.suppliers["usr/bin/ls"] == overlay
    assert found.suppliers["usr/bin/cp"] == proto
    assert found.unshipped == ("usr/bin/more",)
    (overlay / "usr/bin/cp").write_text("copy")
    assert [one.code for one in check(MANIFEST, overlay, proto).findings] == ["M404"]


def test_hard_links_of_symbolic_links(proto: Path):
    os.link(proto / "usr/bin/dir", proto / "usr/bin/vdir", follow_symlinks=False)
    text = MANIFEST + "h usr/bin/vdir=usr/bin/dir\n"
    assert check(text, proto).findings == ()
    (proto / "usr/bin/vdir").unlink()
    (proto / "usr/bin/vdir").symlink_to("ls")
    assert [one.code for one in check(text, proto).findings] == ["M404"]


def test_accounts_that_cannot_be_read_are_a_finding(proto: Path):
    (proto / "etc/passwd").write_text("root\n")
    found = check(MANIFEST, proto)
    assert told(found) == [f"{proto}/etc/passwd:1: M410 error: found 1 fields, expected 7, as in passwd(5)"]
    (proto / "etc/group").write_text("bin\nroot:x:0\n")
    told_of_both = told(check(MANIFEST, proto))[0]
    assert told_of_both.startswith("etc/passwd and etc/group: M410 error: the accounts cannot be read:\n")
    assert told_of_both.count("\n") == 3


# what root never sees

AS_NOBODY = """
import os, sys
from pathlib import Path
from imagekit.manifest.grammar import parse
from imagekit.manifest.verify import verify
lines = parse(sys.argv[2], "m").directives
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
found = verify(lines, [Path(sys.argv[1])], modes=True)
print(*found.findings, sep="\\n")
print(*found.unshipped)
"""


@pytest.fixture
def open_proto(proto: Path) -> Iterator[Path]:
    """Yield a proto area that other users reach, as pytest's own folders are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        top = Path(name) / "proto"
        proto.rename(top)
        yield top


def test_unreadable_files_and_folders(open_proto: Path):
    usr = open_proto / "usr"
    (usr / "bin/ls").chmod(0)
    for name, mode in (("closed", 0), ("listed", 0o444), ("stray", 0)):
        (usr / name).mkdir()
        for inner in ("file", "link"):
            (usr / name / inner).symlink_to("x") if inner == "link" else (usr / name / inner).write_text("")
        (usr / name).chmod(mode)
    text = MANIFEST + (
        "d usr/closed 0000 root sys\n"
        "f usr/closed/file 0644 root sys\n"
        "s usr/closed/link=x\n"
        "d usr/listed 0444 root sys\n"
        "f usr/listed/file 0644 root sys\n"
        "s usr/listed/link=x\n"
    )
    try:
        program = [sys.executable, "-c", AS_NOBODY, str(open_proto), text]
        done = subprocess.run(program, check=True, capture_output=True, text=True)
    finally:
        for name in ("closed", "listed", "stray"):
            (usr / name).chmod(0o700)
    assert done.stdout.splitlines() == [
        f"m:8: M406 error: cannot read {usr}/bin/ls: permission denied",
        f"m:8: M407 error: found mode 0000 of {usr}/bin/ls, expected 0555",
        f"m:14: M406 error: cannot examine {usr}/listed/file: Permission denied",
        "m:15: M406 error: cannot examine usr/listed/link: Permission denied",
        f"{usr}/closed: M406 error: cannot list the folder {usr}/closed: Permission denied",
        f"{usr}/stray: M406 error: cannot list the folder {usr}/stray: Permission denied",
        "",
    ]


# the command


def test_the_text(proto: Path, manifest: Path):
    (proto / "stray").write_text("")
    with manifest.open("a") as file:
        file.write("d var 0755 root sys\n")
    good = run("-m", manifest, "-p", proto)
    assert good.exit_code == 0
    assert good.stdout.splitlines() == [
        "10 entries, files found: 4, files that no manifest ships: 1 (--unshipped lists them)",
        "1 note",
    ]
    full = run("-m", manifest, "-p", proto, "--unshipped", "--verbose")
    assert run("-m", manifest, "-p", proto, "--unshipped", "-v").stdout == full.stdout
    assert full.stdout.splitlines() == [
        f"{manifest}:10: M409 note: var is in no proto area; the manifest's line is enough to make it",
        *(f"{path}: from {proto}" for path in ("etc/group", "etc/passwd", "usr/bin/cp", "usr/bin/ls")),
        "stray: no manifest ships it",
        "10 entries, files found: 4, files that no manifest ships: 1",
        "1 note",
    ]
    (proto / "usr/bin/ls").unlink()
    bad = run("-m", manifest, "-p", proto)
    assert bad.exit_code == 1
    assert bad.stdout.splitlines()[0] == f"{manifest}:8: M401 error: usr/bin/ls is missing from {proto}"


def test_json_and_content(proto: Path, manifest: Path):
    (proto / "stray").write_text("")
    result = run("-m", manifest, "-p", proto, "--json", "--content")
    document = json.loads(result.stdout)
    assert (document["good"], document["findings"], document["unshipped"]) == (True, [], ["stray"])
    assert document["suppliers"]["usr/bin/ls"] == str(proto)
    assert document["sums"][-1] == {
        "path": "usr/bin/ls",
        "size": 4,
        "sha256": hashlib.sha256(b"list").hexdigest(),
        "md5": hashlib.md5(b"list").hexdigest(),
    }
    text = run("-m", manifest, "-p", proto, "--content")
    assert text.stdout.splitlines()[2] == (
        f"{hashlib.sha256(b'copy').hexdigest()} {hashlib.md5(b'copy').hexdigest()}          4 usr/bin/cp"
    )
    assert len(text.stdout.splitlines()) == 4
    assert "no findings" in text.stderr


def test_a_file_that_changes_while_it_is_hashed_is_a_finding(proto: Path):
    found = verify(parse(MANIFEST, "m").directives, [proto])
    (proto / "usr/bin/ls").chmod(0o755)
    (proto / "usr/bin/ls").write_text("longer")
    done, failures = sums(found.tree.files())
    assert [one.path for one in done] == ["etc/group", "etc/passwd", "usr/bin/cp"]
    assert [one.path for one in failures] == ["usr/bin/ls"]
    assert "the file changed" in failures[0].reason


def test_a_workspace_needs_no_arguments(proto: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=r"no manifest was given, and no manifest\.gen or manifest\.d is here"):
        run()
    (tmp_path / "manifest.d").mkdir()
    (tmp_path / "manifest.d" / "a.manifest").write_text(MANIFEST + "f a 0644 root sys\n")
    assert run().exit_code == 1
    (tmp_path / "manifest.gen").write_text(MANIFEST)
    assert run().exit_code == 0
    proto.rename(tmp_path / "elsewhere")
    with pytest.raises(InputError, match="no proto area was given, and no proto is here"):
        run()
    with pytest.raises(InputError, match="cannot read the proto area"):
        run("-p", proto)


# the real thing


@pytest.fixture(scope="module")
def real_proto(shared: Path) -> Iterator[Path]:
    """Yield a proto area for the real manifests; its files are names of a single empty one, which costs no inodes."""
    with tempfile.TemporaryDirectory() as name:
        top = Path(name) / "proto"
        seed = shared / "data" / "proto-seed"
        shutil.copytree(seed, top, copy_function=shutil.copyfile)
        top.chmod(0o755)
        (top / "etc").chmod(0o755)
        (top / "usr/include/private").mkdir(parents=True)
        blank = top / "usr/include/private/blank.h"
        blank.write_text("")
        lines = combine(read_manifests([shared / "data" / "manifests"])).directives
        for line in sorted(lines, key=lambda one: "dfsh".index(one.kind)):
            place = top / line.path
            if line.kind == "d":
                place.mkdir(exist_ok=True, parents=True)
            elif line.kind == "f" and not place.exists():
                os.link(blank, place)
            elif line.kind == "s":
                place.symlink_to(line.target)
            elif line.kind == "h":
                os.link(top / line.target, place, follow_symlinks=False)
        yield top


def test_the_real_manifests_fit(shared: Path, real_proto: Path):
    found = verify(read_manifests([shared / "data" / "manifests"]), [real_proto])
    assert found.is_good
    assert Counter(one.code for one in found.findings) == {"M102": 1, "M204": 10, "M301": 2, "M302": 5, "M308": 1}
    assert found.unshipped == ("usr/include/private/blank.h",)
    assert len(found.suppliers) == 15_194
    assert len(found.tree) == 25_243


def test_the_real_manifests_with_damage(shared: Path, real_proto: Path):
    (real_proto / "usr/bin/ls").unlink()
    (real_proto / "usr/bin/perl").unlink()
    (real_proto / "usr/bin/perl").symlink_to("/usr/bin/perl5")
    (real_proto / "kernel/fs/amd64/zfs").unlink()
    (real_proto / "kernel/fs/amd64/zfs").write_text("a copy")
    (real_proto / "usr/vm/sbin/extra").write_text("")
    lines = read_manifests([shared / "data" / "manifests"])
    found = verify(lines, [real_proto], complete=["usr/vm", "usr/img"])
    errors = [(one.code, one.path) for one in found.findings if one.severity == "error"]
    assert sorted(errors) == [
        ("M401", "usr/bin/ls"),
        ("M403", "usr/bin/perl"),
        ("M404", "kernel/fs/amd64/zfs"),
        ("M405", "usr/vm/sbin/extra"),
    ]


def test_the_real_manifests_resolve(shared: Path, real_proto: Path):
    (real_proto / "usr/bin/ls").unlink(missing_ok=True)  # the test before may have taken it
    (real_proto / "usr/bin/ls").write_text("")
    result = resolve(read_manifests([shared / "data" / "manifests"]), [real_proto], mtime=1_795_305_600)
    assert Counter(entry.KIND for entry in result.tree) == {
        "directory": 2958,
        "file": 15194,
        "symbolic link": 6517,
        "hard link": 574,
    }
    assert [one.path for one in result.warnings if one.code == "M102"] == ["usr/share/man/man1/sendmail-mailq.1"]
    su, mount = result.tree["usr/bin/su"], result.tree["lib/fs/nfs/mount"]
    assert (su.mode, su.user, su.uid, su.group, su.gid, su.mtime) == (0o4555, "root", 0, "sys", 3, 1_795_305_600)
    assert isinstance(mount, HardLink)
    assert (mount.target, mount.mode) == ("etc/fs/nfs/mount", 0o777)
