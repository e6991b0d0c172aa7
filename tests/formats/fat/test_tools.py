"""FAT against other implementations: dosfstools, mtools, GRUB, 7-Zip and, through QEMU, a Linux kernel."""

import hashlib
import os
import random
import re
import subprocess
from datetime import UTC, datetime

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagekit.content import Bytes, Composite, DiskFile, write_sparse
from imagekit.files.output import Outputs
from imagekit.formats import fat
from imagekit.formats.fat import names
from imagekit.tree import Directory, File, Tree

MIB = 1 << 20
ENVIRONMENT = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}


def run(*command, **options):
    return subprocess.run(
        [*map(str, command)], check=True, capture_output=True, env=ENVIRONMENT, timeout=120, **options
    ).stdout


def text(*command):
    return run(*command).decode()


def write(content, path):
    with Outputs() as outputs:
        write_sparse(content, outputs.file(path))
    return path


def fsck(path):
    """Run fsck.fat, which may say nothing but what it is and a summary; return the summary."""
    version, *rest = text("fsck.fat", "-n", path).splitlines()
    assert version.startswith("fsck.fat ")
    assert len(rest) == 1, rest
    return rest[0].removeprefix(f"{path}: ")


def add(tree, path, data, mtime=1_700_000_000):
    tree.add_parents(path, mtime=1_600_000_000)
    tree.add(File(path=path, content=Bytes(data), mtime=mtime))


def platform(many=400):
    """A tree like a boot medium's, with many long names in one directory."""
    tree = Tree(Directory(path="", mtime=1_500_000_000))
    noise = random.Random(1).randbytes
    add(tree, "boot/loader.rc", b"include /boot/forth/loader.4th\n")
    add(tree, "boot/defaults/loader.conf", noise(11_111))
    add(tree, "boot/forth/brand-smartos.4th", noise(3000))
    add(tree, "EFI/BOOT/BOOTX64.EFI", noise(300_000))
    add(tree, "platform/i86pc/amd64/boot_archive", noise(3 * MIB + 5), 1_650_000_001)
    add(tree, "platform/i86pc/kernel/amd64/unix", noise(65536))
    add(tree, "platform/etc/version/platform", b"20260101T000000Z\n", 4_000_000_000)
    add(tree, "README", b"in capitals\n")
    add(tree, "empty", b"")
    add(tree, "one.cluster", bytes(512))
    add(tree, "a name with spaces. and dots.text", b"1")
    add(tree, ".hidden", b"2")
    add(tree, "plus+comma,[brackets]=;", b"3")
    add(tree, "w" * 255, b"4")
    for number in range(many):
        add(tree, f"platform/Many/Mixed-Case_Name-Number {number}.Json", b"%d" % number)
    tree.add(Directory(path="nothing", mtime=1_400_000_000))
    return tree


def files_of(tree):
    return {file.path: file.content.read() for file in tree.files()}


DISKS = [
    (32, 34_099_200, None),
    (32, 300 * MIB, 4096),
    (32, 300 * MIB, 2048),
    (16, 12 * MIB, None),
    (16, 200 * MIB, 8192),
    (12, 6 * MIB, None),
    (12, 40 * MIB, 16384),
]


@pytest.fixture(scope="module", params=DISKS, ids=str)
def disk(request, tmp_path_factory):
    """A disk image with a file system at 1 MiB, the file system alone, and what is in it."""
    kind, size, cluster_size = request.param
    tree = platform()
    plan = fat.plan(
        tree,
        size,
        kind=kind,
        label="SMARTOSBOOT",
        volume_id=0xDEADBEEF,
        hidden_sectors=2048,
        cluster_size=cluster_size,
    )
    folder = tmp_path_factory.mktemp("fat")
    alone = write(plan.content(), folder / "fat.img")
    whole = write(Composite(MIB + size, [(MIB, plan.content())]), folder / "disk.img")
    return whole, alone, tree, plan


def test_fsck_has_nothing_to_say(need, disk):
    need("fsck.fat")
    _, alone, tree, plan = disk
    count = len(tree) - 1 + 1  # without the root, with the volume label, which fsck.fat counts as a file
    assert fsck(alone) == f"{count} files, {plan.placement.used_clusters}/{plan.geometry.cluster_count} clusters"


