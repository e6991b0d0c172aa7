"""loader.conf: what the illumos loader reads before it boots, and passes on to the kernel.

The variables of a medium and their order are those of smartos-live's tools/build_boot_image.  Lines end in LF alone:
the loader takes CRLF for a syntax error and ignores the rest of the file.
"""

from collections.abc import Iterable

from imagekit.boot.console import SERIAL_PORTS, Console
from imagekit.boot.kernel_arguments import DEFAULT_ROOT_SHADOW

MODULE_ENDINGS = ("_load", "_name", "_type", "_hash", "_flags", "_before", "_after", "_error")
"""How the names of a boot module's variables end; such a variable never reaches the kernel."""

RESERVED = ("exec", "loader_conf_files", "verbose_loading")
"""Names that the loader obeys itself."""

KEPT_BACK = (
    *("ISADIR", "acpi", "autoboot_delay", "beansi_", "beastie", "bemenu", "boot.", "bootenv", "currdev", "dhcp."),
    *("interpret", "kernel", "loaddev", "loader_", "mainansi_", "mainmenu_", "maintoggled_", "menu_timeout_command"),
    *("menuset_", "module_path", "nfs.", "optionsansi_", "optionsmenu_", "optionstoggled_", "pcibios", "prompt"),
    *("smbios", "tem", "twiddle_divisor", "zfs_be"),
)
"""How the names of variables begin that the kernel does not take from the loader (illumos fakebop.c)."""

LONGEST = 1023
"""Bytes of `NAME=VALUE` that the loader's command parser takes (illumos interp_parse.c); more are an error."""


def loader_conf(console: Console, variables: Iterable[tuple[str, str]] = ()) -> bytes:
    """Return boot/loader.conf of a SmartOS medium for the chosen console, with further variables behind."""
    lines = [
        f'console="{",".join(console.devices)}"',
        f'os_console="{console.device}"',
        *(f'{port}-mode="{console.mode(port)}"' for port in SERIAL_PORTS),
        'loader_logo="smartos"',
        'loader_brand="smartos"',
        f"root_shadow='{DEFAULT_ROOT_SHADOW}'",
        'smartos="true"',
        *(f"{name}={_quoted(value)}" for name, value in variables),
    ]
    return "".join(f"{line}\n" for line in lines).encode("ascii")


def _quoted(value: str) -> str:
    """Return a value without quotes and backslashes as it stands in a line: the loader expands $ in double quotes."""
    quote = "'" if "$" in value else '"'
    return f"{quote}{value}{quote}"


def property_problem(name: str, value: str) -> str | None:
    """Return why a boot property cannot stand in loader.conf, or None."""
    if name in RESERVED or is_of_module(name):
        return "the loader takes a variable of that name for itself, and does not hand it on"
    if "${" in value:
        return "only iPXE knows what ${...} stands for; the loader would hand on that very text"
    if len(name) + 1 + len(value) > LONGEST:
        return f"the loader drops a line of more than {LONGEST:,} bytes, and all behind it"
    return None


def is_of_module(name: str) -> bool:
    """Tell whether a variable is one of a boot module's."""
    return any(name.endswith(ending) and name != ending for ending in MODULE_ENDINGS)


def is_kept_back(name: str) -> bool:
    """Tell whether the kernel would not take a variable of this name from the loader."""
    return name.startswith(KEPT_BACK)
