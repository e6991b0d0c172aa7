"""Answers on media: where setup looks for them, by the platform's age, and what lies there beside them."""

import json
import subprocess

import pytest

from imagekit.boot.console import Console
from imagekit.boot.modules import ModuleRequest
from imagekit.errors import InputError, PlanError
from imagekit.media import iso, usb
from imagekit.media.additions import Additions
from imagekit.media.medium import find_medium
from imagekit.media.sources import SourceRequest
from kit import workspace
from kit.pxe_directory import make

BOOTFS = "boot/bootfs/answers.json"
PRIVATE = "private/answers.json"
REQUESTS = {usb: usb.UsbRequest, iso: iso.IsoRequest}
COMPLETE = {
    "config_console": True,
    "skip_instructions": True,
    "skip_final_confirm": True,
    "admin_ip": "dhcp",
    **dict.fromkeys(["headnode_default_gateway", "dns_resolver1", "dns_resolver2", "ntp_host"], "<default>"),
    "dns_search": "example.com",
    "zpool_confirm_layout": "yes",
    "bootpool": "none",
    "install_pkgsrc": "no",
    "root_password": "x",
    "hostname": "new",
}
NEW = json.dumps(COMPLETE).encode()
OLD = NEW.replace(b'"new"', b'"old"')
CLEAR = "root_password will lie on the medium in clear text, for whoever can read it"


@pytest.fixture
def ws(tmp_path):
    folder = workspace.make(tmp_path / "ws")
    (folder / "new.json").write_bytes(NEW)
    return folder


def set_age(ws, stamp):
    (ws / "output" / workspace.NAME / "etc/version/platform").write_text(f"{stamp}\n")
    (ws / "proto.boot/etc/version/boot").write_text(f"{stamp}\n")


def planned(ws, medium, **additions):
    request = REQUESTS[medium](SourceRequest(ws), Console(), additions=Additions(**additions))
    return [line for line in medium.plan(request).warnings if not line.endswith(CLEAR)]


def tree_of(ws, **additions):
    return find_medium(SourceRequest(ws), Console(), Additions(**additions), ()).tree


@pytest.mark.parametrize("medium", [usb, iso])
@pytest.mark.parametrize(
    ("stamp", "warning"),
    [
        ("20261122T000000Z", None),
        ("20250109T000743Z", None),
        ("20250109T000742Z", f"they lie in {PRIVATE}, too, where this platform looks for them"),
        ("20240620T000000Z", f"they lie in {PRIVATE}, too, where this platform looks for them"),
        ("20231228T000000Z", "the setup of this platform reads none at all"),
    ],
)
def test_answers_lie_where_the_platform_looks_for_them(ws, medium, stamp, warning):
    set_age(ws, stamp)
    found = planned(ws, medium, answers=ws / "new.json")
    assert len(found) == (warning is not None)
    assert not found or warning in found[0]
    assert planned(ws, medium) == []
    tree = tree_of(ws, answers=ws / "new.json")
    assert tree[BOOTFS].content.read() == NEW
    assert (PRIVATE in tree) == (warning is not None)
    assert warning is None or tree[PRIVATE].content.read() == NEW


@pytest.mark.parametrize("medium", [usb, iso])
def test_answers_among_the_boot_files(ws, medium):
    """Setup would read these first: given ones take their place, and without any they are checked alike."""
    (ws / "proto.boot/private").mkdir()
    path = ws / "proto.boot" / PRIVATE
    path.write_bytes(OLD)
    assert planned(ws, medium) == []
    assert tree_of(ws)[PRIVATE].content.read() == OLD
    (warning,) = planned(ws, medium, answers=ws / "new.json")
    assert f"its {PRIVATE} gives way to the answers that were given" in warning
    assert tree_of(ws, answers=ws / "new.json")[PRIVATE].content.read() == NEW
    path.write_bytes(b'{"hostname": "old"}')
    assert any(line.startswith(f"{path}: without config_console") for line in planned(ws, medium))
    path.write_bytes(b'{"config_console": true,')
    with pytest.raises(InputError, match="not valid JSON") as caught:
        planned(ws, medium)
    assert caught.value.where.startswith(str(path))


