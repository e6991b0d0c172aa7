"""answers.json: what is refused, what is warned of, and where."""

import json
import re
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagekit.boot.answers import SMARTOS_KEYS, TRITON_KEYS, check_answers, read_answers
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
    "root_password": "secret",
    "hostname": "brainiac",
    "skip_final_confirm": True,
}


@pytest.fixture
def check(tmp_path):
    def run(answers):
        path = tmp_path / "answers.json"
        data = answers if isinstance(answers, bytes) else json.dumps(answers).encode()
        return [line.removeprefix(f"{path}: ") for line in check_answers(data, str(path))]

    return run


CLEAR = "root_password will lie on the medium in clear text, for whoever can read it"
TRITON = {
    "config_console": True,
    "skip_instructions": True,
    "datacenter_company_name": "x",
    "region_name": "x",
    "datacenter_name": "x",
    "datacenter_location": "x",
    "admin_ip": "10.0.0.2",
    "admin_netmask": "255.0.0.0",
    "admin_provisionable_start": "<default>",
    "setup_external_network": "no",
    "headnode_default_gateway": "none",
    "dns_resolver1": "8.8.8.8",
    "dns_resolver2": "8.8.4.4",
    "dns_domain": "example.com",
    "dns_search": "example.com",
    "ntp_hosts": "<default>",
    "root_password": "x",
    "admin_password": "x1",
    "mail_to": "<default>",
    "mail_from": "<default>",
    "skip_final_confirm": True,
}


def test_a_documented_file_is_fine(check):
    assert check(GOOD) == [CLEAR]
    assert check(TRITON) == [CLEAR.replace("root_password", "root_password and admin_password")]
    assert check(TRITON | {"root_password": "", "admin_password": ""}) == [
        "setup will stop and ask for root_password, admin_password"
    ]


def test_every_key_of_smartos_and_triton_is_known(check):
    usual = dict.fromkeys((*SMARTOS_KEYS, *TRITON_KEYS), "x") | {
        "skip_instructions": True,
        "skip_final_confirm": "true",
    }
    values = {"admin_ip": "10.0.0.2", "admin_netmask": "255.0.0.0", "headnode_default_gateway": "10.0.0.1"}
    values |= {"zpool_layout": "mirror", "zpool_confirm_layout": "yes", "admin_nic": "00:50:56:34:60:4c"}
    assert [line for line in check(usual | values) if "clear text" not in line] == []


# What smartos_prompt_config.sh asks of a machine with one network card that has no configuration yet.
ASKED = {
    "admin_ip": "dhcp",
    "headnode_default_gateway": "<default>",
    "dns_resolver1": "<default>",
    "dns_resolver2": "<default>",
    "dns_search": "a",
    "ntp_host": "<default>",
    "zpool_confirm_layout": "<default>",
    "bootpool": "none",
    "install_pkgsrc": "<default>",
    "root_password": "a",
    "hostname": "",
}
QUIET = {"config_console": True, "skip_instructions": True, "skip_final_confirm": True}


def test_what_is_enough_for_setup(check):
    assert check(ASKED | QUIET) == [CLEAR]


@pytest.mark.parametrize("key", ASKED)
def test_every_question_without_an_answer_stops_setup(check, key):
    answers = ASKED | QUIET
    del answers[key]
    assert f"setup will stop and ask for {key}" in check(answers)
    if key not in {"hostname", "bootpool"}:
        assert f"setup will stop and ask for {key}" in check(answers | {key: ""})


def test_questions_that_depend_on_others(check):
    """A fixed address has a netmask, and a pool to boot from gets its platform from somewhere."""
    asked = "setup will stop and ask for "
    assert check(ASKED | QUIET | {"admin_ip": "192.0.2.10"}) == [f"{asked}admin_netmask", CLEAR]
    assert check(ASKED | QUIET | {"admin_ip": "192.0.2.10", "admin_netmask": "<default>"}) == [CLEAR]
    assert check(ASKED | QUIET | {"bootpool": "zones"}) == [f"{asked}pisource", CLEAR]
    assert check(ASKED | QUIET | {"bootpool": "zones", "pisource": "media"}) == [CLEAR]
    found = check({"config_console": True, "admin_ip": "192.0.2.10"})
    assert any("admin_netmask" in line and "headnode_default_gateway" in line for line in found)
    external = check(TRITON | {"setup_external_network": True})
    assert any("external_ip, external_netmask, external_gateway" in line for line in external)


@pytest.mark.parametrize("key", ["skip_instructions", "skip_final_confirm"])
@pytest.mark.parametrize("value", [False, "yes", 1, ""])
def test_pauses_are_left_out_for_true_alone(check, key, value):
    assert check(ASKED | QUIET | {key: value}) == [f"unless {key} is true, setup waits for Enter at the console", CLEAR]
    assert check(ASKED | QUIET | {key: "true"}) == [CLEAR]


