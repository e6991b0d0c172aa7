"""Folders on disk: a source of Trees, and where a Tree can be laid out."""

import os
import stat
from pathlib import Path

from imagekit import disk
from imagekit.content import BLOCK_SIZE, Content, DiskFile, data_blocks, is_zero
from imagekit.disk import reporting_errors
from imagekit.errors import InputError, PlanError, Problems
from imagekit.files.output import OutputFolder, Outputs
from imagekit.tree import Directory, Entry, File, HardLink, HardLinkError, Special, Symlink, Tree

_SPECIAL = {stat.S_IFBLK: "b", stat.S_IFCHR: "c", stat.S_IFIFO: "p", stat.S_IFSOCK: "s"}
_SPECIAL_NAMES = {"b": "block device", "c": "character device", "p": "fifo", "s": "socket"}


def read(folder: Path, *, special: bool = False, keep_owners: bool = False) -> Tree:
    """Return the Tree of a folder: the entries of each directory by name (code points), directories before their own.

    Modes and times are the disk's.  Owners are root's, since those of a build folder mean nothing, unless
    `keep_owners`: then they are the disk's numbers.  No symbolic link is followed.  Of several names of one file, the
    first is the File and the others are HardLinks.  Devices, fifos and sockets become Special with `special`.

    Raise InputError for all that cannot be read, and without `special` for all devices, fifos and sockets.
    """
    status = _root_status(folder)
    reader = _Reader(special=special, keep_owners=keep_owners)
    tree = Tree(reader.directory("", status))
    stack = reader.listing("", str(folder))
    while stack:
        path, place = stack.pop()
        entry = reader.entry(path, place)
        if entry is not None:
            tree.add(entry)
        if isinstance(entry, Directory):
            stack += reader.listing(path, place.path)
    problems = reader.problems
    problems.raise_if_any(InputError, f"{len(problems)} things here cannot be taken", alone="", where=str(folder))
    return tree


def trouble_reading(path: str) -> str | None:
    """Say why the regular file at `path` cannot be read, or return None when it can.

    It is opened: access(2) says yes to root, also where root has no rights (in containers, over NFS).
    """
    try:
        os.close(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC | os.O_NOCTTY))
    except PermissionError:
        return "permission denied"
    except OSError as error:
        return error.strerror or str(error)
    return None


def _root_status(folder: Path) -> os.stat_result:
    try:
        status = folder.stat()
    except OSError as error:
        raise InputError(f"cannot read the folder: {error.strerror}", where=str(folder)) from error
    if not stat.S_ISDIR(status.st_mode):
        raise InputError("found a file, expected a folder", where=str(folder))
    return status


class _Reader:
    """Directory entries on disk to entries of a Tree."""

    def __init__(self, *, special: bool, keep_owners: bool) -> None:
        self._special = special
        self._keep_owners = keep_owners
        self._first_names: dict[tuple[int, int], Entry] = {}
        self.problems = Problems()

    def directory(self, path: str, status: os.stat_result) -> Directory:
        """Return the entry for a directory on disk."""
        uid, gid = self._owner(status)
        return Directory(path=path, mode=stat.S_IMODE(status.st_mode), uid=uid, gid=gid, mtime=int(status.st_mtime))

    def _owner(self, status: os.stat_result) -> tuple[int, int]:
        return (status.st_uid, status.st_gid) if self._keep_owners else (0, 0)

    def listing(self, path: str, place: str) -> list[tuple[str, os.DirEntry[str]]]:
        """Return what is in the folder `place`: path and entry on disk, the last name first, as on a stack."""
        prefix = f"{path}/" if path else ""
        try:
            with os.scandir(place) as found:
                entries = sorted(found, key=lambda one: one.name, reverse=True)
        except OSError as error:
            self.problems.add(place, f"cannot read the folder: {error.strerror}")
            return []
        return [(prefix + one.name, one) for one in entries]

    def entry(self, path: str, one: os.DirEntry[str]) -> Entry | None:
        """Return the entry for what is on disk, or None when it cannot be taken."""
        try:
            return self._entry(path, one)
        except OSError as error:
            self.problems.add(one.path, f"cannot read: {error.strerror}")
            return None

    def _entry(self, path: str, one: os.DirEntry[str]) -> Entry | None:
        status = one.stat(follow_symlinks=False)
        mode, mtime = stat.S_IMODE(status.st_mode), int(status.st_mtime)
        if stat.S_ISDIR(status.st_mode):
            return self.directory(path, status)
        uid, gid = self._owner(status)
        place = status.st_dev, status.st_ino
        first = self._first_names.get(place) if status.st_nlink > 1 else None
        if first is not None:
            return HardLink(path=path, target=first.path, mode=first.mode, uid=uid, gid=gid, mtime=mtime)
        entry: Entry
        if stat.S_ISREG(status.st_mode):
            if (trouble := trouble_reading(one.path)) is not None:
                self.problems.add(one.path, f"cannot read: {trouble}")
                return None
            content = DiskFile(one.path, status)
            entry = File(path=path, mode=mode, uid=uid, gid=gid, mtime=mtime, content=content)
        elif stat.S_ISLNK(status.st_mode):
            target = os.readlink(one.path)  # noqa: PTH115 - a Path would tidy it up
            entry = Symlink(path=path, uid=uid, gid=gid, mtime=mtime, target=target)
        else:
            kind = _SPECIAL.get(stat.S_IFMT(status.st_mode), "?")
            if not self._special or kind == "?":
                found = _SPECIAL_NAMES.get(kind, "file of unknown kind")
                self.problems.add(one.path, f"found a {found}, expected files, directories and links only")
                return None
            major, minor = os.major(status.st_rdev), os.minor(status.st_rdev)
            if kind in "ps":
                major = minor = 0
            entry = Special(path=path, mode=mode, uid=uid, gid=gid, mtime=mtime, type=kind, major=major, minor=minor)
        if status.st_nlink > 1:
            self._first_names[place] = entry
        return entry


