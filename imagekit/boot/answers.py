"""answers.json, which answers the questions of SmartOS's setup (or of a Triton headnode's), checked before it ships.

The keys are those that smartos-live's smartos_prompt_config.sh and sdc-headnode's prompt-config.sh ask for.  Both
ignore the whole file, in silence, when it is not valid JSON, and any key that they do not know.
"""

import json
import re
from ipaddress import IPv4Address
from pathlib import Path

from imagekit.errors import InputError, nearest

SMARTOS_KEYS = (
    "admin_ip",
    "admin_netmask",
    "admin_nic",
    "bootpool",
    "config_console",
    "dns_resolver1",
    "dns_resolver2",
    "dns_search",
    "headnode_default_gateway",
    "hostname",
    "install_pkgsrc",
    "ntp_host",
    "pisource",
    "root_password",
    "simple_headers",
    "skip_final_confirm",
    "skip_final_summary",
    "skip_instructions",
    "skip_ntp_check",
    "zpool_confirm_layout",
    "zpool_layout",
)
TRITON_KEYS = (
    "admin_gateway",
    "admin_password",
    "admin_provisionable_start",
    "api_password",
    "datacenter_company_name",
    "datacenter_location",
    "datacenter_name",
    "dhcp_range_end",
    "dns_domain",
    "external_gateway",
    "external_ip",
    "external_netmask",
    "external_nic",
    "external_provisionable_end",
    "external_provisionable_start",
    "external_vlan_id",
    "mail_from",
    "mail_to",
    "phonehome_automatic",
    "region_name",
    "setup_external_network",
    "skip_dns_check",
    "skip_edit_config",
    "update_channel",
)
PASSWORDS = ("root_password", "admin_password", "api_password")
LAYOUTS = ("default", "mirror", "raidz2", "manual")
LARGEST = 1 << 20
"""Bytes; real files have a few hundred."""

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")


def check_answers(path: Path) -> list[str]:
    """Check an answers file; return warnings, and raise InputError for what setup would not read at all."""
    answers = _read(path)
    warnings = []
    for key in answers:
        if key == "admin_mac":
            warnings.append(f"{path}: setup reads admin_nic, not admin_mac; the value is a MAC address")
        elif key not in SMARTOS_KEYS and key not in TRITON_KEYS:
            near = nearest(key, (*SMARTOS_KEYS, *TRITON_KEYS))
            warnings.append(f"{path}: setup asks for no {key!r}" + (f"; did you mean {near}?" if near else ""))
    if "config_console" not in answers:
        warnings.append(f"{path}: without config_console, setup waits for Enter at the console before it begins")
    warnings += (f"{path}: {problem}" for problem in _value_problems(answers))
    clear = [key for key in PASSWORDS if answers.get(key) not in (None, "")]
    if clear:
        warnings.append(f"{path}: {' and '.join(clear)} will lie on the medium in clear text, for whoever can read it")
    return warnings


def _read(path: Path) -> dict[str, object]:
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", where=str(path)) from error
    if len(data) > LARGEST:
        raise InputError(f"{len(data):,} bytes are no file of answers", where=str(path))
    hint = "setup would ignore the whole file in silence"
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].split(b"\n")
        place = f"{path}:{len(before)}:{len(before[-1]) + 1}"
        raise InputError(f"not UTF-8: byte {data[error.start]:#04x}", where=place, hint=hint) from None
    repeated: list[str] = []

    def collect(pairs: list[tuple[str, object]]) -> dict[str, object]:
        names = [name for name, _ in pairs]
        repeated.extend(name for name in dict.fromkeys(names) if names.count(name) > 1)
        return dict(pairs)

    def constant(name: str) -> object:
        raise InputError(f"not valid JSON: {name} is no number there", where=str(path), hint=hint)

    try:
        answers = json.loads(text, object_pairs_hook=collect, parse_constant=constant)
    except json.JSONDecodeError as error:
        place = f"{path}:{error.lineno}:{error.colno}"
        raise InputError(f"not valid JSON: {error.msg}", where=place, hint=hint) from None
    except RecursionError:
        raise InputError("not answers: nested too deeply", where=str(path), hint=hint) from None
    if not isinstance(answers, dict):
        raise InputError("not answers: expected an object, { ... }, of keys and values", where=str(path), hint=hint)
    if repeated:
        raise InputError(
            f"answered more than once: {', '.join(repeated)}", where=str(path), hint="leave one answer for each key"
        )
    nested = [key for key, value in answers.items() if value is None or isinstance(value, dict | list)]
    if nested:
        raise InputError(
            f"answers are text, numbers, true or false; found something else for {', '.join(nested)}", where=str(path)
        )
    return answers


def _value_problems(answers: dict[str, object]) -> list[str]:
    """Return which answers setup will not accept, so that it stops to ask."""
    found = []
    allowed_words = {"admin_ip": {"dhcp"}, "admin_netmask": set(), "headnode_default_gateway": {"none", "dhcp"}}
    for key, words in allowed_words.items():
        value = answers.get(key)
        if value is not None and value not in {*words, "<default>"} and not _is_ipv4(value):
            expected = " or ".join(["an IPv4 address", *sorted(words)])
            found.append(f"{key} is {value!r}, expected {expected}")
    layout = answers.get("zpool_layout")
    if layout is not None and layout not in LAYOUTS:
        found.append(f"zpool_layout is {layout!r}, expected one of {', '.join(LAYOUTS)}")
    nic = answers.get("admin_nic")
    if nic is not None and not (isinstance(nic, str) and _MAC.fullmatch(nic)):
        found.append(f"admin_nic is {nic!r}, expected a MAC address in lower case, such as 52:54:00:2f:61:34")
    return found


def _is_ipv4(value: object) -> bool:
    try:
        return isinstance(value, str) and str(IPv4Address(value)) == value
    except ValueError:
        return False
