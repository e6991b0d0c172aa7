"""Where the platform and the boot files are looked for, and what is said when they are not there."""

import shutil

import pytest

from imagekit.content import DiskFile
from imagekit.errors import InputError
from imagekit.formats import table
from imagekit.media import iso
from imagekit.media.sources import SourceRequest, find_sources
from kit import workspace

NAME = workspace.NAME
OLDER = "platform-20250101T000000Z"


@pytest.fixture
def ws(tmp_path):
    return workspace.make(tmp_path / "ws", archive=5000)


@pytest.fixture
def medium(ws, tmp_path):
    iso.plan(iso.IsoRequest(SourceRequest(ws), output=tmp_path / "own.iso")).write()
    return tmp_path / "own.iso"


def two_platforms(ws):
    shutil.copytree(ws / "output" / NAME, ws / "output" / OLDER)
    (ws / "output" / OLDER / "etc/version/platform").write_text("20250101T000000Z\n")


def test_of_several_platforms_the_latest_is_taken(ws):
    two_platforms(ws)
    for latest in (NAME, OLDER):
        (ws / "output/platform-latest").unlink()
        (ws / "output/platform-latest").symlink_to(latest)
        found = find_sources(SourceRequest(ws, ws / "output"))
        assert (found.name, found.stamp.text) == (latest, latest.removeprefix("platform-"))
        assert found.platform_origin == str(ws / "output" / latest)


def test_of_several_platforms_none_is_taken_at_random(ws):
    two_platforms(ws)
    (ws / "output/platform-latest").unlink()
    with pytest.raises(InputError, match=f"more than one platform.*\n  {OLDER}\n  {NAME}") as caught:
        find_sources(SourceRequest(ws, ws / "output"))
    assert caught.value.hint == f"name one: «platform» {ws}/output/{NAME}"
    shutil.rmtree(ws / "output" / OLDER / "i86pc/amd64")  # this is none
    assert find_sources(SourceRequest(ws, ws / "output")).name == NAME


def test_one_of_several_in_an_image_is_named_by_its_place(ws, tmp_path):
    two_platforms(ws)
    (ws / "output/platform-latest").unlink()
    packed = tmp_path / "both.tar"
    shutil.make_archive(str(tmp_path / "both"), "tar", ws / "output")
    with pytest.raises(InputError, match="more than one platform") as caught:
        find_sources(SourceRequest(ws, packed))
    assert caught.value.hint == f"name one: «platform» {packed}!/{NAME}"
    found = find_sources(SourceRequest(ws, tmp_path / f"both.tar!/{OLDER}"))
    assert (found.name, found.stamp.text) == (OLDER, "20250101T000000Z")
    with pytest.raises(InputError, match=r"both\.tar: no folder platform-x in it"):
        find_sources(SourceRequest(ws, tmp_path / "both.tar!/platform-x"))


def test_a_triton_key_has_its_platforms_in_os(ws, tmp_path):
    key = tmp_path / "key"
    shutil.copytree(ws / "output" / NAME, key / "os/20261122T000000Z/platform")
    found = find_sources(SourceRequest(ws, key))
    assert (found.name, found.platform_origin) == (NAME, f"{key}/os/20261122T000000Z/platform")
    shutil.copytree(ws / "output" / NAME, key / "os/20250101T000000Z/platform")
    with pytest.raises(InputError, match=r"\n  os/20250101T000000Z/platform\n  os/20261122T000000Z/platform"):
        find_sources(SourceRequest(ws, key))


def test_boot_files_come_from_the_platforms_image(medium, tmp_path):
    found = find_sources(SourceRequest(tmp_path, medium))
    assert found.boot_origin == str(medium)
    assert found.program("boot/loader64.efi").size == 7000
    assert "boot/cdboot" in found.programs


def test_a_platform_without_boot_files_takes_the_workspaces(ws):
    assert find_sources(SourceRequest(ws, ws / "output" / NAME)).boot_origin == str(ws / "proto.boot")


