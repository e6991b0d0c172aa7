"""The options of all verbs use the same words: a letter stands for one long name, everywhere."""

from collections.abc import Iterator

import click
import pytest

from imagekit.cli import commands
from imagekit.cli.options import size as size_option


def all_commands(group: click.Group, path: str = "") -> Iterator[tuple[str, click.Command]]:
    for name in group.list_commands(click.Context(group)):
        command = group.get_command(click.Context(group), name)
        assert command is not None
        if isinstance(command, click.Group):
            yield from all_commands(command, f"{path}{name} ")
        else:
            yield f"{path}{name}", command


def options() -> Iterator[tuple[str, list[str], list[str]]]:
    for verb, command in all_commands(commands):
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                short = [word for word in parameter.opts if not word.startswith("--")]
                yield verb, short, [word for word in parameter.opts if word.startswith("--")]


def test_a_letter_is_one_word_everywhere() -> None:
    words: dict[str, set[str]] = {}
    for _, short, long in options():
        for letter in short:
            words.setdefault(letter, set()).update(long)
    assert {letter: found for letter, found in words.items() if len(found) > 1} == {}


def test_a_letter_begins_its_word() -> None:
    letters = {(letter, word) for _, short, long in options() for letter in short for word in long}
    others = {pair for pair in letters if pair[1].lstrip("-")[0].lower() != pair[0].lstrip("-").lower()}
    # -n is make's; -B the kernel's own, which takes boot properties.
    assert {letter for letter, _ in others} <= {"-n", "-B"}


def test_every_option_is_explained() -> None:
    for verb, command in all_commands(commands):
        for parameter in command.params:
            if isinstance(parameter, click.Option):
                assert parameter.help, (verb, parameter.name)
                assert parameter.help.split("  [")[0].endswith("."), (verb, parameter.help)


def test_a_size_with_a_unit_is_rounded_down_to_whole_sectors() -> None:
    size = size_option(multiple_of=512)
    context, parameter = click.Context(click.Command("x")), click.Option(["--size"])
    assert size(context, parameter, "100MB") == 99_999_744
    assert size(context, parameter, "4K") == 4096
    with pytest.raises(click.BadParameter, match="not whole sectors"):
        size(context, parameter, "100000000")
