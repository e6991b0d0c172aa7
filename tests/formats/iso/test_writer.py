"""Other programs find in our ISO images exactly what went in."""

import hashlib
import io
import re
import struct
import subprocess
import tarfile

import pycdlib
import pytest

from imagekit.content import Bytes, Composite, write_sparse
from imagekit.files.output import Outputs
from imagekit.formats import iso
from imagekit.progress import SILENT
from imagekit.tree import Directory, File, HardLink, Special, Symlink, Tree

TIME = 1_700_000_000
MTIME = 1_600_000_000
SECTOR = 2048


def sample():
    tree = Tree(Directory(path="", mtime=MTIME))

    def add(path, data=b"", mode=0o644, **more):
        tree.add_parents(path, mtime=MTIME)
        tree.add(File(path=path, content=Bytes(data, path), mode=mode, mtime=MTIME, **more))

    add("boot/cdboot", bytes(range(256)) * 27 + b"abc", 0o444)
    add("boot/loader", b"loader" * 5000, 0o555)
    add("boot/loader64.efi", b"EFI" * 5000)
    add("boot/loader.conf", b"console=text\n")
    add("boot/forth/brand-smartos.4th", b"4th")
    add("platform/i86pc/kernel/amd64/unix", b"\x7fELF" * 9000, 0o755)
    add("platform/i86pc/amd64/boot_archive", b"archive" * 70001)
    add("platform/i86pc/amd64/boot_archive.hash", b"0" * 40 + b"\n", 0o4711)
    add("empty")
    add("owned", b"x", 0o2755, uid=25, gid=65)
    for number in range(350):
        add(f"many/Some Long Mixed-Case Name With Number {number:04}, and more of it in.Txt", b"%d" % number)
    add("/".join(f"Level{number}" for number in range(14)) + "/deep", b"deep")
    add("long/" + "n" * 173, b"n")
    add("long/" + "o" * 250, b"o")
    add("names/Gr\xfc\xdfe \u2603.txt", b"s")
    add("names/.hidden", b"h")
    tree.add(
        File(
            path="boot/efiboot.img",
            content=Composite(40 << 20, [(0, Bytes(b"FAT")), (39 << 20, Bytes(b"x"))]),
            mtime=MTIME,
        )
    )
    tree.add(HardLink(path="boot/hard", target="boot/loader", mode=0o555, mtime=MTIME))
    links = ["a", "../x", "/", "/usr/bin", "./.", "y" * 240 + "/../" + "z" * 200 + "/" + "w" * 200]
    for number, target in enumerate(links):
        tree.add(Symlink(path=f"link{number}", target=target, mtime=MTIME))
    tree.add(Special(path="pipe", type="p", mode=0o640, mtime=MTIME))
    return tree


BOOT = [
    iso.BootEntry(path="boot/cdboot", platform="bios", boot_info_table=True, load_sectors=4),
    iso.BootEntry(path="boot/efiboot.img", platform="efi"),
]


@pytest.fixture(scope="module")
def tree():
    return sample()


@pytest.fixture(scope="module")
def plan(tree):
    return iso.plan(tree, volume_id="SMARTOS_20261122T000000Z", time=TIME, boot=BOOT)


@pytest.fixture(scope="module")
def image(plan, tmp_path_factory):
    path = tmp_path_factory.mktemp("iso") / "x.iso"
    with Outputs() as outputs:
        write_sparse(plan.content(), outputs.file(path), SILENT)
    return path


def run(*command):
    done = subprocess.run([str(word) for word in command], capture_output=True, check=False)
    return done.returncode, done.stdout.decode("utf-8", "surrogateescape"), done.stderr.decode()


def wanted(tree, plan, path):
    """Return what a file holds on the image: only the boot program differs from what went in."""
    entry = tree[path]
    file = tree[entry.target] if isinstance(entry, HardLink) else entry
    data = file.content.read()
    if file.path == "boot/cdboot":
        words = struct.unpack(f"<{len(data) // 4 - 15}I", data[64:] + b"\0")
        table = struct.pack("<4I40x", 16, plan.boot[0].sector, len(data), sum(words) & 0xFFFFFFFF)
        data = data[:8] + table + data[64:]
    return data


