"""gzip files as gzip, pigz, igzip and libdeflate see them."""

import random
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from imagekit.content import BLOCK_SIZE, Bytes, Composite, DiskFile
from imagekit.files.output import Outputs
from imagekit.formats import gzip

RNG = random.Random(2)
WORDS = " ".join(RNG.choices([RNG.randbytes(6).hex() for _ in range(400)], k=200_000)).encode()
NOISE = RNG.randbytes(2 * BLOCK_SIZE + 99)


def pack(content: Composite, path: Path, library: str) -> None:
    with Outputs() as outputs:
        gzip.compress(content, outputs.file(path).write, library=library, name="disk")


@pytest.mark.parametrize("library", gzip.available())
@pytest.mark.parametrize("tool", ["gzip", "pigz", "igzip", "libdeflate-gunzip", "bsdcat"])
def test_is_accepted(need: Callable[..., None], tmp_path: Path, tool: str, library: str) -> None:
    need(tool)
    content = Composite(9 * BLOCK_SIZE, [(12_345, Bytes(WORDS)), (5 * BLOCK_SIZE, Bytes(NOISE))])
    path = tmp_path / "disk.gz"
    pack(content, path, library)
    options = [] if tool == "bsdcat" else ["-c", "-d"]
    done = subprocess.run([tool, *options, path], capture_output=True, check=True)
    assert done.stdout == content.read()
    assert not done.stderr
    if tool in {"gzip", "pigz", "igzip"}:
        assert not subprocess.run([tool, "-t", path], capture_output=True, check=True).stderr


def test_more_than_32_bits_of_size_are_accepted(need: Callable[..., None], tmp_path: Path) -> None:
    need("igzip")  # the quickest of all: 4 GiB take gzip half a minute
    path = tmp_path / "disk.gz"
    content = Composite((4 << 30) + 4_000_001, [(3 << 30, Bytes(NOISE)), ((4 << 30) - 7, Bytes(WORDS))])
    pack(content, path, "zlib")
    assert not subprocess.run(["igzip", "-t", path], capture_output=True, check=True).stderr


def test_inflates_what_others_pack(need: Callable[..., None], tmp_path: Path) -> None:
    need("gzip", "pigz")
    data = b""
    for tool in ("gzip", "pigz"):
        data += subprocess.run([tool, "-c"], input=WORDS, capture_output=True, check=True).stdout
    path = tmp_path / "two.gz"
    path.write_bytes(data)
    assert gzip.inflate_to_temporary(DiskFile(path)).read() == WORDS * 2
