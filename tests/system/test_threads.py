"""The number of threads: on simulated machines, whose speeds are given."""

import math
import threading
from collections.abc import Callable

import pytest
import torch

from ddpm.system.threads import AGAIN, CHANGE, TRIAL, WINDOW, Choice, Threads, candidates

Machine = dict[int, float]
"""Number of threads -> seconds per piece of work."""
IDLE: Machine = {4: 0.1, 2: 0.17, 1: 0.3}
BUSY: Machine = {4: 4.0, 2: 1.5, 1: 0.6}


class Simulation:
    """Work on a machine whose speed can be changed, with a clock of its own."""

    def __init__(self, machine: Machine) -> None:
        self.machine, self.clock, self.lines = machine, 0.0, list[str]()
        self.set_to: list[int] = []
        self.choice = Choice(list(machine))

    def run(self, seconds: float) -> None:
        end = self.clock + seconds
        while self.clock < end:
            if self.set_to[-1:] != [self.choice.count]:
                self.set_to.append(self.choice.count)
            took = self.machine[self.choice.count]
            self.clock += took
            if line := self.choice.took(took):
                self.lines.append(line)


def test_the_fastest_number_is_chosen_within_a_second_each() -> None:
    for machine, best in ((IDLE, 4), (BUSY, 1)):
        simulation = Simulation(machine)
        simulation.run(3 * (TRIAL + max(machine.values())) + max(machine.values()))
        assert simulation.choice.count == best
        assert not simulation.choice.choosing
        assert simulation.lines == []  # a choice at the start is no news


def test_a_neighbour_that_comes_and_goes() -> None:
    simulation = Simulation(IDLE)
    simulation.run(60)
    simulation.machine = BUSY
    simulation.run(WINDOW + 4 + 3 * (TRIAL + 4))
    assert simulation.choice.count == 1
    assert "with 1 thread: 6.7 times as fast as 4" in simulation.lines[0]
    simulation.machine = IDLE  # one thread is twice as fast at once
    simulation.run(2 * WINDOW + 4 * TRIAL)
    assert simulation.choice.count == 4
    assert "with 4 threads" in simulation.lines[1]
    assert simulation.set_to[-1] == 4
    simulation.run(600)
    assert len(simulation.lines) == 2


def test_a_slow_number_is_tried_again_ever_more_rarely() -> None:
    """A neighbour's end may not change the speed of one thread: it is found by trying, at little cost."""
    simulation = Simulation(IDLE)
    simulation.run(60)
    simulation.machine = BUSY
    simulation.run(60)
    switches = len(simulation.set_to)
    simulation.run(40 * AGAIN)
    trials = (len(simulation.set_to) - switches) / len(IDLE)
    assert 4 <= trials <= 6  # after 1, 3, 7, 15, 31 minutes
    simulation.machine = IDLE | {1: 0.6}
    simulation.run(100 * AGAIN)
    assert simulation.choice.count == 4


def test_small_changes_are_left_alone() -> None:
    simulation = Simulation(IDLE)
    simulation.run(60)
    before = len(simulation.set_to)
    for factor in (0.9, 1.2, CHANGE * 0.99):
        simulation.machine = {count: factor * seconds for count, seconds in IDLE.items()}
        simulation.run(200)
    assert len(simulation.set_to) == before


def test_short_work_is_left_alone() -> None:
    """Its first trial comes after the delay; the first piece, which prepares the others, counts for nothing."""
    choice = Choice([2, 1], delay=5.0)
    choice.took(100.0)
    for _ in range(11):
        choice.took(0.5)
        assert choice.count == 2
    choice.took(0.5)
    assert choice.count == 1


def test_the_delay_is_no_part_of_the_measurement() -> None:
    choice = Choice([2, 1], delay=5.0)
    for _ in range(13):
        choice.took(0.5)
    assert choice.tried == {2: 0.5}


def test_numbers_whose_threads_wait_for_each_other_are_not_tried() -> None:
    """Not even once: a step could take half a minute. At the next trial they are asked about again."""
    applied: list[int] = []
    speeds = {4: 20.0, 2: 900.0, 1: 10_000.0}
    threads = Threads([4, 2, 1], applied.append, lambda: speeds[applied[-1]])
    choice, used = threads.choice("training"), list[int]()

    def work(pieces: int, said: list[str]) -> None:
        for _ in range(pieces):
            with threads.timed(choice, said.append):
                used.append(applied[-1])

    choice.trial = 0.0
    work(3, said := [])
    assert (set(used), choice.count, choice.tried[4], choice.tried[2]) == ({1}, 1, math.inf, math.inf)
    assert said == []
    speeds[4], speeds[2] = 15_000.0, 1_100.0
    choice.tried, choice.count = {}, 4
    used.clear()
    work(4, said)
    assert set(used) == {4, 2, 1}
    choice._chosen, choice.tried, choice.count, speeds[4], said = 4, {}, 4, 20.0, []
    work(2, said)
    assert "4 wait for each other" in said[0]


def test_work_that_is_not_timed_is_eased() -> None:
    applied: list[int] = [4]
    speeds = {4: 20.0, 2: 900.0, 1: 1_000.0}
    Threads([4, 2, 1], applied.append, lambda: speeds[applied[-1]]).ease()
    assert applied[-1] == 2


def test_a_number_without_another_is_not_asked_about() -> None:
    """As in several processes: its time is measured whatever it is."""
    asked: list[None] = []
    threads, choice = Threads([2, 1], lambda count: None, lambda: asked.append(None) or 1.0), Choice([2], trial=0.0)
    assert list(threads.each(range(3), choice)) == [0, 1, 2]
    assert asked == []
    assert choice.seconds < math.inf


def test_each_kind_of_work_has_its_own_number() -> None:
    applied: list[int] = []
    threads = Threads([2, 1], applied.append, lambda: 1.0)
    training, drawing = threads.choice("training"), threads.choice("drawing")
    assert threads.choice("training") is training
    training.count = 1
    for choice in (training, training, drawing, training):
        assert list(threads.each(range(3), choice)) == [0, 1, 2]
    assert [count for k, count in enumerate(applied) if count != applied[k - 1] or not k] == [1, 2, 1]


def test_other_threads_change_nothing() -> None:
    """PyTorch's number belongs to the thread that sets it."""
    applied: list[int] = []
    threads = Threads([2, 1], applied.append, lambda: 1.0)
    choice = threads.choice("training")
    choice.count = 1
    other = threading.Thread(target=lambda: list(threads.each(range(3), choice)))
    other.start()
    other.join()
    assert applied == []


def test_the_environment_fixes_the_number(monkeypatch: pytest.MonkeyPatch) -> None:
    most: Callable[[], int] = lambda: 12  # noqa: E731
    monkeypatch.setattr(torch, "get_num_threads", most)
    monkeypatch.setenv("OMP_NUM_THREADS", "12")
    assert candidates() == [12]
    monkeypatch.delenv("OMP_NUM_THREADS")
    assert candidates() == [12, 6, 3, 1]
