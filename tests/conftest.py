"""What all tests share."""

import shutil
import signal
import sys
import sysconfig
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from imagekit import interrupts

pytest.register_assert_rewrite("kit")

PROJECT = Path(__file__).resolve().parent.parent

# What the caller ignores (nohup, a shell's background) imagekit ignores too, and many tests end it by these.
for _number, _handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(_number) is signal.SIG_IGN:
        signal.signal(_number, _handler)


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


@pytest.fixture(scope="session")
def program() -> bytes:
    """Return a few MB of machine code: this Python, and its modules that are programs."""
    modules = Path(sysconfig.get_config_var("DESTSHARED") or "/nowhere").glob("*.so")
    return b"".join(path.read_bytes() for path in [Path(sys.executable).resolve(), *sorted(modules)])[: 3 << 20]


@pytest.fixture
def open_tmp() -> Iterator[Path]:
    """Yield a folder that other users reach, as pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.fixture
def handled(monkeypatch: pytest.MonkeyPatch) -> Iterator[interrupts.Interrupts]:
    """Let signals be interrupts during a test; one that is lost comes again with the next signal only."""
    monkeypatch.setattr(interrupts, "_AGAIN", 3600)
    before = {number: signal.getsignal(number) for number in (*interrupts.SIGNALS, signal.SIGALRM)}
    hook = sys.unraisablehook
    for number in before:
        signal.signal(number, signal.SIG_DFL)  # whatever the caller ignores
    handled = interrupts.Interrupts()
    handled.handle()
    yield handled
    signal.setitimer(signal.ITIMER_REAL, 0)
    interrupts._handled.set(None)
    sys.unraisablehook = hook
    for number, handler in before.items():
        signal.signal(number, handler)
