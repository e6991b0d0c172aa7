"""The wheel: what it ships, and that the demo comes out of it, away from any checkout."""

import importlib.util
import os
import subprocess
import sys
import zipfile

import pytest


@pytest.fixture(scope="module")
def wheel(project, tmp_path_factory):
    """Return the wheel of this checkout."""
    if importlib.util.find_spec("hatchling") is None:
        pytest.skip("needs hatchling: pip install -e '.[dev]' installs it")
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=project,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("imagekit-*.whl")
    return built


def test_it_ships_the_package_and_what_the_demo_is_made_of(wheel, project):
    with zipfile.ZipFile(wheel) as archive:
        names = {name for name in archive.namelist() if ".dist-info/" not in name}
        found = {name: archive.read(name) for name in names if name.startswith("imagekit/data/")}
    package = {
        str(path.relative_to(project))
        for path in (project / "imagekit").rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    assert names - set(found) == package
    expected = {
        f"imagekit/data/{place.relative_to(project)}": place.read_bytes()
        for top in ("bootloader/built", "manifests")
        for place in (project / top).rglob("*")
        if place.is_file()
    }
    assert found == expected


def test_the_demo_comes_out_of_it(wheel, project, tmp_path):
    package, empty = tmp_path / "package", tmp_path / "empty"
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(package)
    empty.mkdir()

    def run(*arguments, source):
        environment = os.environ | {"PYTHONPATH": str(source), "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run(
            [sys.executable, *arguments], cwd=empty, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = run("-c", "import imagekit; print(imagekit.__file__)", source=package)
    assert where.strip() == str(package / "imagekit/__init__.py")
    run("-m", "imagekit", "demo", "from-wheel", source=package)
    run("-m", "imagekit", "demo", "from-checkout", source=project)
    one, two = (
        {path.relative_to(top): path.read_bytes() for path in top.rglob("*") if path.is_file()}
        for top in (empty / "from-wheel", empty / "from-checkout")
    )
    assert one == two
    assert one
    run("-m", "imagekit", "platform", "-r", "from-wheel", source=package)
    assert (empty / "from-wheel/output/platform-latest/i86pc/amd64/boot_archive").is_file()
