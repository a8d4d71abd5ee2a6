import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import count, islice

import pytest

from ddpm.data.prefetch import prefetch


def test_results_come_in_order() -> None:
    hold = threading.Event()

    def task(i: int) -> int:
        if i == 0:
            hold.wait(5)
        elif i == 3:
            hold.set()
        return i * i

    with ThreadPoolExecutor(4) as pool:
        assert list(prefetch(pool, task, range(9), window=4)) == [i * i for i in range(9)]


def test_no_more_is_computed_than_the_window() -> None:
    taken = []

    def arguments() -> Iterator[int]:
        for i in count():
            taken.append(i)
            yield i

    with ThreadPoolExecutor(2) as pool:
        assert list(islice(prefetch(pool, abs, arguments(), window=3), 5)) == [0, 1, 2, 3, 4]
    assert len(taken) == 8


def test_an_error_arrives_in_its_place() -> None:
    with ThreadPoolExecutor(2) as pool:
        results = prefetch(pool, lambda i: 6 // (2 - i), range(5), window=4)
        assert [next(results), next(results)] == [3, 6]
        with pytest.raises(ZeroDivisionError):
            next(results)
