"""Combining manifests: the original tools' output, and what is said about lines that do not agree."""

import hashlib
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.errors import InputError
from imagekit.manifest.combine import combine
from imagekit.manifest.findings import FindingsError
from imagekit.manifest.grammar import parse
from imagekit.manifest.sources import manifest_files, read_manifests

# What tools/build_manifest and tools/sorter of smartos-live print for the real manifests.
REAL_ENTRIES = 25_242
REAL_SHA256 = "841a66f58836966d52c6a934c30f1e1e253fcd718d977c20dd00a57f5216fb0d"


def original(folder: Path) -> bytes:
    """Do what build_manifest (the shell's order, lines that start with # dropped) and sorter do."""
    lines: dict[str, str] = {}
    for name in sorted(os.fsencode(path.name) for path in folder.iterdir() if not path.name.startswith(".")):
        for line in (folder / os.fsdecode(name)).read_text(encoding="utf-8").split("\n"):
            if line[:1] == "#":
                continue
            words = line.strip()
            if words and not words.startswith("#"):
                lines[words.split()[1]] = words
    return "".join(lines[key] + "\n" for key in sorted(lines)).encode()


def combined(*texts: str, strict: bool = False):
    parsed = [parse(text, f"m{number}") for number, text in enumerate(texts, 1)]
    assert [one.bad for one in parsed] == [[] for _ in parsed]
    return combine([directive for one in parsed for directive in one.directives], strict=strict)


def test_the_real_manifests(shared: Path):
    folder = shared / "data" / "manifests"
    result = combine(read_manifests([folder]))
    data = result.text.encode()
    assert len(result.directives) == REAL_ENTRIES
    assert hashlib.sha256(data).hexdigest() == REAL_SHA256
    assert data == original(folder)
    assert [(Path(one.file).name, one.line, one.code, one.path) for one in result.findings] == [
        ("illumos-extra.manifest", 494, "M302", "lib/svc/manifest/network"),
        ("illumos.manifest", 1644, "M302", "lib/svc/manifest/network"),
        ("illumos.manifest", 1845, "M301", "lib/svc/method/sshd"),
        ("illumos.manifest", 2866, "M302", "usr/bin/scp"),
        ("illumos.manifest", 11119, "M302", "usr/share/lib"),
        ("live.manifest", 1082, "M301", "etc/ssh/sshd_config"),
        ("live.manifest", 1130, "M302", "usr/share/bhyve"),
    ]


def test_the_original_order_and_text(tmp_path: Path):
    texts = {
        "b.manifest": "d usr 0755 root sys\nf usr/a-b 0644 root bin   # kept  as it is\ns usr.x=y\n",
        "B.manifest": "d usr\t0755 root sys\r\nf usr/\u00e9 0644 root bin\nf usr/\U0001f600 0644 root bin\n",
        "a": "  # comment\n#f hidden 0644 root sys\nh usr/a=usr/a-b\ns usr/a=z",
        ".hidden": "f hidden 0644 root sys\n",
    }
    for name, text in texts.items():
        (tmp_path / name).write_text(text, encoding="utf-8", newline="")
    result = combine(read_manifests([tmp_path]))
    assert result.text.encode() == original(tmp_path)
    assert [path.name for path in manifest_files([tmp_path])] == ["B.manifest", "a", "b.manifest"]
    assert result.text.splitlines()[0] == "d usr 0755 root sys"
    assert "f usr/a-b 0644 root bin   # kept  as it is" in result.text


def test_identical_directories_merge_silently():
    result = combined("d a 0755 root sys\n", "d  a\t0755 root sys # again\nd a/ 755 root sys\n")
    assert result.findings == ()
    assert [one.text for one in result.directives] == ["d  a\t0755 root sys # again", "d a/ 755 root sys"]


