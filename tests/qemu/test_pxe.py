"""PXE directories, booted by stock iPXE, by firmware and by GRUB, over TFTP and HTTP.

What the kernel must have been given is computed here from the files that went in.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import zlib
from pathlib import Path

import pytest

from kit import network

STAMP = "20240229T123456Z"
PLATFORM = f"os/{STAMP}/platform/i86pc"
KERNEL = f"{PLATFORM}/kernel/amd64/unix"
MODE = "115200,8,n,1,-"
SHADOW = "$5$2HOHRnK3$NvLlm.1KQBbB0WjoP7xcIwGnllhzp2HnT.mDO7DpxYA"
ANSWERS = {"config_console": True, "skip_instructions": True, "admin_ip": "dhcp", "hostname": "brainiac"}


def answers_file(folder):
    path = folder / "answers.json"
    path.write_text(json.dumps(ANSWERS))
    return path


@pytest.fixture(scope="session")
def directory(make, tmp_path_factory):
    """Return a PXE directory with one platform and answers, for ttyb; not to be changed."""
    folder = tmp_path_factory.mktemp("pxe")
    return make("pxe", folder / "served", "-c", "ttyb", "--answers", answers_file(folder))


@pytest.fixture(scope="session")
def ipxe():
    """Return a function that gives a program of iPXE's, and skips the test where it is not installed."""

    def get(name):
        path = network.IPXE / name
        if not path.exists():
            pytest.skip(f"needs {path}, of the package ipxe: scripts/test installs it where it can")
        return path

    return get


def dry_run(platform, output, *options):
    """Return the plan of a directory as data."""
    command = [sys.executable, "-m", "imagekit", "pxe", "-n", "--json", "--platform", platform, "-o", output, *options]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, cwd=output.parent)
    return json.loads(done.stdout)


def module_lines(directory, prefix="", *, added=True):
    """Return [(path, string)] of the modules that a kernel must get."""
    index = json.loads((directory / "index.json").read_text())
    archive = f"{PLATFORM}/amd64/boot_archive"
    lines = [(archive, "rootfs", "ramdisk"), (f"{archive}.hash", "hash", "ramdisk")]
    for module in index["scripts"][0]["modules"] if added else []:
        lines.append((module["file"]["path"], "file", module["name"]))
        lines.append((module["hash"]["path"], "hash", module["name"]))
    return [(path, f"{prefix}{path} type={kind} name={name}") for path, kind, name in lines]


def check_kernel(result, directory, *, console, protocol, prefix, arguments, added=True):
    """What the kernel must have shown on its console, and nowhere else."""
    assert result.status == 33
    said = [found[1] for found in re.finditer(r"^UNIX-STANDIN (.*?)\r?$", result.ports[console], re.MULTILINE)]
    assert [port for port, text in result.ports.items() if "UNIX-STANDIN" in text] == [console]
    assert said[0] == f"protocol: {protocol}"
    assert said[2] == f"arguments: {prefix}{KERNEL} {arguments}"
    expected = []
    for index, (path, string) in enumerate(module_lines(directory, prefix, added=added)):
        data = (directory / path).read_bytes()
        expected.append(f"module {index:08x}: size={len(data):08x} crc32={zlib.crc32(data):08x} string={string}")
    assert [re.sub("address=[0-9a-f]{8} ", "", line) for line in said[3:]] == expected


STRAIGHT = f'-B console=ttyb,ttyb-mode="{MODE}",smartos=true'


def test_bios_with_ipxe_in_the_card_over_tftp(directory, boot):
    result = boot(None, more=network.card(directory, f"{STAMP}.ipxe"))
    check_kernel(
        result,
        directory,
        console="ttyb",
        protocol="multiboot1",
        prefix=f"tftp://{network.HOST}/",
        arguments=STRAIGHT,
    )


