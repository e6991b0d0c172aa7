"""Boot modules: what is named, what is refused, and how the loader learns of them."""

import hashlib
import re

import pytest

from imagekit.boot.console import Console
from imagekit.boot.loader_conf import loader_conf
from imagekit.boot.modules import ModuleRequest, loader_variables, read_modules
from imagekit.errors import InputError
from kit.loader_model import Loader


def request(path, name):
    return ModuleRequest.parse(f"{path}:{name}")


def test_names(tmp_path):
    odd = tmp_path / "a:b"
    odd.write_bytes(b"x")
    assert ModuleRequest.parse(str(odd)) == ModuleRequest(odd, "a:b")
    assert ModuleRequest.parse(f"{odd}:c") == ModuleRequest(odd, "c")
    assert ModuleRequest.parse("files/system") == ModuleRequest.parse("files/system:system")
    assert ModuleRequest.parse("system:/etc/system").name == "etc/system"


def test_content_and_hash(tmp_path):
    data = bytes(range(256)) * 5000
    (tmp_path / "f").write_bytes(data)
    (module,) = read_modules([request(tmp_path / "f", "etc/f")])
    assert (module.name, module.content.read()) == ("etc/f", data)
    assert module.hash_content.read() == hashlib.sha1(data).hexdigest().encode() + b"\n"
    assert module.hash_content.size == 41


@pytest.mark.parametrize(
    "name", ["", "..", "a/../b", "a//b", "a b", "a\tb", "ä", "a=b", "ramdisk", "boot_archive", "x.hash", "a/", "${x}"]
)
def test_names_that_are_refused(tmp_path, name):
    (tmp_path / "f").write_bytes(b"x")
    with pytest.raises(InputError, match=r"is no name for a module|is taken by"):
        read_modules([request(tmp_path / "f", name)])


def test_all_problems_are_reported_together(tmp_path):
    (tmp_path / "empty").touch()
    (tmp_path / "f").write_bytes(b"x")
    (tmp_path / "large").touch()
    with (tmp_path / "large").open("r+b") as file:
        file.truncate((1 << 30) + 1)
    named = ["missing:a", "empty:b", ".:c", "f:d", "f:d", "f:d/e", "large:g"]
    with pytest.raises(InputError, match="these cannot be boot modules") as caught:
        read_modules([ModuleRequest.parse(f"{tmp_path}/{text}") for text in named])
    lines = str(caught.value).split("\n  ")[1:]
    words = ["no such file", "empty", "no regular file", "clashes", "clashes", "1,073,741,825 bytes"]
    assert len(lines) == len(words)
    for line, word in zip(lines, words, strict=True):
        assert word in line


def test_the_loader_reads_what_is_written_for_it():
    names = ["answers.json", "etc/system", "etc_system", "1.conf", "x" * 100 + "1", "x" * 100 + "2"]
    loader = Loader()
    loader.load("loader.conf", loader_conf(Console("ttya"), loader_variables(names, "boot/bootfs")))
    assert loader.errors == []
    variables = loader.modules
    loaded = [variable.removesuffix("_load") for variable, value in variables.items() if variable.endswith("_load")]
    assert len(loaded) == 2 * len(names)
    for prefix, name in zip(loaded[::2], names, strict=True):
        assert re.fullmatch(r"[A-Za-z][A-Za-z0-9_]*", prefix)
        for variable, kind, suffix in ((prefix, "file", ""), (f"{prefix}.hash", "hash", ".hash")):
            assert variables[f"{variable}_load"] == "YES"
            assert variables[f"{variable}_type"] == kind
            assert variables[f"{variable}_name"] == f"/boot/bootfs/{name}{suffix}"
            assert variables[f"{variable}_flags"] == f"name={name}"