def test_the_last_line_stands_with_a_warning():
    result = combined(
        "f a 0644 root sys\nd b 0755 root sys\n", "f a 0600 root sys\nd b 0555 root sys\nf a 0600 root sys"
    )
    assert result.text == "f a 0600 root sys\nd b 0555 root sys\n"
    assert [str(one) for one in result.findings] == [
        "m2:1: M302 error: a is a file 0600 root:sys here, but a file 0644 root:sys in m1:1",
        "m2:2: M302 error: b is a directory 0555 root:sys here, but a directory 0755 root:sys in m1:2",
        "m2:3: M301 warning: a is in m2:1 already, with the same properties",
    ]


def test_two_kinds_at_one_path():
    result = combined("f a 0644 root sys\ns a=b\nh c=a\ns c=a\n")
    assert len(result.directives) == 3, "the sorter tells links by path and target, not by kind"
    assert [str(one) for one in result.findings] == [
        "m1:2: M302 error: a is a symbolic link to b here, but a file 0644 root:sys in m1:1",
        "m1:4: M302 error: c is a symbolic link to a here, but a hard link to a in m1:3",
    ]


def test_strict_lists_all_conflicts():
    with pytest.raises(FindingsError) as caught:
        combined(
            "f a 0644 root sys\nd b 0755 root sys\nf c 0644 root sys",
            "s a=b\nd b 0555 root sys\nf c 0644 root sys",
            strict=True,
        )
    assert [one.path for one in caught.value.findings] == ["a", "b"]
    assert "manifests contradict each other: 2 problems\n  m2:1: M302: a is" in str(caught.value)
    assert "\n  m2:2: M302: b is" in str(caught.value)
    duplicates = combined("f c 0644 root sys", "f c 0644 root sys", strict=True)
    assert [one.code for one in duplicates.findings] == ["M301"]


def test_bad_lines_of_all_files_are_reported_together(tmp_path: Path):
    (tmp_path / "a").write_text("f a\nd b 0755 root sys\n")
    (tmp_path / "b").write_text("s a b c\n")
    with pytest.raises(InputError) as caught:
        read_manifests([tmp_path / "b", tmp_path])
    found = str(caught.value)
    assert f"{tmp_path}/a:1: found 2 fields, expected 5" in found
    assert found.count(f"{tmp_path}/b:1: found 4 fields, expected 2") == 2


def test_what_cannot_be_read(tmp_path: Path):
    with pytest.raises(InputError, match="cannot read the manifest: No such file"):
        read_manifests([tmp_path / "none"])
    with pytest.raises(InputError, match="no manifest is in this folder"):
        read_manifests([tmp_path])
    (tmp_path / "inner").mkdir()
    with pytest.raises(InputError, match="found a folder among the manifests: inner"):
        read_manifests([tmp_path])


MODES = st.sampled_from(["0755", "0644", "755"])
NAMES = st.sampled_from(["a", "b", "a/b", "c", "a-b", "\u00e9"])
TEXTS = st.lists(
    st.one_of(
        st.builds("d {} {} root sys".format, NAMES, MODES),
        st.builds("f {} {} root  sys # x".format, NAMES, MODES),
        st.builds("{} {}={}".format, st.sampled_from("sh"), NAMES, NAMES),
        st.just("# comment"),
        st.just(""),
    ),
    max_size=15,
).map("\n".join)


@given(TEXTS, TEXTS)
@settings(max_examples=150)
def test_combining_twice_changes_nothing(first: str, second: str):
    once = combined(first, second)
    again = combined(once.text)
    assert again.text == once.text
    keys = [one.key for one in once.directives]
    assert keys == sorted(set(keys))
    assert {one.key for one in parse(f"{first}\n{second}", "m").directives} == set(keys)


@given(TEXTS)
@settings(max_examples=100)
def test_any_folder_is_combined_as_the_original_does(tmp_path_factory: pytest.TempPathFactory, text: str):
    folder = tmp_path_factory.mktemp("any")
    (folder / "m").write_text(text, encoding="utf-8")
    assert combined(text).text.encode() == original(folder)