def test_mtools_finds_the_same_at_an_offset(need, disk, tmp_path):
    need("mcopy", "mdir", "minfo")
    whole, _, tree, plan = disk
    image = f"{whole}@@{MIB}"
    run("mcopy", "-s", "-m", "-i", image, "::", tmp_path)
    found = {}
    for path in tmp_path.rglob("*"):
        found[str(path.relative_to(tmp_path))] = path.read_bytes() if path.is_file() else None
    assert found == {entry.path: entry.content.read() if isinstance(entry, File) else None for entry in list(tree)[1:]}
    for file in tree.files():
        assert (tmp_path / file.path).stat().st_mtime == file.mtime - file.mtime % 2
    listing = text("mdir", "-i", image, "::/boot")
    assert "is SMARTOSBOOT" in listing
    assert "DEAD-BEEF" in listing
    assert re.search(r"^LOADER   RC +31 2023-11-14  22:13  loader.rc$", listing, re.MULTILINE)
    info = text("minfo", "-i", image, "::")
    if plan.format == "FAT32":
        assert f"free clusters={plan.placement.free_clusters}" in info
    assert f'disk type="{plan.format}   "' in info
    assert "hidden sectors: 2048" in info


def test_mtools_can_go_on_where_the_plan_ended(need, disk, tmp_path):
    need("mcopy", "mdel", "fsck.fat")
    _, alone, tree, _ = disk
    copy = tmp_path / "fat.img"
    run("cp", "--sparse=always", alone, copy)
    new = tmp_path / "new"
    new.write_bytes(b"new" * 100_000)
    run("mdel", "-i", copy, "::/boot/loader.rc")
    run("mcopy", "-i", copy, new, "::/platform/Many/Another Long Name.Json")
    expected = files_of(tree)
    del expected["boot/loader.rc"]
    expected["platform/Many/Another Long Name.Json"] = new.read_bytes()
    assert files_of(fat.read(DiskFile(copy))) == expected
    fsck(copy)


def test_grub_lists_and_reads_the_same(need, disk):
    need("grub-fstest")
    _, alone, tree, _ = disk
    for directory in ("", "boot", "platform/Many"):
        listing = text("grub-fstest", alone, "ls", f"(loop0)/{directory}").strip("\n")
        # GRUB hides names with a leading dot, and shows those that have no long form in small letters.
        expected = [
            (entry.name.lower() if names.fits(entry.name) else entry.name) + "/" * isinstance(entry, Directory)
            for entry in tree.children(directory)
            if not entry.name.startswith(".")
        ]
        assert listing.rstrip() == " ".join(expected)
    for path in ("platform/i86pc/amd64/boot_archive", "efi/boot/bootx64.EFI", "empty", "boot/DEFAULTS/loader.conf"):
        original = {file.path.lower(): file for file in tree.files()}[path.lower()]
        assert run("grub-fstest", alone, "cat", f"(loop0)/{path}") == original.content.read()


def test_7zip_lists_the_same(need, disk):
    need("7zz")
    _, alone, tree, plan = disk
    listing = text("7zz", "l", "-slt", alone)
    header, _, entries = listing.partition("----------\n")
    assert f"File System = {plan.format}\n" in header
    assert f"Cluster Size = {plan.geometry.cluster_size}\n" in header
    found = {}
    for block in entries.strip().split("\n\n"):
        fields = dict(line.partition(" = ")[::2] for line in block.splitlines())
        found[fields["Path"]] = (fields["Folder"] == "+", fields["Size"] or "0", fields["Modified"][:19])
    expected = {}
    for entry in list(tree)[1:]:
        time = datetime.fromtimestamp(entry.mtime - entry.mtime % 2, UTC).strftime("%Y-%m-%d %H:%M:%S")
        folder = isinstance(entry, Directory)
        expected[entry.path] = (folder, "0" if folder else str(entry.content.size), time)
    assert found == expected