def extract(tree: Tree, folder: Path, *, keep_set_id: bool = False, skip_special: bool = False) -> None:
    """Lay out a Tree as a folder, which must not exist or must be empty; it appears complete or not at all.

    Modes (without set-id bits unless `keep_set_id`) and times are the Tree's, owners are whoever runs this.  All is
    made in a new folder of its own, every directory before what is in it, so no link of the Tree leads outside.

    Raise PlanError for a folder that is not empty and for devices, fifos and sockets, which `skip_special` leaves out;
    OutputError when writing fails.
    """
    skipped = _check_special(tree, skip=skip_special)
    if folder.is_symlink() or (folder.exists() and not folder.is_dir()) or (folder.is_dir() and any(folder.iterdir())):
        hint = "name a new folder, or an empty one"
        raise PlanError("what stands here already is not an empty folder", where=str(folder), hint=hint)
    with Outputs() as outputs:
        scratch = outputs.scratch(folder.parent)
        _lay_out(tree, scratch, skipped, 0o7777 if keep_set_id else 0o1777)
        with reporting_errors(folder):
            outputs.put_in_place(scratch, folder)


def fill(tree: Tree, output: OutputFolder) -> None:
    """Lay out a Tree in an output that is an empty folder still, as `extract` does; raise the same errors."""
    _lay_out(tree, output.place, _check_special(tree, skip=False), 0o1777)


def _check_special(tree: Tree, *, skip: bool) -> set[str]:
    special = [entry for entry in tree if isinstance(entry, Special)]
    problems = Problems()
    for entry in () if skip else special:
        problems.add(f"/{entry.path}", f"a {_SPECIAL_NAMES.get(entry.type, entry.type)}")
    problems.raise_if_any(PlanError, "a plain folder cannot hold these", hint="leave them out, or write an image")
    return {entry.path for entry in special}


def _lay_out(tree: Tree, top: Path, skipped: set[str], mask: int) -> None:
    """Make all entries below the empty folder `top`; directories get their own modes last, when all is in them."""
    links = []
    for entry in tree:
        place = top / entry.path
        if entry.path in skipped or not entry.path:
            continue
        with reporting_errors(place):
            if isinstance(entry, Directory):
                place.mkdir(mode=0o700)
            elif isinstance(entry, File):
                _write(entry.content, place)
                place.chmod(entry.mode & mask)
                os.utime(place, (entry.mtime, entry.mtime))
            elif isinstance(entry, Symlink):
                place.symlink_to(entry.target)
                os.utime(place, (entry.mtime, entry.mtime), follow_symlinks=False)
            else:
                links.append(entry)
    _link(tree, top, [entry for entry in links if isinstance(entry, HardLink)], skipped)
    directories = [entry for entry in tree if isinstance(entry, Directory)]
    for entry in reversed(directories):
        place = top / entry.path
        with reporting_errors(place):
            place.chmod(entry.mode & mask)
            os.utime(place, (entry.mtime, entry.mtime))


def _link(tree: Tree, top: Path, links: list[HardLink], skipped: set[str]) -> None:
    """Make the hard links, but those to what was skipped."""
    for link in links:
        try:
            inode = tree.inode(link.path)
        except HardLinkError as error:
            if error.found == "itself":
                raise PlanError(f"the hard link leads in a circle: /{link.path}") from None
            found = f"found a hard link to /{error.target}, which is {error.found}"
            raise PlanError(found, where=f"/{link.path}") from None
        if inode.path in skipped:
            skipped.add(link.path)
            continue
        with reporting_errors(top / link.path):
            os.link(top / inode.path, top / link.path, follow_symlinks=False)


def _write(content: Content, place: Path) -> None:
    fd = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.truncate(fd, content.size)
        buffer = memoryview(bytearray(min(BLOCK_SIZE, content.size)))
        for offset, length in data_blocks(content):
            block = buffer[:length]
            content.read_into(offset, block)
            if not is_zero(block):
                disk.write_at(fd, offset, block)
    finally:
        os.close(fd)
