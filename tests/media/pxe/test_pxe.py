"""PXE directories: what the command makes, adds and removes, what clients see meanwhile, and what it refuses."""

import hashlib
import json
import os
import re
import shutil
import threading
from pathlib import Path

import pytest

from imagekit.boot.kernel_arguments import BootProperty, parse_properties
from imagekit.boot.modules import ModuleRequest
from imagekit.clock import Stamp
from imagekit.content import DiskFile
from imagekit.errors import InputError, OutputError, PlanError
from imagekit.files.output import Outputs
from imagekit.media import pxe
from imagekit.media.additions import Additions
from imagekit.media.pxe import publish
from imagekit.media.sources import SourceRequest
from kit import workspace
from kit.pxe_directory import STAMP, check_sums, contents, files, imagekit, make, named, platform

OLDER, NEWER = "20250101T000000Z", "20270101T000000Z"


@pytest.fixture
def ws(tmp_path):
    return workspace.make(tmp_path / "ws")


@pytest.fixture
def answers(tmp_path):
    path = tmp_path / "answers.json"
    path.write_text('{"config_console": true, "admin_ip": "dhcp"}')
    return path


def test_in_a_workspace(ws):
    done = imagekit("-c", "ttyb", cwd=ws)
    assert (done.returncode, done.stderr) == (0, "")
    folder = ws / "output-pxe"
    os_folder = f"os/{STAMP}/platform/i86pc"
    assert files(folder) == sorted(
        [
            f"{STAMP}.ipxe",
            "README",
            "SHA256SUMS",
            "boot/defaults/loader.conf",
            "boot/forth/brand-smartos.4th",
            "boot/loader.conf",
            "dhcp/dnsmasq.conf",
            "dhcp/isc-dhcpd.conf",
            "dhcp/kea-dhcp4.json",
            "index.json",
            json.loads((folder / "index.json").read_text())["scripts"][0]["iso"]["path"],
            f"{os_folder}/amd64/boot_archive",
            f"{os_folder}/amd64/boot_archive.hash",
            f"{os_folder}/kernel/amd64/unix",
            "smartos.ipxe",
        ]
    )
    check_sums(folder)
    source = ws / "output" / workspace.NAME / "i86pc"
    for path in ("amd64/boot_archive", "kernel/amd64/unix"):
        assert (folder / os_folder / path).read_bytes() == (source / path).read_bytes()
    for name in ("smartos.ipxe", f"{STAMP}.ipxe"):
        assert set(named((folder / name).read_text())) == {name for name in files(folder) if name.startswith("os/")}
    conf = (folder / "boot/loader.conf").read_text()
    assert f'bootfile="/{os_folder}/kernel/amd64/unix"\n' in conf
    assert 'os_console="ttyb"\n' in conf
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == [f"output-pxe/{STAMP}.ipxe", "output-pxe/smartos.ipxe"]
    modes = {path.stat().st_mode & 0o777 for path in folder.rglob("*")}
    assert modes == {0o644, 0o755}


def test_the_same_bytes_every_time(ws, tmp_path, answers):
    first = make(ws, None, additions=Additions(answers=answers))
    other = shutil.copytree(ws, tmp_path / "elsewhere", symlinks=True)
    shutil.rmtree(other / "output-pxe")
    old = os.umask(0o077)
    try:
        make(other, None, additions=Additions(answers=answers))
    finally:
        os.umask(old)
    assert contents(ws / "output-pxe") == contents(other / "output-pxe")
    assert make(ws, None, additions=Additions(answers=answers)).catalog == first.catalog
    assert contents(ws / "output-pxe") == contents(other / "output-pxe")


