#!/usr/bin/env python3
"""Let one call of the system after the other fail while imagekit works, for as long as one likes.

    fuzz_calls.py [SECONDS [SEED]]

strace (Debian: apt-get install strace) lets the N-th call of a kind fail that imagekit makes, each in a run of its own:
EIO, ENOSPC, EDQUOT, EINTR, writes and reads that are cut short.  Whatever fails, a run must end with status 1 and one
line for the user (and a hint), without a traceback, or with status 0 and the right outputs; the outputs are all old or
all new, and nothing else is left.  What differs is printed with the call that fails, and the exit status is 1.
"""

import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from imagekit.platform.demo import make_demo
from kit import workspace

IMAGEKIT = (sys.executable, "-P", "-m", "imagekit")

ERRORS = {
    "write": ("EIO", "ENOSPC", "EDQUOT", "EINTR", "EFBIG"),
    "pwrite64": ("EIO", "ENOSPC", "EDQUOT", "EINTR", "EFBIG"),
    "fsync": ("EIO", "ENOSPC", "EDQUOT"),
    "fchmod": ("EIO", "EPERM"),
    "fchmodat": ("EIO", "EPERM"),
    "chmod": ("EIO", "EPERM"),
    "close": ("EIO", "EDQUOT"),
    "rename": ("EIO", "EACCES", "ENOSPC"),
    "renameat2": ("EIO", "EINVAL"),
    "mkdir": ("EIO", "ENOSPC", "EDQUOT"),
    "symlink": ("EIO", "ENOSPC"),
    "truncate": ("EIO", "ENOSPC", "EFBIG"),
    "ftruncate": ("EIO", "ENOSPC", "EFBIG"),
    "flock": ("ENOLCK", "EINTR", "EIO"),
    "copy_file_range": ("EIO", "ENOSPC", "EXDEV"),
    "fallocate": ("EIO", "ENOSPC", "EOPNOTSUPP"),
    "sendfile": ("EIO", "ENOSPC"),
    "preadv": ("EIO", "EINTR"),
    "read": ("EIO", "EINTR"),
    "openat": ("EIO", "EMFILE", "ENOSPC"),
    "newfstatat": ("EIO",),
    "fstat": ("EIO",),
    "lseek": ("EIO",),
    "getdents64": ("EIO",),
}
"""What may fail with what: the names of x86_64."""

OURS = re.compile(r"imagekit: [^\n]+(\n  [^\n]+)*(\nimagekit: [^\n]+: cannot be removed)*\Z")


