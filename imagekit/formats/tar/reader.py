"""Reads a tar archive (v7, ustar, pax, GNU with long names; also compressed with gzip) into a Tree."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from imagekit.content import Content, Slice, is_zero
from imagekit.errors import FormatError, ImagekitError
from imagekit.formats import gzip
from imagekit.formats.tar import layout
from imagekit.tree import Directory, Entry, File, HardLink, Special, Symlink, Tree, TreeTooLargeError

_LONGEST_EXTENSION = 1 << 20  # bytes of a pax header or a GNU long name; a path has at most a few thousand
_LONGEST_PATH = 4096
_DEEPEST_PATH = 128
_LONGEST_OWNER = 256  # characters of a user's or a group's name
_LONGEST_NUMBER = 64  # characters of a number in a pax header
_NUMBERS = {"uid", "gid", "size", "mtime"}
_KEYS = {"path", "linkpath", "uname", "gname", *_NUMBERS}
"""Records of pax headers that say something of a Tree; others are not kept."""
_SPARSE = "GNU.sparse."
_LARGEST = 1 << 63
_DECIMAL = re.compile(r"(-?[0-9]{1,20})(\.[0-9]*)?")
_OTHER_COMPRESSIONS = {b"BZh": "bzip2", b"\xfd7zXZ\0": "xz", b"\x28\xb5\x2f\xfd": "zstd", b"\x1f\x9d": "compress"}
_GNU_OTHERS = {b"D": "a GNU incremental dump", b"M": "a part of a multi-volume archive"}


def read(content: Content) -> Tree:
    """Return what an archive holds; file contents are read from it when they are needed.

    A compressed one is inflated to a temporary file first.  Of several members of one path the last stands, as when
    it is unpacked.  Directories that the archive does not mention are owned by root.  Link targets are kept as they
    are; a path that is absolute or has ".." in it, and one below a link, is refused.  FormatError when the archive is
    damaged, cut short, or of a kind that is not understood (GNU sparse files).
    """
    name = content.origin
    if gzip.is_gzip(content):
        content = gzip.inflate_to_temporary(content)
    tree = Tree()
    first = content.read(0, min(content.size, 6))
    for magic, compression in _OTHER_COMPRESSIONS.items():
        if first.startswith(magic):
            raise FormatError(f"compressed with {compression}, which imagekit does not read", where=name)
    for member in _members(content):
        where = f"{name}!/{member.path}"
        try:
            _add(tree, _entry(tree, content, member, where))
        except FormatError:
            raise
        except TreeTooLargeError as error:
            raise FormatError(error.what, where=name) from None
        except ImagekitError as error:
            raise FormatError(error.what, where=where, hint=error.hint) from error
    return tree


def is_tar(content: Content) -> bool:
    """Tell whether a content begins like a tar archive: the oldest ones, of v7, have no more than a checksum."""
    if content.size < layout.BLOCK:
        return False
    block = content.read(0, layout.BLOCK)
    header = _Header(*layout.HEADER.unpack(block))
    if header.magic.startswith(b"ustar"):
        return True
    try:
        _check_sum(block, header, content.origin)
    except FormatError:
        return False
    return header.name[:1] != b"\0"


class _Header(NamedTuple):
    """The fields of layout.HEADER."""

    name: bytes
    mode: bytes
    uid: bytes
    gid: bytes
    size: bytes
    mtime: bytes
    checksum: bytes
    kind: bytes
    target: bytes
    magic: bytes
    version: bytes
    user: bytes
    group: bytes
    major: bytes
    minor: bytes
    prefix: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class _Member:
    path: str
    kind: bytes
    target: str
    mode: int
    uid: int
    gid: int
    user: str
    group: str
    mtime: int
    major: int
    minor: int
    offset: int  # of the content, in bytes
    size: int


def _members(content: Content) -> Iterator[_Member]:
    """Yield the members; the headers that only extend the next one are taken in."""
    offset = 0
    global_records: dict[str, str] = {}
    records: dict[str, str] = {}
    while True:
        where = f"{content.origin}@{offset:#x}"
        if offset + layout.BLOCK > content.size:
            raise FormatError(
                "the tar archive ends without the two blocks of zeros that close it",
                where=where,
                hint="it is cut short",
            )
        block = content.read(offset, layout.BLOCK)
        if is_zero(block):
            if records:
                raise FormatError("the archive ends behind a header that extends the next one", where=where)
            return
        header = _Header(*layout.HEADER.unpack(block))
        _check_sum(block, header, where)
        offset += layout.BLOCK
        if header.kind in {layout.PAX, layout.PAX_GLOBAL, layout.GNU_LONG_NAME, layout.GNU_LONG_LINK}:
            size = _number(header.size, "size", where)
            if not 0 <= size <= _LONGEST_EXTENSION:
                raise FormatError(f"an extended header of {size:,} bytes is not credible", where=where)
            data = _slice(content, offset, size, where).read()
            offset += _filled(size)
            if header.kind == layout.PAX_GLOBAL:
                global_records |= _pax_records(data, where)
            elif header.kind == layout.PAX:
                records |= _pax_records(data, where)
            else:
                key = "path" if header.kind == layout.GNU_LONG_NAME else "linkpath"
                records[key] = _checked(key, _text(data), where)
            continue
        member = _member(header, {**global_records, **records}, offset, where)
        if member.size:
            _slice(content, offset, member.size, f"{content.origin}!/{member.path}")
        yield member
        offset += _filled(member.size)
        records = {}


def _member(header: _Header, records: Mapping[str, str], offset: int, where: str) -> _Member:
    if header.kind == layout.GNU_SPARSE or _SPARSE in records:
        raise FormatError("GNU sparse files are not supported", where=where, hint="pack it without --sparse")
    if header.kind in _GNU_OTHERS:
        raise FormatError(f"{_GNU_OTHERS[header.kind]} is not supported", where=where)
    name = _text(header.name)
    if header.magic == layout.MAGIC and header.prefix[:1] != b"\0":
        name = f"{_text(header.prefix)}/{name}"
    raw_path = records.get("path", name)
    old_directory = header.kind in {layout.FILE, layout.OLD_FILE} and raw_path.endswith("/")
    kind = layout.DIRECTORY if old_directory else header.kind
    if kind in {layout.OLD_FILE, layout.CONTIGUOUS}:
        kind = layout.FILE
    ustar = header.magic in {layout.MAGIC, layout.GNU_MAGIC}
    device = ustar and kind in layout.SPECIAL_TYPES

    def number(key: str, field: bytes) -> int:
        value = _decimal(records[key], key, where) if key in records else _number(field, key, where)
        if not (-_LARGEST if key == "mtime" else 0) <= value < _LARGEST:
            raise FormatError(f"the {key} of {raw_path!r} is {value:,}", where=where)
        return value

    return _Member(
        path=_clean(raw_path, where),
        kind=kind,
        target=records.get("linkpath", _text(header.target)),
        mode=_number(header.mode, "mode", where) & 0o7777,
        uid=number("uid", header.uid),
        gid=number("gid", header.gid),
        user=records.get("uname", _text(header.user) if ustar else ""),
        group=records.get("gname", _text(header.group) if ustar else ""),
        mtime=number("mtime", header.mtime),
        major=_number(header.major, "major", where) if device else 0,
        minor=_number(header.minor, "minor", where) if device else 0,
        offset=offset,
        # Only files have contents; in other members the field may say what it wants.
        size=number("size", header.size) if kind == layout.FILE else 0,
    )


def _entry(tree: Tree, content: Content, member: _Member, where: str) -> Entry:
    path, mode, uid, gid = member.path, member.mode, member.uid, member.gid
    mtime, user, group = member.mtime, member.user, member.group
    if member.kind == layout.DIRECTORY:
        return Directory(path=path, mode=mode, uid=uid, gid=gid, mtime=mtime, user=user, group=group)
    if member.kind == layout.FILE:
        held = Slice(content, member.offset, member.size, where)
        return File(path=path, mode=mode, uid=uid, gid=gid, mtime=mtime, user=user, group=group, content=held)
    if member.kind == layout.SYMLINK:
        target = member.target
        return Symlink(path=path, mode=mode, uid=uid, gid=gid, mtime=mtime, user=user, group=group, target=target)
    if member.kind == layout.HARD_LINK:
        target = _clean(member.target, where)
        linked = tree.get(target)
        if linked is None or isinstance(linked, Directory) or target == path:
            raise FormatError(f"a hard link to {member.target!r}, which is no file before it", where=where)
        first = linked.target if isinstance(linked, HardLink) else target
        if first == path:  # a name of the same file already
            return tree[path]
        return HardLink(
            path=path,
            target=first,
            mode=linked.mode,
            uid=linked.uid,
            gid=linked.gid,
            mtime=linked.mtime,
            user=linked.user,
            group=linked.group,
        )
    if member.kind in layout.SPECIAL_TYPES:
        return Special(
            path=path,
            mode=mode,
            uid=uid,
            gid=gid,
            mtime=mtime,
            user=user,
            group=group,
            type=layout.SPECIAL_TYPES[member.kind],
            major=member.major,
            minor=member.minor,
        )
    raise FormatError(f"a member of the unknown type {member.kind!r}", where=where)


def _add(tree: Tree, entry: Entry) -> None:
    # An archive need not mention the directories above its members.
    cut = entry.path.find("/") if entry.parent not in tree else -1
    while cut >= 0:
        if entry.path[:cut] not in tree:
            tree.add(Directory(path=entry.path[:cut]))
        cut = entry.path.find("/", cut + 1)
    tree.replace(entry)


def _clean(path: str, where: str) -> str:
    """Return a member's path as a Tree has it; raise FormatError when it leads out of the archive."""
    parts = [part for part in path.split("/") if part not in {"", "."}]
    if path.startswith("/") or ".." in parts or "\0" in path:
        raise FormatError(
            f"the path {path!r} leads out of the archive",
            where=where,
            hint="pack it with paths relative to the top folder",
        )
    clean = "/".join(parts)
    if len(clean) > _LONGEST_PATH or len(parts) > _DEEPEST_PATH:
        raise FormatError(
            f"a path of {len(clean):,} letters in {len(parts):,} directories is not credible", where=where
        )
    return clean


