"""Hybrid ISO images as the programs see them that know discs and disks."""

import json
import subprocess

import pytest

from imagekit.boot.console import Console
from imagekit.media import iso
from imagekit.media.sources import SourceRequest
from kit import workspace


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    top = workspace.make(tmp_path_factory.mktemp("hybrid") / "ws")
    output = top / "hybrid.iso"
    iso.plan(iso.IsoRequest(SourceRequest(top), Console.parse("text"), output, hybrid=True)).write()
    return output


def run(*command):
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    return done.stdout + done.stderr


def test_sgdisk_finds_nothing_to_say(need, image):
    need("sgdisk")
    said = run("sgdisk", "-v", image)
    assert "No problems found" in said
    assert not [line for line in said.splitlines() if line.startswith(("Warning", "Caution", "Problem"))]


def test_fdisk_and_xorriso_agree_on_the_partitions(need, image):
    need("sfdisk", "xorriso")
    assert "No errors detected" in run("sfdisk", "--verify", image)
    table = json.loads(run("sfdisk", "-J", image))["partitiontable"]
    found = {part["name"]: (part["start"], part["size"]) for part in table["partitions"]}
    said = run("xorriso", "-indev", image, "-report_system_area", "plain")
    assert "problem" not in said.lower()
    assert "MBR protective-msdos-label" in said
    paths = [line.split()[-1] for line in said.splitlines() if line.startswith("GPT partition path")]
    places = [line.split()[-2:] for line in said.splitlines() if line.startswith("GPT start and size")]
    assert dict(zip(paths, places, strict=True)) == {
        path: list(map(str, found[name])) for path, name in (("/boot/efiboot.img", "loader"), ("/boot/isoboot", "boot"))
    }


def test_xorriso_finds_both_boot_programs_of_the_disc(need, image):
    need("xorriso")
    said = run("xorriso", "-indev", image, "-report_el_torito", "plain")
    assert [line.split()[6] for line in said.splitlines() if line.startswith("El Torito boot img :")] == [
        "BIOS",
        "UEFI",
    ]