def test_cdboot_is_found_beside_proto_boot(ws, tmp_path):
    for boot in ("proto.boot", "proto.boot/boot"):
        found = find_sources(SourceRequest(tmp_path, ws / "output" / NAME, ws / boot))
        assert found.program("boot/cdboot").read() == (ws / "proto/boot/cdboot").read_bytes()
    (ws / "proto/boot/cdboot").unlink()
    with pytest.raises(InputError, match="no cdboot"):
        find_sources(SourceRequest(tmp_path, ws / "output" / NAME, ws / "proto.boot")).program("boot/cdboot")


def test_a_proto_area_is_no_folder_of_boot_files(ws):
    (ws / "proto/usr").mkdir()
    with pytest.raises(InputError, match="proto: a whole proto area, not boot files") as caught:
        find_sources(SourceRequest(ws, boot=ws / "proto"))
    assert caught.value.hint == f"did you mean {ws}/proto.boot?"


def test_old_media_boot_with_grub(ws, tmp_path):
    (tmp_path / "old/boot/grub").mkdir(parents=True)
    with pytest.raises(InputError, match="old: no boot files in it: it boots with GRUB"):
        find_sources(SourceRequest(ws, boot=tmp_path / "old"))


def test_a_checkout_that_is_not_built_is_told_from_a_wrong_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(InputError, match=f"{tmp_path}: no platform here"):
        find_sources(SourceRequest(tmp_path.relative_to(tmp_path)))
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools/build_live").touch()
    with pytest.raises(InputError, match=f"{tmp_path}: this smartos-live checkout is not built yet") as caught:
        find_sources(SourceRequest(tmp_path.relative_to(tmp_path)))
    assert "gmake live" in caught.value.hint


def test_a_boot_catalog_is_not_taken_along(ws, medium):
    assert "boot.catalog" not in table.open_tree(DiskFile(medium))
    (ws / "proto.boot/boot.catalog").write_text("of another image")
    assert "boot.catalog" not in find_sources(SourceRequest(ws)).boot


def test_a_folder_may_be_a_whole_medium(ws, tmp_path):
    top = tmp_path / "stick"
    shutil.copytree(ws / "proto.boot", top)
    shutil.copytree(ws / "output" / NAME, top / "platform")
    found = find_sources(SourceRequest(tmp_path, top))
    assert (found.platform_origin, found.boot_origin) == (str(top / "platform"), str(top))
    assert "platform" not in found.boot
    assert found.warnings == ()
    found = find_sources(SourceRequest(tmp_path, ws / "output" / NAME, top))
    assert found.warnings == (f"{top}: of this folder platform/ is left out; the platform comes from elsewhere",)


def test_of_a_medium_no_other_platform_is_taken_along(ws, tmp_path):
    top = tmp_path / "stick"
    shutil.copytree(ws / "proto.boot", top)
    shutil.copytree(ws / "output" / NAME, top / OLDER)
    shutil.copytree(ws / "output" / NAME, top / NAME)
    (top / "platform-latest").symlink_to(NAME)
    found = find_sources(SourceRequest(tmp_path, top))
    assert found.platform_origin == str(top / NAME)
    assert {entry.path for entry in found.boot.children("")} == {"boot", "etc"}
    assert found.warnings == (
        f"{top}: platforms that are left out of the boot files: {OLDER}, {NAME}, platform-latest",
    )


def test_what_is_no_platform_is_told_by_what_it_lacks(ws, tmp_path):
    shutil.rmtree(ws / "output" / NAME / "i86pc/amd64")
    (ws / "output/platform-latest").unlink()
    with pytest.raises(InputError, match=f"output/{NAME}: not a platform: no i86pc/amd64/boot_archive in it"):
        find_sources(SourceRequest(ws, ws / "output"))
    with pytest.raises(InputError, match=f"{tmp_path}: not a platform: no .*unix and no "):
        find_sources(SourceRequest(ws, tmp_path))


@pytest.mark.parametrize("name", ["loader", "loader64.efi"])
def test_the_loaders_folder_alone_will_do(ws, tmp_path, name):
    (tmp_path / "boot").mkdir()
    shutil.copy(ws / "proto.boot/boot/loader", tmp_path / "boot" / name)
    assert f"boot/{name}" in find_sources(SourceRequest(ws, boot=tmp_path / "boot")).boot
    (tmp_path / "boot" / name).unlink()
    with pytest.raises(InputError, match=r"neither boot/ nor loader64\.efi"):
        find_sources(SourceRequest(ws, boot=tmp_path / "boot"))
