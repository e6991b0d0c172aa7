"""USB and ISO images: what the command makes, and what it says when something is wrong."""

import gzip
import hashlib
import json
import os
import re
import shutil
import signal
import struct
import subprocess
import tarfile

import pytest

from imagekit.content import Bytes, DiskFile
from imagekit.formats import fat, gpt
from imagekit.formats import iso as iso9660
from kit import workspace
from kit.command import IMAGEKIT, environment, fails, imagekit
from kit.work import until

NAME = workspace.NAME
DEFAULT_MAP = (
    "loader 12 1048576 268435456\n"
    "boot 1 269484032 1048576\n"
    "root 2 270532608 1660944384\n"
    "reserved 11 1931594752 8388608\n"
)


@pytest.fixture
def ws(tmp_path):
    return workspace.make(tmp_path / "ws")


def sha256(path):
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def test_in_a_workspace_it_makes_what_build_boot_image_makes(ws):
    done = imagekit("usb", "-c", "ttyb", cwd=ws)
    assert done.returncode == 0, done.stderr
    image = ws / f"output-usb/{NAME}.usb.gz"
    assert sorted(path.name for path in image.parent.iterdir()) == ["partition.map", image.name]
    assert (image.parent / "partition.map").read_text() == DEFAULT_MAP
    assert {path.stat().st_mode & 0o777 for path in image.parent.iterdir()} == {0o644}
    line = rf"output-usb/{NAME}\.usb\.gz  [\d,]+ bytes  sha256 {sha256(image)}  \d+\.\d s\n"
    assert re.fullmatch(line, done.stdout)
    with gzip.open(image) as file:
        assert sum(len(block) for block in iter(lambda: file.read(1 << 20), b"")) == 1_940_000_256


def test_the_boot_programs_are_patched_for_this_disk(ws):
    assert imagekit("usb", "--no-compress", "-o", "x.usb", cwd=ws).returncode == 0
    with (ws / "x.usb").open("rb") as image:
        pmbr = image.read(512)
        assert struct.unpack_from("<BBHQ", pmbr, 0xFA) == (2, 0, 5, 526336)  # 2,548 bytes are five sectors
        assert pmbr[3:0x3E] == bytes(0x3B)
        assert pmbr[0x1BE:0x1CE] == bytes.fromhex("00000200 eeffffff 01000000") + struct.pack("<I", 3789062)
        image.seek(526336 * 512)
        stage2 = image.read(2560)
        assert struct.unpack_from("<Q", stage2, 516 + 24) == (528384,)
        image.seek(528384 * 512)
        volume = image.read(512)
        assert volume[71:82] == b"SMARTOSBOOT"
        assert struct.unpack_from("<I", volume, 0x1C) == (528384,)  # hidden sectors
    assert (ws / "x.usb").stat().st_blocks * 512 < 20_000_000


def test_a_hybrid_image_is_the_same_disc_with_a_disk_around_it(ws):
    """Where isoboot lies in both, only the system area and the padding differ; the partitions are files."""
    shutil.copy(ws / "proto/boot/isoboot", ws / "proto.boot/boot/isoboot")
    (ws / "proto.boot/boot/isoboot").chmod(0o444)
    imagekit("iso", "-o", "plain.iso", cwd=ws)
    imagekit("iso", "--hybrid", "-o", "hybrid.iso", cwd=ws)
    plain, hybrid = ((ws / name).read_bytes() for name in ("plain.iso", "hybrid.iso"))
    assert not any(plain[:32768])
    backup = len(hybrid) - 33 * 512
    assert len(plain) == len(hybrid)
    assert plain[32768:backup] == hybrid[32768:backup]
    disk = gpt.read(DiskFile(ws / "hybrid.iso"))
    assert disk.notes == ()
    isoboot = (ws / "proto/boot/isoboot").read_bytes()
    found = {partition.name: disk.slice(partition).read() for partition in disk.partitions}
    assert found["boot"].rstrip(b"\0") == isoboot.rstrip(b"\0")
    loader = (ws / "proto.boot/boot/loader64.efi").read_bytes()
    assert fat.read(Bytes(found["loader"]))["EFI/BOOT/BOOTX64.EFI"].content.read() == loader
    files = iso9660.read(DiskFile(ws / "hybrid.iso"))
    assert files["boot/isoboot"].content.read() == isoboot
    assert files["boot/efiboot.img"].content.read() == found["loader"][: files["boot/efiboot.img"].content.size]