def letters(entry):
    """Return the mode as ls shows it."""
    first = {"directory": "d", "symbolic link": "l", "special file": "p"}.get(entry.KIND, "-")
    text = "".join(
        letter if entry.mode >> bit & 1 else "-" for bit, letter in zip(range(8, -1, -1), "rwx" * 3, strict=True)
    )
    for bit, place, low, high in ((11, 2, "s", "S"), (10, 5, "s", "S"), (9, 8, "t", "T")):
        if entry.mode >> bit & 1:
            text = text[:place] + (low if text[place] == "x" else high) + text[place + 1 :]
    return first + text


def test_xorriso_reports_the_boot_entries(image, plan, need):
    need("xorriso")
    code, output, messages = run("xorriso", "-indev", image, "-report_el_torito", "plain", "-pvd_info")
    assert code == 0, messages
    bios, efi = (boot.sector for boot in plan.boot)
    catalog = next(extent.sector for extent in plan.extents if extent.what == "boot catalog")
    assert re.search(rf"^El Torito catalog  : {catalog}  1$", output, re.MULTILINE)
    assert re.search(rf"boot img :   1  BIOS  y   none  0x0000  0x00      4\s+{bios}$", output, re.MULTILINE)
    assert re.search(rf"boot img :   2  UEFI  y   none  0x0000  0x00      0\s+{efi}$", output, re.MULTILINE)
    assert "img path :   1  /boot/cdboot\n" in output
    assert "img opts :   1  boot-info-table\n" in output
    assert "img path :   2  /boot/efiboot.img\n" in output
    assert "Volume Id    : SMARTOS_20261122T000000Z\n" in output
    assert "Creation Time: 2023111422132000\n" in output
    assert "WARNING" not in messages.replace("More than one ISO node", "")


def test_xorriso_lists_the_tree(image, tree, need):
    need("xorriso")
    code, output, messages = run("xorriso", "-indev", image, "-find", "/", "-exec", "lsdl")
    assert code == 0, messages
    found = {}
    for line in output.splitlines():
        match = re.fullmatch(r"(\S+) +\d+ (\d+) +(\d+) +(\d+) .{12} '(.*?)'(?: -> '(.*)')?", line)
        if match:
            mode, uid, gid, size, path, target = match.groups()
            found[path.strip("/")] = (mode, int(uid), int(gid), int(size), target)
    expected = {}
    for entry in tree:
        file = tree[entry.target] if isinstance(entry, HardLink) else entry
        size = file.content.size if isinstance(file, File) else 0
        target = entry.target if isinstance(entry, Symlink) else None
        expected[entry.path] = (letters(entry), entry.uid, entry.gid, size, target)
    assert found == expected


def test_isoinfo_lists_the_tree(image, tree, plan, need):
    need("isoinfo")
    code, output, _ = run("isoinfo", "-R", "-f", "-i", image)
    assert code == 0
    assert sorted(output.splitlines()) == sorted(f"/{entry.path}" for entry in tree if entry.path)
    _, output, _ = run("isoinfo", "-R", "-l", "-i", image)
    # isoinfo shows owners in octal, and no set-id bits.
    assert re.search(r"^-rwxr-xr-x   1   31  101               1 Sep 13 2020 .* owned $", output, re.MULTILINE)
    assert re.search(r"^-r-xr-xr-x   2    0    0           30000 Sep 13 2020 .* hard $", output, re.MULTILINE)
    assert re.search(r"^drwxr-xr-x   8    0    0 .* \.\. $", output, re.MULTILINE)
    code, output, messages = run("isoinfo", "-d", "-i", image)
    assert f"Volume size is: {plan.size // SECTOR}\n" in output
    assert "Rock Ridge signatures version 1 found\n" in output
    assert not messages
    # The names of the primary descriptor, for cdboot.
    _, output, _ = run("isoinfo", "-f", "-i", image)
    assert {"/BOOT", "/BOOT/LOADER.;1", "/BOOT/CDBOOT.;1", "/PLATFORM"} <= set(output.splitlines())
    assert len(set(output.splitlines())) == len(tree) - 1


