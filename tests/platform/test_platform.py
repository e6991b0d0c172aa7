"""imagekit platform, boot and demo: what they make of the demo workspace, and what they say when something is wrong."""

import hashlib
import json
import os
import random
import re
import shutil
import socket
import stat
import subprocess
import tarfile
import textwrap
from pathlib import Path

import pytest

from imagekit.content import Bytes, DiskFile
from imagekit.formats import lofi, ufs
from imagekit.tree import Directory, File, HardLink, Symlink
from kit import command
from kit.command import IMAGEKIT, environment, imagekit

STAMP = "20261122T000000Z"
NAME = f"platform-{STAMP}"


@pytest.fixture(scope="session")
def demo(tmp_path_factory):
    """Return a demo workspace that nobody changes."""
    folder = tmp_path_factory.mktemp("demo") / "ws"
    assert imagekit("demo", folder, cwd="/").returncode == 0
    return folder


@pytest.fixture
def ws(demo, tmp_path):
    """Return a demo workspace of the test's own."""
    return copy(demo, tmp_path / "ws")


def copy(source, target):
    """Copy a workspace, its links and hard links too, the last name first."""
    first_names = {}
    for path in sorted(source.rglob("*"), reverse=True):
        place = target / path.relative_to(source)
        place.parent.mkdir(parents=True, exist_ok=True)
        inode = path.lstat().st_ino
        if path.is_symlink():
            place.symlink_to(os.readlink(path))  # noqa: PTH115 - Path would drop a leading ./
        elif inode in first_names:
            place.hardlink_to(first_names[inode])
        elif path.is_file():
            shutil.copyfile(path, place)
            first_names[inode] = place
        else:
            place.mkdir(exist_ok=True)
    return target


@pytest.fixture(scope="session")
def built(demo, tmp_path_factory):
    """Return a demo workspace with its platform built; nobody changes it."""
    ws = copy(demo, tmp_path_factory.mktemp("built") / "ws")
    build(ws)
    return ws


def build(ws, *options, **more):
    done = imagekit("platform", "--root-password", "secret", *options, cwd=ws, env=environment(**more))
    assert done.returncode == 0, done.stderr
    return done


def images(ws, name=NAME):
    """Return the trees of / and /usr, as the readers see them."""
    root = ufs.read(DiskFile(ws / f"output/{name}/i86pc/amd64/boot_archive"))
    return root, ufs.read(lofi.Lofi(root["usr.lgz"].content))


def change(path, *replacements):
    text = path.read_text()
    for old, new in replacements:
        assert old in text
        text = text.replace(old, new)
    path.chmod(0o644)
    path.write_text(text)


