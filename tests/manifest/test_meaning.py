"""What a manifest says stays the same when it is combined, formatted, or made from a tree and read again."""

from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from imagekit.content import Bytes
from imagekit.errors import InputError
from imagekit.manifest.combine import combine
from imagekit.manifest.difference import differences
from imagekit.manifest.findings import FindingsError
from imagekit.manifest.formatting import format_files, format_manifest
from imagekit.manifest.generate import manifest_of, split_owner
from imagekit.manifest.grammar import Directive, parse
from imagekit.manifest.lint import lint
from imagekit.manifest.listing import listing
from imagekit.manifest.relations import standing
from imagekit.manifest.resolve import resolve
from imagekit.manifest.sources import read_manifests
from imagekit.tree import Directory, Entry, File, HardLink, Symlink, Tree

# Few names, so that lines of one path are frequent; all ways to write one, and some that no image can have.
PATHS = st.sampled_from(
    ["a", "b", "a/b", "a/b/c", "a-b", "a=b", ".", "./a", "a//b", "/a", "..", "a.", "\xa0", "n" * 256]
)
MODES = st.sampled_from(["0755", "755", "0700", "0644", "4755"])
OWNERS = st.sampled_from(["root  sys", "root\tbin"])
ENDS = st.sampled_from(["", " # why", "\t#x", " \r"])
TARGETS = st.sampled_from(["a", "b", "a/b", "../a", "/a", "c=d", "a#b"])
LINES = st.one_of(
    st.builds("{}{} {} {}{}".format, st.sampled_from(["d ", " f\t"]), PATHS, MODES, OWNERS, ENDS),
    st.builds("d {}{} {} {}{}".format, PATHS, st.sampled_from(["/", "//"]), MODES, OWNERS, ENDS),
    st.builds("d {} {} {}".format, st.sampled_from(["/", "//", "./"]), MODES, OWNERS),
    st.builds("{} {}={}{}".format, st.sampled_from("sh"), PATHS, TARGETS, ENDS),
    st.sampled_from(["", "  ", "# comment", "\t#"]),
)
TEXTS = st.lists(LINES, max_size=14).map("\n".join)


def directives_of(*texts: str) -> list[Directive]:
    return [directive for number, text in enumerate(texts) for directive in parse(text, f"m{number}").directives]


def meaning(directives: list[Directive]) -> object:
    """Return all that `manifest ls` shows, and what the root is."""
    root = standing(directives)[0].get("")
    return listing(directives, recursive=True), root and root.properties


@given(st.lists(TEXTS, min_size=1, max_size=3))
@example(["d . 0755 root sys\nf . 0644 root sys"])
@settings(derandomize=True, max_examples=300, deadline=None)
def test_combining_keeps_the_meaning(texts: list[str]):
    before = directives_of(*texts)
    try:
        combined = combine(before)
    except FindingsError:
        assert len({one.key for one in before}) < len({(one.key, one.path) for one in before})
        return
    after = directives_of(combined.text)
    assert meaning(after) == meaning(before)
    possible = standing(before)[0]
    assert [one for one in differences(before, after) if one.path in possible] == []


@given(TEXTS)
@settings(derandomize=True, max_examples=400, deadline=None)
def test_formatting_keeps_the_meaning(text: str):
    parsed = parse("\n".join(line for line in text.split("\n") if not parse(line, "m").bad), "m")
    try:
        formatted = format_manifest(parsed)
    except FindingsError:
        assert any(one.key.endswith("/") for one in parsed.directives)
        return
    after = parse(formatted, "m").directives
    before = [one for one in parsed.directives if one.path or one.name == "."]  # fmt mends `d /`, which cannot be
    assert listing(after, recursive=True) == listing(before, recursive=True)
    assert [one for one in differences(before, after) if one.path] == []
    assert format_manifest(parse(formatted, "m")) == formatted


@given(st.lists(TEXTS, min_size=2, max_size=3))
@settings(derandomize=True, max_examples=60, deadline=None)
def test_formatting_many_files_keeps_their_meaning(tmp_path_factory: pytest.TempPathFactory, texts: list[str]):
    folder = tmp_path_factory.mktemp("many")
    for number, text in enumerate(texts):
        lines = [line for line in text.split("\n") if not parse(line, "m").bad]
        (folder / str(number)).write_bytes("\n".join(lines).encode())
    before = listing(read_manifests([folder]), recursive=True)
    contents = [path.read_bytes() for path in sorted(folder.iterdir())]
    try:
        format_files([folder])
    except FindingsError:
        assert [path.read_bytes() for path in sorted(folder.iterdir())] == contents
    assert listing(read_manifests([folder]), recursive=True) == before


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (["s a=z", "s a=b"], "a -> z"),
        (["s a=b", "s a=z"], "a -> z"),
        (["h a=c", "s a=b", "f c 0644 root sys"], "a link to c"),
        (["f a 0644 root sys", "s a=b"], "a -> b"),
        (["s a=b", "f a 0644 root sys"], "a -> b"),
    ],
)
def test_of_links_the_one_that_is_sorted_last_counts(lines: list[str], expected: str):
    directives = directives_of("\n".join(lines))
    assert listing(directives)[0].name == expected
    assert listing(directives_of(combine(directives).text))[0].name == expected


