import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagekit.boot.mac_address import check_mac, mac_address
from imagekit.errors import InputError

OCTETS = st.lists(st.integers(0, 255), min_size=6, max_size=6)


@given(OCTETS, st.sampled_from(["{:02x}", "{:x}", "{:02X}", "{:X}"]), st.sampled_from(":-"))
def test_every_usual_form_is_known(octets, form, between):
    """As Linux prints them, as illumos does (no leading zeros), and in capitals with hyphens."""
    text = between.join(map(form.format, octets))
    assert check_mac(text) == ":".join(map("{:02x}".format, octets))


@pytest.mark.parametrize(
    "text", ["", "00:50:56:34:60", "00:50:56:34:60:4c:00", "00:50:56:34:60:4g", "0050.5634.604c", "::::"]
)
def test_others_are_refused(text):
    assert mac_address(text) is None
    with pytest.raises(InputError, match="not a MAC address"):
        check_mac(text)
