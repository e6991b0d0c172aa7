"""Being ended from outside: a run can always be ended, once, and never between two steps."""

import contextlib
import contextvars
import os
import signal
import subprocess
import sys
import threading

import pytest

from imagekit import interrupts
from imagekit.interrupts import Interrupted, held

SIGNALS = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]
MARKED = pytest.mark.usefixtures("handled")


@MARKED
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_an_interrupt_comes_behind_the_outermost_block(depth):
    passed = []

    def nested(level):
        with held():
            if level < depth:
                nested(level + 1)
            else:
                signal.raise_signal(signal.SIGINT)
            passed.append(level)

    with pytest.raises(Interrupted):
        nested(1)
    assert passed == [*range(depth, 0, -1)]


@MARKED
def test_while_an_interrupt_is_on_its_way_others_mean_nothing():
    done = []
    try:
        signal.raise_signal(signal.SIGINT)
    except Interrupted:
        for number in SIGNALS:
            signal.raise_signal(number)
            with held():
                signal.raise_signal(number)
            done.append(number)
    assert done == SIGNALS


@MARKED
@pytest.mark.parametrize("number", SIGNALS)
def test_an_interrupt_that_was_lost_comes_again_with_the_next_signal(number):
    for _ in range(3):
        try:
            signal.raise_signal(number)
        except Interrupted:
            continue
        pytest.fail("the signal was ignored")
    with pytest.raises(Interrupted), held():
        pass


def test_no_interrupt_comes_when_all_is_over(handled, monkeypatch):
    """As the program ends: the signals are blocked first, and their handlers are taken away only then."""
    calls = []
    monkeypatch.setattr(signal, "pthread_sigmask", lambda how, numbers: calls.append((how, set(numbers))))
    monkeypatch.setattr(signal, "signal", lambda number, handler: calls.append((number, handler)))
    handled.ignore()
    assert calls[0] == (signal.SIG_BLOCK, {*SIGNALS, signal.SIGALRM})
    assert {*calls[1:]} == {(number, signal.SIG_IGN) for number in (*SIGNALS, signal.SIGALRM)}
    monkeypatch.undo()
    for number in SIGNALS:
        signal.raise_signal(number)
    with held():
        signal.raise_signal(signal.SIGINT)


def test_what_the_caller_ignores_stays_ignored(handled):
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    handled.handle()
    os.kill(os.getpid(), signal.SIGHUP)
    assert signal.getsignal(signal.SIGHUP) is signal.SIG_IGN


@MARKED
def test_other_threads_are_told():
    said = []

    def work():
        try:
            interrupts.check()
        except Interrupted:
            said.append("ended")
        else:
            said.append("went on")

    for expected in ("went on", "ended"):
        if expected == "ended":
            with pytest.raises(Interrupted):
                signal.raise_signal(signal.SIGTERM)
        thread = threading.Thread(target=contextvars.copy_context().run, args=(work,))
        thread.start()
        thread.join()
        assert said.pop() == expected


# Callbacks whose exceptions Python discards

PROGRAM = """
import contextlib, gc, importlib, importlib._bootstrap, pathlib, signal, sys, time, weakref
for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
    signal.signal(number, signal.SIG_DFL)  # whatever the tests' own caller ignores
import imagekit.__main__ as program, imagekit.cli as cli
from imagekit.files.output import Outputs
again = "again" in sys.argv
if again:
    from imagekit import interrupts
    interrupts._AGAIN = 3600
def come(*_):
    signal.raise_signal(signal.SIGTERM)
    return 0
class Thing:
    pass
def main(**_):
    thing = Thing()
    with Outputs() as outputs:
        outputs.file(pathlib.Path("half")).write(b"half")
        CALL
        print("went on", flush=True)
        if again:
            come()
        while True:  # a signal just before a sleep is seen behind it
            time.sleep(0.01)
cli.commands.main = main
sys.exit(program.main())
"""
CALLBACKS = {
    "a weak reference's": "ref = weakref.ref(thing, come); del thing",
    "a finalizer's": "weakref.finalize(thing, come); del thing",
    "__del__": "Thing.__del__ = come; del thing",
    "__del__ of garbage": "Thing.__del__ = come; thing.me = thing; del thing; gc.collect()",
    "a generator's end": """def work():
            try:
                yield
            finally:
                come()
        generator = work(); next(generator); del generator""",
    "the garbage collector's": "gc.callbacks.append(come); gc.collect(); gc.callbacks.clear()",
    "an import lock's": """class Imp:
            def __getattr__(self, name):
                return getattr(imp, name)
            def acquire_lock(self):
                if sys._getframe(1).f_code.co_name == "cb":
                    come()
                imp.acquire_lock()
        imp = importlib._bootstrap._imp
        importlib._bootstrap._imp = Imp()
        import colorsys""",
    "an import": """class Finder:
            find_spec = come
        sys.meta_path.insert(0, Finder())
        Finder.find_spec = lambda *_: come() or None
        import colorsys
        del sys.meta_path[0]""",
    "the hook that is told of others": """sys.__unraisablehook__ = come
        Thing.__del__ = lambda _: 1 / 0
        del thing""",
    "one that suppresses all": """with contextlib.suppress(BaseException):
            come()""",
}


@pytest.mark.parametrize("way", ["timer", "again"])
@pytest.mark.parametrize("callback", CALLBACKS)
def test_an_interrupt_that_a_callback_loses_comes_again(tmp_path, callback, way):
    code = PROGRAM.replace("CALL", CALLBACKS[callback])
    done = subprocess.run(
        [sys.executable, "-c", code, way], cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    if way == "again":  # the timer may be quicker
        assert done.stdout == "went on\n"
    assert done.stderr == "imagekit: interrupted; nothing was left behind\n"
    assert done.returncode == 130
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("stuck", ["stdout", "stderr"])
def test_a_pipe_that_nobody_reads_keeps_no_run_from_ending(tmp_path, stuck):
    code = """
import os, signal, sys
signal.signal(signal.SIGTERM, signal.SIG_DFL)
import imagekit.__main__ as program, imagekit.cli as cli
from imagekit.cli import options
def main(**_):
    sys.stdout.buffer.write(b"what is still in the buffer")
    os.write(int(sys.argv[1]), b"ready")
    options.print_text("x" * 10_000_000, err=sys.argv[2] == "stderr")
cli.commands.main = main
sys.exit(program.main())
"""
    full, ready = os.pipe(), os.pipe()
    os.set_blocking(full[1], False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(full[1], bytes(4096))
    os.set_blocking(full[1], True)
    buffered = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    with subprocess.Popen(
        [sys.executable, "-c", code, str(ready[1]), stuck],
        cwd=tmp_path,
        pass_fds=(ready[1],),
        env=buffered,
        **{stuck: full[1]},
    ) as process:
        os.close(ready[1])
        os.read(ready[0], 5)
        process.send_signal(signal.SIGTERM)
        try:
            assert process.wait(60) == 130
        finally:
            process.kill()
    for number in (*full, ready[0]):
        os.close(number)
