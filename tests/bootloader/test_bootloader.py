"""The boot stand-ins: built from their sources, and keeping the contracts of what they stand for."""

import os
import re
import struct
import subprocess
from pathlib import Path

import pytest
from hypothesis import HealthCheck, example, given, settings

from kit.loader_model import FILES, Loader, at_the_border

MAGIC = 0x1BADB002
UNIX = "platform/i86pc/kernel/amd64/unix"


@pytest.fixture(scope="module")
def built(project):
    return project / "bootloader" / "built"


def files_below(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.fixture(scope="module")
def rebuilt(project, need, tmp_path_factory):
    need("nasm", "clang", "lld-link")
    version = subprocess.run(["clang", "--version"], capture_output=True, text=True, check=True).stdout
    found = re.search(r"version (\d+)", version)
    assert found
    if found[1] != "14":
        pytest.skip(f"the built bytes are of clang 14, and this is clang {found[1]}")
    folder = tmp_path_factory.mktemp("rebuilt")
    subprocess.run(
        [project / "bootloader" / "build", folder], check=True, env=os.environ | {"LC_ALL": "C", "TZ": "UTC-9"}
    )
    return folder


def test_built_bytes_are_those_of_the_sources(built, rebuilt):
    expected, found = files_below(built), files_below(rebuilt)
    assert found.keys() == expected.keys()
    assert [name for name in expected if found[name] != expected[name]] == []


def test_they_are_small_and_say_nothing_of_where_they_were_built(built):
    contents = files_below(built)
    assert sum(map(len, contents.values())) < 200_000
    assert not any(b"/home/" in data or b"/tmp/" in data or b"/root/" in data for data in contents.values())


def test_the_demo_ships_exactly_these(project, built):
    manifest = (project / "manifests" / "demo" / "boot.manifest").read_text()
    shipped = [line.split()[1] for line in manifest.splitlines() if line.startswith("f ")]
    assert shipped == sorted(name for name in files_below(built) if name.startswith("boot/"))


def test_pmbr_leaves_room_for_what_is_patched_in(built):
    pmbr = (built / "boot/pmbr").read_bytes()
    assert len(pmbr) == 512
    assert pmbr[510:] == b"\x55\xaa"
    assert pmbr[:3] == b"\xeb\x3c\x90"  # a jump over the BIOS parameter block
    assert set(pmbr[0x03:0x3E]) == {0x90}
    assert not any(pmbr[0xFC:0x116])  # stage 2 size and sector, UUID
    assert not any(pmbr[0x1B8:0x1FE])  # disk signature, partition entries


def test_stage_2_has_one_valid_header_behind_a_decoy(built):
    stage2 = (built / "boot/gptzfsboot").read_bytes()
    found = {}
    for offset in range(0, min(len(stage2), 32768) - 31, 4):
        magic, flags, checksum = struct.unpack_from("<III", stage2, offset)
        if magic == MAGIC:
            found[offset] = (magic + flags + checksum) % 2**32 == 0
    assert list(found.values()) == [False, True]
    assert struct.unpack_from("<Q", stage2, list(found)[-1] + 24) == (2**64 - 1,)  # to be patched
    assert len(stage2) % 512  # so that whoever rounds its sectors down is found out
    assert stage2.endswith(b"TAIL")


def test_cdboot_has_room_for_its_table_and_needs_several_sectors(built):
    cdboot = (built / "boot/cdboot").read_bytes()
    assert not any(cdboot[8:64])
    assert len(cdboot) > 2048
    assert cdboot.endswith(b"TAIL")


def test_isoboot_is_a_stage_2_that_ends_within_a_sector(built):
    isoboot = (built / "boot/isoboot").read_bytes()
    offset = isoboot.index(struct.pack("<I", MAGIC))
    assert offset % 4 == 0
    assert sum(struct.unpack_from("<III", isoboot, offset)) % 2**32 == 0
    assert len(isoboot) % 512
    assert isoboot.endswith(b"TAIL")


def test_unix_is_an_elf64_file_that_multiboot_loaders_take(built):
    unix = (built / UNIX).read_bytes()
    assert unix[:5] == b"\x7fELF\x02"
    assert len(unix) >= 32768
    one = [
        offset
        for offset in range(0, 8192 - 11, 4)
        if struct.unpack_from("<II", unix, offset) == (MAGIC, 0x00010003)
        and sum(struct.unpack_from("<III", unix, offset)) % 2**32 == 0
    ]
    two = [
        offset
        for offset in range(0, 32768 - 15, 8)
        if struct.unpack_from("<II", unix, offset) == (0xE85250D6, 0)
        and sum(struct.unpack_from("<IIII", unix, offset)) % 2**32 == 0
    ]
    assert len(one) == len(two) == 1
    header_address, load_address, load_end, bss_end, entry = struct.unpack_from("<5I", unix, one[0] + 12)
    assert header_address - load_address == one[0]
    assert load_end == 0  # the whole file
    assert load_address < entry < load_address + len(unix) < bss_end


def test_the_loader_is_an_efi_application_without_a_date(built):
    loader = (built / "boot/loader64.efi").read_bytes()
    (start,) = struct.unpack_from("<I", loader, 0x3C)
    signature, machine, _, time, _, _, _, characteristics = struct.unpack_from("<4sHHIIIHH", loader, start)
    assert signature == b"PE\0\0"
    assert machine == 0x8664
    assert time == 0
    assert not characteristics & 1  # relocatable
    magic, subsystem = struct.unpack_from("<H66xH", loader, start + 24)
    assert magic == 0x20B
    assert subsystem == 10


@pytest.fixture(scope="module")
def conf_reader(project, need, tmp_path_factory):
    """The loaders' conf.c, built for this computer: a function of files to variables and the numbers of wrong files."""
    need("clang")
    program = tmp_path_factory.mktemp("conf") / "conf"
    loader = project / "bootloader/loader"
    sources = [project / "tests/bootloader/conf_harness.c", loader / "conf.c", loader / "text.c"]
    flags = ["-std=c11", "-ffreestanding", "-fno-builtin", "-Wall", "-Wextra", "-Werror", f"-I{loader}"]
    subprocess.run(["clang", *flags, "-o", program, *sources], check=True)

    def run(texts):
        paths = [program.with_name(f"{number}") for number in range(len(texts))]
        for path, text in zip(paths, texts, strict=True):
            path.write_bytes(text.encode("latin-1"))
        said = subprocess.run([program, *paths], capture_output=True, check=True).stdout.decode("latin-1")
        wrong, _, variables = f"\0{said}".partition("\0\0")
        words = variables.split("\0")[:-1]
        return dict(zip(words[::2], words[1::2], strict=True)), {int(name[-1]) for name in wrong.split("\0") if name}

    return run


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=50)
@given(FILES)
@example(["a=b\nbad line\nc=d\n", "e=f\n"])
@example(['a="$5$x"\nb=c\n', "e=f\n"])
def test_loader_conf_is_read_as_the_loader_reads_it(conf_reader, texts):
    check_conf(conf_reader, texts)


def test_where_the_loader_reads_on(conf_reader):
    for length in range(60, 165):
        check_conf(conf_reader, at_the_border(length))


def check_conf(conf_reader, texts):
    model = Loader()
    for number, text in enumerate(texts):
        model.load(str(number), text.encode("latin-1"))
    variables, wrong = conf_reader(texts)
    modules = {name: v if v[:1] != "'" or name.endswith("_load") else v[1:-1] for name, v in model.modules.items()}
    assert {"ISADIR": "amd64", **variables} == model.environment | modules | {
        name: variables[name] for name in ("exec",) if name in variables
    }
    assert wrong == {int(name) for name, _ in model.errors}
