"""The table of checks: a line for each, and what was found where one failed."""

import shutil
import subprocess
import traceback
from contextlib import contextmanager

SHOWN = 8


class Report:
    """Prints checks as they are made; counts them."""

    def __init__(self):
        self.counts = {"ok": 0, "FAILED": 0, "skipped": 0}

    def line(self, verdict, name, text=""):
        self.counts[verdict] += 1
        print(f"{verdict:8} {name}" + (f"  ({text})" if text else ""), flush=True)

    def check(self, name, findings, note=""):
        """Print one check: `findings` are lines that say what is wrong, none when all is well."""
        findings = list(findings)
        self.line("FAILED" if findings else "ok", name, f"{len(findings)} findings" if findings else note)
        for finding in findings[:SHOWN]:
            print(f"           {finding}")
        if len(findings) > SHOWN:
            print(f"           and {len(findings) - SHOWN} more")

    def equal(self, name, found, expected):
        self.check(name, [] if found == expected else [f"found {found!r}, expected {expected!r}"])

    def has(self, name, *programs):
        """Tell whether programs are installed; the check is skipped aloud when not."""
        missing = [program for program in programs if shutil.which(program) is None]
        if missing:
            self.line("skipped", name, f"not installed: {', '.join(missing)}")
        return not missing

    @contextmanager
    def section(self, name):
        """Make what goes wrong inside a failed check, and go on."""
        try:
            yield
        except Exception as error:  # noqa: BLE001 - whatever it is, the others are still to be checked
            self.line("FAILED", name, f"stopped by {type(error).__name__}")
            print(traceback.format_exc())
            if isinstance(error, subprocess.CalledProcessError):
                print(f"           {error.stdout!r:.2000}\n           {error.stderr!r:.2000}")

    def finish(self):
        """Print the sum; return the exit status."""
        print(", ".join(f"{count} {verdict}" for verdict, count in self.counts.items()))
        return 1 if self.counts["FAILED"] or not self.counts["ok"] else 0
