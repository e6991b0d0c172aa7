"""Errors that carry their place, and many of them at once."""

import pytest

from imagekit.errors import InputError, PlanError, Problems, listed


def test_the_first_place_stays():
    error = InputError("no such thing", hint="look elsewhere")
    assert error.at("a.mf:3") is error
    assert str(error.at("outside")) == "a.mf:3: no such thing"
    assert error.hint == "look elsewhere"
    assert error.at("outside", hint="give --thing").hint == "give --thing"


def test_no_problems_raise_nothing():
    problems = Problems()
    problems.raise_if_any(InputError, "these are wrong", alone="")
    assert not problems


def test_one_problem_stands_alone_at_its_place():
    problems = Problems()
    problems.add("/a", "is too long", "cut it")
    with pytest.raises(PlanError) as error:
        problems.raise_if_any(PlanError, "these are wrong", alone="cannot be: ", where="tree", hint="mend them")
    assert (str(error.value), error.value.hint) == ("/a: cannot be: is too long", "cut it")


def test_one_problem_without_words_of_its_own_is_listed():
    problems = Problems()
    problems.add(None, "/a = /b")
    with pytest.raises(InputError) as error:
        problems.raise_if_any(InputError, "these are wrong", where="tree", hint="mend them")
    assert (str(error.value), error.value.hint) == ("tree: these are wrong:\n  /a = /b", "mend them")


def test_many_problems_are_listed_with_their_hints_up_to_a_limit():
    problems = Problems()
    for name in "abc":
        problems.add(f"/{name}", "is wrong", "drop it" if name == "a" else None)
    with pytest.raises(PlanError) as error:
        problems.raise_if_any(PlanError, "3 are wrong", alone="", most=2)
    assert str(error.value) == "3 are wrong:\n  /a: is wrong (drop it)\n  /b: is wrong\n  and 1 more"
    assert error.value.where is None


@pytest.mark.parametrize(("count", "says"), [(20, 1), (21, 2)])
def test_the_heading_of_a_long_list_stands_below_it_too(count, says):
    problems = Problems()
    for number in range(count):
        problems.add(f"/{number}", "is wrong")
    with pytest.raises(InputError) as error:
        problems.raise_if_any(InputError, "these are wrong")
    assert str(error.value).count("these are wrong") == says
    assert str(error.value).endswith("is wrong" if says == 1 else "\nthese are wrong")


@pytest.mark.parametrize(("count", "end"), [(0, ""), (1, "\n  0"), (2, "\n  0\n  1"), (1002, "\n  and 1,000 more")])
def test_a_list_tells_how_many_it_leaves_out(count, end):
    assert listed([str(number) for number in range(count)], most=2).endswith(end)
    assert listed([str(number) for number in range(count)]).count("\n") == count
