"""A small smartos-live workspace for tests: boot programs that satisfy the contracts, and a platform."""

import hashlib
import random
import struct

STAMP = "20261122T000000Z"
NAME = f"platform-{STAMP}"
MULTIBOOT = struct.pack("<3I", 0x1BADB002, 0x00010000, -(0x1BADB002 + 0x00010000) & 0xFFFFFFFF)


def make(folder, *, archive=200_000, names=0):
    """Make a workspace with a boot archive of so many bytes and `names` files of long names."""
    rng = random.Random(7)
    boot = folder / "proto.boot/boot"
    platform = folder / "output" / NAME
    files = {
        boot / "pmbr": b"\xeb\x3c\x90" + rng.randbytes(507) + b"\x55\xaa",
        boot / "gptzfsboot": rng.randbytes(516) + MULTIBOOT + bytes(20) + rng.randbytes(2000),
        boot / "loader": rng.randbytes(5000),
        boot / "loader64.efi": rng.randbytes(7000),
        boot / "loader.conf": b"# to be replaced\n",
        boot / "defaults/loader.conf": b'loader_conf_files="/boot/loader.conf /boot/loader.conf.local"\n',
        boot / "forth/brand-smartos.4th": b"\\ brand\n",
        folder / "proto.boot/etc/version/boot": f"{STAMP}\n".encode(),
        folder / "proto/boot/cdboot": rng.randbytes(5000),
        folder / "proto/boot/isoboot": MULTIBOOT + random.Random(8).randbytes(2500),
        platform / "i86pc/kernel/amd64/unix": b"\x7fELF" + rng.randbytes(40_000),
        platform / "i86pc/amd64/boot_archive": rng.randbytes(archive),
        platform / "etc/version/platform": f"{STAMP}\n".encode(),
    }
    for number in range(names):
        files[platform / f"i86pc/Names That Are Long/A File with a Long Mixed-Case Name, No. {number}"] = b"%d" % number
    files[platform / "i86pc/amd64/boot_archive.hash"] = (
        hashlib.sha1(files[platform / "i86pc/amd64/boot_archive"]).hexdigest().encode() + b"\n"
    )
    for path, data in files.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    (folder / "output/platform-latest").symlink_to(NAME)
    return folder
