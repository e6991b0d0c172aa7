"""The one check of a platform's kernel and boot archive, for all media: what would never boot is refused here."""

import hashlib

from imagekit.boot.places import PLATFORM_KERNEL
from imagekit.content import Content
from imagekit.errors import InputError
from imagekit.formats import gzip
from imagekit.platform.layout import BOOT_ARCHIVE
from imagekit.tree import File, Tree

HASH = f"{BOOT_ARCHIVE}.hash"

_DIGITS = 40
"""Hex digits of a SHA-1, in any case: illumos' i86pc/dboot reads as many, and nothing behind them."""

_ELF = b"\x7fELF"
_PLATFORM_AGAIN = "build the platform again, or copy it anew"


def sha1_of(content: Content) -> str:
    """Return the SHA-1 of a content in hex."""
    digest = hashlib.sha1(usedforsecurity=False)
    for block in content.blocks():
        digest.update(block)
    return digest.hexdigest()


def check_boot_archive(platform: Tree, origin: str, sha1: str | None = None) -> None:
    """Raise InputError for a kernel or a boot archive that cannot boot, or whose SHA-1 is not the one noted beside it.

    `platform` holds i86pc/…, and is found at `origin`.  `sha1` is that of the boot archive where it is known already;
    else the archive is read, if there is a hash to compare.
    """
    kernel = _content(platform, origin, PLATFORM_KERNEL)
    start = kernel.read(0, min(kernel.size, len(_ELF)))
    if start != _ELF:
        found = f"it begins with {start.hex(' ')}, not {_ELF.hex(' ')}" if start else "it is empty"
        raise InputError(f"no kernel: {found}", where=f"{origin}/{PLATFORM_KERNEL}", hint=_PLATFORM_AGAIN)
    archive = _content(platform, origin, BOOT_ARCHIVE)
    where = f"{origin}/{BOOT_ARCHIVE}"
    if not archive.size:
        raise InputError("it is empty: the kernel would stop at once", where=where, hint=_PLATFORM_AGAIN)
    if gzip.is_gzip(archive):
        raise InputError(
            "it is compressed with gzip, and boot programs load it as it is",
            where=where,
            hint="inflate it, and write its hash anew",
        )
    if HASH in platform:
        check_hash(_content(platform, origin, HASH), sha1 or sha1_of(archive), "boot archive")


def check_hash(noted: Content, sha1: str, what: str) -> None:
    """Raise InputError when a file of a hash says another SHA-1 than that of the boot archive or module `what`."""
    text = noted.read(0, min(noted.size, 2 * _DIGITS)).decode("latin-1")
    words = text.split() or [""]
    if text[:1].isspace() or len(words[0]) != _DIGITS or words[0].lower().strip("0123456789abcdef"):
        raise InputError(
            f"found {text[:_DIGITS]!r}, expected the SHA-1 of the {what} in {_DIGITS} hex digits",
            where=noted.origin,
            hint="write it anew (sha1sum, without the name), or take both files from where they came once more",
        )
    if words[0].lower() != sha1:
        raise InputError(
            f"the {what}'s SHA-1 is {sha1}, this file says {words[0].lower()!r}: the kernel would stop at once",
            where=noted.origin,
            hint="one of the two is of another build, or damaged; build it again",
        )


def _content(platform: Tree, origin: str, path: str) -> Content:
    entry = platform.get(path)
    if not isinstance(entry, File):
        found = f"a {entry.KIND}" if entry else "nothing"
        raise InputError(f"found {found}, expected a file", where=f"{origin}/{path}", hint=_PLATFORM_AGAIN)
    return entry.content
