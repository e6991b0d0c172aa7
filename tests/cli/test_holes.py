"""The products do not tell whether their source files had holes."""

import hashlib

import pytest

from imagekit.content import BLOCK_SIZE
from kit import workspace
from kit.command import imagekit

TEXT = b"".join(b"%d " % (number * number) for number in range(99_999))[: BLOCK_SIZE // 2]
PIECES = ((0, TEXT), (3 * BLOCK_SIZE, TEXT), (4 * BLOCK_SIZE - 9000, TEXT))
SIZE = 6 * BLOCK_SIZE + 77


def write(path, *, holes):
    """Write the same bytes, with holes between the pieces or zeros; return the bytes that the disk holds for it."""
    path.unlink(missing_ok=True)
    with path.open("wb") as file:
        if holes:
            file.truncate(SIZE)
        else:
            file.write(bytes(SIZE))
        for offset, data in PIECES:
            file.seek(offset)
            file.write(data)
    return path.stat().st_blocks * 512


def both(path, make):
    """Return what `make` returns with holes in the file at `path`, and with zeros in their place."""
    sparse = write(path, holes=True)
    with_holes = make()
    if sparse >= write(path, holes=False):
        pytest.skip("needs a file system with holes")
    return with_holes, make()


def made(folder, *arguments):
    done = imagekit(*arguments, cwd=folder)
    assert done.returncode == 0, done.stderr


def digests(folder, *patterns):
    paths = [path for pattern in patterns for path in sorted(folder.glob(pattern)) if path.is_file()]
    assert paths
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in paths}


@pytest.mark.parametrize("output", ["x.usb.gz", "x.iso"])
def test_media(tmp_path, output):
    ws = workspace.make(tmp_path)
    kind = output.split(".")[1]

    archive = ws / "output" / workspace.NAME / "i86pc/amd64/boot_archive"

    def make():
        archive.with_name("boot_archive.hash").write_text(f"{hashlib.sha1(archive.read_bytes()).hexdigest()}\n")
        made(ws, kind, "-o", output, *(("--size", "auto") if kind == "usb" else ()))
        return digests(ws, output)

    with_holes, without = both(archive, make)
    assert with_holes == without


def test_tarballs(tmp_path):
    (tmp_path / "manifest").write_text("f data 0644 root sys\n")
    (tmp_path / "proto/etc").mkdir(parents=True)
    (tmp_path / "proto/etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (tmp_path / "proto/etc/group").write_text("root::0:\nsys::3:\n")

    def make():
        made(tmp_path, "tar", "-m", "manifest", "-p", "proto", "-o", "x.tgz")
        return digests(tmp_path, "x.tgz")

    with_holes, without = both(tmp_path / "proto/data", make)
    assert with_holes == without


@pytest.mark.parametrize("path", ["usr/bin/ls", "kernel/amd64/genunix"])
def test_platforms(tmp_path, path):
    ws = tmp_path / "ws"
    made(tmp_path, "demo", ws)

    def make():
        made(ws, "platform", "--root-password", "secret", "--fit")
        return digests(ws / "output", "*.tgz", "platform-2*/**/*")

    with_holes, without = both(ws / "proto" / path, make)
    assert any(name.endswith("boot_archive") for name in with_holes)
    assert with_holes == without