def test_adding_and_removing(ws):
    make(ws, None)
    alone = contents(ws / "output-pxe")
    plan = make(ws, platform(ws, OLDER), platform(ws, NEWER), default=Stamp(STAMP))
    folder = ws / "output-pxe"
    check_sums(folder)
    assert [one.stamp for one in plan.catalog.platforms] == [NEWER, STAMP, OLDER]
    menu = (folder / "smartos.ipxe").read_text()
    assert re.findall(r"^item (\d\S+)", menu, re.MULTILINE) == [NEWER, STAMP, OLDER]
    assert f"choose --default {STAMP} " in menu
    assert set(named(menu)) == {name for name in files(folder) if name.startswith("os/")}
    assert alone[f"{STAMP}.ipxe"] == (folder / f"{STAMP}.ipxe").read_bytes()
    # Without --default, the one that was chosen stays; once it is gone, the newest is it.
    make(ws, remove=(Stamp(OLDER),))
    assert f"choose --default {STAMP} " in (folder / "smartos.ipxe").read_text()
    make(ws, remove=(Stamp(STAMP),))
    assert f"choose --default {NEWER} " in (folder / "smartos.ipxe").read_text()
    check_sums(folder)
    assert not [name for name in files(folder) if STAMP in name or OLDER in name]
    assert [path.name for path in (folder / "os").iterdir()] == [NEWER]
    make(ws, None, remove=(Stamp(NEWER),))  # one comes, the other goes, in one run
    assert contents(folder) == alone


def test_nothing_new_writes_no_platform_again(ws):
    make(ws, None)
    kernel = ws / f"output-pxe/os/{STAMP}/platform/i86pc/kernel/amd64/unix"
    before = kernel.stat()
    plan = make(ws, None)
    assert plan.folders == {}
    assert kernel.stat().st_ino == before.st_ino


def test_options_stay_unless_given_again(ws):
    make(ws, None, url="http://10.0.0.5/pxe/", layout="smartos")
    make(ws, platform(ws, NEWER))
    for name in (f"{NEWER}.ipxe", "smartos.ipxe"):
        assert all(path.startswith("http://10.0.0.5/pxe/os/") for path in named((ws / "output-pxe" / name).read_text()))
    assert "next-server 10.0.0.5;" in (ws / "output-pxe/dhcp/isc-dhcpd.conf").read_text()
    assert '"http://10.0.0.5/pxe/smartos.ipxe"' in (ws / "output-pxe/dhcp/isc-dhcpd.conf").read_text()
    make(ws, url="", remove=(Stamp(NEWER),))
    assert named((ws / "output-pxe" / "smartos.ipxe").read_text())[0].startswith("os/")


def test_modules_have_a_folder_for_each_set(ws, answers):
    folder = ws / "output-pxe"
    make(ws, None, additions=Additions(answers=answers))
    (first,) = (folder / "bootfs").iterdir()
    data = answers.read_bytes()
    assert (first / "answers.json").read_bytes() == data
    assert (first / "answers.json.hash").read_text() == hashlib.sha1(data).hexdigest() + "\n"
    conf = (folder / "boot/loader.conf").read_text()
    assert f'module_answers_json_name="/bootfs/{first.name}/answers.json"\n' in conf
    assert 'module_answers_json_flags="name=answers.json"\n' in conf
    assert (first / "answers.json").stat().st_ino != answers.stat().st_ino  # never the user's own file
    make(ws, platform(ws, NEWER))
    assert named((folder / f"{NEWER}.ipxe").read_text())[3:] == []
    answers.write_text('{"config_console": true}')
    make(ws, None, additions=Additions(answers=answers))
    (second,) = (folder / "bootfs").iterdir()
    assert second != first
    check_sums(folder)
    make(ws, None)
    assert not (folder / "bootfs").exists()
    check_sums(folder)


