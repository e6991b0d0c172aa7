"""imagekit's images, booted: every firmware, bus and console, and what must be noticed when something is wrong.

What is expected is computed here from the image and the files that went in, without imagekit's own code.
"""

import re
import shutil
import struct
import subprocess
import uuid
import zlib

import pytest

from kit import qemu

SECTOR = 512
CD_SECTOR = 2048
MODE = "115200,8,n,1,-"
SHADOW = "$5$2HOHRnK3$NvLlm.1KQBbB0WjoP7xcIwGnllhzp2HnT.mDO7DpxYA"


def partitions(image):
    """Read a GPT: {name: (number from 1, type, first sector, sectors)}."""
    found = {}
    with image.open("rb") as file:
        file.seek(SECTOR)
        header = file.read(92)
        assert header[:8] == b"EFI PART"
        array, count, size = struct.unpack_from("<QII", header, 72)
        for number in range(1, count + 1):
            file.seek(array * SECTOR + (number - 1) * size)
            entry = file.read(size)
            first, last = struct.unpack_from("<QQ", entry, 32)
            if first:
                name = entry[56:128].decode("utf-16-le").rstrip("\0")
                found[name] = (number, str(uuid.UUID(bytes_le=entry[:16])), first, last - first + 1)
    return found


def catalog(image):
    """Return where the El Torito boot catalog of an ISO image is, in bytes, and its default entry's fields."""
    with image.open("rb") as file:
        file.seek(17 * CD_SECTOR)
        record = file.read(CD_SECTOR)
        assert record[1:6] == b"CD001"
        place = struct.unpack_from("<I", record, 0x47)[0] * CD_SECTOR
        file.seek(place + 32)
        bootable, _, _, _, _, sectors, first = struct.unpack("<BBHBBHI", file.read(12))
        assert bootable == 0x88
    return place, sectors, first


def change(image, offset, data):
    with image.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def silent(result, *ports):
    """Nothing at all came out of these ports; OVMF itself talks on ttya and ttyb, never on the others."""
    return all(result.ports[port] == "" for port in ports)


def spoke(result):
    """Return the ports on which a stand-in said anything."""
    return [port for port in qemu.CONSOLES if "STANDIN" in result.ports[port]]


def fields(line):
    """Read what is in a line as name=value: {name: value}; brackets around values are dropped."""
    return {name: value.strip("[]").strip() for name, value in re.findall(r"([\w-]+)=(\[[^]]*\]|\S+)", line)}


def report(result, port):
    """Return what the EFI loader said on a port: {what: [the rest of each line]}."""
    said = {}
    for line in result.ports[port].splitlines():
        if found := re.match(r"LOADER-STANDIN ([^:]+): (.*)", line):
            said.setdefault(found[1], []).append(found[2])
    return said


def size_and_crc(path):
    data = path.read_bytes()
    return {"size": str(len(data)), "crc32": f"{zlib.crc32(data):08x}"}


def consoles_headed_by(console):
    """Return the list that build_boot_image writes for a console."""
    if console == "text":
        return "text,ttya,ttyb,ttyc,ttyd"
    others = [port for port in ("ttya", "ttyb", "ttyc", "ttyd") if port != console]
    return ",".join([console, *others, "text"])


def lines_of(result, port, program):
    """Return what a program said on a port: the rest of each of its lines."""
    return [found[1] for found in re.finditer(rf"^{program}-STANDIN (.*?)\r?$", result.ports[port], re.MULTILINE)]


