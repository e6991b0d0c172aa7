"""iPXE scripts, kernel arguments, loader.conf warnings: texts and the limits of what reads them."""

import re
from dataclasses import replace

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from imagekit.boot.console import Console
from imagekit.boot.ipxe import LABELS, Boot, ModuleLine, limit_warnings, menu, straight
from imagekit.boot.kernel_arguments import argument, disagreements, parse_properties, quoted
from imagekit.errors import InputError

STAMP = "20261122T000000Z"
SHADOW = "$5$2HOHRnK3$NvLlm.1KQBbB0WjoP7xcIwGnllhzp2HnT.mDO7DpxYA"
URL = "http://192.168.100.100/"


def boot(stamp=STAMP, given=(), added=()):
    platform = f"os/{stamp}/platform/i86pc"
    archive = f"{platform}/amd64/boot_archive"
    lines = (ModuleLine(archive, "rootfs", "ramdisk"), ModuleLine(f"{archive}.hash", "hash", "ramdisk"))
    more = [
        ModuleLine(f"bootfs/1/{name}{suffix}", kind, name)
        for name in added
        for kind, suffix in (("file", ""), ("hash", ".hash"))
    ]
    return Boot(stamp, f"{platform}/kernel/amd64/unix", lines, tuple(more), dict(given))


def kernel_line(script):
    return re.search("^kernel (.*) \\|\\| goto failed$", script, re.MULTILINE)[1]


class Ipxe:
    """Runs a script as iPXE would: `chosen` are the items picked in the menu, `boots` says which boots succeed."""

    def __init__(self, script, chosen=(), boots=(True,), keys=False, settings=None):
        lines = [line for line in script.splitlines() if not line.startswith("#")]
        self.labels = {line[1:]: number for number, line in enumerate(lines) if line.startswith(":")}
        self.settings = dict(settings or {})
        self.chosen = list(chosen)
        self.boots = list(boots)
        self.keys = keys
        self.items = []  # of the menu, as it was last shown
        self.attempts = []  # what was loaded for each boot
        self.shown = []  # (default, time-out) of each menu
        self.network = False
        self.ended = False
        at = 0
        while not self.ended:
            at = self.line(lines[at], at + 1)

    def line(self, line, following):
        commands = [("", [])]  # what stands before each command, and its words
        for word in line.split():
            if word.startswith("#"):
                break
            if word in {"||", "&&", ";"}:
                commands.append((word, []))
            else:
                commands[-1][1].append(word)
        fine = True
        for separator, words in commands:
            if (separator == "&&" and not fine) or (separator == "||" and fine):
                continue
            command, *arguments = [self.expand(word) for word in words] or [""]  # one that is empty stays a word
            if command == "goto":
                return self.labels[arguments[0]]
            fine = not command or self.command(command, arguments)
            if self.ended:
                break
        return following

    def expand(self, text):
        while found := re.search(r"\$\{([^${}]*)\}", text):
            text = text.replace(found[0], self.settings.get(found[1], ""))
        return text

    def command(self, command, words):
        if command == "set":
            self.settings[words[0]] = " ".join(words[1:])
        elif command == "iseq":
            return len(words) == 2 and words[0] == words[1]
        elif command == "isset":
            return bool(words[0])
        elif command == "dhcp":
            self.settings["ip"] = "10.0.2.15"
        elif command == "choose":
            self.shown.append((words[1], words[3]))
            self.settings["chosen"] = self.chosen.pop(0)
        elif command == "imgfree":
            self.loaded = []
        elif command in {"kernel", "module"}:
            assert self.settings["ip"]
            self.loaded.append(" ".join(words))
        elif command == "sanboot":
            assert self.settings["ip"]
            self.attempts.append(words)
            self.ended = self.boots.pop(0)
            return self.ended
        elif command == "menu":
            self.items = []
        elif command == "item":
            self.items.append(" ".join(words))
        elif command == "boot":
            self.attempts.append(self.loaded)
            self.ended = self.boots.pop(0)
            return self.ended
        elif command == "prompt":
            return self.keys
        elif command in {"shell", "exit"}:
            self.ended = True
        else:
            assert command == "echo" or command.startswith(":"), command
        return True


