"""loader.conf as the illumos loader reads it: what it takes, what it loses, and what is said of that."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from imagekit.boot.console import Console
from imagekit.boot.kernel_arguments import parse_properties
from imagekit.boot.loader_conf import (
    KEPT_BACK,
    MODULE_ENDINGS,
    is_kept_back,
    loader_conf,
    property_problem,
)
from imagekit.boot.loader_reading import LoaderReading, read_loader_files
from imagekit.boot.loader_warnings import loader_warnings
from imagekit.boot.places import DEFAULTS, LOADER_CONF, LOCAL, TRANSIENT
from imagekit.errors import InputError
from kit.loader_model import FILES, Loader, at_the_border


def whole(reading):
    """Return what a reading knows, in the model's terms."""
    of_modules = {name: one.value for name, one in reading.settings.items() if name.endswith(MODULE_ENDINGS)}
    own = ("exec", "verbose_loading")
    rest = {name: one.value for name, one in reading.settings.items() if name not in of_modules and name not in own}
    return rest, of_modules


@given(FILES)
@example(["a=b\nbad line\nc=d\n", "e=f\n"])
@example([f"# {'x' * 76}\n\nbad\n" + "y=z\n" * 30, "e=f\n", "g=h\n"])
@example(["bad", "e=f\n"])
def test_files_are_read_as_the_loader_reads_them(texts):
    """Reader and model agree on every file: variables, modules, files with an error."""
    check(texts)


def check(texts):
    loader, reading = Loader(), LoaderReading()
    for number, text in enumerate(texts):
        loader.load(f"f{number}", text.encode("latin-1"))
        reading.read(f"f{number}", text.encode("latin-1"))
    rest, of_modules = whole(reading)
    # The loader keeps the single quotes of a module's variable, and its command `load` takes them off.
    modules = {name: v if v[:1] != "'" or name.endswith("_load") else v[1:-1] for name, v in loader.modules.items()}
    assert of_modules == modules
    assert {"ISADIR": "amd64", **rest} == loader.environment
    assert {fault.file for fault in reading.faults} | {name for one in reading.faults for name in one.lost} == {
        name for name, _ in loader.errors
    }


def test_where_the_loader_reads_on():
    """It depends on 80 bytes what is left of a wrong file, and so what becomes of the next ones."""
    for length in range(170):
        check(at_the_border(length))


NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{0,12}", fullmatch=True)
VALUES = st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=30)


@given(st.lists(st.tuples(NAMES, VALUES), max_size=4))
@example([("root_shadow", "$5$a$b"), ("hostname", "a")])
@example([("a", "x" * 1100), ("b", "c")])
@example([("kernel_name", "a"), ("exec", "b")])
def test_what_is_accepted_comes_out_of_the_loader_as_it_was(pairs):
    """Everything that -B accepts stands in loader.conf so that the loader knows it, and loses nothing behind it."""
    accepted = []
    for name, value in pairs:
        try:
            found = parse_properties(f"{name}={value}")
        except InputError:
            continue
        accepted += [(one.name, one.value) for one in found if not property_problem(one.name, one.value)]
    loader = Loader()
    loader.load("f", loader_conf(Console("ttyb"), [*accepted, ("last", "line")]))
    assert loader.errors == []
    assert loader.environment["last"] == "line"
    expected = dict(accepted)
    assert {name: loader.environment[name] for name in expected} == expected


def reading_of(files, snippets=()):
    files = {path: text.encode("latin-1") for path, text in files.items()}
    return read_loader_files(files.get, snippets)


def warnings_of(text, console="ttyb"):
    return list(loader_warnings(reading_of({LOCAL: text}), Console.parse(console)))


def test_unquoted_values():
    text = (
        "my_driver_load=YES\nmy_driver_type=file\nmy_driver_name=/boot/bootfs/kernel/drv/my.conf\n"
        'my_driver_flags="name=/kernel/drv/my.conf"\nos_console="ttyc"\n'
    )
    (warning,) = warnings_of(text)
    assert warning.startswith(f'{LOCAL}:5: os_console="ttyc", but «console» chooses ttyb')
    assert warnings_of("autoboot_delay=-1\n") == []
    assert warnings_of("a=:b\n") == []


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('\xef\xbb\xbfx="1"', "a byte order mark (save the file as plain UTF-8)"),
        ("\xff\xfex\0=\0", "UTF-16"),
        ("<<<<<<< ours", "a marker of an unfinished merge"),
        ("=======", "a marker of an unfinished merge"),
        ('a="b"\r', "a carriage return"),
        ('a="b', "the closing quote is missing"),
        ('a="b" c', "text behind the value"),
        ("a b=c", "no = behind the name"),
        ("a=", "no value behind the ="),
        ("a=%", "put the value in quotes"),
        ("1=a", "a name begins with a letter"),
        ('root_shadow="$5$x$y"', "a $ in double quotes"),
        ('a="it\'s"', "a quote within the value"),
        ('a="b\\"c"', "a quote within the value"),
        (f"a='{'b' * 1022}'", "more than 1,023 bytes"),
    ],
)
def test_errors_are_named(line, reason):
    (warning,) = warnings_of(f'{line}\nos_console="ttya"\n')
    assert warning.startswith(f"{LOCAL}:1: ")
    assert reason in warning
    assert warning.endswith(": the loader ignores the rest of the file")


def test_what_comes_before_an_error_counts_and_its_line_is_named():
    first, second = warnings_of('\n# x\nos_console="ttya"\n\nb="c\nos_console="ttyb"\n')
    assert first.startswith(f"{LOCAL}:5: ")
    assert 'os_console="ttya"' in second


