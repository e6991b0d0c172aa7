"""The manifest language: what is read from lines, and what is said about lines that cannot be read."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imagekit.errors import InputError
from imagekit.manifest.grammar import Directive, format_directive, parse, refuse_bad_lines, split_comment


def only(text: str) -> Directive:
    parsed = parse(text, "m")
    assert parsed.bad == []
    (directive,) = parsed.directives
    return directive


def test_each_kind():
    parsed = parse("f a/b 0644 root sys\nd a 01777 bin mail\ns l=../x=y\nh n=a/b\n", "m")
    rows = [(d.kind, d.path, d.mode_text, d.user, d.group, d.target, d.key, d.line) for d in parsed.directives]
    assert rows == [
        ("f", "a/b", "0644", "root", "sys", "", "a/b", 1),
        ("d", "a", "01777", "bin", "mail", "", "a", 2),
        ("s", "l", "", "", "", "../x=y", "l=../x=y", 3),
        ("h", "n", "", "", "", "a/b", "n=a/b", 4),
    ]
    assert [d.mode for d in parsed.directives[:2]] == [0o644, 0o1777]


@pytest.mark.parametrize(
    "text",
    [
        "f a 0644 root sys",
        "f a 0644 root sys\r\n",
        "\n\n f\ta \t0644  root sys \t\n\n",
        "f a 0644 root sys # why\n",
        "f a 0644 root sys\t#why\r\n",
        "# head\n\t# more\nf a 0644 root sys",
    ],
)
def test_white_space_line_ends_and_comments(text: str):
    directive = only(text)
    assert (directive.path, directive.mode, directive.user, directive.group) == ("a", 0o644, "root", "sys")


def test_comments_are_kept():
    parsed = parse("# one\n\n  ## two  \nf a 0644 root sys  #three # four\n#\n", "m")
    assert [(one.text, one.line) for one in parsed.comments] == [("# one", 1), ("## two", 3), ("#", 5)]
    assert parsed.directives[0].comment == "#three # four"
    assert parsed.directives[0].text == "f a 0644 root sys  #three # four"


def test_a_hash_inside_a_word_is_no_comment():
    assert only("f a#b 0644 root sys").path == "a#b"
    assert only("s a=b#c").target == "b#c"
    assert split_comment("s a=b#c #d") == ("s a=b#c", "#d")


def test_names_beyond_ascii():
    assert only("f caf\u00e9/\u00a0x\u3000y 0644 root sys").path == "caf\u00e9/\u00a0x\u3000y"
    raw = b"f caf\xe9 0644 root sys".decode("utf-8", "surrogateescape")
    assert only(raw).path.encode("utf-8", "surrogateescape") == b"caf\xe9"


@pytest.mark.parametrize(
    ("text", "path", "name"),
    [
        ("d a/b/ 0755 root sys", "a/b", "a/b/"),
        ("d . 0755 root sys", "", "."),
        ("d ./ 0755 root sys", "", "./"),
        ("d / 0755 root sys", "", "/"),
        ("d a. 0755 root sys", "a.", "a."),
    ],
)
def test_directories_and_the_root(text: str, path: str, name: str):
    directive = only(text)
    assert (directive.path, directive.name, directive.key) == (path, name, name)


BAD = [
    ("x a 0644 root sys", "found 'x' as kind, expected f, d, s or h"),
    ("file a 0644 root sys", "found 'file' as kind, expected f, d, s or h"),
    ("f", "found 1 fields, expected 5: f PATH MODE USER GROUP"),
    ("f a 0644 root", "found 4 fields, expected 5: f PATH MODE USER GROUP"),
    ("d a 0755 root sys extra", "found 6 fields, expected 5: d PATH MODE USER GROUP"),
    ("f a 0844 root sys", "found '0844' as mode, expected octal digits up to 7777"),
    ("f a rw-r--r-- root sys", "found 'rw-r--r--' as mode, expected octal digits up to 7777"),
    ("f a 10000 root sys", "found '10000' as mode, expected octal digits up to 7777"),
    ("f a -644 root sys", "found '-644' as mode, expected octal digits up to 7777"),
    ("f a/ 0644 root sys", "found 'a/', expected the path of a file, without a closing slash"),
    ("s a", "found no '=' in 'a', expected s PATH=TARGET"),
    ("s a = b", "found 4 fields, expected 2: s PATH=TARGET"),
    ("s =b", "found no path in '=b', expected s PATH=TARGET"),
    ("h a=", "found no target in 'a=', expected h PATH=TARGET"),
    ("h a/=b", "found 'a/', expected the path of a hard link, without a closing slash"),
    ("f a\x00b 0644 root sys", "found the control character '\\x00', expected printable text"),
    ("f a 0644 root\rf b 0644 root sys", "found the control character '\\r', expected printable text"),
    ("f a\x0bb 0644 root sys", "found the control character '\\x0b', expected printable text"),
]


@pytest.mark.parametrize(("line", "what"), BAD)
def test_bad_lines(line: str, what: str):
    parsed = parse(f"f good 0644 root sys\n{line}\ns also=good\n", "some.manifest")
    assert [directive.path for directive in parsed.directives] == ["good", "also"]
    assert [(bad.what, bad.where) for bad in parsed.bad] == [(what, "some.manifest:2")]


def test_all_bad_lines_are_reported_together():
    parsed = parse("".join(f"{line}\n" for line, _ in BAD), "m")
    with pytest.raises(InputError) as caught:
        refuse_bad_lines(parsed.bad)
    assert str(caught.value).splitlines() == [
        f"{len(BAD)} manifest lines cannot be read:",
        *(f"  m:{number}: {what}" for number, (_, what) in enumerate(BAD, 1)),
    ]


def test_one_bad_line_is_reported_in_one_line():
    with pytest.raises(InputError) as caught:
        refuse_bad_lines(parse("\nx\n", "m").bad)
    assert str(caught.value) == "m:2: found 'x' as kind, expected f, d, s or h"
    refuse_bad_lines([])


WORDS = st.text(st.characters(codec="utf-8", exclude_categories=["Zs", "Zl", "Zp", "Cc", "Cs"]), min_size=1).filter(
    lambda word: "#" not in word
)
PATHS = WORDS.filter(lambda word: not word.endswith("/") and word != ".")
LINES = st.one_of(
    st.builds(
        lambda kind, path, mode, user, group: f"{kind} {path} {mode:04o} {user} {group}",
        st.sampled_from("fd"),
        PATHS,
        st.integers(0, 0o7777),
        WORDS,
        WORDS,
    ),
    st.builds(
        lambda kind, path, target: f"{kind} {path}={target}",
        st.sampled_from("sh"),
        PATHS.filter(lambda path: "=" not in path),
        WORDS,
    ),
)
COMMENTS = st.text(st.characters(codec="utf-8", exclude_categories=["Cc", "Cs"]), max_size=10).map(
    lambda text: f"#{text}".rstrip(" ")
)


@given(LINES, st.one_of(st.just(""), COMMENTS))
@settings(max_examples=200)
def test_canonical_lines_come_back(line: str, comment: str):
    text = f"{line} {comment}" if comment else line
    assert format_directive(only(text)) == text


@given(LINES, st.lists(st.sampled_from([" ", "\t"]), min_size=1, max_size=3), st.sampled_from(["", "\n", "\r\n"]))
@settings(max_examples=100)
def test_blanks_do_not_matter(line: str, blanks: list[str], end: str):
    gap = "".join(blanks)
    spread = only(gap + line.replace(" ", gap) + gap + end)
    assert spread.properties == only(line).properties
    assert format_directive(spread) == line


@given(st.text(st.characters(codec="utf-8"), max_size=60))
@settings(max_examples=200)
def test_every_line_is_something(text: str):
    parsed = parse(text, "m")
    kept = [line for line in text.split("\n") if line.strip(" \t\r")]
    assert len(parsed.directives) + len(parsed.comments) + len(parsed.bad) == len(kept)


@pytest.mark.parametrize("code", [number for number in [*range(32), 127] if chr(number) not in "\t\n"])
def test_no_control_character_stands_in_a_line(code: int):
    for line in (f"f a{chr(code)}b 0644 root sys", f"s a=b{chr(code)}c", f"f a 0644 ro{chr(code)}t sys # x"):
        (bad,) = parse(f"f before 0644 root sys\n{line}\n", "m").bad
        assert (bad.line, bad.what.startswith("found the control character")) == (2, True)
    assert only("f a\x80b 0644 root sys").path == "a\x80b"


def test_only_a_directory_is_the_root():
    assert [only(f"d {path} 0755 root sys").path for path in (".", "/")] == ["", ""]
    assert (only("f . 0644 root sys").path, only("s .=x").path) == (".", ".")


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("\ufefff a 0644 root sys\n", 1, "found a byte order mark"),
        ("\ufeff# head\nf a 0644 root sys\n", 1, "found a byte order mark"),
        ("\udcff\udcfef\0 \0", 1, "found UTF-16 (save the file as plain UTF-8)"),
        ("f a 0644 root sys\n<<<<<<< HEAD\nf b 0644 root sys\n", 2, "found <<<<<<<, a marker of an unfinished merge"),
        ("f a 0644 root sys\n=======\n", 2, "found =======, a marker of an unfinished merge"),
        (">>>>>>> 2cf5002 (Keep)\n", 1, "found >>>>>>>, a marker of an unfinished merge"),
    ],
)
def test_what_editors_and_merges_leave(text: str, line: int, says: str):
    (bad,) = parse(text, "m").bad
    assert (bad.line, bad.what[: len(says)]) == (line, says)