class TestProducts:
    def test_files_of_the_platform(self, built):
        platform = built / "output" / NAME
        found = {str(path.relative_to(platform)): path for path in platform.rglob("*") if path.is_file()}
        assert sorted(found) == [
            "etc/version/platform",
            "i86pc/amd64/boot_archive",
            "i86pc/amd64/boot_archive.gitstatus",
            "i86pc/amd64/boot_archive.hash",
            "i86pc/amd64/boot_archive.manifest",
            "i86pc/kernel/amd64/unix",
            "root.password",
        ]
        assert {stat.S_IMODE(path.stat().st_mode) for name, path in found.items() if name != "root.password"} == {0o644}
        assert stat.S_IMODE(found["root.password"].stat().st_mode) == 0o600
        assert found["root.password"].read_text() == "secret\n"
        assert found["etc/version/platform"].read_text() == f"{STAMP}\n"
        kernel = "platform/i86pc/kernel/amd64/unix"
        assert found["i86pc/kernel/amd64/unix"].read_bytes() == (built / "proto" / kernel).read_bytes()
        sha1 = hashlib.sha1(found["i86pc/amd64/boot_archive"].read_bytes()).hexdigest()
        assert found["i86pc/amd64/boot_archive.hash"].read_text() == f"{sha1}\n"

    def test_links_stamp_and_nothing_else(self, built):
        output = built / "output"
        assert sorted(path.name for path in output.iterdir()) == sorted(
            ["buildstamp", "gitstatus.json", NAME, f"{NAME}.tgz", "platform-latest", "platform-latest.tgz"]
        )
        assert str((output / "platform-latest").readlink()) == NAME
        assert str((output / "platform-latest.tgz").readlink()) == f"{NAME}.tgz"
        assert (output / "buildstamp").read_text() == f"{STAMP}\n"

    def test_tarball_holds_the_platform(self, built):
        platform = built / "output" / NAME
        with tarfile.open(built / f"output/{NAME}.tgz") as archive:
            members = {member.name: member for member in archive}
            files = {name for name, member in members.items() if member.isfile()}
            assert files == {str(path.relative_to(platform.parent)) for path in platform.rglob("*") if path.is_file()}
            assert {(member.uid, member.gid, member.uname) for member in members.values()} == {(0, 0, "root")}
            assert members[f"{NAME}/root.password"].mode == 0o600
            inside = archive.extractfile(f"{NAME}/i86pc/amd64/boot_archive").read()
        assert inside == (platform / "i86pc/amd64/boot_archive").read_bytes()

    def test_shipped_files_are_listed_by_path_with_md5(self, built):
        lines = (built / f"output/{NAME}/i86pc/amd64/boot_archive.manifest").read_text().splitlines()
        sums = {line[36:]: line[:32] for line in lines}
        assert all(line[32:36] == "  ./" for line in lines)
        assert list(sums) == sorted(sums, key=os.fsencode)
        root, usr = images(built)
        made_later = {"usr.lgz", "var/log/syslog", "var/adm/wtmpx"}
        for prefix, tree in (("", root), ("usr/", usr)):
            for entry in tree:
                path = prefix + entry.path
                below = prefix == "" and path.startswith("usr/")
                if below or path in made_later or path.startswith("usr/share/smartos"):
                    continue
                target = tree[entry.target] if isinstance(entry, HardLink) else entry
                if isinstance(target, File):
                    assert sums.pop(path) == hashlib.md5(target.content.read()).hexdigest()
        assert sums == {}
        assert usr["share/smartos/manifest"].content.read().decode().splitlines() == lines

    def test_images_hold_what_the_manifest_says(self, built):
        accounts = {"user": {}, "group": {}}
        for kind, name in (("user", "passwd"), ("group", "group")):
            for line in (built / "proto/etc" / name).read_text().splitlines():
                accounts[kind][line.split(":")[0]] = int(line.split(":")[2])
        root, usr = images(built)
        edited = {"etc/shadow", "etc/versions/build"}
        for line in (built / "manifest.d/demo.manifest").read_text().splitlines():
            if line.startswith("#"):
                continue
            kind, path, *rest = line.split()
            path, _, target = path.partition("=")
            tree, inner = (usr, path[4:]) if path.startswith("usr/") else (root, path)
            if path == "usr":
                tree, inner = usr, ""
            entry = tree[inner]
            if kind == "s":
                assert isinstance(entry, Symlink)
                assert entry.target == target
            elif kind == "h":
                other = tree[target.removeprefix("usr/") if tree is usr else target]
                first_names = {one.target if isinstance(one, HardLink) else one.path for one in (entry, other)}
                assert len(first_names) == 1, path
            else:
                if isinstance(entry, HardLink):
                    entry = tree[entry.target]
                mode, user, group = rest
                assert (entry.mode, entry.uid, entry.gid) == (
                    int(mode, 8), accounts["user"][user], accounts["group"][group],
                ), path  # fmt: skip
                if kind == "f" and path not in edited:
                    assert entry.content.read() == (built / "proto" / path).read_bytes() or "repository.db" in path

    def test_early_boot_finds_its_programs_below_the_mount(self, built):
        root, usr = images(built)
        assert (root["usr"].mode, root["usr"].uid, root["usr"].gid) == (0o755, 0, 0)
        assert root["usr/bin/sh"].target == "i86/ksh93"
        assert root["usr/sbin/lofiadm"].content.read() == usr["sbin/lofiadm"].content.read()
        assert root["usr/lib/libsum.so"].target == "libsum.so.1"
        assert "usr/sbin/zfs" not in root

    def test_password_release_and_versions(self, built):
        from passlib.hash import sha256_crypt

        root, _ = images(built)
        shadow = root["etc/shadow"]
        assert shadow.mode == 0o400
        lines = shadow.content.read().decode().splitlines()
        hashed = next(line for line in lines if line.startswith("root:")).split(":")[1]
        assert sha256_crypt.verify("secret", hashed)
        assert re.fullmatch(r"\$5\$[./0-9A-Za-z]{8}\$[./0-9A-Za-z]{43}", hashed)
        before = (built / "proto/etc/shadow").read_text().splitlines()
        assert [line for line in lines if not line.startswith("root:")] == [
            line for line in before if not line.startswith("root:")
        ]
        status = root["etc/versions/build"].content.read()
        assert json.loads(status)[0]["repo"] == "smartos-live"
        assert status == (built / "output/gitstatus.json").read_bytes()
        release = root["etc/release"].content.read().decode()
        assert f"SmartOS {STAMP} x86_64\n" in release.partition("\n")[0] + "\n"
        assert release.endswith(status.decode())

    def test_prebuilt_files_are_in_the_image(self, built):
        root, usr = images(built)
        assert b"repository" in root["etc/svc/repository.db"].content.read()
        assert root["etc/svc/repository.db"].mode == 0o600  # the manifest's
        assert b"imgadm" in usr["share/man/whatis"].content.read()


