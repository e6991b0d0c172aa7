"""Steps that need programs of the target: run where those are, or taken from prebuilt files, or skipped aloud."""

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from imagekit.config import Config
from imagekit.content import Bytes, DiskFile
from imagekit.errors import InputError
from imagekit.files.output import Outputs
from imagekit.formats import folder as disk_folder
from imagekit.platform.build_log import BuildLog
from imagekit.platform.fixups import put_file
from imagekit.tree import Tree


@dataclass(frozen=True, slots=True)
class Hook:
    """A step: the files that it makes in the image, the workspace's tool for it, and what is lost without it.

    The tool is run on illumos hosts alone; an empty one is none, and then imagekit.yaml has to name a command.
    """

    name: str
    makes: tuple[str, ...]
    command: tuple[str, ...]
    loss: str


HOOKS = (
    Hook(
        "whatis",
        ("usr/share/man/whatis", "smartdc/man/whatis"),
        (),
        "apropos(1) and whatis(1) will find nothing",
    ),
    Hook(
        "smf-import",
        ("etc/svc/repository.db",),
        ("tools/smf_import",),
        "no SMF manifests are imported, so the image boots with the repository of the proto area, or none",
    ),
    Hook(
        "smf-seeds",
        ("usr/lib/brand/joyent-minimal/repository.db",),
        ("tools/build_seeds",),
        "the joyent-minimal brand has no seed repository",
    ),
)
NAMES = tuple(hook.name for hook in HOOKS)


_PFEXEC = "pfexec"

_OWNERS = ("chown", "chgrp")
"""Programs that a plain user's hook may call in vain: owners are the manifest's."""

_OWNER_SCRIPT = """\
#!/bin/sh
PATH=${PATH#"${0%/*}":}
"${0##*/}" "$@" 2>/dev/null || :
"""


@dataclass(frozen=True, slots=True)
class Step:
    """What becomes of a hook in this build: prebuilt files, a command, or (neither) nothing."""

    hook: Hook
    prebuilt: dict[str, DiskFile]
    command: tuple[str, ...] | None

    @property
    def is_skipped(self) -> bool:
        """Whether the image will lack what the hook makes."""
        return not self.prebuilt and self.command is None

    def __str__(self) -> str:
        if self.prebuilt:
            return f"{self.hook.name}: from {', '.join(content.origin for content in self.prebuilt.values())}"
        if self.command is not None:
            return f"{self.hook.name}: runs {' '.join(self.command)}"
        return f"{self.hook.name}: skipped"


def plan_hooks(config: Config, root: Path) -> tuple[list[Step], list[str]]:
    """Return what becomes of every hook in a workspace, and a warning for each that is skipped.

    Raise InputError when a prebuilt file is missing.
    """
    steps, warnings = [], []
    for hook in HOOKS:
        prebuilt = {path: DiskFile(config.prebuilt[path]) for path in hook.makes if path in config.prebuilt}
        command = config.hooks.get(hook.name)
        has_tool = bool(hook.command) and (root / hook.command[0]).exists()
        if command is None and has_tool and sys.platform.startswith("sunos"):
            command = (str((root / hook.command[0]).absolute()), *hook.command[1:])
        step = Step(hook, prebuilt, None if prebuilt else command)
        if step.is_skipped:
            warnings.append(
                f"{hook.name} is skipped: {hook.loss}; it needs an illumos host, or {' and '.join(hook.makes)} "
                "under platform: prebuilt: in imagekit.yaml"
            )
        steps.append(step)
    known = {path for hook in HOOKS for path in hook.makes}
    others = {path: DiskFile(file) for path, file in config.prebuilt.items() if path not in known}
    if others:
        steps.append(Step(Hook("prebuilt", tuple(others), (), ""), others, None))
    return steps, warnings


def put_prebuilt(tree: Tree, steps: Sequence[Step], time: int) -> None:
    """Put the prebuilt files into the tree."""
    for step in steps:
        for path, content in step.prebuilt.items():
            put_file(tree, path, content, time=time)


def run_commands(tree: Tree, steps: Sequence[Step], root: Path, time: int, folder: Path, log: BuildLog) -> Tree | None:
    """Run the commands, each on a copy of the tree on disk; return a tree with what they made, None without commands.

    The copy is as large as the image; it lies in `folder` while they run.  Raise InputError when a command fails or
    does not make its files.
    """
    due = [step for step in steps if step.command is not None]
    if not due:
        return None
    result = tree.copy()
    with Outputs() as outputs:
        # The commands run in the workspace, so the place of the copy has to be an absolute path.
        scratch = outputs.scratch(folder.absolute())
        image = scratch / "root"
        with log.step("Copying the image's files for the hooks"):
            disk_folder.extract(tree, image)
        programs = _owner_programs(scratch / "bin")
        for step in due:
            with log.step(f"Running the hook {step.hook.name}"):
                _run(step, image, root, programs, log)
            for path in step.hook.makes:
                made = image / path
                if made.is_file():
                    put_file(result, path, Bytes(made.read_bytes(), f"made by {step.hook.name}"), time=time)
                    # The tools make these for everybody to read.
                    result.replace(replace(result[path], mode=0o444))
            if not any((image / path).is_file() for path in step.hook.makes):
                raise InputError(
                    f"it ended well, and made none of {', '.join(step.hook.makes)}", where=f"hook {step.hook.name}"
                )
    return result


def _owner_programs(folder: Path) -> Path:
    """Make programs in `folder`, to be first on a PATH, that change owners where this user may, and never fail."""
    folder.mkdir()
    for name in _OWNERS:
        (folder / name).write_text(_OWNER_SCRIPT)
        (folder / name).chmod(0o755)
    return folder


def _run(step: Step, image: Path, root: Path, programs: Path, log: BuildLog) -> None:
    command = [*(step.command or ()), str(image)]
    path = os.environ.get("PATH", os.defpath)
    privileged = _is_of(root, command[0]) and shutil.which(_PFEXEC) is not None
    try:
        done = _call([_PFEXEC, *command], root, path) if privileged else _call(command, root, f"{programs}:{path}")
        if privileged:  # what a privileged program made has to be read and removed
            _call([_PFEXEC, "chown", "-R", f"{os.getuid()}:{os.getgid()}", str(image)], root, path)
    except OSError as error:
        raise InputError(f"cannot run {command[0]}: {error.strerror}", where=f"hook {step.hook.name}") from error
    said = (done.stdout + done.stderr).splitlines()
    log.lines(f"  | {line}" for line in said)
    if done.returncode:
        last = "".join(f"\n  | {line}" for line in said[-20:])
        raise InputError(f"{command[0]} ended with status {done.returncode}{last}", where=f"hook {step.hook.name}")


def _is_of(root: Path, program: str) -> bool:
    """Tell whether a program is the workspace's own: the others, such as ssh, have no need of privileges here."""
    return "/" in program and Path(root, program).absolute().is_relative_to(root.absolute())


def _call(command: Sequence[str], root: Path, path: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PATH": path}
    return subprocess.run(
        command, cwd=root, env=environment, capture_output=True, text=True, errors="replace", check=False
    )
