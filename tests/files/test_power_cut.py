"""Outputs on a disk that loses what was not synced: at every moment each is the old one or the new one, complete."""

import sys

import pytest

from imagekit import disk
from imagekit.files.output import Outputs
from kit.recorder import Recorder

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks at /proc")

OLD, NEW = b"old" * 1000, b"new" * 2000


def make(top, text):
    with Outputs() as outputs:
        outputs.file(top / "image").write(text)
        outputs.file(top / "made/deep/map").write(text)
        folder = outputs.folder(top / "folder")
        for name in ("a", "b/c/d"):
            folder.file(name).write(text)
        (folder.place / "b/laid").write_bytes(text)  # by whoever fills the folder without Outputs
        outputs.link(top / "latest", text[:3].decode())


@pytest.fixture(params=["exchange", "two renames"])
def way(request, monkeypatch):
    if request.param == "two renames":
        monkeypatch.setattr(disk, "exchange", lambda *_: False)
    return request.param


@pytest.mark.parametrize("before", ["nothing", "old"])
def test_a_power_cut_leaves_old_or_new(tmp_path, monkeypatch, way, before):
    if before == "old":
        make(tmp_path, OLD)
    recorder = Recorder(monkeypatch, tmp_path)
    make(tmp_path, NEW)
    monkeypatch.undo()
    assert len(recorder.states) > 20
    inside = {f"folder/{name}" for name in ("a", "b/c/d", "b/laid")}
    for state in recorder.states:
        for name in ("image", "made/deep/map"):
            assert state.get(name) in ({OLD, NEW} if before == "old" else {None, NEW}), name
        assert state.get("latest") in ({"old", "new"} if before == "old" else {None, "new"})
        found = {name: data for name, data in state.items() if name.startswith("folder/")}
        whole = [dict.fromkeys(inside, OLD), dict.fromkeys(inside, NEW)]
        # Where two folders cannot be exchanged, there is a moment without either; the next run puts the old one back.
        gone = {
            name.split("/", 1)[1]: data
            for name, data in state.items()
            if name.startswith(".folder.") and ".old/" in name
        }
        is_aside = way == "two renames" and not found and {f"folder/{name}" for name in gone} == inside
        assert found in whole or (before == "nothing" and not found) or is_aside
    assert recorder.states[-1] == {**dict.fromkeys({"image", "made/deep/map", *inside}, NEW), "latest": "new"}


def test_all_is_synced_before_it_gets_its_name_and_the_names_after(tmp_path, monkeypatch):
    recorder = Recorder(monkeypatch, tmp_path)
    make(tmp_path, NEW)
    monkeypatch.undo()
    calls = recorder.calls
    named = {call[2]: number for number, call in enumerate(calls) if call[0] in {"rename", "replace"}}
    synced = {}
    for number, call in enumerate(calls):
        if call[0] == "fsync":
            synced.setdefault(call[1], []).append(number)
    first = min(named[name] for name in ("image", "made/deep/map", "folder", "latest"))
    partial = next(call[1] for call in calls if call[0] == "replace" and call[2] == "folder")
    for call in calls:
        if call[0] == "replace" and call[2] in {"image", "made/deep/map"}:
            assert min(synced[call[1]]) < first
    for inner in ("", "/b", "/b/c", "/b/laid"):
        assert min(synced[f"{partial}{inner}"]) < named["folder"]
    last = max(named[name] for name in ("image", "made/deep/map", "folder", "latest"))
    for folder in (".", "made", "made/deep"):
        assert max(synced[folder]) > last
