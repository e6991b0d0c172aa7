"""imagekit as a plain user runs it: without root's rights, even where the checks run as root."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

PROJECT = Path(__file__).resolve().parent.parent.parent
NOBODY, DAEMON = 65534, 1
IMPORTS = "import imagekit.cli.usb, click, construct, tqdm, passlib.hash, yaml"


@dataclass(frozen=True)
class Outcome:
    """How a command ended: its exit status, what it said, its peak memory in MB."""

    status: int
    stdout: str
    stderr: str
    memory: float
    seconds: float


class PlainUser:
    """Runs imagekit as nobody when started as root, else as whoever started the checks."""

    def __init__(self, scratch):
        self._scratch = scratch
        self.uid = NOBODY if os.geteuid() == 0 else None
        self._python = sys.executable
        path = os.pathsep.join(filter(None, (str(PROJECT), os.environ.get("PYTHONPATH"))))
        self._environment = {"PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
        if subprocess.run([sys.executable, "-c", IMPORTS], env=os.environ | self._environment, check=False).returncode:
            sys.exit(
                f"{sys.executable} lacks what imagekit needs; scripts/test makes an environment with all of it in .venv"
            )
        self.description = f"runs as uid {self.uid if self.uid is not None else os.geteuid()}"
        if self.uid is not None and not self._starts():
            self._copy_python()
            self.description += " with a copy of Python, since it cannot read the one here"
            if not self._starts():
                self.uid = None
                self.description = "runs as root: no other user can run this Python, nor a copy of it"

    @property
    def is_root(self):
        return self.uid is None and os.geteuid() == 0

    def own(self, path):
        """Give a file, or a folder with all in it, to the user."""
        if self.uid is not None:
            os.chown(path, self.uid, self.uid, follow_symlinks=False)
            for folder, folders, files in os.walk(path):
                for name in (*folders, *files):
                    os.chown(Path(folder, name), self.uid, self.uid, follow_symlinks=False)

    def imagekit(
        self, *arguments, cwd, umask=0o022, cpus=None, interrupt=None, file_limit=None, uid=None, **environment
    ):
        """Run a command of imagekit on so many processors, or all; no file may be larger than `file_limit` bytes.

        `interrupt` is a folder to look for unfinished outputs in, and the seconds to wait then before SIGINT.
        """
        command = [self._python, "-m", "imagekit", *map(str, arguments)]
        options = {"umask": umask, "cpus": cpus, "interrupt": interrupt, "file_limit": file_limit}
        return self._launch(command, options, cwd, environment, self.uid if uid is None or not self.uid else uid)

    def _launch(self, command, options, cwd, environment, uid):
        with tempfile.TemporaryDirectory(dir=self._scratch) as folder:
            result = Path(folder, "result")
            options = {**options, "uid": uid, "result": str(result)}
            launcher = [sys.executable, str(Path(__file__).with_name("launch.py")), json.dumps(options), *command]
            environment = {**os.environ, "HOME": "/", **self._environment, **environment}
            # The launcher runs with this Python, whatever the command's environment.
            python = {name: environment.pop(name) for name in list(environment) if name.startswith(("PYTHON", "LD_"))}
            launcher[3:] = [shutil.which("env"), *(f"{name}={value}" for name, value in python.items()), *command]
            done = subprocess.run(
                launcher, cwd=cwd, env=environment, capture_output=True, text=True, errors="replace", check=False
            )
            if done.returncode:
                raise RuntimeError(done.stderr)
            return Outcome(**json.loads(result.read_text()), stdout=done.stdout, stderr=done.stderr)

    def _starts(self):
        options = {"umask": 0o022, "cpus": None, "interrupt": None, "file_limit": None}
        command = [self._python, "-c", IMPORTS]
        return self._launch(command, options, "/", {}, self.uid).status == 0

    def _copy_python(self):
        """Copy Python, what it finds in site-packages, and imagekit, to where everybody can read."""
        place = self._scratch / "python"
        version = f"python{sys.version_info.major}.{sys.version_info.minor}"
        ignore = shutil.ignore_patterns("site-packages", "test", "tests", "idlelib", "config-*", "*.a")
        library = Path(sys.base_prefix, "lib")
        shutil.copytree(library / version, place / "lib" / version, ignore=ignore, symlinks=True)
        for shared in library.glob("libpython*.so*"):
            shutil.copy(shared, place / "lib")
        (place / "bin").mkdir()
        shutil.copy(Path(sys.executable).resolve(), place / "bin/python")
        project = place / "project"
        for name in ("imagekit", "bootloader", "manifests"):
            shutil.copytree(PROJECT / name, project / name, ignore=shutil.ignore_patterns("__pycache__"))
        packages = []
        for number, entry in enumerate(sys.path):
            if Path(entry).name == "site-packages" and Path(entry).is_dir():
                packages.append(place / f"packages{number}")
                shutil.copytree(entry, packages[-1])
        self._python = str(place / "bin/python")
        self._environment |= {
            "PYTHONHOME": str(place),
            "PYTHONPATH": ":".join(map(str, [project, *packages])),
            "LD_LIBRARY_PATH": str(place / "lib"),
        }
