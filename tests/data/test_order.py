from itertools import chain

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from ddpm.data.order import _bits, epoch_order, flipped, split, step_indices, variants

seeds = st.integers(0, 2**64 - 1)
sizes = st.integers(1, 300)


def whole(seed: int, epoch: int, n: int) -> np.ndarray:
    return epoch_order(seed, np.full(n, epoch), np.arange(n), n)


@given(seeds, st.integers(0, 1000), sizes)
def test_each_epoch_is_a_permutation(seed: int, epoch: int, n: int) -> None:
    assert sorted(whole(seed, epoch, n)) == list(range(n))


@given(seeds, sizes, st.integers(1, 200), st.integers(1, 8))
def test_steps_follow_the_chain_of_epochs(seed: int, n: int, batch: int, steps: int) -> None:
    epochs, places = np.divmod(np.arange(steps * batch), n)
    read = [step_indices(seed, step, batch, n) for step in range(steps)]
    assert np.array_equal(np.concatenate([e for e, _ in read]), epochs)
    assert np.array_equal(np.concatenate([i for _, i in read]), epoch_order(seed, epochs, places, n))


def test_orders_differ_by_seed_and_epoch() -> None:
    orders = {tuple(whole(seed, epoch, 50)) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25


def test_any_two_places_hold_any_two_images_equally_often() -> None:
    n, runs = 12, 4000
    orders = epoch_order(0, np.repeat(np.arange(runs), n), np.tile(np.arange(n), runs), n).reshape(runs, n)
    for i, j in ((0, 1), (4, 9), (10, 11)):
        pairs = np.bincount(orders[:, i] * n + orders[:, j], minlength=n * n).reshape(n, n)[~np.eye(n, dtype=bool)]
        # Pearson's statistic: as many degrees of freedom as pairs, less one; four standard deviations
        statistic, free = ((pairs - runs / len(pairs)) ** 2).sum() / (runs / len(pairs)), len(pairs) - 1
        assert abs(statistic - free) < 4 * (2 * free) ** 0.5


def test_places_of_a_huge_set_are_each_others_only() -> None:
    n = 10**12 + 39
    found = epoch_order(1, np.full(10_000, 2), np.arange(n - 10_000, n), n)
    assert len(set(found.tolist())) == 10_000
    assert (found.min(), found.max()) > (0, 0.99 * n)
    assert found.max() < n


def test_the_order_never_changes() -> None:
    assert whole(0, 0, 10).tolist() == [2, 6, 5, 1, 4, 7, 3, 8, 9, 0]
    assert np.flatnonzero(flipped(0, np.zeros(10, int), np.arange(10))).tolist() == [1, 4, 9]
    assert (variants(0, np.zeros(10, int), np.arange(10)) % 3).tolist() == [0, 0, 2, 2, 1, 0, 0, 1, 1, 2]
    assert split(60, 0)[1].tolist() == [2, 6, 58]


def test_the_bits_are_those_of_splitmix64() -> None:
    assert _bits(1234567, np.arange(1, 3)).tolist() == [6457827717110365317, 3203168211198807973]


def test_a_distant_step_is_as_quick_as_the_first() -> None:
    epochs, indices = step_indices(0, 10**12, 4, 10)
    assert epochs.tolist() == [4 * 10**11] * 4
    assert indices.tolist() == whole(0, 4 * 10**11, 10)[:4].tolist()


@given(seeds, st.lists(st.tuples(st.integers(0, 3), st.integers(0, 99)), min_size=1, max_size=20))
def test_flips_and_captions_depend_on_their_epoch_and_image_only(seed: int, wanted: list[tuple[int, int]]) -> None:
    epochs, indices = np.array(wanted).T
    for draw in (flipped, variants):
        alone = [draw(seed, np.array([e]), np.array([i]))[0] for e, i in wanted]
        assert draw(seed, epochs, indices).tolist() == alone


def test_half_are_flipped_in_each_epoch() -> None:
    n = 10_000
    one, two = (flipped(7, np.full(n, epoch), np.arange(n)) for epoch in (0, 1))
    # Four standard deviations of a fair coin.
    assert all(abs(share - 0.5) < 0.02 for share in (one.mean(), two.mean(), (one == two).mean()))


def test_captions_are_equally_likely_and_independent_of_epochs_and_flips() -> None:
    n = 9_000
    one, two = ((variants(7, np.full(n, epoch), np.arange(n)) % 3).astype(int) for epoch in (0, 1))
    flips = flipped(7, np.zeros(n, int), np.arange(n))
    counts = [*np.bincount(3 * one + two, minlength=9) * 9, *np.bincount(3 * flips + one, minlength=6) * 6]
    # Four standard deviations of a share of 1 / 9.
    assert np.allclose(np.array(counts, float) / n, 1, atol=4 * (8 / n) ** 0.5)


@given(st.integers(1, 30_000), seeds)
def test_held_out_images_are_no_others(n: int, seed: int) -> None:
    train, held = split(n, seed)
    assert len(held) == (0 if n < 40 else min(512, n // 20))
    assert list(train) == sorted(train)
    assert list(held) == sorted(held)
    assert sorted(chain(train, held)) == list(range(n))


def test_held_out_images_differ_by_seed() -> None:
    assert split(1000, 0)[1].tolist() != split(1000, 1)[1].tolist()
    assert split(1000, 0)[1].tolist() == split(1000, 0)[1].tolist()