def test_lines_of_two_paths_that_are_sorted_as_one_are_refused():
    with pytest.raises(FindingsError, match=r"m0:2: M302: a=b and a \(m0:1\) have one second field, a=b: one would"):
        combine(directives_of("s a=b\nf a=b 0644 root sys\n"))
    assert [one.code for one in lint([parse("s a=b\nf a=b 0644 root sys\n", "m")])] == ["M302"]


def test_a_closing_slash_that_decides_is_refused(tmp_path: Path):
    (tmp_path / "a").write_text("d x/ 0755 root sys\n")
    (tmp_path / "b").write_text("d x 0700 root sys\n")
    with pytest.raises(FindingsError) as caught:
        format_files([tmp_path])
    assert str(caught.value) == (
        f"{tmp_path}/b:1: M302: x is a directory 0700 root:sys here, but a directory 0755 root:sys in {tmp_path}/a:1"
    )
    (tmp_path / "b").write_text("d x 755 root sys\n")
    assert len(format_files([tmp_path])) == 2


def test_links_to_two_places_are_refused_as_the_original_builder_refuses_them(tmp_path: Path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc/passwd").write_text("root:x:0:0::/:\n")
    (tmp_path / "etc/group").write_text("root::0:\n")
    for first, second in (("s a=b", "s a=c"), ("h a=etc/b", "h a=etc/c"), ("f a 0644 root root", "s a=b")):
        with pytest.raises(FindingsError, match="M302"):
            resolve(directives_of(f"{first}\n{second}\n"), [tmp_path], mtime=0)
    assert resolve(directives_of("s a=b\ns a=b\n"), [tmp_path], mtime=0).warnings[0].code == "M301"


# from-tree

NAMES = st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=4).filter(
    lambda name: name not in {".", ".."}
)


@st.composite
def trees(draw: st.DrawFn) -> Tree:
    """Draw a tree of odd names: white space, comment signs, equals signs, what lies beyond ASCII."""
    tree = Tree()
    for _ in range(draw(st.integers(0, 6))):
        folders = [entry.path for entry in tree if isinstance(entry, Directory)]
        files = [entry.path for entry in tree.files()]
        folder = draw(st.sampled_from(folders))
        path = f"{folder}/{draw(NAMES)}".lstrip("/")
        if path in tree:
            continue
        mode = draw(st.integers(0, 0o7777))
        kinds: list[Entry] = [
            Directory(path=path, mode=mode),
            File(path=path, mode=mode, content=Bytes(b"")),
            Symlink(path=path, target=draw(NAMES)),
        ]
        if files:
            kinds.append(HardLink(path=path, target=draw(st.sampled_from(files))))
        tree.add(draw(st.sampled_from(kinds)))
    return tree


@given(trees())
@settings(derandomize=True, max_examples=200, deadline=None)
def test_a_tree_comes_back_from_its_manifest(tree: Tree):
    try:
        text = manifest_of(tree, user="me", group="us")
    except InputError:
        return  # said of names that no line can hold: see below
    parsed = parse(text, "m")
    assert parsed.bad == parsed.comments == []
    entries, findings = standing(parsed.directives)
    assert findings == []
    letters = {Directory: "d", File: "f", Symlink: "s", HardLink: "h"}
    expected = {}
    for entry in tree:
        target = entry.target if isinstance(entry, Symlink | HardLink) else ""
        mode = None if target else entry.mode
        expected[entry.path] = (letters[type(entry)], target, mode)
    del expected[""]
    assert {path: (one.kind, one.target, None if one.target else one.mode) for path, one in entries.items()} == expected


def test_what_no_manifest_can_hold():
    deep = "/".join(["d" * 200] * 6)
    tree = Tree()
    tree.add_parents(f"{deep}/x")
    with pytest.raises(InputError, match="too long, expected at most 1023 and 255 bytes"):
        manifest_of(tree)
    for owner in ("#a:b", "a:#b"):
        with pytest.raises(InputError, match="expected USER:GROUP"):
            split_owner(owner)
