"""Runs of imagekit: as a program of its own, or, where many are needed, in this one."""

import os
import subprocess
import sys

from click.testing import CliRunner

IMAGEKIT = (sys.executable, "-m", "imagekit")
_FROM_OUTSIDE = {"BUILDSTAMP", "PLATFORM_PASSWORD", "SOURCE_DATE_EPOCH"}


def environment(**more):
    """Return this process's environment without what would change a product, and with what the test adds."""
    return {name: value for name, value in os.environ.items() if name not in _FROM_OUTSIDE} | more


def imagekit(*arguments, cwd, program=IMAGEKIT, **options):
    """Run imagekit in a folder; options go to subprocess.run."""
    options = {
        "env": environment(),
        "stdin": subprocess.DEVNULL,
        "stdout": subprocess.PIPE,
        "stderr": subprocess.PIPE,
    } | options
    command = [*program, *map(str, arguments)]
    return subprocess.run(command, cwd=cwd, text=True, errors="surrogateescape", check=False, **options)


def fails(*arguments, cwd, status=1, but=()):
    """Run imagekit, expect it to fail and to leave nothing (but the folders that are named); return what it said."""

    def found():
        exempt = {cwd / name for name in but}
        return {path for path in cwd.rglob("*") if exempt.isdisjoint({path, *path.parents})}

    before = found()
    done = imagekit(*arguments, cwd=cwd)
    assert done.returncode == status, done
    assert done.stdout == ""
    assert "Traceback" not in done.stderr
    assert found() == before
    return done.stderr


def invoke(verb, *arguments, **options):
    """Run a verb in this process; options go to CliRunner.invoke.  What is no way to end is raised."""
    result = CliRunner().invoke(verb, [str(one) for one in arguments], **options)
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result