def test_properties(ws):
    given = parse_properties("hostname=a,ttya-mode=9600,8,n,1,-,x=1,2 3,y=$5$a$b")
    make(ws, None, properties=given)
    script = (ws / "output-pxe" / f"{STAMP}.ipxe").read_text()
    assert '-B console=text,smartos=true,hostname=a,x="1,2 3",y=$5$a$b ||' in script
    conf = (ws / "output-pxe/boot/loader.conf").read_text()
    assert 'hostname="a"\n' in conf
    assert 'x="1,2 3"\n' in conf
    assert "y='$5$a$b'\n" in conf


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("hostname=${net0/mac}", "only iPXE knows what"),
        ("disk_name=a", "for itself"),
        (f"a={'b' * 1022}", "1,023 bytes"),
    ],
)
def test_properties_that_the_loader_cannot_take(ws, text, reason):
    """They are refused where the loader would read them, and taken where iPXE alone does."""
    with pytest.raises(PlanError, match=reason):
        make(ws, None, properties=parse_properties(text))
    assert not (ws / "output-pxe").exists()
    shutil.rmtree(ws / "proto.boot")
    make(ws, None, properties=parse_properties(text))
    assert f"{parse_properties(text)[0]} ||" in (ws / "output-pxe" / f"{STAMP}.ipxe").read_text()


def test_platforms_are_shared_or_copied(ws, tmp_path):
    source = ws / "output" / workspace.NAME / "i86pc/amd64/boot_archive"
    served = ws / f"output-pxe/os/{STAMP}/platform/i86pc/amd64/boot_archive"
    make(ws, None)
    linked = served.stat().st_ino == source.stat().st_ino
    probe = tmp_path / "probe"
    reflinks = publish._reflink(source, probe)
    assert linked != reflinks  # a reflink where the file system can, a hard link where not
    shutil.rmtree(ws / "output-pxe")
    make(ws, None, share=False)
    assert served.stat().st_ino != source.stat().st_ino
    assert served.read_bytes() == source.read_bytes()
    shutil.rmtree(ws / "output-pxe")
    source.chmod(0o600)  # a server could not read a link to this one
    make(ws, None)
    assert served.stat().st_ino != source.stat().st_ino
    assert (served.stat().st_mode & 0o777, source.stat().st_mode & 0o777) == (0o644, 0o600)


def test_a_reflink_is_tried_first(tmp_path, monkeypatch):
    source = tmp_path / "source"
    source.write_bytes(b"x" * 5000)
    asked = []

    def ioctl(target, request, descriptor):
        asked.append(request)
        os.write(target.fileno(), os.pread(descriptor, 5000, 0))
        return 0

    monkeypatch.setattr(publish.fcntl, "ioctl", ioctl)
    with Outputs() as outputs:
        publish.put(DiskFile(source), outputs.folder(tmp_path / "folder"), "a/b", share=True)
    assert asked == [0x40049409]
    made = tmp_path / "folder/a/b"
    assert made.read_bytes() == source.read_bytes()
    assert made.stat().st_ino != source.stat().st_ino
    assert made.stat().st_mode & 0o777 == 0o644


def test_clients_meanwhile_see_the_old_menu_or_the_new(ws, answers):
    """Whatever a menu names is there, whole, at any moment of the adding."""
    folder = ws / "output-pxe"
    make(ws, None)
    done = threading.Event()
    seen = set()
    wrong = []

    def look():
        while not done.is_set():
            menu = (folder / "smartos.ipxe").read_text()
            seen.add(menu)
            for path in named(menu):
                if path.endswith(".hash"):
                    archive = (folder / path.removesuffix(".hash")).read_bytes()
                    if (folder / path).read_text() != hashlib.sha1(archive).hexdigest() + "\n":
                        wrong.append(path)
                elif not (folder / path).stat().st_size:
                    wrong.append(path)

    errors = []

    def client():
        try:
            look()
        except OSError as error:
            errors.append(error)

    clients = [threading.Thread(target=client) for _ in range(2)]
    for one in clients:
        one.start()
    try:
        for year in range(2030, 2040):
            stamp = f"{year}0101T000000Z"
            archive = str(year).encode() * 50_000
            answers.write_text(f'{{"config_console": true, "hostname": "h{year}"}}')
            make(ws, platform(ws, stamp, archive=archive), additions=Additions(answers=answers))
    finally:
        done.set()
        for one in clients:
            one.join()
    assert (wrong, errors) == ([], [])
    assert len(seen) > 1


