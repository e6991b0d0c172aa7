"""What the checks of USB and ISO images share: foreign programs, what must be on a medium, builds that cannot end."""

import os
import re
import subprocess
import sys

from full_size.inputs import MANY, PLATFORM, SHARED, TIME, many_names
from full_size.listing import (
    Entry,
    folder_listing,
    mtree_listing,
    sha256,
)

UTF8 = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
MEMORY = 150
MANY_PATH = f"platform/{MANY}"
LOADER_CONF = "boot/loader.conf"


def run(*command, check=True):
    """Run a foreign program; return its status and all that it said."""
    done = subprocess.run(
        [*map(str, command)], env=UTF8, check=check, capture_output=True, text=True, errors="surrogateescape"
    )
    return done.returncode, done.stdout + done.stderr


def output(*command):
    return run(*command)[1]


def kernel_ls(report, name, *arguments):
    """Return what kernel-ls prints, or None, aloud, when it or QEMU is not there."""
    tool = SHARED / "tools/kernel-ls"
    if not tool.exists():
        report.line("skipped", name, "no ../shared/tools/kernel-ls")
    elif report.has(name, "qemu-system-x86_64"):
        return subprocess.run(
            [sys.executable, str(tool), "--timeout", "900", *map(str, arguments)],
            check=True, capture_output=True, text=True, errors="surrogateescape",
        ).stdout  # fmt: skip
    return None


def built(report, outcome, name, limit=MEMORY):
    """Check how a command of imagekit ended, and its memory; tell whether it made something."""
    well = outcome.status == 0 and "Traceback" not in outcome.stderr
    report.check(f"{name}: ends well", [] if well else [f"status {outcome.status}", *outcome.stderr.splitlines()[-6:]])
    peak = f"{outcome.memory:.0f} MB"
    findings = [] if outcome.memory < limit else [f"{peak}, should be less than {limit} MB"]
    report.check(f"{name}: peak memory", findings, f"{peak}, {outcome.seconds:.1f} s")
    return outcome.status == 0


def expected_medium(workspace):
    """Return the listing of what must be on a medium, with the modes that the inputs have on disk."""
    expected = folder_listing(workspace / "proto.boot")
    expected["platform"] = Entry("d", 0o755)
    expected |= folder_listing(workspace / PLATFORM, "platform/")
    expected[LOADER_CONF] = Entry("f", 0o644)  # generated; its text is looked at below
    return {path: entry._replace(uid=0, gid=0, mtime=TIME) for path, entry in expected.items()}


def without_root(listing):
    return {path: entry for path, entry in listing.items() if path}


def sparse_copy(source, target, offset, size):
    """Copy a part of a file to a file of its own, its holes as holes."""
    with source.open("rb") as file, target.open("wb") as copy:
        copy.truncate(size)
        position = offset
        while position < offset + size:
            try:
                position = os.lseek(file.fileno(), position, os.SEEK_DATA)
            except OSError:  # no data behind here
                break
            end = min(os.lseek(file.fileno(), position, os.SEEK_HOLE), offset + size)
            while position < end:
                data = os.pread(file.fileno(), min(1 << 20, end - position), position)
                os.pwrite(copy.fileno(), data, position - offset)
                position += len(data)


def fsck_fat(report, name, image):
    """Check that fsck.fat says nothing but what it is and a summary."""
    if report.has(name, "fsck.fat"):
        status, said = run("fsck.fat", "-n", image, check=False)
        summary = rf"fsck\.fat \S+ \(\S+\)\n{re.escape(str(image))}: \d+ files, \d+/\d+ clusters\n"
        report.check(name, [] if status == 0 and re.fullmatch(summary, said) else said.splitlines())


def check_grub(report, name, image, prefix, sources):
    """Check that GRUB lists the directory of many names, and reads some files."""
    if not report.has(f"{name}: grub-fstest", "grub-fstest"):
        return
    said = output("grub-fstest", image, "ls", f"{prefix}/{MANY_PATH}/")
    names = [name for name in many_names() if not name.startswith(".")]  # it hides these, as ls does
    # It shows the short names of FAT in small letters.
    shown = f" {said} ".casefold()
    findings = [f"{name} is missing" for name in names if f" {name} ".casefold() not in shown]
    if len(said.split()) != sum(len(name.split()) for name in names):
        findings.append(f"other names, too: {said:.300}")
    report.check(f"{name}: grub-fstest lists the directory of many names", findings)
    findings = []
    for path, source in sources.items():
        status, said = run("grub-fstest", image, "cmp", f"{prefix}/{path}", source, check=False)
        if status or said:
            findings.append(f"{path}: {said}")
    report.check(f"{name}: grub-fstest reads the same bytes", findings)


