"""The least size of an image, a fragment more and a fragment less: what is planned is sound, what is said is true."""

import re

import pytest

from fuzz import fuzz_ufs_sizes
from imagekit.content import Bytes, Composite
from imagekit.errors import PlanError
from imagekit.formats import ufs
from imagekit.formats.ufs.audit import audit
from imagekit.tree import Directory, File, HardLink, Tree

KIB = 1024


@pytest.mark.parametrize("seeds", [range(start, start + 25) for start in range(0, 200, 25)], ids=lambda seeds: seeds[0])
def test_random_trees_at_their_least_size(seeds):
    plans = 0
    for seed in seeds:
        try:
            plans += fuzz_ufs_sizes.drive(seed)
        except AssertionError as error:
            error.add_note(f"seed {seed}")
            raise
    assert plans >= len(seeds)


def test_inodes_behind_the_last_group_are_handed_out_once():
    tree = Tree.of([File(path="a", content=Bytes(b"a")), File(path="b", content=Composite(4_812_800, []))])
    for name in "cdefg":
        tree.add(File(path=name, content=Bytes(b"")))
    plan = ufs.plan(tree, 4800 * KIB, time=0, bytes_per_inode=12248)
    assert len(set(plan.placement.numbers.values())) == len(plan.placement.numbers) == 9


@pytest.mark.parametrize("size", [512, 100 * KIB, 511 * KIB])
def test_an_image_that_is_too_small_for_any_tree_says_what_would_do(size):
    tree = Tree.of([File(path="f", content=Bytes(b"x" * 300_000))])
    with pytest.raises(ufs.ImageTooSmallError, match="newfs takes 1,024 sectors or more") as failure:
        ufs.plan(tree, size, time=0, bytes_per_inode=2048)
    assert failure.value.needed == ufs.needed_size(tree, bytes_per_inode=2048)
    with pytest.raises(ufs.ImageTooSmallError):
        ufs.plan(tree, (failure.value.needed - 64) * KIB, time=0, bytes_per_inode=2048)
    assert ufs.plan(tree, failure.value.needed * KIB, time=0, bytes_per_inode=2048)


def test_room_that_is_not_in_whole_blocks_is_said():
    tree = Tree.of([File(path=f"{index}", content=Bytes(b"x" * 3072)) for index in range(100)])
    tree.add(File(path="z", content=Composite(800_000, [])))
    said = [text for size in range(1200, 1600) if "are needed, and" in (text := refusal(tree, size * KIB))]
    assert said
    assert all("whole blocks are needed, and only parts of blocks are left" in text for text in said)


def refusal(tree, size):
    try:
        ufs.plan(tree, size, time=0, bytes_per_inode=2048)
    except ufs.ImageTooSmallError as error:
        return str(error)
    return ""


