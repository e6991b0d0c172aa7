import pytest

from imagekit.content import Bytes
from imagekit.errors import InputError
from imagekit.tree import Directory, File, HardLink, Symlink, Tree


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
