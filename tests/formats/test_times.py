"""Every time that SOURCE_DATE_EPOCH can name: each format keeps it, takes the nearest that it has, or refuses it."""

import tarfile
from datetime import UTC, datetime

import pytest

from imagekit.content import Bytes, DiskFile
from imagekit.errors import PlanError
from imagekit.formats import fat, gzip, iso, tar, ufs
from imagekit.tree import Directory, File, Tree
from kit import workspace
from kit.command import environment, imagekit

EPOCHS = [0, 1795305600, 4102444800, 2**33, 253402300799]
"""1970, 2026, 2100, 2242, 9999."""


def seconds(*date):
    return int(datetime(*date, tzinfo=UTC).timestamp())


def tree(time):
    return Tree.of(
        [Directory(path="d", mtime=time), File(path="d/f", mtime=time, content=Bytes(b"x"))],
        Directory(path="", mtime=time),
    )


@pytest.mark.parametrize("epoch", EPOCHS)
def test_fat_takes_the_nearest(epoch):
    image = fat.plan(tree(epoch), 40 << 20, label="X", volume_id=1).content()
    nearest = min(max(epoch, seconds(1980, 1, 1)), seconds(2107, 12, 31, 23, 59, 58))
    assert {entry.mtime for entry in fat.read(image) if entry.path} == {nearest}


@pytest.mark.parametrize("epoch", EPOCHS)
def test_tar_keeps_every_time(epoch):
    read = tar.read(tar.plan(tree(epoch)))
    assert {entry.mtime for entry in read if entry.path} == {epoch}


@pytest.mark.parametrize("epoch", EPOCHS)
def test_gzip_keeps_it_or_none(epoch):
    parts = []
    gzip.compress(Bytes(b"x"), parts.append, mtime=epoch)
    assert int.from_bytes(b"".join(parts)[4:8], "little") == (epoch if epoch < 2**32 else 0)


@pytest.mark.parametrize("epoch", EPOCHS)
def test_ufs_keeps_it_or_refuses(epoch):
    if epoch < 2**31:
        image = ufs.plan(tree(epoch), 4 << 20, time=epoch).content()
        assert {ufs.read(image)[path].mtime for path in ("", "d", "d/f")} == {epoch}
    else:
        with pytest.raises(PlanError, match=rf"{epoch} is outside 1970\.\.2038"):
            ufs.plan(tree(epoch), 4 << 20, time=epoch)


@pytest.mark.parametrize("epoch", EPOCHS)
def test_iso_keeps_it_or_refuses(epoch):
    if epoch <= seconds(2155, 12, 31, 23, 59, 59):
        image = iso.plan(tree(epoch), volume_id="X", time=epoch).content()
        assert {entry.mtime for entry in iso.read(image)} == {epoch}
    else:
        with pytest.raises(PlanError, match=str(epoch)) as caught:
            iso.plan(tree(epoch), volume_id="X", time=epoch)
        assert "1900 to 2155" in caught.value.hint


@pytest.mark.parametrize("epoch", EPOCHS)
def test_commands_finish_or_name_the_time(tmp_path, epoch):
    ws = workspace.make(tmp_path)
    (ws / "boot.manifest.d").mkdir()
    (ws / "boot.manifest.d/x").write_text("f boot/cdboot 0644 root sys\n")
    (ws / "proto/etc").mkdir()
    (ws / "proto/etc/passwd").write_text("root:x:0:0::/:/bin/sh\n")
    (ws / "proto/etc/group").write_text("root::0:\nsys::3:\n")
    (ws / "proto/buildstamp").write_text(f"{workspace.STAMP}\n")
    for command, limit in (("usb", None), ("iso", 2**32), ("boot", None)):
        options = ("--size", "auto") if command == "usb" else ()
        done = imagekit(command, *options, cwd=ws, env=environment(SOURCE_DATE_EPOCH=str(epoch)))
        assert "Traceback" not in done.stderr
        if limit is None or epoch <= limit:
            assert done.returncode == 0, done.stderr
        else:
            assert done.returncode == 1
            assert str(epoch) in done.stderr
    with tarfile.open(next((ws / "output").glob("boot-*.tgz"))) as archive:
        assert {member.mtime for member in archive} == {epoch}
    assert (ws / "proto.boot/boot/cdboot").is_file()
    assert gzip.is_gzip(DiskFile(next((ws / "output-usb").glob("*.usb.gz"))))
