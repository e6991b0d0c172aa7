"""`imagekit run`, with a program of our own in QEMU's place: tests/qemu/test_run.py has the real one."""

import gzip
import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.boot.console import DEVICES
from imagekit.cli import options
from imagekit.errors import FormatError, ImagekitError, InputError
from imagekit.run import RunRequest, command, machine, run
from imagekit.run.console import Watch, screen
from imagekit.run.machine import Machine, Network
from imagekit.run.subject import opened


def disk(size=1 << 20):
    """Make what is told to be a disk by its GPT's signature alone."""
    return bytes(512) + b"EFI PART" + bytes(size - 520)


@pytest.fixture
def image(tmp_path):
    path = tmp_path / "a, b.img"
    path.write_bytes(disk())
    return path


@pytest.fixture
def fake(tmp_path, monkeypatch):
    """Return a function that puts a program (lines of Python) in the place of QEMU; its arguments go to a file."""
    folder = tmp_path / "bin"
    folder.mkdir()
    program = folder / "qemu-system-x86_64"
    arguments = tmp_path / "arguments"
    monkeypatch.setenv("PATH", str(folder), prepend=os.pathsep)
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))

    def put(*lines):
        head = [
            f"#!{sys.executable}",
            "import os, sys, time",
            f"open({str(arguments)!r}, 'w').write('\\n'.join(sys.argv[1:]))",
            "def say(text): sys.stdout.write(text); sys.stdout.flush()",
        ]
        program.write_text("\n".join([*head, *lines]) + "\n")
        program.chmod(0o755)
        return arguments

    return put


def left_over(folder):
    return sorted(path.name for path in folder.iterdir() if path.name.startswith("imagekit-run-"))


class TestWatch:
    @given(
        st.lists(st.sampled_from(["login:", "ogin", "\x1b[2J", "\x1b[0;1m", "é", "\r\n", "log", "x"]), max_size=30),
        st.integers(1, 5),
    )
    @settings(max_examples=200, derandomize=True, deadline=None)
    def test_sees_the_same_in_any_pieces(self, parts, step):
        whole = "".join(parts)
        plain = whole.replace("\x1b[2J", "").replace("\x1b[0;1m", "")
        wanted = ["login:", "éx", "x\r\nlog", "g" * 3]
        watched = Watch(wanted)
        data = whole.encode()
        for start in range(0, len(data), step):
            watched.feed(data[start : start + step])
        assert watched.missing == [text for text in wanted if text not in plain]

    def test_text_may_be_coloured_or_placed(self):
        watched = Watch(["boot: ok"])
        watched.feed(b"\x1b]0;title\x07\x1b(B\x1b[1;31mboot\x1b[0m: \x1b[10;20Hok")
        assert watched.missing == []

    def test_an_escape_that_does_not_end_hides_nothing_for_ever(self):
        watched = Watch(["here"])
        watched.feed(b"\x1b]" + b"-" * 300)
        watched.feed(b"here")
        assert watched.missing == []

    def test_last_lines(self):
        watched = Watch(["never"])
        watched.feed(b"".join(b"line %d\r\n" % number for number in range(40)) + b"\r\n\x07half")
        assert watched.last_lines() == [*(f"line {number}" for number in range(30, 40)), "\\x07half"]

    def test_memory_is_bounded(self):
        watched = Watch(["never"])
        for _ in range(50):
            watched.feed(b"x" * 65536)
        assert len(watched._window) <= 5
        assert sum(map(len, watched._lines)) <= 1000


