"""build.env, which smartos-live's configure writes and its Makefile includes: the root password is in it."""

import os
import re
import shlex
from pathlib import Path

from imagekit.errors import InputError, Thing
from imagekit.marks import refuse_marks

NAME = "build.env"
_PASSWORD = "PLATFORM_PASSWORD"  # noqa: S105 - a variable's name
_ASSIGNMENT = re.compile(rf"\s*(?:export\s+)?{_PASSWORD}\s*(?:\?|:{{0,3}})=\s*(.*)")
_MAKES_COMMENT = re.compile(r"(?<!\\)#.*|\\(?=#)")
# What the shell takes for one word, and reads as what it says: plain and escaped characters, and quoted texts.
_WORD = re.compile(r"""(?!#)(?:[\w%+=:,./@^*?!#\[\]-]|\\.|'[^']*'|"[^"$`\\]*")+""", re.ASCII)


def platform_password(root: Path) -> str | None:
    """Return the root password that `gmake live` would hand over: build.env's, else the environment's, if any.

    Raise InputError when make and the shell would make another text of what build.env says.
    """
    file = root / NAME
    found, where = os.environ.get(_PASSWORD, ""), f"{_PASSWORD} in the environment"
    for number, line in enumerate(_lines(file), 1):
        match = _ASSIGNMENT.fullmatch(line)
        if match:
            found, where = _MAKES_COMMENT.sub("", match[1]).rstrip(), f"{file}:{number}"
    if not found:
        return None
    word = found.replace("$$", "\0")
    if "$" in word or _WORD.fullmatch(word.replace("\0", "$")) is None:
        raise InputError(
            f"make and the shell would not take {_PASSWORD} for what it says",
            where=where,
            hint=f"put it in single quotes there, a $ as $$; or give {Thing.ROOT_PASSWORD}",
        )
    return shlex.split(word.replace("\0", "$"))[0]


def _lines(file: Path) -> list[str]:
    try:
        data = file.read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise InputError(f"cannot read: {error.strerror}", where=str(file)) from error
    refuse_marks(data, str(file))
    return data.decode("utf-8", "replace").split("\n")