def test_without_isoboot_a_hybrid_image_warns_and_a_plain_one_does_not(ws):
    (ws / "proto/boot/isoboot").unlink()
    assert "boot/isoboot is missing" in imagekit("iso", "--hybrid", "-n", cwd=ws).stderr
    assert "isoboot" not in imagekit("iso", "-n", cwd=ws).stderr


def test_what_is_no_isoboot_is_refused(ws):
    (ws / "proto/boot/isoboot").write_bytes(b"x" * 5000)
    assert "no valid multiboot header" in fails("iso", "--hybrid", cwd=ws)
    assert not (ws / "output-iso").exists()


def test_without_a_workspace_folders_are_named(ws, tmp_path):
    shutil.copy(ws / "proto/boot/cdboot", ws / "proto.boot/boot/cdboot")
    done = imagekit(
        "iso", "--platform", ws / "output" / NAME, "--boot", ws / "proto.boot/boot", "-o", "a.iso", cwd=tmp_path
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.iso").read_bytes()[0x8001:0x8006] == b"CD001"
    assert "etc/version/boot says nothing" in done.stderr  # boot/ alone has none, and piadm wants it


@pytest.mark.parametrize("verb", ["usb", "iso"])
def test_the_plan_is_printed_and_nothing_is_written(ws, verb):
    before = sorted(ws.rglob("*"))
    plan = imagekit(verb, "--dry-run", "--json", cwd=ws)
    assert json.loads(plan.stdout)["kind"] == verb
    text = imagekit(verb, "-n", cwd=ws)
    assert text.returncode == 0
    assert "console" in text.stdout
    assert sorted(ws.rglob("*")) == before


def test_json_tells_the_products(ws):
    data = json.loads(imagekit("iso", "--json", cwd=ws).stdout)
    (product,) = data["products"]
    path = ws / product["path"]
    assert product["path"] == f"output-iso/{NAME}.iso"
    assert (product["size"], product["sha256"]) == (path.stat().st_size, sha256(path))
    assert data["warnings"] == []


@pytest.mark.parametrize("kind", ["tgz", "iso", "usb.gz"])
def test_a_platform_and_boot_files_come_from_an_image_too(ws, tmp_path, kind):
    shutil.copy(ws / "proto/boot/cdboot", ws / "proto.boot/boot/cdboot")
    if kind == "tgz":
        for folder, name in (("output", NAME), ("proto.boot", ".")):
            with tarfile.open(tmp_path / f"{folder}.tgz", "w:gz") as archive:
                archive.add(ws / folder / name, arcname=name)
        options = ["--platform", tmp_path / "output.tgz", "--boot", tmp_path / "proto.boot.tgz"]
    else:
        medium = tmp_path / f"smartos.{kind}"
        assert imagekit(kind.split(".")[0], "-c", "ttya", "-o", medium, cwd=ws).returncode == 0
        options = ["--platform", medium, "--boot", medium]
    for verb in ("usb", "iso"):
        plans = []
        for sources in (options, ["--boot", "proto.boot"]):
            done = imagekit(verb, "-n", "--json", "-c", "ttyb", *sources, cwd=ws)
            assert (done.returncode, done.stderr) == (0, ""), (verb, sources)
            plan = json.loads(done.stdout)
            del plan["output"]
            if verb == "iso":  # the order of the files does not count
                extents = plan["volume"]["extents"]
                plan = sorted((one["what"], one["size"]) for one in extents if one["what"].startswith("/"))
                assert len(plan) > 10
            elif kind != "tgz":  # FAT keeps no modes, so the ids differ
                plan = sorted((one["path"], one["size"]) for one in plan["root"]["entries"])
                assert len(plan) > 10
            plans.append(plan)
        assert plans[0] == plans[1]


LINKS = [
    ("../../../proto/boot/cdboot", "nothing in here"),
    ("/etc/hostname", "nothing in here"),
    ("nowhere", "nothing in here"),
    ("amd64", "a directory"),
    ("link", "nothing in here"),
]


@pytest.mark.parametrize(("target", "found"), LINKS)
def test_a_link_that_leads_to_no_file_of_the_platform_is_refused(ws, target, found):
    (ws / f"output/{NAME}/i86pc/link").symlink_to(target)
    said = fails("usb", cwd=ws)
    assert f"{NAME}/i86pc/link: a link to {target}, which is {found}" in said


def test_a_link_inside_the_platform_becomes_a_file(ws):
    platform = ws / "output" / NAME
    (platform / "root.password").write_text("secret\n")
    (platform / "i86pc/second").symlink_to("first")
    (platform / "i86pc/first").symlink_to("../root.password")
    (platform / "i86pc/third").hardlink_to(platform / "root.password")
    plan = json.loads(imagekit("usb", "-n", "--json", cwd=ws).stdout)
    sizes = {entry["path"]: entry["size"] for entry in plan["root"]["entries"]}
    assert {sizes[f"platform/i86pc/{name}"] for name in ("first", "second", "third")} == {7}


def test_the_loader_must_reach_all_that_it_reads(ws):
    for number in range(3):
        with (ws / f"output/{NAME}/i86pc/big{number}").open("wb") as file:
            file.truncate(2 << 30)
    said = fails("usb", "--size", "8G", cwd=ws)
    assert "/platform/i86pc/big" in said
    assert "4,294,967,296" in said


def test_size_auto_is_the_smallest_that_would_do(ws):
    said = fails("usb", "--size", "280M", cwd=ws)
    smallest = int(re.search(r"--size (\d+) or more", said)[1])
    assert imagekit("usb", "--size", "auto", "--no-compress", "-o", "a.usb", cwd=ws).returncode == 0
    assert (ws / "a.usb").stat().st_size == smallest
    assert imagekit("usb", "--size", smallest - 512, "-n", cwd=ws).returncode == 1
    assert imagekit("usb", "--size", smallest, "-n", cwd=ws).returncode == 0


@pytest.mark.parametrize("verb", ["usb --size auto --no-compress -o out", "usb -o out.gz", "iso -o out"])
def test_the_same_bytes_whatever_is_around(ws, tmp_path, verb):
    other = tmp_path / "another place"
    other.mkdir()
    # Copied in another order, so that the directories list their entries in another order too.
    for path in sorted(ws.rglob("*"), reverse=True):
        target = other / path.relative_to(ws)
        if path.is_symlink():
            target.parent.mkdir(parents=True, exist_ok=True)
            target.symlink_to(path.readlink())
        elif path.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
            shutil.copymode(path, target)
            os.utime(target, (1, 1))
    sums = []
    for folder, mask, extra in (
        (ws, 0o022, {"TZ": "Pacific/Kiritimati", "LC_ALL": "C", "HOME": "/nonexistent"}),
        (other, 0o077, {"TZ": "America/Los_Angeles", "LC_ALL": "C.UTF-8", "USER": "somebody", "PYTHONHASHSEED": "5"}),
    ):
        old = os.umask(mask)
        try:
            done = imagekit(*verb.split(), cwd=folder, env=environment(**extra))
        finally:
            os.umask(old)
        assert done.returncode == 0, done.stderr
        sums.append(sha256(folder / verb.split()[-1]))
    assert sums[0] == sums[1]


def test_ids_differ_between_different_media(ws):
    def ids(*options):
        plan = json.loads(imagekit("usb", "-n", "--json", *options, cwd=ws).stdout)
        return {plan["disk_guid"], plan["root"]["volume_id"], *(part["guid"] for part in plan["partitions"])}

    one, two = ids("-c", "ttya"), ids("-c", "ttyb")
    assert len(one) == 6
    assert not one & two


BAD = [
    ("usb -c ttyz", 2, ["unknown console 'ttyz'", "did you mean tty"]),
    ("usb -c ttya:1", 2, ["'1' is no speed", "9600"]),
    ("usb --size 5X", 2, ["'5X' is not a size"]),
    ("usb --size 1000000001", 2, ["not whole sectors", "512"]),
    ("usb -r nowhere", 1, ["nowhere: no platform here", "--platform"]),
    ("usb --platform proto.boot", 1, ["proto.boot: not a platform", "i86pc/kernel/amd64/unix"]),
    ("usb --boot output", 1, ["output: no boot files", "loader64.efi"]),
    ("usb --boot nowhere", 1, ["nowhere: no such folder"]),
    ("iso --esp-size 8192", 1, ["EFI system partition", "loader64.efi", "does not fit"]),
    ("iso --volume-id smartos/2026", 2, ["smartos/2026"]),
    ("iso --volume-id ABCDEFGHIJKLMNOPQRSTUVWXYZ0123456", 2, ["32"]),
    ("usb -o partition.map", 1, ["partition.map goes there", "another name"]),
    ("usb --no-compress -o x.usb.gz", 1, ["x.usb.gz: the name ends in .gz", "name it x.usb"]),
    ("usd", 2, ["no such command: usd", "did you mean usb?"]),
]


@pytest.mark.parametrize(("command", "status", "says"), BAD, ids=[row[0] for row in BAD])
def test_wrong_requests_are_refused_with_a_cure(ws, command, status, says):
    said = fails(*command.split(), cwd=ws, status=status)
    for words in says:
        assert words in said


def truncate(name):
    def change(ws):
        os.truncate(ws / f"proto.boot/boot/{name}", 100)

    return change


def remove(name):
    def change(ws):
        (ws / name).unlink()

    return change


def write(name, data):
    def change(ws):
        (ws / name).parent.mkdir(exist_ok=True, parents=True)
        (ws / name).write_bytes(data)

    return change


def large(name, size):
    def change(ws):
        with (ws / name).open("ab") as file:
            file.truncate(size)

    return change


BROKEN = [
    ("usb", truncate("pmbr"), ["proto.boot/boot/pmbr", "512 bytes", "100"]),
    ("usb", write("proto.boot/boot/pmbr", bytes(512)), ["proto.boot/boot/pmbr", "55 AA", "00 00"]),
    ("usb", truncate("gptzfsboot"), ["proto.boot/boot/gptzfsboot", "multiboot"]),
    ("usb", large("proto.boot/boot/gptzfsboot", (1 << 20) + 1), ["proto.boot/boot/gptzfsboot", "1,048,577"]),
    ("usb", large("proto.boot/boot/loader64.efi", 300 << 20), ["does not fit", "EFI system partition", "loader64.efi"]),
    ("usb", remove("proto.boot/boot/loader64.efi"), ["boot/loader64.efi", "--boot"]),
    ("usb", remove("proto.boot/boot/pmbr"), ["boot/pmbr"]),
    ("iso", remove("proto/boot/cdboot"), ["proto/boot/cdboot"]),
    ("usb", large(f"output/{NAME}/i86pc/big", 4 << 30), ["/platform/i86pc/big", "4 GiB"]),
    ("usb", write(f"output/{NAME}/I86PC/x", b""), ["/platform/i86pc", "I86PC", "case"]),
    ("usb", write(f"output/{NAME}/a:b", b""), ["/platform/a:b"]),
    ("usb", large(f"output/{NAME}/i86pc/big", 3 << 30), ["does not fit", "--size auto"]),
    ("iso", large(f"output/{NAME}/i86pc/big", 5 << 30), ["i86pc/big"]),
    ("usb", remove(f"output/{NAME}/i86pc/amd64/boot_archive"), ["not a platform", "i86pc/amd64/boot_archive"]),
]


@pytest.mark.parametrize(("verb", "change", "says"), BROKEN, ids=[f"{row[0]} {row[2][0]}" for row in BROKEN])
def test_broken_inputs_are_named_and_nothing_is_left(ws, verb, change, says):
    change(ws)
    said = fails(verb, cwd=ws)
    for words in says:
        assert words in said
    assert not list(ws.glob(f"output-{verb}/*"))


def hashed(text):
    """Change the note of the boot archive's hash; {} stands for the right one."""

    def change(ws):
        note = ws / f"output/{NAME}/{HASH}"
        note.write_text(text.format(note.read_text().strip()))

    return change


HASH = "i86pc/amd64/boot_archive.hash"
ARCHIVE = f"output/{NAME}/i86pc/amd64/boot_archive"
KERNEL = f"output/{NAME}/i86pc/kernel/amd64/unix"
CANNOT_BOOT = [
    (hashed("0" * 40 + "\n"), ["boot_archive.hash", f"this file says '{'0' * 40}': the kernel would stop at once"]),
    (write(ARCHIVE, b""), ["boot_archive: it is empty", "stop at once"]),
    (write(ARCHIVE, gzip.compress(b"archive", mtime=0)), ["boot_archive", "compressed with gzip"]),
    (hashed(""), ["boot_archive.hash", "found ''", "40 hex digits"]),
    (hashed(" {}\n"), ["boot_archive.hash", "40 hex digits"]),
    (hashed("{}0\n"), ["boot_archive.hash", "40 hex digits"]),
    (hashed("SHA1(boot_archive)= {}\n"), ["boot_archive.hash", "40 hex digits"]),
    (write(KERNEL, b""), ["kernel/amd64/unix", "it is empty"]),
    (write(KERNEL, b"\x1f\x8b\x08"), ["kernel/amd64/unix", "begins with 1f 8b 08, not 7f 45 4c 46"]),
]


@pytest.mark.parametrize(("change", "says"), CANNOT_BOOT, ids=[" ".join(row[1]) for row in CANNOT_BOOT])
def test_what_cannot_boot_gets_onto_no_medium(ws, change, says):
    change(ws)
    told = {fails(*verb, cwd=ws) for verb in (["usb"], ["iso"], ["pxe"], ["usb", "-n"])}
    assert len(told) == 1  # all media check it, and say it alike
    for words in says:
        assert words in min(told)


@pytest.mark.parametrize("text", ["{}", "{}\n", "{}  boot_archive\n"])
def test_a_hash_that_the_kernel_takes_is_taken(ws, text):
    hashed(text)(ws)
    assert imagekit("iso", "-n", cwd=ws).returncode == 0
    note = ws / f"output/{NAME}/{HASH}"
    note.write_text(note.read_text().upper())
    assert imagekit("usb", "-n", cwd=ws).returncode == 0


WARNED = [
    (remove("proto.boot/boot/defaults/loader.conf"), "boot/defaults/loader.conf is missing"),
    (remove("proto.boot/boot/loader"), "boot/loader is missing"),
    (remove(f"output/{NAME}/i86pc/amd64/boot_archive.hash"), "boot_archive.hash is missing"),
    (write("proto.boot/etc/version/boot", b"20200101T000000Z\n"), "etc/version/boot says 20200101T000000Z"),
]


@pytest.mark.parametrize(("change", "says"), WARNED, ids=[row[1] for row in WARNED])
def test_what_will_not_work_is_told(ws, change, says):
    assert imagekit("iso", "-n", cwd=ws).stderr == ""
    change(ws)
    done = imagekit("iso", "-n", cwd=ws)
    assert done.returncode == 0
    assert says in done.stderr


def test_an_output_is_replaced_only_by_a_complete_one(ws):
    output = ws / "out.usb"
    output.write_bytes(b"old")
    truncate("gptzfsboot")(ws)
    assert imagekit("usb", "--no-compress", "-o", output, cwd=ws).returncode == 1
    assert output.read_bytes() == b"old"


def test_a_full_disk_leaves_nothing(ws, tmp_path):
    small = tmp_path / "small"
    small.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", small], check=False).returncode:
        pytest.skip("needs to mount a small tmpfs")
    try:
        (small / "out.iso").write_bytes(b"old")
        said = fails("iso", "-o", small / "out.iso", cwd=ws)
        assert "no space left" in said
        assert str(small) in said
        assert {path.name: path.read_bytes() for path in small.iterdir()} == {"out.iso": b"old"}
    finally:
        subprocess.run(["umount", small], check=True)


def test_ctrl_c_in_the_middle_leaves_nothing(ws):
    with (ws / f"output/{NAME}/i86pc/big").open("wb") as file:
        for offset in range(0, 1 << 30, 1 << 16):  # data everywhere, and little of it
            os.pwrite(file.fileno(), b"x", offset)
    with subprocess.Popen(
        [*IMAGEKIT, "usb"], cwd=ws, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        until(lambda: process.poll() is not None or list(ws.glob("output-usb/.*.partial")))
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        said = process.communicate()
    assert process.returncode == 130
    assert said == ("", "imagekit: interrupted; nothing was left behind\n")
    assert not (ws / "output-usb").exists()


def test_every_verb_has_help():
    from imagekit.cli import VERBS

    for verb in VERBS:
        done = imagekit(verb, "--help", cwd="/")
        assert done.returncode == 0
        assert done.stdout.startswith(f"Usage: imagekit {verb}")
        assert done.stderr == ""


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("imagekit us", {"usb"}),
        ("imagekit usb -c tt", {"ttya", "ttyb", "ttyc", "ttyd"}),
        ("imagekit manifest li", {"lint"}),
    ],
)
def test_the_shell_completes_verbs_and_consoles(words, expected):
    place = str(len(words.split()) - 1)
    asked = {"COMP_WORDS": words, "COMP_CWORD": place, "_IMAGEKIT_COMPLETE": "bash_complete", "PYTHONSTARTUP": ""}
    done = imagekit(cwd="/", env=environment(**asked))
    assert {line.partition(",")[2] for line in done.stdout.splitlines()} == expected