def test_bios_with_undionly_chained(directory, boot, ipxe, tmp_path):
    (tmp_path / "boot").write_bytes(ipxe("undionly.kpxe").read_bytes())
    dump = tmp_path / "dump"
    with network.served(directory) as (url, asked):
        more = network.card(tmp_path, "boot", "-object", f"filter-dump,id=f0,netdev=n0,file={dump}")
        with network.replaced_when_fetched(tmp_path / "boot", f"#!ipxe\nchain {url}{STAMP}.ipxe\n", dump) as fetched:
            result = boot(None, more=more)
        assert fetched.is_set()
    check_kernel(result, directory, console="ttyb", protocol="multiboot1", prefix=url, arguments=STRAIGHT)
    for path in [f"{STAMP}.ipxe", KERNEL, *(path for path, _ in module_lines(directory))]:
        assert any(f"GET /{path} " in line for line in asked), path


def test_bios_with_ipxe_as_a_kernel(directory, boot, ipxe):
    with network.served(directory) as (url, _):
        more = network.card(directory, "none", "-kernel", ipxe("ipxe.lkrn"), rom="")
        result = boot(None, more=[*more, "-append", f"dhcp && chain {url}{STAMP}.ipxe"])
    check_kernel(result, directory, console="ttyb", protocol="multiboot1", prefix=url, arguments=STRAIGHT)


def test_menu_by_its_keys(directory, boot, tmp_path):
    """From ttyb to ttya (text, ttya: the console of a menu goes round), and from normal by noimport to rescue."""
    keyboard = network.Keyboard(tmp_path / "monitor")
    steps = [
        ("Console: ttyb", "c"),
        ("Console: ttyc", "c"),
        ("Console: ttyd", "c"),
        ("Console: text", "c"),
        ("Console: ttya", "m"),
        ("Mode: noimport", "m"),
        ("Mode: rescue", "k"),
        ("Kernel debugger: loaded", "k"),
        ("Kernel debugger: first", "v"),
        ("Verbose: on", ["ret"]),
    ]
    with network.served(directory) as (url, _):
        more = network.card(directory, f"{url}smartos.ipxe")
        with keyboard.pressing(steps):
            result = boot(None, more=[*more, *keyboard.arguments])
    assert len(keyboard.screens) == len(steps)
    assert STAMP in keyboard.screens[0]
    check_kernel(
        result,
        directory,
        console="ttya",
        protocol="multiboot1",
        prefix=url,
        arguments=f'-v -kd -B console=ttya,ttya-mode="{MODE}",smartos=false,noimport=true,root_shadow={SHADOW}',
        added=False,  # the user's own modules may be what a rescue is needed from
    )


def test_menu_boots_its_default_by_itself(directory, boot):
    result = boot(None, more=network.card(directory, "smartos.ipxe"))
    check_kernel(
        result,
        directory,
        console="ttyb",
        protocol="multiboot1",
        prefix=f"tftp://{network.HOST}/",
        arguments=STRAIGHT,
    )


def test_settings_that_ipxe_puts_in(make, boot, tmp_path):
    """The kernel gets what ${net0/mac} stands for, in the quotes that keep it whole."""
    directory, mac = tmp_path / "served", "52:54:00:12:34:56"  # QEMU's first card
    make("pxe", directory, "-c", "ttyb", "--layout", "triton", "--mac", mac, "-B", "hostname=cn-${net0/mac}")
    result = boot(None, more=network.card(directory, f"boot.ipxe.01{mac.replace(':', '')}"))
    assert result.status == 33
    assert f'{STRAIGHT},hostname="cn-{mac}"' in result.ports["ttyb"]


def test_uefi_with_snponly_and_the_menu(directory, boot, ipxe, tmp_path):
    """Stock iPXE boots UEFI machines from the image, over HTTP and by the relative URI of the script."""
    (tmp_path / "boot").write_bytes(ipxe("snponly.efi").read_bytes())
    dump = tmp_path / "dump"
    with network.served(directory) as (url, asked):
        more = network.card(tmp_path, "boot", "-object", f"filter-dump,id=f0,netdev=n0,file={dump}", rom="")
        with network.replaced_when_fetched(tmp_path / "boot", f"#!ipxe\nchain {url}smartos.ipxe\n", dump):
            result = boot(None, firmware="uefi", more=more)
    check_from_image(result, directory)
    (image,) = (directory / "iso").iterdir()
    assert any(re.search(rf"GET /iso/{image.name} .* 206 ", line) for line in asked)
    assert not any(" /os/" in line for line in asked)


