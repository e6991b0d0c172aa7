"""Images that other programs made are read as they were meant."""

import os
import shutil
import subprocess

import pytest

from imagekit.content import DiskFile
from imagekit.formats import iso
from imagekit.tree import Directory, File, HardLink, Symlink

MTIME = 1_600_000_000


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Return a folder with all sorts of entries."""
    root = tmp_path_factory.mktemp("source") / "root"
    files = {
        "boot/cdboot": bytes(range(256)) * 20,
        "boot/efiboot.img": b"FAT" * 30000,
        "boot/loader": b"loader" * 100,
        "empty": b"",
        "Mixed Case.Txt": b"mixed",
        "a/b/c/d/e/f/g/h/i/j/deep": b"deep",
        "long/" + "n" * 120 + ".x": b"long",
        "long/" + "m" * 240: b"longer",
    }
    files |= {f"many/file number {number:04} of many": b"%d" % number for number in range(300)}
    for path, data in files.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_bytes(data)
    (root / "boot/loader").chmod(0o555)
    (root / "empty").chmod(0o4711)
    (root / "hard").hardlink_to(root / "boot/loader")
    for name, target in {"up": "../x", "abs": "/usr/bin", "far": "y" * 200 + "/../" + "z" * 200 + "/w" * 30}.items():
        (root / name).symlink_to(target)
    for path in [root, *sorted(root.rglob("*"))]:
        os.utime(path, (MTIME, MTIME), follow_symlinks=False)
    return root


def make(command, folder, tmp_path):
    image = tmp_path / "x.iso"
    done = subprocess.run(
        [*command.split(), "-o", str(image), str(folder)],
        capture_output=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C.UTF-8"},
    )
    assert done.returncode == 0, done.stderr.decode()
    return DiskFile(image)


def compare(tree, folder, *, relocated=False):
    """Compare a tree to a folder on disk, but for owners, and directories' times where they are not kept."""
    paths = {str(path.relative_to(folder)): path for path in folder.rglob("*")}
    extra = {"rr_moved"} if relocated else set()
    assert {entry.path for entry in tree if entry.path} == set(paths) | extra
    for relative, path in paths.items():
        entry, status = tree[relative], path.lstat()
        file = tree[entry.target] if isinstance(entry, HardLink) else entry
        assert entry.mode == status.st_mode & 0o7777, relative
        if path.is_symlink():
            assert isinstance(entry, Symlink)
            assert entry.target == str(path.readlink())
        elif path.is_dir():
            assert isinstance(entry, Directory)
        else:
            assert isinstance(file, File)
            assert entry.mtime == MTIME
            assert relative == "boot/cdboot" or file.content.read() == path.read_bytes()


BOOT = "-b boot/cdboot -no-emul-boot -boot-load-size 4 -boot-info-table"


def test_genisoimage_with_rock_ridge(folder, tmp_path, need):
    need("genisoimage")
    # It patches the boot program where it lies, and writes targets that need several entries so that nobody reads them.
    source = tmp_path / "source"
    shutil.copytree(folder, source, symlinks=True)
    (source / "hard").unlink()
    (source / "hard").hardlink_to(source / "boot/loader")
    (source / "far").unlink()
    (source / "far").symlink_to("y" * 100 + "/../" + "z" * 60)
    command = f"genisoimage -quiet -R -cache-inodes -V SMARTOS -publisher ME {BOOT}"
    volume = iso.read_volume(make(f"{command} -c boot/catalog -hide boot/catalog", source, tmp_path))
    tree = volume.tree
    compare(tree, source, relocated=True)
    assert (volume.volume_id, volume.publisher) == ("SMARTOS", "ME")
    assert volume.names == "Rock Ridge"
    assert volume.created is not None
    (bios,) = volume.boot
    assert (bios.platform, bios.path, bios.entry.load_sectors) == ("bios", "boot/cdboot", 4)
    assert bios.content.read()[64:] == (folder / "boot/cdboot").read_bytes()[64:]
    assert [entry.target for entry in tree if isinstance(entry, HardLink)] in (["hard"], ["boot/loader"])


def test_xorriso(folder, tmp_path, need):
    need("xorriso")
    efi = "-eltorito-alt-boot -e boot/efiboot.img -no-emul-boot"
    command = f"xorriso -as mkisofs -quiet -R --hardlinks -V SMARTOS -c boot.cat {BOOT} {efi}"
    volume = iso.read_volume(make(command, folder, tmp_path))
    # xorriso shows its boot catalog.
    volume.tree.remove("boot.cat")
    compare(volume.tree, folder)
    assert [(boot.platform, boot.path) for boot in volume.boot] == [
        ("bios", "boot/cdboot"),
        ("efi", "boot/efiboot.img"),
    ]
    assert volume.boot[1].entry.load_sectors == -(-90000 // 2048) * 4
    assert sum(isinstance(entry, HardLink) for entry in volume.tree) == 1


@pytest.mark.parametrize(("options", "names"), [("-J -joliet-long", "Joliet"), ("-l -allow-multidot", "ISO 9660")])
def test_names_without_rock_ridge(tmp_path, need, options, names):
    need("genisoimage")
    source = tmp_path / "source"
    source.mkdir()
    for name, data in {"Read Me.Txt": b"a", "loader": b"b", "x.y": b"c"}.items():
        (source / name).write_bytes(data)
        os.utime(source / name, (MTIME, MTIME))
    (source / "Folder").mkdir()
    (source / "Folder" / "inside").write_bytes(b"d")
    volume = iso.read_volume(make(f"genisoimage -quiet {options}", source, tmp_path))
    assert volume.names == names
    tree = volume.tree
    if names == "Joliet":
        expected = {"Read Me.Txt": b"a", "loader": b"b", "x.y": b"c", "Folder/inside": b"d"}
    else:
        expected = {"read_me.txt": b"a", "loader": b"b", "x.y": b"c", "folder/inside": b"d"}
    assert {file.path: file.content.read() for file in tree.files()} == expected
    assert tree["loader"].mtime == MTIME
    assert (tree["loader"].mode, tree["loader"].uid) == (0o644, 0)


def test_our_image_reads_like_theirs(folder, tmp_path, need):
    """What xorriso made, read and written by us, is the same tree."""
    need("xorriso")
    tree = iso.read(make("xorriso -as mkisofs -quiet -R --hardlinks", folder, tmp_path))
    ours = iso.read(iso.plan(tree, volume_id="AGAIN", time=0).content())
    assert [(entry.path, entry.mode, entry.mtime) for entry in ours.sorted()] == [
        (entry.path, entry.mode, entry.mtime) for entry in tree.sorted()
    ]
    compare(ours, folder)
