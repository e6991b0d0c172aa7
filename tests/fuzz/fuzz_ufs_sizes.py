#!/usr/bin/env python3
"""Drive random trees to the least UFS that holds them, a fragment more and a fragment less, for as long as one likes.

    fuzz_ufs_sizes.py [SECONDS [SEED]]

Every plan that is accepted must give each inode and each fragment one owner, judged here without the product's own
audit; one image in sixteen is made and checked whole.  What is refused must name the least size that works.  What does
not hold is printed with the seed that makes it again, and the exit status is 1.
"""

import random
import sys
import time
import traceback
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from imagekit.content import Bytes, Composite
from imagekit.formats import ufs
from imagekit.tree import Directory, File, HardLink, Special, Symlink, Tree
from kit import ufs_check

KIB = 1024
SHAPES = [(block, block // frag) for block in (4096, 8192) for frag in (1, 2, 4, 8)]
PER_INODE = [512, 2048, 12248, 12248, 14000, 65536, 2097152]


def make_tree(rng: random.Random) -> Tree:
    """Return a tree of all kinds of entries, some of which fill whole cylinder groups with holes."""
    tree = Tree()
    folders, names = [""], []
    for index in range(rng.choice([3, 8, 20])):
        parent = rng.choice(folders)
        path = f"{parent}/{index}".lstrip("/") + "n" * rng.choice([0, 0, 9, 200])
        kind = rng.choice("ffffffhhdlLpm")
        if kind == "f" or (kind == "h" and not names):
            size = rng.choice([0, 0, 1, 1000, 3072, 4096, 5000, 49152, 49153, 90_000, 4_300_000, 4_812_800])
            if size > 49153 or rng.random() < 0.2:
                tree.add(File(path=path, content=Composite(size, [])))
            else:
                tree.add(File(path=path, content=Bytes(bytes([index % 255 + 1]) * rng.randint(0, size))))
        elif kind == "h":
            tree.add(HardLink(path=path, target=rng.choice(names)))
        elif kind in "lL":
            tree.add(Symlink(path=path, target="t" * (rng.randint(1, 60) if kind == "l" else 1000)))
        elif kind == "p":
            tree.add(Special(path=path, type="p"))
        else:
            tree.add(Directory(path=path))
            folders.append(path)
            for child in range(rng.choice([40, 40, 40, 40, 700]) if kind == "m" else 0):
                tree.add(File(path=f"{path}/{child:0{rng.choice([4, 30])}}", content=Bytes(b"x" * (child % 3))))
            continue
        names.append(path)
    for index in range(rng.choice([0, 2, 30])):  # small ones behind all else
        tree.add(File(path=f"z{index}", content=Bytes(b"z" * rng.choice([0, 1, 600]))))
    return tree


def check_owners(plan: ufs.Plan) -> None:
    """Raise AssertionError unless each inode and each fragment of a plan has one owner, where data may be."""
    g = plan.geometry
    numbers = [node.number for node in plan.placement.nodes]
    assert len(set(numbers)) == len(numbers), "an inode has two owners"
    assert min(numbers) == 2, numbers
    assert max(numbers) < g.ncg * g.ipg, numbers
    owned = [
        fragment
        for node in plan.placement.nodes
        for first, count in (*node.data, *node.indirect)
        for fragment in range(first, first + count)
    ]
    held = set(owned)
    assert len(held) == len(owned), "a fragment has two owners"
    tables = {
        group * g.fpg + fragment
        for group in range(g.ncg)
        for fragment in range(g.sblkno if group else 0, g.dblkno if group else g.first_data)
    }
    assert not held & tables, "data in a table"
    assert max(held) < g.size, "data behind the end"
    free = {fragment for fragment in range(g.size) if plan.placement.free[fragment // g.frag] >> fragment % g.frag & 1}
    assert free == set(range(g.size)) - tables - held, "the map of free fragments is wrong"


def drive(seed: int) -> int:
    """Plan the tree of a seed about its least size; return how many plans were accepted."""
    rng = random.Random(seed)
    tree = make_tree(rng)
    block, fragment = SHAPES[seed % len(SHAPES)]
    options = {"block_size": block, "fragment_size": fragment, "bytes_per_inode": rng.choice(PER_INODE)}
    last = rng.choice(["", *(entry.path for entry in tree if entry.path and not isinstance(entry, HardLink))])

    def plan(size: int) -> ufs.Plan | None:
        try:
            return ufs.plan(tree, size, time=0, last=last, **options)
        except ufs.ImageTooSmallError as error:
            needed.append(error.needed)
            return None

    needed: list[int] = []
    assert not plan(512), "512 bytes do"
    least = needed[0]
    step = 64 if least < 10_000 else 1000
    assert plan(least * KIB), f"{least} KiB were said to do"
    assert not plan((least - step) * KIB), f"{least - step} KiB do too"
    assert needed[1] == least, f"{needed[1]} KiB were said to be the least, {least} before"
    low, high = (least - step) * KIB // fragment, least * KIB // fragment
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if plan(middle * fragment) else (middle, high)
    accepted = [made for size in (high - 1, high, high + 1) if (made := plan(size * fragment))]
    for made in accepted:
        check_owners(made)
    if accepted and seed % 16 == seed // 16 % 16:
        assert ufs_check.check(accepted[0].content().read()) == []
    return len(accepted)


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    seed = int(sys.argv[2]) if len(sys.argv) > 2 else 0
    end = time.monotonic() + seconds
    plans = wrong = 0
    while time.monotonic() < end:
        try:
            plans += drive(seed)
        except Exception:  # noqa: BLE001 - this is what is looked for
            wrong += 1
            print(f"seed {seed}:\n{traceback.format_exc()}")
        seed += 1
    print(f"{plans:,} plans, {wrong:,} wrong; next seed {seed}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
