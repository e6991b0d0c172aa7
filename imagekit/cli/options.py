"""Options that several verbs share: their types, their words, and how results are printed."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

import click

from imagekit.boot.console import DEVICES, Console
from imagekit.boot.modules import ModuleRequest
from imagekit.clock import Stamp
from imagekit.errors import InputError

if TYPE_CHECKING:
    from imagekit.product import Product

_UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
for _power, _letter in enumerate("kmg", start=1):
    _UNITS[_letter] = _UNITS[f"{_letter}ib"] = 1024**_power


def size(*, auto: bool = False) -> Callable[[click.Context, click.Parameter, str], int | None]:
    """Return the callback that reads a size: bytes, or with a unit (K, M, G: powers of 1024; KB, MB, GB: of 1000).

    With `auto`, that word is a size too, and becomes None.
    """

    def convert(_context: click.Context, _parameter: click.Parameter, value: str) -> int | None:
        if auto and value == "auto":
            return None
        match = re.fullmatch(r"([0-9]+)([a-z]*)", value.lower())
        if match is None or match[2] not in _UNITS:
            also = ", or auto" if auto else ""
            raise click.BadParameter(f"{value!r} is not a size; write 2000000000, 256M, 4G or 4GB{also}")
        return int(match[1]) * _UNITS[match[2]]

    return convert


def _console(_context: click.Context, _parameter: click.Parameter, value: str) -> Console:
    try:
        return Console.parse(value)
    except InputError as error:
        raise click.BadParameter(f"{error} ({error.hint})") from None


def _complete_console(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return [device for device in DEVICES if device.startswith(incomplete)]


def _stamp(_context: click.Context, _parameter: click.Parameter, value: str | None) -> Stamp | None:
    try:
        return None if value is None else Stamp(value)
    except InputError as error:
        raise click.BadParameter(f"{error} ({error.hint})") from None


def _modules(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> tuple[ModuleRequest, ...]:
    return tuple(ModuleRequest.parse(value) for value in values)


FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)
PATH = click.Path(path_type=Path)

console = click.option(
    "-c",
    "--console",
    callback=_console,
    shell_complete=_complete_console,
    default="text",
    metavar="DEVICE[:BAUD]",
    help="Primary console: text (or vga), ttya to ttyd; a serial port may have a speed.  [default: text]",
)
root = click.option(
    "-r",
    "--root",
    type=FOLDER,
    default=".",
    metavar="DIR",
    help="A smartos-live workspace.  [default: the current folder]",
)
platform = click.option(
    "--platform",
    type=PATH,
    metavar="DIR|FILE",
    help="A platform: a folder, or a tarball or image that holds one.  [default: the workspace's latest]",
)
boot = click.option(
    "--boot",
    type=PATH,
    metavar="DIR|FILE",
    help="Boot files: a folder, or a tarball or image with boot/ in it.  [default: the workspace's proto.boot]",
)
dry_run = click.option("-n", "--dry-run", is_flag=True, help="Print the plan; write nothing.")
manifests = click.option(
    "-m",
    "--manifest",
    "manifests",
    type=PATH,
    multiple=True,
    metavar="FILE|DIR",
    help="A manifest, or a folder of them; may be repeated.  [default: manifest.gen or manifest.d, in a workspace]",
)
protos = click.option(
    "-p",
    "--proto",
    "protos",
    type=FOLDER,
    multiple=True,
    metavar="DIR",
    help="A proto area; may be repeated: the first that has a file supplies it.  [default: proto, in a workspace]",
)
stamp = click.option(
    "--stamp",
    callback=_stamp,
    metavar="STAMP",
    help="The build stamp, such as 20261122T000000Z.  [default: the proto area's file buildstamp]",
)
modules = click.option(
    "--module",
    "modules",
    callback=_modules,
    multiple=True,
    metavar="FILE[:NAME]",
    help="A file for the kernel's /system/boot, there called NAME; may be repeated.  [default: the file's own name]",
)
answers = click.option(
    "--answers", type=FILE, metavar="FILE", help="Answers for SmartOS's setup (answers.json), checked."
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


def warn(messages: Iterable[str]) -> None:
    """Print warnings on standard error."""
    for message in messages:
        click.echo(f"imagekit: warning: {message}", err=True)


def print_json(data: object) -> None:
    """Print a JSON document on standard output."""
    click.echo(json.dumps(data, indent=2))


def print_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines of text at once; what is no UTF-8 in a name goes out as the bytes that it came from."""
    text = "".join(f"{line}\n" for line in lines)
    click.echo(text.encode("utf-8", "surrogateescape"), nl=False, err=err)


class Plan(Protocol):
    """What a verb that makes something decides before it writes."""

    @property
    def warnings(self) -> Sequence[str]:
        """What the user should know before trusting the products."""

    def lines(self) -> Iterable[str]:
        """Return the plan as text."""

    def data(self) -> dict[str, object]:
        """Return the plan as data."""

    def write(self) -> "Sequence[Product]":
        """Carry it out."""


def carry_out(plan: Plan, *, dry_run: bool, as_json: bool) -> None:
    """Print the plan, or carry it out and print a line a product (or all as JSON)."""
    warn(plan.warnings)
    if dry_run and as_json:
        print_json(plan.data())
    elif dry_run:
        for line in plan.lines():
            click.echo(line)
    elif as_json:
        print_json({"products": [product.data() for product in plan.write()], "warnings": list(plan.warnings)})
    else:
        for product in plan.write():
            click.echo(product.line())
