import contextlib
import os
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagekit.content import Bytes
from imagekit.errors import InputError, PlanError
from imagekit.formats import fat, folder, tar, ufs
from imagekit.formats.iso import survey as iso
from imagekit.tree import Directory, File, HardLink, HardLinkError, Symlink, Tree


def sample():
    return Tree.of(
        [
            Directory(path="b"),
            File(path="b/z", content=Bytes(b"1")),
            File(path="b/a", content=Bytes(b"2")),
            Symlink(path="a", target="b/a"),
            HardLink(path="b-link", target="b/a"),
        ]
    )


def test_order_is_that_of_adding_and_sorted_is_by_name():
    assert [entry.path for entry in sample()] == ["", "b", "b/z", "b/a", "a", "b-link"]
    assert [entry.path for entry in sample().sorted()] == ["", "a", "b", "b/a", "b/z", "b-link"]
    assert [entry.name for entry in sample().children("b")] == ["z", "a"]
    assert [entry.path for entry in sample().files()] == ["b/z", "b/a"]


@pytest.mark.parametrize("path", ["/a", "a/", "a//b", ".", "..", "b/../c", "b/./c", "b/x\0y"])
def test_paths_that_leave_or_repeat_are_refused(path):
    with pytest.raises(InputError):
        sample().add(Directory(path=path))


@pytest.mark.parametrize("path", ["b", "nowhere/x", "a/x", "b/z/x"])
def test_an_entry_needs_a_free_place_in_a_directory(path):
    with pytest.raises(InputError):
        sample().add(Directory(path=path))


def test_add_parents_adds_what_is_missing():
    tree = sample()
    tree.add_parents("b/c/d/file", mode=0o700)
    assert [entry.path for entry in tree][-2:] == ["b/c", "b/c/d"]
    assert tree["b/c"].mode == 0o700


def test_directories_may_lie_a_thousand_deep():
    tree = sample()
    tree.add_parents("d/" * 3000 + "file")
    assert len(tree) == len(sample()) + 3000
    tree.remove("d")
    assert [entry.path for entry in tree] == [entry.path for entry in sample()]


def test_replace_keeps_the_place_and_the_kind():
    tree = sample()
    tree.replace(File(path="b/z", content=Bytes(b"new"), mode=0o400))
    assert [entry.path for entry in tree] == [entry.path for entry in sample()]
    assert tree["b/z"].content.read() == b"new"
    with pytest.raises(InputError):
        tree.replace(File(path="b", content=Bytes(b"")))
    tree.replace(Directory(path="", mode=0o700))
    assert tree.root.mode == 0o700


def test_remove_takes_what_is_below():
    tree = sample()
    tree.remove("b")
    assert [entry.path for entry in tree] == ["", "a", "b-link"]
    tree.add(Directory(path="b"))


def test_a_copy_goes_its_own_way():
    tree = sample()
    tree.replace(Directory(path="", mode=0o711))
    copy = tree.copy()
    assert (list(copy), copy.root) == (list(tree), tree.root)
    copy.remove("b")
    copy.replace(File(path="c", content=Bytes(b"3")))
    assert [entry.path for entry in tree] == ["", "b", "b/z", "b/a", "a", "b-link"]


def chain(count, last):
    """Return a tree of hard links, each to the next, the last to `last`."""
    tree = Tree.of([Directory(path="d"), Symlink(path="s", target="x")])
    for index in range(count):
        tree.add(HardLink(path=f"{index}", target=f"{index + 1}" if index < count - 1 else last))
    return tree


def test_an_inode_is_found_over_hard_links():
    tree = sample()
    tree.add(HardLink(path="c", target="b-link"))
    for path in ("b/a", "b-link", "c"):
        assert tree.inode(path) is tree["b/a"]
    assert tree.inode("a") is tree["a"]
    assert tree.inode("") is tree.root
    assert chain(9, "s").inode("0").path == "s"
    with pytest.raises(KeyError):
        tree.inode("nowhere")


@pytest.mark.parametrize(
    ("last", "said"),
    [
        ("none", "a hard link to nothing: /none"),
        ("d", "a hard link to a directory: /d"),
        ("", "a hard link to a directory: /"),
        ("0", "a hard link to itself: /0"),
        ("2", "a hard link to itself: /2"),
    ],
)
def test_hard_links_that_lead_to_no_inode(last, said):
    tree = chain(4, last)
    for path in ("0", "1", "0"):
        with pytest.raises(HardLinkError) as failure:
            tree.inode(path)
        assert str(failure.value) == f"/{path}: {said}"


