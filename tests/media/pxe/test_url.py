"""--url: what iPXE can use passes, all else is refused with the reason."""

import ipaddress
from urllib.parse import urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagekit.errors import InputError
from imagekit.media.pxe import check_url
from imagekit.media.pxe.url import server_address


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("http://10.0.0.5", "http://10.0.0.5/"),
        ("https://boot-1.example.org:8443/a/b", "https://boot-1.example.org:8443/a/b/"),
        ("http://[2001:db8::1]/x/", "http://[2001:db8::1]/x/"),
        ("http://[2001:db8::1]:1/x/", "http://[2001:db8::1]:1/x/"),
        ("tftp://${next-server}/", "tftp://${next-server}/"),
        ("http://${next-server}:65535/a%20b/", "http://${next-server}:65535/a%20b/"),
        ("http://h/a@b~c/", "http://h/a@b~c/"),
    ],
)
def test_taken(text, expected):
    assert check_url(text) == expected


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("http://2001:db8::1/x/", r"an IPv6 address stands in brackets: http://\[2001:db8::1\]/"),
        ("http://2001:db8::1:80/", "in brackets"),
        ("http://::1/", "in brackets"),
        ("http://[2001:db8::1/", "in brackets|no host"),
        ("http://[::1%eth0]/", "no IPv6 address"),
        ("http://[1.2.3.4]/", "no IPv6 address"),
        ("http://h:99999/x/", "a port is a number from 1 to 65535, found '99999'"),
        ("http://h:0/", "a port is a number"),
        ("http://[::1]:65536/", "a port is a number"),
        ("http://h:/", "a port is a number"),
        ("http://h:٨٠/", "a port is a number"),
        ("http://h:+80/", "a port is a number"),
        ("http://10.0.0/", "10.0.0 is no IPv4 address"),
        ("http://10.0.0.256/", "no IPv4 address"),
        ("http://10.0.0.05/", "no IPv4 address"),
        ("http:///x/", "it names no server"),
        ("http://:80/", "it names no server"),
        ("http://-h/", "no host name"),
        ("http://a..b/", "no host name"),
        (f"http://{'a' * 64}/", "no host name"),
        (f"http://{'a.' * 127}b/", "no host name"),
        ("http://${x}/", "no host name"),
        ("http://u:p@h/", "user:password@ would show both to everyone who fetches the scripts"),
        ("http://u@h/", "user:password@"),
        ("http://h/a b/", "its path"),
        ("http://h/a:b/", "its path"),
        ("http://h/\nboot", "its path"),
        ("http://h\n/", "no host name"),
        ("http://h/%2", "its path"),
        ("http://h/?a=b", "not a URL"),
        ("http://h/#a", "not a URL"),
        ("ftp://h/", "not a URL"),
        ("http:/h/", "not a URL"),
        ("/srv/tftp", "not a URL"),
    ],
)
def test_refused(text, reason):
    with pytest.raises(InputError, match=reason) as caught:
        check_url(text)
    assert caught.value.hint
    assert "u:p" not in str(caught.value)


PARTS = st.sampled_from(
    ["http", "tftp", "://", ":", "/", "[", "]", "::1", "h", "1.2.3.4", "80", "0", "@", "%", "%20", " ", "\n", '"', "'"]
) | st.sampled_from(["${next-server}", "${x}", "#", "?", "||", ";", "\\", "ä", "-", "."])


@given(st.lists(PARTS, max_size=8).map(lambda parts: "http://" + "".join(parts)))
def test_what_is_taken_is_one_word_with_a_host_and_a_port(text):
    try:
        url = check_url(text)
    except InputError:
        return
    assert not set(url) & set(" \t\n\"'\\#;?@|,") - {"@"}
    assert url.endswith("/")
    assert check_url(url) == url
    split = urlsplit(url.replace("${next-server}", "10.0.0.1"))
    assert split.username is None
    assert split.port is None or 1 <= split.port <= 65535
    assert split.hostname
    if ":" in split.hostname:
        ipaddress.IPv6Address(split.hostname)


def test_what_dhcp_needs_of_it():
    assert server_address("http://10.0.0.5:8080/x/") == "10.0.0.5"
    assert server_address("http://[::1]/") is None
    assert server_address("http://10.example.org/") is None
