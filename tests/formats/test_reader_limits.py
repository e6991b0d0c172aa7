"""What an image may make its reader hold in memory: a sparse or a compressed one can claim anything."""

import struct

import pytest

from imagekit import tree as model
from imagekit.content import Bytes, Composite, Slice
from imagekit.errors import FormatError
from imagekit.formats import fat, iso, lofi, ufs
from imagekit.tree import Directory, File, Tree


def sample():
    tree = Tree.of([Directory(path="d")])
    for index in range(60):
        tree.add(File(path=f"d/{index:030}", content=Bytes(b"x")))
    return tree


IMAGES = {
    "ufs": lambda tree: ufs.plan(tree, 1 << 20, time=0, bytes_per_inode=4096).content("x"),
    "fat": lambda tree: fat.plan(tree, 64 << 20, label="X", volume_id=1).content("x"),
    "iso": lambda tree: iso.plan(tree, time=0, volume_id="X").content(),
}
READERS = {"ufs": ufs.read, "fat": fat.read, "iso": iso.read}


@pytest.mark.parametrize("kind", IMAGES)
@pytest.mark.parametrize(
    ("limit", "most", "said"),
    [("MOST_ENTRIES", 50, "more than 50 entries"), ("MOST_TEXT", 1000, "more than 1,000 characters in its paths")],
)
def test_trees_larger_than_real_ones(monkeypatch, kind, limit, most, said):
    image = IMAGES[kind](sample())
    image = Slice(image, 0, image.size, "x")
    assert len(READERS[kind](image)) >= 61
    monkeypatch.setattr(model, limit, most)
    with pytest.raises(FormatError) as failure:
        READERS[kind](image)
    assert str(failure.value) == f"x: {said} are not credible"


def test_what_is_replaced_or_removed_counts_no_more(monkeypatch):
    monkeypatch.setattr(model, "MOST_TEXT", 100)
    monkeypatch.setattr(model, "MOST_ENTRIES", 4)
    tree = Tree.of([Directory(path="d"), Directory(path="d/" + "n" * 60), File(path="x", content=Bytes(b""))])
    for _ in range(9):
        tree.replace(File(path="x", content=Bytes(b""), user="u" * 30))
        tree.replace(File(path="x", content=Bytes(b"")))
    for limit in ("a" * 40, "b"):
        with pytest.raises(model.TreeTooLargeError):
            tree.add(Directory(path=limit))
    copy = tree.copy()
    with pytest.raises(model.TreeTooLargeError, match="100 characters"):
        copy.replace(File(path="x", content=Bytes(b""), user="u" * 37))
    copy.remove("d")
    copy.add(Directory(path="a" * 95))


def test_index_of_a_lofi_file_without_end():
    head = struct.pack(">36s3I", b"gzip", 131072, 0xFFFFFFFF, 131072)
    with pytest.raises(FormatError, match="an index of 4,294,967,295 entries is not credible"):
        lofi.Lofi(Composite(1 << 36, [(0, Bytes(head))], "x.lgz"))


def test_directory_without_end_in_a_sparse_ufs():
    tree = Tree.of([Directory(path="d")])
    plan = ufs.plan(tree, 1 << 30, time=0, bytes_per_inode=1 << 20)
    image, g = plan.content("x.ufs"), plan.geometry
    at = g.iblkno * g.fsize + plan.placement.numbers["d"] * 128 + 8
    pieces = [
        (0, Slice(image, 0, at)),
        (at, Bytes(struct.pack("<Q", 1 << 27))),
        (at + 8, Slice(image, at + 8, 1 << 20)),
    ]
    with pytest.raises(FormatError, match="a directory of 134,217,728 bytes is not credible"):
        ufs.read(Composite(image.size, pieces, "x.ufs"))
