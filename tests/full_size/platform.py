"""Checks of a platform made from the real manifests and a full proto area."""

import hashlib
import os
import shutil
import subprocess
import sys

from full_size import expected
from full_size.inputs import STAMP, make_proto
from full_size.listing import compare, kernel_findings, kernel_listing, sha256, without
from full_size.lofi_decode import decode
from full_size.media import bsdtar, built, check_failure, check_interrupted, kernel_ls, output, run
from full_size.user import DAEMON, PROJECT

MEMORY, TAR_MEMORY = 300, 150
NAME = f"platform-{STAMP}"
ARCHIVE = f"{NAME}/i86pc/amd64/boot_archive"


def check_platform(report, user, work):
    """Check `imagekit platform` and `imagekit tar` on the real manifests."""
    proto = work / "proto"
    manifests = make_proto(proto)
    if manifests is None:
        report.line("skipped", "platform", "no ../shared/tools/make-proto or no manifests there")
        return
    user.own(proto)
    folder = work / "platform"
    folder.mkdir()
    user.own(folder)
    inputs = ("-m", manifests, "-p", proto)
    whole, sums = expected.whole_tree(manifests, proto)
    report.line("ok", "platform: the inputs", f"{len(whole)} entries, {len(sums)} names of files")

    arguments = ("platform", *inputs, "-o", folder / "one", "--root-password", "secret")
    outcome = user.imagekit(*arguments, cwd=folder)
    if built(report, outcome, "platform", MEMORY):
        with report.section("platform: images"):
            check_images(report, work, folder / "one", proto, whole, sums)
        check_files(report, folder / "one")
        check_sameness(report, user, folder, manifests, proto)
    shutil.rmtree(folder / "one", ignore_errors=True)
    with report.section("platform: --fit"):
        check_growth(report, user, work, folder, inputs)
    with report.section("platform: bad input"):
        check_bad_platform(report, user, folder, inputs, proto)
    with report.section("tar"):
        check_tar(report, user, folder, inputs, whole)
    shutil.rmtree(folder)
    shutil.rmtree(proto)


def check_ufs(report, name, image):
    """Run the independent consistency check of UFS."""
    checker = PROJECT / "tests/kit/ufs_check.py"
    done = subprocess.run([sys.executable, str(checker), str(image)], capture_output=True, text=True, check=False)
    clean = (done.returncode, done.stdout.strip()) == (0, "clean")
    report.check(f"platform: ufs_check of {name}", [] if clean else (done.stdout + done.stderr).splitlines())


def decode_usr(report, archive, usr_archive, usr_image):
    """Take usr.lgz out of a boot archive, and the image out of it; tell whether that went well."""
    name = "platform: usr.lgz is decoded as its format has it"
    if not report.has(name, "grub-fstest"):
        return False
    with usr_archive.open("wb") as file:
        subprocess.run(["grub-fstest", str(archive), "cat", "(loop0)/usr.lgz"], stdout=file, check=True)
    try:
        with usr_archive.open("rb") as packed, usr_image.open("wb") as image:
            decode(packed, image)
    except ValueError as error:
        report.check(name, [str(error)])
        return False
    report.check(name, [])
    return True


def check_images(report, work, made, proto, whole, sums):
    """Check both file systems."""
    archive, usr_archive, usr_image = made / ARCHIVE, work / "usr.lgz", work / "usr.ufs"
    check_ufs(report, "/", archive)
    if not decode_usr(report, archive, usr_archive, usr_image):
        return
    check_ufs(report, "/usr", usr_image)
    root, usr = expected.images(whole, usr_archive)
    for name, image, listed in (("/", archive, root), ("/usr", usr_image, usr)):
        text = kernel_ls(report, f"platform: Linux lists {name}", image, "ufs", "ufstype=sunx86")
        if text is not None:
            seen = kernel_listing(text, 0)
            copies = {}
            if name == "/":
                copies = expected.below_mount(seen, usr)
                count = sum(entry.kind == "f" for entry in copies.values())
                report.check(
                    "platform: / has what early boot needs below /usr", [] if count > 15 else [f"{count} files"]
                )
            report.check(f"platform: Linux has nothing to say of {name}", kernel_findings(text))
            listing = listed | copies
            report.check(f"platform: Linux sees exactly the {len(listing)} entries of {name}", compare(seen, listing))
    check_grub(report, archive, usr_image, proto, root)
    check_generated(report, made, archive, usr_image, proto, sums)
    usr_archive.unlink()
    usr_image.unlink()


