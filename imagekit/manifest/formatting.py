"""The canonical form of a manifest: what `imagekit manifest fmt` makes of a file."""

import stat
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path

from imagekit.errors import InputError
from imagekit.files.output import Outputs
from imagekit.manifest.combine import repetition, sort_key
from imagekit.manifest.findings import FindingsError
from imagekit.manifest.grammar import Comment, Directive, Parsed, format_directive, parse, refuse_bad_lines
from imagekit.manifest.relations import can_stand
from imagekit.manifest.sources import STANDARD_INPUT, manifest_files, read_text


def format_manifest(parsed: Parsed) -> str:
    """Return a file's text in canonical form.

    Fields stand one blank apart, modes have four digits, directories no closing slash, lines end in LF.  Comments stay
    where they are; one blank line stays where there are any.  Between blank lines and comment lines, directives are
    sorted as `combine` sorts them.  What the manifest says does not change, and formatting twice changes nothing more.

    Raise InputError for the lines that are no directives, and FindingsError where a closing slash decides which of two
    lines counts.
    """
    refuse_bad_lines(parsed.bad)
    _refuse_deciding_slashes(parsed.directives)
    return "".join(f"{line}\n" for line in _lines(parsed))


def format_files(paths: Iterable[Path], *, write: bool = True) -> list[Path]:
    """Bring files (of folders: their files) into canonical form; return those that are, or would be, changed.

    All are read before the first is written, and all are written or none.  A link is followed; modes are kept.
    """
    files = manifest_files(paths)
    if STANDARD_INPUT in files:
        raise InputError("standard input cannot be formatted in place", hint="name the files")
    texts = {file: read_text(file) for file in files}
    parsed = {file: parse(text, str(file)) for file, text in texts.items()}
    refuse_bad_lines(line for one in parsed.values() for line in one.bad)
    _refuse_deciding_slashes([directive for one in parsed.values() for directive in one.directives])
    canonical = {file: format_manifest(one) for file, one in parsed.items()}
    changed = {file: text for file, text in canonical.items() if text != texts[file]}
    if write:
        with Outputs() as outputs:
            # By their real paths, since a file may have been named twice.
            for target, text in {path.resolve(): text for path, text in changed.items()}.items():
                output = outputs.file(target, stat.S_IMODE(target.stat().st_mode))
                output.write(text.encode("utf-8", "surrogateescape"))
    return list(changed)


def _has_canonical_path(directive: Directive) -> bool:
    """Tell whether a path is written anew in canonical form: an impossible one stays, or it might become another's."""
    return not directive.path or can_stand(directive)


def _refuse_deciding_slashes(directives: Iterable[Directive]) -> None:
    """Raise FindingsError when a path stands with and without a closing slash, and the two lines disagree.

    The line with the slash is sorted behind the other, and so counts; without its slash, the order would decide.
    """
    slashed = {one.path: one for one in directives if one.key.endswith("/") and _has_canonical_path(one)}
    others = (one for one in directives if one.path in slashed and one.kind in "fd" and not one.key.endswith("/"))
    pairs = [(slashed[one.path], one) for one in others] if slashed else []
    found = [finding for pair in pairs if (finding := repetition(*pair)) and finding.code == "M302"]
    if found:
        hint = "let the two lines agree, or take one out: without its closing slash the other would not count any more"
        raise FindingsError("manifests contradict each other", found, hint=hint)


def _lines(parsed: Parsed) -> Iterator[str]:
    items: list[Directive | Comment] = sorted([*parsed.directives, *parsed.comments], key=lambda item: item.line)
    block: list[str] = []
    previous = items[0].line - 1 if items else 0
    for item in items:
        gap = item.line > previous + 1
        previous = item.line
        if gap or isinstance(item, Comment):
            yield from sorted(block, key=sort_key)
            block = []
        if gap:
            yield ""
        if isinstance(item, Comment):
            yield item.text
        else:
            block.append(format_directive(item if _has_canonical_path(item) else replace(item, path=item.name)))
    yield from sorted(block, key=sort_key)
