"""What goes into an ISO 9660 image comes out of it again."""

from dataclasses import replace

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imagekit.content import Bytes, Composite, DiskFile
from imagekit.errors import InputError, PlanError
from imagekit.formats import iso
from imagekit.formats.iso.layout import EARLIEST, LATEST
from imagekit.tree import Directory, File, HardLink, Special, Symlink, Tree

TIME = 1_700_000_000


def facts(tree):
    """Return what a tree says, path by path, hard links as the set of names that share an inode."""
    groups = {}
    for entry in tree:
        owner = entry
        while isinstance(owner, HardLink):
            owner = tree[owner.target]
        groups.setdefault(owner.path, set()).add(entry.path)
    result = {}
    for owner, names in groups.items():
        entry = tree[owner]
        what = [entry.KIND, entry.mode, entry.uid, entry.gid, entry.mtime]
        if isinstance(entry, File):
            what.append(entry.content.read())
        elif isinstance(entry, Symlink):
            what.append(entry.target)
        elif isinstance(entry, Special):
            what += [entry.type, entry.major, entry.minor]
        for name in names:
            result[name] = (*what, frozenset(names))
    return result


def image(tree, **options):
    options = {"volume_id": "TEST", "time": TIME} | options
    return iso.plan(tree, **options).content()


def tree_of(**files):
    tree = Tree()
    for name, data in files.items():
        tree.add(File(path=name, content=Bytes(data)))
    return tree


def name_bytes():
    return st.one_of(
        st.binary(min_size=1, max_size=20),
        st.text("abcXYZ._- ;~", min_size=1, max_size=12).map(str.encode),
        st.text("ab.", min_size=60, max_size=255).map(str.encode),
        st.text(max_size=20, min_size=1).map(lambda text: text.encode("utf-8", "replace")),
    ).filter(lambda name: name not in {b".", b".."} and not {0, 0x2F} & set(name))


names = name_bytes().map(lambda name: name.decode("utf-8", "surrogateescape"))
targets = st.one_of(
    st.sampled_from(["/", "//", ".", "..", "../..", "a//b/", "/usr/./bin", "a/" * 400 + "b", "/" + "x" * 700]),
    st.lists(names, min_size=1, max_size=40)
    .map("/".join)
    .filter(lambda text: len(text.encode("utf8", "replace")) < 4000),
)
common = st.fixed_dictionaries(
    {
        "mode": st.integers(0, 0o7777),
        "uid": st.integers(0, 0xFFFFFFFF),
        "gid": st.integers(0, 0xFFFFFFFF),
        "mtime": st.integers(EARLIEST, LATEST),
    }
)


@st.composite
def trees(draw):
    tree = Tree(Directory(path="", **draw(common)))
    directories, linkable = [""], []
    for _ in range(draw(st.integers(0, 25))):
        parent = draw(st.sampled_from(directories))
        name = draw(names)
        path = f"{parent}/{name}" if parent else name
        if path in tree:
            continue
        kind = draw(st.sampled_from(["d", "f", "f", "l", "h", "s"]))
        if kind == "d":
            tree.add(Directory(path=path, **draw(common)))
            directories.append(path)
        elif kind == "h" and linkable:
            target = tree[draw(st.sampled_from(linkable))]
            same = {key: getattr(target, key) for key in ("mode", "uid", "gid", "mtime")}
            tree.add(HardLink(path=path, target=target.path, **same))
        else:
            if kind == "l":
                tree.add(Symlink(path=path, target=draw(targets), **draw(common)))
            elif kind == "s":
                special = draw(st.sampled_from([("p", 0, 0), ("s", 0, 0), ("b", 3, 70000), ("c", 13, 2), ("c", 0, 5)]))
                tree.add(Special(path=path, type=special[0], major=special[1], minor=special[2], **draw(common)))
            else:
                tree.add(File(path=path, content=Bytes(draw(st.binary(max_size=3000))), **draw(common)))
            linkable.append(path)
    return tree