def run(script, **options):
    """Return what a script loads."""
    (loaded,) = Ipxe(script, **options).attempts
    return loaded


def test_straight_as_smartos_hosts_use_it():
    script = straight(boot(), Console("ttyb"))
    assert script.startswith("#!ipxe\n")
    kernel = f"os/{STAMP}/platform/i86pc/kernel/amd64/unix"
    archive = f"os/{STAMP}/platform/i86pc/amd64/boot_archive"
    assert run(script) == [
        f'{kernel} -B console=ttyb,ttyb-mode="115200,8,n,1,-",smartos=true',
        f"{archive} type=rootfs name=ramdisk",
        f"{archive}.hash type=hash name=ramdisk",
    ]
    assert all(
        line.endswith("|| goto failed") for line in script.splitlines() if line.startswith(("kernel", "module", "boot"))
    )


def test_prefix_and_modules():
    script = straight(boot(added=["answers.json"]), Console(), URL)
    loaded = run(script)
    assert all(line.startswith(URL) for line in loaded)
    assert loaded[0].endswith("/unix -B console=text,smartos=true")
    assert loaded[3:] == [
        f"{URL}bootfs/1/answers.json type=file name=answers.json",
        f"{URL}bootfs/1/answers.json.hash type=hash name=answers.json",
    ]


def test_given_properties_replace_the_usual_ones():
    given = {"smartos": "false", "ttya-mode": "9600,8,n,1,-", "hostname": "a,b c"}
    script = straight(boot(given=given), Console("ttya"))
    expected = '-B console=ttya,ttya-mode="9600,8,n,1,-",smartos=false,hostname="a,b c"'
    assert kernel_line(script).partition(" ")[2] == expected
    assert "console=ttyc," in straight(boot(given={"console": "ttyc"}), Console("ttya"))


NEW, OLD = "20270101T000000Z", "20250101T000000Z"
UEFI = {"platform": "efi"}


def with_image(stamp):
    return replace(boot(stamp), image=f"iso/{stamp}-0123abcd.iso")


@pytest.mark.parametrize("prefix", ["", URL])
def test_under_uefi_an_image_is_booted(prefix):
    image = f"{prefix}iso/{STAMP}-0123abcd.iso"
    script = straight(with_image(STAMP), Console(), prefix)
    assert Ipxe(script, settings=UEFI).attempts == [[image]]
    assert Ipxe(script, settings=UEFI, boots=[False, True]).attempts == [[image]] * 2
    assert run(script, settings={"platform": "pcbios"}) == run(straight(boot(), Console(), prefix))
    assert run(straight(boot(), Console(), prefix), settings=UEFI)[0].startswith(f"{prefix}os/")


def test_the_menu_under_uefi():
    """The image has its own console and modes; a platform without one is tried as it is."""
    script = menu([with_image(NEW), boot(OLD)], NEW, Console())
    ipxe = Ipxe(script, [OLD, NEW], boots=[False, True], settings=UEFI)
    assert ipxe.attempts[0][0].startswith(f"os/{OLD}/")
    assert ipxe.attempts[1] == [f"iso/{NEW}-0123abcd.iso"]
    options = ("Options", "Console: text", "Mode: normal", "Kernel debugger: off", "Verbose: off")
    assert not any(item.endswith(options) for item in ipxe.items)
    assert [item.split()[0] for item in ipxe.items if item[0] == "2"] == [NEW, OLD]
    for other in (Ipxe(script, [NEW]), Ipxe(menu([boot(NEW)], NEW, Console()), [NEW], settings=UEFI)):
        assert sum(item.endswith(options) for item in other.items) == len(options)
        assert other.attempts[0][0].startswith(f"os/{NEW}/")


