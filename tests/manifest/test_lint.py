"""Lint: every rule on the examples of its own documentation, on the real manifests, and on its limits."""

import re
from collections import Counter
from pathlib import Path

import pytest

from imagekit.errors import InputError
from imagekit.manifest.accounts import read_accounts, smartos_accounts
from imagekit.manifest.findings import CODES, Finding, summary
from imagekit.manifest.grammar import Directive, parse
from imagekit.manifest.lint import lint
from imagekit.manifest.relations import hard_links
from imagekit.manifest.sources import parse_files

WITHOUT_EXAMPLE = {"M205", "M206"}


def found(*texts: str) -> list[Finding]:
    return lint([parse(text, f"m{number}") for number, text in enumerate(texts, 1)])


def codes(*texts: str) -> list[str]:
    return [finding.code for finding in found(*texts)]


def sections(project: Path) -> dict[str, tuple[str, str, list[str]]]:
    """Return the sections of docs/lint.md: code to title, text and examples."""
    result = {}
    page = (project / "docs" / "lint.md").read_text(encoding="utf-8")
    for code, title, body in re.findall(r"^### (M\d{3}) (.*)\n((?:(?!#).*\n|#{4}.*\n)*)", page, re.MULTILINE):
        examples = re.findall(r"(?:^    .*\n)+", body, re.MULTILINE)
        result[code] = (title, body, [re.sub(r"^ {4}", "", one, flags=re.MULTILINE) for one in examples])
    return result


def test_every_code_has_its_section(project: Path):
    assert {code: title for code, (title, _, _) in sections(project).items()} == {
        code: title for code, (_, title) in CODES.items()
    }
    for code, (_, body, _) in sections(project).items():
        assert body.startswith(CODES[code][0].capitalize()), f"{code}: the section starts with another severity"


@pytest.mark.parametrize("code", sorted(code for code in CODES if code < "M4" and code not in WITHOUT_EXAMPLE))
def test_the_examples_of_the_documentation(project: Path, code: str):
    bad, good = sections(project)[code][2]
    assert code in codes(bad)
    assert code not in codes(good)


def test_the_fixture_has_exactly_these_findings(project: Path):
    folder = project / "tests" / "fixtures" / "manifest"
    file = folder / "slips.manifest"
    parsed = parse(file.read_text(encoding="utf-8"), file.name)
    assert [str(one) for one in lint([parsed])] == (folder / "slips.expected").read_text(encoding="utf-8").splitlines()


def test_the_real_manifests(shared: Path):
    findings = lint(parse_files([shared / "data" / "manifests"]))
    paths: dict[str, set[str]] = {}
    for finding in findings:
        paths.setdefault(finding.code, set()).add(finding.path)
    man = "usr/share/man/man1"
    assert paths["M102"] == {f"{man}/sendmail-mailq.1"}
    assert paths["M103"] == {"usr/lib/amd64/libzfs_core.so.1", "usr/lib/libzfs_core.so.1"}
    slips = ["rmformat.1", "size.1", "strip.1", "timex.1"]
    slips += ["../man1c/uuencode.1c", "../man1m/svc.configd.1m", "../man1m/svc.ipfd.1m", "../man1m/svc.startd.1m"]
    expected = {re.sub(r"/man1/\.\.", "", f"{man}/{slip}") for slip in slips}
    assert paths["M104"] == {"usr/libexec", *expected}
    assert paths["M302"] == {"lib/svc/manifest/network", "usr/bin/scp", "usr/share/bhyve", "usr/share/lib"}
    assert paths["M204"] >= {"usr/fw/node_modules/uuid", "usr/fw/node_modules/mkdirp", "usr/vm/node_modules/macaddr"}
    assert len(paths["M204"]) == 10
    assert "M303" not in paths
    assert {Path(one.file).name for one in findings if one.code == "M309"} == {
        path.name for path in (shared / "data" / "manifests").iterdir()
    }
    (bit,) = [one for one in findings if one.code == "M102"]
    assert bit.message.startswith("found group 'bit' of usr/share/man/man1/sendmail-mailq.1")
    assert bit.message.endswith("did you mean bin?")
    assert bit.line == 12300


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("f a 0644 root sys", []),
        ("f a 0400 root sys", []),
        ("f a 0000 root sys", ["M104"]),
        ("f a 0 root sys", ["M104"]),
        ("f a 0466 root sys", ["M104"]),
        ("f a 0711 root sys", []),
        ("f a 00644 root sys", ["M103"]),
        ("f a 04755 root sys", ["M104"]),
        ("f a 4755 root sys", []),
        ("f a 4775 root sys", ["M105"]),
        ("f a 2757 root sys", ["M105"]),
        ("f a 6777 root sys", ["M105"]),
        ("f a 1777 root sys", []),
        ("f a 0666 root sys", []),
        ("d a 1777 root sys", []),
        ("d a 2775 root sys", []),
        ("d a 4755 root sys", ["M104"]),
        ("d a 0744 root sys", ["M104"]),
        ("d a 0711 root sys", []),
        ("d . 0755 root sys", []),
        ("d .. 0755 root sys", ["M203"]),
        ("f . 0755 root sys", ["M203"]),
        ("f ./a 0755 root sys", ["M203"]),
        ("f .a 0755 root sys", []),
        ("f a.. 0755 root sys", []),
        ("f //a 0755 root sys", ["M201", "M202"]),
        ("d / 0755 root sys", ["M201"]),
        ("s ../a=b", ["M203"]),
        ("s a=../b", ["M308"]),
        ("s a=..b", []),
        ("s a=/../b", ["M308"]),
        ("s a=b/../c/../../d", ["M308"]),
        ("s a=./b/../c", []),
        ("h a=/etc/passwd", ["M307"]),
        ("h a=b//c", ["M307"]),
        ("h a=a", ["M306"]),
        ("s a=lib$VERSION.so", ["M208"]),
        ("f a$(VER) 0644 root sys", ["M208"]),
        ("f Outer$Inner.class 0644 root sys", []),
    ],
)
def test_single_lines(line: str, expected: list[str]):
    assert codes(line) == expected


