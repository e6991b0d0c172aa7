"""Where things lie in a platform folder, as the boot programs, piadm(8) and Triton look for them."""

from imagekit.boot.places import PLATFORM, PLATFORM_KERNEL

IMAGE_KERNEL = f"{PLATFORM}/{PLATFORM_KERNEL}"
"""The same, in the image."""

SHADOW, BUILD_VERSION, RELEASE = "etc/shadow", "etc/versions/build", "etc/release"
"""What the build edits or makes, in the image."""

BOOT_ARCHIVE = "i86pc/amd64/boot_archive"
"""The boot archive, in a platform folder; .hash, .manifest and .gitstatus lie beside it."""

PLATFORM_VERSION = "etc/version/platform"
"""The build stamp, in a platform folder."""

ROOT_PASSWORD = "root.password"  # noqa: S105 - a file name
"""The root password in clear, in a platform folder."""

PLATFORM_FILES = frozenset(
    (
        *(BOOT_ARCHIVE, f"{BOOT_ARCHIVE}.gitstatus", f"{BOOT_ARCHIVE}.hash", f"{BOOT_ARCHIVE}.manifest"),
        *(PLATFORM_KERNEL, PLATFORM_VERSION, ROOT_PASSWORD),
    )
)
"""All that a build puts into a platform folder."""
