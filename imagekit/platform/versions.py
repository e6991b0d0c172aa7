"""What a platform says about its own build: the git state of its sources, and /etc/release."""

import json
import os
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from imagekit.clock import Stamp
from imagekit.manifest.findings import Finding

_REPOSITORIES = (
    ("", "smartos-live"),
    ("projects/illumos", "illumos-joyent"),
    ("projects/illumos-extra", "illumos-extra"),
)

_TRUST = {"GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_GLOBAL"}


def git_status(root: Path, time: int) -> tuple[str, list[Finding]]:
    """Return the text of gitstatus.json for a workspace, and M413 for sources it does not name.

    Kernel and mdb read this form.

    `time` (seconds since 1970) stands in for the date of a folder that git knows nothing of.
    """
    records: list[dict[str, str]] = []
    warnings = [
        _unnamed(root, folder, f"gitstatus.json leaves out this repository: {why}") for folder, why in _left_out(root)
    ]
    is_workspace = (root / ".git").exists() or (root / "projects").is_dir()
    for folder, name in _folders(root):
        record = _record(folder, name)
        if record is None:
            if is_workspace:
                warnings.append(
                    _unnamed(root, folder, "git knows nothing of it, so the platform will not name its sources")
                )
            record = {"repo": name, "date": str(time), "warning": "no git metadata available"}
        records.append(record)
    return json.dumps(records, indent=4) + "\n", warnings


def _unnamed(root: Path, folder: Path, message: str) -> Finding:
    return Finding("M413", "warning", message, str(folder.relative_to(root)), str(folder))


def _folders(root: Path) -> Iterator[tuple[Path, str]]:
    for place, name in _REPOSITORIES:
        if not place or (root / place).is_dir():
            yield root / place, name
    local = root / "projects/local"
    if local.is_dir():
        for folder in sorted(local.iterdir()):
            if folder.is_dir():
                yield folder, folder.name


def _left_out(root: Path) -> Iterator[tuple[Path, str]]:
    """Yield the repositories of a workspace that gitstatus.json does not name, and why."""
    if not (root / "projects").is_dir():
        return
    named = {root / place for place, _ in _REPOSITORIES} | {root / "projects/local"}
    for folder in sorted(one for one in named if not one.is_dir() and one.name != "local"):
        yield folder, "it is not here"
    for folder in sorted((root / "projects").iterdir()):
        if folder not in named and (folder / ".git").exists():
            yield folder, "only illumos, illumos-extra and those in local are looked at"


def _record(folder: Path, name: str) -> dict[str, str] | None:
    if not (folder / ".git").exists():
        return None
    revision = _git(folder, "rev-parse", "HEAD")
    date = _git(folder, "log", "-n", "1", "--no-show-signature", "--format=%ct")
    if revision is None or date is None:
        return None
    branch = _git(folder, "symbolic-ref", "--quiet", "--short", "HEAD") or f"(HEAD detached at {revision[:7]})"
    url = _git(folder, "config", "--local", "remote.origin.url") or ""
    return {"repo": name, "branch": branch, "commit_date": date, "rev": revision, "url": url}


def _git(folder: Path, *arguments: str) -> str | None:
    """Return what git prints, or None when it fails, finds nothing, or is not installed."""
    try:
        done = subprocess.run(
            ["git", "-C", str(folder), *arguments],
            env=_environment(folder),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            check=False,
        )
    except OSError:
        return None
    return done.stdout.strip() if done.returncode == 0 and done.stdout.strip() else None


def _environment(folder: Path) -> dict[str, str]:
    """Return an environment in which git tells of the repository in a folder, and of no other.

    Of git's own variables only those stay that name its configuration files: these say whose folders it may trust.
    """
    kept = {name: value for name, value in os.environ.items() if not name.startswith("GIT_") or name in _TRUST}
    return kept | {"GIT_CEILING_DIRECTORIES": str(folder.resolve().parent)}


def release_text(stamp: Stamp, status: str, time: int) -> str:
    """Return /etc/release for a build stamp and the text of gitstatus.json, as smartos-live's build_etcrelease does.

    `time` (seconds since 1970) gives the year of the copyright.
    """
    year = datetime.fromtimestamp(time, UTC).year
    return (
        f"{'':21}SmartOS {stamp.text} x86_64\n"
        f"{'':20}Copyright {year} Edgecast Cloud LLC.\n\n"
        f"  Built with the following components:\n\n{status}"
    )