def _check_sum(block: bytes, header: _Header, where: str) -> None:
    noted = _number(header.checksum, "checksum", where)
    expected = layout.checksum(block)
    # Some old programs added up signed bytes.
    signed = expected - 256 * sum(byte > 127 for byte in block)
    if noted not in {expected, signed}:
        raise FormatError(
            f"not a tar header: its checksum is {noted}, the sum of its bytes {expected}",
            where=where,
            hint="the archive is damaged, or no tar archive",
        )


def _number(field: bytes, what: str, where: str) -> int:
    """Return a number in octal digits, or in GNU's base 256 when its first bit is set."""
    if field[0] in {0x80, 0xFF}:
        return int.from_bytes(field[1:], "big") - (256 ** (len(field) - 1) if field[0] == 0xFF else 0)
    digits = field.strip(b" \0").split(b"\0")[0]
    if digits.strip(b"01234567"):
        raise FormatError(f"the {what} in a tar header is {field!r}, no octal number", where=where)
    return int(digits or b"0", 8)


def _decimal(text: str, key: str, where: str) -> int:
    """Return a number from a pax header; parts of a second are dropped, towards the past."""
    found = _DECIMAL.fullmatch(text)
    if found is None:
        raise FormatError(f"the {key} in a pax header is {text[:40]!r}, no number", where=where)
    whole, fraction = found.groups()
    return int(whole) - (whole.startswith("-") and (fraction or "").strip(".0") != "")


