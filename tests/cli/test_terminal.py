"""What is told while work goes on: below the command line nothing prints, and no module but one knows progress bars."""

import ast
import contextlib

import pytest

from imagekit.cli import terminal
from imagekit.content import Bytes
from imagekit.files.output import Outputs
from imagekit.product import write_product


def modules(project):
    for path in (project / "imagekit").rglob("*.py"):
        name = str(path.relative_to(project / "imagekit"))
        if not name.startswith(("cli/", "__main__")):
            yield name, ast.parse(path.read_text())


def test_nothing_below_prints(project):
    found = [
        f"{name}:{node.lineno}"
        for name, tree in modules(project)
        for node in ast.walk(tree)
        if (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print")
        or (isinstance(node, ast.Attribute) and ast.unparse(node) == "sys.stderr")
        or (isinstance(node, ast.ImportFrom | ast.Import) and "tqdm" in ast.unparse(node))
    ]
    assert found == []


@pytest.mark.parametrize("compress", [True, False])
def test_whoever_asks_is_shown_each_step(tmp_path, compress):
    shown = []

    class Counter:
        done = 0

        def advance(self, count):
            self.done += count

    @contextlib.contextmanager
    def show(title, total):
        counter = Counter()
        yield counter
        shown.append((title, total, counter.done))

    with Outputs() as outputs:
        write_product(outputs, tmp_path / "x", Bytes(b"1" + bytes(300_000)), compress=compress, show=show)
    assert shown == [("x", 300_001, 300_001)]


@pytest.mark.parametrize("is_terminal", [True, False])
def test_bars_are_on_a_terminal_only(monkeypatch, capsys, is_terminal):
    monkeypatch.setattr("sys.stderr.isatty", lambda: is_terminal)
    with terminal.bar("image", 100) as progress:
        progress.advance(100)
    terminal.write("==> step")
    said = capsys.readouterr().err
    assert ("image: " in said, "==> step" in said) == (is_terminal, is_terminal)
