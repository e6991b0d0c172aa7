"""A medium made from a medium: what its owner chose stays, and what does not is named."""

import shutil

import pytest

from imagekit.boot.console import Console
from imagekit.boot.loader_conf import loader_conf
from imagekit.boot.modules import ModuleRequest, read_modules
from imagekit.content import Bytes, DiskFile
from imagekit.errors import InputError
from imagekit.formats import table
from imagekit.media import iso, usb
from imagekit.media.additions import Additions
from imagekit.media.repacking import LoaderConf, new_loader_conf
from imagekit.media.sources import SourceRequest
from imagekit.tree import File, Tree
from kit import workspace

CONF = "boot/loader.conf"
OWN = 'autoboot_delay="5"\nroot_shadow=\'$5$own\'\nhostname="two words"  # mine\n'


@pytest.fixture
def ws(tmp_path):
    made = workspace.make(tmp_path / "ws", archive=5000)
    shutil.copy(made / "proto/boot/cdboot", made / "proto.boot/boot/cdboot")
    (tmp_path / "system").write_text("set x=1\n")
    (tmp_path / "answers.json").write_text('{"config_console": "ttyb"}\n')
    return made


def make(kind, path, *, boot, platform, console=None, modules=(), answers=None):
    """Make a medium; return its tree and the warnings."""
    module, request = {"usb": (usb, usb.UsbRequest), "iso": (iso, iso.IsoRequest)}[kind]
    more = {"size": None, "compress": False} if kind == "usb" else {}
    plan = module.plan(
        request(
            SourceRequest(path.parent, platform, boot),
            console,
            path,
            additions=Additions(tuple(modules), answers),
            **more,
        )
    )
    plan.write()
    return table.open_tree(DiskFile(path)), list(plan.warnings)


def conf(tree):
    return tree[CONF].content.read().decode()


def listed(tree):
    return {entry.path: entry.content.read() for entry in tree.files() if not entry.path.endswith(("cdboot", ".img"))}


@pytest.fixture
def medium(ws, tmp_path):
    """Return an own medium with a console, a module, answers and lines of its owner."""
    (ws / "proto.boot/boot/loader.conf").write_text(OWN)
    make(
        "iso",
        tmp_path / "own.iso",
        boot=ws / "proto.boot",
        platform=ws / "output" / workspace.NAME,
        console=Console("ttyb", 57600),
        modules=[ModuleRequest(tmp_path / "system", "etc/system")],
        answers=tmp_path / "answers.json",
    )
    return tmp_path / "own.iso"


def without_clear_text(warnings):
    return [warning for warning in warnings if "answers" not in warning]


@pytest.mark.parametrize("kind", ["usb", "iso"])
def test_an_own_medium_is_kept_whole(medium, kind):
    old = table.open_tree(DiskFile(medium))
    for line in OWN.splitlines():
        assert f"{line}\n" in conf(old)
    new, warnings = make(kind, medium.with_name("new"), boot=medium, platform=medium)
    assert warnings == []
    assert listed(new) == listed(old)
    assert 'os_console="ttyb"' in conf(new)
    assert 'ttyb-mode="57600,8,n,1,-"' in conf(new)


def test_what_comes_anew_takes_the_place_of_the_old(medium, tmp_path):
    old = table.open_tree(DiskFile(medium))
    (tmp_path / "system").write_text("set x=2\n")
    (tmp_path / "other.json").write_text('{"config_console": "ttya"}\n')
    new, _ = make(
        "iso",
        tmp_path / "new.iso",
        boot=medium,
        platform=medium,
        console=Console("ttya"),
        modules=[ModuleRequest(tmp_path / "system", "etc/system")],
        answers=tmp_path / "other.json",
    )
    assert listed(new).keys() == listed(old).keys()
    assert new["boot/bootfs/etc/system"].content.read() == b"set x=2\n"
    assert new["boot/bootfs/answers.json"].content.read() == (tmp_path / "other.json").read_bytes()
    text = conf(new)
    assert text.startswith('console="ttya,ttyb,ttyc,ttyd,text"\nos_console="ttya"\nttya-mode="115200,8,n,1,-"\n')
    assert sorted(text.splitlines()[6:]) == sorted(conf(old).splitlines()[6:])  # each module once


