"""Names of options: they stand in cli alone, and each thing that a message names has one."""

import ast
import re

import click

from imagekit.cli import VERBS, commands
from imagekit.cli.things import OPTIONS, named
from imagekit.errors import Thing

OPTION = r"(?<![\w-])--[a-z][a-z0-9-]*|(?:give|with|use|without|but|write|;) -[a-zA-Z]\b"

FOREIGN = {"boot/ipxe.py", "formats/ufs/superblock.py", "run/machine.py", "run/process.py", "run/guard.py"}
"""Modules whose strings are for other programs."""


def options():
    """Return the names of all options of all verbs."""
    context, found = click.Context(commands), set()
    every = [commands.get_command(context, verb) for verb in VERBS]
    while every:
        command = every.pop()
        every += getattr(command, "commands", {}).values()
        found.update(*(parameter.opts for parameter in command.params if isinstance(parameter, click.Option)))
    return found


def strings(tree):
    """Yield the strings of a module that are no docstrings."""
    docs = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node


def test_each_thing_is_an_option():
    assert set(OPTIONS) == set(Thing)
    assert set(OPTIONS.values()) <= options()


def test_no_module_below_names_options(project):
    known = options()
    found = [
        f"{name}:{node.lineno}: {word}"
        for path in (project / "imagekit").rglob("*.py")
        if not (name := str(path.relative_to(project / "imagekit"))).startswith(("cli/", "__main__"))
        and name not in FOREIGN
        for node in strings(ast.parse(path.read_text()))
        for word in re.findall(OPTION, node.value)
        if word.split()[-1] in known
    ]
    assert found == []


def test_names_in_a_message():
    assert named(f"give {Thing.SIZE} auto, or {Thing.ROOT_SIZE} 12") == "give --size auto, or --root-size 12"
    assert named("«else» «SIZE» size") == "«else» «SIZE» size"
    assert f"give {Thing.ROOT_SIZE} 12" == "give «root_size» 12"