def test_removing_takes_the_menu_first(ws, monkeypatch):
    make(ws, None, platform(ws, NEWER))
    folder = ws / "output-pxe"
    menus = []
    rename = Path.rename

    def watched(path, target):
        if path == folder / f"os/{NEWER}":
            menus.append((folder / "smartos.ipxe").read_text())
        return rename(path, target)

    monkeypatch.setattr(Path, "rename", watched)
    make(ws, remove=(Stamp(NEWER),))
    assert len(menus) == 1
    assert NEWER not in menus[0]


def test_a_failure_leaves_everything_as_it_was(ws, monkeypatch):
    make(ws, None)
    before = contents(ws / "output-pxe")
    folder = platform(ws, NEWER)
    plan = pxe.plan(pxe.PxeRequest(output=ws / "output-pxe", sources=(SourceRequest(ws, folder),)))
    (folder / "i86pc/amd64/boot_archive").write_bytes(b"built again meanwhile")
    with pytest.raises(InputError, match="the file changed while it was being read"):
        plan.write()
    assert contents(ws / "output-pxe") == before
    new = pxe.plan(pxe.PxeRequest(output=ws / "new", sources=(SourceRequest(ws, None),)))
    monkeypatch.setattr(publish, "put", lambda *_arguments, **_options: (_ for _ in ()).throw(OutputError("full")))
    with pytest.raises(OutputError):
        new.write()
    assert not (ws / "new").exists()


def test_what_an_interrupted_run_left_is_taken_up(ws):
    make(ws, None)
    folder = ws / "output-pxe"
    whole = contents(folder)
    for name in files(folder):
        if not name.startswith(("os/", "iso/")):
            (folder / name).unlink()
    make(ws, None)
    assert contents(folder) == whole


def refused(ws, message, *platforms, **options):
    folder = ws / "output-pxe"
    before = contents(folder) if folder.exists() else None
    with pytest.raises((InputError, PlanError), match=message) as caught:
        make(ws, *platforms, **options)
    assert (contents(folder) if folder.exists() else None) == before
    assert caught.value.hint or caught.value.where
    return caught.value


class TestRefused:
    def test_another_platform_of_the_same_stamp(self, ws):
        make(ws, None)
        archive = ws / "output" / workspace.NAME / "i86pc/amd64/boot_archive"
        archive.unlink()
        archive.write_bytes(b"another one")
        archive.with_name("boot_archive.hash").unlink()
        what = "another platform is there with the same stamp; what differs or is missing: boot_archive, "
        error = refused(ws, f"{what}boot_archive.hash", None)
        assert "«replace»" in error.hint

    def test_a_wrong_hash(self, ws):
        (ws / "output" / workspace.NAME / "i86pc/amd64/boot_archive.hash").write_text("0" * 40 + "\n")
        refused(ws, "this file says '0{40}': the kernel would stop at once", None)

    def test_no_stamp(self, ws):
        folder = platform(ws, NEWER)
        (folder / "etc/version/platform").unlink()
        refused(ws, "no build stamp", folder.rename(ws / "p"))

    def test_files_of_somebody_else(self, ws):
        folder = ws / "output-pxe"
        folder.mkdir()
        (folder / "README").write_text("mine")
        (folder / "undionly.kpxe").write_text("fine")
        error = refused(ws, "in the way:\n  README$", None)
        (folder / "README").unlink()
        make(ws, None)
        assert (folder / "undionly.kpxe").read_text() == "fine"
        assert error.where == str(folder)

    def test_removing_what_is_not_there(self, ws):
        make(ws, None)
        refused(ws, f"no platform {NEWER} to remove; there is {STAMP}", remove=(Stamp(NEWER),))

    def test_removing_the_last_one(self, ws):
        make(ws, None)
        refused(ws, "this would remove the last platform", remove=(Stamp(STAMP),))

    def test_removing_from_nothing(self, ws):
        refused(ws, f"no platform {STAMP} to remove; there is nothing", remove=(Stamp(STAMP),))

    def test_an_unknown_default(self, ws):
        refused(ws, f"no platform {NEWER} here to boot by default", None, default=Stamp(NEWER))

    def test_a_platform_twice(self, ws):
        refused(ws, "asked for twice", None, None)
        make(ws, None)
        refused(ws, "asked for twice", None, remove=(Stamp(STAMP),))

    def test_another_layout(self, ws):
        make(ws, None)
        refused(ws, "this directory has the layout smartos", None, layout="triton")

    def test_machines_without_triton(self, ws):
        refused(ws, "«mac» is for «layout» triton", None, macs=("00:50:56:34:60:4c",))

    @pytest.mark.parametrize(
        "arguments",
        [
            ["--url", "file:///x"],
            ["--url", "http://2001:db8::1/x/"],
            ["--url", "http://h:99999/x/"],
            ["-B", "x"],
            ["--mac", "1:2"],
            ["--default", "two words"],
            ["--remove", "../x"],
            ["-c", "ttyz"],
            ["--layout", "other"],
        ],
    )
    def test_wrong_usage(self, ws, arguments):
        done = imagekit(*arguments, cwd=ws)
        assert done.returncode == 2
        assert not (ws / "output-pxe").exists()


