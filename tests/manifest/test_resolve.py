"""A manifest and proto areas into a Tree: what comes out, and everything that can be in the way."""

import os
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagekit.errors import InputError
from imagekit.manifest.accounts import Accounts
from imagekit.manifest.findings import FindingsError, without_fatal
from imagekit.manifest.grammar import Directive, parse
from imagekit.manifest.resolve import Resolution, resolve
from imagekit.tree import Directory, File, HardLink, Symlink

ACCOUNTS = Accounts({"root": 0, "adm": 4}, {"root": 0, "sys": 3, "bin": 2}, "the test's accounts")


def directives(text: str) -> list[Directive]:
    parsed = parse(text, "m")
    assert parsed.bad == []
    return parsed.directives


def resolved(text: str, *protos: Path) -> Resolution:
    return resolve(directives(text), protos, mtime=77, accounts=ACCOUNTS)


def refused(text: str, *protos: Path) -> list[tuple[int, str]]:
    with pytest.raises(FindingsError) as caught:
        resolved(text, *protos)
    return [(finding.line, finding.code) for finding in caught.value.findings]


@pytest.fixture
def proto(tmp_path: Path) -> Path:
    """Return a proto area: usr/bin/{ls,cp}, lib/libc.so, links of all kinds, a fifo."""
    top = tmp_path / "proto"
    for path, text in {"usr/bin/ls": "ls", "usr/bin/cp": "cp!", "lib/libc.so": "libc"}.items():
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_text(text)
    (top / "bin").symlink_to("usr/bin")
    (top / "usr/bin/dir").symlink_to("ls")
    (top / "usr/bin/vdir").symlink_to("/usr/bin/dir")
    (top / "usr/bin/passwd").symlink_to("../../../../../../../../etc/passwd")
    (top / "usr/bin/host").symlink_to(tmp_path / "outside")
    (top / "usr/bin/round").symlink_to("round")
    os.mkfifo(top / "usr/bin/pipe")
    (tmp_path / "outside").write_text("outside")
    return top


def test_everything_comes_from_where_it_should(proto: Path):
    result = resolved(
        "d . 0711 adm sys\n"
        "d usr 0755 root sys\n"
        "d usr/bin 0555 root bin\n"
        "f usr/bin/ls 4511 adm bin\n"
        "s bin=./usr/bin\n"
        "h dir=usr/bin/ls\n"
        "h bin2=bin\n",
        proto,
    )
    assert result.warnings == ()
    entries = [(e.KIND, e.path, e.mode, e.uid, e.gid, e.user, e.group, e.mtime) for e in result.tree]
    assert entries == [
        ("directory", "", 0o711, 4, 3, "adm", "sys", 77),
        ("hard link", "bin2", 0o777, 0, 0, "root", "root", 77),  # sorted with its =
        ("symbolic link", "bin", 0o777, 0, 0, "root", "root", 77),
        ("hard link", "dir", 0o4511, 4, 2, "adm", "bin", 77),
        ("directory", "usr", 0o755, 0, 3, "root", "sys", 77),
        ("directory", "usr/bin", 0o555, 0, 2, "root", "bin", 77),
        ("file", "usr/bin/ls", 0o4511, 4, 2, "adm", "bin", 77),
    ]
    ls, link, hard = result.tree["usr/bin/ls"], result.tree["bin"], result.tree["bin2"]
    assert isinstance(ls, File)
    assert isinstance(link, Symlink)
    assert isinstance(hard, HardLink)
    assert ls.content.read() == b"ls"
    assert (link.target, hard.target) == ("./usr/bin", "bin")
    assert result.suppliers == {"usr/bin/ls": proto}


def test_the_root_is_roots_by_default(proto: Path):
    root = resolved("", proto).tree.root
    assert (root.mode, root.uid, root.gid, root.user, root.group, root.mtime) == (0o755, 0, 0, "root", "root", 77)


def test_one_and_many_files_give_the_same_tree(proto: Path):
    lines = [
        "d usr 0755 root sys",
        "d usr/bin 0755 root bin",
        "f usr/bin/cp 0555 root bin",
        "f usr/bin/ls 0555 root bin",
    ]
    one, other = ("\n".join(order) for order in (lines, lines[::-1]))
    trees = [resolved(text, proto).tree for text in (one, other)]
    assert [(entry.path, entry.mode) for entry in trees[0]] == [(entry.path, entry.mode) for entry in trees[1]]


def test_parents_come_first_though_another_name_sorts_before(proto: Path):
    (proto / "a-b").write_text("")
    (proto / "a").mkdir()
    (proto / "a" / "x").write_text("")
    tree = resolved("f a-b 0644 root sys\nf a/x 0644 root sys\nd a/ 0755 root sys\n", proto).tree
    assert [entry.path for entry in tree] == ["", "a-b", "a", "a/x"]


