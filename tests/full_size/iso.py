"""Checks of a full-size ISO image: every foreign program sees exactly what went in, modes and owners too."""

import os
import re
import shutil
import struct

from full_size.inputs import STAMP, TIME, make_workspace
from full_size.listing import Entry, compare, kernel_findings, kernel_listing, sha256, without
from full_size.media import (
    LOADER_CONF,
    bsdtar,
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


def el_torito(image):
    """Return the sectors (of 2048 bytes) where both boot images start, as the boot catalog has them."""
    with image.open("rb") as file:
        file.seek(17 * 2048 + 0x47)
        file.seek(struct.unpack("<I", file.read(4))[0] * 2048)
        catalog = file.read(128)
    return struct.unpack_from("<I", catalog, 40)[0], struct.unpack_from("<I", catalog, 104)[0]


def add_boot_images(report, work, workspace, image, expected):
    """Put into a listing what the BIOS boot program, patched with where it lies, and the ESP must be."""
    bios, efi = el_torito(image)
    cdboot = (workspace / "proto/boot/cdboot").read_bytes()
    padded = cdboot[64:] + bytes(-len(cdboot) % 4)
    checksum = sum(struct.unpack(f"<{len(padded) // 4}I", padded)) & 0xFFFFFFFF
    patched = work / "cdboot"
    patched.write_bytes(cdboot[:8] + struct.pack("<4I40x", 16, bios, len(cdboot), checksum) + cdboot[64:])
    esp = work / "esp"
    with image.open("rb") as file:
        file.seek(efi * 2048)
        start = file.read(512)
        size = 512 * (struct.unpack_from("<H", start, 19)[0] or struct.unpack_from("<I", start, 32)[0])
    sparse_copy(image, esp, efi * 2048, size)
    fsck_fat(report, "iso: fsck.fat -n says nothing of the ESP", esp)
    title = "iso: mtools finds the loader in the ESP"
    if report.has(title, "mcopy"):
        output("mcopy", "-n", "-i", esp, "::EFI/BOOT/BOOTX64.EFI", work / "loader")
        report.equal(title, sha256(work / "loader"), expected["boot/loader64.efi"].sha256)
    for path, file in (("boot/cdboot", patched), ("boot/efiboot.img", esp)):
        expected[path] = Entry("f", 0o444, 0, 0, file.stat().st_size, sha256(file), mtime=TIME)
        file.unlink()
    return bios, efi


def check_iso(report, user, work):
    """Check an ISO image of a full-size platform."""
    workspace = make_workspace(work / "iso")
    user.own(workspace)
    image = workspace / f"output-iso/platform-{STAMP}.iso"
    if not built(report, user.imagekit("iso", "-c", "ttyb", cwd=workspace), "iso"):
        return
    expected = expected_medium(workspace)
    bios, efi = add_boot_images(report, work, workspace, image, expected)
    title = "iso: xorriso reports both boot images, and warns of nothing"
    if report.has(title, "xorriso"):
        status, said = run("xorriso", "-indev", image, "-report_el_torito", "plain", check=False)
        wanted = (
            rf"boot img :   1  BIOS  y   none  0x0000  0x00 +\d+ +{bios}$",
            rf"boot img :   2  UEFI  y   none  0x0000  0x00 +\d+ +{efi}$",
            r"img path :   1  /boot/cdboot$",
            r"img path :   2  /boot/efiboot.img$",
            r"img opts :   1  boot-info-table$",
        )
        findings = [f"no line {line}" for line in wanted if not re.search(line, said, re.MULTILINE)]
        findings += [line for line in said.splitlines() if re.search("WARNING|FAILURE|SORRY|FATAL", line)]
        report.check(title, findings + ([f"status {status}"] if status else []))
    title = "iso: isoinfo -R lists exactly the names"
    if report.has(title, "isoinfo"):
        seen = {os.fsdecode(line.strip("/")) for line in output("isoinfo", "-R", "-f", "-i", image).splitlines()}
        report.equal(title, sorted(seen ^ expected.keys()), [])
    title = "iso: bsdtar sees exactly what went in, modes and owners too"
    if report.has(title, "bsdtar"):
        report.check(title, compare(without_root(bsdtar(image)), without(expected, "mtime")))
        check_loader_conf(report, "iso", output("bsdtar", "-xOf", image, LOADER_CONF))
    check_grub(report, "iso", image, "(loop0)", grub_sources(workspace))
    title = "iso: Linux"
    text = kernel_ls(report, title, "--cdrom", image)
    if text is not None:
        report.check(f"{title} has nothing to say", kernel_findings(text))
        report.check(
            f"{title} sees exactly what went in, modes and owners too",
            compare(without_root(kernel_listing(text, 0)), expected),
        )
    check_bad_medium(report, user, workspace, "iso")
    check_sameness(report, user, workspace, "iso", "iso")
    shutil.rmtree(workspace)
