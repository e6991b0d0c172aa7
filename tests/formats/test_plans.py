"""The plans of all formats: the same parts, which agree with each other."""

import json
import uuid

import pytest

from imagekit.content import Bytes
from imagekit.formats import Plan, fat, gpt, iso, ufs
from imagekit.tree import Directory, File, Tree


def tree() -> Tree:
    result = Tree()
    result.add(Directory(path="boot"))
    result.add(File(path="boot/loader", content=Bytes(b"program" * 1000)))
    return result


PLANS = {
    "fat": lambda: fat.plan(tree(), 1 << 20, label="TEST", volume_id=1, kind=None),
    "gpt": lambda: gpt.GptPlan(
        size=1 << 20,
        disk_guid=uuid.UUID(int=1),
        partitions=[
            gpt.Partition(
                index=0, name="root", type_guid=gpt.ILLUMOS_ROOT, guid=uuid.UUID(int=2), first_lba=34, sectors=8
            )
        ],
    ),
    "iso": lambda: iso.plan(tree(), volume_id="TEST", time=0),
    "ufs": lambda: ufs.plan(tree(), 4 << 20, time=0),
}


@pytest.mark.parametrize("name", PLANS)
def test_every_plan_has_the_same_parts(name):
    plan = PLANS[name]()
    assert isinstance(plan, Plan)
    assert plan.content().size == plan.size
    assert "".join(plan.lines()).isprintable()
    assert f"{plan.size}" in json.dumps(plan.data())


@pytest.mark.parametrize("name", PLANS)
def test_one_request_has_one_plan(name):
    first, second = PLANS[name](), PLANS[name]()
    assert first.data() == second.data()
    assert list(first.lines()) == list(second.lines())
    assert first.content().read() == second.content().read()