def test_the_first_proto_area_supplies(proto: Path, tmp_path: Path):
    overlay = tmp_path / "overlay"
    (overlay / "usr/bin").mkdir(parents=True)
    (overlay / "usr/bin/ls").write_text("better")
    (overlay / "usr/bin/cp").symlink_to("nowhere")
    text = "d usr 0755 root sys\nd usr/bin 0755 root bin\nf usr/bin/ls 0555 root bin\nf usr/bin/cp 0555 root bin\n"
    result = resolved(text, overlay, proto)
    assert result.suppliers == {"usr/bin/cp": proto, "usr/bin/ls": overlay}
    assert [file.content.read() for file in result.tree.files()] == [b"cp!", b"better"]
    assert resolved(text, proto, overlay).suppliers == {"usr/bin/cp": proto, "usr/bin/ls": proto}


def test_links_of_the_proto_area_are_followed_inside_it(proto: Path):
    text = "d bin 0755 root bin\nf bin/cp 0555 root bin\nd usr 0755 root sys\nd usr/bin 0755 root bin\n"
    result = resolved(text + "f usr/bin/dir 0555 root bin\nf usr/bin/vdir 0555 root bin\n", proto)
    assert [(one.line, one.code) for one in result.warnings] == [(2, "M408"), (5, "M408"), (6, "M408")]
    assert [file.content.read() for file in result.tree.files()] == [b"cp!", b"ls", b"ls"]
    assert str(proto / "usr/bin/cp") in result.warnings[0].message


def test_links_of_the_proto_area_never_lead_outside(proto: Path):
    text = "d usr 0755 root sys\nd usr/bin 0755 root bin\n"
    text += "".join(f"f usr/bin/{name} 0555 root bin\n" for name in ("passwd", "host", "round"))
    assert refused(text, proto) == [(3, "M401"), (4, "M401"), (5, "M401")]
    # That what it names lies inside again does not help: the image's kernel would find it, this host's would not.
    (proto / "usr/bin/above").symlink_to("../../../usr/bin/ls")
    (proto / "usr/bin/top").symlink_to("../../usr/bin/ls")
    above = "d usr 0755 root sys\nd usr/bin 0755 root bin\nf usr/bin/above 0555 root bin\n"
    assert refused(above, proto) == [(3, "M401")]
    assert [one.code for one in resolved(above.replace("above", "top"), proto).warnings] == ["M408"]


def test_all_problems_are_reported_together(proto: Path):
    text = (
        "f usr/none 0555 root bin\n"
        "f usr/bin 0555 root bin\n"
        "f usr/bin/pipe 0555 root bin\n"
        "f ../outside 0555 root bin\n"
        "d usr/../.. 0755 root bin\n"
        "h a=none\n"
        "h b=c\n"
        "h c=b\n"
        "h d=../x\n"
        f"s {'n' * 256}=x\n"
        "f lib/libc.so 0555 root bin\n"
        "s lib/libc.so=libc.so.1\n"
        "s link=usr\n"
        "f link/x 0444 root bin\n"
    )
    assert refused(text, proto) == [
        (1, "M401"),
        (2, "M402"),
        (3, "M304"),
        (3, "M402"),
        (4, "M203"),
        (5, "M203"),
        (6, "M305"),
        (7, "M306"),
        (8, "M306"),
        (9, "M307"),
        (10, "M205"),
        (12, "M302"),
        (14, "M304"),
        (14, "M401"),
    ]


def test_messages_name_found_and_expected(proto: Path):
    text = "d usr 0755 root sys\nd usr/bin 0755 root bin\nf usr/bin/pipe 0555 root bin\nf usr/bin/none 0555 root bin\n"
    with pytest.raises(FindingsError) as caught:
        resolved(text, proto)
    assert str(caught.value).splitlines() == [
        "the manifest and the proto areas do not fit: 2 problems",
        f"  m:3: M402: found a fifo at {proto}/usr/bin/pipe, expected a file",
        f"  m:4: M401: usr/bin/none is missing from {proto}",
    ]


def test_what_is_put_right_is_a_warning(proto: Path):
    text = (
        "f lib/libc.so 0644 root sys\n"
        "f lib/libc.so 0755 nobody sys\n"
        "f usr/bin/ls 0555 root staff\n"
        "s usr/bin/up=../../../x\n"
    )
    result = resolved(text, proto)
    assert [(one.line, one.code) for one in result.warnings] == [
        (2, "M101"),
        (2, "M302"),
        (2, "M303"),
        (3, "M102"),
        (3, "M303"),
        (3, "M303"),
        (4, "M308"),
    ]
    assert {one.severity for one in result.warnings} == {"warning"}
    usr, libc = result.tree["usr"], result.tree["lib/libc.so"]
    assert (usr.mode, usr.uid, usr.gid, usr.user, usr.group, usr.mtime) == (0o755, 0, 0, "root", "root", 77)
    assert (libc.mode, libc.uid, libc.user, libc.gid, libc.group) == (0o755, 0, "root", 3, "sys")
    assert [entry.path for entry in result.tree] == [
        "",
        "lib",
        "lib/libc.so",
        "usr",
        "usr/bin",
        "usr/bin/ls",
        "usr/bin/up",
    ]
    with pytest.raises(FindingsError) as caught:
        without_fatal(result.warnings, strict=True)
    assert caught.value.findings == result.warnings