def check_grub(report, archive, usr_image, proto, root):
    """Check that GRUB lists and reads both images."""
    names = output("grub-fstest", archive, "ls", "(loop0)/").split()
    here = {f"{path}/" if entry.kind == "d" else path for path, entry in root.items() if path and "/" not in path}
    links = {path for path, entry in root.items() if entry.kind == "l" and "/" not in path}
    seen = {name for name in names if name not in ("./", "../")}
    seen = {name.rstrip("/") if name.rstrip("/") in links else name for name in seen}
    # It hides names with a dot, as ls does.
    report.equal("platform: grub-fstest lists /", sorted(name for name in seen ^ here if name[0] != "."), [])
    findings = []
    for image, path in (
        (archive, "kernel/amd64/genunix"),
        (archive, "kernel/drv/amd64/zfs"),
        (archive, "etc/passwd"),
        (usr_image, "usr/node/0.10/bin/node"),
        (usr_image, "usr/sbin/zonecfg"),
    ):
        place = path if image == archive else path.removeprefix("usr/")
        if (proto / path).is_file():
            status, said = run("grub-fstest", image, "cmp", f"(loop0)/{place}", proto / path, check=False)
            findings += [f"{path}: {said}"] if status or said else []
        elif path in root:
            findings.append(f"{path} is not in the proto area")
    report.check("platform: grub-fstest reads the same bytes", findings)


def check_generated(report, made, archive, usr_image, proto, sums):
    """Check the files that the build makes."""
    shipped = (made / f"{ARCHIVE}.manifest").read_bytes()
    inside = subprocess.run(
        ["grub-fstest", str(usr_image), "cat", "(loop0)/share/smartos/manifest"], capture_output=True, check=True
    ).stdout
    report.equal("platform: usr/share/smartos/manifest is boot_archive.manifest", inside == shipped, expected=True)
    lines = [os.fsdecode(line).split("  ./", 1) for line in shipped.splitlines()]
    listed = {path: digest for digest, path in lines}
    edited = {*expected.GENERATED, *expected.EMPTIED}
    wrong = [path for path in sums if listed.get(path) != sums[path] and path not in edited]
    wrong += [path for path in listed if path not in sums and path not in edited]
    report.check("platform: the list of shipped files has every file and its MD5", wrong)
    report.equal("platform: it is sorted", [path for _, path in lines], sorted(listed, key=os.fsencode))
    shadow = output("grub-fstest", archive, "cat", "(loop0)/etc/shadow").splitlines()
    before = (proto / "etc/shadow").read_text().splitlines()
    changed = [(old, new) for old, new in zip(before, shadow, strict=True) if old != new]
    well = len(changed) == 1 and changed[0][1].startswith("root:$5$")
    report.check("platform: in etc/shadow only root's password is set", [] if well else [changed])


def check_files(report, made):
    """Check what lies around the images."""
    files = sorted(str(path.relative_to(made / NAME)) for path in (made / NAME).rglob("*") if path.is_file())
    archive = "i86pc/amd64/boot_archive"
    wanted = [archive, *(f"{archive}.{end}" for end in ("gitstatus", "hash", "manifest"))]
    wanted += ["i86pc/kernel/amd64/unix", "etc/version/platform", "root.password"]
    report.equal("platform: the files of the folder", files, sorted(wanted))
    with (made / ARCHIVE).open("rb") as file:
        digest = hashlib.file_digest(file, "sha1").hexdigest()
    report.equal("platform: boot_archive.hash", (made / f"{ARCHIVE}.hash").read_text(), f"{digest}\n")
    report.equal("platform: boot_archive has 350,000 KiB", (made / ARCHIVE).stat().st_size, 350_000 * 1024)
    name = "platform: bsdtar sees the folder in the tarball"
    if report.has(name, "bsdtar"):
        seen = bsdtar(made / f"{NAME}.tgz")
        found = {path.partition("/")[2]: entry.sha256 for path, entry in seen.items() if entry.kind == "f"}
        report.equal(name, found, {path: sha256(made / NAME / path) for path in files})
        owners = {(entry.uid, entry.gid) for entry in seen.values()}
        report.equal("platform: the tarball's owners", owners, {(0, 0)})


def summary(folder):
    """Return the bytes' digest and the mode of all in a folder."""
    found = {}
    for path in folder.rglob("*"):
        place = str(path.relative_to(folder))
        mode = path.lstat().st_mode
        if path.is_symlink():
            found[place] = (mode, os.readlink(path))  # noqa: PTH115 - as it is
        else:
            found[place] = (mode, sha256(path) if path.is_file() else "")
    return found


