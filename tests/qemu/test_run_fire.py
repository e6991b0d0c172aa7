"""`imagekit run` with the real QEMU: how guests end, names that mean something to QEMU, streams that are not there."""

import os
import subprocess
import sys

import pytest

from imagekit.run.machine import Machine
from kit import qemu

RUN = (sys.executable, "-m", "imagekit", "run", "--memory", "64M", "--accel", "tcg", "--as", "disk")
WAITS = b"\xfa\xf4"  # cli; hlt
RESTARTS = b"\xb0\xfe\xe6\x64\xf4"  # mov al, 0xfe; out 0x64, al (the keyboard controller pulls the reset line); hlt
SWITCHES_OFF = b"\xba\x04\x06\xb8\x00\x20\xef\xf4"  # mov dx, 0x604; mov ax, 0x2000; out dx, ax (q35's PM1a_CNT); hlt


def boot_sector(path, code):
    path.write_bytes(code.ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    return path


@pytest.fixture(autouse=True)
def _qemu(need):
    need(qemu.QEMU)


@pytest.mark.parametrize(
    ("code", "says"),
    [
        (RESTARTS, "imagekit: the guest restarted the machine, and a restart ends it here"),
        (SWITCHES_OFF, "imagekit: the guest switched the machine off"),
    ],
)
def test_the_last_line_says_how_it_ended(tmp_path, code, says):
    image = boot_sector(tmp_path / "x", code)
    done = subprocess.run([*RUN, image], stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr.splitlines()[-1]) == (0, says)


@pytest.mark.parametrize(
    "name",
    [
        "a:b.img",
        "a,b.img",
        "nbd:x",
        "json:{}",
        "fd:3",
        "a=b,readonly=off",
        ":",
        "a b;c",
        "a\nb",
        "-x",
        "é%s",
        "snapshot=off",
    ],
)
def test_no_name_of_an_image_means_anything_to_qemu(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    boot_sector(tmp_path / name, SWITCHES_OFF)
    command = Machine(image=tmp_path.__class__(name), bus="ahci", memory=64).command()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize("bus", ["usb", "ahci", "virtio", "piix", "cd"])
def test_qemu_takes_every_bus(tmp_path, bus):
    image = boot_sector(tmp_path / "x", WAITS)
    command = [*Machine(image=image, bus=bus, memory=64).command(), "-S", "-monitor", "stdio"]
    done = subprocess.run(command, input="quit\n", capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "closed", ["0<&-", "1>&-", "0<&- 1>&-", "0<&- 1>&- 2>&-", "0</dev/null", "1</dev/null", "0>/dev/null"]
)
def test_streams_that_are_not_there(tmp_path, closed):
    image = boot_sector(tmp_path / "x", RESTARTS)
    command = ["sh", "-c", f'exec "$@" {closed}', "sh", *RUN, image]
    done = subprocess.run(command, input="", capture_output=True, text=True, check=False)
    assert done.returncode == 0, done
    assert "Traceback" not in done.stderr


def test_keys_come_from_a_pipe(tmp_path):
    """Ctrl-A X ends the machine, wherever it comes from."""
    image = boot_sector(tmp_path / "x", WAITS)
    done = subprocess.run([*RUN, image], input=b"\x01x", capture_output=True, check=False)
    assert done.returncode == 0
    assert done.stderr.decode().splitlines()[-1] == "imagekit: the machine was ended here (Ctrl-A X, or QEMU's monitor)"


@pytest.fixture
def small(tmp_path, need):
    """Return a command, and its environment, in which TMPDIR has 700 KiB; skip where that needs more rights."""
    need("unshare", "mount")
    folder = tmp_path / "small"
    folder.mkdir()
    command = ["unshare", "-m", "sh", "-c", 'mount -t tmpfs -o size=700k none "$TMPDIR" && exec "$@"', "sh"]
    environment = os.environ | {"TMPDIR": str(folder)}
    if subprocess.run([*command, "true"], env=environment, capture_output=True, check=False).returncode:
        pytest.skip("needs the right to mount")
    return command, environment


def test_a_disk_that_is_full_stops_no_guest_in_silence(tmp_path, small):
    """The guest is told, goes on (here: switches the machine off), and the last lines say why."""
    writes = bytes.fromhex(
        "31c08ed8"  # xor ax, ax; mov ds, ax
        "b93c00"  # mov cx, 60
        "51be2c7c"  # again: push cx; mov si, packet
        "b80043b280cd13"  # mov ax, 0x4300; mov dl, 0x80; int 0x13 (write by the packet)
        "668306347c40"  # add dword [packet.lba], 64
        "59e2ec"  # pop cx; loop again
    )
    code = writes + SWITCHES_OFF
    code = code.ljust(0x2C, b"\x90") + bytes.fromhex("10004000007c00000008000000000000")  # 64 sectors from LBA 2048
    image = boot_sector(tmp_path / "x", code)
    os.truncate(image, 8 << 20)
    command, environment = small
    done = subprocess.run(
        [*command, *RUN, image], env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    last = done.stderr.splitlines()[-2:]
    assert "disk failed: No space left on device" in last[0]
    assert last[1] == "imagekit: the guest switched the machine off"
