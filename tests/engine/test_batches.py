from ddpm.engine.batches import batches


def test_those_of_a_kind_together_and_every_number_once() -> None:
    assert batches("abacaab", lambda i: 3) == [[0, 2, 4], [5], [1, 6], [3]]
    assert batches("abacaab", lambda i: {0: 4, 1: 1, 3: 9}[i]) == [[0, 2, 4, 5], [1], [6], [3]]
    assert batches("", lambda i: 1) == []
