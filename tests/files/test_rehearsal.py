"""A dry run finds what would keep the outputs from being made, as the run itself does, and makes nothing."""

import os
from types import SimpleNamespace

import pytest

from imagekit.content import BLOCK_SIZE, Bytes, Composite, DiskFile
from imagekit.errors import OutputError
from imagekit.files.output import Outputs
from imagekit.files.rehearsal import Rehearsal


def plain(path):
    path.mkdir()


def fifo(path):
    os.mkfifo(path)


def loop(path):
    path.symlink_to(path.name)


def file(path):
    path.write_bytes(b"")


def said(act):
    with pytest.raises(OutputError) as caught:
        act()
    return str(caught.value), caught.value.hint


WAYS = {
    "file": lambda outputs, path: outputs.file(path),
    "folder": lambda outputs, path: outputs.folder(path),
    "link": lambda outputs, path: outputs.link(path, "x") if isinstance(outputs, Outputs) else outputs.link(path),
}


@pytest.mark.parametrize(
    ("way", "make", "place"),
    [
        ("file", plain, "x"),
        ("file", fifo, "x"),
        ("file", loop, "x"),
        ("file", file, "x/deep/y"),
        ("file", None, "n" * 256),
        ("file", None, "new/" + "n" * 256 + "/y"),
        ("file", None, "d/" * 2100 + "y"),
        ("folder", file, "x"),
        ("folder", fifo, "x"),
        ("folder", file, "x/y"),
        ("folder", None, "n" * 256),
        ("link", file, "x"),
        ("link", plain, "x"),
    ],
)
def test_a_rehearsal_says_what_the_run_would_say(tmp_path, way, make, place):
    if make:
        make(tmp_path / "x")
    before = sorted(tmp_path.rglob("*"))

    def run():
        with Outputs() as outputs:
            WAYS[way](outputs, tmp_path / place)

    assert said(lambda: WAYS[way](Rehearsal(), tmp_path / place)) == said(run)
    assert sorted(tmp_path.rglob("*")) == before


def test_outputs_in_each_others_way(tmp_path):
    for first, second, ways in (("a", "a", "file file"), ("a", "a/b", "folder file"), ("a/b", "a", "file folder")):

        def twice(outputs, first=first, second=second, ways=ways):
            one, two = ways.split()
            WAYS[one](outputs, tmp_path / first)
            WAYS[two](outputs, tmp_path / second)

        def run(twice=twice):
            with Outputs() as outputs:
                twice(outputs)

        assert said(lambda twice=twice: twice(Rehearsal())) == said(run)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_made(tmp_path):
    rehearsal = Rehearsal()
    for way, take in WAYS.items():
        take(rehearsal, tmp_path / "new" / way)
    rehearsal.check_space()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("free", "fits"), [(3 << 20, True), ((3 << 20) - 4096, False)])
def test_only_what_is_not_zero_needs_space(tmp_path, monkeypatch, free, fits):
    """3 MiB of data in an image of 1 GiB, beside zeros that stand written in their source."""
    (tmp_path / "zeros").write_bytes(bytes(8 << 20))
    data = Bytes(b"x" * BLOCK_SIZE)
    pieces = [(512 << 20, data), (600 << 20, data), (100 << 20, DiskFile(tmp_path / "zeros"))]
    rehearsal = Rehearsal()
    rehearsal.file(tmp_path / "one", Composite(1 << 30, pieces))
    rehearsal.file(tmp_path / "two", Composite(1 << 20, [(0, data)]))
    rehearsal.file(tmp_path / "compressed")
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(f_bavail=free // 4096, f_frsize=4096))
    if fits:
        rehearsal.check_space()
        return
    assert said(rehearsal.check_space) == (
        f"{tmp_path}/one: no space left: 3,141,632 bytes are free in {tmp_path}, 3,145,728 will be written",
        "free some space, or write elsewhere",
    )
