"""Checks of a full-size USB image: every foreign program sees exactly what went in."""

import gzip
import json
import shutil
from itertools import zip_longest

from full_size.inputs import STAMP, make_workspace
from full_size.listing import Entry, compare, folder_listing, kernel_findings, kernel_listing, without
from full_size.media import (
    LOADER_CONF,
    built,
    check_bad_medium,
    check_grub,
    check_loader_conf,
    check_sameness,
    expected_medium,
    fsck_fat,
    grub_sources,
    kernel_ls,
    output,
    run,
    sparse_copy,
    without_root,
)

PARTITION_MAP = """\
loader 12 1048576 268435456
boot 1 269484032 1048576
root 2 270532608 1660944384
reserved 11 1931594752 8388608
"""
ROOT_AT, ROOT_SIZE, ESP_AT, ESP_SIZE = 270532608, 1660944384, 1048576, 268435456


def check_gpt(report, image):
    name = "usb: sgdisk -v, nothing but the two warnings about nine entries"
    if report.has(name, "sgdisk"):
        said = output("sgdisk", "-v", image)
        warnings = [line for line in said.splitlines() if line.startswith(("Warning", "Caution", "Problem"))]
        known = (
            "Warning: There is a gap between the main partition table",
            "Warning: The size of the partition table (1152 bytes)",
        )
        findings = [line for line in warnings if not line.startswith(known)]
        report.check(name, findings + ([] if "No problems found" in said and len(warnings) == 2 else [said]))
    name = "usb: sfdisk --verify"
    if report.has(name, "sfdisk"):
        status, said = run("sfdisk", "--verify", image, check=False)
        report.check(name, [] if status == 0 and "No errors detected" in said else said.splitlines())
        table = json.loads(output("sfdisk", "-J", image))["partitiontable"]["partitions"]
        places = {part["name"]: (part["start"] * 512, part["size"] * 512) for part in table}
        expected = {line.split()[0]: tuple(map(int, line.split()[2:])) for line in PARTITION_MAP.splitlines()}
        report.equal("usb: sfdisk sees the partitions where partition.map has them", places, expected)


def check_gzip(report, packed, image):
    for program in ("gzip", "pigz", "igzip"):
        name = f"usb: {program} -t"
        if report.has(name, program):
            status, said = run(program, "-t", packed, check=False)
            report.check(name, [] if status == 0 and not said.strip() else [f"status {status}", said])
    with gzip.open(packed) as one, image.open("rb") as other:
        blocks = zip_longest(iter(lambda: one.read(1 << 20), b""), iter(lambda: other.read(1 << 20), b""))
        same = all(left == right for left, right in blocks)
    report.equal("usb: decompressed, it equals the image made with --no-compress", same, expected=True)


def check_usb(report, user, work):
    """Check a USB image of a full-size platform."""
    workspace = make_workspace(work / "usb")
    user.own(workspace)
    packed = workspace / f"output-usb/platform-{STAMP}.usb.gz"
    image = workspace / "raw/smartos.usb"
    if not built(report, user.imagekit("usb", "-c", "ttyb", cwd=workspace), "usb"):
        return
    arguments = ("usb", "-c", "ttyb", "--no-compress", "-o", image)
    if not built(report, user.imagekit(*arguments, cwd=workspace), "usb --no-compress"):
        return
    report.equal("usb: partition.map", (packed.parent / "partition.map").read_text(), PARTITION_MAP)
    report.equal("usb: its folder holds nothing else", len(list(packed.parent.iterdir())), 2)
    check_gzip(report, packed, image)
    packed.unlink()
    check_gpt(report, image)
    part = work / "partition"
    for name, offset, size in (("ESP", ESP_AT, ESP_SIZE), ("root", ROOT_AT, ROOT_SIZE)):
        sparse_copy(image, part, offset, size)
        fsck_fat(report, f"usb: fsck.fat -n says nothing of the {name} partition", part)
        part.unlink()
    expected = expected_medium(workspace)
    loader = expected["boot/loader64.efi"]
    expected_esp = {"EFI": Entry("d"), "EFI/BOOT": Entry("d"), "EFI/BOOT/BOOTX64.EFI": loader}
    on_fat = {"mode": None, "uid": None, "gid": None}.keys()  # FAT has none of these
    for name, offset, files in (("ESP", ESP_AT, expected_esp), ("root", ROOT_AT, expected)):
        title = f"usb: mtools copies exactly the files of the {name} partition"
        if report.has(title, "mcopy"):
            copy = work / "mtools"
            copy.mkdir()
            output("mcopy", "-s", "-i", f"{image}@@{offset}", "::/*", copy)
            report.check(title, compare(without(folder_listing(copy), "mode"), without(files, *on_fat)))
            if name == "root":
                check_loader_conf(report, "usb", (copy / LOADER_CONF).read_text())
            shutil.rmtree(copy)
    check_grub(report, "usb", image, "(loop0,gpt3)", grub_sources(workspace))
    title = "usb: Linux"
    text = kernel_ls(report, title, image)
    if text is not None:
        report.check(f"{title} has nothing to say", kernel_findings(text))
        for name, number, files in (("ESP", 1, expected_esp), ("root", 3, expected)):
            seen = without_root(without(kernel_listing(text, number), *on_fat))
            report.check(f"{title} sees exactly what went into the {name} partition", compare(seen, files))
    check_bad_medium(report, user, workspace, "usb")
    check_sameness(report, user, workspace, "usb", "usb.gz")
    shutil.rmtree(workspace)
