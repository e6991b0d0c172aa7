"""imagekit manifest: the commands, their output and exit status, and what is behind fmt, diff, ls and from-tree."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import Result
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.cli.manifest import command
from imagekit.errors import ImagekitError, InputError
from imagekit.formats import folder
from imagekit.manifest.difference import differences
from imagekit.manifest.formatting import format_manifest
from imagekit.manifest.generate import manifest_of
from imagekit.manifest.grammar import parse
from imagekit.manifest.listing import aligned, listing
from imagekit.manifest.sources import read_manifests
from kit.command import environment, imagekit, invoke


def run(*arguments: str | Path, input: bytes | None = None) -> Result:  # noqa: A002 - click's own name
    return invoke(command, *arguments, input=input)


def write(path: Path, text: str) -> Path:
    path.write_bytes(text.encode("utf-8", "surrogateescape"))
    return path


def formatted(text: str) -> str:
    return format_manifest(parse(text, "m"))


# combine


def test_combine_prints_or_writes(tmp_path: Path):
    first = write(tmp_path / "a", "f b 0644 root sys\nd a 0755 root sys\n")
    second = write(tmp_path / "b", "f b 0600 root sys\nf caf\udce9 0644 root sys")
    expected = b"d a 0755 root sys\nf b 0600 root sys\nf caf\xe9 0644 root sys\n"
    result = run("combine", first, second)
    assert (result.exit_code, result.stdout_bytes) == (0, expected)
    assert result.stderr == (
        f"imagekit: warning: {second}:1: M302: b is a file 0600 root:sys here, but a file 0644 root:sys in {first}:1\n"
    )
    output = tmp_path / "out" / "manifest.gen"
    assert run("combine", tmp_path / "a", second, "-o", output).stdout == ""
    assert output.read_bytes() == expected
    assert run("combine", "-", second, input=first.read_bytes()).stdout_bytes == expected


def test_combine_refuses_and_leaves_the_old_output(tmp_path: Path):
    source = write(tmp_path / "a", "f b 0644 root sys\nf b 0600 root sys\n")
    output = write(tmp_path / "manifest.gen", "old\n")
    with pytest.raises(ImagekitError, match="M302: b is a file 0600"):
        run("combine", "--strict", source, "-o", output)
    write(source, "x\ny\n")
    with pytest.raises(InputError, match="2 manifest lines cannot be read"):
        run("combine", source, "-o", output)
    assert output.read_text() == "old\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "manifest.gen"]


def test_a_workspace_needs_no_arguments(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    for arguments in (["combine"], ["lint"]):
        with pytest.raises(InputError, match=r"no manifest was given, and no manifest\.d is here"):
            run(*arguments)
    with pytest.raises(InputError, match=r"no manifest\.gen or manifest\.d is here"):
        run("ls")
    (tmp_path / "manifest.d").mkdir()
    write(tmp_path / "manifest.d" / "x.manifest", "d a 0755 root sys\n")
    assert run("combine").stdout == "d a 0755 root sys\n"
    assert run("lint").stdout == "no findings\n"
    assert run("ls").stdout == "drwxr-xr-x root sys a\n"


# lint


def test_lint_exit_status_and_output(tmp_path: Path):
    source = write(tmp_path / "m", "s up=../x\n")
    result = run("lint", source)
    assert result.exit_code == 0
    assert result.stdout.splitlines() == [
        f"{source}:1: M308 warning: up leads above the root of the image: ../x",
        "M308 warning     1  symbolic link that leaves the image",
        "1 warning",
    ]
    assert run("lint", "--strict", source).exit_code == 1
    write(source, "f a 044 root sys\n")
    assert run("lint", source).exit_code == 1
    write(source, "f a 044 root sys # imagekit: allow M104 a test\n")
    assert (run("lint", source).exit_code, run("lint", "--strict", source).stdout) == (0, "no findings\n")


def test_lint_json(tmp_path: Path):
    source = write(tmp_path / "m", "f caf\udce9 0644 rot sys\n")
    result = run("lint", "--json", source)
    assert result.exit_code == 1
    document = json.loads(result.stdout)
    assert document["counts"] == {"error": 1, "warning": 0, "note": 0}
    (finding,) = document["findings"]
    assert finding["message"].endswith("did you mean root?")
    del finding["message"]
    assert finding == {"code": "M101", "severity": "error", "path": "caf\udce9", "file": str(source), "line": 1}


def test_lint_takes_the_accounts_of_a_proto_area(tmp_path: Path):
    source = write(tmp_path / "m", "f a 0644 rot sys\n")
    (tmp_path / "etc").mkdir()
    write(tmp_path / "etc" / "passwd", "rot:x:1:1:::\n")
    write(tmp_path / "etc" / "group", "sys::3:\n")
    assert run("lint", "-p", tmp_path, source).stdout == "no findings\n"


def test_output_does_not_depend_on_the_hash_seed(project: Path):
    source = project / "tests" / "fixtures" / "manifest" / "slips.manifest"
    outputs = set()
    for seed in ("1", "2"):
        done = imagekit("manifest", "lint", source, cwd=project, env=environment(PYTHONHASHSEED=seed, LC_ALL="C"))
        assert done.returncode == 1
        outputs.add(done.stdout)
    assert len(outputs) == 1
    assert outputs.pop().count("\n") > 20


# fmt

MESSY = (
    "\r\n"
    "#  Copyright\r\n"
    "\r\n\r\n"
    "f\tb/c  755 root   sys\r\n"
    "d b/ 0755 root sys#2\r\n"
    "s b/a=c  #why\r\n"
    "  # section two\r\n"
    "h z=b/c\r\n"
    "d / 0755 root sys\r\n"
    "\r\n"
    "d a 07555 root sys   "
)
NEAT = (
    "#  Copyright\n"
    "\n"
    "d b 0755 root sys#2\n"
    "s b/a=c #why\n"
    "f b/c 0755 root sys\n"
    "# section two\n"
    "d . 0755 root sys\n"
    "h z=b/c\n"
    "\n"
    "d a 7555 root sys\n"
)


def test_fmt_takes_a_file_once_that_is_named_twice(tmp_path: Path):
    source = write(tmp_path / "a", "f  b  644 root sys\n")
    (tmp_path / "link").symlink_to("a")
    assert run("fmt", source, tmp_path / "link").stdout == f"{source}\n{tmp_path}/link\n"
    assert source.read_text() == "f b 0644 root sys\n"
    assert (tmp_path / "link").is_symlink()


def test_fmt_works_in_place(tmp_path: Path):
    source = write(tmp_path / "m", MESSY)
    source.chmod(0o640)
    (tmp_path / "link").symlink_to("m")
    check = run("fmt", "--check", tmp_path / "link")
    assert (check.exit_code, check.stdout, source.read_bytes()) == (1, f"{tmp_path}/link\n", MESSY.encode())
    done = run("fmt", tmp_path / "link")
    assert (done.exit_code, done.stdout, source.read_text()) == (0, f"{tmp_path}/link\n", NEAT)
    assert (tmp_path / "link").is_symlink()
    assert source.stat().st_mode & 0o777 == 0o640
    before = source.stat().st_mtime_ns
    again = run("fmt", tmp_path / "m")
    assert (again.exit_code, again.stdout, source.stat().st_mtime_ns) == (0, "", before)
    assert run("fmt", "--check", source).exit_code == 0


def test_fmt_writes_all_or_nothing(tmp_path: Path):
    good, bad = write(tmp_path / "good", MESSY), write(tmp_path / "bad", "f a\n")
    with pytest.raises(InputError, match="bad:1: found 2 fields"):
        run("fmt", good, bad)
    assert good.read_bytes() == MESSY.encode()
    with pytest.raises(InputError, match="standard input cannot be formatted"):
        run("fmt", "-")


def test_fmt_of_nothing():
    assert formatted("") == formatted("\n\n") == ""
    assert formatted("#x") == "#x\n"


def test_fmt_of_the_real_manifests_says_the_same(shared: Path):
    for path in sorted((shared / "data" / "manifests").iterdir()):
        before = parse(path.read_text(), "m").directives
        text = formatted(path.read_text())
        after = parse(text, "m").directives
        assert formatted(text) == text
        key = lambda one: (one.path, one.properties)  # noqa: E731
        assert sorted(map(key, before)) == sorted(map(key, after))


LINES = st.one_of(
    st.builds(
        "{}{} {}{} {} root  sys{}".format,
        st.sampled_from(["", " ", "\t"]),
        st.sampled_from("df"),
        st.sampled_from("abc."),
        st.sampled_from(["", "/x", "/y/z"]),
        st.sampled_from(["755", "0644", "01777"]),
        st.sampled_from(["", " # why", "\t#  x ", " \r"]),
    ),
    st.builds("{} {}={}".format, st.sampled_from("sh"), st.sampled_from("abc"), st.sampled_from("abc")),
    st.sampled_from(["", "  ", "# comment", "\t#", "#imagekit"]),
)


@given(st.lists(LINES, max_size=20))
@settings(max_examples=200)
def test_fmt_is_idempotent_and_keeps_the_meaning(lines: list[str]):
    text = "\n".join(lines)
    parsed = parse(text, "m")
    if parsed.bad:
        return
    once = format_manifest(parsed)
    assert formatted(once) == once
    again = parse(once, "m")
    assert [one.text for one in again.comments] == [one.text for one in parsed.comments]
    assert {one.path: one.properties for one in again.directives if one.kind == "d"} == {
        one.path: one.properties for one in parsed.directives if one.kind == "d"
    }
    assert sorted((one.path, one.properties, one.comment) for one in again.directives) == sorted(
        (one.path, one.properties, one.comment) for one in parsed.directives
    )


# diff


def test_diff(tmp_path: Path):
    old = write(tmp_path / "old", "f a 0644 root sys\nf b 644 root sys\nf c 0644 root sys\ns l=x\nd k 0755 root sys\n")
    new = write(tmp_path / "new", "f b 0644 root  sys #x\nf c 0600 root bin\ns l=y\nf k 0755 root sys\nh n=b\n")
    result = run("diff", old, new)
    assert result.exit_code == 1
    assert result.stdout.splitlines() == [
        "- a: a file 0644 root:sys",
        "~ c: mode 0644 -> 0600, group sys -> bin",
        "~ k: kind a directory 0755 root:sys -> a file 0755 root:sys",
        "~ l: target x -> y",
        "+ n: a hard link to b",
    ]
    document = json.loads(run("diff", "--json", old, new).stdout)
    assert [one["path"] for one in document] == ["a", "c", "k", "l", "n"]
    assert document[0]["new"] is None
    assert document[3] == {
        "path": "l",
        "old": {"kind": "symbolic link", "target": "x", "file": str(old), "line": 4},
        "new": {"kind": "symbolic link", "target": "y", "file": str(new), "line": 3},
    }
    same = run("diff", old, old)
    assert (same.exit_code, same.stdout) == (0, "")


def test_a_manifest_does_not_differ_from_its_combination(shared: Path, tmp_path: Path):
    folder_ = shared / "data" / "manifests"
    run("combine", folder_, "-o", tmp_path / "manifest.gen")
    assert list(differences(read_manifests([folder_]), read_manifests([tmp_path / "manifest.gen"]))) == []


# ls

LISTED = "d usr 0755 root sys\nf usr/bin/su 4555 root sys\nh usr/bin/doas=usr/bin/su\ns bin=./usr/bin\nh b=bin\n"


def test_ls(tmp_path: Path):
    source = write(tmp_path / "m", LISTED)
    assert run("ls", "-m", source).stdout.splitlines() == [
        "hrwxrwxrwx root root b link to bin",
        "lrwxrwxrwx root root bin -> ./usr/bin",
        "drwxr-xr-x root sys  usr",
    ]
    assert run("ls", "/usr/bin/", "-m", source).stdout.splitlines() == [
        "hr-sr-xr-x root sys usr/bin/doas link to usr/bin/su",
        "-r-sr-xr-x root sys usr/bin/su",
    ]
    assert run("ls", "usr", "-m", source).stdout == "drwxr-xr-x root root usr/bin\n"
    assert run("ls", "usr/bin/su", "-m", source).stdout == "-r-sr-xr-x root sys usr/bin/su\n"
    assert len(run("ls", "-R", "-m", source).stdout.splitlines()) == 6
    (row,) = json.loads(run("ls", "--json", "bin", "-m", source).stdout)
    assert row == {
        "path": "bin", "kind": "symbolic link", "permissions": "lrwxrwxrwx",
        "user": "root", "group": "root", "target": "./usr/bin",
    }  # fmt: skip
    with pytest.raises(InputError, match="nothing at 'usr/bni'") as caught:
        run("ls", "usr/bni", "-m", source)
    assert caught.value.hint == "did you mean usr/bin?"
    assert aligned(listing([], "")) == []


# from-tree


def test_from_tree(tmp_path: Path):
    top = tmp_path / "tree"
    (top / "usr").mkdir(parents=True)
    (top / "usr").chmod(0o2755)
    write(top / "usr" / "su", "x").chmod(0o4555)
    os.link(top / "usr" / "su", top / "usr" / "doas")
    write(top / "a=b#c", "x").chmod(0o600)
    (top / "bin").symlink_to("usr#=x")
    result = run("from-tree", top, "--owner", "adm:sys")
    assert result.stdout.splitlines() == [
        "f a=b#c 0600 adm sys",
        "s bin=usr#=x",
        "d usr 2755 adm sys",
        "f usr/doas 4555 adm sys",
        "h usr/su=usr/doas",
    ]
    assert "root root" in run("from-tree", top).stdout
    run("from-tree", top, "-o", tmp_path / "m")
    assert run("lint", tmp_path / "m").stdout == "no findings\n"
    assert formatted((tmp_path / "m").read_text()) == (tmp_path / "m").read_text()


@pytest.mark.parametrize("owner", ["root", "root:", ":root", "a:b:c", "a b:c", ""])
def test_from_tree_refuses_what_is_no_owner(tmp_path: Path, owner: str):
    result = run("from-tree", tmp_path, "--owner", owner)
    assert result.exit_code == 2
    assert "expected USER:GROUP" in result.stderr


def test_from_tree_names_all_that_a_manifest_cannot_hold(tmp_path: Path):
    for name in ("with space", "with\nline", "#first"):
        write(tmp_path / name, "x")
    (tmp_path / "link=x").symlink_to("y")
    (tmp_path / "l").symlink_to("two words")
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InputError) as caught:
        manifest_of(folder.read(tmp_path, special=True))
    assert str(caught.value).splitlines() == [
        "a manifest cannot hold these:",
        "  /#first: found a path that starts with #, which would start a comment",
        "  /l: found the target 'two words', expected one without white space and control characters",
        "  /link=x: found = in the path of a link, which would end the path",
        "  /pipe: found a special file, expected files, directories and links",
        "  /'with\\nline': found white space or a control character in the path",
        "  /with space: found white space or a control character in the path",
    ]


# the command line itself


@pytest.mark.parametrize("verb", ["combine", "lint", "fmt", "diff", "ls", "from-tree"])
def test_every_command_has_help(verb: str):
    result = run(verb, "--help")
    assert result.exit_code == 0
    assert "Usage:" in result.stdout


def test_the_command_line_is_light():
    program = "import sys, imagekit.cli.manifest, imagekit.cli.verify; print(*sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    heavy = {"construct", "pycdlib", "tqdm", "yaml", "hashlib", "difflib", "concurrent.futures", "imagekit.tree"}
    assert heavy.isdisjoint(done.stdout.split())
