"""The canonical form of a manifest: what `imagekit manifest fmt` makes of a file."""

from collections.abc import Iterator

from imagekit.manifest.combine import sort_key
from imagekit.manifest.grammar import Comment, Directive, Parsed, format_directive, refuse_bad_lines


def format_manifest(parsed: Parsed) -> str:
    """Return a file's text in canonical form.

    Fields stand one blank apart, modes have four digits, directories no closing slash, lines end in LF.  Comments stay
    where they are; one blank line stays where there are any.  Between blank lines and comment lines, directives are
    sorted as `combine` sorts them.  What the manifest says does not change, and formatting twice changes nothing more.

    Raise InputError for the lines that are no directives.
    """
    refuse_bad_lines(parsed.bad)
    return "".join(f"{line}\n" for line in _lines(parsed))


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
            block.append(format_directive(item))
    yield from sorted(block, key=sort_key)