def check_boot(result, platform, console, *, mode=MODE):
    """What loader and kernel must have shown, whatever started them; return the loader's report."""
    assert result.status == 33
    assert result.ports[console].rstrip().endswith("UNIX-STANDIN-END")
    for port in qemu.CONSOLES:
        assert bool(lines_of(result, port, "LOADER")) == bool(lines_of(result, port, "UNIX")) == (port == console)
    assert silent(result, *{"text", "ttyc", "ttyd"} - {console})
    said = report(result, console)
    assert said["file"] == ["/boot/defaults/loader.conf", "/boot/loader.conf"]
    assert "syntax error" not in said
    modes = {f"{port}-mode": mode if port == console else MODE for port in ("ttya", "ttyb", "ttyc", "ttyd")}
    expected = {
        "console": consoles_headed_by(console),
        "os_console": console,
        **modes,
        "loader_logo": "smartos",
        "loader_brand": "smartos",
        "root_shadow": SHADOW,
        "smartos": "true",
    }
    found = (re.fullmatch(r"(\S+)=\[(.*)\] from (\S+)", line) for line in said["variable"])
    assert {one[1]: one[2] for one in found if one and one[3] == "/boot/loader.conf"} == expected
    properties = [f"console={console}", *(f'{name}="{value}"' for name, value in modes.items())]
    arguments = f"-B {','.join(properties)},root_shadow={SHADOW},smartos=true"
    assert said["arguments"] == [arguments]
    speed = "0" if console == "text" else mode.split(",")[0]
    assert said["console"] == [f"{console} speed={speed}"]
    kernel = "i86pc/kernel/amd64/unix"
    assert fields(said["kernel"][0]) == {"path": f"/platform/{kernel}", **size_and_crc(platform / kernel)}
    modules = {
        "boot_archive": ("i86pc/amd64/boot_archive", "rootfs"),
        "boot_archive.hash": ("i86pc/amd64/boot_archive.hash", "hash"),
    }
    assert [fields(line) for line in said["module"]] == [
        {
            "name": name,
            "type": kind,
            "flags": "name=ramdisk",
            "path": f"/platform/{path}",
            **size_and_crc(platform / path),
        }
        for name, (path, kind) in modules.items()
    ]
    strings = [f"/platform/{path} type={kind} name=ramdisk" for path, kind in modules.values()]
    files = [platform / path for path, _ in modules.values()]
    check_kernel(result, console, "multiboot2", f"/platform/{kernel} {arguments}", files, strings)
    return said


def check_kernel(result, console, protocol, arguments, files, strings):
    """What the kernel must have shown: its arguments, and modules that are these files, with these strings."""
    said = lines_of(result, console, "UNIX")
    assert said[0] == f"protocol: {protocol}"
    assert said[2] == f"arguments: {arguments}"
    for index, (line, path, string) in enumerate(zip(said[3:], files, strings, strict=True)):
        data = path.read_bytes()
        expected = f"size={len(data):08x} crc32={zlib.crc32(data):08x} string={string}"
        assert re.sub("address=[0-9a-f]{8} ", "", line) == f"module {index:08x}: {expected}"


