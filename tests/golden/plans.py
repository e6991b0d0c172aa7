"""The inputs and command lines whose plans are kept in this folder, a JSON file each."""

import hashlib
import random
import shutil
from pathlib import Path

from kit.command import imagekit

STAMP = "20261122T000000Z"
PLATFORM = f"platform-{STAMP}"
NAMED = ("--platform", PLATFORM, "--boot", "boot-files")
PLANS = {
    "usb": ("usb", *NAMED, "-c", "ttyb", "-o", "smartos.usb.gz"),
    "usb-smallest": ("usb", *NAMED, "--size", "auto", "--no-compress", "-o", "smartos.usb"),
    "iso": ("iso", *NAMED, "-c", "ttya:9600", "-o", "smartos.iso"),
    "iso-hybrid": ("iso", *NAMED, "--hybrid", "-o", "smartos.iso"),
    "pxe": ("pxe", *NAMED, "-o", "pxe", "--url", "http://192.0.2.1/smartos/", "-B", "noimport=true"),
    "platform": ("platform",),
    "boot": ("boot",),
    "tar": ("tar", "-o", "demo.tgz"),
}
"""Each name's command line, to which --dry-run and --json are added."""


def make_inputs(project: Path, folder: Path) -> None:
    """Make the demo workspace in `folder`, and beside its files a platform whose boot archive no library compressed."""
    run(folder.parent, "demo", folder.name)
    built = project / "bootloader" / "built"
    shutil.copytree(built / "boot", folder / "boot-files" / "boot")
    platform = shutil.copytree(built / "platform", folder / PLATFORM)
    archive = random.Random(2).randbytes(300_000)
    files = {
        "i86pc/amd64/boot_archive": archive,
        "i86pc/amd64/boot_archive.hash": hashlib.sha1(archive).hexdigest().encode() + b"\n",
        "etc/version/platform": f"{STAMP}\n".encode(),
    }
    for name, data in files.items():
        (platform / name).parent.mkdir(parents=True, exist_ok=True)
        (platform / name).write_bytes(data)
    for path in [*platform.rglob("*"), *(folder / "boot-files").rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def run(folder: Path, *arguments: str) -> str:
    """Run imagekit in a folder; return what it printed."""
    done = imagekit(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr
    return done.stdout


def plan(folder: Path, name: str) -> str:
    """Return the plan of a name as JSON."""
    return run(folder, *PLANS[name], "--dry-run", "--json")