@pytest.mark.parametrize("threads", ["1", "2"])
def test_the_same_bytes_whatever_is_around(ws, tmp_path, threads):
    other = copy(ws, tmp_path / "other place")
    build(ws, TZ="Asia/Tokyo", LC_ALL="C")
    old = os.umask(0o077)
    cores = ["taskset", "-c", "0"] if threads == "1" and shutil.which("taskset") else []
    try:
        done = imagekit(
            "platform", "--root-password", "secret", cwd=other, program=[*cores, *IMAGEKIT],
            env=environment(TZ="America/New_York", LC_ALL="C.UTF-8", HOME="/nonexistent", PYTHONHASHSEED="3"),
        )  # fmt: skip
    finally:
        os.umask(old)
    assert done.returncode == 0, done.stderr
    for name in (f"{NAME}.tgz", f"{NAME}/i86pc/amd64/boot_archive", f"{NAME}/i86pc/amd64/boot_archive.manifest"):
        assert (ws / "output" / name).read_bytes() == (other / "output" / name).read_bytes(), name


def test_a_random_password_is_kept(ws):
    done = imagekit("platform", cwd=ws)
    assert done.returncode == 0, done.stderr
    password = (ws / f"output/{NAME}/root.password").read_text()
    assert re.fullmatch(r"[0-9A-Za-z]{16}\n", password)
    assert password.strip() not in done.stdout + done.stderr
    assert imagekit("platform", cwd=ws).returncode == 0
    assert (ws / f"output/{NAME}/root.password").read_text() != password


def test_version_of_the_workspace_is_in_the_names(ws):
    (ws / "configure-buildver").write_text("joyent_147\nmore\n")
    build(ws, "--stamp", "20200101T000000Z")
    assert str((ws / "output/platform-latest").readlink()) == "platform-joyent_147-20200101T000000Z"
    done = imagekit("boot", cwd=ws)
    assert done.returncode == 0, done.stderr
    assert (ws / f"output/boot-joyent_147-{STAMP}.tgz").is_file()


def test_boot_lays_out_the_boot_files(ws):
    done = imagekit("boot", cwd=ws)
    assert done.returncode == 0, done.stderr
    assert (ws / "proto.boot/etc/version/boot").read_text() == f"{STAMP}\n"
    assert (ws / "proto.boot/boot/pmbr").read_bytes() == (ws / "proto/boot/pmbr").read_bytes()
    with tarfile.open(ws / f"output/boot-{STAMP}.tgz") as archive:
        member = archive.getmember("boot/loader64.efi")
        assert (member.mode, member.uname, member.gname) == (0o555, "root", "sys")
    again = imagekit("boot", cwd=ws)  # a proto.boot that is there is replaced
    assert again.returncode == 0, again.stderr


def test_a_debug_kernel_gets_a_larger_root(ws):
    change(ws / "imagekit.yaml", ("  root-size: 12288\n", ""), ("  usr-size: 16384\n", ""))
    sizes = [json.loads(imagekit("platform", "-n", "--json", cwd=ws).stdout)["root"]["geometry"]["image_size"]]
    with (ws / "proto/kernel/amd64/genunix").open("ab") as file:
        file.write(b"...DEBUG enabled...")
    sizes.append(json.loads(imagekit("platform", "-n", "--json", cwd=ws).stdout)["root"]["geometry"]["image_size"])
    assert sizes == [350_000 * 1024, 353_000 * 1024]


