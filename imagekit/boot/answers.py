"""answers.json, which answers the questions of SmartOS's setup (or of a Triton headnode's), checked before it ships.

The keys are those that smartos-live's smartos_prompt_config.sh and sdc-headnode's prompt-config.sh ask for.  Both
ignore the whole file, in silence, when it is not valid JSON, and any key that they do not know.  A question without
an answer, or with one that cannot be, is asked at the console.
"""

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address
from pathlib import Path

from imagekit.boot.mac_address import mac_address
from imagekit.errors import InputError, nearest
from imagekit.marks import first_mark

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
    "ntp_hosts",
    "phonehome_automatic",
    "region_name",
    "setup_external_network",
    "skip_dns_check",
    "skip_edit_config",
    "update_channel",
)
PASSWORDS = ("root_password", "admin_password", "api_password")
LAYOUTS = ("default", "mirror", "raidz2", "manual")
DEFAULT = "<default>"
"""The answer that takes what setup proposes, where it proposes something."""

LARGEST = 1 << 20
"""Bytes; real files have a few hundred."""

MODULE_SINCE = "20250109T000743Z"
"""The first release whose setup reads answers from a boot module."""

PRIVATE_SINCE = "20240110T000000Z"
"""When setup began to read them on the medium; that of a Triton headnode always did."""

_LONGEST_NUMBER = 20
_MOST_NAMED = 10
"""Digits of a number; unknown keys that are named one by one."""

_ASKED = {
    "SmartOS": (
        *("admin_ip", "admin_netmask", "headnode_default_gateway", "dns_resolver1", "dns_resolver2", "dns_search"),
        *("ntp_host", "zpool_confirm_layout", "bootpool", "pisource", "install_pkgsrc", "root_password", "hostname"),
    ),
    "Triton": (
        *("datacenter_company_name", "region_name", "datacenter_name", "datacenter_location", "admin_ip"),
        *("admin_netmask", "admin_provisionable_start", "setup_external_network", "external_ip", "external_netmask"),
        *("external_gateway", "external_vlan_id", "external_provisionable_start", "external_provisionable_end"),
        *("headnode_default_gateway", "dns_resolver1", "dns_resolver2", "dns_domain", "dns_search", "ntp_hosts"),
        *("root_password", "admin_password", "mail_to", "mail_from"),
    ),
}
"""The questions of each setup, in its order."""

_MAY_BE_EMPTY = ("bootpool", "pisource", "hostname", "setup_external_network", "external_vlan_id")

_NO_PROPOSAL = (
    *("dns_search", "dns_domain", *PASSWORDS),
    *("datacenter_company_name", "region_name", "datacenter_name", "datacenter_location"),
)
"""Where setup proposes nothing, and takes the text <default> as it is."""


def check_answers(data: bytes, where: str) -> list[str]:
    """Check an answers file; return warnings, and raise InputError for what setup would not read at all."""
    answers = _parse(data, where)
    found = [*_unknown(answers), *_stops(answers), *_value_problems(answers)]
    clear = [key for key in PASSWORDS if answers.get(key) not in (None, "")]
    if clear:
        found.append(f"{' and '.join(clear)} will lie on the medium in clear text, for whoever can read it")
    return [f"{where}: {problem}" for problem in found]


def read_answers(path: Path) -> bytes:
    """Return the bytes of an answers file; raise InputError for one that cannot be read or is too large."""
    try:
        with path.open("rb") as file:
            return file.read(LARGEST + 1)
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", where=str(path)) from error


