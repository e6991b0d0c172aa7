"""loader.conf: what the illumos loader reads before it boots, and passes on to the kernel.

The variables of a medium and their order are those of smartos-live's tools/build_boot_image.  Lines end in LF alone:
the loader takes CRLF for a syntax error and ignores the rest of the file.
"""

import re
from collections.abc import Iterable

from imagekit.boot.console import SERIAL_PORTS, Console
from imagekit.boot.kernel_arguments import DEFAULT_ROOT_SHADOW

_LINE = re.compile(
    r"""[ \t]*
    (?:(?P<name>[A-Za-z][A-Za-z0-9_.-]*)[ \t]*=[ \t]*
       (?:"(?P<double>(?:\\.|[^"\\])*)"|'(?P<single>(?:\\.|[^'\\])*)'|(?P<word>[A-Za-z0-9][A-Za-z0-9_.,\-@/:]*))
       [ \t]*)?
    (?:\#.*)?""",
    re.VERBOSE,
)


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
    quote = "'" if '"' in value else '"'
    return f"{quote}{value}{quote}"


def read_loader_conf(text: str) -> tuple[dict[str, str], int | None]:
    """Return what the loader takes from a file, and the number of the line at which it stops reading, or None."""
    variables: dict[str, str] = {}
    for number, line in enumerate(text.split("\n"), start=1):
        match = _LINE.fullmatch(line)
        if match is None:
            return variables, number
        if match["name"]:
            value = next(text for text in (match["double"], match["single"], match["word"]) if text is not None)
            if match["word"] is None:
                value = re.sub(r"\\(.)", r"\1", value)
            variables[match["name"]] = value
    return variables, None
