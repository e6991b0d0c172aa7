"""A small workspace in which nothing is wrong: a manifest, and the proto area that fits it."""

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

ZONES = "usr/share/lib/zoneinfo"
MANIFEST = f"""\
d etc 0755 root sys
f etc/group 0644 root sys
f etc/passwd 0644 root sys
f etc/shadow 0400 root sys
d platform 0755 root sys
d platform/i86pc 0755 root sys
d platform/i86pc/kernel 0755 root sys
d platform/i86pc/kernel/amd64 0755 root sys
f platform/i86pc/kernel/amd64/unix 0755 root sys
d platform/i86pc/ucode 0755 root sys
d platform/i86pc/ucode/AuthenticAMD 0755 root sys
f platform/i86pc/ucode/AuthenticAMD/1 0444 root sys
d platform/i86pc/ucode/GenuineIntel 0755 root sys
f platform/i86pc/ucode/GenuineIntel/2 0444 root sys
d usr 0755 root sys
d usr/bin 0755 root bin
f usr/bin/cp 0555 root bin
h usr/bin/ln=usr/bin/cp
s usr/bin/dir=cp
d usr/share 0755 root sys
d usr/share/lib 0755 root sys
d {ZONES} 0755 root bin
d {ZONES}/US 0755 root bin
f {ZONES}/US/Eastern 0444 root bin
f {ZONES}/UTC 0444 root bin
s {ZONES}/GMT=UTC
h {ZONES}/Zulu={ZONES}/UTC
"""
SHADOW, STAMP = "root:NP:6445::::::\n", "20261122T000000Z\n"
PATHS = [line.split()[1].partition("=")[0] for line in MANIFEST.splitlines()]


@contextmanager
def workspace(text: str = MANIFEST) -> Iterator[Path]:
    """Yield a workspace whose proto area fits MANIFEST, with a manifest of its own."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        proto = root / "proto"
        proto.mkdir()
        contents = {"etc/passwd": "root:x:0:0::/:\n", "etc/group": "root::0:\nbin::2:\nsys::3:\n", "etc/shadow": SHADOW}
        for line in sorted(MANIFEST.splitlines(), key=lambda line: "dfhs".index(line[0])):
            path, _, target = line.split()[1].partition("=")
            if line[0] == "d":
                (proto / path).mkdir()
            elif line[0] == "f":
                (proto / path).write_text(contents.get(path, path))
            elif line[0] == "h":
                os.link(proto / target, proto / path)
            else:
                (proto / path).symlink_to(target)
        (proto / "buildstamp").write_text(STAMP)
        (root / "manifest.gen").write_text(text)
        yield root
