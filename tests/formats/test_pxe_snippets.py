"""The DHCP snippets of PXE directories, judged by the servers' own checks."""

import subprocess

import pytest

from imagekit.boot.dhcp_snippets import Snippets

VARIANTS = [
    Snippets("smartos.ipxe", "192.0.2.1", has_loader=True),
    Snippets("smartos.ipxe", "10.0.0.5", has_loader=False),
    Snippets("http://10.0.0.5:8080/pxe/smartos.ipxe", "10.0.0.5", has_loader=True),
]


def check(command, path, text, **options):
    """Give a text to a server's check; return what it says."""
    path.write_text(text)
    done = subprocess.run([*command, path], capture_output=True, text=True, check=False, **options)
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("snippets", VARIANTS)
def test_isc_dhcpd(need, tmp_path, snippets):
    need("dhcpd")
    command = ["dhcpd", "-t", "-cf"]
    assert check(command, tmp_path / "dhcpd.conf", snippets.isc())[0] == 0
    subnet = "subnet 10.0.0.0 netmask 255.255.255.0 { range 10.0.0.100 10.0.0.200; }\n"
    assert check(command, tmp_path / "dhcpd.conf", subnet + snippets.isc())[0] == 0
    status, said = check(command, tmp_path / "dhcpd.conf", snippets.isc().replace("filename", "filenam", 1))
    assert status
    assert "filenam" in said


@pytest.mark.parametrize("snippets", VARIANTS)
def test_kea(need, tmp_path, snippets):
    need("kea-dhcp4")
    command = ["kea-dhcp4", "-t"]
    status, said = check(command, tmp_path / "kea.json", snippets.kea())
    assert status == 0, said
    status, said = check(command, tmp_path / "kea.json", snippets.kea().replace(".exists", ".exist", 1))
    assert status
    assert "exist" in said


@pytest.mark.parametrize("snippets", VARIANTS)
def test_dnsmasq(need, tmp_path, snippets):
    need("dnsmasq")
    path = tmp_path / "dnsmasq.conf"
    command = ["dnsmasq", "--test", "-C"]
    assert check(command, path, snippets.dnsmasq())[0] == 0
    status, said = check(command, path, snippets.dnsmasq().replace("dhcp-boot=tag", "dhcp-bot=tag", 1))
    assert status
    lines = snippets.dnsmasq().splitlines()
    number = next(number for number, line in enumerate(lines, start=1) if line.startswith("dhcp-boot=tag"))
    assert f"at line {number} of" in said
