"""What all tests share."""

import shutil

import pytest


def need(*programs: str) -> None:
    """Skip the test, saying so, unless these programs are installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    if missing:
        pytest.skip(f"needs {', '.join(missing)} (scripts/test installs it where it can)")
