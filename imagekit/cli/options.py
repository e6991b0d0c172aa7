"""Options that several verbs share: their types, their words, and how results are printed."""

import json
import re
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import click

from imagekit.boot.console import Console
from imagekit.errors import InputError

if TYPE_CHECKING:
    from imagekit.media.product import Product

_UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
for _power, _letter in enumerate("kmg", start=1):
    _UNITS[_letter] = _UNITS[f"{_letter}ib"] = 1024**_power


class SizeType(click.ParamType):
    """A size in bytes: a number, or one with a unit (K, M, G: powers of 1024; KB, MB, GB: powers of 1000)."""

    name = "bytes"

    def __init__(self, *, auto: bool = False) -> None:
        self.auto = auto

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> int | None:
        """Return the number of bytes, None for "auto"."""
        if isinstance(value, int) or value is None:
            return value
        if self.auto and value == "auto":
            return None
        match = re.fullmatch(r"(\d+)([a-z]*)", str(value).lower())
        if match is None or match[2] not in _UNITS:
            also = ", or auto" if self.auto else ""
            self.fail(f"{value!r} is not a size; write 2000000000, 256M, 4G or 4GB{also}", param, ctx)
        return int(match[1]) * _UNITS[match[2]]


class ConsoleType(click.ParamType):
    """A console: DEVICE[:BAUD]."""

    name = "console"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Console:
        """Return the console, or fail with the nearest name."""
        if isinstance(value, Console):
            return value
        try:
            return Console.parse(str(value))
        except InputError as error:
            self.fail(f"{error} ({error.hint})", param, ctx)


FOLDER = click.Path(file_okay=False, path_type=Path)
FILE = click.Path(dir_okay=False, path_type=Path)

Decorator = Callable[[Callable[..., Any]], Callable[..., Any]]

console = click.option(
    "-c",
    "--console",
    type=ConsoleType(),
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
    "--platform", type=FOLDER, metavar="DIR", help="A platform folder, instead of the workspace's latest."
)
boot = click.option("--boot", type=FOLDER, metavar="DIR", help="Boot files, instead of the workspace's proto.boot.")
dry_run = click.option("-n", "--dry-run", is_flag=True, help="Print the plan; write nothing.")
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


def warn(messages: Iterable[str]) -> None:
    """Print warnings on standard error."""
    for message in messages:
        click.echo(f"imagekit: warning: {message}", err=True)


def print_json(data: object) -> None:
    """Print a JSON document on standard output."""
    click.echo(json.dumps(data, indent=2, ensure_ascii=False))


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