def _pax_records(data: bytes, where: str) -> dict[str, str]:
    """Return the records of a pax header: each is its length, a space, KEY=VALUE and a newline."""
    records = {}
    position, end = 0, len(data.rstrip(b"\0"))
    while position < end:
        digits, _, _ = data[position : position + 8].partition(b" ")
        length = int(digits) if digits.isdigit() else 0
        record = data[position : position + length]
        key, equals, value = record[len(digits) + 1 : -1].partition(b"=")
        if not equals or position + length > end or not record.endswith(b"\n"):
            raise FormatError("a pax header has a record that is not LENGTH KEY=VALUE", where=where)
        name = _SPARSE if key.startswith(_SPARSE.encode()) else _text(key)
        if name in _KEYS:
            records[name] = _checked(name, value.decode("utf-8", "surrogateescape"), where)
        elif name == _SPARSE:
            records[name] = ""
        position += length
    return records


def _checked(key: str, value: str, where: str) -> str:
    """Return a value from an extended header; raise FormatError when it is too long to be real.

    It is looked at here and not where it is used: a global header counts for every member behind it.
    """
    most = _LONGEST_NUMBER if key in _NUMBERS else _LONGEST_OWNER if key in {"uname", "gname"} else _LONGEST_PATH
    if len(value) > most:
        raise FormatError(
            f"a {key} of {len(value):,} letters is not credible", where=where, hint=f"at most {most:,} are"
        )
    return value


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode("utf-8", "surrogateescape")


def _filled(size: int) -> int:
    return -(-size // layout.BLOCK) * layout.BLOCK


def _slice(content: Content, offset: int, size: int, where: str) -> Slice:
    """Return a part of the archive; FormatError when it is not all there."""
    return Slice(content, offset, size, where)
