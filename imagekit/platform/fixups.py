"""The last edits of the image's tree, in the order of smartos-live's tools/build_live."""

from dataclasses import replace

from imagekit.content import Bytes, Content
from imagekit.errors import InputError, Problems
from imagekit.tree import Directory, Entry, File, HardLink, Symlink, Tree

EMPTY = ("var/log/syslog", "var/adm/wtmpx")
"""Files that are empty in the image, whatever the proto area has there."""

BELOW_USR = (
    "bin/[",
    "bin/cat",
    "bin/head",
    "bin/i86/ksh93",
    "bin/ls",
    "kernel/sched/amd64/FSS",
    "lib/fm/libfmevent.so",
    "lib/fm/libfmevent.so.1",
    "lib/fm/libtopo.so",
    "lib/fm/libtopo.so.1",
    *(
        f"lib/lib{name}.so{version}"
        for name in (
            "ast",
            "cmd",
            "dll",
            "exacct",
            "fstyp",
            "idmap",
            "ipmi",
            "pkcs11",
            "pool",
            "project",
            "shell",
            "smbios",
            "sum",
        )
        for version in ("", ".1")
    ),
    "sbin/lofiadm",
)
"""Paths in /usr that early boot needs before /usr.lgz is mounted: copies lie in the root image, below the mount."""


def put_file(tree: Tree, path: str, content: Content, *, mode: int = 0o644, time: int) -> None:
    """Put a content at a path: into the file there, whose mode and owner stay, or into a new file of root's."""
    old = tree.get(path)
    if old is None:
        tree.add_parents(path, mtime=time)
        tree.add(File(path=path, mode=mode, mtime=time, content=content))
    elif isinstance(old, File):
        tree.replace(replace(old, content=content))
    else:
        raise InputError(
            f"the image must have a file of its own at /{path}, and the manifest has a {old.KIND} there",
            hint="take that line out of the manifest, or make it an f line",
        )


def empty_files(tree: Tree, time: int) -> None:
    """Make the files empty that must be, owned by root."""
    for path in EMPTY:
        old = tree.get(path)
        if isinstance(old, Directory):
            raise InputError(
                f"the image has an empty file at /{path}, and the manifest has a directory there",
                hint="take that line out of the manifest",
            )
        mode = old.mode if isinstance(old, File) else 0o644
        if old is not None:
            tree.remove(path)
        tree.add_parents(path, mtime=time)
        tree.add(File(path=path, mode=mode, mtime=time, content=Bytes(b"", f"empty {path}")))


def split_usr(tree: Tree, time: int) -> tuple[Tree, Tree]:
    """Return the trees of the root image, with /usr as an empty mount point, and of the /usr image."""
    top = tree.get("usr")
    if not isinstance(top, Directory):
        raise InputError(
            f"the manifest has {f'a {top.KIND}' if top else 'nothing'} at /usr, expected a directory",
            hint="add: d usr 0755 root sys",
        )
    root = Tree(replace(tree.root, uid=0, gid=0, user="root", group="root"))
    usr = Tree(replace(top, path=""))
    problems = Problems()
    for entry in tree:
        inside = entry.path.startswith("usr/")
        if isinstance(entry, HardLink) and entry.target.startswith("usr/") != inside:
            problems.add(None, f"/{entry.path} = /{entry.target}")
        elif inside:
            usr.add(_below_usr(entry))
        elif entry.path == "usr":
            root.add(Directory(path="usr", mode=0o755, mtime=time))
        elif entry.path:
            root.add(entry)
    problems.raise_if_any(
        InputError,
        "/ and /usr are two file systems, and no hard link leads from one into the other",
        hint="make them s lines",
    )
    return root, usr


def _below_usr(entry: Entry) -> Entry:
    path = entry.path.removeprefix("usr/")
    if isinstance(entry, HardLink):
        return replace(entry, path=path, target=entry.target.removeprefix("usr/"))
    return replace(entry, path=path)


def lay_below_usr(root: Tree, usr: Tree, time: int) -> list[str]:
    """Copy what early boot needs into the root tree's /usr, and link usr/bin/sh; return the paths that /usr lacks."""
    missing = []
    for path in BELOW_USR:
        entry = usr.get(path)
        if isinstance(entry, HardLink):
            entry = replace(usr.inode(path), path=path)
        if entry is None or isinstance(entry, Directory):
            missing.append(f"usr/{path}")
            continue
        root.add_parents(f"usr/{path}", mtime=time)
        root.add(replace(entry, path=f"usr/{path}"))
    # In /usr ksh93 is a hard link to isaexec; here one link to the 32-bit program does.
    if "usr/bin/sh" not in root:
        root.add_parents("usr/bin/sh", mtime=time)
        root.add(Symlink(path="usr/bin/sh", mtime=time, target="i86/ksh93"))
    return missing
