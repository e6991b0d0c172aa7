"""The program `imagekit`: errors become one message and an exit status here, and nowhere else.

Exit status: 0 done, 1 findings or a failure, 2 wrong usage, 130 interrupted.
"""

import gc
import signal
import sys
from types import FrameType

from imagekit.errors import ImagekitError


class _Interrupted(BaseException):
    """Ended from outside; nobody on the way up takes it for an error."""


def _interrupt(_signal: int, _frame: FrameType | None) -> None:
    raise _Interrupted


def main() -> int:
    """Run the command line; return the exit status."""
    from imagekit.cli import commands  # noqa: PLC0415 - so that an import error is ours to report

    gc.set_threshold(100_000)  # a tree of 25,000 entries is no garbage, and looking through it takes time
    # Ended from outside in whatever way, a run removes its temporaries first.
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)
    try:
        status = commands.main(prog_name="imagekit", standalone_mode=False)
    except ImagekitError as error:
        _report(error)
        return 1
    except _Interrupted:
        print("imagekit: interrupted; nothing was left behind", file=sys.stderr)
        return 130
    except BrokenPipeError:
        sys.stderr.close()
        return 1
    except Exception as error:
        import click  # noqa: PLC0415 - loaded already by then

        if isinstance(error, click.ClickException):
            error.show()
            return error.exit_code
        raise
    return status if isinstance(status, int) else 0


def _report(error: ImagekitError) -> None:
    print(f"imagekit: {error}", file=sys.stderr)
    if error.hint:
        print(f"  hint: {error.hint}", file=sys.stderr)


if __name__ == "__main__":
    sys.exit(main())
