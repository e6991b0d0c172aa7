"""The machine that the boot tests use: what is wrong with a boot must never pass for a good one."""

import pytest

from kit import qemu


@pytest.fixture
def hanging(tmp_path):
    """Make a disk whose boot sector does nothing for ever."""
    disk = tmp_path / "disk"
    disk.write_bytes(b"\xeb\xfe".ljust(510, b"\0") + b"\x55\xaa" + bytes(1 << 20))
    return disk


def test_a_guest_that_hangs_is_ended_and_reported(hanging, boot_fails, monkeypatch):
    monkeypatch.setattr(qemu, "_HANG", 1.0)
    result = boot_fails(hanging, bus="ahci")
    assert result.reason == "hangs"
    assert result.status is None
    assert "Booting from Hard Disk" in str(result)  # the last lines of each port


def test_a_disk_that_does_not_boot_is_reported(hanging, boot_fails):
    hanging.write_bytes(bytes(1 << 20))
    result = boot_fails(hanging, bus="ahci")
    assert "No bootable device" in result.reason


def test_what_qemu_refuses_is_reported(hanging, boot_fails):
    result = boot_fails(hanging, more=["-device", "no-such-device"])
    assert result.status == 1
    assert "no-such-device" in result.reason


def test_other_words_end_a_boot(hanging, boot):
    result = boot(hanging, bus="ahci", end_words=["Booting from Hard Disk"])
    assert result.status is None
    assert result.reason == "said 'Booting from Hard Disk'"