def arguments_after(*presses, chosen=NEW, console="ttyb", given=(), settings=None):
    boots = [boot(NEW, given, added=["answers.json"]), boot(OLD)]
    ipxe = Ipxe(menu(boots, NEW, Console.parse(console)), [*presses, chosen], settings=settings)
    assert ipxe.shown == [(NEW, "10000"), *[(NEW, "0")] * len(presses)]
    (loaded,) = ipxe.attempts
    assert loaded[0].startswith(f"os/{chosen}/platform/i86pc/kernel/amd64/unix ")
    return loaded[0].partition(" ")[2], loaded[1:]


MODE = "115200,8,n,1,-"


@pytest.mark.parametrize(
    ("presses", "arguments"),
    [
        ([], f'-B console=ttyb,ttyb-mode="{MODE}",smartos=true'),
        (["console"], f'-B console=ttyc,ttyc-mode="{MODE}",smartos=true'),
        (["console"] * 3, "-B console=text,smartos=true"),
        (["console"] * 4, f'-B console=ttya,ttya-mode="{MODE}",smartos=true'),
        (["console"] * 5, f'-B console=ttyb,ttyb-mode="{MODE}",smartos=true'),
        (["kmdb"], f'-k -B console=ttyb,ttyb-mode="{MODE}",smartos=true'),
        (["kmdb"] * 2, f'-kd -B console=ttyb,ttyb-mode="{MODE}",smartos=true'),
        (["kmdb"] * 3, f'-B console=ttyb,ttyb-mode="{MODE}",smartos=true'),
        (["verbose"], f'-v -B console=ttyb,ttyb-mode="{MODE}",smartos=true'),
        (["verbose"] * 2, f'-B console=ttyb,ttyb-mode="{MODE}",smartos=true'),
        (["kmdb", "verbose"], f'-v -k -B console=ttyb,ttyb-mode="{MODE}",smartos=true'),
        (["mode"], f'-B console=ttyb,ttyb-mode="{MODE}",smartos=true,noimport=true'),
        (["mode"] * 2, f'-B console=ttyb,ttyb-mode="{MODE}",smartos=false,noimport=true,root_shadow={SHADOW}'),
        (["mode"] * 3, f'-B console=ttyb,ttyb-mode="{MODE}",smartos=true'),
    ],
)
def test_menu(presses, arguments):
    found, modules = arguments_after(*presses)
    assert found == arguments
    assert len(modules) == (2 if presses == ["mode"] * 2 else 4)


def test_menu_of_the_other_platform():
    found, modules = arguments_after("console", chosen=OLD)
    assert found == f'-B console=ttyc,ttyc-mode="{MODE}",smartos=true'
    assert len(modules) == 2


def test_menu_with_given_properties():
    given = {"ttyb-mode": "9600,8,n,1,-", "a": "b", "root_shadow": "$5$x"}
    found, _ = arguments_after(given=given)
    assert found == '-B console=ttyb,ttyb-mode="9600,8,n,1,-",smartos=true,a=b,root_shadow=$5$x'
    found, _ = arguments_after("mode", "mode", given=given)
    assert found.endswith(",smartos=false,a=b,root_shadow=$5$x,noimport=true")


def test_what_one_platform_was_given_does_not_leak_into_the_next():
    boots = [boot(NEW, {"ttyb-mode": "9600,8,n,1,-", "a": "b"}, added=["x"]), boot(OLD)]
    ipxe = Ipxe(menu(boots, NEW, Console("ttyb")), [NEW, OLD], boots=[False, True])
    first, second = ipxe.attempts
    assert first[0].endswith('-B console=ttyb,ttyb-mode="9600,8,n,1,-",smartos=true,a=b')
    assert second[0].endswith(f'-B console=ttyb,ttyb-mode="{MODE}",smartos=true')
    assert (len(first), len(second)) == (5, 3)


