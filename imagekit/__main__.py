"""The program `imagekit`: errors become one message and an exit status here, and nowhere else.

Exit status: 0 done, 1 findings or a failure, 2 wrong usage, 130 interrupted.
"""

import contextlib
import gc
import os
import select
import sys
from pathlib import Path
from typing import TextIO

from imagekit.errors import ImagekitError
from imagekit.files.ledger import Ledger
from imagekit.interrupts import Interrupted, Interrupts


def main() -> int:
    """Run the command line; return the exit status."""
    gc.set_threshold(500_000)  # a tree of 25,000 entries is no garbage, and looking through it takes time
    interrupts = Interrupts()
    ledger = Ledger()
    try:
        interrupts.handle()  # so that a run that is ended from outside removes its temporaries first
        ledger.open()
        status = _run(ledger)
        interrupts.ignore()
    except Interrupted:
        interrupts.ignore()
        _lead_nowhere(sys.stdout)  # half a result is none, and whoever should take it may not
        if not _takes_text(sys.stderr):
            _lead_nowhere(sys.stderr)
        left = _end_outputs(ledger)
        if complete := ledger.complete():
            _say(f"imagekit: interrupted, when this was complete: {', '.join(map(str, complete))}")
        else:
            _say("imagekit: interrupted" if left else "imagekit: interrupted; nothing was left behind")
        status = 130
    for what in ledger.cleared():
        _say(f"imagekit: {what}")
    _finish(sys.stdout)
    _finish(sys.stderr)
    gc.freeze()  # Python ends sooner when it does not look for garbage once more
    return status


def _run(ledger: Ledger) -> int:
    try:
        _use_utf8()
        _open_closed_streams()
        from imagekit.cli import commands  # noqa: PLC0415 - so that an import error is ours to report

        status = commands.main(prog_name="imagekit", standalone_mode=False)
        sys.stdout.flush()
    except ImagekitError as error:
        from imagekit.cli.things import named  # noqa: PLC0415 - loaded already by then

        _say(named(f"imagekit: {error}"))
        if error.hint:
            _say(named(f"  hint: {error.hint}"))
        _end_outputs(ledger)
    except BrokenPipeError:  # whoever read it has seen enough
        pass
    except OSError as error:
        place = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, str | bytes) else ""
        _say(f"imagekit: {place}{error.strerror or error}")
        _end_outputs(ledger)
    except SystemExit as error:  # click's way out, when a pipe is broken
        return error.code if isinstance(error.code, int) else 1
    except Exception as error:
        import click  # noqa: PLC0415 - loaded already by then

        if isinstance(error, click.ClickException):
            error.show()
            return error.exit_code
        raise
    else:
        return status if isinstance(status, int) else 0
    return 1


def _use_utf8() -> None:
    """Start again in UTF-8 mode where the locale has another encoding: names and texts must not depend on it."""
    option = ["-X", "utf8"]
    if sys.getfilesystemencoding() != "utf-8" and sys.orig_argv[1:3] != option and sys.executable:
        os.execv(sys.executable, [sys.executable, *option, *sys.orig_argv[1:]])  # noqa: S606 - this program


def _open_closed_streams() -> None:
    """Put something in the place of standard streams that are closed, before an output gets the number of one.

    To read from it, or to write results to it, fails; messages go nowhere.
    """
    for name, mode, flags in (
        ("stdin", "r", os.O_WRONLY),
        ("stdout", "w", os.O_RDONLY),
        ("stderr", "w", os.O_WRONLY),
    ):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, flags), mode, encoding="utf-8"))


def _end_outputs(ledger: Ledger) -> list[Path]:
    """Remove what temporaries are left; return what cannot be removed, said too."""
    ledger.end()
    left = ledger.unremovable()
    for path in left:
        _say(f"imagekit: {path}: cannot be removed")
    return left


def _say(text: str) -> None:
    with contextlib.suppress(OSError):
        print(text, file=sys.stderr, flush=True)


def _finish(stream: TextIO) -> None:
    """Let a stream that takes nothing lead nowhere, so that Python does not try it again at its end."""
    try:
        stream.flush()
    except OSError:
        _lead_nowhere(stream)


def _lead_nowhere(stream: TextIO) -> None:
    with contextlib.suppress(OSError):
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, stream.fileno())
        os.close(null)


def _takes_text(stream: TextIO) -> bool:
    """Tell whether a stream takes some text within a second, as a pipe that nobody reads any more does not."""
    try:
        return bool(select.select([], [stream], [], 1)[1])
    except (OSError, ValueError):
        return False


if __name__ == "__main__":
    sys.exit(main())
