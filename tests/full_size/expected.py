"""What a platform's images must hold, from the manifests' text and the proto area alone."""

import hashlib

from full_size.inputs import TIME
from full_size.listing import EMPTY, Entry, sha256

GENERATED = ("etc/shadow", "etc/versions/build", "etc/release", "usr/share/smartos/manifest")
"""Files whose contents the build makes."""

EMPTIED = ("var/log/syslog", "var/adm/wtmpx")


def ids(path):
    """Return the numbers of the names in passwd or group."""
    return {line.split(":")[0]: int(line.split(":")[2]) for line in path.read_text().splitlines() if line}


def manifest_lines(manifests):
    """Return what stands at each path: in the order of the second field, the last line wins."""
    lines = []
    for file in sorted(manifests.iterdir()):
        for line in file.read_text().splitlines():
            fields = line.partition("#")[0].split()
            if fields:
                lines.append(fields)
    lines.sort(key=lambda fields: fields[1])
    standing = {}
    for fields in lines:
        path, _, target = fields[1].partition("=") if fields[0] in "sh" else (fields[1], "", "")
        standing[path.rstrip("/")] = (fields[0], *fields[2:5], target)
    return standing


def whole_tree(manifests, proto):
    """Return the listing of the whole image, without the edits of the build, and the MD5 sum of every file."""
    users, groups = ids(proto / "etc/passwd"), ids(proto / "etc/group")
    tree = {"": Entry("d", 0o755, 0, 0, mtime=TIME)}
    lines, sums = manifest_lines(manifests), {}
    for path, (kind, *rest, target) in lines.items():
        if kind == "s":
            tree[path] = Entry("l", 0o777, 0, 0, len(target.encode()), target=target, mtime=TIME)
        elif kind != "h":
            mode, user, group = rest
            tree[path] = Entry(kind, int(mode, 8), users.get(user, 0), groups.get(group, 0), mtime=TIME)
        if kind == "f":
            data = (proto / path).read_bytes()
            sums[path] = hashlib.md5(data, usedforsecurity=False).hexdigest()
            tree[path] = tree[path]._replace(size=len(data), sha256=hashlib.sha256(data).hexdigest())
    for path, (kind, *_, target) in lines.items():
        final = target
        while kind == "h" and lines[final][0] == "h":
            final = lines[final][-1]
        if kind == "h":
            tree[path] = tree[final]
            if final in sums:
                sums[path] = sums[final]
    add_parents(tree)
    return tree, sums


def add_parents(tree):
    """Add the directories that no line names."""
    for path in list(tree):
        parent = path.rpartition("/")[0]
        while parent not in tree:
            tree[parent] = Entry("d", 0o755, 0, 0, mtime=TIME)
            parent = parent.rpartition("/")[0]


def images(whole, usr_archive):
    """Return the listings of / (without what it has below /usr) and of /usr, with the build's edits."""
    edited = dict(whole)
    unknown = Entry("f", 0o644, 0, 0, mtime=TIME)
    for path in GENERATED:
        edited[path] = edited.get(path, unknown)._replace(size=None, sha256=None)
    edited["etc/shadow"] = edited["etc/shadow"]._replace(mode=0o400)
    for path in EMPTIED:
        edited[path] = edited.get(path, unknown)._replace(size=0, sha256=EMPTY, uid=0, gid=0)
    add_parents(edited)
    lost = Entry("d", 0o700, 0, 0, mtime=TIME)
    usr = {path[4:]: entry for path, entry in edited.items() if path.startswith("usr/")}
    usr |= {"": edited["usr"], "lost+found": lost}
    root = {path: entry for path, entry in edited.items() if path.partition("/")[0] != "usr"}
    archive = Entry("f", 0o600, 0, 0, usr_archive.stat().st_size, sha256(usr_archive), mtime=TIME)
    root |= {"usr": Entry("d", 0o755, 0, 0, mtime=TIME), "lost+found": lost, "usr.lgz": archive}
    return root, usr


def below_mount(seen_root, usr):
    """Return what / may have below /usr: copies of what the /usr image has, directories, and a link sh."""
    copies = {}
    for path, entry in seen_root.items():
        if path == "usr/bin/sh":
            copies[path] = Entry("l", 0o777, 0, 0, len("i86/ksh93"), target="i86/ksh93", mtime=TIME)
        elif path.startswith("usr/") and entry.kind == "d":
            copies[path] = Entry("d", 0o755, 0, 0, mtime=TIME)
        elif path.startswith("usr/") and path[4:] in usr:
            copies[path] = usr[path[4:]]
    return copies