class TestWarnings:
    def test_a_large_boot_archive(self, ws):
        folder = platform(ws, NEWER)
        with (folder / "i86pc/amd64/boot_archive").open("r+b") as file:
            file.truncate(300_000_001)
        (folder / "i86pc/amd64/boot_archive.hash").unlink()
        found = make(ws, folder).warnings
        assert any("a boot archive of 300,000,001 bytes" in line for line in found)
        assert any("boot_archive.hash is missing" in line for line in found)
        assert 'boot_archive.hash_load="NO"' in (ws / "output-pxe/boot/loader.conf").read_text()
        assert len(named((ws / "output-pxe" / f"{NEWER}.ipxe").read_text())) == 2

    def test_long_command_lines(self, ws):
        (line,) = make(ws, None, properties=(BootProperty("x", "y" * 300),)).warnings
        assert re.search(r"has \d{3} bytes of command lines, with URIs that begin like http://192", line)

    def test_a_folder_that_is_not_named_platform(self, ws):
        make(ws, None)
        (ws / f"output-pxe/os/{NEWER}/i86pc/amd64").mkdir(parents=True)
        (line,) = make(ws, None).warnings
        assert line.endswith(
            f"os/{NEWER} is in no menu, imagekit did not put it there: "
            "no folder named platform in it, so it would not boot"
        )

    def test_console_and_mode(self, ws):
        (line,) = make(ws, None, properties=(BootProperty("console", "ttya"),)).warnings
        assert line.startswith("«properties» console=ttya, but «console» chooses text")

    def test_no_boot_files(self, ws):
        shutil.rmtree(ws / "proto.boot")
        (line,) = make(ws, None).warnings
        assert line.startswith("no boot/loader64.efi among boot files, so no ISO image for UEFI machines")
        assert not (ws / "output-pxe/boot").exists()
        assert "snponly.efi" in (ws / "output-pxe/dhcp/dnsmasq.conf").read_text()
        check_sums(ws / "output-pxe")

    def test_settings_that_undo_the_console(self, ws):
        (ws / "proto.boot/boot/loader.conf.local").write_text('os_console="ttyd"\n')
        (line,) = make(ws, None).warnings
        assert 'os_console="ttyd", but «console» chooses text' in line

    def test_properties_that_the_kernel_takes_from_ipxe_only(self, ws):
        (line,) = make(ws, None, properties=parse_properties("acpi-user-options=0x2")).warnings
        assert line.startswith("«properties» acpi-user-options=... reaches the kernel by iPXE only")

    def test_files_that_the_loader_does_not_read(self, ws):
        (ws / "proto.boot/boot/defaults/loader.conf").write_text('loader_conf_files="/boot/loader.conf"\n')
        (ws / "proto.boot/boot/loader.conf.local").write_text("a=b\n")
        (line,) = make(ws, None).warnings
        assert line.startswith("boot/loader.conf.local: the loader does not read it")


