"""A manifest that is older than what it was made of is named, and what gitstatus.json leaves out; /etc/release."""

import os
from pathlib import Path

import pytest

from imagekit.clock import Stamp
from imagekit.manifest.sources import outdated
from imagekit.platform.versions import git_status, release_text


@pytest.mark.parametrize(
    ("generated", "source"),
    [
        ("manifest.gen", "manifest.d/illumos.manifest"),
        ("manifest.gen", "src/manifest"),
        ("manifest.gen", "projects/local/kbmd/manifest"),
        ("boot.manifest.gen", "boot.manifest.d/illumos.manifest"),
        ("boot.manifest.gen", "projects/illumos/boot.manifest"),
    ],
)
def test_a_manifest_that_is_older_than_its_source(tmp_path: Path, generated: str, source: str):
    made, of = tmp_path / generated, tmp_path / source
    of.parent.mkdir(parents=True)
    for path in (made, of):
        path.write_text("")
        os.utime(path, ns=(10**18, 10**18))
    assert list(outdated([made])) == []
    os.utime(of, ns=(10**18, 10**18 + 1))
    assert list(outdated([made])) == [f"{made} is older than {of}: run `gmake manifest`"]
    assert list(outdated([of, tmp_path / "none"])) == []


def test_a_repository_that_the_git_state_leaves_out_is_named(tmp_path: Path):
    (tmp_path / "projects/illumos").mkdir(parents=True)
    (tmp_path / "projects/other/.git").mkdir(parents=True)
    left_out = [one.brief for one in git_status(tmp_path, 0)[1] if "leaves out" in one.message]
    assert left_out == [
        f"{tmp_path}/projects/illumos-extra: M413: gitstatus.json leaves out this repository: it is not here",
        (
            f"{tmp_path}/projects/other: M413: gitstatus.json leaves out this repository: "
            "only illumos, illumos-extra and those in local are looked at"
        ),
    ]


def test_the_release_file_has_the_lines_of_the_original():
    assert release_text(Stamp("20261122T000000Z"), "[]\n", 1_795_305_600) == (
        "                     SmartOS 20261122T000000Z x86_64\n"
        "                    Copyright 2026 Edgecast Cloud LLC.\n"
        "\n"
        "  Built with the following components:\n"
        "\n"
        "[]\n"
    )
