#!/usr/bin/env python3
"""Damage UFS images and compressed lofi files at random, for as long as one likes.

    fuzz_ufs.py [SECONDS [SEED]]

Every damaged image must give a tree or a FormatError, within limits of memory and time that a small image deserves,
and the tests' checker must not raise; anything else is printed with the seed that makes it again, and the exit status
is 1.
"""

import random
import resource
import struct
import sys
import time
import traceback
import zlib
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from imagekit.content import Bytes, Composite
from imagekit.errors import FormatError
from imagekit.formats import lofi, ufs
from imagekit.tree import Directory, File, HardLink, Special, Symlink, Tree
from kit import ufs_check

MEMORY = 1 << 30
SLOW = 5.0
SEGMENT = 16384


def make_image(block_size: int) -> tuple[bytes, list[tuple[int, int]]]:
    """Return an image, and the (offset, length) of what is worth damaging in it."""
    tree = Tree.of([Directory(path="d"), Directory(path="d/e")])
    for size in (0, 1000, 5000, 49153, 90_000):
        tree.add(File(path=f"d/{size}", content=Bytes(bytes(range(1, 251)) * (size // 250 + 1))))
    tree.add(File(path="large", content=Composite(9_000_000, [(0, Bytes(b"x")), (8_999_999, Bytes(b"x"))])))
    tree.add(HardLink(path="d/e/hard", target="large"))
    tree.add(Symlink(path="l", target="d/e"))
    tree.add(Special(path="c", type="c", major=1, minor=2))
    for index in range(300):
        tree.add(File(path=f"d/e/{index:04}", content=Bytes(b"")))
    plan = ufs.plan(tree, 16 << 20, time=0, block_size=block_size, bytes_per_inode=8192)
    g = plan.geometry
    places = [(8192, 1380), (g.iblkno * g.fsize, 400 * 128)]
    places += [
        (first * g.fsize, count * g.fsize)
        for node in plan.placement.nodes
        for first, count in (node.indirect or (node.data if isinstance(node.entry, Directory) else ()))
    ]
    return plan.content().read(), places


def pack_lofi(image: bytes) -> bytes:
    segments = [b"\1" + zlib.compress(image[at : at + SEGMENT]) for at in range(0, len(image), SEGMENT)]
    index = [0]
    for segment in segments:
        index.append(index[-1] + len(segment))
    header = struct.pack(">36s3I", b"gzip", SEGMENT, len(index), SEGMENT)
    return header + struct.pack(f">{len(index)}Q", *index) + b"".join(segments)


def damage(rng: random.Random, image: bytes, places: list[tuple[int, int]]) -> bytes:
    data = bytearray(image)
    for _ in range(rng.choice([1, 1, 1, 2, 3, 8, 40])):
        start, length = rng.choice(places)
        at = start + rng.randrange(length - 8) // 4 * 4
        kind = rng.randrange(5)
        if kind == 0:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + 4] = rng.randbytes(4)
        elif kind == 2:
            data[at : at + 4] = struct.pack("<i", rng.choice([0, -1, 1, 2, 3, 1 << 30, -(1 << 31), 16384, 80, 84]))
        elif kind == 3:
            data[at : at + 8] = rng.choice([b"\xff", b"\0", b"\x7f"]) * 8
        else:  # what stands elsewhere
            other, room = rng.choice(places)
            source = other + rng.randrange(room - 8) // 4 * 4
            count = min(rng.choice([4, 8, 128, 512]), start + length - at, other + room - source)
            data[at : at + count] = data[source : source + count]
    if rng.random() < 0.02:
        del data[rng.randrange(len(data)) // 512 * 512 + 512 :]
    return bytes(data)


def read_all(content) -> None:
    for file in ufs.read(content).files():
        file.content.read(0, min(file.content.size, 1 << 20))
        sum(length for _, length in file.content.data_ranges())


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    images = [make_image(size) for size in (4096, 8192)]
    packed = pack_lofi(images[0][0])
    end = time.monotonic() + seconds
    trees = refused = wrong = 0
    while time.monotonic() < end:
        rng = random.Random(seed)
        image, places = images[seed % 2]
        if seed % 5 == 4:
            places = [(0, 2000), (2000, len(packed) - 2000)]
            content = Bytes(damage(rng, packed, places), "x.lgz")
        else:
            content = Bytes(damage(rng, image, places), "x.ufs")
        began = time.monotonic()
        try:
            if seed % 20 == 0:
                ufs_check.check(content.read())
            read_all(lofi.Lofi(content) if seed % 5 == 4 else content)
            trees += 1
        except FormatError:
            refused += 1
        except Exception:  # noqa: BLE001 - this is what is looked for
            wrong += 1
            print(f"seed {seed}:\n{traceback.format_exc()}")
        if time.monotonic() - began > SLOW:
            wrong += 1
            print(f"seed {seed}: took {time.monotonic() - began:.1f} s")
        seed += 1
    print(f"{trees:,} read, {refused:,} refused, {wrong:,} wrong; next seed {seed}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
