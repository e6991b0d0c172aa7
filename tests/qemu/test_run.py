"""`imagekit run`, with the real QEMU: every product, the console that is watched, and a terminal."""

import contextlib
import hashlib
import os
import pty
import select
import shutil
import signal
import subprocess
import sys
import time

import pytest

from kit import qemu

RUN = (sys.executable, "-m", "imagekit", "run", "--memory", "512M", "--accel", "tcg")
KERNEL = "os/{0}/platform/i86pc/kernel/amd64/unix"


@pytest.fixture
def run(need):
    """Return a function that runs `imagekit run`; skip the test when QEMU or OVMF are not installed."""
    need(qemu.QEMU)

    def start(*arguments, **options):
        if "uefi" in arguments and qemu.ovmf() is None:
            pytest.skip("needs ovmf: scripts/test installs it where it can")
        command = [*RUN, *map(str, arguments)]
        return subprocess.run(
            command, check=False, stdin=subprocess.DEVNULL, capture_output=True, encoding="latin-1", **options
        )

    return start


@pytest.fixture
def netboot(platform, tmp_path):
    """Make a folder whose script waits for a key before it boots."""
    name = platform.name.removeprefix("platform-")
    shutil.copytree(platform, tmp_path / "pxe/os" / name / "platform")
    kernel = KERNEL.format(name)
    archive = f"os/{name}/platform/i86pc/amd64/boot_archive"
    (tmp_path / "pxe/smartos.ipxe").write_text(
        "#!ipxe\n"
        "prompt --key y the key is y && set answer yes || set answer no\n"
        f"kernel {kernel} -B console=ttya,answer=${{answer}}\n"
        f"module {archive} type=rootfs name=ramdisk\n"
        "boot\n"
    )
    (tmp_path / "pxe/straight.ipxe").write_text(f"#!ipxe\nkernel {kernel} -B console=ttya\nmodule {archive}\nboot\n")
    return tmp_path / "pxe"


def test_a_compressed_usb_image_on_its_own_console(run, platform, built, tmp_path):
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    image = tmp_path / "any-name"
    command = [sys.executable, "-m", "imagekit", "usb", "--platform", platform, "--boot", built, "-o", image]
    subprocess.run([*command, "-c", "ttyb"], check=True, stdout=subprocess.DEVNULL)
    assert image.read_bytes()[:2] == b"\x1f\x8b"
    image.chmod(0o444)
    before = hashlib.sha256(image.read_bytes()).digest()
    variables = qemu.ovmf() and qemu.ovmf()[1].read_bytes()
    result = run(
        image, "--firmware", "uefi", "--expect", "UNIX-STANDIN-END", env=os.environ | {"TMPDIR": str(temporary)}
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert "LOADER-STANDIN arguments: -B console=ttyb" in result.stdout
    assert hashlib.sha256(image.read_bytes()).digest() == before
    assert qemu.ovmf()[1].read_bytes() == variables
    assert list(temporary.iterdir()) == []


def test_the_image_is_never_written_to(run, image):
    disk = image("usb", "-c", "ttyb")
    before = disk.stat()
    for attach in ("usb", "disk"):
        result = run(disk, "--as", attach, "--console", "ttya", "--expect", "STAGE2-STANDIN")
        assert result.returncode == 0, result.stderr
    assert (disk.stat().st_mtime_ns, disk.stat().st_ino) == (before.st_mtime_ns, before.st_ino)


def test_an_iso_image(run, image):
    result = run(image("iso", "-c", "ttya"), "--expect", "CDBOOT-STANDIN")
    assert result.returncode == 0, result.stderr


def test_the_text_console(run, image):
    result = run(image("usb", "-c", "text"), "--firmware", "uefi", "--expect", "UNIX-STANDIN-END")
    assert result.returncode == 0, result.stderr
    assert "LOADER-STANDIN console: text" in result.stdout


def test_a_script_of_a_pxe_directory(run, netboot):
    result = run(netboot, "--bootfile", "straight.ipxe", "--expect", "UNIX-STANDIN-END")
    assert result.returncode == 0, result.stderr
    assert "UNIX-STANDIN module 00000000" in result.stdout


def test_what_does_not_appear_is_told(run, image):
    result = run(image("usb", "-c", "ttya"), "--expect", "STANDIN", "--expect", "the moon")
    assert result.returncode == 1
    lines = result.stderr.splitlines()
    assert lines[0] == "imagekit: not seen on ttya: 'the moon'"
    assert lines[1].startswith("imagekit: the guest ended the machine with ")
    assert "STANDIN" in lines[-1]


def test_what_qemu_refuses_is_told(run, image):
    result = run(image("usb", "-c", "ttya"), "--expect", "STANDIN", "--", "-device", "no-such-device")
    assert result.returncode == 1
    assert "no-such-device" in result.stderr
    assert "Traceback" not in result.stderr


class Terminal:
    """A program on a terminal of its own."""

    def __init__(self, command):
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.execvp(command[0], command)  # noqa: S606
        self.shown = ""

    def wait_for(self, text):
        give_up = time.monotonic() + 300  # a guard against hanging for ever, not a limit
        while text not in self.shown:
            assert time.monotonic() < give_up, self.shown
            if select.select([self.fd], [], [], 1)[0]:
                try:
                    data = os.read(self.fd, 65536)
                except OSError:  # EIO: the program has ended
                    data = b""
                assert data, self.shown
                self.shown += data.decode("latin-1")

    def press(self, keys):
        os.write(self.fd, keys)

    def end(self):
        """Return the exit status."""
        with contextlib.suppress(OSError):
            while data := os.read(self.fd, 65536):
                self.shown += data.decode("latin-1")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


@pytest.fixture
def terminal(need):
    need(qemu.QEMU)
    started = []

    def start(*arguments):
        command = [*RUN, *map(str, arguments)]
        started.append(Terminal(command))
        return started[-1]

    yield start
    for one in started:
        with contextlib.suppress(OSError):
            os.kill(one.pid, signal.SIGTERM)
        os.close(one.fd)


def test_keys_reach_the_guest(terminal, netboot):
    """iPXE's text screen is shown on ttya, and what is typed there answers it; then the guest ends the machine."""
    machine = terminal(netboot)
    machine.wait_for("the key is y")
    assert "Ctrl-A X ends the machine" in machine.shown
    machine.press(b"y")
    machine.wait_for("UNIX-STANDIN-END")
    assert "answer=yes" in machine.shown
    assert machine.end() == 0
    assert "the guest ended the machine with" in machine.shown


def test_ctrl_a_x_ends_it(terminal, netboot):
    machine = terminal(netboot)
    machine.wait_for("the key is y")
    machine.press(b"\x01x")
    assert machine.end() == 0
    assert "UNIX-STANDIN" not in machine.shown
