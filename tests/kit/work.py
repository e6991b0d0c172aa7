"""The work of a call, and the end of a wait: neither asks how fast the machine is."""

import sys
import time

_PATIENCE = 120  # seconds; a guard against hanging for ever, not a limit


def lines_run(function, *arguments):
    """Return how many lines of Python a call runs: its work, on any machine."""
    count = 0

    def trace(_frame, event, _argument):
        nonlocal count
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        function(*arguments)
    finally:
        sys.settrace(before)
    return count


def until(condition):
    """Wait for something that is sure to come; return what the condition gave."""
    give_up = time.monotonic() + _PATIENCE
    while not (found := condition()):
        assert time.monotonic() < give_up, f"not within {_PATIENCE} s: {condition}"
        time.sleep(0.01)
    return found
