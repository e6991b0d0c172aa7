"""Full-size inputs: a workspace with a platform of the real size, and a proto area for the real manifests."""

import hashlib
import random
import shutil
import subprocess
import sys
from pathlib import Path

from full_size.user import PROJECT

STAMP = "20261122T000000Z"
TIME = "2026-11-22T00:00:00Z"
PLATFORM = f"output/platform-{STAMP}"
MANY = "i86pc/amd64/A Directory with Many Long Names"
SHARED = PROJECT.parent / "shared"
ARCHIVE_SIZE = 350_000 * 1024
ODD_NAMES = (
    "e.longer.extension.than.three",
    ".hidden",
    "plus+comma,equals=[brackets]",
    "UPPER.TXT",
    "MiXeD.TxT2",
    "Grüße aus Köln.TXT",
    "Ελληνικά ονόματα.conf",
    "日本語の名前 と長い名前.json",
    "n" * 200,
)


def many_names():
    """Return 400 long names of mixed case, every eighth with letters that are not ASCII."""
    rng = random.Random(400)
    names = list(ODD_NAMES)
    for number in range(len(names), 400):
        words = " ".join(rng.choice(("Module", "driver", "Zone", "LOADER", "network")) for _ in range(3))
        letters = rng.choice(("é", "ß", "Ж", "字")) if number % 8 == 0 else "x"
        names.append(f"{words}-{letters}-{number:03} of a Long Mixed-Case Name.{'Json' if number % 3 else 'tar.GZ'}")
    return names


def make_workspace(folder):
    """Make a workspace as a build leaves it, with the boot stand-ins and a platform of the real size."""
    rng = random.Random(20261122)
    boot = folder / "proto.boot/boot"
    shutil.copytree(PROJECT / "bootloader/built/boot", boot)
    (folder / "proto/boot").mkdir(parents=True)
    (boot / "cdboot").rename(folder / "proto/boot/cdboot")
    platform = folder / PLATFORM
    kernel = platform / "i86pc/kernel/amd64/unix"
    many = platform / MANY
    for path in (kernel.parent, many, platform / "etc/version", folder / "proto.boot/etc/version"):
        path.mkdir(parents=True)
    kernel.write_bytes(rng.randbytes(2_600_000))
    for number, name in enumerate(many_names()):
        (many / name).write_bytes(rng.randbytes(number * 7))
        (many / name).chmod((0o644, 0o444, 0o755, 0o600)[number % 4])
    archive = platform / "i86pc/amd64/boot_archive"
    digest = hashlib.sha1(usedforsecurity=False)
    with archive.open("wb") as file:
        for number in range(ARCHIVE_SIZE // 102_400):
            # Stretches of noise, of what compresses, and of zeros.
            kind = number // 100 % 4
            block = (rng.randbytes(102_400), rng.randbytes(400) * 256, bytes(102_400), rng.randbytes(102_400))[kind]
            file.write(block)
            digest.update(block)
    Path(f"{archive}.hash").write_text(f"{digest.hexdigest()}\n")
    (platform / "etc/version/platform").write_text(f"{STAMP}\n")
    (folder / "proto.boot/etc/version/boot").write_text(f"{STAMP}\n")
    (platform / "root.password").write_text("secret\n")
    (platform / "root.password").chmod(0o600)
    (folder / "output/platform-latest").symlink_to(f"platform-{STAMP}")
    return folder


def make_proto(folder):
    """Make the full proto area of the real manifests in `folder`; return the manifests' folder, None if not there."""
    maker, manifests = SHARED / "tools/make-proto", SHARED / "data/manifests"
    if not maker.exists() or not manifests.is_dir():
        return None
    command = [sys.executable, str(maker), "--manifests", str(manifests), "--out", str(folder)]
    subprocess.run(command, check=True, capture_output=True)
    seeds = SHARED / "data/proto-seed"
    for seed in seeds.rglob("*"):  # without their modes: they may be read-only
        if seed.is_file():
            (folder / seed.relative_to(seeds)).write_bytes(seed.read_bytes())
    for path in folder.rglob("*"):
        if path.is_dir() and not path.is_symlink():
            path.chmod(0o755)
        elif not path.is_symlink():
            path.chmod(0o644)
    return manifests
