"""What all tests share."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

PROJECT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session")
def need() -> Callable[..., None]:
    """Return a function that skips the test, saying so, unless the named programs are installed."""

    def check(*programs: str) -> None:
        missing = [program for program in programs if shutil.which(program) is None]
        if missing:
            pytest.skip(f"needs {', '.join(missing)}: scripts/test installs it where it can")

    return check


@pytest.fixture(scope="session")
def project() -> Path:
    """Return the folder of the project."""
    return PROJECT


@pytest.fixture(scope="session")
def shared() -> Path:
    """Return the folder of the real SmartOS data beside the project; skip the test when it is not there."""
    folder = PROJECT.parent / "shared"
    if not (folder / "data" / "manifests").is_dir():
        pytest.skip("needs the real SmartOS manifests in ../shared/data")
    return folder
