"""The two file systems of a platform, / and /usr, planned from the tree of the whole image."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from imagekit.content import Bytes, Content
from imagekit.errors import Thing
from imagekit.formats import ufs
from imagekit.platform.fixups import empty_files, lay_below_usr, split_usr
from imagekit.platform.shipped import PATH as SHIPPED_PATH
from imagekit.platform.shipped import shipped_files
from imagekit.tree import File, Tree

ROOT_BYTES_PER_INODE, USR_BYTES_PER_INODE = 12_248, 14_000
USR_ARCHIVE = "usr.lgz"


@dataclass(frozen=True, slots=True, kw_only=True)
class Sizes:
    """The sizes of both images in bytes; with `fit`, an image that is too small grows."""

    root: int
    usr: int
    fit: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Images:
    """The two file systems, planned.  In `root` usr.lgz is empty: its size is known when /usr is compressed."""

    root: ufs.Plan
    usr: ufs.Plan
    root_tree: Tree
    sizes: Sizes
    time: int  # seconds since 1970
    shipped: Content
    warnings: tuple[str, ...]

    def complete_root(self, usr_archive: Content) -> ufs.Plan:
        """Plan / again, with the compressed /usr in it, where `root.last` is if it fits there."""
        whole = self.root_tree.copy()
        whole.replace(_usr_archive(usr_archive, self.time))
        return _plan_root(whole, self.sizes, self.time)


def plan_images(tree: Tree, sizes: Sizes, time: int) -> Images:
    """Plan both file systems from the whole image's tree, which is left as it is."""
    root_tree, usr_tree, shipped, missing = split_images(tree, time)
    warnings = [f"/{path} is not shipped, and early boot needs it before /usr is mounted" for path in missing]
    return Images(
        root=_plan_root(root_tree, sizes, time, later=f", and room for {USR_ARCHIVE} on top"),
        usr=_plan_usr(usr_tree, sizes, time),
        root_tree=root_tree,
        sizes=sizes,
        time=time,
        shipped=shipped,
        warnings=tuple(warnings),
    )


def split_images(tree: Tree, time: int) -> tuple[Tree, Tree, Content, list[str]]:
    """Return the trees of / and of /usr, the list of shipped files in it, and what early boot will miss.

    The whole image's tree is left as it is.  Raise InputError where the manifest has something else in the way.
    """
    whole = tree.copy()
    shipped = shipped_files(whole)
    whole.add_parents(SHIPPED_PATH, mtime=time)
    whole.replace(File(path=SHIPPED_PATH, mode=0o644, mtime=time, content=shipped))
    empty_files(whole, time)
    root_tree, usr_tree = split_usr(whole, time)
    missing = lay_below_usr(root_tree, usr_tree, time)
    root_tree.replace(_usr_archive(Bytes(b""), time))
    return root_tree, usr_tree, shipped, missing


def check_images(tree: Tree, time: int) -> None:
    """Raise InputError or PlanError for what of the whole image's tree no file system can hold, whatever its size."""
    root_tree, usr_tree, _, _ = split_images(tree, time)
    ufs.check(root_tree)
    ufs.check(usr_tree, mount="usr")


def growth(name: str, plan: ufs.Plan, wanted: int) -> list[str]:
    """Return a warning when a file system had to grow past the size that was wanted, in bytes."""
    if plan.size <= wanted:
        return []
    return [f"{name} has {plan.size // 1024:,} KiB instead of {wanted // 1024:,}, so that all fits"]


def _usr_archive(content: Content, time: int) -> File:
    return File(path=USR_ARCHIVE, mode=0o600, mtime=time, content=content)


def _plan_root(tree: Tree, sizes: Sizes, time: int, *, later: str = "") -> ufs.Plan:
    """Plan the file system of /; `later` says what is not in it yet, should it not fit."""
    plan = partial(ufs.plan, tree, time=time, bytes_per_inode=ROOT_BYTES_PER_INODE, last=USR_ARCHIVE)
    return _fitting(plan, sizes.root, fit=sizes.fit, name="/", option=Thing.ROOT_SIZE, later=later)


def _plan_usr(tree: Tree, sizes: Sizes, time: int) -> ufs.Plan:
    plan = partial(ufs.plan, tree, time=time, bytes_per_inode=USR_BYTES_PER_INODE, mount="usr")
    return _fitting(plan, sizes.usr, fit=sizes.fit, name="/usr", option=Thing.USR_SIZE)


def _fitting(
    plan: Callable[[int], ufs.Plan], size: int, *, fit: bool, name: str, option: str, later: str = ""
) -> ufs.Plan:
    """Return the plan of that size in bytes, or of one that is large enough."""
    try:
        return plan(size)
    except ufs.ImageTooSmallError as error:
        if fit:
            return plan(error.needed * 1024)
        hint = f"give {option} {error.needed} (KiB) or more{later}, or {Thing.FIT} to let it grow"
        raise error.at(name, hint=hint) from None