def grub_sources(workspace):
    platform = workspace / PLATFORM
    return {
        "platform/i86pc/amd64/boot_archive": platform / "i86pc/amd64/boot_archive",
        "platform/i86pc/kernel/amd64/unix": platform / "i86pc/kernel/amd64/unix",
        "boot/loader": workspace / "proto.boot/boot/loader",
        f"{MANY_PATH}/{many_names()[5]}": platform / MANY / many_names()[5],
        f"{MANY_PATH}/{many_names()[-1]}": platform / MANY / many_names()[-1],
    }


def check_loader_conf(report, name, text):
    report.equal(f"{name}: loader.conf heads its consoles with ttyb", 'console="ttyb,' in text, expected=True)


def bsdtar(archive):
    """Return bsdtar's listing of an archive or image."""
    keys = ",".join(f"mtree:{key}" for key in ("!all", "type", "mode", "uid", "gid", "size", "link", "sha256"))
    return mtree_listing(output("bsdtar", "-cf", "-", "--format=mtree", f"--options={keys}", f"@{archive}"))


def check_sameness(report, user, workspace, verb, suffix):
    """Check that the surroundings change nothing in a product: two runs, and nothing in common but the inputs."""
    other = workspace / "elsewhere"
    other.mkdir(mode=0o777)
    other.chmod(0o777)
    first, second = workspace / f"first.{suffix}", other / f"second.{suffix}"
    user.imagekit(verb, "-c", "ttyb", "-o", first, cwd=workspace, cpus=1)
    surroundings = {"TZ": "Pacific/Kiritimati", "LC_ALL": "tr_TR.UTF-8", "umask": 0o077}
    user.imagekit(verb, "-c", "ttyb", "-r", "..", "-o", second.name, cwd=other, **surroundings)
    report.equal(f"{verb}: another folder, umask, zone, locale, processors: same bytes", sha256(first), sha256(second))
    report.equal(f"{verb}: the umask does not decide its mode", second.stat().st_mode & 0o777, 0o644)


def check_failure(report, outcome, folder, before, name, words):
    """Check that a command failed as it should: its words, no traceback, and nothing left in a folder."""
    findings = [] if outcome.status == 1 else [f"status {outcome.status}, should be 1"]
    findings += [f"{word!r} is not in what it said" for word in words if word not in outcome.stderr]
    if "Traceback" in outcome.stderr:
        findings.append("a traceback")
    if findings:
        findings += outcome.stderr.splitlines()[-6:]
    left = sorted({str(path) for path in folder.rglob("*")} - before)
    report.check(name, findings + [f"left behind: {path}" for path in left])


def check_interrupted(report, outcome, folder, before, name):
    """Check that an interrupted command says so, and left nothing in a folder."""
    findings = [] if outcome.status == 130 and "Traceback" not in outcome.stderr else [f"status {outcome.status}"]
    findings += outcome.stderr.splitlines()[-4:] if findings else []
    left = sorted({str(path) for path in folder.rglob("*")} - before)
    report.check(name, findings + [f"left behind: {path}" for path in left])


def check_bad_medium(report, user, workspace, verb):
    """Check what becomes of a full-size build that cannot end."""
    archive = workspace / PLATFORM / "i86pc/amd64/boot_archive"
    before = {str(path) for path in workspace.rglob("*")}
    arguments = (verb, "-o", workspace / "bad/product")

    def fails(name, words, **options):
        outcome = user.imagekit(*arguments, cwd=workspace, **options)
        check_failure(report, outcome, workspace, before, f"{verb}: {name}", words)

    archive.rename(f"{archive}.away")
    before.add(f"{archive}.away")
    fails("boot_archive missing", ["boot_archive"])
    archive.with_name("boot_archive.away").rename(archive)
    if user.is_root:
        report.line("skipped", f"{verb}: unreadable file", "root reads everything")
    else:
        archive.chmod(0)
        fails("boot_archive unreadable", ["boot_archive"])
        archive.chmod(0o644)
    fails("an output larger than can be written", ["product"], file_limit=100_000_000)
    outcome = user.imagekit(*arguments, cwd=workspace, interrupt=(str(workspace / "bad"), 0.05))
    check_interrupted(report, outcome, workspace, before, f"{verb}: interrupted, leaves nothing")
