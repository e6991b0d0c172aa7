import uuid

import pytest

from imagekit.clock import Stamp, build_time, derived_uuid, undated
from imagekit.errors import InputError


def test_the_stamp_is_read_as_utc(monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert Stamp("20261122T000000Z").seconds == 1795305600
    assert build_time(Stamp("20261122T000000Z")) == 1795305600
    assert build_time(None) == 315532800


def test_source_date_epoch_comes_first(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    assert build_time(Stamp("20261122T000000Z")) == 1000000000


@pytest.mark.parametrize(
    "text", ["yesterday", "-5", "1e9", "\u0661", "9" * 5000, "253402300800", "0" * 5000 + "5", "5\n", " 5"]
)
def test_a_bad_epoch_is_an_error(monkeypatch, text):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    with pytest.raises(InputError, match="SOURCE_DATE_EPOCH"):
        build_time(None)


@pytest.mark.parametrize("seconds", [0, 4102444800, 2**33, 253402300799])
def test_an_epoch_is_what_it_says(monkeypatch, seconds):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", str(seconds))
    assert build_time(Stamp("20261122T000000Z")) == seconds


@pytest.mark.parametrize(
    "text",
    [
        *("", "20261122T000000Z\n", " 20261122T000000Z", "2026112\u0662T000000Z", "9" * 5000, "x" * 101, "two words"),
        *("..", ".hidden", "-x", "a/b", "a\0b", "a,b", "$(id)", "a'b", 'a"b', "caf\u00e9", "a;b", "a#b", "a&b"),
    ],
)
def test_what_cannot_be_in_a_name_or_a_url_is_no_stamp(text):
    with pytest.raises(InputError, match="build stamp"):
        Stamp(text)


@pytest.mark.parametrize(
    "text",
    [
        *("2026", "my-fix", "0", "_x+y:z@h=1~2.3", "x" * 100, "20261322T000000Z", "20261122T000000", "202611T00000Z"),
        *("2026112T000000Z", "19691231T235959Z", "00000101T000000Z", "20261122T000061Z", "20260229T000000Z"),
        *("20261122t000000z", "120261122T000000Z", "x20261122T000000Z", "20261122T000000Zx"),
    ],
)
def test_a_stamp_without_a_date_is_one_and_of_1980(monkeypatch, text):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    stamp = Stamp(text)
    assert stamp.seconds is None
    assert build_time(stamp) == 315532800
    assert "SOURCE_DATE_EPOCH" in undated(stamp)[0]
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "7")
    assert build_time(stamp) == 7
    assert undated(stamp) == []


@pytest.mark.parametrize(
    "text",
    ["20261122T000000Z-fix", "release-20261122T000000Z", "19700101T000000Z-20261122T000000Z", "a_b.20261122T000000Z"],
)
def test_a_date_in_a_stamp_is_its_time(monkeypatch, text):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert Stamp(text).seconds == 1795305600
    assert undated(Stamp(text)) == []


def test_ids_depend_on_every_part_and_on_nothing_else():
    assert derived_uuid("a", "bc") == derived_uuid("a", "bc")
    assert len({derived_uuid("a", "bc"), derived_uuid("ab", "c"), derived_uuid("abc")}) == 3


def test_ids_are_the_standard_s_and_stay_what_they_are():
    namespace = uuid.UUID("6f1c3f0e-0d57-5c0c-9d0a-1d6c5f3f7c11")
    for parts in (("usb", "platform-20261122T000000Z", "disk"), ("sch\u00f6n",), ()):
        assert derived_uuid(*parts) == uuid.uuid5(namespace, "\0".join(parts))
    assert derived_uuid("usb", "disk").version == 5


def test_names_that_are_no_utf_8_have_ids():
    names = [b"caf\xe9", b"caf\xe8", "caf\u00e9".encode()]
    ids = {derived_uuid("file", name.decode("utf-8", "surrogateescape")) for name in names}
    assert len(ids) == 3