def test_an_allowance_quiets_a_warning_but_no_error(proto: Path):
    text = "f none 0644 root sys # imagekit: allow M401 it is missed\n"
    assert refused(text, proto) == [(1, "M401")]
    result = resolved("s up=../x # imagekit: allow M308 it is /x\n", proto)
    assert result.warnings == ()


def test_directories_need_nothing_in_the_proto_area(tmp_path: Path):
    tree = resolved("d var 0755 root sys\ns var/x=y\n", tmp_path).tree
    assert isinstance(tree["var"], Directory)
    assert isinstance(tree["var/x"], Symlink)


def test_accounts_are_the_proto_areas(proto: Path):
    lines = directives("f lib/libc.so 0755 lib lib\nd lib 0755 root root\n")
    with pytest.raises(InputError, match="the accounts cannot be read"):
        resolve(lines, [proto], mtime=0)
    (proto / "etc").mkdir()
    (proto / "etc/passwd").write_text("root:x:0:0::/:\nlib:x:51:1::/:\n")
    (proto / "etc/group").write_text("root::0:\nlib::52:\n")
    entry = resolve(lines, [proto], mtime=0).tree["lib/libc.so"]
    assert (entry.uid, entry.gid, entry.user, entry.group) == (51, 52, "lib", "lib")


def test_proto_areas_that_cannot_be(tmp_path: Path):
    with pytest.raises(InputError, match="no proto area was given"):
        resolved("")
    with pytest.raises(InputError, match="none: cannot read the proto area: No such file"):
        resolved("", tmp_path / "none")


def test_absurdly_deep_paths_do_no_harm(tmp_path: Path):
    deep = "/".join("d" * 511)
    assert refused(f"f {deep} 0644 root sys\n", tmp_path) == [(1, "M401")]
    result = resolved(f"s {deep}=x\n", tmp_path)
    assert len(result.tree) == 512
    assert len(result.warnings) == 510


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes device nodes")
def test_a_device_is_no_file(tmp_path: Path):
    try:
        os.mknod(tmp_path / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    except PermissionError:
        pytest.skip("device nodes are forbidden here")
    with pytest.raises(FindingsError, match=r"found a character device at .*null, expected a file"):
        resolved("f null 0666 root sys\n", tmp_path)


@pytest.fixture
def open_tmp() -> Iterator[Path]:
    """Yield a folder that other users reach, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


AS_NOBODY = """
import os, sys
from pathlib import Path
from imagekit.errors import InputError
from imagekit.manifest.accounts import Accounts
from imagekit.manifest.grammar import parse
from imagekit.manifest.resolve import resolve
if os.geteuid() == 0:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
lines = parse(sys.argv[2], "m").directives
try:
    resolve(lines, [Path(sys.argv[1])], mtime=0, accounts=Accounts({"root": 0}, {"root": 0}, "test"))
except InputError as error:
    print(error)
else:
    print("nothing was wrong")
"""


def test_unreadable_things_are_all_named(open_tmp: Path):
    (open_tmp / "secret").write_bytes(b"x")
    (open_tmp / "secret").chmod(0)
    (open_tmp / "fine").write_bytes(b"x")
    for name, mode in (("closed", 0), ("listed", 0o444)):
        (open_tmp / name).mkdir()
        (open_tmp / name / "inner").write_bytes(b"x")
        (open_tmp / name).chmod(mode)
    text = "d closed 0755 root root\nd listed 0755 root root\n"
    text += "".join(f"f {path} 0644 root root\n" for path in ("secret", "fine", "closed/inner", "listed/inner"))
    try:
        run = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, str(open_tmp), text], check=True, capture_output=True, text=True
        )
    finally:
        for name in ("closed", "listed"):
            (open_tmp / name).chmod(0o700)
    assert run.stdout.splitlines() == [
        "the manifest and the proto areas do not fit: 3 problems",
        f"  m:3: M406: cannot read {open_tmp}/secret: permission denied",
        f"  m:6: M406: cannot examine {open_tmp}/listed/inner: Permission denied",
        f"  {open_tmp}/closed: M406: cannot list the folder {open_tmp}/closed: Permission denied",
    ]
