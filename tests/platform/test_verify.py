"""verify finds what `platform` and `tar` refuse, and calls nothing fatal that they take: over random workspaces."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.errors import ImagekitError
from imagekit.manifest.findings import Finding, is_fatal
from imagekit.manifest.sources import read_manifests
from imagekit.manifest.verify import Verification, verify
from imagekit.platform import plan, tarball
from imagekit.platform.checks import check
from imagekit.platform.request import PlatformRequest, find_config
from kit.small_proto import MANIFEST, PATHS, ZONES, workspace


def verified(root: Path) -> Verification:
    directives = read_manifests([root / "manifest.gen"])
    return check(directives, [root / "proto"], find_config(root), root)


def refusal(root: Path, *, tar: bool = False) -> str | None:
    """Say why no platform (or tarball) can be made of a workspace, or return None when one can."""
    try:
        if tar:
            tarball.plan(tarball.TarRequest(output=root / "x.tar", root=root))
        else:
            plan.plan(PlatformRequest(root=root))
    except ImagekitError as error:
        return str(error)
    return None


def damage(root: Path, path: str, kind: str) -> None:
    """Put something else at a path of the proto area."""
    place = root / "proto" / path
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    elif place.is_symlink() or place.exists():
        place.unlink()
    if not place.parent.is_dir():
        return
    if kind == "file":
        place.write_text("other")
    elif kind == "folder":
        place.mkdir()
    elif kind == "link":
        place.symlink_to("elsewhere")
    elif kind == "link to a file":
        place.symlink_to(os.path.relpath(root / "proto/etc/group", place.parent))
    elif kind == "fifo":
        os.mkfifo(place)


DAMAGE = st.tuples(
    st.sampled_from([*PATHS, f"{ZONES}/Mars", f"{ZONES}/US/Mars", "usr/bin/stray", "platform/i86pc/ucode/stray"]),
    st.sampled_from(["file", "folder", "link", "link to a file", "fifo", "nothing"]),
)
MORE = st.sampled_from(
    [
        "h usr/bin/out=etc/group",
        "h out=usr/bin/cp",
        "s usr/bin/dir=other",
        "s usr/bin/cp=other",
        "d etc/release 0755 root sys",
        "s etc/versions=nowhere",
        "s usr/share/smartos=nowhere",
        "d var 0755 root sys\nd var/adm 0755 root sys\nd var/adm/wtmpx 0755 root sys",
        "f usr.lgz 0644 root sys",
        "d usr.lgz 0755 root sys",
        "d lost+found 0700 root root",
        "s lost+found=etc",
        "s usr/lost+found=bin",
        f"s etc/long={'x' * 1024}",
        f"s usr/long={'x' * 5000}",
        "f usr/bin/none 0555 root bin # imagekit: allow M401 it is missed",
        "s usr/bin/up=../../../x",
        "f usr/bin/odd 0555 rooot bin",
        "h usr/bin/loop=usr/bin/loop",
        f"d {ZONES}/Moon 0755 root bin",
        f"h {ZONES}/Luna={ZONES}/UTC",
        f"s {ZONES}/Sol=UTC",
        f"s {ZONES}/GMT=UTC # imagekit: allow M403,M402 wanted so",
    ]
)
CONFIGS = st.sampled_from(
    ["", "platform: {complete: []}", f"platform: {{complete: [{ZONES}/US]}}", "platform: {complete: [usr]}"]
)


@given(
    st.lists(DAMAGE, max_size=2),
    st.lists(MORE, max_size=2),
    st.lists(st.sampled_from(range(len(PATHS))), max_size=1),
    CONFIGS,
)
@settings(max_examples=150, deadline=None)
def test_what_verify_calls_fatal_is_what_the_others_refuse(changes, more, dropped, config):
    lines = [line for number, line in enumerate(MANIFEST.splitlines()) if number not in dropped]
    with workspace("\n".join([*lines, *more]) + "\n") as root:
        if config:
            (root / "imagekit.yaml").write_text(config)
        for path, kind in changes:
            damage(root, path, kind)
        try:
            found = verified(root)
        except ImagekitError as error:
            said = str(error)
        else:
            said = None
        if said is not None:
            assert refusal(root) == said
            return
        said, tar = refusal(root), refusal(root, tar=True)
        if any(line.split()[1] == "platform/i86pc/kernel/amd64/unix" for line in lines):
            assert bool(found.fatal) == (said is not None), (found.fatal, said)
        elif not found.fatal:  # a manifest of something else, perhaps
            assert [one.code for one in found.findings if one.code == "M411"] == ["M411"]
        if tar is not None:
            assert found.fatal, tar
        elif found.fatal:  # only what has to be complete, or what a platform needs, may make the difference
            assert {one.code for one in found.fatal if is_fatal(one) and one.code not in {"M405", "M411"}} == set()


def test_the_workspace_fits():
    with workspace() as root:
        assert (verified(root).findings, refusal(root), refusal(root, tar=True)) == ((), None, None)


@pytest.mark.parametrize(
    ("path", "kind", "code"),
    [
        (f"{ZONES}/Mars", "file", "M405"),
        (f"{ZONES}/Mars", "folder", "M405"),
        (f"{ZONES}/Mars", "link", "M405"),
        (f"{ZONES}/Mars", "fifo", "M405"),
        (f"{ZONES}/US", "link", "M402"),
        (f"{ZONES}/GMT", "file", "M402"),
        (f"{ZONES}/GMT", "link", "M403"),
        (f"{ZONES}/UTC", "link to a file", "M402"),
        (f"{ZONES}/Zulu", "file", "M404"),
        (f"{ZONES}/Zulu", "nothing", "M404"),
        ("platform/i86pc/ucode/GenuineIntel/3", "file", "M405"),
    ],
)
def test_what_tzcheck_sees_is_fatal(path: str, kind: str, code: str):
    with workspace() as root:
        damage(root, path, kind)
        found = verified(root)
        assert code in {one.code for one in found.fatal if one.path == path}
        assert code in (refusal(root) or "")


@pytest.mark.parametrize(
    ("path", "kind", "code"),
    [
        ("usr/bin/dir", "link", "M403"),
        ("usr/bin/dir", "file", "M402"),
        ("usr/bin/ln", "file", "M404"),
        ("usr/bin/cp", "link to a file", "M408"),
        ("platform/i86pc", "link", "M401"),
    ],
)
def test_elsewhere_the_manifest_decides(path: str, kind: str, code: str):
    with workspace() as root:
        damage(root, path, kind)
        found = verified(root)
        assert code in {one.code for one in found.findings}
        assert [one.code for one in found.fatal if one.is_comparison] == []
        assert (refusal(root) is None) == (code != "M401")


@pytest.mark.parametrize("code", ["M402", "M403", "M404", "M407"])
def test_the_judge(code: str):
    comparison = Finding(code, "error", "", "usr/vm/x", is_comparison=True)
    assert not is_fatal(comparison)
    assert not is_fatal(comparison, ["usr/vm/y", "usr/v", "usr/vm/x/y"])
    for prefix in ("usr/vm", "usr/vm/x", ""):
        assert is_fatal(comparison, [prefix]) == (code != "M407")
    assert is_fatal(Finding("M401", "error", ""))
    assert not is_fatal(Finding("M302", "warning", "", "usr/vm/x"), ["usr/vm"])


def test_nothing_to_check_is_said():
    with workspace() as root:
        shutil.rmtree(root / "proto" / ZONES)
        (root / "proto" / ZONES).mkdir()
        shutil.rmtree(root / "proto/platform/i86pc/ucode/GenuineIntel")
        (root / "manifest.gen").write_text("".join(line for line in MANIFEST.splitlines(keepends=True) if "h " in line))
        said = {one.path: one.message for one in verified(root).findings if one.code == "M412"}
        assert said == {
            ZONES: f"no file is below {ZONES} in {root}/proto",
            "platform/i86pc/ucode/GenuineIntel": f"nothing is at platform/i86pc/ucode/GenuineIntel in {root}/proto",
        }


def test_another_manifest_is_no_platform():
    with workspace() as root:
        (root / "boot").write_text("d etc 0755 root sys\nf etc/group 0644 root sys\n")
        directives = read_manifests([root / "boot"])
        found = check(directives, [root / "proto"], find_config(root), root, is_any=True)
        assert found.findings == ()
        (root / "proto/usr/share/lib/zoneinfo/Mars").write_text("")
        (root / "zones").write_text((root / "boot").read_text() + f"d {ZONES}/US 0755 root bin\n")
        directives = read_manifests([root / "zones"])
        found = check(directives, [root / "proto"], find_config(root), root, is_any=True)
        assert {one.code for one in found.findings} == {"M303", "M405"}


AS_NOBODY = """
import os, sys
from pathlib import Path
os.setgroups([]); os.setgid(65534); os.setresuid(65534, 65534, 65534)
"""


def test_a_file_that_root_cannot_open_either(open_tmp: Path, need):
    """Root without the capability to read all files, as in containers and over NFS: access(2) says yes all the same."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to give up rights")
    need("setpriv")
    with workspace() as root:
        shutil.copytree(root, open_tmp / "ws", symlinks=True)
    place = open_tmp / "ws/proto/usr/bin/cp"
    place.chmod(0)
    program = [sys.executable, "-m", "imagekit", "verify", "-r", open_tmp / "ws"]
    # The owner may read nothing, and is root: only the capabilities would help.
    done = subprocess.run(
        ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", *map(str, program)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1, done
    assert f"M406 error: cannot read {place}: permission denied" in done.stdout
    assert verify([], [open_tmp / "ws/proto"]).is_good
