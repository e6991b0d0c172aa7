"""How UEFI machines boot from a PXE directory: the ISO images, what is in them, and when there are none."""

import hashlib
import json
import os
import re
import shutil
import struct
import subprocess

import pytest

from imagekit.boot.console import Console
from imagekit.boot.kernel_arguments import BootProperty
from imagekit.boot.modules import ModuleRequest
from imagekit.clock import Stamp
from imagekit.content import DiskFile
from imagekit.errors import InputError, PlanError
from imagekit.formats import iso, table
from imagekit.media.additions import Additions
from imagekit.media.pxe import publish
from imagekit.tree import File
from kit import workspace
from kit.pxe_directory import STAMP, check_sums, contents, files, imagekit, make, named, platform

OLDER = "20250101T000000Z"


@pytest.fixture
def ws(tmp_path):
    return workspace.make(tmp_path / "ws", archive=400_000)


@pytest.fixture
def answers(tmp_path):
    path = tmp_path / "answers.json"
    path.write_text('{"config_console": true, "admin_ip": "dhcp"}')
    return path


def images(ws):
    folder = ws / "output-pxe/iso"
    return sorted(folder.iterdir()) if folder.exists() else []


def inside(path):
    """Return what is in an image: the files by path."""
    tree = table.open_tree(DiskFile(path))
    return {entry.path: entry.content.read() for entry in tree if isinstance(entry, File)}


def test_what_is_in_an_image(ws, answers):
    """The platform as it is served, the loader's files, answers, a loader.conf of its own; nothing that is secret."""
    given = (BootProperty("a", "b c"), BootProperty("ttyb-mode", "9600,8,n,1,-"))
    make(ws, None, console=Console("ttyb", 9600), properties=given, additions=Additions(answers=answers))
    (image,) = images(ws)
    found = inside(image)
    served = ws / f"output-pxe/os/{STAMP}/platform"
    boot = ws / "proto.boot/boot"
    data = answers.read_bytes()
    conf = found.pop("boot/loader.conf").decode()
    assert found.pop("boot/efiboot.img")[510:512] == b"\x55\xaa"
    assert found == {
        **{f"platform/{name}": (served / name).read_bytes() for name in files(served)},
        "boot/defaults/loader.conf": (boot / "defaults/loader.conf").read_bytes(),
        "boot/forth/brand-smartos.4th": (boot / "forth/brand-smartos.4th").read_bytes(),
        "boot/bootfs/answers.json": data,
        "boot/bootfs/answers.json.hash": hashlib.sha1(data).hexdigest().encode() + b"\n",
    }
    assert 'os_console="ttyb"\n' in conf
    assert 'a="b c"\n' in conf
    assert 'ttyb-mode="9600,8,n,1,-"\n' in conf
    assert 'module_answers_json_name="/boot/bootfs/answers.json"\n' in conf
    esp = table.open_tree(iso.read(DiskFile(image))["boot/efiboot.img"].content)
    assert esp["EFI/BOOT/BOOTX64.EFI"].content.read() == (boot / "loader64.efi").read_bytes()


def test_only_for_uefi(ws, need):
    """As xorriso sees it: one boot entry, and that for UEFI."""
    need("xorriso")
    make(ws, None)
    (image,) = images(ws)
    command = ["xorriso", "-indev", image, "-report_el_torito", "plain"]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert len(re.findall(r"El Torito boot img :", said)) == 1
    assert re.search(r"El Torito boot img : +1 +UEFI ", said)


def test_scripts_boot_the_image_under_uefi(ws):
    make(ws, None)
    folder = ws / "output-pxe"
    (image,) = images(ws)
    straight = (folder / f"{STAMP}.ipxe").read_text()
    assert f"\nsanboot iso/{image.name} ||\n" in straight
    assert f"\nset image iso/{image.name}\n" in (folder / "smartos.ipxe").read_text()
    index = json.loads((folder / "index.json").read_text())
    assert index["scripts"][0]["iso"]["sha256"] == hashlib.sha256(image.read_bytes()).hexdigest()
    assert "iso/ " in (folder / "README").read_text()
    assert "http://192.0.2.1/smartos.ipxe" in (folder / "dhcp/dnsmasq.conf").read_text()
    make(ws, None, url="https://boot.example.org/x/")
    assert f"\nsanboot https://boot.example.org/x/iso/{image.name} ||\n" in (folder / f"{STAMP}.ipxe").read_text()


def test_images_come_and_go_with_what_they_boot(ws, answers):
    """Another content has another name, so that no client reads parts of two."""
    make(ws, None)
    (first,) = images(ws)
    make(ws, platform(ws, OLDER))
    assert len(images(ws)) == 2
    assert first in images(ws)
    make(ws, None, additions=Additions(answers=answers))
    assert first not in images(ws)
    assert len(images(ws)) == 2
    make(ws, None, console=Console("ttyc"))
    check_sums(ws / "output-pxe")
    make(ws, remove=(Stamp(OLDER),))
    (last,) = images(ws)
    assert last.name.startswith(STAMP)
    check_sums(ws / "output-pxe")


def test_an_image_that_is_there_is_not_written_again(ws):
    make(ws, None)
    (image,) = images(ws)
    before = image.stat()
    plan = make(ws, None)
    assert plan.images == {}
    assert image.stat().st_ino == before.st_ino
    image.write_bytes(b"damaged")
    assert list(make(ws, None).images) == [f"iso/{image.name}"]
    check_sums(ws / "output-pxe")


