from typing import Any

from ddpm.system.progress import Progress, among, doing, part_of


def told(change: Any, *calls: tuple[Any, ...]) -> list[tuple[Any, ...]]:
    """What is heard of calls that pass through a change."""
    heard: list[tuple[Any, ...]] = []
    progress: Progress = change(lambda *now: heard.append(now))
    for call in calls:
        progress(*call)
    return heard


def test_one_thing_among_several_has_its_name() -> None:
    assert told(lambda p: doing(p, "reading"), (1, 2), (2, 2, "images")) == [(1, 2, "reading"), (2, 2, "reading")]


def test_a_part_counts_on() -> None:
    assert told(lambda p: part_of(p, 10, 12), (1, 2), (2, 2, "images")) == [(11, 12), (12, 12, "images")]


def test_batches_count_on_from_one_to_the_next() -> None:
    heard = [now for number in range(3) for now in told(lambda p, k=number: among(p, k, 3), (1, 2), (2, 2))]
    assert heard == [(i, 6) for i in range(1, 7)]