def test_limits_of_names_and_paths():
    assert codes(f"s {'n' * 255}=x") == []
    assert codes(f"s {'n' * 256}=x") == ["M205"]
    assert codes("s " + "\u00e9" * 127 + "=x") == []
    assert codes("s " + "\u00e9" * 128 + "=x") == ["M205"]
    deep = "/".join(["d" * 99] * 10)
    assert "M206" not in codes(f"s {deep}/{'n' * 23}=x")
    (finding,) = [one for one in found(f"s {deep}/{'n' * 24}=x") if one.code == "M206"]
    assert finding.message.startswith("found a path of 1024 bytes, expected at most 1023: ddd")


def test_relations():
    text = "d usr 0755 root sys\nf usr/a/b/c 0644 root sys\nf usr/a/b/d 0644 root sys\nf usr/a/e 0644 root sys\n"
    assert [(one.line, one.code, one.message) for one in found(text)] == [
        (2, "M303", "usr/a has no entry, but usr/a/b/c is in it"),
        (2, "M303", "usr/a/b has no entry, but usr/a/b/c is in it"),
    ]
    blocked = found("f a 0644 root sys\nf a/b 0644 root sys\nf a/c/d 0644 root sys\n")
    assert [(one.line, one.code) for one in blocked] == [(2, "M304"), (3, "M303")]
    assert blocked[0].message == "a/b cannot be in a, which is a file (m1:1)"


def test_hard_links_lead_through_hard_links():
    assert codes("f a 0644 root sys\nh b=c\nh c=a\ns d=x\nh e=d\n") == []
    assert codes("d a 0755 root sys\nh b=a\n") == ["M306"]
    assert codes("h a=b\nh b=c\nh c=b\n") == ["M306", "M306", "M306"]
    (nothing,) = found("h a=b\nh b=none\n")[:1]
    assert (nothing.code, nothing.message) == ("M305", "a is a hard link to none, which has no entry")


class Counting(dict[str, Directive]):
    """Entries that count how often one is looked up."""

    looked_up = 0

    def get(self, key, default=None):
        self.looked_up += 1
        return super().get(key, default)


@pytest.mark.parametrize(
    ("last", "expected"),
    [
        ("f a0 0644 root sys", set()),
        ("h a0=a50000", {"M306"}),
        ("h a0=none", {"M305"}),
        ("d a0 0755 root sys", {"M306"}),
    ],
)
@pytest.mark.parametrize("backwards", [False, True])
def test_long_chains_of_hard_links_are_followed_once(last, expected, backwards):
    count = 50_000
    lines = [last, *(f"h a{number}=a{number - 1}" for number in range(1, count + 1))]
    parsed = parse("\n".join(lines[:: -1 if backwards else 1]), "m")
    entries = Counting((directive.path, directive) for directive in parsed.directives)
    links = hard_links(entries)
    assert {finding.code for finding in links.findings} == expected
    assert len(links.findings) + len(links.targets) == count + last.startswith("h")
    assert set(links.targets.values()) <= {"a0"}
    assert entries.looked_up <= 4 * count


def test_a_link_into_a_circle_leads_back_to_itself_too():
    assert codes("h a=b\nh b=c\nh c=b\nh d=a\nh e=f\nf f 0644 root sys\n") == ["M306"] * 4


def test_entries_in_several_files():
    twice = found("d a 0755 root sys\n", "d a 0755 root sys\nf a/b 0644 root sys\n", "f a/b 0644 root sys\n")
    assert [(one.where, one.code, one.message) for one in twice] == [
        ("m3:1", "M301", "a/b is in m2:2 already, with the same properties")
    ]
    clash = found(
        "f Makefile 0644 root sys\n", "f makefile 0644 root sys\nd d 0755 root sys\nf d/makefile 0644 root sys\n"
    )
    assert [(one.where, one.code) for one in clash] == [("m2:1", "M207"), ("m2:2", "M309")]
    assert "Makefile (m1:1)" in clash[0].message


