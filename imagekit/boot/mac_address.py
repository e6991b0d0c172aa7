"""Addresses of network cards."""

import re

from imagekit.errors import InputError

_MAC = re.compile(r"[0-9a-f]{1,2}(:[0-9a-f]{1,2}){5}")


def mac_address(text: str) -> str | None:
    """Return an address in lower case, two digits an octet, with colons; None for what is none.

    Hyphens will do, and octets without a leading zero, as illumos' dladm prints them (0:50:56:34:60:4c).
    """
    mac = text.lower().replace("-", ":")
    return ":".join(octet.zfill(2) for octet in mac.split(":")) if _MAC.fullmatch(mac) else None


def check_mac(text: str) -> str:
    """Return an address as mac_address does; raise InputError for what is none."""
    mac = mac_address(text)
    if mac is None:
        raise InputError(f"not a MAC address: {text!r}", hint="write it like 00:50:56:34:60:4c")
    return mac
