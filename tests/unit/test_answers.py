"""answers.json: what is refused, what is warned of, and where."""

import json
import re
from pathlib import Path

import pytest

from imagekit.boot.answers import SMARTOS_KEYS, TRITON_KEYS, check_answers
from imagekit.errors import InputError

# The example of SmartOS's documentation of non-interactive installation, but for its admin_mac.
GOOD = {
    "config_console": True,
    "skip_instructions": True,
    "simple_headers": True,
    "admin_nic": "52:54:00:2f:61:34",
    "admin_ip": "dhcp",
    "headnode_default_gateway": "none",
    "dns_resolver1": "8.8.8.8",
    "dns_resolver2": "8.8.4.4",
    "dns_search": "example.com",
    "ntp_host": "0.smartos.pool.ntp.org",
    "skip_ntp_check": True,
    "zpool_layout": "default",
    "zpool_confirm_layout": "yes",
    "bootpool": "none",
    "install_pkgsrc": "no",
    "hostname": "brainiac",
    "skip_final_confirm": True,
}


@pytest.fixture
def check(tmp_path):
    def run(answers):
        path = tmp_path / "answers.json"
        data = answers if isinstance(answers, bytes) else json.dumps(answers).encode()
        path.write_bytes(data)
        return [line.removeprefix(f"{path}: ") for line in check_answers(path)]

    return run


def test_a_documented_file_is_fine(check):
    assert check(GOOD) == []


def test_every_key_of_smartos_and_triton_is_known(check):
    usual = dict.fromkeys((*SMARTOS_KEYS, *TRITON_KEYS), "x")
    values = {"admin_ip": "10.0.0.2", "admin_netmask": "255.0.0.0", "headnode_default_gateway": "10.0.0.1"}
    values |= {"zpool_layout": "mirror", "admin_nic": "00:50:56:34:60:4c"}
    assert [line for line in check(usual | values) if "clear text" not in line] == []


@pytest.mark.parametrize(
    ("data", "place", "message"),
    [
        (b'{\n  "admin_ip": "dhcp",\n}\n', "3:1", "not valid JSON: Expecting property name"),
        (b'{"a": 1\n "b": 2}', "2:2", "not valid JSON: Expecting ',' delimiter"),
        (b"", "1:1", "not valid JSON"),
        (b"\xef\xbb\xbf{}", "1:1", "not valid JSON"),
        (b'{\n "hostname": "f\xfcr"}', "2:16", "not UTF-8: byte 0xfc"),
        (b'{"a": NaN}', "", "NaN"),
        (b"[1]", "", "expected an object"),
        (b"[" * 100_000, "", "nested too deeply"),
        (b'{"hostname": "a", "hostname": "b"}', "", "answered more than once: hostname"),
        (b'{"hostname": null, "admin_ip": ["dhcp"]}', "", "found something else for hostname, admin_ip"),
    ],
)
def test_what_setup_would_not_read_is_refused(check, tmp_path, data, place, message):
    with pytest.raises(InputError, match=re.escape(message)) as caught:
        check(data)
    assert caught.value.where == ":".join(filter(None, [str(tmp_path / "answers.json"), place]))


def test_too_large_and_missing(check, tmp_path):
    with pytest.raises(InputError, match="2,000,000 bytes are no file of answers"):
        check(b" " * 2_000_000)
    with pytest.raises(InputError, match="cannot read: No such file"):
        check_answers(tmp_path / "none")
    with pytest.raises(InputError, match="cannot read: Is a directory"):
        check_answers(Path(tmp_path))


@pytest.mark.parametrize(
    ("more", "warning"),
    [
        ({"root_pasword": "x"}, "setup asks for no 'root_pasword'; did you mean root_password?"),
        ({"qqqq": "x"}, "setup asks for no 'qqqq'"),
        ({"admin_mac": "52:54:00:2f:61:34"}, "setup reads admin_nic, not admin_mac; the value is a MAC address"),
        ({"admin_nic": "52:54:00:2F:61:34"}, "admin_nic is '52:54:00:2F:61:34', expected a MAC address in lower case"),
        ({"admin_ip": "10.0.0.256"}, "admin_ip is '10.0.0.256', expected an IPv4 address or dhcp"),
        ({"admin_netmask": "/24"}, "admin_netmask is '/24', expected an IPv4 address"),
        ({"headnode_default_gateway": 7}, "headnode_default_gateway is 7, expected an IPv4 address or dhcp or none"),
        ({"zpool_layout": "raidz"}, "zpool_layout is 'raidz', expected one of default, mirror, raidz2, manual"),
        (
            {"root_password": "secret", "admin_password": "x"},
            "root_password and admin_password will lie on the medium in clear text",
        ),
    ],
)
def test_what_would_stop_setup_is_warned_of(check, more, warning):
    (line,) = check(GOOD | more)
    assert line.startswith(warning)
    assert "secret" not in line


def test_without_config_console_setup_waits(check):
    (line,) = check({"hostname": "a"})
    assert line.startswith("without config_console, setup waits for Enter")


def test_an_empty_password_and_default_values_are_fine(check):
    assert check(GOOD | {"root_password": "", "admin_ip": "<default>"}) == []
