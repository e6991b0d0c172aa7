"""Parts of DHCP server configurations that tell BIOS, UEFI and iPXE clients apart, and give each what it can boot.

Option 93 is the client's architecture (RFC 4578; 7 and 9 are x86-64 UEFI).  iPXE sends the user class "iPXE" and, in
option 175, what it is able to do: 25 is multiboot, 42 the multiboot 2 of Triton's build (src/include/ipxe/features.h).
The illumos loader sends the user class "illumos" and looks for its files in the root path (pxeboot(7)).
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass

MULTIBOOT, MULTIBOOT2 = 25, 42
UEFI_ARCHITECTURES = (7, 9)
BIOS_IPXE, UEFI_IPXE = "undionly.kpxe", "snponly.efi"
LOADER = "boot/loader64.efi"


@dataclass(frozen=True, slots=True)
class Snippets:
    """What clients are given: `script` is the iPXE script's file name or URL, `server` the TFTP server's address."""

    script: str
    server: str
    has_loader: bool

    @property
    def _uefi_program(self) -> str:
        return LOADER if self.has_loader else UEFI_IPXE

    def _comment(self) -> Iterator[str]:
        yield f"Put this folder's files at the top of the TFTP server {self.server}"
        yield f"(change that address where it stands below), and {BIOS_IPXE} beside them."
        if self.has_loader:
            yield f"UEFI firmware, and an iPXE without multiboot, gets the illumos loader, {LOADER}."
        else:
            yield f"UEFI firmware gets {UEFI_IPXE}: it must be Triton's iPXE, stock iPXE has no multiboot there."

    def isc(self) -> str:
        """Return the part of dhcpd.conf for ISC dhcpd."""
        uefi = " or ".join(f"option smartos-architecture = 00:{code:02x}" for code in UEFI_ARCHITECTURES)
        ipxe = 'exists user-class and option user-class = "iPXE"'
        branches = [
            ("exists ipxe.multiboot or exists ipxe.multiboot2", self.script),
            *([] if self.has_loader else [(ipxe, self.script)]),
            (uefi, self._uefi_program),
            *([(ipxe, self.script)] if self.has_loader else []),
        ]
        lines = [
            "# For ISC dhcpd: include it in dhcpd.conf, at the top or in a subnet.",
            *(f"# {line}" for line in self._comment()),
            "option smartos-architecture code 93 = unsigned integer 16;",
            "option space ipxe;",
            "option ipxe-features code 175 = encapsulate ipxe;",
            f"option ipxe.multiboot code {MULTIBOOT} = unsigned integer 8;",
            f"option ipxe.multiboot2 code {MULTIBOOT2} = unsigned integer 8;",
            "",
            f"next-server {self.server};",
            'if exists user-class and option user-class ~~ "illumos" {',
            f'    option root-path "tftp://{self.server}/";',
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
        able, ipxe = "member('smartos-multiboot')", "substring(option[77].hex,0,4) == 'iPXE'"
        script_test = f"not {able} and {ipxe}" + (f" and not ({uefi})" if self.has_loader else "")
        uefi_test = f"not {able} and ({uefi})" + ("" if self.has_loader else f" and not ({ipxe})")
        classes = [
            (
                "smartos-multiboot",
                f"option[175].option[{MULTIBOOT}].exists or option[175].option[{MULTIBOOT2}].exists",
                self.script,
            ),
            ("smartos-ipxe", script_test, self.script),
            ("smartos-uefi", uefi_test, self._uefi_program),
            ("smartos-bios", f"not {able} and not ({ipxe}) and not ({uefi})", BIOS_IPXE),
        ]
        loader = {
            "name": "smartos-loader",
            "test": "substring(option[77].hex,0,7) == 'illumos' or substring(option[77].hex,1,7) == 'illumos'",
            "option-data": [{"name": "root-path", "data": f"tftp://{self.server}/"}],
        }
        configuration = {
            "Dhcp4": {
                "option-def": [
                    {"name": "ipxe-features", "code": 175, "space": "dhcp4", "type": "empty", "encapsulate": "ipxe"},
                    {"name": "multiboot", "code": MULTIBOOT, "space": "ipxe", "type": "uint8"},
                    {"name": "multiboot2", "code": MULTIBOOT2, "space": "ipxe", "type": "uint8"},
                ],
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
            f"dhcp-match=set:multiboot,175,{MULTIBOOT}",
            f"dhcp-match=set:multiboot,175,{MULTIBOOT2}",
            *(f"dhcp-match=set:uefi,option:client-arch,{code}" for code in UEFI_ARCHITECTURES),
            "dhcp-userclass=set:loader,illumos",
            f"dhcp-option=tag:loader,option:root-path,tftp://{self.server}/",
            f"dhcp-boot=tag:multiboot,{self.script},,{self.server}",
        ]
        if self.has_loader:
            lines += [
                f"dhcp-boot=tag:!multiboot,tag:uefi,{LOADER},,{self.server}",
                f"dhcp-boot=tag:!multiboot,tag:!uefi,tag:ipxe,{self.script},,{self.server}",
            ]
        else:
            lines += [
                f"dhcp-boot=tag:!multiboot,tag:ipxe,{self.script},,{self.server}",
                f"dhcp-boot=tag:!multiboot,tag:!ipxe,tag:uefi,{UEFI_IPXE},,{self.server}",
            ]
        lines.append(f"dhcp-boot=tag:!multiboot,tag:!ipxe,tag:!uefi,{BIOS_IPXE},,{self.server}")
        return "".join(f"{line}\n" for line in lines)
