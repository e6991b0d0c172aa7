"""What the tests of PXE directories share: platforms, runs of the command, and what is in a directory."""

import hashlib
import re
import shutil

from imagekit.media import pxe
from imagekit.media.sources import SourceRequest
from kit import command, workspace

STAMP = workspace.STAMP


def platform(ws, stamp, *, archive=b"an archive of its own"):
    """Make another platform in a workspace; return its folder."""
    folder = shutil.copytree(ws / "output" / workspace.NAME, ws / "output" / f"platform-{stamp}")
    (folder / "etc/version/platform").write_text(f"{stamp}\n")
    (folder / "i86pc/amd64/boot_archive").write_bytes(archive)
    (folder / "i86pc/amd64/boot_archive.hash").write_text(hashlib.sha1(archive).hexdigest() + "\n")
    return folder


def imagekit(*arguments, cwd):
    return command.imagekit("pxe", *arguments, cwd=cwd)


def make(ws, *platforms, **options):
    """Carry out a request as the command line would; return the plan."""
    sources = tuple(SourceRequest(ws, folder) for folder in platforms)
    request = pxe.PxeRequest(output=ws / "output-pxe", sources=sources, **options)
    with pxe.locked(request.output):
        plan = pxe.plan(request)
        plan.write()
    return plan


def files(folder):
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir())


def contents(folder):
    return {name: (folder / name).read_bytes() for name in files(folder)}


def check_sums(folder):
    """SHA256SUMS names every file but itself, with the right sum."""
    lines = (folder / "SHA256SUMS").read_text().splitlines()
    assert [line[66:] for line in lines] == [name for name in files(folder) if name != "SHA256SUMS"]
    for line in lines:
        assert hashlib.sha256((folder / line[66:]).read_bytes()).hexdigest() == line[:64]


def named(script):
    """Return the paths that a script fetches."""
    return re.findall(r"^(?:kernel|module) (\S+)", script, re.MULTILINE)
