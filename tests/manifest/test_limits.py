"""Manifests and lines of them that are too long are refused."""

from pathlib import Path

import pytest

from imagekit.errors import InputError
from imagekit.manifest import sources
from imagekit.manifest.grammar import LONGEST_LINE, parse


def test_a_line_has_a_limit():
    comment = "#" + "x" * (LONGEST_LINE - 1)
    assert parse(f"{comment}\n", "m").bad == []
    (bad,) = parse(f"f a 0644 root sys\n{comment}x\n", "m").bad
    assert (bad.where, bad.what) == ("m:2", "found a line of 65,537 characters, expected at most 65,536")


def test_a_manifest_has_a_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sources, "LARGEST", 10)
    path = tmp_path / "m"
    path.write_text("#" * 10)
    assert sources.read_manifests([path]) == []
    path.write_text("#" * 11)
    with pytest.raises(InputError, match="not a manifest: it has more than 10 bytes") as caught:
        sources.read_manifests([path])
    assert caught.value.where == str(path)
