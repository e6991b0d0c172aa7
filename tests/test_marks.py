"""Byte order marks and markers of a merge are named as such in every text file that imagekit reads."""

from pathlib import Path

import pytest

from imagekit.boot.answers import check_answers
from imagekit.config import read_config
from imagekit.errors import ImagekitError
from imagekit.manifest.accounts import read_accounts
from imagekit.manifest.sources import read_manifests
from imagekit.marks import first_mark, mark_at
from imagekit.media.pxe.index import parse_catalog
from imagekit.platform.build_env import platform_password
from imagekit.platform.request import proto_stamp

MARKS = [
    (b"\xef\xbb\xbf", "a byte order mark (save the file as plain UTF-8)"),
    (b"\xff\xfe", "UTF-16 (save the file as plain UTF-8)"),
    (b"<<<<<<< HEAD\n", "<<<<<<<, a marker of an unfinished merge"),
    (b"||||||| 2cf5002\r\n", "|||||||, a marker of an unfinished merge"),
    (b"=======\n", "=======, a marker of an unfinished merge"),
    (b">>>>>>> 2cf5002 (Keep)\n", ">>>>>>>, a marker of an unfinished merge"),
]


def read_passwd(path: Path):
    other = path.with_name("group")
    other.write_text("root::0:\n")
    return read_accounts([path.parents[1]])


def read_group(path: Path):
    path.with_name("passwd").write_text("root:x:0:0::/:\n")
    return read_accounts([path.parents[1]])


READERS = {
    "m.manifest": (b"f a 0644 root sys\n", lambda path: read_manifests([path])),
    "etc/passwd": (b"root:x:0:0::/:\n", read_passwd),
    "etc/group": (b"root::0:\n", read_group),
    "answers.json": (b"{\n}\n", lambda path: check_answers(path.read_bytes(), str(path))),
    "index.json": (b"{\n}\n", lambda path: parse_catalog(path.read_bytes(), str(path))),
    "build.env": (b"A=b\n", lambda path: platform_password(path.parent)),
    "buildstamp": (b"20261122T000000Z\n", lambda path: proto_stamp([path.parent])),
    "imagekit.yaml": (b"platform:\n  complete: []\n", lambda path: read_config(path, ())),
}


@pytest.mark.parametrize("name", READERS)
@pytest.mark.parametrize(("mark", "says"), MARKS)
def test_every_reader_names_them(tmp_path: Path, name: str, mark: bytes, says: str):
    text, read = READERS[name]
    if name == "imagekit.yaml" and b"<" not in mark and b"=" not in mark and b">" not in mark and b"|" not in mark:
        pytest.skip("YAML allows byte order marks, UTF-16 too")
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(mark + text)
    with pytest.raises(ImagekitError) as caught:
        read(path)
    assert says in str(caught.value)
    assert f"{path}:1:" in str(caught.value) or (name == "index.json" and "line 1 " in str(caught.value))


@pytest.mark.parametrize("name", READERS)
def test_the_line_of_a_marker_is_named(tmp_path: Path, name: str):
    text, read = READERS[name]
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(text + b"<<<<<<< HEAD\n" + text)
    number = text.count(b"\n") + 1
    with pytest.raises(ImagekitError) as caught:
        read(path)
    assert f":{number}:" in str(caught.value) or f"line {number} " in str(caught.value)


def test_a_configuration_may_have_a_byte_order_mark(tmp_path: Path):
    path = tmp_path / "imagekit.yaml"
    for encoding in ("utf-8-sig", "utf-16"):
        path.write_text("platform:\n  complete: [usr]\n", encoding)
        assert read_config(path, ()).complete == ("usr",)


@pytest.mark.parametrize("line", ["<<<<<<", "<<<<<<<<", "=======x", " =======", "a =======", "", "<<<<<<<\t"])
def test_what_is_no_mark(line: str):
    assert mark_at(line) is None
    assert first_mark(line.encode()) is None
