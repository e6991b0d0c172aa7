"""What the boot tests share: a small platform, images made by the command line, and a machine to boot them in."""

import hashlib
import os
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kit import qemu

STAMP = "20240229T123456Z"


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.boot)


@pytest.fixture(scope="session")
def built(project):
    """Return the folder of the boot stand-ins."""
    return project / "bootloader" / "built"


@pytest.fixture(scope="session")
def platform(built, tmp_path_factory):
    """Make a platform folder: the kernel stand-in and a boot archive of 5 MiB and a bit."""
    folder = tmp_path_factory.mktemp("platform") / f"platform-{STAMP}"
    shutil.copytree(built / "platform", folder)
    archive = random.Random(2).randbytes(5 * 1024 * 1024 + 123)
    (folder / "i86pc/amd64").mkdir()
    (folder / "i86pc/amd64/boot_archive").write_bytes(archive)
    (folder / "i86pc/amd64/boot_archive.hash").write_text(hashlib.sha1(archive).hexdigest() + "\n")
    (folder / "etc/version").mkdir(parents=True)
    (folder / "etc/version/platform").write_text(f"{STAMP}\n")
    return folder


@pytest.fixture(scope="session")
def make(platform, built):
    """Return a function that has imagekit make an image: make(verb, output, *options)."""

    def run(verb, output, *options, platform=platform, boot=built):
        environment = {name: value for name, value in os.environ.items() if name != "SOURCE_DATE_EPOCH"}
        command = [
            sys.executable,
            "-m",
            "imagekit",
            verb,
            "--platform",
            platform,
            "--boot",
            boot,
            "-o",
            output,
            *options,
        ]
        if verb == "usb":
            command.append("--no-compress")
        subprocess.run(command, check=True, env=environment, stdout=subprocess.DEVNULL)
        return output

    return run


@pytest.fixture(scope="session")
def image(make, tmp_path_factory):
    """Return a function that makes an image of a verb and options once and gives it again; not to be changed."""
    made = {}

    def get(verb, *options):
        key = (verb, *options)
        if key not in made:
            folder = tmp_path_factory.mktemp("image")
            made[key] = make(verb, folder / ("smartos.iso" if verb == "iso" else "smartos.usb"), *options)
        return made[key]

    return get


@pytest.fixture
def boot(need, tmp_path_factory):
    """Return qemu.boot with a folder of its own; skip the test when QEMU or OVMF are not installed."""
    need(qemu.QEMU)

    def run(image, *, firmware="bios", **options):
        if firmware == "uefi" and qemu.ovmf() is None:
            pytest.skip("needs ovmf: scripts/test installs it where it can")
        return qemu.boot(image, tmp_path_factory.mktemp("boot"), firmware=firmware, **options)

    return run


@pytest.fixture
def boot_fails(boot):
    """Return a function that boots what must not boot, and gives what came out nevertheless."""

    def run(image, **options):
        with pytest.raises(qemu.BootFailedError) as caught:
            boot(image, **options)
        return caught.value.boot

    return run