@pytest.mark.parametrize(("keys", "timeout"), [(False, "10000"), (True, "0")])
def test_a_failed_boot_leads_back_to_the_menu(keys, timeout):
    """Without anybody there it is tried again and again, as a server may be back in a while."""
    ipxe = Ipxe(menu([boot(NEW)], NEW, Console()), [NEW] * 3, boots=[False, False, True], keys=keys)
    assert ipxe.shown == [(NEW, "10000"), (NEW, timeout), (NEW, timeout)]
    assert len(ipxe.attempts) == 3


def test_a_failed_straight_boot_is_tried_again():
    ipxe = Ipxe(straight(boot(), Console()), boots=[False, True])
    assert ipxe.attempts[0] == ipxe.attempts[1]
    assert len(Ipxe(straight(boot(), Console()), boots=[False, True], keys=True).attempts) == 1  # then a shell


def test_menu_of_a_console_that_only_the_kernel_knows():
    found, _ = arguments_after(given={"console": "hypervisor"})
    assert found == "-B console=hypervisor,smartos=true"
    found, _ = arguments_after("console", given={"console": "hypervisor"})
    assert found == "-B console=text,smartos=true"


def test_order_and_default_of_the_menu():
    script = menu([boot(NEW), boot(OLD)], OLD, Console())
    assert re.findall(r"^item (\d\S*)", script, re.MULTILINE) == [NEW, OLD]
    assert f"choose --default {OLD} --timeout ${{menu-timeout}} chosen" in script


class TestLimits:
    def test_a_usual_boot_is_within(self):
        assert limit_warnings(boot(), Console("ttyb"), "", with_menu=True) == []
        assert limit_warnings(boot(added=["a"]), Console("ttyb"), "", with_menu=False) == []

    def test_bytes_are_counted_with_uris_and_nuls(self):
        one = boot()
        lines = run(straight(one, Console(), URL))
        room = 512 - sum(len(line) + 1 for line in lines) - len(",x=")
        fits = boot(given={"x": "y" * room})
        assert limit_warnings(fits, Console(), URL, with_menu=False) == []
        (warning,) = limit_warnings(boot(given={"x": "y" * (room + 1)}), Console(), URL, with_menu=False)
        assert "513 bytes of command lines" in warning
        assert URL in warning

    def test_the_usual_prefix_stands_for_none_and_for_the_next_server(self):
        long = boot(given={"x": "y" * 400})
        first = limit_warnings(long, Console(), "", with_menu=False)
        assert first == limit_warnings(long, Console(), URL, with_menu=False)
        (other,) = limit_warnings(long, Console(), "tftp://${next-server}/", with_menu=False)
        assert "begin like tftp://192.168.100.100/" in other

    def test_what_only_a_choice_in_the_menu_makes_too_long(self):
        text = [f"x={'y' * length}" for length in range(1, 400)]
        lengths = [
            len(one.value)
            for line in text
            for one in parse_properties(line)
            if limit_warnings(boot(given={one.name: one.value}), Console(), "", with_menu=True)
        ]
        (warning,) = limit_warnings(boot(given={"x": "y" * lengths[0]}), Console(), "", with_menu=True)
        assert "rescue on tty" in warning
        assert limit_warnings(boot(given={"x": "y" * lengths[0]}), Console(), "", with_menu=False) == []

    def test_modules(self):
        names = [f"{number}" for number in range(3)]
        assert limit_warnings(boot(added=names), Console(), "tftp://a/", with_menu=False)[:-1] == []
        found = limit_warnings(boot(added=[*names, "3"]), Console(), "", with_menu=False)
        assert found[0].startswith(f"{STAMP} has 10 modules, hashes counted; stock iPXE hands over 8")


def kernel_properties(line):
    """Return the properties that the kernel finds in its command line, as illumos fakebop.c walks through it."""
    found = {}
    at = line.index(" -B") + 3
    while line[at : at + 1].isspace():
        at += 1
    while at < len(line) and not line[at].isspace():
        sign = line.find("=", at)
        if sign < 0:
            break
        name, at, quote = line[at:sign], sign + 1, ""
        begin = at
        while at < len(line):
            if at == begin and line[at] in "\"'":
                quote = line[at]
                at += 1
                if at == len(line):
                    break
            if quote:
                quote = "" if line[at] == quote else quote
            elif line[at] == "," or line[at].isspace():
                break
            at += 1
        value = line[begin:at]
        if not value:
            value = None
        elif value[0] == value[-1] and value[0] in "\"'":
            value = value[1:-1]
        found[name] = value
        while line[at : at + 1] == ",":
            at += 1
    return found


