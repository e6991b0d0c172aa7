"""imagekit as a library: what one of its users makes, in a thread or a context, is no other's, nor the process's."""

import contextvars
import gc
import signal
import sys
import threading
import weakref

import pytest

from imagekit import interrupts
from imagekit.content import KnownContent
from imagekit.errors import InputError
from imagekit.files.ledger import Ledger
from imagekit.files.output import Outputs
from imagekit.formats import iso
from imagekit.product import write_product
from imagekit.tree import File, Tree


class Meeting(KnownContent):
    """A file that is read when all who were invited read theirs; then one of them fails, and the others wait for it."""

    def __init__(self, barrier, ended, *, fails):
        super().__init__(5000, "meeting")
        self._barrier, self._ended, self._fails = barrier, ended, fails

    def read_into(self, _offset, buffer):
        self._barrier.wait(60)
        if self._fails:
            raise InputError("it is gone", where=self.origin)
        assert self._ended.wait(60)
        buffer[:] = b"x" * len(buffer)


def in_thread(function):
    """Start a thread with nothing in its context, as a library's user does."""
    thread = threading.Thread(target=contextvars.Context().run, args=(function,))
    thread.start()
    return thread


def make(folder, content, *, compress):
    tree = Tree.of([File(path="f", content=content)])
    with Outputs() as outputs:
        write_product(outputs, folder / "sums", iso.plan(Tree.of([]), volume_id="S", time=0).content(), compress=False)
        write_product(outputs, folder / "x.iso", iso.plan(tree, volume_id="X", time=0).content(), compress=compress)
    return outputs


@pytest.mark.parametrize("compress", [True, False])
def test_two_threads_make_images_at_once_and_one_fails(tmp_path, compress):
    barrier, ended, done = threading.Barrier(2), threading.Event(), {}
    before = {number: signal.getsignal(number) for number in (*interrupts.SIGNALS, signal.SIGALRM)}, sys.unraisablehook

    def run(name):
        (tmp_path / name).mkdir()
        try:
            done[name] = make(tmp_path / name, Meeting(barrier, ended, fails=name == "bad"), compress=compress)
        except InputError as error:
            done[name] = str(error)
            ended.set()

    threads = [in_thread(lambda: run("bad")), in_thread(lambda: run("good"))]
    for thread in threads:
        thread.join()
    assert done["bad"] == "meeting: it is gone"
    assert list((tmp_path / "bad").iterdir()) == []
    assert done["good"].complete == [tmp_path / "good/sums", tmp_path / "good/x.iso"]
    assert sorted(path.name for path in (tmp_path / "good").iterdir()) == ["sums", "x.iso"]
    assert before == (
        {number: signal.getsignal(number) for number in (*interrupts.SIGNALS, signal.SIGALRM)},
        sys.unraisablehook,
    )


def test_the_end_of_one_ends_nothing_of_the_other(tmp_path):
    """Two programs in one process, each with a ledger: one is ended while both write."""
    mine, theirs = Ledger(), Ledger()
    begun, ended = threading.Event(), threading.Event()

    def other():
        theirs.open()
        with Outputs() as outputs:
            outputs.file(tmp_path / "theirs").write(b"1")
            begun.set()
            assert ended.wait(60)

    thread = in_thread(other)

    def program():
        mine.open()
        outputs = Outputs()
        outputs.file(tmp_path / "mine").write(b"1")
        assert begun.wait(60)
        mine.end()
        ended.set()
        thread.join()

    contextvars.Context().run(program)
    assert [path.name for path in tmp_path.iterdir()] == ["theirs"]
    assert (mine.complete(), theirs.complete()) == ([], [tmp_path / "theirs"])


def test_nobody_keeps_what_a_library_made(tmp_path):
    def make_one():
        with Outputs() as outputs:
            outputs.file(tmp_path / "f").write(b"1")
        return weakref.ref(outputs)

    made = contextvars.Context().run(make_one)
    gc.collect()
    assert made() is None
    assert (tmp_path / "f").read_bytes() == b"1"


@pytest.mark.usefixtures("handled")
def test_interrupts_are_those_of_a_context():
    """Whoever has none is not told that another's have come."""
    with pytest.raises(interrupts.Interrupted):
        signal.raise_signal(signal.SIGTERM)
    told = {}

    def ask(name):
        try:
            interrupts.check()
        except interrupts.Interrupted:
            told[name] = True

    threads = [
        threading.Thread(target=context.run, args=(ask, name))
        for name, context in [("mine", contextvars.copy_context()), ("another's", contextvars.Context())]
    ]
    for thread in threads:
        thread.start()
        thread.join()
    assert told == {"mine": True}