class TestExpect:
    def test_all_seen(self, fake, image, capfdbinary):
        arguments = fake("say('one two')", "say(' three\\r\\n')", "time.sleep(60)")
        outcome = run(RunRequest(path=image, console="ttyb", expect=["two three", "one"]))
        assert outcome.missing == ()
        assert capfdbinary.readouterr().out == b"one two three\r\n"
        given = arguments.read_text().splitlines()
        assert given[given.index("chardev:ttyb") - 2] == "stdio,id=ttyb,signal=off"
        assert given[given.index("chardev:ttya") - 2] == "null,id=ttya"
        assert left_over(image.parent) == []

    def test_time_out(self, fake, image):
        fake("say('only one\\r\\n')", "time.sleep(60)")
        outcome = run(RunRequest(path=image, console="ttya", expect=["one", "two", "three"], timeout=0.7))
        assert list(outcome.lines()) == [
            "imagekit: not seen on ttya: 'two'",
            "imagekit: not seen on ttya: 'three'",
            "imagekit: 0.7 s are over; the last lines:",
            "  only one",
        ]

    def test_the_guest_ends_without_them(self, fake, image):
        fake("say('one')", "sys.exit(39)")
        outcome = run(RunRequest(path=image, console="ttya", expect=["one", "two"]))
        assert (outcome.missing, outcome.reason) == (["two"], "the guest ended the machine with 19")

    def test_the_last_words_count(self, fake, image):
        fake("say('x' * 300000 + 'END')", "sys.exit(39)")
        assert run(RunRequest(path=image, expect=["END"])).missing == ()

    def test_qemu_ends_without_a_word(self, fake, image):
        fake("pass")
        outcome = run(RunRequest(path=image, console="text", expect=["one"]))
        assert "0xe9" in outcome.reason
        assert "nothing came out" in list(outcome.lines())[-1]

    @pytest.mark.parametrize(
        ("message", "hint"),
        [
            ('failed to find romfile "efi-virtio.rom"', "ipxe-qemu"),
            ("cannot set up guest memory 'pc.ram': Cannot allocate memory", "«memory» 1G"),
            ("Could not access KVM kernel module: Permission denied", "«accel» tcg"),
        ],
    )
    def test_qemu_fails(self, fake, image, message, hint):
        fake(f"sys.exit({message!r})")
        with pytest.raises(ImagekitError, match=re.escape(message)) as caught:
            run(RunRequest(path=image, expect=["one"]))
        assert hint in caught.value.hint
        assert left_over(image.parent) == []

    def test_qemu_crashes(self, fake, image):
        fake("os.kill(os.getpid(), 11)")
        with pytest.raises(ImagekitError, match="signal 11"):
            run(RunRequest(path=image, expect=["one"]))


class TestTerminal:
    def test_ports_and_status(self, fake, image, capfd):
        arguments = fake("say('hello')", "sys.exit(35)")
        run(RunRequest(path=image, console="ttyb", more=["-smp", "2"]), options.note)
        out, err = capfd.readouterr()
        assert out == "hello"
        assert "ttyb is on this terminal: Ctrl-A X" in err
        assert "the guest ended the machine with 17" in err
        given = arguments.read_text().splitlines()
        assert given[-2:] == ["-smp", "2"]
        assert "stdio,id=ttyb,mux=on,signal=off" in given
        assert given[given.index("-mon") + 1].startswith("chardev=ttyb")

    def test_text_without_a_display_is_the_debug_port(self, fake, image, capfd, monkeypatch):
        for name in ("DISPLAY", "WAYLAND_DISPLAY"):
            monkeypatch.delenv(name, raising=False)
        arguments = fake("say('hello')")
        run(RunRequest(path=image, console="text"), options.note)
        assert "isa-debugcon,iobase=0xe9,chardev=text" in arguments.read_text().splitlines()
        assert "0xe9" in capfd.readouterr().err

    def test_screen(self):
        assert screen({"DISPLAY": ":0"}, terminal=True) == "window"
        assert screen({"WAYLAND_DISPLAY": "wayland-0"}, terminal=False) == "window"
        assert screen({}, terminal=True) == "curses"
        assert screen({"DISPLAY": ""}, terminal=False) is None


class TestSubject:
    @pytest.mark.parametrize(("kind", "data"), [("usb", disk()), ("cd", bytes(32769) + b"CD001"), ("", b"x" * 40000)])
    @pytest.mark.parametrize("compressed", [False, True])
    def test_told_by_content(self, tmp_path, kind, data, compressed):
        path = tmp_path / "misleading.iso"
        path.write_bytes(gzip.compress(data) if compressed else data)
        folder = tmp_path / "folder"
        folder.mkdir()
        with opened(path, folder) as subject:
            assert subject.kind == kind
            assert subject.path.read_bytes() == data
            assert (subject.path == path) == (not compressed)
        assert list(folder.iterdir()) == []

    def test_a_hybrid_image_is_a_cd(self, tmp_path):
        path = tmp_path / "image"
        path.write_bytes(disk(32769) + b"CD001")
        with opened(path, tmp_path) as subject:
            assert subject.kind == "cd"

    def test_inflated_zeros_are_holes(self, tmp_path):
        path = tmp_path / "image.gz"
        path.write_bytes(gzip.compress(disk(64 << 20), compresslevel=1))
        with opened(path, tmp_path) as subject:
            status = subject.path.stat()
            assert status.st_size == 64 << 20
            assert status.st_blocks * 512 <= 2 << 20

    def test_damaged(self, tmp_path):
        path = tmp_path / "image.gz"
        path.write_bytes(gzip.compress(disk())[:-3])
        folder = tmp_path / "folder"
        folder.mkdir()
        with pytest.raises(FormatError), opened(path, folder):
            pass
        assert list(folder.iterdir()) == []

    @pytest.mark.parametrize("name", ["absent", "pipe"])
    def test_nothing_to_boot(self, tmp_path, name):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(InputError, match="cannot boot"), opened(tmp_path / name, tmp_path):
            pass


