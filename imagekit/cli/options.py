"""Options that several verbs share: their types, their words, and how results are printed."""

import json
import os
import re
import stat
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, TypeVar

import click

from imagekit.boot.console import DEVICES, Console
from imagekit.boot.modules import ModuleRequest
from imagekit.cli import terminal
from imagekit.cli.things import named
from imagekit.clock import Stamp
from imagekit.errors import ImagekitError, InputError, OutputError
from imagekit.progress import Show

if TYPE_CHECKING:
    from imagekit.files.rehearsal import Rehearsal
    from imagekit.product import Product

    _Path = click.Path[Path]
else:  # generic for type checkers only: older releases are not
    _Path = click.Path

_UNITS = {"": 1, "kb": 10**3, "mb": 10**6, "gb": 10**9}
for _power, _letter in enumerate("kmg", start=1):
    _UNITS[_letter] = _UNITS[f"{_letter}ib"] = 1024**_power


T = TypeVar("T")


def each(convert: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, tuple[str, ...]], tuple[T, ...]]:
    """Return the callback that converts every value of a repeated option; a bad one is wrong usage."""

    def callback(_context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]) -> tuple[T, ...]:
        try:
            return tuple(convert(value) for value in values)
        except ImagekitError as error:
            hint = f" ({error.hint})" if error.hint else ""
            raise click.BadParameter(named(f"{error}{hint}")) from None

    return callback


def optional(convert: Callable[[str], T]) -> Callable[[click.Context, click.Parameter, str | None], T | None]:
    """Return the callback that converts a value, if one was given."""
    every = each(convert)

    def callback(context: click.Context, parameter: click.Parameter, value: str | None) -> T | None:
        return None if value is None else every(context, parameter, (value,))[0]

    return callback


def size(*, multiple_of: int = 1, least: int = 0) -> Callable[[click.Context, click.Parameter, str], int | None]:
    """Return the callback that reads a size: bytes, or with a unit (K, M, G: powers of 1024; KB, MB, GB: of 1000).

    The word "auto" is a size too, and becomes None.  Any other is `least` or more, and a multiple of `multiple_of`,
    to which one with a unit is rounded down.
    """

    def convert(text: str) -> int | None:
        if text == "auto":
            return None
        match = re.fullmatch(r"([0-9]{1,18})([a-z]*)", text.lower())
        if match is None or match[2] not in _UNITS:
            raise InputError(f"{text!r} is not a size; write 2000000000, 256M, 4G, 4GB or auto")
        size = int(match[1]) * _UNITS[match[2]]
        if size < least:
            raise InputError(f"{size:,} bytes are too few; the least is {least:,}")
        if match[2]:
            size -= size % multiple_of
        if size % multiple_of:
            raise InputError(f"{size:,} bytes are not whole sectors; give a multiple of {multiple_of}")
        return size

    return optional(convert)


def _complete_console(_context: click.Context, _parameter: click.Parameter, incomplete: str) -> list[str]:
    return [device for device in DEVICES if device.startswith(incomplete)]


def _module(text: str) -> ModuleRequest:
    if not text or text.startswith(":"):
        raise InputError(f"{text!r} names no file; write FILE[:NAME]")
    return ModuleRequest.parse(text)


class _Place(_Path):
    """A path to something that may be missing: then the verb says so.

    What is there and is not what was wanted, or cannot be looked at, is a failure, not wrong usage: a command line
    that was right yesterday is right today.
    """

    def __init__(self, *, file: bool = True, folder: bool = True, output: bool = False) -> None:
        super().__init__(file_okay=file, dir_okay=folder, path_type=Path)
        self._is_output = output

    def convert(self, value: str | os.PathLike[str], param: click.Parameter | None, ctx: click.Context | None) -> Path:
        """Return the path; "-" as an input is left to the verb."""
        text = os.fspath(value)
        if not text:
            self.fail("the name is empty", param, ctx)
        if text == "-" and self._is_output:
            self.fail("this cannot go to standard output; a file of that name would be ./-", param, ctx)
        path = Path(text)
        if path == Path("-"):
            return path if text == "-" else path.absolute()
        try:
            is_folder = stat.S_ISDIR(path.stat().st_mode)
        except (FileNotFoundError, NotADirectoryError):
            return path
        except OSError as error:
            raise InputError(f"cannot look there: {error.strerror}", where=text) from error
        if not (self.dir_okay if is_folder else self.file_okay):
            found, expected = ("folder", "file") if is_folder else ("file", "folder")
            raise InputError(f"found a {found}, expected a {expected}", where=text)
        return path