def parsed(text):
    return {one.name: one.value for one in parse_properties(text)}


class TestProperties:
    @pytest.mark.parametrize(
        ("text", "shown"),
        [
            ("a=b", "a=b"),
            ("ttyb-mode=115200,8,n,1,-", 'ttyb-mode="115200,8,n,1,-"'),
            ('ttyb-mode="115200,8,n,1,-"', 'ttyb-mode="115200,8,n,1,-"'),
            ("a='b c'", 'a="b c"'),
            ("root_shadow='$5$x$y.z/'", "root_shadow=$5$x$y.z/"),
            ("a=b=c", "a=b=c"),
            ("hostname=${net0/mac}", 'hostname="${net0/mac}"'),
            ("a=x-${uuid:uristring}-${net0.dhcp/next-server}", 'a="x-${uuid:uristring}-${net0.dhcp/next-server}"'),
        ],
    )
    def test_parse_and_quote(self, text, shown):
        (one,) = parse_properties(text)
        assert str(one) == shown

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ("noimport=true,smartos=true", {"noimport": "true", "smartos": "true"}),
            ("console=ttya,noimport=true", {"console": "ttya", "noimport": "true"}),
            ("ttyb-mode=9600,8,n,1,-,noimport=true", {"ttyb-mode": "9600,8,n,1,-", "noimport": "true"}),
            ('ttyb-mode="9600,8,n,1,-",noimport=true', {"ttyb-mode": "9600,8,n,1,-", "noimport": "true"}),
            ('a="b,c=d",e=f', {"a": "b,c=d", "e": "f"}),
            ("a=1,,b=2,", {"a": "1", "b": "2"}),
            ("a=1,2=3", {"a": "1,2=3"}),
            ("a='b=c'", {"a": "b=c"}),
        ],
    )
    def test_several_at_once(self, text, expected):
        assert parsed(text) == expected

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "a",
            "=b",
            "1a=b",
            "a b=c",
            "a,b=c",
            "a=",
            "a=,b=c",
            "a=ä",
            "a=b\nc",
            "a=b  c",
            "a= b",
            "a=${",
            "a=${x",
            "a=${x y}",
            "a=${a${b}}",
            "a=b || c",
            "a=b #c",
            "a=\"b'",
            'a="b"c',
            'a=b"c',
            "a=it's",
            "a='b",
            "a=b\\c",
            f"{'a' * 64}=b",
        ],
    )
    def test_refused(self, text):
        with pytest.raises(InputError):
            parse_properties(text)

    def test_many_commas_are_no_trouble(self):
        assert parsed(f"a=1{',' * 50_000}2{',' * 50_000}b=3") == {"a": f"1{',' * 50_000}2", "b": "3"}
        assert parsed(f"a=1{',a' * 50_000}") == {"a": f"1{',a' * 50_000}"}

    def test_quotes_are_refused_with_the_reason(self):
        with pytest.raises(InputError, match="holds a quote, which the loader cannot take: it would drop that line"):
            parse_properties("a=it's")

    def test_the_kernel_reads_back_what_was_quoted(self):
        values = {"a": "b", "c": "1,2", "d": "x y", "g": "$5$h,i", "h": "${net0/mac}"}
        assert kernel_properties(f"unix -B {argument(values)}") == values
        assert quoted("plain") == "plain"


NAMES = st.from_regex(r"[a-z][a-z0-9_.-]{0,9}", fullmatch=True)
PLAIN = st.text(st.sampled_from("abz019_-./:@$;"), min_size=1, max_size=12)
QUOTED = st.text(st.sampled_from("ab=, ;$/"), min_size=1, max_size=9).map(lambda text: f'"{text.strip() or 1}"')


