from ddpm.engine.batches import among, batches


def test_those_of_a_kind_together_and_every_number_once() -> None:
    assert batches("abacaab", lambda i: 3) == [[0, 2, 4], [5], [1, 6], [3]]
    assert batches("abacaab", lambda i: {0: 4, 1: 1, 3: 9}[i]) == [[0, 2, 4, 5], [1], [6], [3]]
    assert batches("", lambda i: 1) == []


def test_steps_count_on_from_batch_to_batch() -> None:
    told: list[tuple[int, int]] = []
    for number in range(3):
        report = among(lambda done, of: told.append((done, of)), number, 3)
        assert report is not None
        for step in (1, 2):
            report(step, 2)
    assert told == [(i, 6) for i in range(1, 7)]
    assert among(None, 0, 3) is None
