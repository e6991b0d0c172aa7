"""What is said in few lines: warnings of one code, long lists of errors, workspaces that lack something."""

from pathlib import Path

import pytest

from imagekit.cli.verify import command
from imagekit.errors import InputError
from imagekit.manifest.findings import Finding, FindingsError, grouped
from imagekit.manifest.grammar import parse, refuse_bad_lines
from imagekit.manifest.sources import workspace_manifests, workspace_protos
from imagekit.platform.plan import plan
from imagekit.platform.request import PlatformRequest
from kit.command import invoke


def test_warnings_of_one_code_are_one_line():
    many = [Finding("M303", "warning", f"{number} has no entry", "", "m", number) for number in (1, 2, 3)]
    assert grouped([many[0], Finding("M204", "warning", "a/", "", "m", 9), *many[1:]]) == [
        "m:1: M303: 1 has no entry (and 2 more: directory without an entry)",
        "m:9: M204: a/",
    ]


def test_verify_lists_all_warnings_on_request(tmp_path: Path):
    (tmp_path / "proto/etc").mkdir(parents=True)
    (tmp_path / "proto/etc/passwd").write_text("root:x:0:0::/:\n")
    (tmp_path / "proto/etc/group").write_text("root::0:\n")
    (tmp_path / "m").write_text("s a/b=c\ns d/e=f\n")
    arguments = ["-r", str(tmp_path), "-m", str(tmp_path / "m")]
    short = invoke(command, *arguments).stdout.splitlines()
    assert short[0] == (
        f"{tmp_path}/m:1: M303 warning: a has no entry, but a/b is in it (and 1 more of M303; -v lists all)"
    )
    assert not any("d has no entry" in line for line in short)
    assert any("d has no entry" in line for line in invoke(command, "-v", *arguments).stdout.splitlines())


@pytest.mark.parametrize(("count", "repeated"), [(2, False), (20, False), (21, True), (379, True)])
def test_a_long_list_of_errors_ends_with_its_head(count: int, repeated: bool):
    findings = [Finding("M401", "error", "missing", "", "m", number + 1) for number in range(count)]
    lines = str(FindingsError("it does not fit", findings)).splitlines()
    assert lines[0] == f"it does not fit: {count} problems"
    assert (lines[-1] == lines[0], len(lines)) == (repeated, count + 1 + repeated)
    with pytest.raises(InputError) as caught:
        refuse_bad_lines(parse("x\n" * count, "m").bad)
    assert (str(caught.value).count(f"{count} manifest lines cannot be read") == 2) == repeated


def test_what_a_workspace_lacks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    for find in (workspace_manifests, workspace_protos):
        with pytest.raises(InputError, match=f"^{tmp_path}/none: there is no such folder$"):
            find(tmp_path / "none")
    (tmp_path / "ws/tools").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "ws")
    with pytest.raises(InputError, match=f"^{tmp_path}/ws: no manifest was given") as caught:
        workspace_manifests(Path())
    assert caught.value.hint == "name one, or run inside a smartos-live workspace"
    Path("tools/build_live").write_text("")
    for find, make in ((workspace_manifests, "gmake manifest"), (workspace_protos, "gmake world")):
        with pytest.raises(InputError) as caught:
            find(Path())
        assert caught.value.hint == f"this checkout is not built yet: run `{make}`"


def test_a_proto_area_that_is_not_there_is_what_is_wrong(tmp_path: Path):
    (tmp_path / "manifest.gen").write_text("")
    with pytest.raises(InputError, match="none: cannot read the proto area: No such file"):
        plan(PlatformRequest(root=tmp_path, protos=(tmp_path / "none",)))