def test_over_the_network_setup_sees_no_private_answers(ws):
    (ws / "proto.boot/private").mkdir()
    (ws / "proto.boot" / PRIVATE).write_bytes(OLD)
    (line,) = (line for line in make(ws, None).warnings if PRIVATE in line)
    assert line == f"{ws}/proto.boot: its {PRIVATE} is not taken into the directory; use «answers»"
    additions = Additions(answers=ws / "new.json")
    (line,) = (line for line in make(ws, None, additions=additions).warnings if PRIVATE in line)
    assert line.endswith("is not taken into the directory")


def test_answers_that_came_with_a_medium(ws):
    """They are kept for another platform, and written to where that one looks."""
    image = ws / "x.iso"
    request = iso.IsoRequest(SourceRequest(ws), Console(), output=image, additions=Additions(answers=ws / "new.json"))
    iso.plan(request).write()
    set_age(ws, "20240620T000000Z")
    sources = SourceRequest(ws, boot=image)
    plan = iso.plan(iso.IsoRequest(sources, Console(), output=ws / "y.iso"))
    assert any(f"they lie in {PRIVATE}, too" in line for line in plan.warnings)
    plan.write()
    tree = find_medium(SourceRequest(ws, boot=ws / "y.iso"), None, Additions(), ()).tree
    assert tree[PRIVATE].content.read() == tree[BOOTFS].content.read() == NEW
    folder = ws / "mixed"
    folder.mkdir()
    subprocess.run(["cp", "-R", ws / "proto.boot/boot", folder], check=True)
    for path, data in ((BOOTFS, NEW), (PRIVATE, OLD)):
        (folder / path).parent.mkdir()
        (folder / path).write_bytes(data)
    found = usb.plan(usb.UsbRequest(SourceRequest(ws, boot=folder), Console())).warnings
    assert any(line.endswith(f"setup reads its {PRIVATE}, and so never {BOOTFS}, which differs") for line in found)


def test_a_module_of_that_name_is_checked_as_answers_are(ws):
    (ws / "broken").write_bytes(b"{")
    with pytest.raises(InputError, match="not valid JSON"):
        planned(ws, iso, modules=(ModuleRequest(ws / "broken", "answers.json"),))


def test_over_the_network_there_is_no_medium_to_look_at(ws):
    set_age(ws, "20240620T000000Z")
    additions = Additions(answers=ws / "new.json")
    (line,) = (line for line in make(ws, None, additions=additions).warnings if "setup reads answers" in line)
    assert line.endswith(f"this platform looks for {PRIVATE} on a USB stick, and will stop and ask")


@pytest.mark.parametrize("medium", [usb, iso])
def test_passwords_in_clear_are_told_once(ws, medium):
    (ws / "output" / workspace.NAME / "root.password").write_bytes(b"secret\n")
    request = REQUESTS[medium](SourceRequest(ws), Console(), additions=Additions(answers=ws / "new.json"))
    found = medium.plan(request).warnings
    assert len(found) == 2
    assert all("in clear text" in line and "secret" not in line for line in found)
    assert any(line.startswith("platform/root.password: ") for line in found)


@pytest.mark.parametrize(
    ("name", "fine"), [("n" * 172, True), ("n" * 173, False), ("n" * 179 + "/x", True), ("n" * 180 + "/x", False)]
)
def test_modules_that_a_disc_would_hide_from_the_loader(ws, name, fine):
    """Rock Ridge names of more than 177 bytes go on in a second record, which the loader does not read."""
    (ws / "m").write_bytes(b"x")
    module = ModuleRequest(ws / "m", name)
    assert planned(ws, usb, modules=(module,)) == []
    if fine:
        assert planned(ws, iso, modules=(module,)) == []
    else:
        with pytest.raises(PlanError, match="would not be loaded from a disc") as caught:
            planned(ws, iso, modules=(module,))
        assert caught.value.where == str(ws / "m")