class TestAudit:
    """What no plan may be: the plan of a small tree, with one place changed."""

    @pytest.fixture
    def plan(self):
        tree = Tree.of([Directory(path="d")])
        for name, size in (("d/a", 5000), ("d/b", 100), ("d/c", 60_000), ("d/e", 0)):
            tree.add(File(path=name, content=Bytes(b"x" * size)))
        return ufs.plan(tree, 1024 * KIB, time=0, bytes_per_inode=2048)

    def refused(self, plan, path, **changes):
        nodes = [node._replace(**changes) if node.entry.path == path else node for node in plan.placement.nodes]
        with pytest.raises(PlanError, match="the plan of the UFS is not sound") as failure:
            audit(plan.geometry, nodes, plan.placement.free)
        assert "nothing was written" in failure.value.hint
        return str(failure.value).removeprefix("the plan of the UFS is not sound: ")

    def node(self, plan, path):
        return next(node for node in plan.placement.nodes if node.entry.path == path)

    def test_plan_as_it_is(self, plan):
        audit(plan.geometry, plan.placement.nodes, plan.placement.free)

    def test_inode_with_two_owners(self, plan):
        said = self.refused(plan, "d/b", number=self.node(plan, "d/a").number)
        assert re.fullmatch(r"/d/a and /d/b both have inode \d", said)

    @pytest.mark.parametrize("number", [-1, 0, 1, 10**6])
    def test_inode_that_is_not_there(self, plan, number):
        assert f"/d/e has inode {number:,} of {plan.geometry.inodes:,}" == self.refused(plan, "d/e", number=number)

    def test_last_inode_is_there(self, plan):
        nodes = [
            node._replace(number=plan.geometry.inodes - 1) if node.entry.path == "d/e" else node
            for node in plan.placement.nodes
        ]
        audit(plan.geometry, nodes, plan.placement.free)

    def test_fragments_with_two_owners(self, plan):
        said = self.refused(plan, "d/b", data=((self.node(plan, "d/c").data[0][0], 1),))
        assert "are also those of /d/c" in said or "/d/c are also those of /d/b" in said

    def test_addresses_with_two_owners(self, plan):
        said = self.refused(plan, "d/c", indirect=self.node(plan, "d/a").data[:1])
        assert "/d/a" in said

    @pytest.mark.parametrize("fragment", [-4, 0, 16, 24, 28])
    def test_tables_are_no_place_for_data(self, plan, fragment):
        assert "are no place for data" in self.refused(plan, "d/b", data=((fragment, 1),))

    def test_nothing_lies_behind_the_end(self, plan):
        assert "are no place for data" in self.refused(plan, "d/b", data=((plan.geometry.size, 1),))

    def test_tail_over_the_boundary_of_a_block(self, plan):
        free = plan.placement.free.rindex(0xF) * plan.geometry.frag
        assert "are no place for data" in self.refused(plan, "d/a", data=((free - 1, 2),))

    @pytest.mark.parametrize("path", ["d/a", "d/b"])
    def test_fragments_too_few(self, plan, path):
        (*runs, (first, count)) = self.node(plan, path).data
        changed = (*runs, (first, count - 1)) if count > 1 else tuple(runs)
        assert "are needed" in self.refused(plan, path, data=changed)

    def test_map_of_free_fragments(self, plan):
        for free in (
            plan.placement.free[:-1],
            plan.placement.free.replace(b"\x0f", b"\x07", 1),
            b"\1" + plan.placement.free[1:],
        ):
            with pytest.raises(PlanError, match="the map of free fragments is not what the files leave"):
                audit(plan.geometry, plan.placement.nodes, free)

    def test_a_plan_that_is_not_sound_is_not_given(self, monkeypatch):
        monkeypatch.setattr("imagekit.formats.ufs.placement._Numbers.take", lambda *_: 7)
        with pytest.raises(PlanError, match="both have inode 7"):
            ufs.plan(Tree.of([Directory(path="x"), Directory(path="y")]), 1024 * KIB, time=0)


def test_messages_name_paths_below_the_mount_point():
    tree = Tree.of([Directory(path="bin"), File(path="bin/x", content=Bytes(b"x" * 3_000_000), uid=-1)])
    with pytest.raises(PlanError, match=r"^/usr/bin/x: UFS cannot hold it"):
        ufs.plan(tree, 1024 * KIB, time=0, mount="usr")
    with pytest.raises(PlanError, match=r"^/usr/none: no inode"):
        ufs.plan(Tree(), 1024 * KIB, time=0, mount="usr", last="none")
    with pytest.raises(PlanError, match=r"^/usr/h: .* a hard link to /usr/none, which is not in the tree"):
        ufs.plan(Tree.of([HardLink(path="h", target="none")]), 1024 * KIB, time=0, mount="usr")
    with pytest.raises(PlanError, match=r"^/usr/huge: a file of"):
        ufs.plan(Tree.of([File(path="huge", content=Composite(1 << 50, []))]), 1024 * KIB, time=0, mount="usr")
    tree.replace(File(path="bin/x", content=Bytes(b"x" * 3_000_000)))
    with pytest.raises(ufs.ImageTooSmallError, match=r"KiB  /usr/bin/x\n(.*\n)*.*KiB  /usr/bin\n") as failure:
        ufs.plan(tree, 1024 * KIB, time=0, mount="usr")
    assert failure.value.largest.files[0][0] == "usr/bin/x"