@given(st.lists(st.tuples(NAMES, st.one_of(PLAIN, QUOTED)), min_size=1, max_size=5))
def test_properties_are_split_as_the_kernel_splits_them(pairs):
    text = ",".join(f"{name}={value}" for name, value in pairs)
    try:
        found = parsed(text)
    except InputError:
        assume(False)
    assert found == kernel_properties(f"unix -B {text}")


WORDS = st.sampled_from(
    ["||", "&&", ";", "#", "#a", "a&&b", "a;", "b#", "1,2", '"', "'", "it's", "$5$a", "${a}", "=", "\\", ",a=b"]
)
VALUES = st.one_of(
    st.text(st.characters(min_codepoint=0x20, max_codepoint=0x7E), min_size=1, max_size=40),
    st.lists(WORDS, min_size=1, max_size=4).map(" ".join),
)


@given(st.dictionaries(NAMES, VALUES, max_size=5))
def test_values_come_back_from_ipxe(values):
    """What is accepted reaches the kernel as it was by iPXE, which splits at spaces."""
    accepted = {}
    for name, value in values.items():
        try:
            accepted |= parsed(f"{name}={value}")
        except InputError:
            continue
    accepted = {name: value for name, value in accepted.items() if "${" not in value and not name.endswith("-mode")}
    assume(not any(name in accepted for name in ("console", "smartos")))
    line = run(straight(boot(given=accepted), Console()))[0]
    assert kernel_properties(line) == {"console": "text", "smartos": "true", **accepted}


def test_settings_of_ipxe_are_left_to_it():
    script = straight(boot(given={"hostname": "cn-${net0/mac}"}), Console())
    assert script.count('hostname="cn-${net0/mac}"') == 1
    found, _ = arguments_after(given={"hostname": "cn-${net0/mac}"}, settings={"net0/mac": "00:50:56:34:60:4c"})
    assert kernel_properties(f"unix {found}")["hostname"] == "cn-00:50:56:34:60:4c"


def test_settings_of_ipxe_count_with_what_they_may_become():
    room = next(n for n in range(600) if limit_warnings(boot(given={"x": "y" * n}), Console(), URL, with_menu=False))
    with_setting = {"x": "y" * (room - 34) + "${a}"}
    assert limit_warnings(boot(given=with_setting), Console(), URL, with_menu=False)


class TestDisagreements:
    @pytest.mark.parametrize(
        ("given", "warning"),
        [
            ({"console": "ttya"}, "«properties» console=ttya, but «console» chooses ttyb"),
            ({"ttya-mode": MODE}, "«properties» ttya-mode=.* changes nothing: the console is ttyb"),
            ({"ttyb-mode": "9600,8,n,1,-"}, "«properties» ttyb-mode=.*, but «console» ttyb means 115200"),
            ({"ttyb-mode": "115200"}, "«properties» ttyb-mode=115200 is no mode of a serial port"),
            ({"ttyb-mode": "115201,8,n,1,-"}, "is no mode of a serial port"),
        ],
    )
    def test_found(self, given, warning):
        (line,) = disagreements(given, Console("ttyb"))
        assert re.search(warning, line)

    def test_none(self):
        assert disagreements({"ttyb-mode": MODE, "a": "b"}, Console("ttyb")) == []
        assert disagreements({"ttyb-mode": "9600,8,n,1,-"}, Console("ttyb", 9600)) == []

    def test_a_password_instead_of_its_hash(self):
        (line,) = disagreements({"root_shadow": "secret"}, Console())
        assert line.startswith("«properties» root_shadow is no hash of a password")
        assert disagreements({"root_shadow": SHADOW}, Console()) == []


def test_the_labels_that_no_stamp_may_have():
    script = menu([with_image(NEW), boot(OLD)], NEW, Console())
    assert sorted(re.findall(r"^:(\S+)", script, re.MULTILINE)) == sorted([*LABELS, NEW, OLD])
