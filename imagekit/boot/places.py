"""Where boot programs, the kernel and SmartOS's setup look for files: names that stand once.

Paths are those of a medium, below its top, where the boot files lie as in a build's proto.boot.
"""

BOOT = "boot"
"""The folder of the boot files."""

LOADER = "boot/loader64.efi"
"""The illumos loader for UEFI; in an EFI system partition it lies at EFI_LOADER."""

EFI_LOADER = "EFI/BOOT/BOOTX64.EFI"
"""Where firmware looks for what it starts (UEFI specification, removable media)."""

BIOS_LOADER = "boot/loader"
"""The illumos loader for BIOS machines, which stage 2 (or cdboot) loads."""

PXEBOOT = "boot/pxeboot"
"""The same in one piece, for the network."""

PMBR = "boot/pmbr"
STAGE2 = "boot/gptzfsboot"
ISOBOOT = "boot/isoboot"
"""Stage 2 of an ISO image that lies on a stick."""

CDBOOT = "boot/cdboot"
EFIBOOT = "boot/efiboot.img"
"""The EFI system partition of an ISO image."""

DEFAULTS = "boot/defaults/loader.conf"
LOADER_CONF = "boot/loader.conf"
LOCAL = "boot/loader.conf.local"
SNIPPETS = "boot/conf.d"
TRANSIENT = "boot/transient.conf"
"""Where the loader looks for its variables, in the order in which it reads them (SNIPPETS is a folder)."""

BOOTFS = "boot/bootfs"
"""Where boot modules lie, as SmartOS's documentation has it."""

ANSWERS = "answers.json"
"""The boot module by which SmartOS's setup finds its answers: /system/boot/answers.json."""

PRIVATE_ANSWERS = "private/answers.json"
"""Where setup looks first, on the medium; a boot module comes after it."""

BOOT_VERSION = "etc/version/boot"
"""The build stamp of the boot files."""

PLATFORM = "platform"
"""The folder of the platform.  The kernel looks for its modules by this very name."""

PLATFORM_KERNEL = "i86pc/kernel/amd64/unix"
"""The kernel, in a platform folder."""

READ_BY_LOADER = (BOOT, PLATFORM)
"""Folders that the loader reads; they come first on the medium, for its file offsets are 32 bits wide."""
