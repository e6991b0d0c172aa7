"""Run one command as another user, with another umask, on some processors, within limits; say how it ended.

A program of its own: what the kernel counts as a child's peak memory includes that of the process which it was forked
from, and this one has next to none.
"""

import json
import os
import resource
import signal
import sys
import time


def become(options):
    """Take on what was asked for, the rights last."""
    os.umask(options["umask"])
    if options["cpus"]:
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: options["cpus"]])
    if options["file_limit"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (options["file_limit"],) * 2)
    if options["uid"] is not None:
        os.setgroups([])
        os.setgid(options["uid"])
        os.setuid(options["uid"])


def interrupt(child, folder, seconds):
    """Send SIGINT so many seconds after an unfinished output, or scratch, has appeared below a folder."""
    while not any(name.startswith(".") for _, folders, files in os.walk(folder) for name in (*folders, *files)):
        time.sleep(0.01)
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOHANG | os.WNOWAIT):
            return
    time.sleep(seconds)
    os.kill(child, signal.SIGINT)


def main():
    options, command = json.loads(sys.argv[1]), sys.argv[2:]
    started = time.monotonic()
    child = os.fork()
    if not child:
        try:
            become(options)
            # Not execvp: it imports, and this Python may be out of reach by now.
            os.execv(command[0], command)  # noqa: S606 - no shell is wanted
        finally:
            os._exit(127)
    if options["interrupt"]:
        interrupt(child, *options["interrupt"])
    _, status, usage = os.wait4(child, 0)
    ended = {
        "status": os.waitstatus_to_exitcode(status),
        "memory": usage.ru_maxrss / 1024,
        "seconds": time.monotonic() - started,
    }
    with open(options["result"], "w", encoding="ascii") as file:  # noqa: PTH123 - pathlib is slow to import
        json.dump(ended, file)


if __name__ == "__main__":
    main()