def test_git_state_of_the_sources(ws, need):
    need("git")
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-C"]
    for folder in ("", "projects/illumos", "projects/local/kvm"):
        (ws / folder).mkdir(parents=True, exist_ok=True)
        subprocess.run(["git", "init", "-q", "-b", "release", ws / folder], check=True)
        subprocess.run([*git, ws / folder, "commit", "-q", "--allow-empty", "-m", "x"], check=True)
    subprocess.run([*git, ws, "remote", "add", "origin", "https://example.org/x.git"], check=True)
    (ws / "projects/local/bare").mkdir()
    done = build(ws)
    assert "projects/local/bare: M413: git knows nothing of it" in done.stderr
    records = json.loads((ws / "output/gitstatus.json").read_text())
    assert [record["repo"] for record in records] == ["smartos-live", "illumos-joyent", "bare", "kvm"]
    head = subprocess.run([*git, ws, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()
    assert records[0] | {"commit_date": ""} == {
        "repo": "smartos-live", "branch": "release", "commit_date": "", "rev": head, "url": "https://example.org/x.git",
    }  # fmt: skip
    assert records[2]["warning"] == "no git metadata available"


def repository(folder, message):
    """Make a repository with one commit; return the commit's id."""
    git = ["git", "-c", "user.name=A", "-c", "user.email=a@example.org", "-C", folder]
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run(["git", "init", "-q", "-b", "release", folder], check=True)
    subprocess.run([*git, "commit", "-q", "--allow-empty", "-m", message], check=True)
    return subprocess.run([*git, "rev-parse", "HEAD"], check=True, capture_output=True, text=True).stdout.strip()


@pytest.mark.parametrize(
    "variables",
    [
        {"GIT_DIR": "OTHER/.git"},
        {"GIT_DIR": "OTHER/.git", "GIT_WORK_TREE": "OTHER", "GIT_INDEX_FILE": "/nonexistent"},
        {"GIT_COMMON_DIR": "OTHER/.git", "GIT_OBJECT_DIRECTORY": "OTHER/.git/objects"},
        {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "remote.origin.url", "GIT_CONFIG_VALUE_0": "https://elsewhere"},
        {"GIT_CONFIG_PARAMETERS": "'remote.origin.url'='https://elsewhere'"},
        {"GIT_CONFIG_GLOBAL": "OTHER/config"},
    ],
)
def test_git_tells_of_the_workspace_whatever_the_environment_says(tmp_path, monkeypatch, need, variables):
    from imagekit.platform.versions import git_status

    need("git")
    other = tmp_path / "other"
    head, elsewhere = repository(tmp_path / "ws", "here"), repository(other, "there")
    (other / "config").write_text('[remote "origin"]\nurl = https://elsewhere\n[log]\nshowSignature = true\n')
    assert head != elsewhere
    for name, value in variables.items():
        monkeypatch.setenv(name, value.replace("OTHER", str(other)))
    text, warnings = git_status(tmp_path / "ws", 0)
    (record,) = json.loads(text)
    assert (record["rev"], record["url"], warnings) == (head, "", [])


def test_git_tells_of_no_repository_around(tmp_path, need):
    from imagekit.platform.versions import git_status

    need("git")
    repository(tmp_path, "around")
    (tmp_path / "ws/.git").mkdir(parents=True)
    text, warnings = git_status(tmp_path / "ws", 7)
    assert json.loads(text) == [{"repo": "smartos-live", "date": "7", "warning": "no git metadata available"}]
    assert "git knows nothing of it" in warnings[0].message


def test_fit_lets_the_images_grow(ws):
    said = imagekit("platform", "--root-size", "600", cwd=ws)
    assert said.returncode == 1
    assert "largest files:" in said.stderr
    assert "largest directories:" in said.stderr
    needed = int(re.search(r"--root-size (\d+)", said.stderr)[1])
    assert 600 < needed < 12288
    done = build(ws, "--root-size", "600", "--usr-size", "700", "--fit")
    for name, size in (("/", 600), ("/usr", 700)):
        assert re.search(rf"warning: {name} has [\d,]+ KiB instead of {size}, so that all fits", done.stderr)
    root, usr = images(ws)
    assert "etc/passwd" in root
    assert "bin/ls" in usr


def archive(ws):
    return (ws / "output/platform-latest/i86pc/amd64/boot_archive").read_bytes()


def test_an_image_that_had_to_grow_is_like_one_of_that_size_from_the_start(ws):
    (ws / "imagekit.yaml").write_text("platform: {usr-size: 16384}\n")
    done = build(ws, "--root-size", "600", "--fit", "--root-password", "x")
    grown = archive(ws)
    size = int(re.search(r"/ has ([\d,]+) KiB instead of 600", done.stderr)[1].replace(",", ""))
    build(ws, "--root-size", str(size), "--root-password", "x")
    assert archive(ws) == grown
    assert lofi.Lofi(images(ws)[0]["usr.lgz"].content).size == 16384 * 1024


def test_an_image_that_grows_by_cylinder_groups(ws):
    """Then usr.lgz is in more pieces than the smaller image had room for."""
    (ws / "proto/usr/bin/ls").write_bytes(random.Random(1).randbytes(20_000_000))
    (ws / "imagekit.yaml").write_text("platform: {usr-size: 30000}\n")
    build(ws, "--root-size", "22000", "--fit")
    assert images(ws)[1]["bin/ls"].content.read() == (ws / "proto/usr/bin/ls").read_bytes()


def test_the_size_that_would_do_is_above_the_one_that_did_not(ws):
    (ws / "imagekit.yaml").write_text("platform: {usr-size: 16384}\n")
    for size in range(1000, 3000, 50):
        said = imagekit("platform", "--root-size", str(size), "-n", cwd=ws)
        if said.returncode == 0:
            break
        assert int(re.search(r"--root-size (\d+) \(KiB\) or more, and room for usr.lgz on top", said.stderr)[1]) > size
    assert 1000 < size < 2950
    assert "with usr.lgz still empty" in said.stdout


def test_the_size_that_would_do_is_the_least_that_does(ws):
    """For /usr, from below the least UFS that can be; and for / once usr.lgz is there."""
    (ws / "proto/usr/bin/ls").write_bytes(random.Random(1).randbytes(2_000_000))
    (ws / "imagekit.yaml").write_text("platform: {root-size: 12288, usr-size: 16384}\n")
    for option, kib, dry in (("--usr-size", 100, ["-n"]), ("--root-size", 4500, [])):
        said = imagekit("platform", option, kib, *dry, cwd=ws)
        needed = int(re.search(rf"give {option} (\d+) \(KiB\) or more, or --fit", said.stderr)[1])
        assert "KiB  /usr/bin/ls\n" in said.stderr
        assert needed % 64 == 0
        assert imagekit("platform", option, needed - 64, *dry, cwd=ws).returncode == 1
        assert imagekit("platform", option, needed, *dry, cwd=ws).returncode == 0


@pytest.mark.parametrize("kib", [2048, 4096, 8192])
def test_a_small_usr_ends_in_fragments(ws, kib):
    """usr.lgz has no blocks of addresses then, and its end takes part of a block."""
    for path in (ws / "proto/usr").rglob("*"):
        if path.is_file() and not path.is_symlink():
            path.write_bytes(bytes([kib >> 9]) * path.stat().st_size)
    (ws / "imagekit.yaml").write_text(f"platform: {{root-size: 12288, usr-size: {kib}}}\n")
    build(ws)
    root, usr = images(ws)
    assert usr["bin/ls"].content.read() == (ws / "proto/usr/bin/ls").read_bytes()
    assert root["usr.lgz"].content.size < 12 * 4096


class TestHooks:
    def test_what_is_skipped_is_told(self, ws):
        (ws / "imagekit.yaml").write_text("platform: {root-size: 12288, usr-size: 16384}\n")
        done = build(ws)
        for name, path in (("whatis", "whatis"), ("smf-import", "repository.db"), ("smf-seeds", "joyent-minimal")):
            line = next(line for line in done.stderr.splitlines() if f"{name} is skipped" in line)
            assert path in line

    def test_a_command_gets_the_image_and_what_it_makes_is_taken(self, ws):
        tool = ws / "import"
        tool.write_text('#!/bin/sh\nset -e\ntest -f "$2/etc/passwd"\necho "$1" > "$2/etc/svc/repository.db"\n')
        tool.chmod(0o755)
        change(ws / "imagekit.yaml", ("    etc/svc/repository.db: prebuilt/repository.db\n", ""))
        with (ws / "imagekit.yaml").open("a") as file:
            file.write("  hooks: {smf-import: [./import, imported]}\n")
        build(ws)
        assert images(ws)[0]["etc/svc/repository.db"].content.read() == b"imported\n"

    def test_the_copy_lies_beside_the_output_and_the_plan_stays(self, ws, monkeypatch):
        from imagekit.platform.plan import plan
        from imagekit.platform.request import PlatformRequest

        tool = ws / "import"
        tool.write_text('#!/bin/sh\nset -e\necho "$1" >> place\necho imported > "$1/etc/svc/repository.db"\n')
        tool.chmod(0o755)
        change(ws / "imagekit.yaml", ("    etc/svc/repository.db: prebuilt/repository.db\n", ""))
        with (ws / "imagekit.yaml").open("a") as file:
            file.write("  hooks: {smf-import: [./import]}\n")
        monkeypatch.chdir(ws.parent)
        made = plan(PlatformRequest(root=Path("ws"), output=Path("out"), root_password="secret"))  # noqa: S106
        before = list(made.tree), list(made.images.root_tree)
        sums = []
        for _ in range(2):
            made.write()
            sums.append({path: path.read_bytes() for path in Path("out").glob("*/i86pc/*/*") if path.is_file()})
            assert (list(made.tree), list(made.images.root_tree)) == before
        assert sums[0] == sums[1]
        places = (ws / "place").read_text().splitlines()
        assert len(places) == 2
        for place in places:
            assert Path(place).is_relative_to(ws.parent / "out")
            assert not Path(place).exists()
        assert sorted(path.name for path in Path("out").iterdir() if path.name.startswith(".")) == []

    def test_a_command_that_fails_stops_the_build(self, ws):
        tool = ws / "import"
        tool.write_text("#!/bin/sh\necho cannot do it; exit 3\n")
        tool.chmod(0o755)
        (ws / "imagekit.yaml").write_text("platform: {hooks: {smf-import: [./import]}}\n")
        said = fails(ws)
        assert "hook smf-import: ./import ended with status 3" in said
        assert "cannot do it" in said

    @pytest.mark.parametrize(
        ("text", "says"),
        [
            ("platform: [\n", "imagekit.yaml:2: not YAML"),
            ("- x\n", "the file: expected a mapping"),
            ("platform: {prebuild: {}}", "did you mean prebuilt?"),
            ("platform: {hooks: {smf_import: [x]}}", "did you mean smf-import?"),
            ("platform: {complete: usr}", "complete: expected a list"),
            ("platform: {root-size: big}", "root-size: expected a number, found 'big'"),
            ("platform: {prebuilt: {etc/svc/repository.db: nowhere}}", "nowhere: cannot read"),
            ("platform: {prebuilt: {etc/x: .}}", "found a folder, expected a regular file"),
            ("platform: {prebuilt: {etc/svc/repository.db: proto}}", "found a folder, expected a regular file"),
            ("platform: {hooks: {whatis: []}}", "whatis: expected a program and its arguments, found an empty list"),
            ("platform: {complete: [usr/share/lib/zonefino]}", "did you mean usr/share/lib/zoneinfo?"),
            (
                "platform: {complete: [nothing/like, it, usr/bni]}",
                "imagekit.yaml: complete: nothing is at nothing/like, it, usr/bni in",
            ),
            ("platform: {complete: }", "complete: expected a list, found ''"),
            ("platform: {root-size: 0}", "root-size: expected a number, found '0'"),
            ("platform: {root-size: 9999999999999999999}", "root-size: expected a number"),
            (f"platform: {{root-size: {'9' * 5000}}}", "root-size: expected a number, found '9999"),
            ("platform: {root-size: 2026-13-45}", "root-size: expected a number, found '2026-13-45'"),
            ("[" * 100_000, "nested too deep"),
            ("#" * 2_000_000, "it has more than 1,048,576 bytes"),
        ],
    )
    def test_a_slip_in_the_configuration(self, ws, text, says):
        (ws / "imagekit.yaml").write_text(text)
        assert says in fails(ws)

    def test_a_typo_does_not_turn_the_check_off(self, ws):
        (ws / "proto/usr/bin/stray").write_bytes(b"x")
        config = ws / "imagekit.yaml"
        whole = config.read_text()
        config.write_text(whole + "  complete: [/usr/bin/]\n")
        assert "M405" in fails(ws)
        config.write_text(whole + "  complete: [/]\n")
        assert "M405" in fails(ws)
        config.write_text(whole + "  complete: []\n")
        build(ws)

    def test_default_paths_need_not_be_there(self, ws):
        shutil.rmtree(ws / "proto/platform/i86pc/ucode", ignore_errors=True)
        build(ws)

    def test_aliases_do_not_blow_up(self, tmp_path):
        """Ten lists, each of ten times the one before: 10^10 words, were they told."""
        from imagekit.config import read_config
        from imagekit.errors import InputError

        config = tmp_path / "imagekit.yaml"
        bomb = "word"
        for level in range(10):
            bomb = f"[&a{level} {bomb}{f', *a{level}' * 9}]"
        for place in (
            "complete: [BOMB]",
            "root-size: BOMB",
            "hooks: BOMB",
            "prebuilt: {x: BOMB}",
            "prebuilt: {x: {y: BOMB}}",
        ):
            config.write_text(f"platform: {{{place.replace('BOMB', bomb)}}}\n")
            with pytest.raises(InputError, match="expected") as caught:
                read_config(config, ())
            assert len(str(caught.value)) < 1000

    def test_the_example_of_the_documentation_is_one(self, tmp_path):
        from imagekit import config

        text = textwrap.dedent(config.__doc__.partition("\n\n")[2])
        (tmp_path / "imagekit.yaml").write_text(text)
        found = config.read_config(tmp_path / "imagekit.yaml", ("smf-import",))
        assert found.complete == ("usr/share/lib/zoneinfo",)
        assert found.prebuilt == {"etc/svc/repository.db": tmp_path / "prebuilt/repository.db"}
        assert found.hooks == {"smf-import": ("ssh", "build-zone", "smf_import")}


def fails(ws, *options, status=1):
    """Build, expect that to fail without a trace; return what was said."""
    shutil.rmtree(ws / "log", ignore_errors=True)
    said = command.fails(
        "platform", "--root-password", "secret", *options, cwd=ws, status=status, but=("log", "output")
    )
    assert not (ws / "output").exists() or not any((ws / "output").iterdir())
    return said


class TestBadInput:
    def test_all_problems_at_once(self, ws):
        (ws / "proto/usr/bin/ls").unlink()
        (ws / "proto/sbin/init").unlink()
        said = fails(ws)
        assert "2 problems" in said
        assert re.search(r"manifest.d/demo.manifest:\d+: M401: .*usr/bin/ls", said)
        assert re.search(r"manifest.d/demo.manifest:\d+: M401: .*sbin/init", said)

    def test_a_zone_or_microcode_file_that_is_not_shipped(self, ws):
        (ws / "proto/usr/share/lib/zoneinfo/Mars").write_bytes(b"x")
        ucode = ws / "proto/platform/i86pc/ucode/GenuineIntel"
        ucode.mkdir(parents=True)
        (ucode / "000306f2-6f").write_bytes(b"x")
        said = fails(ws)
        assert "usr/share/lib/zoneinfo/Mars" in said
        assert "ucode/GenuineIntel/000306f2-6f" in said

    def test_an_unknown_owner_is_a_warning_and_an_error_with_strict(self, ws):
        change(ws / "manifest.d/demo.manifest", ("f usr/bin/ls 0555 root bin", "f usr/bin/ls 0555 root bit"))
        done = build(ws)
        assert "unknown group bit" in done.stderr or "bit" in done.stderr
        assert images(ws)[1]["bin/ls"].gid == 0
        shutil.rmtree(ws / "output")
        assert "bit" in fails(ws, "--strict")

    @pytest.mark.parametrize("kind", ["fifo", "socket", "folder"])
    def test_something_else_than_a_file(self, ws, kind, monkeypatch):
        path = ws / "proto/usr/bin/ls"
        path.unlink()
        if kind == "fifo":
            os.mkfifo(path)
        elif kind == "socket":
            monkeypatch.chdir(path.parent)
            with socket.socket(socket.AF_UNIX) as one:
                one.bind("ls")
        else:
            path.mkdir()
        said = fails(ws)
        assert "M402" in said
        assert "usr/bin/ls" in said

    def test_an_unreadable_file(self, ws, need):
        path = ws / "proto/usr/bin/ls"
        path.chmod(0)
        program = IMAGEKIT
        if os.getuid() == 0:  # root may read all; root without these capabilities may not
            need("setpriv")
            program = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *program]
        done = imagekit("platform", "--output", ws / "out", cwd=ws, program=program)
        assert done.returncode == 1, done
        # Found while planning, or (for root, whom the C library's access() lets all read) while reading.
        assert re.search("M406.*usr/bin/ls|usr/bin/ls: cannot read: Permission denied", done.stderr)
        assert not (ws / "out").exists()

    def test_names_and_paths_that_are_too_long(self, ws):
        with (ws / "manifest.d/demo.manifest").open("a") as file:
            file.write(f"f usr/{'n' * 256} 0444 root bin\n")
            file.write(f"f usr/{'d/' * 510}x 0444 root bin\n")
        said = fails(ws)
        assert "M205" in said
        assert "M206" in said

    def test_hard_links_in_a_circle_and_out_of_usr(self, ws):
        with (ws / "manifest.d/demo.manifest").open("a") as file:
            file.write("h usr/a=usr/b\nh usr/b=usr/a\n")
        assert "M306" in fails(ws)
        change(ws / "manifest.d/demo.manifest", ("h usr/a=usr/b\nh usr/b=usr/a\n", "h sbin/ls=usr/bin/ls\n"))
        said = fails(ws)
        assert "two file systems" in said
        assert "/sbin/ls = /usr/bin/ls" in said

    def test_a_manifest_without_kernel_or_usr(self, ws):
        change(ws / "manifest.d/demo.manifest", ("f platform/i86pc/kernel/amd64/unix 0755 root sys\n", ""))
        assert "ships no kernel" in fails(ws)

    @pytest.mark.parametrize("password", ["", "a\tb", "schön"])
    def test_a_password_that_nobody_can_type(self, ws, password):
        done = imagekit("platform", "--root-password", password, cwd=ws)
        assert done.returncode == 2
        assert "root password" in done.stderr

    def test_no_workspace(self, tmp_path):
        done = imagekit("platform", cwd=tmp_path)
        assert done.returncode == 1
        assert "manifest" in done.stderr
        assert "hint:" in done.stderr

    def test_a_demo_needs_a_new_folder(self, ws):
        done = imagekit("demo", ws, cwd=ws)
        assert done.returncode == 1
        assert "empty" in done.stderr


def test_files_that_change_while_being_copied(ws):
    """The plan was made of a file of another size: nothing may be published."""
    from imagekit.errors import InputError
    from imagekit.platform.plan import plan
    from imagekit.platform.request import PlatformRequest

    made = plan(PlatformRequest(root=ws, root_password="secret"))  # noqa: S106
    with (ws / "proto/usr/bin/ls").open("ab") as file:
        file.write(b"more")
    with pytest.raises(InputError, match="changed while it was being read") as caught:
        made.write()
    assert "usr/bin/ls" in caught.value.where
    assert not (ws / "output").exists()


def test_a_failure_while_writing_leaves_no_folder(ws, monkeypatch):
    from imagekit.errors import OutputError
    from imagekit.platform.plan import plan
    from imagekit.platform.request import PlatformRequest

    made = plan(PlatformRequest(root=ws, root_password="secret"))  # noqa: S106

    def compress(_content, output, **_options):
        output.write_at(0, b"half")
        assert (ws / "output").is_dir()
        raise OutputError("no space left")

    monkeypatch.setattr(lofi, "compress", compress)
    with pytest.raises(OutputError, match="no space left"):
        made.write()
    assert not (ws / "output").exists()


def test_a_failure_of_the_boot_archive_ends_the_tarball_too(ws, monkeypatch):
    from imagekit.errors import OutputError
    from imagekit.files import raw
    from imagekit.platform.plan import plan
    from imagekit.platform.request import PlatformRequest

    made = plan(PlatformRequest(root=ws, root_password="secret"))  # noqa: S106

    def write_raw(_content, output, *_arguments, **_options):
        raise OutputError("no space left", where=str(output.path))

    monkeypatch.setattr(raw, "write_raw", write_raw)
    with pytest.raises(OutputError, match="no space left") as caught:
        made.write()
    assert caught.value.where.endswith("i86pc/amd64/boot_archive")
    assert not (ws / "output").exists()


def test_put_file_keeps_mode_and_owner_and_refuses_links():
    from imagekit.errors import InputError
    from imagekit.platform.fixups import put_file
    from imagekit.tree import Tree

    tree = Tree.of(
        [
            Directory(path="etc"),
            File(path="etc/a", mode=0o640, uid=3, gid=4, content=Bytes(b"old")),
            Symlink(path="etc/l", target="a"),
        ]
    )
    put_file(tree, "etc/a", Bytes(b"new"), time=5)
    assert (tree["etc/a"].mode, tree["etc/a"].uid, tree["etc/a"].content.read()) == (0o640, 3, b"new")
    put_file(tree, "x/y/z", Bytes(b""), time=5)
    assert tree["x/y/z"].mtime == tree["x/y"].mtime == 5
    with pytest.raises(InputError, match="symbolic link"):
        put_file(tree, "etc/l", Bytes(b""), time=5)