class TestMachine:
    def test_nothing_is_written_to(self, image, monkeypatch, tmp_path):
        code, variables = tmp_path / "CODE.fd", tmp_path / "VARS.fd"
        code.touch()
        variables.touch()
        monkeypatch.setattr(machine, "_OVMF", ((str(code), str(variables)),))
        for bus in machine.BUSES:
            given = Machine(firmware="uefi", image=image, bus=bus).command()
            drives = [given[place + 1] for place, one in enumerate(given) if one == "-drive"]
            assert len(drives) == 3
            assert all("snapshot=on" in drive or "readonly=on" in drive for drive in drives)
            assert str(image).replace(",", ",,") in drives[-1]

    def test_no_firmware(self, monkeypatch):
        monkeypatch.setattr(machine, "_OVMF", ())
        with pytest.raises(FileNotFoundError):
            Machine(firmware="uefi").command()

    def test_ports(self):
        given = Machine(ports={"ttyc": "file,path=/x,,y", "firmware": "stdio"}).command()
        assert [given[place - 1] for place, one in enumerate(given) if one == "-serial"] == [
            "null,id=ttya",
            "null,id=ttyb",
            "file,id=ttyc,path=/x,,y",
            "null,id=ttyd",
        ]
        assert "isa-debugcon,iobase=0x402,chardev=firmware" in given
        assert not any("0xe9" in one for one in given)

    def test_network(self):
        given = Machine(network=Network(Path("/a,b"), "smartos.ipxe")).command()
        assert "user,id=n0,tftp=/a,,b,bootfile=smartos.ipxe" in given

    def test_kvm_brings_its_processor(self):
        given = Machine(accelerator="kvm").command()
        assert "-no-reboot" in given
        assert given[given.index("-cpu") + 1] == "host"
        assert "-cpu" not in Machine().command()


