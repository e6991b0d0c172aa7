"""The URL under which a PXE directory is served: scripts begin their URIs with it, so it must be one that works."""

import contextlib
import ipaddress
import re

from imagekit.errors import InputError, Thing

SCHEMES = ("http", "https", "tftp")
NEXT_SERVER = "${next-server}"
"""The iPXE setting that stands for the server that DHCP named."""

_HINT = f"write http://SERVER/DIR/, https://... or tftp://...; without {Thing.URL}, scripts use relative paths"
_URL = re.compile(r"(?P<scheme>[a-z]+)://(?P<authority>[^/?#]*)(?P<path>/[^?#]*)?", re.DOTALL)
_AUTHORITY = re.compile(r"(?P<host>\$\{next-server\}|\[[^\]]*\]|[^:]*)(?::(?P<port>.*))?", re.DOTALL)
_PATH = re.compile(r"(?:[A-Za-z0-9_.~/+@-]|%[0-9A-Fa-f]{2})*")
_LABEL = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")


def check_url(text: str) -> str:
    """Return a URL prefix with a slash at its end ("" stays: relative); raise InputError for what iPXE cannot use."""
    if not text:
        return text
    url = _URL.fullmatch(text)
    if url is None or url["scheme"] not in SCHEMES:
        raise _error(text, "")
    if "@" in url["authority"]:
        # The URL is not shown again: messages end in logs.
        raise InputError(
            "a URL with user:password@ would show both to everyone who fetches the scripts",
            hint="serve the directory without a password, to a network that may have it",
        )
    authority = _AUTHORITY.fullmatch(url["authority"])
    if authority is None:
        raise _error(text, f"{url['authority']!r} is no host and port")
    problem = _host_problem(authority["host"])
    if authority["host"].count(":") == 0 and (authority["port"] or "").count(":"):
        problem = "an IPv6 address stands in brackets: http://[2001:db8::1]/"
    elif problem is None and authority["port"] is not None:
        problem = _port_problem(authority["port"])
    if problem is None and not _PATH.fullmatch(url["path"] or ""):
        problem = "its path holds what must be written as % and two hexadecimal digits, or is no path"
    if problem:
        raise _error(text, problem)
    return text if text.endswith("/") else f"{text}/"


def _error(text: str, problem: str) -> InputError:
    return InputError(f"not a URL that a prefix could be: {text[:200]!r}{problem and ': '}{problem}", hint=_HINT)


def _host_problem(host: str) -> str | None:
    """Return why a host is none, or None."""
    if host == NEXT_SERVER:
        return None
    if not host:
        return "it names no server"
    if host.startswith("["):
        with contextlib.suppress(ValueError):
            if ipaddress.IPv6Address(host[1:-1]).scope_id is None:
                return None
        return f"{host} is no IPv6 address"
    labels = host.removesuffix(".").split(".")
    if re.fullmatch("[0-9]+", labels[-1]):  # a name's last label is no number, so this must be an address
        with contextlib.suppress(ValueError):
            ipaddress.IPv4Address(host)
            return None
        return f"{host} is no IPv4 address"
    if len(host) > 253 or not all(map(_LABEL.fullmatch, labels)):
        return f"{host[:80]!r} is no host name"
    return None


def _port_problem(port: str) -> str | None:
    """Return why a port is none, or None."""
    if re.fullmatch("[0-9]{1,5}", port) and 1 <= int(port) <= 65535:
        return None
    return f"a port is a number from 1 to 65535, found {port[:20]!r}"


def server_address(url: str) -> str | None:
    """Return the server's IPv4 address where a checked URL says one, for DHCP's next-server."""
    found = re.match(r"[a-z]+://([0-9.]+)[:/]", url)
    return found[1] if found else None


def tftp_prefix(url: str) -> str:
    """Return the folder on the TFTP server that a checked tftp:// URL says, without slashes at its ends; else ""."""
    return url.split("/", 3)[3].strip("/") if url.startswith("tftp://") else ""