def test_a_modules_old_file_goes_with_it(ws, tmp_path):
    (ws / "proto.boot/bootfs").mkdir()
    (ws / "proto.boot/bootfs/system").write_text("old")
    (ws / "proto.boot/bootfs/other").write_text("kept")
    lines = "".join(
        f'{name}_load=YES\n{name}_type=file\n{name}_name=/bootfs/{name}\n{name}_flags="name=/etc/{name}"\n'
        for name in ("system", "other")
    )
    (ws / "proto.boot/boot/loader.conf").write_text(lines)
    new, warnings = make(
        "iso",
        tmp_path / "new.iso",
        boot=ws / "proto.boot",
        platform=ws / "output" / workspace.NAME,
        modules=[ModuleRequest(tmp_path / "system", "etc/system")],
    )
    assert warnings == []
    assert "bootfs/system" not in new
    assert new["bootfs/other"].content.read() == b"kept"
    assert "/bootfs/other" in conf(new)
    assert "=/bootfs/system" not in conf(new)
    assert 'module_etc_system_name="/boot/bootfs/etc/system"' in conf(new)


def test_a_module_is_not_given_another_ones_variables(ws, tmp_path):
    (ws / "proto.boot/boot/loader.conf").write_text("module_etc_system_load=YES\nmodule_etc_system_name=/boot/pmbr\n")
    new, _ = make(
        "iso",
        tmp_path / "new.iso",
        boot=ws / "proto.boot",
        platform=ws / "output" / workspace.NAME,
        modules=[ModuleRequest(tmp_path / "system", "etc/system")],
    )
    assert "module_etc_system_name=/boot/pmbr\n" in conf(new)
    assert 'module_etc_system_2_name="/boot/bootfs/etc/system"' in conf(new)


DROPPED = [
    (
        "bootfile=/os/1/platform/i86pc/kernel/amd64/unix\n",
        "bootfile is dropped: /os/1/platform/i86pc/kernel/amd64/unix",
    ),
    ("x_load=YES\nx_name=/nowhere\n", "x_name is dropped: /nowhere is not on this medium"),
    ("boot_archive_name=/os/1/platform/boot_archive\n", "boot_archive_name is dropped: /os/1/platform/boot_archive"),
    ("a=b\n=\nc=d\n", "boot/loader.conf:2: a syntax error"),
]


@pytest.mark.parametrize(("lines", "says"), DROPPED)
def test_what_is_dropped_is_named(ws, tmp_path, lines, says):
    (ws / "proto.boot/boot/loader.conf").write_text(lines)
    new, warnings = make("iso", tmp_path / "x.iso", boot=ws / "proto.boot", platform=ws / "output" / workspace.NAME)
    assert [warning for warning in warnings if says in warning] == warnings
    assert len(warnings) == 1
    assert not {"nowhere", "/os/1", "c=d"} & set(conf(new).split("="))


def test_paths_that_are_there_stay(ws, tmp_path):
    lines = (
        'bootfile="/platform/i86pc/kernel/${ISADIR}/unix -k"\nboot_archive_name=/platform/i86pc/amd64/boot_archive\n'
    )
    (ws / "proto.boot/boot/loader.conf").write_text(lines)
    new, _ = make("iso", tmp_path / "x.iso", boot=ws / "proto.boot", platform=ws / "output" / workspace.NAME)
    assert "boot_archive_name=/platform/i86pc/amd64/boot_archive\n" in conf(new)


def test_a_module_that_is_not_the_one_of_its_hash_is_refused(medium, ws, tmp_path):
    for path, content in ((file.path, file.content) for file in table.open_tree(DiskFile(medium)).files()):
        place = tmp_path / "copy" / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content.read())
    (tmp_path / "copy/boot/bootfs/etc/system").write_text("changed")
    with pytest.raises(InputError, match=r"module etc/system's SHA-1 is .*the kernel would stop at once"):
        make("usb", tmp_path / "x", boot=tmp_path / "copy", platform=ws / "output" / workspace.NAME)


def tree_with(text, *paths):
    tree = Tree()
    for path, content in ((CONF, text), *((path, b"x") for path in paths)):
        tree.add_parents(path)
        tree.add(File(path=path, content=Bytes(content, path)))
    return tree


