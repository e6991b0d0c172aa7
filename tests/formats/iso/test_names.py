"""The primary descriptor's names: sound, unique, sorted, and what cdboot and the loader look for."""

import re
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.formats.iso.names import d_characters, primary_names, shadowed_names, sort_key
from kit.work import lines_run

FILE = re.compile(rb"[A-Z0-9_]*\.[A-Z0-9_]*;1")
DIRECTORY = re.compile(rb"[A-Z0-9_]{1,31}")


def mangled(*names, directory=False):
    result = primary_names(dict.fromkeys(names, directory))
    return [result[name].decode() for name in names]


def test_what_the_boot_programs_look_for():
    assert mangled("loader", "cdboot", "loader.conf", "loader64.efi") == [
        "LOADER.;1",
        "CDBOOT.;1",
        "LOADER.CONF;1",
        "LOADER64.EFI;1",
    ]
    assert mangled("boot", "x.d", directory=True) == ["BOOT", "X_D"]


def test_shapes():
    assert mangled(".profile", "a.b.c", "x y", "Gr\xfc\xdfe.txt", "trailing.", "boot_archive.gitstatus") == [
        "_PROFILE.;1",
        "A_B.C;1",
        "X_Y.;1",
        "GR__E.TXT;1",
        "TRAILING.;1",
        "BOOT_ARCHIVE.GITSTATUS;1",
    ]
    assert d_characters("\xdfa\udc80") == "_A_"


def test_clashes_keep_the_small_letters_as_they_are():
    assert mangled("Loader", "LOADER", "loader") == ["LOADER_002.;1", "LOADER_001.;1", "LOADER.;1"]
    assert mangled("A.b", "a.b") == ["A_001.B;1", "A.B;1"]
    assert mangled("a" * 40 + "1", "a" * 40 + "2") == ["A" * 30 + ".;1", "A" * 26 + "_001.;1"]
    assert mangled("x." + "e" * 28, "X." + "e" * 28) == ["X." + "E" * 28 + ";1", "X_001." + "E" * 12 + ";1"]


@pytest.mark.parametrize(
    "name",
    [
        "a_rather_long_file_name_{}.ko",  # cut to many different names, whose numbers are then behind one
        "the_numbers_are_cut_off_altogether_{}",
        "{}",
        "n" * 100 + "{}",
        "a" * 24 + "{}_x",
    ],
)
def test_many_names_take_linear_time(name):
    work = []
    for count in (1000, 2000, 4000):
        names = [name.format(number + 9000) for number in range(count)]
        primary = primary_names(dict.fromkeys(names, False))
        assert len(set(primary.values())) == count
        ordered = sorted(names, key=lambda name, primary=primary: sort_key(primary[name]))
        work.append(lines_run(primary_names, dict.fromkeys(names, False)) + lines_run(shadowed_names, ordered))
    assert all(after < 2.5 * before for before, after in pairwise(work))


def test_long_names_leave_room_for_themselves():
    assert mangled("n" * 96 + ".txt") == ["N" * 8 + ".;1"]


@settings(derandomize=True, max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.text(st.characters(codec="utf-8", exclude_characters="/\0"), min_size=1, max_size=60)
        | st.text("aAbB._", min_size=1, max_size=40)
        | st.text("aA", min_size=90, max_size=100),
        st.booleans(),
        max_size=40,
    )
)
def test_names_are_sound_and_unique(names):
    result = primary_names(names)
    assert set(result) == set(names)
    assert len(set(result.values())) == len(names)
    assert result == primary_names(dict(reversed(names.items())))
    for name, primary in result.items():
        assert (DIRECTORY if names[name] else FILE).fullmatch(primary)
        assert len(primary) <= 33
    # Sorted as ECMA-119 9.3 wants: names, then extensions, each padded with spaces.
    by_key = sorted(result.values(), key=sort_key)
    padded = [[part.ljust(31) for part in (primary.split(b";")[0] + b".").split(b".")[:2]] for primary in by_key]
    assert padded == sorted(padded)
    # Plain names that are not too long are in an order that the loader can live with.
    plain = {name: kind for name, kind in names.items() if re.fullmatch("[a-z0-9_.]{1,29}", name)}
    primary = primary_names(plain)
    if all(b"_0" not in name for name in primary.values()):
        assert shadowed_names(sorted(plain, key=lambda name: sort_key(primary[name]))) == []


def test_three_hundred_names_that_differ_late():
    names = {f"A Rather Long Name, in Mixed Case, of Number {number:04}.Txt": False for number in range(1500)}
    assert len(set(primary_names(names).values())) == 1500


def test_shadowed_names():
    assert shadowed_names(["loader64.efi", "loader", "loader.conf"]) == [("loader", "loader64.efi")]
    assert shadowed_names(["loader", "loader64.efi", "loader.conf"]) == []
    assert shadowed_names(["loader.conf", "loader"]) == []