class TestTriton:
    MAC = "00:50:56:34:60:4c"

    def test_names_are_the_booters(self, ws, tmp_path, answers):
        (tmp_path / "networking.json").write_text("{}")
        done = imagekit(
            "--layout", "triton", "--mac", "00-50-56-34-60-4C", "--module", answers, "--module",
            tmp_path / "networking.json", "-B", "hostname=cn1", cwd=ws,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        folder = ws / "output-pxe"
        script = (folder / "boot.ipxe.0100505634604C").read_text()
        bootfs = "tftp://${next-server}/bootfs/00505634604c"
        assert named(script)[3:] == [
            f"{bootfs}/networking.json",
            f"{bootfs}/networking.json.hash",
            f"{bootfs}/answers.json",
            f"{bootfs}/answers.json.hash",
        ]
        assert f"kernel tftp://${{next-server}}/os/{STAMP}/platform/i86pc/kernel/amd64/unix -B console=text" in script
        assert "hostname=cn1" in script
        assert not [name for name in files(folder) if name.startswith("dhcp/") or name == "smartos.ipxe"]
        check_sums(folder)

    def test_machines_keep_their_platforms(self, ws, answers):
        options = {"layout": "triton", "macs": (self.MAC,)}
        make(ws, None, additions=Additions(answers=answers), **options)
        make(ws, platform(ws, NEWER))  # for nobody yet
        refused(ws, f"boot.ipxe.0100505634604C boots {STAMP}, so it cannot go", remove=(Stamp(STAMP),))
        make(ws, ws / "output" / f"platform-{NEWER}", **options)
        make(ws, remove=(Stamp(STAMP),))
        script = (ws / "output-pxe/boot.ipxe.0100505634604C").read_text()
        assert f"/os/{NEWER}/" in script
        assert "bootfs" not in script
        assert not (ws / "output-pxe/bootfs").exists()
        check_sums(ws / "output-pxe")

    def test_changed_modules_replace_the_old_ones(self, ws, tmp_path, answers):
        options = {"layout": "triton", "macs": (self.MAC,)}
        make(ws, None, additions=Additions(answers=answers), **options)
        other = tmp_path / "other"
        other.write_text("x")
        make(ws, None, additions=Additions((ModuleRequest(other, "other"),)), **options)
        assert sorted(path.name for path in (ws / "output-pxe/bootfs/00505634604c").iterdir()) == [
            "other",
            "other.hash",
        ]
        check_sums(ws / "output-pxe")

    def test_refused(self, ws):
        refused(
            ws,
            "modules and properties are for machines here",
            None,
            layout="triton",
            properties=(BootProperty("a", "b"),),
        )
        refused(ws, "«mac» needs one platform", None, platform(ws, NEWER), layout="triton", macs=(self.MAC,))


def test_dry_run_writes_nothing(ws):
    done = imagekit("-n", "--json", "-c", "ttya", cwd=ws)
    assert not (ws / "output-pxe").exists()
    plan = json.loads(done.stdout)
    (one,) = plan["boots"]
    assert one["arguments"] == '-B console=ttya,ttya-mode="115200,8,n,1,-",smartos=true'
    assert imagekit("-c", "ttya", cwd=ws).returncode == 0
    assert sorted(plan["write"]) == files(ws / "output-pxe")
    text = imagekit("-n", "--remove", STAMP, "--platform", platform(ws, NEWER), cwd=ws).stdout
    assert f"remove         os/{STAMP}\n" in text
    assert f"remove         {STAMP}.ipxe\n" in text


def test_json(ws):
    done = imagekit("--json", cwd=ws)
    products = json.loads(done.stdout)["products"]
    for product in products:
        path = ws / product["path"]
        assert product["size"] == path.stat().st_size
        assert product["sha256"] == hashlib.sha256(path.read_bytes()).hexdigest()
