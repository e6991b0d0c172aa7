"""Parts of DHCP server configurations that tell BIOS, UEFI and iPXE clients apart, and give each what it can boot.

Option 93 is the client's architecture (RFC 4578; 7 and 9 are x86-64 UEFI).  iPXE sends the user class "iPXE"; its
script tells BIOS and UEFI apart.  The illumos loader for BIOS, pxeboot, sends the user class "illumos" and looks for
its files in the root path (pxeboot(7)): `tftp://IP/`, or `tftp://IP/PREFIX`, to which it adds a slash of its own.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

UEFI_ARCHITECTURES = (7, 9)
BIOS_IPXE, UEFI_IPXE = "undionly.kpxe", "snponly.efi"


@dataclass(frozen=True, slots=True)
class Snippets:
    """What clients are given: `script` is the iPXE script's file name or URL, `server` the TFTP server's address.

    `prefix` is the folder's path on the TFTP server, "" at its top.  With `images`, any iPXE boots UEFI machines.
    """

    script: str
    server: str
    prefix: str = ""
    images: bool = True

    @property
    def _root_path(self) -> str:
        return f"tftp://{self.server}/{self.prefix}"

    def _comment(self) -> Iterator[str]:
        place = f"in the folder {self.prefix}" if self.prefix else "at the top"
        yield f"Put this folder's files {place} of the TFTP server {self.server}"
        yield f"(change that address where it stands below), and {BIOS_IPXE} and {UEFI_IPXE}, of iPXE, at its top."
        if self.images:
            yield "UEFI machines boot from ISO images, which iPXE reads over HTTP: serve the folder by HTTP, too."
        else:
            yield f"{UEFI_IPXE} must be an iPXE with multiboot 2, such as Triton's: stock iPXE has no multiboot there."
        yield "boot/pxeboot, the illumos loader for BIOS machines, finds its files by the root path: in a subfolder"
        yield f"of the TFTP server it is tftp://{self.server}/PREFIX, without a slash at the end."

    def isc(self) -> str:
        """Return the part of dhcpd.conf for ISC dhcpd."""
        uefi = " or ".join(f"option smartos-architecture = 00:{code:02x}" for code in UEFI_ARCHITECTURES)
        branches = [
            ('exists user-class and option user-class = "iPXE"', self.script),
            (uefi, UEFI_IPXE),
        ]
        lines = [
            "# For ISC dhcpd: include it in dhcpd.conf, at the top or in a subnet.",
            *(f"# {line}" for line in self._comment()),
            "option smartos-architecture code 93 = unsigned integer 16;",
            "",
            f"next-server {self.server};",
            'if exists user-class and option user-class ~~ "illumos" {',
            f'    option root-path "{self._root_path}";',
            "}",
        ]
        word = "if"
        for test, program in branches:
            lines += [f"{word} {test} {{", f'    filename "{program}";']
            word = "} elsif"
        lines += ["} else {", f'    filename "{BIOS_IPXE}";', "}"]
        return "".join(f"{line}\n" for line in lines)

    def kea(self) -> str:
        """Return the part of kea-dhcp4.conf for Kea, a configuration by itself."""
        uefi = " or ".join(f"substring(option[93].hex,0,2) == 0x{code:04x}" for code in UEFI_ARCHITECTURES)
        ipxe = "substring(option[77].hex,0,4) == 'iPXE'"
        classes = [
            ("smartos-ipxe", ipxe, self.script),
            ("smartos-uefi", f"not ({ipxe}) and ({uefi})", UEFI_IPXE),
            ("smartos-bios", f"not ({ipxe}) and not ({uefi})", BIOS_IPXE),
        ]
        loader = {
            "name": "smartos-loader",
            "test": "substring(option[77].hex,0,7) == 'illumos' or substring(option[77].hex,1,7) == 'illumos'",
            "option-data": [{"name": "root-path", "data": self._root_path}],
        }
        configuration = {
            "Dhcp4": {
                "client-classes": [
                    *(
                        {"name": name, "test": test, "next-server": self.server, "boot-file-name": program}
                        for name, test, program in classes
                    ),
                    loader,
                ],
            }
        }
        lines = ["# For Kea: merge it with kea-dhcp4.conf.", *(f"# {line}" for line in self._comment())]
        return "".join(f"{line}\n" for line in [*lines, json.dumps(configuration, indent=2)])

    def dnsmasq(self) -> str:
        """Return the part of dnsmasq.conf, DHCP and TFTP."""
        lines = [
            "# For dnsmasq: put it into /etc/dnsmasq.d, beside your dhcp-range.",
            *(f"# {line}" for line in self._comment()),
            "enable-tftp",
            "tftp-root=/srv/tftp",
            "dhcp-userclass=set:ipxe,iPXE",
            *(f"dhcp-match=set:uefi,option:client-arch,{code}" for code in UEFI_ARCHITECTURES),
            "dhcp-userclass=set:loader,illumos",
            f"dhcp-option=tag:loader,option:root-path,{self._root_path}",
            f"dhcp-boot=tag:ipxe,{self.script},,{self.server}",
            f"dhcp-boot=tag:!ipxe,tag:uefi,{UEFI_IPXE},,{self.server}",
            f"dhcp-boot=tag:!ipxe,tag:!uefi,{BIOS_IPXE},,{self.server}",
        ]
        return "".join(f"{line}\n" for line in lines)
