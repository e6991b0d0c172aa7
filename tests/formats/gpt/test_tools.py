"""GUID partition tables as gdisk, sfdisk and fdisk see them."""

import json
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from imagekit.content import DiskFile, write_sparse
from imagekit.files.output import Outputs
from imagekit.formats import gpt
from imagekit.formats.gpt import GptPlan, Partition

SIZE = 1_940_000_256
DISK = uuid.UUID("5ac0ffee-0000-5000-8000-0123456789ab")
LAST = gpt.last_usable(SIZE)
PARTITIONS = [
    (0, "loader", gpt.EFI_SYSTEM, 2048, 524288),
    (1, "boot", gpt.ILLUMOS_BOOT, 526336, 2048),
    (2, "root", gpt.ILLUMOS_ROOT, 528384, 3244032),
    (8, "reserved", gpt.ILLUMOS_RESERVED, LAST - 16383, 16384),
]


def run(*command: str | Path) -> str:
    done = subprocess.run(
        command, capture_output=True, text=True, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}, check=False
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout + done.stderr


@pytest.fixture(params=[9, 128])
def usb(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    plan = GptPlan(
        size=SIZE,
        disk_guid=DISK,
        entry_count=request.param,
        partitions=[
            Partition(
                index=index, name=name, type_guid=kind, guid=uuid.uuid5(DISK, name), first_lba=first, sectors=size
            )
            for index, name, kind, first, size in PARTITIONS
        ],
    )
    path = tmp_path / "disk.usb"
    with Outputs() as outputs:
        write_sparse(plan.content(), outputs.file(path))
    return path


def test_sgdisk_finds_no_problem(need: Callable[..., None], usb: Path) -> None:
    need("sgdisk")
    said = run("sgdisk", "-v", usb)
    assert "No problems found" in said
    assert "Problem:" not in said
    # What sgdisk calls unusual about libefi's 9 entries in the room of 128, and nothing else.
    found = [line for line in said.splitlines() if line.startswith("Warning")]
    unusual = ["There is a gap between the main partition table", "The size of the partition table (1152 bytes)"]
    expected = unusual if gpt.read(DiskFile(usb)).entry_count == 9 else []
    assert len(found) == len(expected)
    assert all(line.startswith(f"Warning: {text}") for line, text in zip(found, expected, strict=True))
    said = run("sgdisk", "-i", "9", usb)
    assert f"Partition unique GUID: {str(uuid.uuid5(DISK, 'reserved')).upper()}" in said
    assert "Partition name: 'reserved'" in said


def test_sfdisk_lists_what_was_planned(need: Callable[..., None], usb: Path) -> None:
    need("sfdisk")
    assert "No errors detected" in run("sfdisk", "--verify", usb)
    table = json.loads(run("sfdisk", "-J", usb))["partitiontable"]
    assert (table["label"], table["id"]) == ("gpt", str(DISK).upper())
    assert (table["firstlba"], table["lastlba"]) == (34, LAST)
    assert [
        (int(found["node"].removeprefix(str(usb))) - 1, found["name"], found["type"], found["start"], found["size"])
        for found in table["partitions"]
    ] == [(index, name, str(kind).upper(), first, size) for index, name, kind, first, size in PARTITIONS]


def test_fdisk_has_nothing_to_say(need: Callable[..., None], usb: Path) -> None:
    need("fdisk")
    said = run("fdisk", "-l", usb)
    assert "Disklabel type: gpt" in said
    assert not [line for line in said.splitlines() if "corrupt" in line or "mismatch" in line or "overlap" in line]


def test_reads_what_sgdisk_writes(need: Callable[..., None], tmp_path: Path) -> None:
    need("sgdisk")
    path = tmp_path / "other.img"
    with path.open("wb") as file:
        file.truncate(64 << 20)
    run("sgdisk", "-a", "1", "-n", "1:2048:+1M", "-c", "1:one", "-t", "1:ef00", "-n", "4:0:0", "-A", "4:set:2", path)
    found = gpt.read(DiskFile(path))
    assert found.notes == ()
    assert found.entry_count == 128
    assert [(p.index, p.name, p.sectors, p.attributes) for p in found.partitions] == [
        (0, "one", 2048, 0),
        (3, "", (64 << 11) - 33 - 4096, 4),
    ]
    assert found.partitions[0].type_guid == gpt.EFI_SYSTEM
    run("sgdisk", "--zap", path)
    run("sgdisk", "-n", "1:2048:+1M", "-h", "1:EE", path)
    assert "hybrid" in gpt.read(DiskFile(path)).notes[0]
