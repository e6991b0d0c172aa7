"""What a Tree takes on FAT: short names, directory records, and all that FAT cannot hold."""

from dataclasses import dataclass, field

from imagekit.errors import Problems
from imagekit.formats.fat import names
from imagekit.formats.fat.layout import MAX_DIRECTORY_RECORDS, MAX_FILE_SIZE, MAX_PATH, RECORD_SIZE
from imagekit.tree import Directory, Entry, File, HardLink, HardLinkError, Symlink, Tree


@dataclass(slots=True)
class Survey:
    """What a Tree needs on FAT, whatever the cluster size.

    `contents` are the entries of each directory as FAT will hold them, `records` their number of directory records;
    `aliases` the short names (11 bytes) by path; `problems` all that keeps the Tree from standing on FAT.
    """

    contents: dict[str, list[Directory | File]] = field(default_factory=dict)
    aliases: dict[str, bytes] = field(default_factory=dict)
    records: dict[str, int] = field(default_factory=dict)
    problems: Problems = field(default_factory=Problems)

    def used_clusters(self, cluster_size: int) -> int:
        """Return how many clusters of `cluster_size` bytes the directories and files take."""
        sizes = [count * RECORD_SIZE for count in self.records.values()]
        for entries in self.contents.values():
            sizes.extend(entry.content.size for entry in entries if isinstance(entry, File))
        return sum(-(-size // cluster_size) for size in sizes)


def survey_tree(tree: Tree) -> Survey:
    """Look at every entry of a Tree; nothing is raised, all problems are collected."""
    survey = Survey()
    for directory in (entry for entry in tree if isinstance(entry, Directory)):
        path = directory.path
        here: list[Directory | File] = []
        seen: dict[str, str] = {}
        for entry in tree.children(path):
            stored = _stored(tree, entry, survey.problems)
            if stored:
                here.append(stored)
            other = seen.setdefault(names.folded(entry.name), entry.name)
            if other != entry.name:
                survey.problems.add(
                    f"/{entry.path}",
                    f"differs from {other!r} beside it only in case, and FAT ignores case",
                    "rename one, or leave it out",
                )
        own = [entry.name for entry in here]
        survey.contents[path] = here
        survey.aliases.update(zip((entry.path for entry in here), names.aliases(own), strict=True))
        # The root holds the volume label (or has room for one), other directories "." and "..".
        survey.records[path] = sum(map(names.record_count, own)) + (2 if path else 1)
        if survey.records[path] > MAX_DIRECTORY_RECORDS:
            survey.problems.add(
                f"/{path}",
                f"{len(own):,} entries take {survey.records[path]:,} records, a FAT directory has at most "
                f"{MAX_DIRECTORY_RECORDS:,}",
                "spread them over several directories, or shorten the names",
            )
    return survey


def _stored(tree: Tree, entry: Entry, problems: Problems) -> Directory | File | None:
    """Return what FAT will hold for an entry, or None and report what is in the way."""

    def report(what: str, hint: str | None = None) -> None:
        problems.add(f"/{entry.path}", what, hint)

    if problem := names.fault(entry.name):
        report(problem, "rename it, or leave it out")
        return None
    if len(entry.path) > MAX_PATH:
        report(f"the path has {len(entry.path):,} characters, more than {MAX_PATH:,}")
        return None
    if isinstance(entry, Directory):
        return entry
    stored = entry
    if isinstance(entry, HardLink):
        try:
            target = tree.inode(entry.path)
        except HardLinkError as error:
            report(f"a hard link to /{error.target}, which is {error.found}")
            return None
        if not isinstance(target, File):
            report(f"a hard link to /{target.path}, which is a {target.KIND}")
            return None
        stored = File(path=entry.path, content=target.content, mode=target.mode, mtime=target.mtime)
    if not isinstance(stored, File):
        hint = "put what it points to in its place" if isinstance(entry, Symlink) else "leave it out"
        report(f"FAT cannot hold a {entry.KIND}", hint)
        return None
    if stored.content.size > MAX_FILE_SIZE:
        report(
            f"{stored.content.size:,} bytes, FAT holds files of at most {MAX_FILE_SIZE:,} (4 GiB - 1)",
            "compress it, or split it",
        )
        return None
    return stored