class Case:
    """A call of imagekit in a workspace of its own, with outputs of an earlier run in the way."""

    def __init__(self, top: Path, name: str, *arguments: str, outputs: tuple[str, ...]) -> None:
        self.folder = top / name
        self.arguments = arguments
        self.outputs = outputs
        if name in {"platform", "boot", "tar"}:  # what a manifest and a proto area make
            make_demo(self.folder)
        else:
            self.folder.mkdir()
            workspace.make(self.folder)
        self.before = everything(self.folder)
        done = self.run()
        if done.returncode:
            raise SystemExit(f"{name} fails anyhow: {done.stderr}")
        self.new = everything(self.folder)
        self.old = {
            path: b"old" if any(str(path).startswith(output) for output in outputs) and data is not None else data
            for path, data in self.new.items()
        }
        self.traced = self.folder.with_suffix(".trace")

    def run(self, *inject: str) -> subprocess.CompletedProcess[str]:
        """Run it, under strace where something is to fail."""
        tracer = ["strace", "-f", "-qq", "-o", str(self.traced), *inject] if inject else []
        return subprocess.run(
            [*tracer, *IMAGEKIT, *self.arguments], cwd=self.folder, capture_output=True, text=True, check=False
        )

    def calls(self) -> dict[str, list[int]]:
        """Return for each kind of call which of them, counted in each thread from 1, touch this workspace."""
        self.run("-y", "-e", "trace=" + ",".join(f"?{name}" for name in ERRORS))
        counts: dict[tuple[str, str], int] = {}
        touching: dict[str, set[int]] = {}
        first: dict[str, int] = {}
        for line in self.traced.read_text(errors="replace").splitlines():
            match = re.match(r"(\d+) +(\w+)\((.*)", line)
            if match is None or match[2] not in ERRORS:
                continue
            thread, call = match[1], match[2]
            counts[thread, call] = counts.get((thread, call), 0) + 1
            named = match[3].replace(f"AT_FDCWD<{self.folder}>", "")
            if str(self.folder) in named or re.search(r'(^|, )"[^/]', named):
                touching.setdefault(call, set()).add(counts[thread, call])
                first.setdefault(call, counts[thread, call])
        # What Python itself needs to start is not at stake.
        return {
            call: sorted(number for number in numbers if number >= first[call]) for call, numbers in touching.items()
        }

    def reset(self) -> None:
        """Put the old outputs in place."""
        for path in sorted(everything(self.folder).keys() - self.old.keys(), reverse=True):
            place = self.folder / path
            if place.is_dir() and not place.is_symlink():
                shutil.rmtree(place)
            else:
                place.unlink(missing_ok=True)
        for path, data in self.old.items():
            place = self.folder / path
            if data is None:
                place.mkdir(exist_ok=True, parents=True)
            elif isinstance(data, Path):
                place.unlink(missing_ok=True)
                place.symlink_to(data)
            else:
                place.parent.mkdir(exist_ok=True, parents=True)
                if not place.is_file() or place.read_bytes() != data:
                    place.write_bytes(data)

    def judge(self, done: subprocess.CompletedProcess[str], *, mute: bool) -> str | None:
        """Return what is wrong with a run, or None."""
        found = everything(self.folder)
        said = re.sub(r"imagekit: warning: .*\n", "", done.stderr).rstrip("\n")
        if "<frozen importlib" in done.stderr:  # Python could not read its own files
            return None
        if "Traceback" in done.stderr or "Exception ignored" in done.stderr:
            return f"a traceback: {done.stderr}"
        extra = sorted(str(path) for path in found.keys() - self.old.keys())
        if done.returncode == 0:
            return None if found == self.new else f"success, but the outputs differ, or more is there: {extra}"
        if done.returncode != 1:
            return f"status {done.returncode}: {done.stderr}"
        if not OURS.match(said) and not (mute and not said):
            return f"not one line: {said!r}"
        if extra and "cannot be removed" not in said:
            return f"left behind: {extra}; said: {said}"
        for output in self.outputs:
            of_it = [path for path in self.new if str(path).startswith(output)]
            states = {
                "old" if found.get(path) == self.old[path] else "new" if found.get(path) == self.new[path] else "?"
                for path in of_it
                if self.old[path] != self.new[path]
            }
            if len(states) > 1 or "?" in states:
                return f"{output} is neither old nor new: {states}; said: {said}"
        return None


def everything(folder: Path) -> dict[Path, object]:
    """Return what is in a folder, by path: contents, where links lead, None for folders."""
    return {
        path.relative_to(folder): path.readlink()
        if path.is_symlink()
        else path.read_bytes()
        if path.is_file()
        else None
        for path in folder.rglob("*")
        if "log" not in path.relative_to(folder).parts
    }


def cases(top: Path) -> Iterator[Case]:
    yield Case(top, "usb", "usb", "--no-compress", "--size", "auto", "-o", "x.usb", outputs=("x.usb", "partition.map"))
    yield Case(top, "gz", "usb", "--size", "auto", "-o", "x.usb.gz", outputs=("x.usb.gz", "partition.map"))
    yield Case(top, "iso", "iso", "-o", "x.iso", outputs=("x.iso",))
    yield Case(top, "pxe", "pxe", "-o", "new", outputs=())
    yield Case(top, "tar", "tar", "-m", "manifest.d", "-p", "proto", "-o", "x.tgz", outputs=("x.tgz",))
    yield Case(top, "platform", "platform", "--root-password", "x", outputs=("output/platform-20261122T000000Z/",))
    yield Case(top, "boot", "boot", outputs=("proto.boot/",))


def main() -> int:
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else 60
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 0)
    if shutil.which("strace") is None:
        raise SystemExit("needs strace")
    runs = wrong = failed = 0
    with tempfile.TemporaryDirectory(prefix="imagekit-calls-") as name:
        every = [(case, case.calls()) for case in cases(Path(name))]
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            case, calls = rng.choice(every)
            call = rng.choice(sorted(calls))
            error = rng.choice(ERRORS[call])
            count = rng.choice(calls[call])
            often = rng.choice(["", "", "+"])  # this one alone, or all from then on
            if error == "EINTR":
                often = ""
            case.reset()
            done = case.run("-e", f"trace={call}", "-e", f"inject={call}:error={error}:when={count}{often}")
            runs += 1
            failed += done.returncode == 1
            if what := case.judge(done, mute=call == "write"):
                wrong += 1
                print(f"{case.folder.name}: {call} no. {count}{often} fails with {error}: {what}", flush=True)
    print(f"{runs} runs, {failed} of them failed as they should, {wrong} did not")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
