"""Warnings that imagekit.yaml knows of are counted, new ones are seen, errors never quiet, stale entries told."""

import json
import re
from pathlib import Path

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from imagekit.cli import boot, manifest, platform, tar, verify
from imagekit.config import read_config
from imagekit.errors import InputError
from imagekit.manifest.findings import CODES, Finding
from imagekit.manifest.known import CAN_BE_KNOWN, Known, set_apart
from kit.small_proto import MANIFEST, SHADOW, workspace

DOCS = Path(__file__).parents[2] / "docs"
KNOWN = "platform:\n  known:\n  - code: M303\n    path: opt/*\n    reason: made at boot\n"
WARNED = MANIFEST + "s opt/a/b=c\ns opt/d/e=f\n"


def run(command, *arguments: object):
    return CliRunner().invoke(command, [str(one) for one in arguments])


@pytest.mark.parametrize("verb", ["verify", "platform", "tar", "lint", "combine", "boot"])
def test_known_warnings_are_counted_and_new_ones_are_seen(verb: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    with workspace(WARNED) as root:
        monkeypatch.chdir(root)
        code = "M301" if verb == "combine" else "M303"
        manifest_file = Path("boot.manifest.gen" if verb == "boot" else "manifest.gen")
        twice = "s opt/a/b=c\n"
        manifest_file.write_text(WARNED + twice * (verb == "combine"))
        arguments = {
            "verify": (verify.command,),
            "platform": (platform.command, "--fit", "-n", "--root-password", "x"),
            "tar": (tar.command, "-n", "-o", tmp_path / "x.tar"),
            "lint": (manifest.lint, "manifest.gen"),
            "combine": (manifest.combine, "manifest.gen"),
            "boot": (boot.command, "-n"),
        }[verb]
        section = "boot" if verb == "boot" else "platform"
        assert code in run(*arguments).output
        Path("imagekit.yaml").write_text(
            KNOWN.replace("M303", code).replace("platform", section).replace("opt/*", "opt*")
        )
        done = run(*arguments)
        assert code not in re.sub(r"allow.*", "", done.output), done.output
        assert re.search(r"\b[123] known warnings?\b", done.output)
        new = "s srv/x/y=z\n" * (1 + (verb == "combine"))
        manifest_file.write_text(WARNED + twice * (verb == "combine") + new)
        done = run(*arguments)
        assert f"{code}" in done.output
        assert "srv" in done.output
        assert "opt/d has no entry" not in done.output


def test_verbose_lists_known_ones_and_json_counts_them(monkeypatch: pytest.MonkeyPatch):
    with workspace(WARNED) as root:
        monkeypatch.chdir(root)
        Path("imagekit.yaml").write_text(KNOWN)
        for arguments in ((verify.command,), (manifest.lint, "manifest.gen")):
            assert "opt/a has no entry" not in run(*arguments).output
            assert "opt/a has no entry" in run(*arguments, "-v").output
            document = json.loads(run(*arguments, "--json").stdout)
            assert not any(one["code"] == "M303" for one in document["findings"])
            assert document["known"] == 3  # opt, opt/a, opt/d


@pytest.mark.parametrize("strict", [False, True])
def test_what_is_known_does_not_fail_a_strict_build(strict: bool, monkeypatch: pytest.MonkeyPatch):
    with workspace(WARNED) as root:
        monkeypatch.chdir(root)
        arguments = (platform.command, "--fit", "-n", "--root-password", "x", *(["--strict"] * strict))
        assert (run(*arguments).exit_code == 0) != strict
        Path("imagekit.yaml").write_text(KNOWN.replace("opt/*", "opt*") + "  - {code: M309, path: '*'}\n")
        done = run(*arguments)
        assert not strict or "M303" not in str(done.exception)


def test_stale_entries_are_told(monkeypatch: pytest.MonkeyPatch):
    with workspace(MANIFEST) as root:
        monkeypatch.chdir(root)
        Path("imagekit.yaml").write_text(KNOWN)
        says = "imagekit.yaml:3: no warning M303 is at opt/* any more: take this entry out"
        for arguments in ((verify.command,), (platform.command, "--fit", "-n", "--root-password", "x")):
            assert says in run(*arguments).output
        for arguments in ((manifest.lint, "manifest.gen"), (tar.command, "-n", "-o", "x.tar")):
            assert "any more" not in run(*arguments).output
        # Of a manifest for something else nothing can be said.
        Path("other").write_text("d etc 0755 root sys\n")
        assert "any more" not in run(verify.command, "-m", "other").output


@given(
    st.lists(
        st.builds(
            Finding,
            code=st.sampled_from(sorted(CODES)),
            severity=st.sampled_from(["error", "warning", "note"]),
            message=st.just("m"),
            path=st.sampled_from(["", "a", "a/b", "usr/[x]", "é\udc80"]),
        )
    ),
    st.lists(
        st.builds(
            Known,
            code=st.sampled_from(sorted(CAN_BE_KNOWN)),
            pattern=st.sampled_from(["*", "a", "a/*", "a?b", "usr/[[]x]", "none"]),
            where=st.sampled_from("123456789"),
        ),
        max_size=9,
    ),
)
def test_nothing_is_lost(findings: list[Finding], known: list[Known]):
    """Every finding is either new or known, in its order; of errors and notes none is known."""
    sorting = set_apart(findings, known, CAN_BE_KNOWN)
    assert sorted(map(repr, findings)) == sorted(map(repr, [*sorting.new, *sorting.known]))
    assert {one.severity for one in sorting.known} <= {"warning"}
    assert {one.code for one in sorting.known} <= {one.code for one in known}
    found = {one.code for one in findings if one.severity == "warning"}
    assert {one.stale() for one in known if one.code not in found} <= set(sorting.stale)
    assert {one.stale() for one in known if one.pattern == "*" and one.code in found}.isdisjoint(sorting.stale)


@pytest.mark.parametrize(
    ("entry", "line", "says"),
    [
        ("- {code: M401, path: x}", 4, "code: 'M401' is no warning"),
        ("- {code: M999, path: x}", 4, "code: 'M999' is no warning"),
        ("- {code: M303}", 4, "an entry of known lacks its path"),
        ("- {path: x}", 4, "an entry of known lacks its code"),
        ("- {code: M303, path: x, why: y}", 4, "unknown key 'why' in an entry of known"),
        ("- code: M303\n    path: [x]\n", 5, "path: expected a word, found a list or mapping"),
        ("- code: M303\n    path: x\n    code: M204\n", 6, "'code' is in an entry of known twice"),
        ("- {code: M303, path: x, reason: }", 4, "reason: expected a word"),
        ("  x: y", 4, "known: expected a list"),
        ("- M303", 4, "an entry of known: expected a mapping, found 'M303'"),
        ("\n".join(["- {code: M303, path: x}", *["  - {code: M303, path: x}"] * 1000]), 4, "known: 1,001 entries"),
    ],
)
def test_slips_are_named_with_their_line(tmp_path: Path, entry: str, line: int, says: str):
    path = tmp_path / "imagekit.yaml"
    path.write_text(f"platform:\n  complete: []\n  known:\n  {entry}\n")
    with pytest.raises(InputError, match=re.escape(says)) as caught:
        read_config(path, ())
    assert caught.value.where == f"{path}:{line}"


def test_the_example_of_the_documentation(tmp_path: Path):
    for document in ("imagekit-yaml.md",):
        blocks = re.findall(r"```yaml\n(.*?)```", (DOCS / document).read_text(), re.DOTALL)
        for block in blocks:
            (tmp_path / "imagekit.yaml").write_text(block)
            config = read_config(tmp_path / "imagekit.yaml", ("smf-import", "whatis", "smf-seeds"))
            assert any(one.code == "M303" for one in config.known)


def test_verify_says_what_gitstatus_leaves_out():
    with workspace() as root:
        (root / "projects/other/.git").mkdir(parents=True)
        for name in ("verify", "platform"):
            arguments = (
                (verify.command, "-r", root, "-v")
                if name == "verify"
                else (platform.command, "-r", root, "--fit", "-n", "--root-password", "x")
            )
            output = run(*arguments).output
            assert f"{root}/projects/other: M413" in output
            assert "no findings" not in output
        (root / "imagekit.yaml").write_text("platform: {known: [{code: M413, path: '*'}]}\n")
        assert "M413" not in run(verify.command, "-r", root).output


def test_the_workspace_is_without_findings():
    """What the tests above change is all that there is to say."""
    with workspace() as root:
        assert "no findings" in run(verify.command, "-r", root).output
        assert (root / "proto/etc/shadow").read_text() == SHADOW
