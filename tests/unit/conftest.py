"""Lets the unit tests import their helpers, which stand beside them."""

import signal
import sys
import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from imagekit import interrupts

sys.path.insert(0, str(Path(__file__).parent))


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
