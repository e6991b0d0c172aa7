"""Plans are reviewed like code: a change of any offset, name or id shows as a difference of a file in this folder."""

import difflib
from pathlib import Path

import pytest

from golden import plans

FOLDER = Path(__file__).parent


@pytest.fixture(scope="module")
def inputs(project, tmp_path_factory):
    folder = tmp_path_factory.mktemp("golden") / "demo"
    plans.make_inputs(project, folder)
    return folder


@pytest.mark.parametrize("name", plans.PLANS)
def test_the_plan_is_the_one_that_was_reviewed(inputs, name):
    expected = (FOLDER / f"{name}.json").read_text()
    found = plans.plan(inputs, name)
    if found != expected:
        lines = difflib.unified_diff(expected.splitlines(), found.splitlines(), "reviewed", "found", lineterm="", n=1)
        pytest.fail("scripts/golden-plans writes the new plan, if it is right:\n" + "\n".join(lines), pytrace=False)


def test_no_plan_is_left_over():
    assert {path.stem for path in FOLDER.glob("*.json")} == set(plans.PLANS)
