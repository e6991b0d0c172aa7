"""`imagekit run` under fire, with a program of our own in QEMU's place: kills, terminals and disks that go away."""

import contextlib
import errno
import fcntl
import gzip
import os
import pty
import select
import signal
import subprocess
import sys
import termios

import pytest

from imagekit.cli import options
from imagekit.errors import ImagekitError, InputError
from imagekit.run import RunRequest, process, run
from kit.command import IMAGEKIT
from kit.work import until

RUN = (*IMAGEKIT, "run")
RAW = "import termios, tty; tty.setraw(0); os.set_blocking(0, False)"
FOREVER = "time.sleep(600)"


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "x.img"
    path.write_bytes(bytes(512) + b"EFI PART" + bytes(1 << 20))
    return path


@pytest.fixture
def packed(image):
    path = image.with_suffix(".gz")
    path.write_bytes(gzip.compress(image.read_bytes()))
    return path


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Return a function that puts a program (lines of Python) in the place of QEMU; it holds a lock while it runs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for name in ("DISPLAY", "WAYLAND_DISPLAY"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "lock").touch()

    def put(*lines):
        head = [
            f"#!{sys.executable}",
            "import fcntl, json, os, signal, socket, sys, time",
            f"lock = open({str(tmp_path / 'lock')!r})",
            "fcntl.flock(lock, fcntl.LOCK_EX)",
            f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))",
            "def say(text): sys.stdout.write(text); sys.stdout.flush()",
        ]
        program = folder / "qemu-system-x86_64"
        program.write_text("\n".join([*head, *lines]) + "\n")
        program.chmod(0o755)

    return put


def start(*arguments, **options):
    options = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | options
    return subprocess.Popen([*RUN, *map(str, arguments)], text=True, **options)


def is_alive(folder):
    with (folder / "lock").open() as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return True
    return False


def left_over(folder):
    return [path.name for path in folder.iterdir() if path.name.startswith("imagekit-run-")]


class Terminal:
    """`imagekit run` on a terminal of its own."""

    def __init__(self, *arguments):
        self.master, self.slave = pty.openpty()
        self.before = termios.tcgetattr(self.slave)
        self.process = subprocess.Popen(
            [*RUN, *map(str, arguments)],
            stdin=self.slave,
            stdout=self.slave,
            stderr=self.slave,
            start_new_session=True,
            preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),  # noqa: PLW1509 - before any thread is there
        )
        self.shown = ""

    def wait_for(self, text):
        def seen():
            if select.select([self.master], [], [], 0.1)[0]:
                self.shown += os.read(self.master, 65536).decode()
            return text in self.shown

        until(seen)

    def end(self):
        """Wait for the end, and return the status; all that is shown is read, else a terminal would not be drained."""

        def ended():
            while select.select([self.master], [], [], 0)[0]:
                with contextlib.suppress(OSError):
                    self.shown += os.read(self.master, 65536).decode()
            return self.process.poll() is not None

        until(ended)
        return self.process.returncode

    def is_as_before(self):
        return termios.tcgetattr(self.slave) == self.before and os.get_blocking(self.slave)


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_the_terminal_is_as_before_when_qemu_is_killed(fake, image, number):
    fake(RAW, "say('up')", f"signal.signal(signal.SIGTERM, signal.SIG_DFL); os.kill(os.getpid(), {number})")
    terminal = Terminal(image, "--console", "ttya")
    assert terminal.end() == 1
    assert terminal.is_as_before()
    assert f"QEMU was ended by signal {number}" in terminal.shown


@pytest.mark.parametrize(
    ("number", "stubborn"),
    [(signal.SIGTERM, False), (signal.SIGHUP, False), (signal.SIGINT, False), (signal.SIGTERM, True)],
)
def test_the_terminal_is_as_before_when_imagekit_is_ended(fake, packed, tmp_path, number, stubborn):
    """A QEMU that takes no notice is killed, and then cannot do that itself."""
    fake(RAW, "signal.signal(signal.SIGTERM, signal.SIG_IGN)" if stubborn else "", "say('up')", FOREVER)
    terminal = Terminal(packed, "--console", "ttya")
    terminal.wait_for("up")
    assert not terminal.is_as_before()
    terminal.process.send_signal(number)
    assert terminal.end() == 130
    assert terminal.is_as_before()
    assert "interrupted" in terminal.shown
    assert not is_alive(tmp_path)
    assert left_over(tmp_path) == []


def test_a_terminal_that_goes_away_ends_all(fake, packed, tmp_path):
    fake(RAW, "say('up')", FOREVER)
    terminal = Terminal(packed, "--console", "ttya")
    terminal.wait_for("up")
    os.close(terminal.slave)
    os.close(terminal.master)
    until(lambda: terminal.process.poll() is not None)
    assert not is_alive(tmp_path)
    assert left_over(tmp_path) == []


def test_a_qemu_that_takes_no_notice_is_killed(fake, image, tmp_path, monkeypatch):
    monkeypatch.setattr(process, "_PATIENCE", 0.1)
    fake("signal.signal(signal.SIGTERM, signal.SIG_IGN)", "say('up')", FOREVER)
    assert not run(RunRequest(path=image, expect=["up"])).missing
    assert not is_alive(tmp_path)


