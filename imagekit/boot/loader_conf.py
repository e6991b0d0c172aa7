"""loader.conf: what the illumos loader reads before it boots, and passes on to the kernel.

The variables and their order are those of smartos-live's tools/build_boot_image.  Lines end in LF alone: the loader
takes CRLF for a syntax error and ignores the rest of the file.
"""

from imagekit.boot.console import SERIAL_PORTS, Console

DEFAULT_ROOT_SHADOW = "$5$2HOHRnK3$NvLlm.1KQBbB0WjoP7xcIwGnllhzp2HnT.mDO7DpxYA"
"""The hash that SmartOS media carry: root's password (which is "root") until the system has its own."""


def loader_conf(console: Console) -> bytes:
    """Return boot/loader.conf of a SmartOS medium for the chosen console."""
    lines = [
        f'console="{",".join(console.devices)}"',
        f'os_console="{console.device}"',
        *(f'{port}-mode="{console.mode(port)}"' for port in SERIAL_PORTS),
        'loader_logo="smartos"',
        'loader_brand="smartos"',
        f"root_shadow='{DEFAULT_ROOT_SHADOW}'",
        'smartos="true"',
    ]
    return "".join(f"{line}\n" for line in lines).encode("ascii")