def test_what_was_found_out_about_links_is_forgotten_when_the_tree_changes():
    tree = chain(3, "late")
    with pytest.raises(HardLinkError):
        tree.inode("0")
    tree.add(File(path="late", content=Bytes(b"1")))
    assert tree.inode("0") is tree["late"]
    tree.replace(File(path="late", content=Bytes(b"2")))
    assert tree.inode("0").content.read() == b"2"
    copy = tree.copy()
    tree.replace(File(path="1", content=Bytes(b"3")))
    assert tree.inode("0") is tree["1"]
    assert copy.inode("0") is copy["late"]
    tree.remove("1")
    with pytest.raises(HardLinkError, match="to nothing: /1"):
        tree.inode("0")


class Counting(dict):
    """A dictionary that counts how often it is looked at."""

    looks = 0

    def get(self, key, default=None):
        self.looks += 1
        return super().get(key, default)


@pytest.mark.parametrize("last", ["s", "none", "d", "0"])
@pytest.mark.parametrize("backwards", [False, True])
def test_chains_are_followed_once(last, backwards):
    tree = chain(2000, last)
    tree._entries = Counting(tree._entries)
    for index in range(2000)[:: -1 if backwards else 1]:
        with contextlib.suppress(HardLinkError):
            tree.inode(f"{index}")
    assert 0 < tree._entries.looks <= 2 * 2000


@pytest.mark.parametrize("last", ["s", "none", "0"])
def test_writers_follow_chains_once(last, tmp_path):
    plans = {
        "tar": tar.plan,
        "ufs": lambda tree: ufs.plan(tree, 4 << 20, time=0),
        "iso": lambda tree: iso.InodeTable(tree).check(),
        "fat": lambda tree: fat.plan(tree, 64 << 20, label="X", volume_id=1),
        "folder": lambda tree: folder.extract(tree, tmp_path / "folder"),
    }
    for name, plan in plans.items():
        tree = chain(2000, last)
        tree._entries = Counting(tree._entries)
        with contextlib.suppress(PlanError):
            plan(tree)
        assert 0 < tree._entries.looks <= 20 * 2000, name


NAMES = ["a", "b", "c", "d"]


@given(
    st.lists(
        st.tuples(
            st.lists(st.sampled_from(NAMES), min_size=1, max_size=3),
            st.sampled_from(["file", "folder", "link", "link", "hard link"]),
            st.lists(st.sampled_from([*NAMES, "..", "..", ".", ""]), min_size=1, max_size=4),
        ),
        max_size=12,
    )
)
def test_links_lead_where_the_kernel_says(made):
    with tempfile.TemporaryDirectory() as name:
        top = Path(name).resolve() / "top"
        top.mkdir()
        for number, (parts, kind, target) in enumerate(made):
            place = top.joinpath(*parts)
            with contextlib.suppress(OSError):  # what is there already, or has no folder
                if kind == "file":
                    place.write_text(str(number))
                elif kind == "folder":
                    place.mkdir()
                elif kind == "link":
                    place.symlink_to("/".join(target).lstrip("/") or ".")
                else:
                    place.hardlink_to(top.joinpath(*target))
        tree = folder.read(top)
        for path in [entry.path for entry in tree] + ["/".join(target) for _, _, target in made]:
            expected = None
            with contextlib.suppress(OSError):
                descriptor = os.open(f"{top}/{path}", os.O_PATH)
                expected = Path(f"/proc/self/fd/{descriptor}").readlink()
                os.close(descriptor)
            found = tree.follow(path)
            if expected is None or not expected.is_relative_to(top):
                assert found is None
            else:
                assert (top / found.path).samefile(expected)


def test_circles_long_targets_and_what_lies_outside_lead_nowhere():
    tree = Tree.of([File(path="f", content=Bytes(b"")), Directory(path="d"), Symlink(path="d/up", target="..")])
    for number in range(50):
        tree.add(Symlink(path=f"l{number}", target=f"l{number + 1}" if number < 49 else "f"))
    for path, target in (("circle", "circle"), ("absolute", "/f"), ("above", "../f"), ("long", "./" * 2049 + "f")):
        tree.add(Symlink(path=path, target=target))
    tree.add(HardLink(path="broken", target="none"))
    assert [path for path in ("circle", "absolute", "above", "long", "broken", "f/.", "..") if tree.follow(path)] == []
    assert tree.follow("l10") == tree["f"]
    assert tree.follow("l9") is None
    assert tree.follow("d/up/d/up/f") == tree["f"]
    assert tree.follow("") == tree.root
