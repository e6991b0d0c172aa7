"""imagekit tar, from manifest and proto area to the tarball."""

import hashlib
import json
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from kit.command import environment, imagekit

MANIFEST = """\
d etc 0755 root sys
f etc/passwd 0644 root sys
f etc/group 0644 root sys
d usr 0755 root sys
d usr/bin 0755 root bin
h usr/bin/also=usr/bin/su
f usr/bin/su 4555 root bin
s usr/bin/sym=../../etc/passwd
f usr/private 0400 guest staff
"""
FILES = {
    "etc/passwd": "root:x:0:0::/:/bin/sh\nguest:x:77:88::/:/bin/sh\n",
    "etc/group": "root::0:\nbin::2:\nsys::3:\nstaff::88:\n",
    "usr/bin/su": "program",
    "usr/private": "secret",
}


@pytest.fixture
def area(tmp_path: Path) -> Path:
    (tmp_path / "manifest").write_text(MANIFEST)
    for name, text in FILES.items():
        path = tmp_path / "proto" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        path.chmod(0o600)
    (tmp_path / "proto/usr/bin/sym").symlink_to("../../etc/passwd")
    os.link(tmp_path / "proto/usr/bin/su", tmp_path / "proto/usr/bin/also")
    return tmp_path


def tar(area: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return run(area, "-m", "manifest", "-p", "proto", *arguments, **more)


def run(area: Path, *arguments: str, **more: str) -> subprocess.CompletedProcess[str]:
    return imagekit("tar", *arguments, cwd=area, env=environment(**more))


def test_owners_modes_times_and_links_are_the_plan_s(area: Path) -> None:
    done = tar(area, "-o", "out/x.tgz", "--stamp", "20261122T000000Z")
    assert (done.returncode, done.stderr) == (0, "")
    data = (area / "out/x.tgz").read_bytes()
    path, size, digest, seconds = done.stdout.split("  ")
    assert (path, size, digest) == ("out/x.tgz", f"{len(data):,} bytes", f"sha256 {hashlib.sha256(data).hexdigest()}")
    assert seconds.endswith(" s\n")
    with tarfile.open(area / "out/x.tgz") as archive:
        found = [(m.name, m.mode, m.uid, m.gid, m.uname, m.gname, m.linkname) for m in archive]
        assert {m.mtime for m in archive} == {1795305600}
    assert found == [
        ("etc", 0o755, 0, 3, "root", "sys", ""),
        ("etc/group", 0o644, 0, 3, "root", "sys", ""),
        ("etc/passwd", 0o644, 0, 3, "root", "sys", ""),
        ("usr", 0o755, 0, 3, "root", "sys", ""),
        ("usr/bin", 0o755, 0, 2, "root", "bin", ""),
        ("usr/bin/also", 0o4555, 0, 2, "root", "bin", ""),
        ("usr/bin/su", 0o4555, 0, 2, "root", "bin", "usr/bin/also"),
        ("usr/bin/sym", 0o777, 0, 0, "root", "root", "../../etc/passwd"),
        ("usr/private", 0o400, 77, 88, "guest", "staff", ""),
    ]


def test_bytes_do_not_depend_on_where_and_how_it_runs(area: Path) -> None:
    assert tar(area, "-o", "one.tgz", TZ="UTC").returncode == 0
    for path in (area / "proto").rglob("*"):
        if path.is_file() and not path.is_symlink():
            os.utime(path, (1, 1))
            path.chmod(0o644)
    moved = area.with_name(f"{area.name}-moved")
    area.rename(moved)
    done = tar(moved, "-o", "two.tgz", TZ="Asia/Tokyo", LC_ALL="C", PYTHONHASHSEED="7")
    assert done.returncode == 0
    assert (moved / "one.tgz").read_bytes() == (moved / "two.tgz").read_bytes()
    done = tar(moved, "-o", "three.tgz", SOURCE_DATE_EPOCH="86400")
    assert (moved / "three.tgz").read_bytes() != (moved / "two.tgz").read_bytes()


def test_json_and_plain_tar(area: Path) -> None:
    done = tar(area, "-o", "x.tar", "--json")
    (product,) = json.loads(done.stdout)["products"]
    data = (area / "x.tar").read_bytes()
    assert (product["path"], product["size"]) == ("x.tar", len(data))
    assert product["sha256"] == hashlib.sha256(data).hexdigest()
    assert data[:4] == b"etc/"
    assert (area / "x.tar").stat().st_mode & 0o777 == 0o644


def test_dry_run_writes_nothing(area: Path) -> None:
    done = tar(area, "-o", "x.tgz", "--dry-run")
    assert done.returncode == 0
    assert "entries  4 x file" in done.stdout
    assert "archive  10,240 bytes before compression" in done.stdout
    plan = json.loads(tar(area, "-o", "x.tgz", "--dry-run", "--json").stdout)
    entries = {entry["path"]: entry for entry in plan["entries"]}
    assert (plan["kind"], plan["compress"], plan["content_size"]) == ("tar", True, sum(map(len, FILES.values())))
    assert (entries["usr/private"]["uid"], entries["usr/private"]["size"]) == (77, 6)
    assert sorted(path.name for path in area.iterdir()) == ["manifest", "proto"]


def test_a_workspace_needs_no_manifest_and_no_proto(area: Path) -> None:
    done = run(area, "-o", "x.tgz")
    assert done.returncode == 1
    assert "no manifest was given, and no manifest.gen or manifest.d is here" in done.stderr
    (area / "manifest").rename(area / "manifest.gen")
    (area / "proto/buildstamp").write_text("20261122T000000Z\n")
    assert run(area, "-o", "x.tgz").returncode == 0
    with tarfile.open(area / "x.tgz") as archive:
        assert {member.mtime for member in archive} == {1795305600}
    assert run(area, "-o", "y.tgz", SOURCE_DATE_EPOCH="86400").returncode == 0
    with tarfile.open(area / "y.tgz") as archive:
        assert {member.mtime for member in archive} == {86400}
    (area / "proto/buildstamp").write_text("to day\n")
    done = run(area, "-o", "x.tgz")
    assert done.returncode == 1
    assert "proto/buildstamp: not a build stamp: 'to day'" in done.stderr


def test_failures_leave_what_was_there(area: Path) -> None:
    (area / "x.tgz").write_text("old")
    (area / "proto/usr/private").unlink()
    (area / "manifest").write_text(MANIFEST + "f usr/also-missing 0644 root bin\n")
    done = tar(area, "-o", "x.tgz")
    assert done.returncode == 1
    assert "manifest:9" in done.stderr
    assert "manifest:10" in done.stderr
    assert "Traceback" not in done.stderr
    assert (area / "x.tgz").read_text() == "old"
    assert sorted(path.name for path in area.iterdir()) == ["manifest", "proto", "x.tgz"]


def test_wrong_usage_is_told(area: Path) -> None:
    done = tar(area, "-o", "x.tgz", "--stamp", "to day")
    assert done.returncode == 2
    assert "not a build stamp: 'to day'" in done.stderr
    done = tar(area)
    assert done.returncode == 2
    assert "Missing option '-o' / '--output'" in done.stderr