class TestBiosDisk:
    @pytest.mark.parametrize("bus", ["usb", "ahci", "virtio", "piix"])
    @pytest.mark.parametrize("console", ["text", "ttya", "ttyb"])
    def test_boots(self, image, boot, built, platform, bus, console):
        disk = image("usb", "-c", console)
        result = boot(disk, bus=bus)
        said = check_boot(result, platform, console)
        if console != "ttyb":
            assert silent(result, "ttyb")
        found = partitions(disk)
        stage2_size = (built / "boot/gptzfsboot").stat().st_size
        assert [fields(line) for line in lines_of(result, "ttya", "PMBR")] == [
            {
                "drive": "80",
                "version": "0200",
                "size": f"{-(-stage2_size // SECTOR):04x}",
                "lba": f"{found['boot'][2]:016x}",
            }
        ]
        assert [fields(line) for line in lines_of(result, "ttya", "STAGE2")] == [
            {"drive": "80", "root": f"{found['root'][2]:016x}", "loaded": "all", "label": "SMARTOSBOOT"}
        ]
        assert said["started from"] == ["gptzfsboot"]
        number, _, first, sectors = found["root"]
        assert said["root"] == [f"partition={number} name=root first={first} sectors={sectors}"]

    @pytest.mark.parametrize("size", [0, -1])
    def test_wrong_size_of_stage_2_is_noticed(self, make, boot_fails, tmp_path, built, size):
        disk = make("usb", tmp_path / "image", "--size", "auto")
        sectors = -(-(built / "boot/gptzfsboot").stat().st_size // SECTOR)
        change(disk, 0xFC, struct.pack("<H", sectors + size if size else 0))
        result = boot_fails(disk)
        said = result.ports["ttya"]
        assert ("STAGE2-STANDIN-FAIL not all of stage 2 was loaded" if size else "PMBR-STANDIN-FAIL") in said
        assert spoke(result) == ["ttya"]

    def test_wrong_sector_of_stage_2_is_noticed(self, make, boot_fails, tmp_path):
        disk = make("usb", tmp_path / "image", "--size", "auto")
        change(disk, 0xFE, struct.pack("<Q", 2**40))
        assert "PMBR-STANDIN-FAIL" in boot_fails(disk).ports["ttya"]

    @pytest.mark.parametrize("by", [-1, 1])
    def test_wrong_sector_of_root_is_noticed(self, make, boot_fails, tmp_path, by):
        disk = make("usb", tmp_path / "image", "--size", "auto")
        found = partitions(disk)
        start = found["boot"][2] * SECTOR
        with disk.open("rb") as file:
            file.seek(start)
            place = file.read(32768).index(struct.pack("<Q", found["root"][2]))
        change(disk, start + place, struct.pack("<Q", found["root"][2] + by))
        assert "STAGE2-STANDIN-FAIL no FAT32 file system begins there" in boot_fails(disk).ports["ttya"]


class TestUefiDisk:
    @pytest.mark.parametrize(
        ("bus", "console"),
        [("usb", "text"), ("usb", "ttya"), ("usb", "ttyb"), ("usb", "ttyd"), ("ahci", "ttya"), ("virtio", "ttyb")],
    )
    def test_boots(self, image, boot, platform, bus, console):
        disk = image("usb", "-c", console)
        said = check_boot(boot(disk, firmware="uefi", bus=bus), platform, console)
        number, _, first, sectors = partitions(disk)["root"]
        assert said["root"] == [f"partition={number} name=root first={first} sectors={sectors}"]
        assert said["started from"] == ["loader"]

    def test_speed_of_the_console(self, image, boot, platform):
        disk = image("usb", "-c", "ttyc:9600")
        check_boot(boot(disk, firmware="uefi"), platform, "ttyc", mode="9600,8,n,1,-")

    def test_no_loader_in_the_esp_is_noticed(self, make, boot_fails, tmp_path):
        disk = make("usb", tmp_path / "image", "--size", "auto")
        esp = partitions(disk)["loader"][2] * SECTOR
        with disk.open("rb") as file:
            file.seek(esp)
            place = file.read(16 << 20).index(b"BOOTX64 EFI")
        change(disk, esp + place, b"\xe5")  # deleted
        result = boot_fails(disk, firmware="uefi")
        assert spoke(result) == []

    def test_defaults_in_the_esp_keep_the_loader_there(self, make, boot_fails, need, built, tmp_path):
        need("mcopy", "mmd")
        disk = make("usb", tmp_path / "image", "-c", "ttya", "--size", "auto")
        number, _, first, sectors = partitions(disk)["loader"]
        esp = f"{disk}@@{first * SECTOR}"
        subprocess.run(["mmd", "-i", esp, "::boot", "::boot/defaults"], check=True)
        subprocess.run(
            ["mcopy", "-i", esp, built / "boot/defaults/loader.conf", "::boot/defaults/loader.conf"], check=True
        )
        result = boot_fails(disk, firmware="uefi")
        said = report(result, "text")  # its loader.conf, with the console in it, was not found
        assert said["root"] == [f"partition={number} name=loader first={first} sectors={sectors}"]
        assert said["file"] == ["/boot/defaults/loader.conf"]
        assert "LOADER-STANDIN-FAIL files that are to be loaded are missing: 3" in result.ports["text"]


class TestBiosCd:
    @pytest.mark.parametrize("console", ["text", "ttya", "ttyb"])
    def test_boots(self, image, boot, built, platform, console):
        cd = image("iso", "-c", console)
        result = boot(cd, bus="cd")
        said = check_boot(result, platform, console)
        if console != "ttyb":
            assert silent(result, "ttyb")
        assert said["started from"] == ["cdboot"]
        assert said["root"] == [f"cd volume=[SMARTOS_{platform.name.removeprefix('platform-')}]"]
        (line,) = lines_of(result, "ttya", "CDBOOT")
        shown = fields(line)
        _, sectors, first = catalog(cd)
        program = (built / "boot/cdboot").read_bytes()
        assert sectors * SECTOR >= len(program)
        assert int(shown["pvd"], 16) == 16
        assert int(shown["file"], 16) == first
        assert int(shown["length"], 16) == len(program)
        total = sum(struct.unpack(f"<{len(program) // 4 - 16}I", program[64:])) % 2**32
        assert shown["sum"] == shown["found-sum"] == f"{total:08x}"
        place, size = int(shown["loader"], 16) * CD_SECTOR, int(shown["loader-length"], 16)
        with cd.open("rb") as file:
            file.seek(place)
            assert file.read(size) == (built / "boot/loader").read_bytes()

    def test_a_corrupted_cdboot_is_noticed(self, make, boot_fails, tmp_path):
        cd = make("iso", tmp_path / "image")
        change(cd, catalog(cd)[2] * CD_SECTOR + 3000, b"\x5a")
        said = boot_fails(cd, bus="cd").ports["ttya"]
        assert "CDBOOT-STANDIN-FAIL the sum in the boot information table is wrong" in said

    @pytest.mark.parametrize("sectors", [1, 4])
    def test_too_few_sectors_to_load_are_noticed(self, make, boot_fails, tmp_path, sectors):
        cd = make("iso", tmp_path / "image")
        change(cd, catalog(cd)[0] + 32 + 6, struct.pack("<H", sectors))
        assert "CDBOOT-STANDIN-FAIL not all of cdboot was loaded" in boot_fails(cd, bus="cd").ports["ttya"]

    def test_no_loader_is_noticed(self, make, boot_fails, built, tmp_path):
        lacking = shutil.copytree(built, tmp_path / "boot")
        (lacking / "boot/loader").unlink()
        cd = make("iso", tmp_path / "image", boot=lacking)
        assert "CDBOOT-STANDIN-FAIL no /BOOT/LOADER" in boot_fails(cd, bus="cd").ports["ttya"]


class TestUefiCd:
    @pytest.mark.parametrize("options", [("-c", "text"), ("-c", "ttyb"), ("-c", "ttya", "--esp-size", "256M")])
    def test_boots(self, image, boot, platform, options):
        said = check_boot(boot(image("iso", *options), firmware="uefi", bus="cd"), platform, options[1])
        assert said["started from"] == ["the El Torito image"]
        assert said["root"] == [f"cd volume=[SMARTOS_{platform.name.removeprefix('platform-')}]"]


class TestHybrid:
    """One image for disc and stick."""

    @pytest.mark.parametrize("console", ["text", "ttyb"])
    @pytest.mark.parametrize(
        ("firmware", "bus", "started"),
        [
            ("bios", "usb", "isoboot"),
            ("bios", "cd", "cdboot"),
            ("uefi", "usb", "loader"),
            ("uefi", "cd", "the El Torito image"),
        ],
    )
    def test_boots(self, image, boot, built, platform, console, firmware, bus, started):
        hybrid = image("iso", "-c", console, "--hybrid")
        result = boot(hybrid, firmware=firmware, bus=bus)
        said = check_boot(result, platform, console)
        assert said["started from"] == [started]
        assert said["root"] == [f"cd volume=[SMARTOS_{platform.name.removeprefix('platform-')}]"]
        if started == "isoboot":
            program = (built / "boot/isoboot").read_bytes()
            first = partitions(hybrid)["boot"][2]
            with hybrid.open("rb") as file:
                file.seek(first * SECTOR)
                assert file.read(len(program)) == program
            assert [fields(line) for line in lines_of(result, "ttya", "PMBR")] == [
                {
                    "drive": "80",
                    "version": "0200",
                    "size": f"{-(-len(program) // SECTOR):04x}",
                    "lba": f"{first:016x}",
                }
            ]
            (line,) = lines_of(result, "ttya", "ISOBOOT")
            assert fields(line)["loaded"] == "all"

    def test_without_isoboot_a_bios_says_so(self, make, boot_fails, boot, built, platform, tmp_path):
        lacking = shutil.copytree(built, tmp_path / "boot")
        (lacking / "boot/isoboot").unlink()
        hybrid = make("iso", tmp_path / "image", "-c", "ttya", "--hybrid", boot=lacking)
        assert "PMBR-STANDIN-FAIL" in boot_fails(hybrid).ports["ttya"]
        check_boot(boot(hybrid, firmware="uefi"), platform, "ttya")


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_an_active_entry_keeps_nobody_from_booting(image, boot, platform, firmware):
    disk = image("usb", "-c", "ttya", "--mbr-active")
    with disk.open("rb") as file:
        assert file.read(SECTOR)[0x1BE] == 0x80
    check_boot(boot(disk, firmware=firmware), platform, "ttya")


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
def test_a_missing_module_is_noticed(make, boot_fails, platform, tmp_path, firmware):
    lacking = shutil.copytree(platform, tmp_path / "lacking")
    (lacking / "i86pc/amd64/boot_archive.hash").unlink()
    disk = make("usb", tmp_path / "image", "-c", "ttya", platform=lacking)
    result = boot_fails(disk, firmware=firmware)
    assert result.status == 37
    assert "path=/platform/i86pc/amd64/boot_archive.hash MISSING" in result.ports["ttya"]
    assert "LOADER-STANDIN-FAIL files that are to be loaded are missing: 1" in result.ports["ttya"]


@pytest.mark.parametrize("firmware", ["bios", "uefi"])
@pytest.mark.parametrize(("verb", "bus"), [("usb", "usb"), ("iso", "cd")])
def test_settings_of_the_user(make, boot, built, tmp_path, verb, bus, firmware):
    """Further loader.conf files, in their order, and a module of the user's own, from the folder of boot files."""
    boot_folder = shutil.copytree(built, tmp_path / "boot")
    settings = boot_folder / "boot" / "conf.d"
    settings.mkdir()
    # Wrong in its last line, without an end: then nothing is left of it in the loader's buffer.
    (boot_folder / "boot/loader.conf.local").write_bytes(b'first="local"\r')
    (settings / "20-network").write_text(
        "# a module of type file\n"
        'networking.json_load="YES"   # a comment\n'
        "networking.json_name=/boot/networking.json\n"
    )
    (settings / "10-first").write_text(
        "\tfirst = 'ten \"quoted\"'\nsmartos=twenty\nheadnode='$5$a'\n"
        'place=/x:y\nnumber=-1\nboth="${smartos}-${ISADIR}"\n'
    )
    (settings / "30-wrong").write_text('second="2"\nwrong="$5$a"\nthird="never read"\n')
    (settings / "40-lost").write_text('third="lost"\n')
    (settings / "15-Network-with-a-long-mixed-case-name.conf").write_text(
        'networking.json_load="YES"\nnetworking.json_type="file"\nnetworking.json_name="/boot/networking.json"\n'
        'networking.json_flags="name=networking.json"\n'
    )
    (boot_folder / "boot/networking.json").write_text("{}\n")
    result = boot(make(verb, tmp_path / "image", "-c", "ttya", boot=boot_folder), firmware=firmware, bus=bus)
    said = report(result, "ttya")
    assert said["file"] == [
        "/boot/defaults/loader.conf",
        "/boot/loader.conf",
        "/boot/loader.conf.local",
        "/boot/conf.d/10-first",
        "/boot/conf.d/15-Network-with-a-long-mixed-case-name.conf",
        "/boot/conf.d/20-network",
        "/boot/conf.d/30-wrong",
        "/boot/conf.d/40-lost",
    ]
    assert said["syntax error"] == [
        "/boot/loader.conf.local:1: a carriage return; the rest of the file is ignored",
        "/boot/conf.d/30-wrong:2: a bad definition; the rest of the file is ignored",
        "/boot/conf.d/40-lost:1: it is lost with what is left of the file before; the rest of the file is ignored",
    ]
    for variable in ('first=[ten "quoted"]', "smartos=[twenty]", "headnode=[$5$a]", "place=[/x:y]", "number=[-1]"):
        assert f"{variable} from /boot/conf.d/10-first" in said["variable"]
    assert "both=[twenty-amd64] from /boot/conf.d/10-first" in said["variable"]
    assert "second=[2] from /boot/conf.d/30-wrong" in said["variable"]
    assert not any(line.startswith("third=") for line in said["variable"])
    module = fields(said["module"][-1])
    assert module == {
        "name": "networking.json",
        "type": "file",
        "flags": "name=networking.json",
        "path": "/boot/networking.json",
        **size_and_crc(boot_folder / "boot/networking.json"),
    }


class TestKernel:
    """The kernel stand-in by itself, started by QEMU's own multiboot loader."""

    @pytest.mark.parametrize("console", qemu.CONSOLES)
    def test_shows_what_it_was_given_on_its_console(self, boot, built, platform, console):
        kernel = built / "platform/i86pc/kernel/amd64/unix"
        modules = [platform / "i86pc/amd64/boot_archive", platform / "i86pc/amd64/boot_archive.hash"]
        arguments = f'-B console={console},ttyb-mode="{MODE}",smartos=true'
        strings = [f"{modules[0]} type=rootfs name=ramdisk", f"{modules[1]} type=hash name=ramdisk"]
        more = ["-kernel", str(kernel), "-append", arguments, "-initrd", ",".join(strings)]
        result = boot(None, more=more)
        assert result.status == 33
        assert silent(result, *set(qemu.CONSOLES) - {console})
        check_kernel(result, console, "multiboot1", f"{kernel} {arguments}", modules, strings)