def test_order_is_looked_at_block_by_block():
    assert codes("f b 0644 root sys\n\nf a 0644 root sys\n# x\nd 0 0755 root sys\n") == []
    assert [one.line for one in found("f c 0644 root sys\nf b 0644 root sys\nf a 0644 root sys\n\ns z=b\ns y=b\n")] == [
        2,
        6,
    ]


def test_allowances():
    assert codes("f a 044 root sys # imagekit: allow M104 wanted") == []
    assert codes("f a 4775 rot sys #imagekit:allow M101,M105 both wanted") == []
    assert codes("f a 044 rot sys # imagekit: allow M104 wanted") == ["M101"]
    assert codes("f a 044 root sys # imagekit: allow M104  ") == ["M004", "M104"]
    assert codes("f a 044 root sys # imagekit: allow") == ["M004", "M104"]
    assert codes("f a 0644 root sys # imagekit: allow M104 no more needed") == ["M003"]
    assert codes("f a 0644 root sys # imagekit: allow M401 the proto area of the tests lacks it") == []
    assert codes("# imagekit: allow M104 for all\nf a 044 root sys\n") == ["M003", "M104"]
    (unknown,) = found("f a 0644 root sys # imagekit: allow M1O4 wanted")
    assert (unknown.code, unknown.message) == ("M002", "found an allowance of 'M1O4'; did you mean M104?")


def test_bad_lines_are_findings():
    findings = found("f a 0644 root sys\nf b\n")
    assert [str(one) for one in findings] == ["m1:2: M001 error: found 2 fields, expected 5: f PATH MODE USER GROUP"]


def test_accounts_of_a_proto_area(tmp_path: Path):
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").write_text("me:x:7:7::/:/bin/sh\n")
    (tmp_path / "etc" / "group").write_text("us::7:\n")
    parsed = parse("f a 0644 me us\nf b 0644 root us\nf c 0644 me su\n", "m")
    assert [(one.line, one.code) for one in lint([parsed], read_accounts([tmp_path]))] == [(2, "M101"), (3, "M102")]
    assert lint([parsed], read_accounts([tmp_path]))[1].message == (
        f"found group 'su' of c, expected one of {tmp_path}/etc/passwd and {tmp_path}/etc/group; did you mean us?"
    )


def test_accounts_first_line_and_first_area_count(tmp_path: Path):
    for area, uid in (("one", 5), ("two", 6)):
        (tmp_path / area / "etc").mkdir(parents=True)
        (tmp_path / area / "etc" / "passwd").write_text(f"+nis\n\nme:x:{uid}:7::/:/bin/sh\nme:x:9:7::/:/bin/sh\n")
    (tmp_path / "two" / "etc" / "group").write_text("us::7:\n")
    accounts = read_accounts([tmp_path / "one", tmp_path / "two"])
    assert (accounts.users, accounts.groups) == ({"me": 5}, {"us": 7})
    assert (accounts.user_name(5), accounts.user_name(9), accounts.group_name(7)) == ("me", "", "us")


def test_all_that_is_wrong_with_accounts_is_said(tmp_path: Path):
    with pytest.raises(InputError) as caught:
        read_accounts([tmp_path])
    assert f"etc/passwd: found none, expected {tmp_path}/etc/passwd" in str(caught.value)
    assert f"etc/group: found none, expected {tmp_path}/etc/group" in str(caught.value)
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "passwd").write_text(
        "me:x:7\n:x:1:1:::\nme:x:-1:7:::\nme:x:2147483648:7:::\nok:x:2147483647:7:::\n"
    )
    (tmp_path / "etc" / "group").write_text("\n")
    with pytest.raises(InputError) as caught:
        read_accounts([tmp_path])
    passwd = tmp_path / "etc" / "passwd"
    assert str(caught.value).splitlines() == [
        "the accounts cannot be read:",
        f"  {passwd}:1: found 3 fields, expected 7, as in passwd(5)",
        f"  {passwd}:2: found no name, expected one before the first colon",
        f"  {passwd}:3: found '-1' as id of me, expected 0 to 2147483647",
        f"  {passwd}:4: found '2147483648' as id of me, expected 0 to 2147483647",
        f"  {tmp_path}/etc/group: found no account, expected group(5) lines",
    ]


def test_the_built_in_accounts(shared: Path):
    real = read_accounts([shared / "data" / "proto-seed"])
    built_in = smartos_accounts()
    assert (built_in.users, built_in.groups) == (real.users, real.groups)
    assert built_in.users["root"] == built_in.groups["root"] == 0


def test_the_summary_is_aligned():
    findings = found("f a 044 root sys\nf a 0755 rot sys\ns b=../x\n")
    assert summary(findings) == [
        "M101 error       1  unknown user",
        "M104 error       1  mode that looks like a slip",
        "M302 error       1  conflicting entries",
        "M308 warning     1  symbolic link that leaves the image",
        "3 errors, 1 warning",
    ]
    assert summary([]) == ["no findings"]
    assert Counter(one.severity for one in findings) == {"error": 3, "warning": 1}