def test_bsdtar_extracts_the_tree(image, tree, plan, need):
    need("bsdtar")
    done = subprocess.run(
        ["bsdtar", "-c", "-f", "-", "--format", "pax", f"@{image}"],
        capture_output=True,
        check=False,
        env={"LC_ALL": "C.UTF-8", "PATH": "/usr/bin:/bin"},
    )
    assert (done.returncode, done.stderr) == (0, b"")
    found = {}
    with tarfile.open(fileobj=io.BytesIO(done.stdout)) as members:
        for member in members:
            path = member.name.removeprefix("./").strip("/")
            path = "" if path == "." else path
            entry = tree[path]
            found[path] = member
            assert member.mode == entry.mode, path
            assert (member.uid, member.gid, member.mtime) == (entry.uid, entry.gid, MTIME), path
            if member.isfile():
                assert members.extractfile(member).read() == wanted(tree, plan, path)
            elif member.issym():
                assert member.linkname == entry.target
            elif member.islnk():
                assert {path, member.linkname.removeprefix("./")} == {"boot/hard", "boot/loader"}
            else:
                assert member.isdir() == isinstance(entry, Directory)
                assert member.isfifo() == isinstance(entry, Special)
    assert set(found) == {entry.path for entry in tree}
    assert sum(member.islnk() for member in found.values()) == 1


def test_pycdlib_walks_the_tree(image, tree, plan):
    opened = pycdlib.PyCdlib()
    opened.open(str(image))
    try:
        assert opened.has_rock_ridge()
        assert opened.eltorito_boot_catalog.initial_entry.get_rba() == plan.boot[0].sector
        assert opened.pvd.space_size * SECTOR == plan.size
        names = {""}
        for folder, folders, files in opened.walk(rr_path="/"):
            prefix = folder.strip("/")
            names |= {f"{prefix}/{name}".strip("/") for name in [*folders, *files]}
            for name in files:
                path = f"{prefix}/{name}".strip("/")
                if isinstance(tree[path], File | HardLink):
                    data = io.BytesIO()
                    opened.get_file_from_iso_fp(data, rr_path=f"/{path}")
                    assert data.getvalue() == wanted(tree, plan, path)
        assert names == {entry.path for entry in tree}
    finally:
        opened.close()


def test_grub_reads_files(image, tree, plan, need):
    need("grub-fstest")
    for path in ("boot/loader", "boot/cdboot", "platform/i86pc/amd64/boot_archive.hash", "long/" + "n" * 173):
        done = subprocess.run(["grub-fstest", image, "cat", f"/{path}"], capture_output=True, check=True)
        assert done.stdout == wanted(tree, plan, path)
    _, output, _ = run("grub-fstest", image, "ls", "/many/")
    assert len(output.split(".Txt ")) == 351
    assert "Number 0349, and more of it in.Txt" in output


def test_7zip_tests_the_image(image, plan, need):
    need("7zz")
    code, output, messages = run("7zz", "t", image)
    assert code == 0, messages
    assert "Everything is Ok" in output
    assert f"Physical Size = {plan.size}\n" in output


def lookup(image, path):
    """Return (sector, bytes) of a file as the illumos loader finds it (libstand/cd9660.c).

    Written after that reader's behaviour, odd as it is: it knows one sector at a time, reads the length of the record
    after the one that it leaves, and takes a record for a match whose name starts with what is looked for.
    """
    descriptor = image[16 * SECTOR : 17 * SECTOR]
    extent, size = int.from_bytes(descriptor[158:162], "little"), int.from_bytes(descriptor[166:170], "little")
    for part in path.encode().split(b"/"):
        offset = sectors = 0
        record = None
        while offset < size:
            if offset % SECTOR == 0:
                buffer = image[(extent + sectors) * SECTOR : (extent + sectors + 1) * SECTOR] + b"\xee" * 512
                sectors, place = sectors + 1, 0
            length = buffer[place]
            assert length % 2 == 0
            if length == 0:
                offset = sectors * SECTOR
                continue
            if loader_match(image, buffer[place : place + length], part):
                record = buffer[place : place + length]
                break
            place += length
            offset = offset + buffer[place] if buffer[place] else sectors * SECTOR
        if record is None:
            return None
        extent, size = int.from_bytes(record[2:6], "little"), int.from_bytes(record[10:14], "little")
    return extent, size