NAMES = st.text(st.characters(max_codepoint=0x2FF, exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60)


@given(st.lists(NAMES.filter(lambda name: not names.fault(name)), unique_by=names.folded, max_size=40))
@settings(deadline=None, max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_fsck_has_nothing_to_say_about_any_names(need, tmp_path, several):
    need("fsck.fat")
    tree = Tree()
    for index, name in enumerate(several):
        if name in {".", ".."}:
            continue
        if index % 3:
            tree.add(File(path=name, content=Bytes(name.encode()[: index % 4] * 300)))
        else:
            tree.add(Directory(path=name))
    for kind in (12, 16, 32):
        plan = fat.plan(tree, fat.minimum_size(tree, kind=kind), kind=kind, label="", volume_id=1)
        fsck(write(plan.content(), tmp_path / "fat.img"))


@pytest.mark.parametrize("size", [0, 1, 100_000, 760_000, 2_030_000, 2_040_000, 8_300_000, 8_400_000, 33_000_000])
def test_efi_system_partitions_just_large_enough(need, tmp_path, size):
    need("fsck.fat", "mdir", "mtype")
    data = random.Random(size).randbytes(size)
    tree = Tree()
    add(tree, "EFI/BOOT/BOOTX64.EFI", data)
    smallest = fat.minimum_size(tree, kind=None)
    plan = fat.plan(tree, smallest, kind=None, label="SYSTEM", volume_id=1)
    image = write(plan.content(), tmp_path / "fat.img")
    assert fsck(image) == f"4 files, {plan.placement.used_clusters}/{plan.geometry.cluster_count} clusters"
    assert text("mdir", "-b", "-/", "-i", image, "::") == "::/EFI/\n::/EFI/BOOT/\n::/EFI/BOOT/BOOTX64.EFI\n"
    assert run("mtype", "-i", image, "::/EFI/BOOT/BOOTX64.EFI") == data


def test_a_root_directory_of_many_sectors(need, tmp_path):
    need("fsck.fat", "mdir")
    tree = Tree()
    for number in range(1000):
        add(tree, f"A rather long name {number}", b"x")
    for kind in (12, 16):
        plan = fat.plan(tree, 8 * MIB, kind=kind, label="", volume_id=1)
        image = write(plan.content(), tmp_path / "fat.img")
        fsck(image)
        shown = text("mdir", "-b", "-i", image, "::").splitlines()
        assert shown == [f"::/{entry.path}" for entry in tree.children("")]


def test_thousands_of_names_in_one_directory(need, tmp_path):
    need("fsck.fat", "mdir")
    tree = platform(5000)
    plan = fat.plan(tree, 64 * MIB, label="", volume_id=1)
    image = write(plan.content(), tmp_path / "fat.img")
    fsck(image)
    shown = text("mdir", "-b", "-i", image, "::/platform/Many").splitlines()
    assert shown == [f"::/{entry.path}" for entry in tree.children("platform/Many")]


@pytest.mark.parametrize(
    ("kind", "size", "options"),
    [
        ("FAT12", 1440 << 10, ["-F", "12"]),
        ("FAT12", 4 * MIB, ["-F", "12", "-s", "4", "-f", "1"]),
        ("FAT12", 4 * MIB, ["-S", "2048", "-F", "12"]),
        ("FAT16", 16 * MIB, ["-F", "16"]),
        ("FAT16", 40 * MIB, ["-F", "16", "-s", "2", "-R", "5", "-r", "1024"]),
        ("FAT32", 40 * MIB, ["-F", "32", "-s", "1"]),
        ("FAT32", 300 * MIB, ["-F", "32", "-f", "1"]),
    ],
)
def test_reading_what_others_wrote_and_fragmented(need, tmp_path, kind, size, options):
    need("mkfs.fat", "mcopy", "mdel", "mmd", "fsck.fat")
    image = tmp_path / "fat.img"
    run("mkfs.fat", "-C", *options, "-i", "cafe1234", "-n", "FOREIGN", image, size >> 10)
    generator = random.Random(size)
    expected = {}

    def put(path, length):
        source = tmp_path / "source"
        source.write_bytes(generator.randbytes(length))
        os.utime(source, (1_700_000_000, 1_700_000_000))
        run("mcopy", "-m", "-i", image, source, f"::{path}")
        expected[path] = source.read_bytes()

    run("mmd", "-i", image, "::dir", "::dir/Deep Directory")
    for number in range(30):
        put(f"dir/Long Name {number}", 9000)
    for number in range(0, 30, 2):
        path = f"dir/Long Name {number}"
        run("mdel", "-i", image, f"::{path}")
        del expected[path]
    if kind == "FAT32":
        with image.open("r+b") as file:  # so that mtools fills the gaps: FSInfo's next free cluster unknown
            file.seek(512 + 492)
            file.write(b"\xff\xff\xff\xff")
    put("dir/Deep Directory/fragmented", 150_000)
    put("lower.txt", 1)
    put("UPPER.TXT", 512)
    put("Mixed.Txt", 0)
    fsck(image)
    volume = fat.read_volume(DiskFile(image))
    assert (volume.kind, volume.label, volume.volume_id, volume.clean) == (kind, "FOREIGN", 0xCAFE1234, True)
    assert files_of(volume.tree) == expected
    assert {file.mtime for file in volume.tree.files()} == {1_700_000_000}
    content = volume.tree["dir/Deep Directory/fragmented"].content
    assert isinstance(content, Composite)
    assert content.read(20_000, 70_000) == expected["dir/Deep Directory/fragmented"][20_000:90_000]
    used, total = map(int, re.search(r"(\d+)/(\d+) clusters", fsck(image)).groups())
    assert (volume.used_clusters, volume.geometry.cluster_count) == (used, total)


def test_a_fat32_with_fewer_clusters_than_it_should_have(need, tmp_path):
    need("mkfs.fat")
    image = tmp_path / "fat.img"
    run("mkfs.fat", "-C", "-F", "32", "-s", "8", "-n", "SMALL", image, 40 << 10)
    volume = fat.read_volume(DiskFile(image))
    assert (volume.kind, volume.label, len(list(volume.tree)), volume.used_clusters) == ("FAT32", "SMALL", 1, 1)


@pytest.mark.parametrize("damage", [0x0B, 0x1A7])
def test_fsck_does_complain_when_something_is_wrong(need, disk, tmp_path, damage):
    """The other tests mean something: one flipped byte is seen."""
    need("fsck.fat")
    _, alone, _, plan = disk
    copy = tmp_path / "fat.img"
    run("cp", "--sparse=always", alone, copy)
    with copy.open("r+b") as image:
        image.seek(plan.geometry.fat_offset(1) + damage)  # of the first, fsck.fat may hang
        image.write(b"\x55")
    with pytest.raises((AssertionError, subprocess.CalledProcessError)):
        fsck(copy)


@pytest.mark.boot
@pytest.mark.parametrize("disk", [DISKS[1], DISKS[3], DISKS[5]], indirect=True, ids=str)
def test_a_linux_kernel_lists_the_same(need, shared, disk):
    need("qemu-system-x86_64")
    tool = shared / "tools" / "kernel-ls"
    if not tool.exists():
        pytest.skip("needs kernel-ls in ../shared/tools")
    _, alone, tree, plan = disk
    found = {}
    for line in text(tool, alone).splitlines():
        word, *fields = line.split(" ", 9)
        assert word != "kernel", line
        if word == "fs":
            assert "type=vfat" in line
            assert f"free={plan.placement.free_clusters}" in line
        if word == "file":
            _, kind, _, _, _, size, mtime, digest, path = fields
            found[path.removeprefix("/")] = (kind, None if kind == "d" else int(size), mtime, digest)
    expected = {}
    for entry in list(tree)[1:]:
        mtime = datetime.fromtimestamp(entry.mtime - entry.mtime % 2, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        data = entry.content.read() if isinstance(entry, File) else None
        expected[entry.path] = (
            ("d", None, mtime, "-") if data is None else ("f", len(data), mtime, hashlib.sha256(data).hexdigest())
        )
    assert "" in found
    del found[""]
    assert found == expected