class TestChoices:
    def test_accelerator(self, tmp_path):
        device, absent = tmp_path / "kvm", tmp_path / "absent"
        device.touch()
        real, virtual = tmp_path / "real", tmp_path / "virtual"
        real.write_text("flags\t\t: fpu vmx hypervisory\n")
        virtual.write_text("flags\t\t: fpu vmx hypervisor lahf_lm\n")
        choose = command.accelerator
        assert choose("auto", kvm=device, processors=real) == "kvm"
        assert choose("auto", kvm=device, processors=virtual) == "tcg"
        assert choose("auto", kvm=absent, processors=real) == "tcg"
        assert choose("auto", kvm=device, processors=absent) == "tcg"
        assert choose("kvm", kvm=absent, processors=virtual) == "kvm"

    def test_memory(self, monkeypatch):
        said = []
        pages = {"SC_PAGE_SIZE": 4096, "SC_PHYS_PAGES": (64 << 30) // 4096}
        monkeypatch.setattr("os.sysconf", pages.__getitem__)
        assert command._memory(None, said.append) == 4 << 30
        assert command._memory(77, said.append) == 77
        assert said == []
        pages["SC_PHYS_PAGES"] = (2 << 30) // 4096
        assert command._memory(None, said.append) == 3 << 29
        assert "1,536 MiB" in said.pop()
        assert command._memory(8 << 30, said.append) == 8 << 30
        pages["SC_PHYS_PAGES"] = (80 << 20) // 4096
        assert command._memory(None, said.append) == 64 << 20  # less would boot nothing

    def test_how_each_thing_is_attached(self, fake, image, tmp_path):
        arguments = fake("say('END')")
        folder = tmp_path / "pxe"
        folder.mkdir()
        (folder / "smartos.ipxe").write_text("#!ipxe\n")
        cd = tmp_path / "cd"
        cd.write_bytes(bytes(32769) + b"CD001")
        for path, attach, device in [
            (image, None, "usb-storage,drive=d0,bootindex=0"),
            (image, "disk", "ide-hd,drive=d0,bus=ide.0,bootindex=0"),
            (image, "cd", "ide-cd,drive=d0,bus=ide.0,bootindex=0"),
            (cd, None, "ide-cd,drive=d0,bus=ide.0,bootindex=0"),
            (cd, "usb", "usb-storage,drive=d0,bootindex=0"),
            (folder, None, "virtio-net-pci,netdev=n0,bootindex=0"),
        ]:
            run(RunRequest(path=path, attach=attach, expect=["END"]))
            assert device in arguments.read_text().splitlines()

    def test_pxe_directory(self, fake, tmp_path):
        arguments = fake("say('END')")
        folder = tmp_path / "pxe"
        (folder / "boot").mkdir(parents=True)
        (folder / "smartos.ipxe").write_text("#!ipxe\n")
        kernel, archive = (
            {"path": f"os/20261122T000000Z/platform/i86pc/{path}", "size": 1, "sha256": "0" * 64}
            for path in ("kernel/amd64/unix", "amd64/boot_archive")
        )
        platform = {"stamp": "20261122T000000Z", "kernel": kernel, "boot_archive": archive, "boot_archive_hash": None}
        index = {"format": 1, "layout": "smartos", "url": "", "default": None, "console": "ttyb:9600"}
        index |= {"platforms": [platform], "scripts": [], "loader": []}
        for text, console in [
            (json.dumps(index), "ttyb"),
            (json.dumps({**index, "console": "no such"}), "ttya"),
            ("[" * 100_000, "ttya"),
            ("5", "ttya"),
            ("", "ttya"),
        ]:
            (folder / "index.json").write_text(text)
            assert run(RunRequest(path=folder, expect=["END"])).console == console
        assert "user,id=n0,tftp=" + str(folder) + ",bootfile=smartos.ipxe" in arguments.read_text().splitlines()
        if machine.ovmf():
            for bootfile, offered in [
                (None, r"http://10\.0\.2\.2:\d+/smartos\.ipxe"),
                ("smartos.ipxe", "smartos.ipxe"),
            ]:
                run(RunRequest(path=folder, firmware="uefi", bootfile=bootfile, expect=["END"]))
                assert re.search(f"bootfile={offered}\n", arguments.read_text())

    def test_what_cannot_be(self, fake, image, tmp_path, monkeypatch):
        fake("say('END')")
        folder = tmp_path / "pxe"
        folder.mkdir()
        (folder / "other.ipxe").write_text("#!ipxe\n")
        unknown = tmp_path / "unknown"
        unknown.write_bytes(b"x" * 4000)
        for request, text, hint in [
            (RunRequest(path=unknown), "neither a disk", "«as» usb"),
            (RunRequest(path=image, attach="pxe"), "needs a folder", None),
            (RunRequest(path=folder, attach="usb"), "needs an image", None),
            (RunRequest(path=folder), "no smartos.ipxe", "«bootfile»: other.ipxe"),
            (RunRequest(path=image, memory=4), "4 bytes", "64M"),
        ]:
            with pytest.raises(InputError, match=text) as caught:
                run(request)
            assert hint is None or hint in caught.value.hint
        monkeypatch.setattr(machine, "_OVMF", ())
        with pytest.raises(InputError, match="OVMF") as caught:
            run(RunRequest(path=image, firmware="uefi"))
        assert "ovmf" in caught.value.hint
        monkeypatch.setenv("PATH", str(tmp_path))
        with pytest.raises(InputError, match="not installed") as caught:
            run(RunRequest(path=image))
        assert "qemu-system-x86" in caught.value.hint


class TestCommandLine:
    def start(self, *arguments):
        return subprocess.Popen(
            [sys.executable, "-m", "imagekit", "run", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def test_statuses(self, fake, image):
        fake("say('one')", "sys.exit(39)")
        for arguments, status, text in [
            (["--expect", "one"], 0, ""),
            (["--expect", "two"], 1, "not seen on ttya: 'two'"),
            (["--timeout", "3"], 2, "--timeout needs"),
            (["other.img"], 2, "go behind --"),
            (["--console", "ttyz"], 2, "ttyz"),
        ]:
            process = self.start(image, *arguments)
            _, err = process.communicate()
            assert process.returncode == status
            assert text in err
            assert "Traceback" not in err

    def test_ended_from_outside(self, fake, image, tmp_path):
        fake(f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))", "say('up\\n')", "time.sleep(600)")
        packed = tmp_path / "image.gz"
        packed.write_bytes(gzip.compress(image.read_bytes()))
        process = self.start(packed, "--expect", "never")
        assert process.stdout.readline() == "up\n"
        assert left_over(tmp_path) != []
        process.send_signal(signal.SIGTERM)
        _, err = process.communicate()
        assert process.returncode == 130
        assert "Traceback" not in err
        assert left_over(tmp_path) == []
        with pytest.raises(ProcessLookupError):
            os.kill(int((tmp_path / "pid").read_text()), 0)


def test_consoles_are_those_of_the_machine():
    for device in DEVICES:
        Machine(ports={device: "stdio"}).command()