@pytest.mark.parametrize("console", [Console(), Console("ttyd", 9600)])
def test_without_an_old_one_all_is_as_chosen(console):
    made = new_loader_conf(Tree(), console, (), "boot/bootfs")
    assert made == LoaderConf(console, loader_conf(console))
    assert new_loader_conf(Tree(), None, (), "boot/bootfs").console == Console()
    assert new_loader_conf(tree_with(b"# nothing"), console, (), "boot/bootfs") == made


@pytest.mark.parametrize(
    ("text", "console"),
    [
        (b'os_console="ttyb"\nttyb-mode="9600,8,n,1,-"\n', Console("ttyb", 9600)),
        (b'os_console="ttyb"\nttyb-mode="31250,8,n,1,-"\n', Console("ttyb")),
        (b'os_console="text"\ntext-mode="9600,8,n,1,-"\n', Console()),
        (b'os_console="ttyb,text"\n', Console("ttyb")),
        (b'os_console="screen"\n', Console()),
    ],
)
def test_a_strange_console_stays_as_it_is(text, console):
    made = new_loader_conf(tree_with(text), None, (), "boot/bootfs")
    assert made.console == console
    for line in text.splitlines():
        assert line in made.text.splitlines()


def test_a_replaced_module_takes_no_file_of_the_platform_with_it(tmp_path):
    (tmp_path / "x").write_text("new")
    modules = read_modules([ModuleRequest(tmp_path / "x", "x")])
    lines = b"a_name=/platform/x\na_flags=name=x\nb_name=/boot/x\nb_flags=name=x\nc_name=/boot\nc_flags=name=x\n"
    lines = lines.replace(b"name=x", b'"name=x"')
    made = new_loader_conf(tree_with(lines, "platform/x", "boot/x"), None, modules, "boot/bootfs")
    assert made.unused == ("boot/x",)
    assert b"/boot/x\n" not in made.text


def test_what_is_no_loader_conf_is_refused():
    new_loader_conf(tree_with(b"#" * (1 << 20)), None, (), "boot/bootfs")
    with pytest.raises(InputError, match="1,048,577 bytes are no"):
        new_loader_conf(tree_with(b"#" * ((1 << 20) + 1)), None, (), "boot/bootfs")


def test_of_a_triton_key_the_boot_files_are_taken(ws, tmp_path):
    key = ws / "proto.boot"
    for name in (".joyliveusb", "config.inc/generic", "os/20260101T000000Z/platform/x", "scripts/x"):
        (key / name).parent.mkdir(parents=True, exist_ok=True)
        (key / name).write_text("")
    (key / "boot/loader.conf").write_text(
        'headnode="true"\nconsole="ttyb,ttya,text"\nos_console="ttyb"\n'
        'bootfile="/os/20260101T000000Z/platform/i86pc/kernel/amd64/unix"\nplatform-version="20260101T000000Z"\n'
    )
    new, warnings = make("iso", tmp_path / "x.iso", boot=key, platform=ws / "output" / workspace.NAME)
    assert {entry.path for entry in new.children("")} == {"boot", "etc", "platform"}
    assert len(warnings) == 2
    assert "left out: .joyliveusb, config.inc, os, scripts" in warnings[0]
    assert "dropped: headnode, bootfile, platform-version" in warnings[1]
    assert conf(new).startswith('console="ttyb,ttya,text"\nos_console="ttyb"\n')
    assert "headnode" not in conf(new)
    assert 'smartos="true"' in conf(new)


def test_a_pxe_directory_serves_no_modules_of_a_medium(medium, tmp_path):
    from imagekit.media import pxe

    plan = pxe.plan(pxe.PxeRequest(output=tmp_path / "pxe", sources=(SourceRequest(tmp_path, medium),)))
    served = {file.path for file in plan.catalog.loader}
    assert "boot/forth/brand-smartos.4th" in served
    assert not [path for path in served if "bootfs" in path]
    (said,) = [warning for warning in plan.warnings if "own.iso: its boot/loader.conf is not taken" in warning]
    for name in ("os_console", "ttyb-mode", "hostname", "module_etc_system", "module_answers_json"):
        assert name in said
    assert "smartos" not in said.partition("own.iso")[2]