def test_uefi_with_ipxe_in_the_card_and_a_script_from_tftp(make, boot, tmp_path):
    """A script from anywhere else finds the image by its absolute URL."""
    directory = tmp_path / "served"
    directory.mkdir()
    with network.served(directory) as (url, _):
        make("pxe", directory, "-c", "ttyb", "--url", url, "--answers", answers_file(tmp_path))
        result = boot(None, firmware="uefi", more=network.card(directory, f"{STAMP}.ipxe"))
    check_from_image(result, directory)


def check_from_image(result, directory):
    """What the kernel must have been given by the loader on the image: the platform, and the answers."""
    assert result.status == 33
    text = result.ports["ttyb"]
    said = [found[1] for found in re.finditer(r"^UNIX-STANDIN (.*?)\r?$", text, re.MULTILINE)]
    assert said[0] == "protocol: multiboot2"
    assert said[2].startswith("arguments: /platform/i86pc/kernel/amd64/unix -B console=ttyb,")
    assert "smartos=true" in said[2]
    expected = set()
    for path, string in module_lines(directory):
        data = (directory / path).read_bytes()
        place = string.partition(" ")[0].removeprefix(f"os/{STAMP}")
        place = re.sub(r"^bootfs/[0-9a-f]+/", "/boot/bootfs/", place)
        expected.add(f"size={len(data):08x} crc32={zlib.crc32(data):08x} string={place} {string.partition(' ')[2]}")
    assert {re.sub("^module [0-9a-f]+: address=[0-9a-f]+ ", "", line) for line in said[3:]} == expected


def test_the_loader_for_uefi_has_no_network(built, boot_fails, tmp_path):
    """As the real one: loaded by TFTP it asks for nothing more, and finds nothing to boot from."""
    shutil.copy(built / "boot/loader64.efi", tmp_path / "loader64.efi")
    shutil.copytree(built / "boot", tmp_path / "boot")
    result = boot_fails(None, firmware="uefi", more=network.card(tmp_path, "loader64.efi", rom=""))
    assert "LOADER-STANDIN-FAIL Failed to find bootable partition" in result.ports["ttya"]


def test_uefi_with_snponly_and_the_kernel(directory, boot, ipxe, tmp_path):
    """Stock iPXE starts no multiboot kernel under UEFI; what it fetches, and with which arguments, it shows."""
    (tmp_path / "boot").write_bytes(ipxe("snponly.efi").read_bytes())
    dump = tmp_path / "dump"
    script = (directory / f"{STAMP}.ipxe").read_text()
    script = "".join(line for line in script.splitlines(keepends=True) if "goto uefi" not in line)
    changed = re.sub("^(kernel|module) ", "imgfetch ", script, flags=re.MULTILINE)
    changed = changed.replace("boot || goto failed\n", "imgstat\necho PXE-FETCHED all of it\nshell\n")
    served = shutil.copytree(directory, tmp_path / "served")
    (served / "fetch.ipxe").write_text(changed)
    with network.served(served) as (url, asked):
        more = network.card(tmp_path, "boot", "-object", f"filter-dump,id=f0,netdev=n0,file={dump}", rom="")
        with network.replaced_when_fetched(tmp_path / "boot", f"#!ipxe\nchain {url}fetch.ipxe\n", dump):
            result = boot(None, firmware="uefi", more=more, end_words=("PXE-FETCHED all",))
    shown = re.sub(r"\s+", "", result.ports["ttya"])  # the firmware breaks lines at the 80th character
    for path, string in [(KERNEL, f"{KERNEL} {STRAIGHT}"), *module_lines(directory)]:
        size = (directory / path).stat().st_size
        name = re.escape(Path(path).name)
        text = re.escape(re.sub(r"\s+", "", string.partition(" ")[2]))
        assert re.search(rf'{name}:{size}bytes(\[[A-Za-z0-9]*\])*"{text}"', shown), path
        assert any(re.search(rf"GET /{re.escape(path)} .* 200 ", line) for line in asked), path