@pytest.mark.parametrize("stubborn", [False, True])
def test_nothing_outlives_a_killed_imagekit(fake, packed, tmp_path, stubborn):
    fake("signal.signal(signal.SIGTERM, signal.SIG_IGN)" if stubborn else "", "say('up\\n')", FOREVER)
    started = start(packed, "--expect", "never")
    assert started.stdout.readline() == "up\n"
    assert is_alive(tmp_path)
    assert left_over(tmp_path) != []
    started.kill()
    started.communicate()
    until(lambda: not is_alive(tmp_path))
    until(lambda: left_over(tmp_path) == [])


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGHUP])
@pytest.mark.parametrize("milliseconds", [0, 100, 250])
def test_it_can_be_ended_at_any_moment(fake, packed, tmp_path, number, milliseconds):
    fake(FOREVER)
    started = start(packed, "--expect", "never")
    with contextlib.suppress(subprocess.TimeoutExpired):
        started.wait(milliseconds / 1000)  # whatever it is at then
    started.send_signal(number)
    _, said = started.communicate()
    assert "Traceback" not in said
    assert started.returncode in {130, -number}
    until(lambda: not is_alive(tmp_path))
    until(lambda: left_over(tmp_path) == [])


def test_a_scratch_disk_that_is_full(fake, image, tmp_path):
    fake(FOREVER)
    large = tmp_path / "large.gz"
    large.write_bytes(gzip.compress(image.read_bytes() + os.urandom(3 << 20)))
    command = ["sh", "-c", 'ulimit -f 2000; exec "$@"', "sh", *RUN, large]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "File too large" in done.stderr
    assert "TMPDIR" in done.stderr
    assert left_over(tmp_path) == []


def test_no_folder_for_temporaries(fake, image, tmp_path):
    fake(FOREVER)
    environment = os.environ | {"TMPDIR": str(tmp_path / "absent")}
    done = subprocess.run(
        [*RUN, image, "--expect", "x"], env=environment | {"PATH": ""}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert "Traceback" not in done.stderr


def test_a_qemu_that_cannot_be_started(fake, image, tmp_path, monkeypatch):
    fake()
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))  # else the next one on it would be tried
    (tmp_path / "bin/qemu-system-x86_64").write_bytes(b"\x7fELF" + bytes(100))
    with pytest.raises(InputError, match="qemu-system-x86_64 cannot be started: "):
        run(RunRequest(path=image, expect=["x"]))
    assert left_over(tmp_path) == []


def test_without_a_shell_there_is_no_guard(fake, image, tmp_path, monkeypatch):
    fake("say('up')")
    started = subprocess.Popen

    def popen(command, *arguments, **options):
        if command[0] == "sh":
            raise FileNotFoundError(errno.ENOENT, "no shell")
        return started(command, *arguments, **options)

    monkeypatch.setattr(subprocess, "Popen", popen)
    assert not run(RunRequest(path=image, expect=["up"])).missing
    assert left_over(tmp_path) == []


class TestLastLine:
    """What the monitor tells comes over a socket that QEMU gets as a chardev."""

    TELL = (
        "number = next(int(one.rpartition('=')[2]) for one in sys.argv if one.startswith('socket,id=imagekit,fd='))",
        "monitor = socket.socket(fileno=number)",
        "monitor.recv(1000)",
        "def tell(event, **data): monitor.sendall(json.dumps({'event': event, 'data': data}).encode() + b'\\r\\n')",
    )

    @pytest.mark.parametrize(
        ("lines", "says"),
        [
            ((*TELL, "tell('SHUTDOWN', guest=True, reason='guest-reset')"), ["a restart ends it here"]),
            ((*TELL, "tell('SHUTDOWN', guest=True, reason='guest-shutdown')"), ["switched the machine off"]),
            ((*TELL, "tell('SHUTDOWN', reason='of tomorrow')"), ["the machine was ended"]),
            ((*TELL, "monitor.sendall(b'[' * 5000 + b'\\n5\\n\\xff\\n{')"), ["the machine was ended"]),
            (
                (
                    *TELL,
                    "tell('BLOCK_IO_ERROR', reason='No space left on device')",
                    "tell('SHUTDOWN', reason='host-ui')",
                ),
                ["disk failed: No space left on device", "the machine's window was closed"],
            ),
            (("sys.stderr.write('one\\ntwo\\n')",), ["one", "two", "the machine was ended"]),
            (("sys.exit(35)",), ["the guest ended the machine with 17"]),
        ],
    )
    def test_says_how_it_ended(self, fake, image, capfd, lines, says):
        fake(*lines)
        run(RunRequest(path=image, console="ttya"), options.note)
        last = capfd.readouterr().err.splitlines()[-len(says) :]
        for line, text in zip(last, says, strict=True):
            assert line.startswith("imagekit: ")
            assert text in line

    @pytest.mark.parametrize("status", [1, 2, 4, 126])
    def test_what_the_exit_port_cannot_give_is_a_failure(self, fake, image, status):
        fake(f"sys.exit({status})")
        with pytest.raises(ImagekitError, match=f"QEMU ended with status {status}"):
            run(RunRequest(path=image, console="ttya"), options.note)

    def test_stands_on_a_line_of_its_own(self, fake, image):
        fake("say('login: ')")
        terminal = Terminal(image, "--console", "ttya")
        assert terminal.end() == 0
        assert "login: \r\nimagekit: the machine was ended" in terminal.shown


def test_a_console_that_no_machine_has_is_not_taken_from_an_image(image, monkeypatch):
    from imagekit.content import Bytes
    from imagekit.run import subject
    from imagekit.tree import File, Tree

    for name, console in (("ttyb", "ttyb"), ("ttyz", None), ("spdif", None)):
        tree = Tree()
        tree.add_parents("boot/loader.conf")
        tree.add(File(path="boot/loader.conf", content=Bytes(f'os_console="{name}"\n'.encode())))
        monkeypatch.setattr(subject.table, "open_tree", lambda _content, tree=tree: tree)
        with subject.opened(image, image.parent) as found:
            assert found.console == console