def loader_match(image, record, part):
    name_size = record[32]
    name, use = record[33 : 33 + name_size], record[33 + name_size + (name_size + 1) % 2 :]
    while len(use) > 3:
        if use[:2] == b"NM":
            name = use[5 : use[2]] if use[4] == 0 else name
            break
        if use[:2] == b"CE":
            block, offset, size = (int.from_bytes(use[n : n + 4], "little") for n in (4, 12, 20))
            use = image[block * SECTOR : (block + 1) * SECTOR][offset : offset + size]
        else:
            use = use[use[2] :]
    common = 0
    while common < min(len(name), len(part)) and name[common] in {part[common], part[common : common + 1].upper()[0]}:
        common += 1
    if common < len(part):
        return False
    rest = name[common:]
    return not (rest[:1] == b"." and rest[1:2] != b";")


def cdboot_lookup(image, path):
    """Return (sector, bytes) of a file as cdboot finds it: by primary names, the version and a last dot dropped."""
    descriptor = image[16 * SECTOR : 17 * SECTOR]
    extent, size = int.from_bytes(descriptor[158:162], "little"), int.from_bytes(descriptor[166:170], "little")
    for part in path.encode().split(b"/"):
        found = None
        for first in range(0, size, SECTOR):
            data = image[(extent * SECTOR) + first :][:SECTOR]
            place = 0
            while found is None and data[place]:
                name = data[place + 33 : place + 33 + data[place + 32]]
                if re.sub(rb"\.?(;[0-9]+)?$", b"", name) == part:
                    found = data[place : place + data[place]]
                place += data[place]
        if found is None:
            return None
        extent, size = int.from_bytes(found[2:6], "little"), int.from_bytes(found[10:14], "little")
    return extent, size


def test_the_boot_programs_find_their_files(plan, tree):
    front = max(extent.sector + extent.sectors for extent in plan.extents if extent.what.startswith(("dir", "cont")))
    image = plan.content().read(0, front * SECTOR)
    places = {extent.what: (extent.sector, extent.size) for extent in plan.extents}
    seen = 0
    for file in tree.files():
        if file.content.size and len(file.name) < 178:
            assert lookup(image, file.path) == places[f"/{file.path}"], file.path
            seen += 1
    assert seen > 360
    assert lookup(image, "boot/loade.rc") is None
    assert cdboot_lookup(image, "BOOT/LOADER") == places["/boot/loader"]
    assert cdboot_lookup(image, "boot/loader") is None


@pytest.mark.boot
def test_linux_lists_the_tree(image, tree, plan, shared):
    tool = shared / "tools" / "kernel-ls"
    code, output, messages = run("python3", tool, "--cdrom", image)
    assert code == 0, messages
    found = {}
    for line in output.splitlines():
        if line.startswith("file 0 "):
            _, _, kind, mode, uid, gid, size, mtime, digest, path = line.split(" ", 9)
            found[path.split(" -> ")[0].strip("/")] = (
                kind,
                int(mode, 8),
                int(uid),
                int(gid),
                int(size),
                mtime,
                digest,
                path,
            )
    assert set(found) == {entry.path for entry in tree}
    for entry in tree:
        kind, mode, uid, gid, size, mtime, digest, path = found[entry.path]
        assert (mode, uid, gid, mtime) == (entry.mode, entry.uid, entry.gid, "2020-09-13T12:26:40Z"), path
        file = tree[entry.target] if isinstance(entry, HardLink) else entry
        if isinstance(file, File):
            assert kind == "f"
            assert size == file.content.size
            assert digest == hashlib.sha256(wanted(tree, plan, entry.path)).hexdigest()
        elif isinstance(entry, Symlink):
            assert path == f"/{entry.path} -> {entry.target}"
        else:
            assert kind == ("d" if isinstance(entry, Directory) else "p")
    # The kernel has nothing to say about the image but which extension it has.
    kernel = [line for line in output.splitlines() if line.startswith("kernel ")]
    assert all("RRIP_1991A" in line for line in kernel), kernel