def check_sameness(report, user, folder, manifests, proto):
    """Check that a second run with nothing in common but the inputs' bytes makes the same."""
    elsewhere = folder / "elsewhere"
    elsewhere.mkdir()
    # The same files in another order, with other times, owners and modes.
    first_names = {}
    for path in sorted(proto.rglob("*"), reverse=True):
        place = elsewhere / "p" / path.relative_to(proto)
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.is_symlink():
            place.symlink_to(os.readlink(path))  # noqa: PTH115 - as it is
        elif path.is_dir():
            place.mkdir(exist_ok=True)
        elif path.stat().st_ino in first_names:
            place.hardlink_to(first_names[path.stat().st_ino])
        else:
            shutil.copyfile(path, place)
            first_names[path.stat().st_ino] = place
    (elsewhere / "m").mkdir()
    for manifest in manifests.iterdir():
        shutil.copyfile(manifest, elsewhere / "m" / manifest.name)
    if user.uid is not None:
        user.own(elsewhere)
        elsewhere.chmod(0o777)
    outcome = user.imagekit(
        "platform", "-m", "m", "-p", "p", "-o", "two", "--root-password", "secret",
        cwd=elsewhere, umask=0o077, cpus=1, uid=DAEMON, TZ="Pacific/Kiritimati", LC_ALL="tr_TR.UTF-8",
    )  # fmt: skip
    built(report, outcome, "platform, elsewhere on one processor", MEMORY)
    one, two = summary(folder / "one"), summary(elsewhere / "two")
    different = [path for path in one.keys() | two.keys() if one.get(path) != two.get(path)]
    others = "another user, folder" if user.uid is not None else "another folder"
    report.check(f"platform: {others}, umask, zone, locale, processors: same bytes", sorted(different))
    shutil.rmtree(elsewhere)


def check_growth(report, user, work, folder, inputs):
    """Check that an image that has to grow is the one that is made when its size is named."""
    arguments = ("platform", *inputs, "--root-password", "secret")
    outcome = user.imagekit(*arguments, "-o", folder / "grown", "--root-size", "250000", "--fit", cwd=folder)
    if not built(report, outcome, "platform, grown", MEMORY):
        return
    grown, named = folder / "grown" / ARCHIVE, folder / "named" / ARCHIVE
    size = grown.stat().st_size // 1024
    outcome = user.imagekit(*arguments, "-o", folder / "named", "--root-size", str(size), cwd=folder)
    if built(report, outcome, "platform, of the size it grew to", MEMORY):
        report.equal("platform: an image that grew is the one of that size", sha256(grown), sha256(named))
    usr_archive, usr_image = work / "usr.lgz", work / "usr.ufs"
    check_ufs(report, "the image that grew", grown)
    if decode_usr(report, grown, usr_archive, usr_image):
        check_ufs(report, "/usr in it", usr_image)
    for made in ("grown", "named"):
        shutil.rmtree(folder / made, ignore_errors=True)
    for made in (usr_archive, usr_image):
        made.unlink(missing_ok=True)


def check_bad_platform(report, user, folder, inputs, proto):
    """Check what becomes of a full-size build that cannot end."""
    before = {str(path) for path in folder.rglob("*")}
    arguments = ("platform", *inputs, "-o", folder / "bad", "--root-password", "secret")
    one, other = proto / "usr/bin/ls", proto / "kernel/amd64/genunix"
    one.rename(proto / "away")
    if not user.is_root:
        other.chmod(0)
    outcome = user.imagekit(*arguments, cwd=folder)
    (proto / "away").rename(one)
    words = ["usr/bin/ls is missing"] + ([] if user.is_root else ["cannot read", "kernel/amd64/genunix"])
    name = "platform: a missing and an unreadable file, both told"
    check_failure(report, outcome, folder, before, name, words)
    other.chmod(0o644)
    outcome = user.imagekit(*arguments, cwd=folder, file_limit=150_000_000)
    words = ["boot_archive", "cannot write"]
    check_failure(report, outcome, folder, before, "platform: an output larger than can be written", words)
    outcome = user.imagekit(*arguments, "--root-size", "150000", cwd=folder)
    check_failure(report, outcome, folder, before, "platform: / is too small", ["--root-size", "usr.lgz"])
    outcome = user.imagekit(*arguments, "--usr-size", "150000", cwd=folder)
    check_failure(report, outcome, folder, before, "platform: /usr is too small", ["--usr-size"])
    for seconds in (0.1, 2):
        outcome = user.imagekit(*arguments, cwd=folder, interrupt=(str(folder / "bad"), seconds))
        check_interrupted(report, outcome, folder, before, f"platform: interrupted at {seconds} s, leaves nothing")


def check_tar(report, user, folder, inputs, whole):
    """Check a tarball of all that the manifests ship."""
    archive = folder / "all.tgz"
    outcome = user.imagekit("tar", *inputs, "-o", archive, "--stamp", STAMP, cwd=folder)
    if not built(report, outcome, "tar", TAR_MEMORY):
        return
    if report.has("tar: gzip -t", "gzip"):
        status, said = run("gzip", "-t", archive, check=False)
        report.check("tar: gzip -t", [said] if status else [])
    name = "tar: bsdtar sees exactly the manifest's entries"
    if report.has(name, "bsdtar"):
        seen = {path: entry for path, entry in bsdtar(archive).items() if path}
        listing = {path: entry for path, entry in whole.items() if path}
        links = {path: entry._replace(size=None) for path, entry in listing.items() if entry.kind == "l"}
        report.check(name, compare(seen, without(listing, "mtime") | without(links, "mtime")))
