"""index.json: what imagekit wrote is read back; whatever else stands there is refused, and writes nothing."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagekit.boot.kernel_arguments import BootProperty
from imagekit.boot.modules import ModuleRequest
from imagekit.errors import FormatError, PlanError
from imagekit.media import pxe
from imagekit.media.additions import Additions
from imagekit.media.pxe import index as pxe_index
from imagekit.media.pxe.index import parse_catalog
from imagekit.media.sources import SourceRequest
from kit import workspace
from kit.pxe_directory import contents, imagekit, make, platform

NEWER = "20270101T000000Z"


@pytest.fixture(scope="module")
def directory(tmp_path_factory):
    """Return a workspace with a PXE directory that has some of everything; not to be changed."""
    folder = tmp_path_factory.mktemp("index")
    ws = workspace.make(folder / "ws", archive=2000)
    module = folder / "module"
    module.write_text("x")
    make(
        ws,
        None,
        platform(ws, NEWER),
        url="http://10.0.0.5/",
        properties=(BootProperty("a", "b c"),),
        additions=Additions((ModuleRequest(module, "etc/x"),)),
    )
    return ws


@pytest.fixture(scope="module")
def text(directory):
    return (directory / "output-pxe/index.json").read_text()


def test_what_was_written_is_read_back(text):
    assert pxe_index.index_text(parse_catalog(text.encode(), "index.json"), Path()).decode() == text


@pytest.mark.parametrize(
    "change",
    [
        lambda index: index.pop("platforms"),
        lambda index: index.update(format=9),
        lambda index: index.update(layout="other"),
        lambda index: index.update(layout="triton"),
        lambda index: index.update(default=NEWER.replace("2027", "2028")),
        lambda index: index.update(default="../x"),
        lambda index: index.update(console="ttyx"),
        lambda index: index.update(platforms=[]),
        lambda index: index.update(url="http://h/x"),
        lambda index: index.update(url="http://h/\nfilename evil\n/"),
        lambda index: index["platforms"].append(index["platforms"][0]),
        lambda index: index["platforms"][0].update(stamp="../../etc"),
        lambda index: index["platforms"][0]["kernel"].update(path="../../etc/passwd"),
        lambda index: index["platforms"][0]["kernel"].update(path=index["platforms"][1]["kernel"]["path"]),
        lambda index: index["platforms"][0]["kernel"].update(size=-1),
        lambda index: index["platforms"][0]["kernel"].update(size=True),
        lambda index: index["platforms"][0]["kernel"].update(sha256="0" * 63 + "\n"),
        lambda index: index["scripts"][0].update(path="/etc/passwd"),
        lambda index: index["scripts"][0].update(path="smartos.ipxe"),
        lambda index: index["scripts"][0].update(folder="bootfs/../../x"),
        lambda index: index["scripts"][0].update(mac="00:50:56:34:60:4c"),
        lambda index: index["scripts"][0].update(properties=[]),
        lambda index: index["scripts"][0].update(properties={"a": "b\nboot"}),
        lambda index: index["scripts"][0].update(properties={"a": 1}),
        lambda index: index["scripts"][0].update(properties={"a\nb": "c"}),
        lambda index: index["scripts"][0].update(properties={"a": "'b'"}),
        lambda index: index["scripts"][0]["modules"][0].update(name="x y"),
        lambda index: index["scripts"][0]["modules"][0]["file"].update(path="os/x"),
        lambda index: index["scripts"].append(index["scripts"][0]),
        lambda index: index["loader"].append("x"),
        lambda index: index["loader"][0].update(path="mine"),
        lambda index: index["loader"][0].update(path="boot/loader.conf"),
        lambda index: index["loader"][0].update(path="boot/a\nb"),
    ],
)
def test_an_index_that_imagekit_did_not_write(text, change):
    index = json.loads(text)
    change(index)
    with pytest.raises(FormatError, match="not an index that imagekit wrote") as caught:
        parse_catalog(json.dumps(index).encode(), "index.json")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "data", [b"", b"{}", b"[]", b"\xff", b"[" * 100_000, b'{"a":' * 100_000, b"1" * 5000, b"NaN", b'{"format": 1e999}']
)
def test_an_index_that_is_none(data):
    with pytest.raises(FormatError):
        parse_catalog(data, "index.json")


def places(value, path=()):
    """Yield the path of every value in JSON data."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, inner in items:
        yield from places(inner, (*path, key))


def texts(value):
    """Yield every text in JSON data."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield key
            yield from texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from texts(inner)


HOSTILE = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.text(max_size=20),
    st.sampled_from(
        ["http://h/\n", "../../x", "a\nb", "os/x", "boot/\r", "bootfs/00000000", "/", "#", "${x}", "\ud800"]
    ),
    st.just([]),
    st.just({}),
)


@given(data=st.data())
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_any_field_changed_is_refused_or_harmless(text, data):
    """What is taken holds no line breaks: nothing becomes a line of a script, of SHA256SUMS or of a server's file."""
    index = json.loads(text)
    path = data.draw(st.sampled_from(sorted(places(index), key=str)))
    value = data.draw(HOSTILE)
    if path:
        parent = index
        for key in path[:-1]:
            parent = parent[key]
        parent[path[-1]] = value
    else:
        index = value
    try:
        catalog = parse_catalog(json.dumps(index).encode(), "index.json")
    except FormatError:
        return
    for found in texts(catalog.data()):
        assert found.isprintable()


def test_a_long_index(directory, tmp_path, monkeypatch):
    folder = tmp_path / "output-pxe"
    folder.mkdir()
    with (folder / "index.json").open("wb") as file:
        file.truncate(pxe_index.LARGEST + 1)
    done = imagekit("-o", folder, cwd=directory)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.startswith(f"imagekit: {folder}/index.json: not an index that imagekit wrote: it has 4,194,305")
    monkeypatch.setattr(pxe_index, "LARGEST", 100)
    with pytest.raises(PlanError, match=r"index\.json would have [0-9,]+ bytes, 100 are the most"):
        pxe.plan(pxe.PxeRequest(output=tmp_path / "new", sources=(SourceRequest(directory),)))


@pytest.mark.parametrize("kind", ["folder", "fifo"])
def test_an_index_that_is_no_file(directory, tmp_path, kind):
    folder = tmp_path / "output-pxe"
    folder.mkdir()
    place = folder / "index.json"
    if kind == "folder":
        place.mkdir()
    else:
        os.mkfifo(place)
    done = imagekit("-o", folder, cwd=directory)
    assert done.returncode == 1
    assert "expected a regular file" in done.stderr


def test_a_bad_index_changes_nothing(directory, text, tmp_path):
    folder = tmp_path / "output-pxe"
    folder.mkdir()
    (folder / "index.json").write_text(text.replace("http://10.0.0.5/", 'http://10.0.0.5/\\ninclude \\"x\\";/'))
    before = contents(folder)
    done = imagekit("-o", folder, cwd=directory)
    assert done.returncode == 1
    assert "not an index that imagekit wrote: not a URL" in done.stderr
    assert contents(folder) == before
