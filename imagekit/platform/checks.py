"""What a platform asks of a manifest and its proto areas: `platform` refuses by it, and `verify` says so before."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

from imagekit.config import Config
from imagekit.content import Bytes
from imagekit.errors import ImagekitError, InputError
from imagekit.manifest.complete import EXPECTED, complete_paths
from imagekit.manifest.findings import Finding, Severity, in_order, is_below
from imagekit.manifest.grammar import Directive
from imagekit.manifest.known import OF_VERIFY, set_apart
from imagekit.manifest.verify import Verification, verify
from imagekit.platform import password
from imagekit.platform.fixups import put_file
from imagekit.platform.hooks import plan_hooks, put_prebuilt
from imagekit.platform.images import check_images
from imagekit.platform.layout import BUILD_VERSION, IMAGE_KERNEL, RELEASE, SHADOW
from imagekit.platform.versions import git_status
from imagekit.tree import File, Tree


def verify_platform(
    directives: Sequence[Directive],
    protos: Sequence[Path],
    config: Config,
    *,
    complete: Sequence[str] = (),
    expected: Sequence[str] = (),
    modes: bool = False,
    mtime: int = 0,
) -> Verification:
    """Check a manifest as `platform` does: the configured paths, or those of the default, have to be complete too.

    Raise InputError when a proto area can't be read at all, or none has a path that was given.
    """
    prefixes = _complete_paths(config, protos)
    every = list(dict.fromkeys([*prefixes, *complete]))
    return verify(directives, protos, complete=every, expected=expected, modes=modes, mtime=mtime)


def check(
    directives: Sequence[Directive],
    protos: Sequence[Path],
    config: Config,
    root: Path,
    *,
    complete: Sequence[str] = (),
    modes: bool = False,
    is_any: bool = False,
) -> Verification:
    """Check all that `platform` would refuse but for sizes: what does not fit or, when all fits, what is in the way.

    With `is_any` a manifest that ships no kernel is taken for something else: of the paths that have to be complete
    only those count of which it ships something.  `root` is the workspace, where hooks are looked for.
    """
    if is_any and not any(directive.path == IMAGE_KERNEL for directive in directives):
        shipped = {directive.path for directive in directives}
        prefixes = [one for one in _complete_paths(config, protos) if any(is_below(path, (one,)) for path in shipped)]
        return verify(directives, protos, complete=list(dict.fromkeys([*prefixes, *complete])), modes=modes)
    expected = EXPECTED if config.complete is None else ()
    found = verify_platform(directives, protos, config, complete=complete, expected=expected, modes=modes)
    if found.fatal:
        return found
    more = [*platform_findings(found.tree, config, root), *git_status(root, 0)[1]]
    return replace(found, findings=tuple(in_order([*found.findings, *more])))


def without_known(found: Verification, config: Config, *, is_any: bool = False) -> Verification:
    """Take out the warnings that are known; of a manifest for something else (`is_any`, as above) nothing is stale."""
    is_whole = not is_any or IMAGE_KERNEL in found.tree
    sorting = set_apart(found.findings, config.known, OF_VERIFY if is_whole and not found.fatal else ())
    return replace(found, findings=tuple(sorting.new), known=tuple(sorting.known), stale=tuple(sorting.stale))


def _complete_paths(config: Config, protos: Sequence[Path]) -> list[str]:
    return complete_paths(config.complete, protos, str(config.path))


def require_kernel(tree: Tree) -> None:
    """Raise InputError unless the tree has the kernel as a file of its own."""
    if not isinstance(tree.get(IMAGE_KERNEL), File):
        raise InputError(
            f"the manifest ships no kernel: /{IMAGE_KERNEL} is missing", hint=f"add: f {IMAGE_KERNEL} 0755 root sys"
        )


def platform_findings(tree: Tree, config: Config, root: Path) -> Iterator[Finding]:
    """Yield M411 for what would keep a platform from being made of a tree that fits its proto areas; sizes apart.

    Without a kernel the manifest may be that of something else: then it is a warning.
    """
    whole = tree.copy()
    nothing = Bytes(b"")

    def prebuilt() -> None:
        put_prebuilt(whole, plan_hooks(config, root)[0], 0)

    def shadow() -> None:
        entry = whole.get(SHADOW)
        if isinstance(entry, File):
            password.set_root_password(entry.content.read(), "*", entry.content.origin)

    edits: list[Callable[[], object]] = [
        prebuilt,
        shadow,
        partial(put_file, whole, BUILD_VERSION, nothing, time=0),
        partial(put_file, whole, RELEASE, nothing, time=0),
        partial(require_kernel, whole),
        partial(check_images, whole, 0),
    ]
    severity: Severity = "error" if IMAGE_KERNEL in tree else "warning"
    for edit in edits:
        try:
            edit()
        except ImagekitError as error:
            yield Finding("M411", severity, f"{error}" + (f" ({error.hint})" if error.hint else ""))
            if severity == "warning":
                return