def _parse(data: bytes, where: str) -> dict[str, object]:
    if len(data) > LARGEST:
        raise InputError(f"more than {LARGEST:,} bytes are no file of answers", where=where)
    hint = "setup would ignore the whole file in silence"
    if (mark := first_mark(data)) is not None:
        raise InputError(f"not valid JSON: {mark[1]}", where=f"{where}:{mark[0]}:1", hint=hint)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        before = data[: error.start].split(b"\n")
        place = f"{where}:{len(before)}:{len(before[-1]) + 1}"
        raise InputError(f"not UTF-8: byte {data[error.start]:#04x}", where=place, hint=hint) from None
    repeated: list[str] = []

    def collect(pairs: list[tuple[str, object]]) -> dict[str, object]:
        repeated.extend(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        return dict(pairs)

    def constant(name: str) -> object:
        raise InputError(f"not valid JSON: {name} is no number there", where=where, hint=hint)

    def number(digits: str) -> float:
        if len(digits) > _LONGEST_NUMBER:
            before = text[: text.index(digits)].split("\n")
            raise InputError(
                f"not valid JSON for answers: a number of {len(digits):,} digits",
                where=f"{where}:{len(before)}:{len(before[-1]) + 1}",
                hint="setup asks for no such number; put text in quotes",
            )
        return float(digits) if set(digits) & set(".eE") else int(digits)

    try:
        answers = json.loads(
            text, object_pairs_hook=collect, parse_constant=constant, parse_int=number, parse_float=number
        )
    except json.JSONDecodeError as error:
        place = f"{where}:{error.lineno}:{error.colno}"
        raise InputError(f"not valid JSON: {error.msg}", where=place, hint=hint) from None
    except RecursionError:
        raise InputError("not answers: nested too deeply", where=where, hint=hint) from None
    if not isinstance(answers, dict):
        raise InputError("not answers: expected an object, { ... }, of keys and values", where=where, hint=hint)
    if repeated:
        raise InputError(
            f"answered more than once: {_some(repeated)}", where=where, hint="leave one answer for each key"
        )
    nested = [key for key, value in answers.items() if value is None or isinstance(value, dict | list)]
    if nested:
        raise InputError(
            f"answers are text, numbers, true or false; found something else for {_some(nested)}", where=where
        )
    return answers


def _some(keys: list[str]) -> str:
    """Return keys for a message, the first of many."""
    more = len(keys) - _MOST_NAMED
    return ", ".join(key[:60] if key.isprintable() else _shown(key) for key in keys[:_MOST_NAMED]) + (
        f" and {more:,} more" if more > 0 else ""
    )


def _unknown(answers: Mapping[str, object]) -> Iterator[str]:
    known = {*SMARTOS_KEYS, *TRITON_KEYS}
    unknown = [key for key in answers if key not in known]
    for key in unknown[:_MOST_NAMED]:
        if key == "admin_mac":
            yield "setup reads admin_nic, not admin_mac; the value is a MAC address"
        else:
            near = nearest(key[:60], (*SMARTOS_KEYS, *TRITON_KEYS))
            yield f"setup asks for no {key[:60]!r}" + (f"; did you mean {near}?" if near else "")
    if len(unknown) > _MOST_NAMED:
        yield f"setup asks for none of {len(unknown) - _MOST_NAMED:,} more keys either"


def _stops(answers: Mapping[str, object]) -> Iterator[str]:
    """Yield where setup will wait at the console, for want of an answer."""
    if _text(answers, "config_console") == "":
        yield "without config_console, setup waits for Enter at the console before it begins"
    skips = [key for key in ("skip_instructions", "skip_final_confirm") if _text(answers, key) != "true"]
    if skips:
        verb = "is" if len(skips) == 1 else "are"
        yield f"unless {' and '.join(skips)} {verb} true, setup waits for Enter at the console"
    is_triton = any(key in TRITON_KEYS for key in answers)
    asked = [key for key in _ASKED["Triton" if is_triton else "SmartOS"] if _is_asked(answers, key)]
    if asked:
        yield f"setup will stop and ask for {', '.join(asked)}"


def _is_asked(answers: Mapping[str, object], key: str) -> bool:
    """Tell whether setup asks a question at the console; what an answer is worth is another matter."""
    if key == "admin_netmask" and _text(answers, "admin_ip") in {"", "dhcp"}:
        return False
    if key == "pisource" and _text(answers, "bootpool") in {"", "none", DEFAULT}:
        return False
    if key.startswith("external_") and _text(answers, "setup_external_network") in {"n", "N", "no", "false"}:
        return False
    if key == "ntp_hosts" and _text(answers, "ntp_host"):
        return False
    return key not in answers if key in _MAY_BE_EMPTY else _text(answers, key) == ""


def _text(answers: Mapping[str, object], key: str) -> str:
    """Return an answer as setup gets it: text, "" for none."""
    value = answers.get(key, "")
    return json.dumps(value) if isinstance(value, bool) else str(value)


def _value_problems(answers: Mapping[str, object]) -> Iterator[str]:
    """Yield which answers setup will not accept, so that it stops to ask, and which it takes for something else."""
    words = {"admin_ip": ["dhcp"], "admin_netmask": [DEFAULT], "headnode_default_gateway": ["none", "dhcp", DEFAULT]}
    for key, others in words.items():
        value = answers.get(key, "")
        if value not in {"", *others} and not _is_ipv4(value):
            expected = " or ".join(["an IPv4 address", *sorted(others)])
            yield f"{key} is {_shown(value)}, expected {expected}"
    address, mask = _text(answers, "admin_ip"), _text(answers, "admin_netmask")
    mask = "255.255.255.0" if mask == DEFAULT else mask
    if _is_ipv4(address) and _is_ipv4(mask) and int(IPv4Address(address)) | int(IPv4Address(mask)) == (1 << 32) - 1:
        yield f"admin_ip is {address!r}, the broadcast address of its network: setup would ask on and on"
    layout = answers.get("zpool_layout", "")
    if layout not in ("", *LAYOUTS):
        yield f"zpool_layout is {_shown(layout)}, expected one of {', '.join(LAYOUTS)}"
    confirmed = _text(answers, "zpool_confirm_layout")
    if confirmed not in {"", "yes", DEFAULT}:
        yield f"zpool_confirm_layout is {_shown(confirmed)}, expected yes: setup would not go on with the layout"
    nic = answers.get("admin_nic", "")
    if nic != "" and (not isinstance(nic, str) or mac_address(nic) != nic):
        example = (mac_address(nic) if isinstance(nic, str) else None) or "52:54:00:2f:61:34"
        expected = f"a MAC address in lower case, two digits an octet, such as {example}"
        yield f"admin_nic is {_shown(nic)}, expected {expected}"
    for key in _NO_PROPOSAL:
        if answers.get(key) == DEFAULT:
            yield f"{key} is {DEFAULT!r}: setup proposes nothing there, and takes that very text as it is"


def _shown(value: object) -> str:
    return repr(value)[:60]


def _is_ipv4(value: object) -> bool:
    try:
        return isinstance(value, str) and str(IPv4Address(value)) == value
    except ValueError:
        return False