@settings(derandomize=True, max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(trees())
def test_every_tree_comes_back(tree):
    content = image(tree)
    assert facts(iso.read(content)) == facts(tree)
    # Nor does the order in which entries were added show.
    assert image(tree.sorted()).read() == content.read()


def test_volume_says_what_it_was_told():
    tree = tree_of(a=b"x")
    volume = iso.read_volume(
        image(
            tree,
            volume_set_id="SET_1",
            system_id="SOLARIS",
            publisher="SOMEONE",
            preparer="IMAGEKIT 1.0",
            application="SMARTOS LIVE",
        )
    )
    assert (volume.volume_id, volume.volume_set_id, volume.system_id) == ("TEST", "SET_1", "SOLARIS")
    assert (volume.publisher, volume.preparer, volume.application) == ("SOMEONE", "IMAGEKIT 1.0", "SMARTOS LIVE")
    assert volume.created == volume.modified == TIME
    assert volume.names == "Rock Ridge"
    assert volume.boot == ()
    assert volume.size == image(tree).size


def test_contents_are_stored_once(tmp_path):
    (tmp_path / "x").write_bytes(b"x" * 5000)
    shared = Bytes(b"y" * 5000)
    tree = Tree()
    for name in "ab":
        tree.add(File(path=name, content=DiskFile(tmp_path / "x")))
    for name in "cd":
        tree.add(File(path=name, content=shared))
    tree.add(HardLink(path="e", target="a"))
    plan = iso.plan(tree, volume_id="TEST", time=TIME)
    assert [extent.what for extent in plan.extents if extent.size == 5000] == ["/a", "/c"]
    found = iso.read(plan.content())
    assert facts(found)["b"][5:] == (b"x" * 5000, frozenset("b"))
    assert facts(found)["e"][5:] == (b"x" * 5000, frozenset("ae"))


def boot_tree():
    tree = tree_of(cdboot=bytes(range(256)) * 20 + b"abc", small=b"x" * 63, empty=b"")
    tree.add(File(path="efiboot.img", content=Composite(40 << 20, [(0, Bytes(b"FAT"))])))
    tree.add(HardLink(path="other", target="cdboot"))
    tree.add(File(path="copy", content=tree["cdboot"].content))
    tree.add(Symlink(path="link", target="cdboot"))
    return tree


EFI = iso.BootEntry(path="efiboot.img", platform="efi")
BIOS = iso.BootEntry(path="cdboot", platform="bios", boot_info_table=True, load_sectors=4)


def test_boot_entries():
    plan = iso.plan(boot_tree(), volume_id="TEST", time=TIME, boot=[EFI, BIOS])
    volume = iso.read_volume(plan.content())
    bios, efi = volume.boot
    assert (bios.platform, bios.path, bios.entry.load_sectors, bios.entry.media) == ("bios", "cdboot", 4, 0)
    assert (efi.platform, efi.path, efi.entry.load_sectors, efi.content.size) == ("efi", "efiboot.img", 0, 40 << 20)
    program = bytes(range(256)) * 20 + b"abc"
    patched = bios.content.read()
    words = patched[64:] + b"\0"
    checksum = sum(int.from_bytes(words[n : n + 4], "little") for n in range(0, len(words), 4)) & 0xFFFFFFFF
    table = [int.from_bytes(patched[n : n + 4], "little") for n in range(8, 24, 4)]
    assert table == [16, bios.entry.sector, len(program), checksum]
    assert patched[:8] + patched[64:] == program[:8] + program[64:]
    assert patched[24:64] == bytes(40)
    # Its hard link is the same file; another file with the same content is not.
    assert iso.read(plan.content())["other"].target == "cdboot"
    assert volume.tree["copy"].content.read() == program
    assert [boot.path for boot in plan.boot] == ["cdboot", "efiboot.img"]
    assert plan.data()["boot"][1]["platform_id"] == 0xEF
    assert any("bios starts /cdboot" in line for line in plan.lines())


def test_whole_programs_are_loaded_by_default():
    for entry, count in ((replace(BIOS, load_sectors=None), 11), (replace(EFI, path="cdboot"), 11)):
        assert iso.plan(boot_tree(), volume_id="TEST", time=TIME, boot=[entry]).boot[0].load_sectors == count
    alone = iso.read_volume(image(boot_tree(), boot=[EFI])).boot
    assert [boot.platform for boot in alone] == ["efi"]


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        (replace(EFI, path="nothing"), "/nothing: the EFI boot image is missing"),
        (replace(BIOS, path="link"), "/link: the BIOS boot image is a symbolic link"),
        (replace(BIOS, path="empty"), "/empty: the BIOS boot image is an empty file"),
        (replace(BIOS, path="small"), "63 bytes for BIOS"),
        (replace(EFI, boot_info_table=True), "no boot info table"),
        (replace(BIOS, path="efiboot.img", load_sectors=None), "81,920 sectors of 512 bytes"),
        (replace(BIOS, load_sectors=0), "0 sectors of 512 bytes"),
    ],
)
def test_unfit_boot_entries(entry, message):
    with pytest.raises((InputError, PlanError)) as caught:
        image(boot_tree(), boot=[entry])
    assert message in str(caught.value)
    assert caught.value.hint


