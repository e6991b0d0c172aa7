"""Work in threads: its order, what of it is ahead, and that it ends."""

import threading

import pytest

from imagekit.parallel import Buffer, in_order


def test_results_come_in_the_order_of_the_tasks():
    second_done = threading.Event()

    def work(task: int) -> int:
        if task == 0:
            second_done.wait()
        if task == 1:
            second_done.set()
        return task * task

    assert list(in_order(work, range(20), 2)) == [task * task for task in range(20)]


def test_only_a_few_tasks_are_taken_ahead():
    taken = []

    def tasks():
        for task in range(100):
            taken.append(task)
            yield task

    results = in_order(int, tasks(), 2)
    next(results)
    assert len(taken) == 5
    results.close()
    assert len(taken) == 5


def test_what_a_task_raises_comes_in_its_place_and_ends_the_work():
    begun = []

    def work(task: int) -> int:
        begun.append(task)
        if task == 3:
            raise ValueError(task)
        return task

    before = threading.active_count()
    results = in_order(work, range(1000), 1)
    assert [next(results) for _ in range(3)] == [0, 1, 2]
    with pytest.raises(ValueError, match="3"):
        next(results)
    assert len(begun) < 20
    assert threading.active_count() == before


def test_each_thread_has_one_buffer():
    buffer = Buffer(3)
    mine = buffer.view
    others = []
    thread = threading.Thread(target=lambda: others.append(buffer.view))
    thread.start()
    thread.join()
    assert len(mine) == len(others[0]) == 3
    assert buffer.view is mine
    assert others[0] is not mine
