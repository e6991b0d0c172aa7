"""Decides everything about a platform: which files with which owners, from where, and whether they fit."""

import mmap
from collections.abc import Iterator, Sequence
from dataclasses import replace

from imagekit import __version__
from imagekit.clock import build_time
from imagekit.content import Bytes, DiskFile
from imagekit.errors import InputError, Thing, listed
from imagekit.files.kept import others_in
from imagekit.manifest.accounts import read_accounts
from imagekit.manifest.findings import Finding, grouped, without_fatal
from imagekit.manifest.known import OF_BUILDS, set_apart
from imagekit.manifest.lint import lint
from imagekit.manifest.sources import parse_files, read_manifests
from imagekit.platform import password, versions
from imagekit.platform.assemble import Plan
from imagekit.platform.build_env import platform_password
from imagekit.platform.build_log import BuildLog
from imagekit.platform.checks import require_kernel, verify_platform
from imagekit.platform.fixups import put_file
from imagekit.platform.hooks import plan_hooks, put_prebuilt
from imagekit.platform.images import Sizes, growth, plan_images
from imagekit.platform.layout import BUILD_VERSION, PLATFORM_FILES, RELEASE, SHADOW
from imagekit.platform.request import Inputs, PlatformRequest, find_inputs
from imagekit.tree import File, Tree

ROOT_KIB, DEBUG_KIB, USR_KIB = 350_000, 3_000, 448_000
"""Sizes of the original's images; a DEBUG kernel gets so much more for /."""

GENUNIX = "kernel/amd64/genunix"


def plan(request: PlatformRequest, log: BuildLog | None = None) -> Plan:
    """Decide everything about a platform; raise InputError or PlanError for all that can be known to fail.

    What is done is told to `log`, which by default keeps nothing.
    """
    log = log or BuildLog(keeps=False)
    inputs = find_inputs(request)
    log_warnings = log.open(inputs.root, inputs.stamp)
    log.lines(f"{name}: {value}" for name, value in _described(inputs))
    with log.step("Planning the platform"):
        made = _plan(request, inputs, log)
    log.messages(f"warning: {warning}" for warning in made.warnings)
    return replace(made, warnings=(*log_warnings, *made.warnings))


def _described(inputs: Inputs) -> Iterator[tuple[str, str]]:
    """Yield what a log says of a build's inputs."""
    yield "build stamp", inputs.stamp.text
    yield "build version", inputs.version or "none"
    yield "manifest", ", ".join(map(str, inputs.manifests))
    yield "proto areas", ", ".join(map(str, inputs.protos))
    yield "output", str(inputs.output)
    yield "imagekit", __version__


def _plan(request: PlatformRequest, inputs: Inputs, log: BuildLog) -> Plan:
    chosen = request.root_password if request.root_password is not None else platform_password(inputs.root)
    if chosen is not None:
        password.check_password(chosen)
    time = build_time(inputs.stamp)
    git_status, git_findings = versions.git_status(inputs.root, time)
    tree, warnings = _resolve(inputs, time, git_findings, strict=request.strict)
    steps, hook_warnings = plan_hooks(inputs.config, inputs.root)
    put_prebuilt(tree, steps, time)
    root_password, password_warnings = _set_password(tree, chosen, inputs)
    put_file(tree, BUILD_VERSION, Bytes(git_status.encode(), "git state"), time=time)
    release = versions.release_text(inputs.stamp, git_status, time)
    put_file(tree, RELEASE, Bytes(release.encode(), "generated /etc/release"), time=time)
    require_kernel(tree)
    sizes = Sizes(
        root=1024 * (request.root_kib or inputs.config.root_kib or ROOT_KIB + DEBUG_KIB * _is_debug(tree)),
        usr=1024 * (request.usr_kib or inputs.config.usr_kib or USR_KIB),
        fit=request.fit,
    )
    images = plan_images(tree, sizes, time)
    every = [*inputs.warnings, *warnings, *hook_warnings, *password_warnings, *images.warnings]
    every += others_in(inputs.output / inputs.name("platform"), PLATFORM_FILES, "stays")
    every += growth("/usr", images.usr, sizes.usr)
    if request.strict and images.warnings:
        raise InputError(f"with {Thing.STRICT} these are errors:{listed(images.warnings)}")
    return Plan(
        inputs=inputs,
        time=time,
        tree=tree,
        steps=steps,
        images=images,
        root_password=root_password,
        git_status=git_status,
        warnings=tuple(every),
        log=log,
    )


def _resolve(inputs: Inputs, time: int, more: Sequence[Finding], *, strict: bool) -> tuple[Tree, list[str]]:
    """Return the tree that the manifest describes, checked against the proto areas in the same go, and warnings.

    `more` are further warnings, `known` ones of which are not news either.
    """
    directives = read_manifests(inputs.manifests)
    verified = verify_platform(directives, inputs.protos, inputs.config, mtime=time)
    findings = dict.fromkeys([*verified.findings, *(_lint(inputs) if strict else ())])
    sorting = set_apart([*findings, *more], inputs.config.known, OF_BUILDS)
    others = without_fatal((one for one in sorting.new if one not in more), verified.complete, strict=strict)
    warnings = grouped(one for one in others if one.severity != "note")
    return verified.tree, [*warnings, *(one.brief for one in more if one in sorting.new), *sorting.remarks()]


def _lint(inputs: Inputs) -> list[Finding]:
    return lint(parse_files(inputs.manifests), read_accounts(inputs.protos))


def _set_password(tree: Tree, wanted: str | None, inputs: Inputs) -> tuple[str | None, list[str]]:
    shadow = tree.get(SHADOW)
    if not isinstance(shadow, File):
        if wanted is not None:
            raise InputError(f"the manifest ships no /{SHADOW}, so root can have no password")
        return None, [f"the manifest ships no /{SHADOW}: root has no password"]
    chosen = wanted if wanted is not None else password.random_password()
    hashed = password.crypt(chosen, f"root {inputs.name('platform')}")
    text = password.set_root_password(shadow.content.read(), hashed, shadow.content.origin)
    put_file(tree, SHADOW, Bytes(text, f"edited /{SHADOW}"), time=shadow.mtime)
    tree.replace(replace(tree[SHADOW], mode=0o400))
    return chosen, []


def _is_debug(tree: Tree) -> bool:
    """Tell whether the kernel is a DEBUG build."""
    entry = tree.get(GENUNIX)
    if not isinstance(entry, File) or not isinstance(entry.content, DiskFile) or not entry.content.size:
        return False
    with entry.content.path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
        return view.find(b"DEBUG enabled") >= 0
