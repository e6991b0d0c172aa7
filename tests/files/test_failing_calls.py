"""Every call of the system that outputs need fails once: nothing half-written is left, and one error names the output.

tests/fuzz/fuzz_calls.py does the same to whole programs, by strace.
"""

import errno
import os
import tempfile
from pathlib import Path

import pytest

from imagekit import disk
from imagekit.content import Bytes, Composite, write_sparse
from imagekit.errors import ImagekitError
from imagekit.files import raw
from imagekit.files.output import Outputs
from imagekit.formats import gzip

CALLS = {
    "write": [errno.ENOSPC],
    "pwrite": [errno.EIO],
    "truncate": [errno.EFBIG],
    "fsync": [errno.EIO],
    "fchmod": [errno.EIO],
    "close": [errno.EDQUOT],
    "replace": [errno.EIO],
    "symlink": [errno.EIO],
}


def make(top, text):
    content = Composite(3 * 4096, [(4096, Bytes(text * 1000))])
    with Outputs() as outputs:
        write_sparse(content, outputs.file(top / "sparse"))
        raw.write_raw(content, outputs.file(top / "raw"), digests=())
        gzip.compress(content, outputs.file(top / "gz").write, threads=1)
        folder = outputs.folder(top / "folder")
        folder.file("deep/f").write(text)
        outputs.file(top / "new/map").write(text)
        outputs.link(top / "latest", text.decode())


def found(top):
    return {
        str(path.relative_to(top)): str(path.readlink())
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in top.rglob("*")
    }


@pytest.fixture
def memory(tmp_path):
    """Yield a folder in memory, where there is one: syncing takes no time there."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if Path("/dev/shm").is_dir() else tmp_path) as name:
        yield Path(name)


@pytest.mark.parametrize(("name", "way"), [*((name, "exchange") for name in CALLS), ("replace", "two renames")])
def test_a_call_that_fails_leaves_nothing_half_written(memory, monkeypatch, name, way):
    if way == "two renames":
        monkeypatch.setattr(disk, "exchange", lambda *_: False)
    call = getattr(os, name)
    old, new = (found_after(memory / str(len(texts)), *texts) for texts in ([b"old"], [b"old", b"new"]))
    failed = number = 0
    ended = False
    while not ended:
        number += 1
        for code in CALLS[name]:
            top = memory / "failing"
            disk.remove(top)
            top.mkdir()
            make(top, b"old")
            count = 0

            def failing(*arguments, code=code, number=number, **options):
                nonlocal count
                count += 1
                if count == number:
                    if name == "close":  # as the system does it
                        call(*arguments, **options)
                    raise OSError(code, os.strerror(code))
                return call(*arguments, **options)

            with monkeypatch.context() as patch:
                patch.setattr(os, name, failing)
                try:
                    make(top, b"new")
                except ImagekitError as error:
                    said = error
                else:
                    said = None
            ended = count < number
            after = found(top)
            if said is None:
                assert after == new, (number, code)
                continue
            failed += 1
            assert said.where
            assert "\n" not in str(said)
            if "cannot be removed" in str(said):
                continue
            assert after.keys() <= old.keys(), (number, code, said)
            for path, data in after.items():
                assert data in (old[path], new[path]), (number, code, said)
            assert after.keys() == old.keys(), (number, code, said)
    assert failed or name == "close"  # of what is read or only locked, nothing is lost


def found_after(top, *texts):
    top.mkdir()
    for text in texts:
        make(top, text)
    return found(top)