@pytest.mark.parametrize("volume_id", ["", "smartos", "A" * 33, "A B", "A-B"])
def test_bad_volume_ids(volume_id):
    with pytest.raises(PlanError, match="not a volume id") as caught:
        image(Tree(), volume_id=volume_id)
    suggested = caught.value.hint.rpartition(" ")[2]
    assert iso.read_volume(image(Tree(), volume_id=suggested)).volume_id == suggested


def test_bad_ids_and_time():
    for options in ({"publisher": "me"}, {"application": "A" * 129}, {"system_id": "A" * 33}, {"volume_set_id": "A B"}):
        with pytest.raises(PlanError, match="not a "):
            image(Tree(), **options)
    with pytest.raises(PlanError, match="none that an ISO can hold"):
        image(Tree(), time=LATEST + 1)


def test_all_that_an_iso_cannot_hold_is_reported_together():
    tree = Tree()
    tree.add(File(path="large", content=Composite(1 << 32, [])))
    tree.add(File(path="n" * 256, content=Bytes(b"")))
    tree.add(Symlink(path="far", target="x" * 4096))
    tree.add(Symlink(path="nowhere", target=""))
    tree.add(Symlink(path="odd", target="\ud800"))
    tree.add(HardLink(path="hard", target="gone"))
    tree.add(HardLink(path="round", target="round"))
    tree.add(File(path="mode", content=Bytes(b""), mode=0o100644))
    tree.add(File(path="owner", content=Bytes(b""), uid=-1))
    tree.add(Special(path="door", type="D"))
    with pytest.raises(PlanError) as caught:
        image(tree)
    message = str(caught.value)
    for name in ("large has 4,294,967,296", "/nnnn", "/far", "/nowhere", "/odd", "/hard", "/round", "/mode", "/owner"):
        assert name in message
    assert "these 10" in message
    tree = Tree()
    tree.add(File(path="large", content=Composite((1 << 32) - 1, [])))
    assert iso.read(image(tree))["large"].content.size == (1 << 32) - 1


def test_warnings():
    tree = tree_of(
        **{"n" * 177: b"", "m" * 178: b"", "o" * 254: b"", "Foo": b"", "foo": b"", "Foobar": b"", "Foo.x": b""}
    )
    tree.add(File(path="old", content=Bytes(b""), mtime=EARLIEST - 1))
    plan = iso.plan(tree, volume_id="TEST", time=TIME)
    text = "\n".join(plan.warnings)
    assert len(plan.warnings) == 4
    assert "/old: its time" in text
    assert f"/{'m' * 178}: the boot loader does not see so long a name (178 bytes)\n" in text
    assert "254 bytes); Linux cuts it" in text
    assert "/Foo: the boot loader would open Foobar instead" in text
    assert iso.read(plan.content())["old"].mtime == EARLIEST
    assert set(plan.warnings) <= set(plan.data()["warnings"])


def test_records_leave_a_zero_at_the_end_of_every_sector():
    for length in range(1, 30):
        tree = Tree()
        for number in range(200):
            tree.add(File(path=f"{number:03}{'x' * length}", content=Bytes(b"")))
        plan = iso.plan(tree, volume_id="TEST", time=TIME)
        root = next(extent for extent in plan.extents if extent.what == "directory /")
        data = plan.content().read(root.sector * 2048, root.size)
        assert all(data[end - 1] == 0 for end in range(2048, len(data) + 1, 2048))
        assert len(iso.read(plan.content())) == 201