def test_later_files_are_lost_with_what_is_left_in_the_buffer():
    """The loader's buffer keeps the wrong line, and every later file begins with it."""
    files = {LOCAL: "bad line\n", "boot/conf.d/a": 'os_console="ttya"\n', TRANSIENT: 'os_console="ttya"\n'}
    reading = reading_of(files, ["boot/conf.d/a"])
    (fault,) = reading.faults
    assert fault.lost == ["boot/conf.d/a", TRANSIENT]
    assert str(fault).endswith(f"the loader ignores the rest of the file, and all of boot/conf.d/a, {TRANSIENT}")


def test_a_wrong_snippet_is_told_once():
    """The loader reads the snippets behind its defaults and behind the files that those name."""
    files = {
        DEFAULTS: 'loader_conf_files="/boot/loader.conf"\n',
        "boot/conf.d/a": "bad line\n",
        "boot/conf.d/b": "x=1\n",
    }
    (fault,) = reading_of(files, ["boot/conf.d/a", "boot/conf.d/b"]).faults
    assert (fault.file, fault.lost) == ("boot/conf.d/a", ["boot/conf.d/b"])


def test_later_files_are_read_when_the_error_ends_its_file():
    """At the end of a file the buffer is empty."""
    reading = reading_of({LOCAL: "bad line", TRANSIENT: 'os_console="ttya"\n'})
    assert [fault.lost for fault in reading.faults] == [[]]
    assert reading.value("os_console") == "ttya"


def test_files_that_the_defaults_name_are_read_and_later_ones_win():
    files = {
        DEFAULTS: 'loader_conf_files="/boot/x /boot/loader.conf.local"\n',
        "boot/x": "a=1\nb=1\n",
        LOCAL: 'b=2\nc=2\nloader_conf_files="/boot/y"\n',
        "boot/y": "d=4\n",
        LOADER_CONF: "e=5\n",
        "boot/conf.d/z": "c=3\n",
    }
    reading = reading_of(files, ["boot/conf.d/z"])
    assert [reading.value(name) for name in "abcde"] == ["1", "2", "3", "4", None]


def test_files_that_name_each_other():
    """The loader would read on until its memory is full."""
    reading = reading_of({LOCAL: 'loader_conf_files="/boot/y"\n', "boot/y": f'#\nloader_conf_files="{LOCAL}"\n'})
    assert [str(fault).partition(": the")[0] for fault in reading.faults] == [
        "boot/y:2: files that name each other without an end"
    ]


@pytest.mark.parametrize(
    ("text", "console", "expected"),
    [
        ('os_console="ttyb,text"\n', "ttyb", []),
        ('os_console="ttya,text"\n', "ttyb", ['os_console="ttya,text", but «console» chooses ttyb']),
        ('os_console="text ttyb"\n', "ttyb", ['os_console="text ttyb", but «console» chooses ttyb']),
        ('os_console="ttya,text"\nconsole="text, ttyb"\n', "ttya", ['console="text, ttyb" lacks ttya']),
        ('console="text ttyb"\n', "ttyb", []),
        ("x_load='YES'\n", "ttyb", ["in single quotes the loader does not know YES"]),
        ("x_load=\"YES\"\nx_name='/a'\n", "ttyb", []),
        ("root_shadow='secret'\n", "ttyb", ["root_shadow is no hash of a password"]),
        ("root_shadow='$5$x$y'\n", "ttyb", []),
    ],
)
def test_what_is_warned_of(text, console, expected):
    found = warnings_of(text, console)
    assert len(found) == len(expected)
    assert all(part in line for part, line in zip(expected, found, strict=True))


def test_kept_lines_of_loader_conf_are_looked_at_as_those_of_other_files():
    reading = reading_of({LOADER_CONF: 'console="nonsense"\nttyb-mode="9600"\nroot_shadow="secret"\n'})
    assert [line.partition(": ")[0] for line in loader_warnings(reading, Console())] == [
        f"{LOADER_CONF}:{number}" for number in (1, 2, 3)
    ]


@pytest.mark.parametrize(
    ("kept", "says"),
    [
        ("", []),
        ('boot_archive_load="NO"', [f"{LOADER_CONF}:1"]),
        ('boot_archive_load="yes"', []),
        ('boot_archive_load="NO"\nown_type="rootfs"\nown_load="YES"', []),
        ('boot_archive_load="NO"\nown_type="rootfs"\nown_load="NO"', [f"{LOADER_CONF}:1"]),
        ('boot_archive.hash_load="NO"', []),
    ],
)
def test_a_medium_that_loads_no_boot_archive_is_warned_of(kept, says):
    defaults = 'boot_archive_load="YES"\nboot_archive_type="rootfs"\n'
    found = loader_warnings(reading_of({DEFAULTS: defaults, LOADER_CONF: kept}), Console())
    assert [line.partition(": no boot archive is loaded")[0] for line in found] == says


def test_names_that_do_not_get_through():
    assert all(is_kept_back(f"{name}x") for name in KEPT_BACK)
    assert not is_kept_back("hostname")
    assert property_problem("hostname", "a") is None
    assert "for itself" in property_problem("disk_name", "a")
    assert "for itself" in property_problem("exec", "a")
    assert "only iPXE knows" in property_problem("hostname", "${net0/mac}")
    assert property_problem("a", "x" * 1021) is None
    assert "1,023 bytes" in property_problem("a", "x" * 1022)