def test_multiboot2_stays_until_iso_is_asked_for(ws):
    make(ws, None)
    make(ws, None, uefi="multiboot2")
    folder = ws / "output-pxe"
    assert images(ws) == []
    assert not (folder / "iso").exists()
    for name in (f"{STAMP}.ipxe", "smartos.ipxe"):
        assert "sanboot" not in (folder / name).read_text()
    assert "multiboot 2, such as Triton's" in (folder / "dhcp/kea-dhcp4.json").read_text()
    check_sums(folder)
    make(ws, platform(ws, OLDER))
    assert images(ws) == []
    plan = make(ws, None, uefi="iso")
    assert [path.name[:16] for path in images(ws)] == [STAMP]
    (warning,) = plan.warnings
    assert warning.startswith(f"no ISO image for UEFI machines of {OLDER}: name them once more with «platform»")
    assert make(ws, ws / f"output/platform-{OLDER}").warnings == ()
    assert len(images(ws)) == 2


def test_without_boot_files(ws):
    shutil.rmtree(ws / "proto.boot")
    (warning,) = make(ws, None).warnings
    assert warning.startswith("no boot/loader64.efi among boot files, so no ISO image for UEFI machines: to boot")
    assert images(ws) == []
    with pytest.raises(InputError, match=r"no file boot/loader64\.efi among the boot files"):
        make(ws, None, uefi="iso")


def test_without_the_file_that_the_loader_looks_for(ws):
    (ws / "proto.boot/boot/defaults/loader.conf").unlink()
    (warning,) = make(ws, None).warnings
    assert warning.startswith("boot/defaults/loader.conf is missing: the UEFI loader finds its root file system by it")


def test_over_tftp_there_are_none(ws):
    (warning,) = make(ws, None, url="tftp://10.0.0.5/pxe/").warnings
    assert warning.startswith("«url» tftp://10.0.0.5/pxe/: iPXE boots no ISO image over TFTP")
    assert images(ws) == []
    assert "tftp://10.0.0.5/pxe\n" in (ws / "output-pxe/dhcp/dnsmasq.conf").read_text()
    assert make(ws, None, uefi="multiboot2").warnings == ()
    with pytest.raises(InputError, match="«uefi» iso is for «layout» smartos, and for URLs that begin with http"):
        make(ws, None, uefi="iso")
    # From images to TFTP: the scripts name none any more.
    make(ws, None, uefi="iso", url="")
    make(ws, platform(ws, OLDER), url="tftp://10.0.0.5/pxe/", uefi="multiboot2")
    assert images(ws) == []
    check_sums(ws / "output-pxe")


def test_triton_has_none(ws):
    make(ws, None, layout="triton")
    assert images(ws) == []
    done = imagekit("--layout", "triton", "--uefi", "iso", "-o", "other", cwd=ws)
    assert done.returncode == 1
    assert "Triton's iPXE has multiboot 2 and needs none" in done.stderr


def test_what_only_ipxe_knows_cannot_be_in_an_image(ws):
    given = (BootProperty("mac", "${net0/mac}"),)
    make(ws, None)
    with pytest.raises(PlanError, match=r"boot property mac cannot stand in loader\.conf"):
        make(ws, platform(ws, OLDER), properties=given)
    shutil.rmtree(ws / "proto.boot")
    make(ws, ws / f"output/platform-{OLDER}", properties=given)


def test_images_share_blocks_with_the_platform(ws, monkeypatch):
    """What is large lies where blocks can be shared, and where they are, nothing is copied and nothing differs."""
    make(ws, None)
    expected = contents(ws / "output-pxe")
    shutil.rmtree(ws / "output-pxe")
    shared = []

    def ioctl(target, request, argument):
        if request != 0x4020940D:  # as in linux/fs.h, struct file_clone_range: source, offset, length, offset here
            raise OSError
        source, start, size, place = struct.unpack("=qQQQ", argument)
        assert (start % 4096, size % 4096, place % (128 << 10)) == (0, 0, 0)
        os.pwrite(target, os.pread(source, size, start), place)
        shared.append(size)
        return 0

    monkeypatch.setattr(publish.fcntl, "ioctl", ioctl)
    make(ws, None)
    assert contents(ws / "output-pxe") == expected
    assert shared == [400_000 // 4096 * 4096]


def test_named_paths_are_those_of_bios(ws):
    make(ws, None)
    assert all(path.startswith("os/") for path in named((ws / "output-pxe/smartos.ipxe").read_text()))


def test_the_plan_names_the_image(ws):
    done = imagekit("-n", cwd=ws)
    assert re.search(rf"^  under UEFI   iso/{STAMP}-[0-9a-f]{{8}}\.iso, [0-9,]+ bytes$", done.stdout, re.MULTILINE)
    plan = json.loads(imagekit("-n", "--json", cwd=ws).stdout)
    assert plan["scripts"][0]["iso"]["path"] in plan["write"]


@pytest.mark.parametrize("stamp", ["smartos", "start", "uefi"])
def test_stamps_that_mean_something_in_the_scripts(ws, stamp):
    folder = platform(ws, stamp)
    with pytest.raises(InputError, match=f"a platform of the stamp {stamp}, which has another meaning"):
        make(ws, folder)


def test_a_module_that_the_loader_would_not_find_on_the_image(ws, answers):
    with pytest.raises(PlanError, match="a boot module that would not be loaded from a disc"):
        make(ws, None, additions=Additions((ModuleRequest(answers, "n" * 173),)))
    make(ws, None, additions=Additions((ModuleRequest(answers, "n" * 173),)), uefi="multiboot2")
