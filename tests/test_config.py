"""imagekit.yaml: all that is wrong with it is said at once, each with its line."""

import re
from pathlib import Path

import pytest

from imagekit.config import read_config
from imagekit.errors import InputError


def test_all_slips_are_told_with_their_lines(tmp_path: Path):
    path = tmp_path / "imagekit.yaml"
    path.write_text(
        "platform:\n"
        "  root-size: big\n"
        "  usr-sise: 1\n"
        "  complete: [usr, '', [etc]]\n"
        "  prebuilt: {etc/x: }\n"
        "  hooks:\n"
        "    whatis: []\n"
        "    smf-import: make\n"
        "  known:\n"
        "    - {code: M401, path: x}\n"
        "    - {}\n"
        "    - {cod: M303, path: x}\n"
        "    - {code: [M303], path: x}\n"
        "boot: [known]\n"
    )
    with pytest.raises(InputError) as caught:
        read_config(path, ("smf-import", "whatis"))
    heading, *lines = str(caught.value).split("\n")
    assert heading == f"{path}: not a configuration: 12 problems:"
    told = [re.sub(r"^  .*/imagekit\.yaml:", "", line) for line in lines]
    assert told == [
        "3: unknown key 'usr-sise' in platform (did you mean usr-size?)",
        "14: boot: expected a mapping, found a list or mapping",
        "2: root-size: expected a number, found 'big'",
        "4: complete: expected a word, found ''",
        "4: complete: expected a word, found a list or mapping",
        "5: etc/x: expected a word, found ''",
        "7: whatis: expected a program and its arguments, found an empty list or mapping",
        "8: smf-import: expected a list, found 'make'",
        "10: code: 'M401' is no warning (docs/lint.md explains the codes; errors are never quiet)",
        "11: an entry of known lacks its code and its path",
        "12: unknown key 'cod' in an entry of known (did you mean code?)",
        "13: code: expected a word, found a list or mapping",
    ]


def test_of_many_slips_the_first_are_told(tmp_path: Path):
    path = tmp_path / "imagekit.yaml"
    path.write_text(f"platform:\n  complete: [{', '.join(['[]'] * 100_000)}]\n")
    with pytest.raises(InputError) as caught:
        read_config(path, ())
    assert str(caught.value).endswith("\n  and 99,980 more")
    assert str(caught.value).count("\n") == 21