@pytest.mark.parametrize(
    ("data", "place", "message"),
    [
        (b'{\n  "admin_ip": "dhcp",\n}\n', "3:1", "not valid JSON: Expecting property name"),
        (b'{"a": 1\n "b": 2}', "2:2", "not valid JSON: Expecting ',' delimiter"),
        (b"", "1:1", "not valid JSON"),
        (b"\xef\xbb\xbf{}", "1:1", "not valid JSON: a byte order mark"),
        (b'{\n "admin_ip":' + b"9" * 5000 + b"}", "2:13", "not valid JSON for answers: a number of 5,000 digits"),
        (b'{"admin_ip":-' + b"9" * 5000 + b"}", "1:13", "not valid JSON for answers"),
        (b'{"admin_ip":1.' + b"9" * 5000 + b"}", "1:13", "not valid JSON for answers"),
        (b'{"a":' * 100_000, "", "nested too deeply"),
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
    with pytest.raises(InputError, match="more than 1,048,576 bytes are no file of answers"):
        check(b" " * 2_000_000)
    (tmp_path / "large").write_bytes(b" " * 2_000_000)
    assert len(read_answers(tmp_path / "large")) == (1 << 20) + 1
    with pytest.raises(InputError, match="cannot read: No such file"):
        read_answers(tmp_path / "none")
    with pytest.raises(InputError, match="cannot read: Is a directory"):
        read_answers(Path(tmp_path))


def test_many_keys_are_counted(check):
    """Their number is bounded by the file's size alone, and the work for them is linear: few names are compared."""
    found = check({f"key{number}": 1 for number in range(60_000)})
    assert sum(line.startswith("setup asks for no") for line in found) == 11
    assert "setup asks for none of 59,990 more keys either" in found
    with pytest.raises(InputError, match=r"answered more than once: k0, k1, .* and 2,990 more"):
        check(("{" + ",".join(f'"k{number}":1' for number in [*range(3000)] * 2) + "}").encode())


KEYS = st.one_of(st.sampled_from([*SMARTOS_KEYS, *TRITON_KEYS]), st.text(max_size=9), st.just("\ud800\n"))
VALUES = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=9), st.just("<default>")),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(KEYS, inner, max_size=2)),
    max_leaves=5,
)


@given(
    st.one_of(
        st.binary(max_size=40), st.dictionaries(KEYS, VALUES, max_size=6).map(lambda one: json.dumps(one).encode())
    )
)
def test_whatever_is_in_a_file_is_told_in_lines_of_text(data):
    try:
        found = check_answers(data, "f")
    except InputError as error:
        found = [str(error)]
    assert all(line.isprintable() for line in found)


@pytest.mark.parametrize("data", [b"[" * 1_000_000, b'{"a":' * 200_000, b"1" * 1_000_000, b"-" * 1_000_000, b'"' * 9])
def test_hostile_files_are_refused(check, data):
    with pytest.raises(InputError):
        check(data)


@pytest.mark.parametrize(
    ("more", "warning"),
    [
        ({"root_pasword": "x"}, "setup asks for no 'root_pasword'; did you mean root_password?"),
        ({"qqqq": "x"}, "setup asks for no 'qqqq'"),
        ({"admin_mac": "52:54:00:2f:61:34"}, "setup reads admin_nic, not admin_mac; the value is a MAC address"),
        ({"admin_nic": "52:54:00:2F:61:34"}, "admin_nic is '52:54:00:2F:61:34', expected a MAC address in lower case"),
        ({"admin_ip": "10.0.0.256"}, "admin_ip is '10.0.0.256', expected an IPv4 address or dhcp"),
        ({"admin_netmask": "/24"}, "admin_netmask is '/24', expected an IPv4 address"),
        (
            {"headnode_default_gateway": 7},
            "headnode_default_gateway is 7, expected an IPv4 address or <default> or dhcp or none",
        ),
        ({"zpool_layout": "raidz"}, "zpool_layout is 'raidz', expected one of default, mirror, raidz2, manual"),
        (
            {"admin_nic": "0:50:56:34:60:4c"},
            "admin_nic is '0:50:56:34:60:4c', expected a MAC address in lower case, two",
        ),
        ({"admin_ip": "<default>"}, "admin_ip is '<default>', expected an IPv4 address or dhcp"),
        ({"admin_ip": "10.0.0.255", "admin_netmask": "255.255.255.0"}, "admin_ip is '10.0.0.255', the broadcast"),
        ({"admin_ip": "10.0.0.255", "admin_netmask": "<default>"}, "admin_ip is '10.0.0.255', the broadcast"),
        ({"zpool_confirm_layout": "mirror"}, "zpool_confirm_layout is 'mirror', expected yes"),
        ({"root_password": "<default>"}, "root_password is '<default>': setup proposes nothing there, and takes that"),
        ({"dns_search": "<default>"}, "dns_search is '<default>': setup proposes nothing there"),
    ],
)
def test_what_would_stop_setup_is_warned_of(check, more, warning):
    usual = {CLEAR, "setup will stop and ask for admin_netmask"} - {warning}
    (line,) = (line for line in check(GOOD | more) if line not in usual)
    assert line.startswith(warning)
    assert "secret" not in line


def test_without_config_console_setup_waits(check):
    line = check({"hostname": "a"})[0]
    assert line.startswith("without config_console, setup waits for Enter")
