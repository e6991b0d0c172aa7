"""The DHCP snippets of PXE directories: judged by the servers' own checks, and by what real servers give to clients."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from imagekit.boot.dhcp_snippets import Snippets

URL = "http://10.0.0.5:8080/pxe/smartos.ipxe"
VARIANTS = [
    Snippets("http://192.0.2.1/smartos.ipxe", "192.0.2.1"),
    Snippets("smartos.ipxe", "10.0.0.5", images=False),
    Snippets(URL, "10.0.0.5", "pxe"),
]
SUBNET = "subnet 10.0.0.0 netmask 255.255.255.0 { range 10.0.0.100 10.0.0.200; }\n"


def check(command, path, text):
    """Give a text to a server's check; return what it says."""
    path.write_text(text)
    done = subprocess.run([*command, path], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("snippets", VARIANTS)
def test_isc_dhcpd_accepts_its_snippet(need, tmp_path, snippets):
    need("dhcpd")
    command = ["dhcpd", "-t", "-cf"]
    assert check(command, tmp_path / "dhcpd.conf", snippets.isc())[0] == 0
    assert check(command, tmp_path / "dhcpd.conf", SUBNET + snippets.isc())[0] == 0
    status, said = check(command, tmp_path / "dhcpd.conf", snippets.isc().replace("filename", "filenam", 1))
    assert status
    assert "filenam" in said


@pytest.mark.parametrize("snippets", VARIANTS)
def test_kea_accepts_its_snippet(need, tmp_path, snippets):
    need("kea-dhcp4")
    command = ["kea-dhcp4", "-t"]
    status, said = check(command, tmp_path / "kea.json", snippets.kea())
    assert status == 0, said
    status, said = check(command, tmp_path / "kea.json", snippets.kea().replace("substring(", "substrin(", 1))
    assert status
    assert "substrin" in said


@pytest.mark.parametrize("snippets", VARIANTS)
def test_dnsmasq_accepts_its_snippet(need, tmp_path, snippets):
    need("dnsmasq")
    path = tmp_path / "dnsmasq.conf"
    command = ["dnsmasq", "--test", "-C"]
    assert check(command, path, snippets.dnsmasq())[0] == 0
    status, said = check(command, path, snippets.dnsmasq().replace("dhcp-boot=tag", "dhcp-bot=tag", 1))
    assert status
    lines = snippets.dnsmasq().splitlines()
    number = next(number for number, line in enumerate(lines, start=1) if line.startswith("dhcp-boot=tag"))
    assert f"at line {number} of" in said


@pytest.fixture
def given(need, tmp_path):
    """Return a function that starts a server in a network of its own, and gives what each client is given."""
    need("unshare", "ip")
    network = ["unshare", "--user", "--map-root-user", "--net"]
    if subprocess.run([*network, "true"], capture_output=True, check=False).returncode:
        pytest.skip("needs user namespaces, which this system keeps from us")

    def run(*server):
        command = [*network, sys.executable, Path(__file__).with_name("dhcp_network.py"), tmp_path, *server]
        places = {"KEA_PIDFILE_DIR": str(tmp_path), "KEA_LOCKFILE_DIR": str(tmp_path)}
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=os.environ | places)
        assert done.returncode == 0, done.stderr + (tmp_path / "log").read_text()
        answers = json.loads(done.stdout)
        assert None not in answers.values(), (tmp_path / "log").read_text()
        return {name: tuple(answer) for name, answer in answers.items()}

    return run


def expected(snippets):
    """Return what clients must be given."""
    programs = {
        "bios": "undionly.kpxe",
        "uefi": "snponly.efi",
        "uefi, as some call it": "snponly.efi",
        "ipxe, bios": snippets.script,
        "ipxe, uefi, stock": snippets.script,
        "ipxe, uefi, triton": snippets.script,
        "loader, bios": "undionly.kpxe",
    }
    root = f"tftp://{snippets.server}/{snippets.prefix}"  # a slash at its end would be asked for twice
    return {
        name: (program, snippets.server, root if name.startswith("loader") else "")
        for name, program in programs.items()
    }


@pytest.mark.parametrize("snippets", VARIANTS)
def test_what_isc_dhcpd_gives(need, given, tmp_path, snippets):
    need("dhcpd")
    (tmp_path / "dhcpd.conf").write_text(f"{snippets.isc()}ping-check false;\n{SUBNET}")
    (tmp_path / "leases").touch()
    assert given("dhcpd", "-f", "-d", "-4", "-cf", "dhcpd.conf", "-lf", "leases", "-pf", "pid", "pxe0") == expected(
        snippets
    )


@pytest.mark.parametrize("snippets", VARIANTS)
def test_what_kea_gives(need, given, tmp_path, snippets):
    need("kea-dhcp4")
    configuration = json.loads("\n".join(line for line in snippets.kea().splitlines() if not line.startswith("#")))
    configuration["Dhcp4"] |= {
        "interfaces-config": {"interfaces": ["pxe0"]},
        "lease-database": {"type": "memfile", "persist": False},
        "subnet4": [{"subnet": "10.0.0.0/24", "pools": [{"pool": "10.0.0.100-10.0.0.200"}]}],
    }
    (tmp_path / "kea.json").write_text(json.dumps(configuration))
    assert given("kea-dhcp4", "-c", "kea.json") == expected(snippets)


@pytest.mark.parametrize("snippets", VARIANTS)
def test_what_dnsmasq_gives(need, given, tmp_path, snippets):
    need("dnsmasq")
    text = snippets.dnsmasq().replace("/srv/tftp", str(tmp_path))
    more = "dhcp-range=10.0.0.100,10.0.0.200\nport=0\nno-ping\ninterface=pxe0\n"
    (tmp_path / "dnsmasq.conf").write_text(f"{text}{more}dhcp-leasefile={tmp_path}/leases\n")
    assert given("dnsmasq", "-C", "dnsmasq.conf", "--no-daemon") == expected(snippets)
