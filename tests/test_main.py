"""The program as it is called: bad calls, standard streams, interrupts, locales."""

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from imagekit.platform.demo import make_demo
from kit import workspace
from kit.command import IMAGEKIT, imagekit

LONG = "n" * 256
DIGITS = "9" * 5000


def everything(folder):
    """Return all that is in a folder, but for the logs of its builds: names, kinds and contents."""
    return {
        path: path.readlink() if path.is_symlink() else path.read_bytes() if path.is_file() else None
        for path in folder.rglob("*")
        if path.relative_to(folder).parts[0] != "log"
    }


@pytest.fixture(scope="module")
def demo(tmp_path_factory):
    return make_demo(tmp_path_factory.mktemp("main") / "demo")


def with_accounts(proto):
    """Make a proto area that has nothing but accounts and usr."""
    for name in ("etc", "usr"):
        (proto / name).mkdir(parents=True)
    (proto / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\n")
    (proto / "etc/group").write_text("root::0:\nsys::3:\n")
    return proto


# Bad calls: what is wrong in itself is wrong usage (2), what is wrong on the disk is a failure (1)


@pytest.fixture(scope="module")
def bad_place(tmp_path_factory):
    """Make a workspace among places where nothing can be read or written by whoever is not root."""
    folder = tmp_path_factory.mktemp("bad")
    workspace.make(folder)
    for name in ("m", "file"):
        (folder / name).write_text("d usr 0755 root sys\n")
    with_accounts(folder / "proto")
    (folder / "closed").mkdir(mode=0)
    (folder / "full").mkdir(mode=0o555)
    (folder / "loop").symlink_to("loop")
    return folder


@pytest.fixture(scope="module")
def plain_user(bad_place):
    """Return how to call imagekit without root's power to read and write everything."""
    del bad_place
    if os.geteuid():
        return IMAGEKIT
    without = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")
    try:
        subprocess.run([*without, "true"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        pytest.skip("root needs setpriv here, to do without root's power")
    return (*without, *IMAGEKIT)


TAR = "tar -m m -p proto -o"
FAILURES = [
    ("usb -r closed/r", "closed/r: cannot look there: Permission denied"),
    ("iso -o closed/x.iso", "closed/x.iso: cannot look there: Permission denied"),
    ("usb --module closed/x", "closed/x: Permission denied"),
    ("usb --platform closed/p", "closed/p: cannot look there: Permission denied"),
    ("usb --boot closed/p", "closed/p: cannot look there: Permission denied"),
    ("usb --answers closed/a", "closed/a: cannot look there: Permission denied"),
    ("verify -m closed/m -p output", "closed/m: cannot look there: Permission denied"),
    ("verify -m m -p closed/p", "closed/p: cannot look there: Permission denied"),
    ("verify -m closed -p output", "closed: cannot read the folder: Permission denied"),
    ("manifest combine closed/m", "closed/m: cannot look there: Permission denied"),
    ("manifest combine m -o closed/out", "closed/out: cannot look there: Permission denied"),
    ("manifest combine m -o full/out", "full/out: cannot write: Permission denied"),
    ("manifest from-tree closed", "closed: cannot read the folder: Permission denied"),
    ("manifest diff m closed/m", "closed/m: cannot look there: Permission denied"),
    ("platform --config closed/c", "closed/c: cannot look there: Permission denied"),
    ("pxe -o closed/x", "closed/x: cannot look there: Permission denied"),
    ("pxe -o full/x", "full/x: cannot write: Permission denied"),
    ("demo closed/x", "closed/x: cannot look there: Permission denied"),
    ("demo full/x", "full: cannot write: Permission denied"),
    ("demo file/x", "file: cannot write: Not a directory"),
    ("serve closed/x", "closed/x: cannot look there: Permission denied"),
    ("run closed/x", "closed/x: cannot look there: Permission denied"),
    ("usb -r loop", "loop: cannot look there: Too many levels of symbolic links"),
    (f"{TAR} loop", "loop: cannot look there: Too many levels of symbolic links"),
    (f"usb -r {LONG}", f"{LONG}: cannot look there: File name too long"),
    (f"iso -o {LONG}", f"{LONG}: cannot look there: File name too long"),
    (f"iso -o new/{LONG}", f"new/{LONG}: cannot write: File name too long"),
    (f"usb --platform {LONG}", f"{LONG}: cannot look there: File name too long"),
    (f"usb --module {LONG}", f"{LONG}: File name too long"),
    ("iso -o full/x.iso", "full/x.iso: cannot write: Permission denied"),
    ("iso -o file/x.iso", "file/x.iso: cannot write: Not a directory"),
    ("iso -o output", "output: found a folder, expected a file"),
    (f"{TAR} full/x.tar", "full/x.tar: cannot write: Permission denied"),
    ("usb -r missing", "missing: no platform here"),
    ("usb -r file", "file: found a file, expected a folder"),
    ("platform -o file", "file: found a file, expected a folder"),
    ("pxe -o file", "file: found a file, expected a folder"),
    ("serve file", "file: found a file, expected a folder"),
    ("serve missing", "missing: no such folder"),
    ("usb --size 1M", "does not fit"),
]
WRONG_USAGE = [
    ("usb --size 1000000001", "1,000,000,001 bytes are not whole sectors; give a multiple of 512"),
    (f"usb --size {DIGITS}", "is not a size"),
    (f"run --memory {DIGITS} x", "is not a size"),
    ("run --memory 32M x", "33,554,432 bytes are too few; the least is 67,108,864"),
    (f"usb -c ttya:{DIGITS}", "is no speed of a serial port"),
    (f"platform --root-size {DIGITS}", "--root-size"),
    (f"serve --port {DIGITS} .", "--port"),
    (f"run --timeout {'x' * 5000} file", "--timeout"),
    ("usb --module ", "'' names no file"),
    ("usb --module :name", "':name' names no file"),
    ("iso --volume-id smartos", "not a volume id: 'smartos'"),
    ("manifest from-tree . --owner root", "expected USER:GROUP"),
    ("platform --root-password ", "at least one character"),
    ("usb --stamp x", "No such option"),
    ("usb -o -", "this cannot go to standard output; a file of that name would be ./-"),
    ("iso -o -", "this cannot go to standard output"),
    ("tar -m m -p output -o -", "this cannot go to standard output"),
    ("platform -o -", "this cannot go to standard output"),
    ("boot -o -", "this cannot go to standard output"),
    ("pxe -o -", "this cannot go to standard output"),
    *((f"usb {option} ", "the name is empty") for option in ("-r", "-o", "--platform", "--boot", "--answers")),
    ("verify -m ", "the name is empty"),
    ("verify -p ", "the name is empty"),
    ("demo ", "the name is empty"),
]


def name_of(value):
    return re.sub(r"(.)\1{50,}", r"\1...", value) if isinstance(value, str) else str(value)


@pytest.mark.parametrize(
    ("status", "call", "says"), [(1, *row) for row in FAILURES] + [(2, *row) for row in WRONG_USAGE], ids=name_of
)
def test_bad_calls(bad_place, plain_user, status, call, says):
    before = everything(bad_place)
    done = imagekit(*call.split(" "), cwd=bad_place, program=plain_user)
    assert done.returncode == status, done.stderr
    assert done.stdout == ""
    assert says in re.sub(r"\s+", " ", done.stderr)
    if status == 1:
        assert re.match(r"imagekit: .+\n(  hint: .+\n)?\Z", re.sub(r"imagekit: warning: .*\n", "", done.stderr))
    else:
        assert done.stderr.startswith("Usage: imagekit")
    assert everything(bad_place) == before


OUTPUTS = ["iso -o {}", "usb -o {}", "usb -o {} --no-compress", f"{TAR} {{}}", "pxe -o {}", "boot -r demo -o {}"]


@pytest.mark.parametrize("place", ["full/x", "file/x", "full/x/y", f"new/{LONG}"], ids=name_of)
@pytest.mark.parametrize("call", OUTPUTS)
def test_a_dry_run_says_what_the_run_would_say(bad_place, plain_user, call, place):
    before = everything(bad_place)
    runs = [imagekit(*call.format(place).split(), *more, cwd=bad_place, program=plain_user) for more in ([], ["-n"])]
    said = [run.stderr.splitlines()[-1:] for run in runs]
    assert [run.returncode for run in runs] == [1, 1], said
    assert "Traceback" not in runs[1].stderr
    assert said[0] == said[1]
    assert everything(bad_place) == before


@pytest.mark.parametrize("place", ["full/out", "file/out", "full/out/deep"])
@pytest.mark.parametrize("verb", ["platform", "boot"])
def test_a_platform_where_nothing_can_be_written(demo, bad_place, plain_user, verb, place):
    before = everything(bad_place), everything(demo)
    done = imagekit(verb, "-r", demo, "-o", place, cwd=bad_place, program=plain_user)
    assert done.returncode == 1, done.stderr
    reason = "Not a directory" if "file" in place else "Permission denied"
    assert re.search(f"^imagekit: .*/?{place}.*: cannot write: {reason}$", done.stderr, re.MULTILINE), done.stderr
    assert "Traceback" not in done.stderr
    assert (everything(bad_place), everything(demo)) == before


# Standard streams


def test_a_reader_that_has_seen_enough_is_no_error(tmp_path):
    (tmp_path / "m").write_text("".join(f"d usr/{number:06} 0755 root sys\n" for number in range(20_000)))
    for call in (["manifest", "combine", "m"], ["manifest", "ls", "-m", "m", "-R"], ["--help"]):
        reader, writer = os.pipe()
        os.close(reader)
        with os.fdopen(writer, "w") as stdout:
            done = imagekit(*call, cwd=tmp_path, stdout=stdout)
        assert done.stderr == "", call
        assert done.returncode == 1, call


@pytest.mark.parametrize("call", ["manifest combine m", "manifest lint m --json", "manifest ls -m m", "usb -n", "-V"])
def test_standard_output_is_full(bad_place, call):
    with Path("/dev/full").open("w") as stdout:
        done = imagekit(*call.split(), cwd=bad_place, stdout=stdout)
    what = "" if call == "-V" else "standard output: cannot write: "
    assert re.sub("imagekit: warning: .*\n", "", done.stderr) == f"imagekit: {what}No space left on device\n"
    assert done.returncode == 1


def closed(*descriptors):
    """Return a program that calls imagekit with these descriptors closed."""
    redirections = "".join(f" {number}>&-" for number in descriptors)
    return ("sh", "-c", f'exec "$@"{redirections}', "sh", *IMAGEKIT)


def test_standard_streams_that_are_closed(bad_place):
    before = everything(bad_place)
    done = imagekit("manifest", "combine", "-", cwd=bad_place, program=closed(0))
    assert (done.returncode, done.stderr) == (1, "imagekit: -: cannot read the manifest: Bad file descriptor\n")
    done = imagekit("manifest", "combine", "m", cwd=bad_place, program=closed(1))
    assert (done.returncode, done.stderr) == (1, "imagekit: standard output: cannot write: Bad file descriptor\n")
    done = imagekit("manifest", "combine", "none", cwd=bad_place, program=closed(2))
    assert (done.returncode, done.stdout) == (1, "")
    done = imagekit("manifest", "combine", "m", cwd=bad_place, program=closed(0, 2))
    assert (done.returncode, done.stdout) == (0, "d usr 0755 root sys\n")
    assert everything(bad_place) == before


def test_no_output_gets_the_number_of_a_closed_stream(tmp_path):
    (tmp_path / "m").write_text("d usr 0755 root sys\n")
    for descriptors in ((0,), (0, 1), (0, 1, 2), (2,)):
        done = imagekit("manifest", "combine", "m", "m", "-o", "out", cwd=tmp_path, program=closed(*descriptors))
        assert done.returncode == 0
        assert (tmp_path / "out").read_text() == "d usr 0755 root sys\n"


def test_a_manifest_goes_to_standard_output(tmp_path):
    (tmp_path / "m").write_text("d usr 0755 root sys\n")
    (tmp_path / "tree/usr").mkdir(parents=True)
    for call in (["combine", "m"], ["from-tree", "tree", "--owner", "root:sys"]):
        assert imagekit("manifest", *call, "-o", "-", cwd=tmp_path).stdout == "d usr 0755 root sys\n"
        assert not (tmp_path / "-").exists()
        assert imagekit("manifest", *call, "-o", "./-", cwd=tmp_path).stdout == ""
        assert (tmp_path / "-").read_text() == "d usr 0755 root sys\n"
        (tmp_path / "-").rename(tmp_path / "m")
    (tmp_path / "m").rename(tmp_path / "-")
    assert imagekit("manifest", "combine", "./-", cwd=tmp_path).stdout == "d usr 0755 root sys\n"


def test_products_are_named_whatever_their_names(tmp_path):
    (tmp_path / "m").write_text("d usr 0755 root sys\n")
    with_accounts(tmp_path / "p")
    name = os.fsdecode(b"caf\xe9.tar")
    for more in ([], ["-n"]):
        done = imagekit("tar", "-m", "m", "-p", "p", "-o", name, *more, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert name in done.stdout


# Interrupts

INTERRUPTED = """
import pathlib, signal, sys, time
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)  # whatever the tests' own caller ignores
import imagekit.__main__ as program, imagekit.cli as cli
from imagekit.files.output import Outputs
def main(**_):
    if sys.argv[1:]:
        with Outputs() as outputs:
            outputs.file(pathlib.Path(sys.argv[1])).write(b"whole")
    with Outputs() as outputs:
        outputs.file(pathlib.Path("new/out")).write(b"half")
        folder = outputs.folder(pathlib.Path("folder"))
        for number in range(3000):
            place = folder.place / str(number // 100)
            place.mkdir(exist_ok=True)
            (place / str(number)).touch()
        outputs.scratch(pathlib.Path("scratch"))
        print("ready", flush=True)
        while True:  # a signal just before a sleep is seen behind it
            time.sleep(0.01)
cli.commands.main = main
sys.exit(program.main())
"""


def interrupted(folder, code, *arguments, signals, pause=0.0):
    """Run a program, send it the signals when it is ready; return its status and what it said."""
    with subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout.readline() == "ready\n"
        for number in signals:
            process.send_signal(number)
            time.sleep(pause)
        _, said = process.communicate()
    return process.returncode, said


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_an_interrupted_run_leaves_nothing(tmp_path, number):
    assert interrupted(tmp_path, INTERRUPTED, signals=[number]) == (
        130,
        "imagekit: interrupted; nothing was left behind\n",
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("pause", [0, 0.001, 0.005, 0.02])
def test_more_signals_do_not_disturb_the_cleaning(tmp_path, pause):
    signals = [signal.SIGINT, signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGTERM, signal.SIGINT] * 2
    assert interrupted(tmp_path, INTERRUPTED, signals=signals, pause=pause) == (
        130,
        "imagekit: interrupted; nothing was left behind\n",
    )
    assert list(tmp_path.iterdir()) == []


def test_what_was_complete_before_an_interrupt_is_named(tmp_path):
    status, said = interrupted(tmp_path, INTERRUPTED, "first", signals=[signal.SIGTERM])
    assert (status, said) == (130, f"imagekit: interrupted, when this was complete: {tmp_path.resolve()}/first\n")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == {"first": b"whole"}


def test_what_cannot_be_removed_is_named(tmp_path):
    code = INTERRUPTED.replace(
        "def main", "import imagekit.files.output as o\no.remove = lambda path: [path]\ndef main"
    )
    status, said = interrupted(tmp_path, code, signals=[signal.SIGINT])
    assert status == 130
    assert said.splitlines()[-1] == "imagekit: interrupted"
    named = {tmp_path / line.split(": ")[1] for line in said.splitlines()[:-1] if line.endswith(": cannot be removed")}
    assert named == set(tmp_path.rglob("*.partial"))
    assert len(named) == 3


def test_an_interrupt_where_no_cleaning_has_begun(tmp_path):
    """One that comes when the block of the outputs is being left, before any of its lines."""
    code = INTERRUPTED.replace(
        "def main",
        "def leave(self, *_):\n    signal.raise_signal(signal.SIGINT)\nOutputs.__exit__ = leave\ndef main",
    ).replace("while True:", "if False:")
    assert interrupted(tmp_path, code, signals=[]) == (130, "imagekit: interrupted; nothing was left behind\n")
    assert list(tmp_path.iterdir()) == []


SLOW = """
import sys, threading, time
import imagekit.__main__ as program
from imagekit.platform import assemble
def slow(*arguments, **options):
    print("ready", flush=True)
    while True:  # a signal just before a sleep is seen behind it
        time.sleep(0.01)
setattr(assemble, sys.argv.pop(1), slow)
sys.exit(program.main())
"""


@pytest.mark.parametrize("where", ["_compressed_usr", "_final_images", "write_product", "_platform_tree"])
def test_a_platform_that_is_terminated_leaves_nothing(demo, where):
    before = everything(demo)
    arguments = ["platform", "-r", demo, "--root-password", "x"]
    status, said = interrupted(demo, SLOW, where, *arguments, signals=[signal.SIGTERM, signal.SIGTERM])
    assert status == 130
    assert said.endswith("imagekit: interrupted; nothing was left behind\n")
    assert everything(demo) == before


# Locales


@pytest.fixture(scope="module")
def latin1(tmp_path_factory, need):
    """Return the environment of a locale whose encoding is ISO 8859-1."""
    need("localedef")
    folder = tmp_path_factory.mktemp("locale")
    made = subprocess.run(
        ["localedef", "-i", "en_US", "-f", "ISO-8859-1", folder / "en_US.ISO-8859-1"], capture_output=True, check=False
    )
    if made.returncode:
        pytest.skip("needs the sources of locales, to make one that is not UTF-8 (Debian: apt-get install locales)")
    decisive = ("LC_", "LANG", "PYTHONUTF8", "PYTHONIOENCODING", "PYTHONCOERCECLOCALE")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(decisive)}
    environment = {**kept, "LOCPATH": str(folder), "LC_ALL": "en_US.ISO-8859-1"}
    ask = [sys.executable, "-c", "import sys; print(sys.getfilesystemencoding())"]
    assert subprocess.run(ask, env=environment, capture_output=True, text=True, check=True).stdout == "iso8859-1\n"
    return environment


@pytest.mark.parametrize("program", ["module", "script"])
def test_the_locale_changes_no_bytes(tmp_path, latin1, program):
    name = "caf\u00e9-\u65e5\u672c"
    tree = with_accounts(tmp_path / "tree")
    for folder in (name, os.fsdecode(b"not-utf8-\xe9")):
        (tree / folder).mkdir()
    (tmp_path / "m").write_text(f"d {name} 0755 root sys\n", encoding="utf-8")
    script = tmp_path / "imagekit"  # what pip makes
    script.write_text(f"#!{sys.executable}\nimport sys\nfrom imagekit.__main__ import main\nsys.exit(main())\n")
    script.chmod(0o755)
    command = IMAGEKIT if program == "module" else (script,)
    results = []
    for environment in (latin1, {**latin1, "LC_ALL": "C.UTF-8"}, {**latin1, "LC_ALL": "C", "PYTHONUTF8": "0"}):
        outputs = {}
        for call in (
            ["manifest", "from-tree", "tree"],
            ["manifest", "ls", "-m", "m", "--json"],
            ["tar", "-m", "m", "-p", "tree", "-o", f"{name}.tar"],
        ):
            done = imagekit(*call, cwd=tmp_path, program=command, env=environment)
            assert done.returncode == 0, done.stderr
            outputs[call[1]] = re.sub(r"[\d.]+ s\n", "", done.stdout)
        outputs["bytes"] = (tmp_path / f"{name}.tar").read_bytes()
        results.append(outputs)
    assert results[0] == results[1] == results[2]
    assert name in results[0]["from-tree"]
    assert name in results[0]["-m"]


def test_a_locale_costs_one_more_start_and_no_loop(tmp_path, latin1):
    code = "import sys, imagekit.__main__ as p; print(*sys.orig_argv[1:3], flush=True); sys.exit(p.main())"
    done = imagekit("-V", cwd=tmp_path, program=(sys.executable, "-B", "-c", code), env=latin1)
    assert done.stdout.splitlines()[:2] == ["-B -c", "-X utf8"]
    assert len(done.stdout.splitlines()) == 3
    assert (done.returncode, done.stderr) == (0, "")