def test_uefi_with_grub(make, boot, need, platform, tmp_path):
    """A network program of another kind, given what the plan says: multiboot 2 over TFTP.

    On the text console, since GRUB would write a backslash before each quote of a serial port's mode.
    """
    need("grub-mkimage")
    modules = Path("/usr/lib/grub/x86_64-efi")
    if not modules.is_dir():
        pytest.skip("needs grub-efi-amd64-bin: scripts/test installs it where it can")
    options = ["-c", "text", "--answers", answers_file(tmp_path)]
    directory = tmp_path / "served"
    (plan,) = dry_run(platform, directory, *options)["boots"]
    make("pxe", directory, *options)
    lines = ["net_dhcp", "set root=(tftp,$net_default_server)"]
    lines.append(f"multiboot2 /{KERNEL} /{KERNEL} {plan['arguments']}")
    lines += (f"module2 /{string.split()[0]} /{string}" for string in plan["modules"])
    lines += ["boot", "echo GRUB-STANDIN-FAIL"]
    (tmp_path / "grub.cfg").write_text("".join(f"{line}\n" for line in lines))
    command = ["grub-mkimage", "-O", "x86_64-efi", "-p", "/", "-c", tmp_path / "grub.cfg", "-d", modules]
    programs = ["efinet", "net", "tftp", "multiboot2", "echo", "normal"]
    subprocess.run([*command, "-o", directory / "grubx64.efi", *programs], check=True)
    result = boot(None, firmware="uefi", more=network.card(directory, "grubx64.efi", rom=""))
    check_kernel(
        result,
        directory,
        console="text",
        protocol="multiboot2",
        prefix="/",
        arguments="-B console=text,smartos=true",
    )


@pytest.mark.parametrize("over", [0, 1])
def test_the_limit_of_stock_ipxe_is_where_the_warning_says(make, boot, platform, tmp_path, over):
    """512 bytes of command lines arrive whole; of 513, the last is missing."""
    directory = tmp_path / "served"
    options = ["--url", f"tftp://{network.HOST}/", "--answers", answers_file(tmp_path), "-B", "x=y"]
    (plan,) = dry_run(platform, directory, *options)["boots"]
    prefix = f"tftp://{network.HOST}/"
    lines = [f"{prefix}{KERNEL} {plan['arguments']}", *(prefix + module for module in plan["modules"])]
    room = 512 - sum(len(line) + 1 for line in lines)
    assert room > 0
    options[-1] = f"x={'y' * (1 + room + over)}"
    warnings = dry_run(platform, directory, *options)["warnings"]
    assert any(f"{STAMP} has 513 bytes of command lines" in line for line in warnings) == bool(over)
    make("pxe", directory, *options)
    result = boot(None, more=network.card(directory, f"{STAMP}.ipxe"))
    last = re.findall(r"^UNIX-STANDIN module .* string=(.*?)\r?$", result.ports["text"], re.MULTILINE)[-1]
    assert last == lines[-1][: len(lines[-1]) - over]


@pytest.mark.parametrize(("verb", "bus", "firmware"), [("usb", "usb", "bios"), ("iso", "cd", "uefi")])
def test_the_same_modules_reach_the_kernel_from_images(make, boot, tmp_path, verb, bus, firmware):
    answers = answers_file(tmp_path)
    driver = tmp_path / "ppt_matches"
    driver.write_bytes(b"pci8086,1528\n" * 1000)
    options = ["-c", "ttyb", "--answers", answers, "--module", f"{driver}:etc/ppt_matches"]
    if verb == "usb":
        options += ["--size", "auto"]
    image = make(verb, tmp_path / "image", *options)
    result = boot(image, bus=bus, firmware=firmware)
    assert result.status == 33
    shown = result.ports["ttyb"]
    for path, name in [(answers, "answers.json"), (driver, "etc/ppt_matches")]:
        data = path.read_bytes()
        for content, kind, suffix in [
            (data, "file", ""),
            (hashlib.sha1(data).hexdigest().encode() + b"\n", "hash", ".hash"),
        ]:
            expected = (
                f"size={len(content):08x} crc32={zlib.crc32(content):08x} "
                f"string=/boot/bootfs/{name}{suffix} type={kind} name={name}"
            )
            assert re.search(rf"^UNIX-STANDIN module .*{re.escape(expected)}\r?$", shown, re.MULTILINE), expected