FOLDER = _Place(file=False)
FILE = _Place(folder=False)
PATH = _Place()
OUTPUT_FOLDER = _Place(file=False, output=True)
OUTPUT_FILE = _Place(folder=False, output=True)

console = click.option(
    "-c",
    "--console",
    callback=optional(Console.parse),
    shell_complete=_complete_console,
    metavar="DEVICE[:BAUD]",
    help="Primary console: text (or vga), ttya to ttyd; a serial port may have a speed.  "
    "[default: that of the boot files' loader.conf, else text]",
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
    help="Boot files: a folder, or a tarball or image with boot/ in it.  "
    "[default: the image that --platform names, if they are in it, else the workspace's proto.boot]",
)
dry_run = click.option("-n", "--dry-run", is_flag=True, help="Print the plan; write nothing.")


def _manifests(names: str) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return click.option(
        "-m",
        "--manifest",
        "manifests",
        type=PATH,
        multiple=True,
        metavar="FILE|DIR",
        help=f"A manifest, or a folder of them; may be repeated.  [default: {names}, in a workspace]",
    )


manifests = _manifests("manifest.gen or manifest.d")
boot_manifests = _manifests("boot.manifest.gen or boot.manifest.d")
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
    callback=optional(Stamp),
    metavar="STAMP",
    help="The build stamp, such as 20261122T000000Z.  [default: the proto area's file buildstamp, else BUILDSTAMP]",
)
modules = click.option(
    "--module",
    "modules",
    callback=each(_module),
    multiple=True,
    metavar="FILE[:NAME]",
    help="A file for the kernel's /system/boot, there called NAME; may be repeated.  [default: the file's own name]",
)
answers = click.option(
    "--answers", type=FILE, metavar="FILE", help="Answers for SmartOS's setup (answers.json), checked."
)
level = click.option(
    "--level",
    type=click.Choice(["quick", "close", "best"]),
    default="close",
    help="How hard to compress: close to gzip -6 in size, or quick, or best (takes longest).  [default: close]",
)
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON for scripts.")


def warn(messages: Iterable[str]) -> None:
    """Print warnings on standard error."""
    for message in messages:
        click.echo(named(f"imagekit: warning: {message}"), err=True)


def note(message: str) -> None:
    """Print on standard error what somebody who waits should know."""
    click.echo(f"imagekit: {message}", err=True)


def print_json(data: object) -> None:
    """Print a JSON document on standard output."""
    print_text(f"{json.dumps(data, indent=2)}\n")


def print_lines(lines: Iterable[str], *, err: bool = False) -> None:
    """Print lines of text at once."""
    print_text("".join(f"{line}\n" for line in lines), err=err)


def print_text(text: str, *, err: bool = False) -> None:
    """Print text as UTF-8; what is no UTF-8 in a name goes out as the bytes that it came from.

    Raise OutputError when it cannot be written, and BrokenPipeError when nobody reads it any more.
    """
    try:
        click.echo(text.encode("utf-8", "surrogateescape"), nl=False, err=err)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OutputError(
            f"cannot write: {error.strerror}", where=f"standard {'error' if err else 'output'}"
        ) from error


class Plan(Protocol):
    """What a verb that makes something decides before it writes."""

    @property
    def warnings(self) -> Sequence[str]:
        """What the user should know before trusting the products."""

    def lines(self) -> Iterable[str]:
        """Return the plan as text."""

    def data(self) -> dict[str, object]:
        """Return the plan as data."""

    def rehearse(self, outputs: "Rehearsal") -> None:
        """Name the outputs, for what would keep them from being made."""

    def write(self, show: Show = ..., /) -> "Sequence[Product]":
        """Carry it out."""


def carry_out(plan: Plan, *, dry_run: bool, as_json: bool) -> None:
    """Print the plan, or carry it out and print a line a product (or all as JSON)."""
    warn(plan.warnings)
    if dry_run:
        from imagekit.files.rehearsal import Rehearsal  # noqa: PLC0415 - keeps --help quick

        rehearsal = Rehearsal()
        plan.rehearse(rehearsal)
        rehearsal.check_space()
    if dry_run and as_json:
        print_json(_named(plan.data()))
        return
    if dry_run:
        print_lines(plan.lines())
        return
    products = plan.write(terminal.bar)
    late = [warning for product in products for warning in product.warnings]
    warn(late)
    if as_json:
        print_json(
            {
                "products": [product.data() for product in products],
                "warnings": list(map(named, [*plan.warnings, *late])),
            }
        )
    else:
        print_lines(product.line() for product in products)


def _named(data: dict[str, object]) -> dict[str, object]:
    warnings = data.get("warnings")
    return {**data, "warnings": list(map(named, warnings))} if isinstance(warnings, list) else data
