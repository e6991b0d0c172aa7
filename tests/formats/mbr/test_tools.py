"""Master boot records and compressed images that other programs made."""

import subprocess

import pytest

from imagekit.content import DiskFile
from imagekit.formats import table
from imagekit.formats.compressed import streams

SECTORS = 200_000


def run(*command, **more):
    return subprocess.run(list(map(str, command)), check=True, capture_output=True, **more)


@pytest.fixture
def stick(tmp_path, need):
    """Return a stick as SmartOS's were before 2019: a FAT32 partition of type 0x0c at sector 600, active."""
    need("sfdisk", "mkfs.fat", "mcopy", "mmd")
    path = tmp_path / "stick.usb"
    with path.open("wb") as file:
        file.truncate((SECTORS + 4600) * 512)
    run("sfdisk", path, input=f"label: dos\nstart=600, size={SECTORS}, type=c, bootable\n".encode())
    run("mkfs.fat", "-F", "32", "-s", "1", "-h", "600", "--offset", "600", path, SECTORS // 2)
    menu = tmp_path / "menu.lst"
    menu.write_text("default=0\n")
    run("mmd", "-i", f"{path}@@307200", "::boot", "::boot/grub")
    run("mcopy", "-i", f"{path}@@307200", menu, "::boot/grub/menu.lst")
    return path


def menu_of(path):
    return table.open_tree(DiskFile(path))["boot/grub/menu.lst"].content.read()


def test_a_stick(stick):
    assert table.name_of(DiskFile(stick)) == "mbr"
    assert menu_of(stick) == b"default=0\n"


def test_an_extended_partition_is_passed_over(stick):
    table = f"label: dos\nstart=600, size={SECTORS}, type=c\nsize=3000, type=5\nsize=900, type=83\n"
    run("sfdisk", "--no-reread", "--force", stick, input=table.encode())
    assert menu_of(stick) == b"default=0\n"


COMMANDS = {
    "xz": ["xz", "-k", "-0", "-T2", "--block-size=4MiB"],
    "xz in two": ["xz", "-k", "-0", "--check=sha256"],
    "bzip2": ["bzip2", "-k", "-1"],
    "zstd": ["zstd", "-q", "-1", "--check"],
    "zstd long": ["zstd", "-q", "--long=27", "-1"],
    "pzstd": ["pzstd", "-q", "-p", "2", "-1"],
    "gzip": ["gzip", "-k", "-1"],
}


@pytest.mark.parametrize("name", COMMANDS)
def test_a_compressed_stick(stick, name, need):
    command = COMMANDS[name]
    need(command[0])
    if "zstd" in name and streams._zstd_module() is None:
        pytest.skip("needs backports.zstd or Python 3.14")
    before = set(stick.parent.iterdir())
    run(*command, stick)
    (packed,) = set(stick.parent.iterdir()) - before
    if name == "xz in two":
        packed.write_bytes(packed.read_bytes() + run("xz", "-c", input=b"").stdout)
    assert menu_of(packed) == b"default=0\n"


@pytest.mark.parametrize("options", [["-1"], ["-0"], ["-1", "-Z", "bzip2"], ["-fz"]])
def test_a_stick_in_a_zip_file(stick, options, need):
    need("zip")
    packed = stick.with_suffix(".zip")
    run("zip", "-q", "-j", *options, packed, stick)
    assert menu_of(packed) == b"default=0\n"


def test_a_zip_file_from_a_pipe_notes_sizes_behind(stick, need):
    need("zip")
    packed = stick.with_suffix(".zip")
    with packed.open("wb") as output, stick.open("rb") as image:
        subprocess.run(["zip", "-q", "-1", "-", "-"], stdin=image, stdout=output, check=True)
    assert menu_of(packed) == b"default=0\n"
