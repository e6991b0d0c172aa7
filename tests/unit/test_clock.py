import pytest

from imagekit.clock import Stamp, build_time, derived_uuid
from imagekit.errors import InputError


def test_the_stamp_is_read_as_utc(monkeypatch):
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert Stamp("20261122T000000Z").seconds == 1795305600
    assert build_time(Stamp("20261122T000000Z")) == 1795305600
    assert build_time(None) == 315532800


def test_source_date_epoch_comes_first(monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1000000000")
    assert build_time(Stamp("20261122T000000Z")) == 1000000000


@pytest.mark.parametrize("text", ["yesterday", "-5", "1e9", "\u0661"])
def test_a_bad_epoch_is_an_error(monkeypatch, text):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
    with pytest.raises(InputError, match="SOURCE_DATE_EPOCH"):
        build_time(None)


@pytest.mark.parametrize("text", ["", "2026", "20261322T000000Z", "20261122T000000"])
def test_a_bad_stamp_is_an_error(text):
    with pytest.raises(InputError, match="build stamp"):
        Stamp(text)


def test_ids_depend_on_every_part_and_on_nothing_else():
    assert derived_uuid("a", "bc") == derived_uuid("a", "bc")
    assert len({derived_uuid("a", "bc"), derived_uuid("ab", "c"), derived_uuid("abc")}) == 3
