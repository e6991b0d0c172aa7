"""FAT's names and times; pyfatfs, whose code for them is not used here, is the oracle."""

import calendar

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pyfatfs.EightDotThree import EightDotThree
from pyfatfs.FATDirectoryEntry import make_lfn_entry

from imagekit.errors import PlanError
from imagekit.formats.fat import names

NAMES = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=90).filter(
    lambda name: not names.fault(name)
)


@pytest.mark.parametrize(
    ("name", "alias"),
    [
        ("README", b"README     "),
        ("BOOTX64.EFI", b"BOOTX64 EFI"),
        ("boot", b"BOOT       "),
        ("cdboot.Bin", b"CDBOOT  BIN"),
        ("loader.conf", b"LOADER~1CON"),
        ("boot_archive", b"BOOT_A~1   "),
        (".profile", b"PROFIL~1   "),
        ("a b.txt", b"AB~1    TXT"),
        ("a+b", b"A_B~1      "),
        ("brand-smartos.4th", b"BRAND-~14TH"),
        ("a.b.c", b"AB~1    C  "),
        ("日本", b"__~1       "),
        ("straße", b"STRASS~1   "),
        ("X.", None),
        ("12345678.123", b"12345678123"),
        ("123456789", b"123456~1   "),
    ],
)
def test_alias(name, alias):
    if alias is None:
        assert names.fault(name)
    else:
        assert names.aliases([name]) == [alias]


@pytest.mark.parametrize(
    ("name", "needs"),
    [("README", False), ("readme", True), ("README.TXT", False), ("README.TEXT", True), ("A.B.C", True), ("É", True)],
)
def test_only_names_that_fit_as_they_stand_have_no_long_name(name, needs):
    assert names.fits(name) is not needs
    assert names.record_count(name) == (2 if needs else 1)


def test_names_that_fit_keep_their_alias_from_others():
    assert names.aliases(["loader.config", "LOADER~1.CON", "loader.conf", "LOADER~3.con"]) == [
        b"LOADER~2CON",
        b"LOADER~1CON",
        b"LOADER~4CON",
        b"LOADER~3CON",
    ]


def test_thousands_of_like_names_get_different_aliases():
    like = [f"Some Long Name {number}.service" for number in range(12000)]
    found = names.aliases(like)
    assert len(set(found)) == len(like)
    assert (found[0], found[-1]) == (b"SOMELO~1SER", b"SO~12000SER")
    assert names.aliases(like) == found


@given(st.lists(NAMES, unique_by=names.folded, max_size=60))
@settings(deadline=None, max_examples=60)
def test_aliases_are_short_names_and_unique(several):
    found = names.aliases(several)
    assert len(set(found)) == len(several)
    for name, alias in zip(several, found, strict=True):
        assert EightDotThree.is_8dot3_conform(names.shown(alias))
        assert len(alias) == 11
        if names.fits(name):
            assert names.shown(alias) == name


@given(NAMES.filter(lambda name: not names.fits(name)))
@settings(deadline=None, max_examples=150)
def test_long_records_are_those_of_pyfatfs(name):
    (alias,) = names.aliases([name])
    short = EightDotThree()
    short.set_byte_name(alias)
    assert names.checksum(alias) == short.checksum()
    records = names.long_records(name, alias)
    assert len(records) == 32 * (names.record_count(name) - 1)
    # pyfatfs refuses more than 255 bytes, and gives no long name to what code page 437 can write.
    if len(name.encode("utf-16-le")) <= 255 and not EightDotThree.is_8dot3_conform(name):
        assert records == bytes(make_lfn_entry(name, short))


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("a:b", "':'"),
        ("a*b?", "'*' '?'"),
        ("back\\slash", r"'\\\\'"),
        ('q"', "'\"'"),
        ("tab\t", r"'\\t'"),
        ("dot.", "end in a dot"),
        ("blank ", "end in a space"),
        ("x" * 256, "256 UTF-16 units"),
        ("😀" * 128, "256 UTF-16 units"),
        ("latin\udce9", "not UTF-8"),
    ],
)
def test_faults(name, says):
    fault = names.fault(name)
    assert fault
    assert says.replace("\\\\", "\\") in fault


@pytest.mark.parametrize("name", ["x" * 255, "😀" * 127, "+,;=[]", " leading", ".hidden", "CON", "a~1", "\x7f"])
def test_allowed(name):
    assert names.fault(name) is None


def test_folding_takes_what_any_system_may_take_as_the_same():
    assert names.folded("Straße") == names.folded("sTRAßE") != names.folded("STRASSE")
    assert names.folded("ÄöÜ") == names.folded("äÖü")


@pytest.mark.parametrize("label", ["", "SMARTOSBOOT", "A B", "EFI-1_2"])
def test_good_label(label):
    names.check_label(label)


@pytest.mark.parametrize(
    ("label", "says"),
    [("smartos", "'a'"), ("TWELVE CHARS", "12 characters"), (" A", "space"), ("Ä", r"'\xc4'"), ("NO NAME", "no label")],
)
def test_bad_label(label, says):
    with pytest.raises(PlanError) as error:
        names.check_label(label)
    assert says in str(error.value)


@given(st.integers(names.EARLIEST, names.LATEST))
@settings(max_examples=100)
def test_times_keep_even_seconds(seconds):
    assert names.from_dos(*names.to_dos(seconds)) == seconds - seconds % 2


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (0, (1980, 1, 1, 0, 0, 0)),
        (-5, (1980, 1, 1, 0, 0, 0)),
        (1 << 40, (2107, 12, 31, 23, 59, 58)),
        (1700000001, (2023, 11, 14, 22, 13, 20)),
    ],
)
def test_times_outside_the_range_become_the_nearest(seconds, expected):
    assert names.from_dos(*names.to_dos(seconds)) == calendar.timegm(expected)


@pytest.mark.parametrize(("date", "clock"), [(0, 0), (0xFFFF, 0), (13 << 5, 5)])
def test_a_date_that_is_none_reads_as_1980(date, clock):
    assert names.from_dos(date, clock) // 86400 == names.EARLIEST // 86400
