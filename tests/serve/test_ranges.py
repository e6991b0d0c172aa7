"""Parts of files, as clients ask `imagekit serve` for them."""

import email.utils

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.serve.ranges import UnsatisfiableError, parse

DATA = bytes(range(256)) * 400


class TestRanges:
    @pytest.mark.parametrize(
        ("header", "first", "length"),
        [
            ("bytes=0-0", 0, 1),
            ("bytes=100-199", 100, 100),
            ("bytes=102399-", 102399, 1),
            ("bytes=-5", 102395, 5),
            ("bytes=-999999999", 0, 102400),
            ("bytes=5-99999999999999999999999999", 5, 102395),
            (" BYTES = 1 - 2 ", 1, 2),
        ],
    )
    def test_one(self, ask, header, first, length):
        status, headers, body = ask("/unix", f"Range: {header}")
        assert (status, body) == (206, DATA[first : first + length])
        assert headers["content-length"] == str(length)
        assert headers["content-range"] == f"bytes {first}-{first + length - 1}/{len(DATA)}"

    @pytest.mark.parametrize("header", ["bytes=102400-", "bytes=102400-102401", "bytes=-0", f"bytes={'9' * 5000}-"])
    def test_none_of_it(self, ask, header):
        status, headers, body = ask("/unix", f"Range: {header}")
        assert (status, headers["content-range"]) == (416, f"bytes */{len(DATA)}")
        assert len(body) == int(headers["content-length"])

    def test_nothing_of_an_empty_file(self, ask):
        assert ask("/empty", "Range: bytes=0-")[0] == 416
        assert ask("/empty", "Range: bytes=-1")[0] == 416

    @pytest.mark.parametrize(
        "header", ["bytes=2-1", "bytes=-", "bytes=", "lines=0-1", "bytes=0-1,4-5", "bytes=x-y", "bytes=\xb2-\xb3", "5"]
    )
    def test_no_range_at_all(self, ask, header):
        status, _, body = ask("/unix", f"Range: {header}")
        assert (status, len(body)) == (200, len(DATA))

    def test_only_of_the_same_file(self, ask):
        _, headers, _ = ask("/unix")
        for field in ("etag", "last-modified"):
            value = (
                headers[field]
                if field == "etag"
                else email.utils.formatdate(email.utils.parsedate_to_datetime(headers[field]).timestamp(), usegmt=True)
            )
            assert ask("/unix", "Range: bytes=0-9", f"If-Range: {value}")[0] == 206
        assert ask("/unix", "Range: bytes=0-9", 'If-Range: "other"')[0] == 200

    @given(st.integers(0, 50), st.one_of(st.none(), st.integers(0, 60)), st.one_of(st.none(), st.integers(0, 60)))
    @settings(max_examples=300, derandomize=True, deadline=None)
    def test_as_slices(self, size, first, last):
        data = bytes(range(size))
        header = f"bytes={'' if first is None else first}-{'' if last is None else last}"
        if (first is None and last is None) or (first is not None and last is not None and last < first):
            assert parse(header, size) is None
            return
        wanted = data[max(size - last, 0) :] if first is None else data[first : None if last is None else last + 1]
        if wanted:
            offset, length = parse(header, size)
            assert data[offset : offset + length] == wanted
            assert len(wanted) == length
        else:
            with pytest.raises(UnsatisfiableError):
                parse(header, size)
