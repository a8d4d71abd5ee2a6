"""Streams of random numbers: Philox under a key that no other stream has."""

from itertools import pairwise

import numpy as np
import pytest
import torch

from cases import cases
from ddpm.core import Stream
from ddpm.core.seed import key
from ddpm.core.stream import RowStreams

N = 100_000
ROUNDS = {
    # counter, key, output: three of the vectors that Random123 checks its philox4x64 of 10 rounds by
    "zeros": (
        0,
        0,
        [0x16554D9ECA36314C, 0xDB20FE9D672D0FDC, 0xD7E772CEE186176B, 0x7E68B68AEC7BA23B],
    ),
    "ones": (
        2**256 - 1,
        2**128 - 1,
        [0x87B092C3013FE90B, 0x438C3C67BE8D0224, 0x9CC7D7C69CD777B6, 0xA09CAEBF594F0BA0],
    ),
    "pi": (
        0x082EFA98EC4E6C89_A4093822299F31D0_13198A2E03707344_243F6A8885A308D3,
        0xBE5466CF34E90C6C_452821E638D01377,
        [0xA528F45403E61D95, 0x38C72DBD566E9788, 0xA5A1610E72FD18B5, 0x57BD43B5E52B7FE6],
    ),
}


@cases(("counter", "under", "expected"), ROUNDS.values())
def test_numpy_draws_philox(counter: int, under: int, expected: list[int]) -> None:
    """NumPy counts before it enciphers."""
    assert np.random.Philox(counter=(counter - 1) % 2**256, key=under).random_raw(4).tolist() == expected


def test_the_bits_are_philox_under_the_key_of_the_name() -> None:
    bits = np.random.Philox(key=key(3, "noise", 7)).random_raw(8)
    assert Stream(3, "noise", 7).bits(8).tolist() == bits.tolist()
    assert Stream(3, "noise", 7).uniform(2, 4).tolist() == ((bits >> np.uint64(11)) / 2**53).reshape(2, 4).tolist()


def test_the_numbers_never_change() -> None:
    """By what NumPy promises, and for the normal numbers by its ziggurat."""
    assert Stream(0, "a").bits(2).tolist() == [6917870926338534128, 15099268234471332876]
    assert Stream(0, "a").uniform(3).tolist() == [0.37501853436552735, 0.8185329711377592, 0.5410956823666659]
    assert Stream(0, "a").integers(1000, 4).tolist() == [375, 818, 541, 174]
    assert Stream(0, "a").permutation(10).tolist() == [9, 3, 4, 0, 2, 7, 5, 8, 1, 6]
    assert Stream(0, "a").normal(3).tolist() == [1.336168885231018, 1.058631181716919, 0.41664645075798035]
    # many, so that the tail and the wedges of the ziggurat are among them, where exponentials and logarithms decide
    assert int(Stream(0, "a").normal(N).view(torch.int32).long().sum()) == -1881946301984


def test_a_restarted_stream_is_a_new_one() -> None:
    """Also in the middle of a block of bits, or with half of 64 bits left over."""
    for used in range(9):
        stream = Stream(3, "noise", 7)
        stream.normal(used)
        assert torch.equal(stream.restart(4, "noise", 8).normal(50), Stream(4, "noise", 8).normal(50)), used


def test_no_two_of_many_keys_are_equal() -> None:
    """So many that 32 bits would be the same seven times on average."""
    keys = {key(seed, use, i) for seed in range(10) for use in ("image", "noise") for i in range(12_500)}
    assert len(keys) == 250_000
    assert max(keys).bit_length() == 128


def test_streams_begin_unlike_each_other() -> None:
    names = [(seed, use, i) for seed in (0, 1) for use in ("image", "noise") for i in range(2500)]
    first = [Stream(*name).bits(1).item() for name in names]
    assert len(set(first)) == len(names)
    # each of the 64 bits is set in half of the streams, within five standard deviations
    share = np.unpackbits(np.array(first, np.uint64).view(np.uint8).reshape(-1, 8), axis=1).mean(0)
    assert np.abs(share - 0.5).max() < 5 * 0.5 / len(names) ** 0.5


@cases("draw", [lambda s: s.normal(N), lambda s: (s.uniform(N) - 0.5) * 12**0.5])
def test_neighbours_are_independent(draw) -> None:
    """Mean, variance and correlation of streams whose seed or number differs by one, and of a stream with itself."""
    x = torch.stack([draw(Stream(*name)).double() for name in [(0, "a", 0), (0, "a", 1), (1, "a", 0), (0, "b", 0)]])
    # five standard deviations; at most 2 is the variance of a square
    assert x.mean(1).abs().max() < 5 / N**0.5
    assert (x.square().mean(1) - 1).abs().max() < 5 * (2 / N) ** 0.5
    assert (x @ x.T / N).fill_diagonal_(0).abs().max() < 5 / N**0.5
    for lag in (1, 2, 4):
        assert (x[:, lag:] * x[:, :-lag]).mean(1).abs().max() < 5 / (N - lag) ** 0.5


def test_normal_numbers_are_normal() -> None:
    """Kolmogorov's distance from the distribution function exceeds 1.95 / √n once in a thousand."""
    x = Stream(5, "a").normal(N).double().sort().values
    off = torch.special.ndtr(x) - torch.arange(N, dtype=torch.float64) / N
    assert max(float(off.max()), float(1 / N - off.min())) < 1.95 / N**0.5
    assert float(x.pow(4).mean()) == pytest.approx(3, abs=5 * (96 / N) ** 0.5)


def test_integers_and_permutations_take_every_value_alike() -> None:
    counts = Stream(0, "a").integers(7, N).bincount()
    assert counts.shape == (7,)
    assert ((counts / N - 1 / 7).abs() < 5 * (6 / 49 / N) ** 0.5).all()
    stream = Stream(0, "b")
    timesteps = torch.stack([stream.permutation(5) for _ in range(4000)])
    assert torch.equal(timesteps.sort(1).values, torch.arange(5).expand(4000, 5))
    shares = torch.nn.functional.one_hot(timesteps).double().mean(0)
    assert ((shares - 0.2).abs() < 5 * (0.16 / 4000) ** 0.5).all()


def test_a_stream_goes_on_where_it_was() -> None:
    whole, parts = Stream(0, "a").normal(60), Stream(0, "a")
    assert torch.equal(torch.cat([parts.normal(2, 10).flatten(), parts.normal(1), parts.normal(39)]), whole)
    assert parts.normal(2, 0, 3).shape == (2, 0, 3)
    assert parts.uniform(0).shape == (0,)


def test_types() -> None:
    stream = Stream(0, "a")
    assert stream.normal(2).dtype == torch.float32
    assert stream.uniform(2).dtype == torch.float64
    assert stream.integers(9, 2).dtype == stream.permutation(2).dtype == torch.int64


def rows(seed: int = 0, step: int = 0, batch: int = 12) -> RowStreams:
    return RowStreams(seed, step, batch, range(batch))


def drawn(streams: RowStreams) -> dict[str, torch.Tensor]:
    return {"uniform": streams.uniform("share"), "normal": streams.normal("noise", (2, 3, 3))}


@cases("sizes", [(12,), (6, 6), (5, 7), (3, 0, 9), (1,) * 12])
def test_parts_of_rows_put_together_are_the_whole(sizes: tuple[int, ...]) -> None:
    """And a part of a part is a part."""
    ends = np.cumsum((0, *sizes)).tolist()
    parts = [drawn(rows().part(slice(a, b))) for a, b in pairwise(ends) if b > a]
    for name, whole in drawn(rows()).items():
        assert len(whole) == 12
        assert torch.equal(torch.cat([part[name] for part in parts]), whole)
        assert torch.equal(drawn(rows().part(slice(2, 11)).part(slice(3, 5)))[name], whole[5:7])


def test_a_row_has_a_stream_of_its_own_and_a_batch_one_for_all() -> None:
    streams = rows(7, 3)
    assert torch.equal(streams.normal("noise", (2, 3))[5], Stream(7, "noise", 3, 5).normal(2, 3))
    assert torch.equal(streams.uniform("share"), Stream(7, "share", 3).uniform(12).float())
    assert torch.equal(streams.part(slice(4, 6)).whole("levels").uniform(9), Stream(7, "levels", 3).uniform(9))


@cases("change", [{"seed": 1}, {"step": 1}])
def test_rows_of_other_seeds_and_steps_share_nothing(change: dict[str, int]) -> None:
    a, b = drawn(rows(batch=4096)), drawn(rows(batch=4096, **change))
    for name in a:
        both = torch.stack([a[name].flatten(), b[name].flatten()])
        assert (both[0] == both[1]).double().mean() < 1e-3
        assert abs(float(torch.corrcoef(both)[0, 1])) < 5 / both.shape[1] ** 0.5


def test_rows_of_two_purposes_share_nothing() -> None:
    both = torch.stack([rows(batch=4096).normal(purpose, (8,)).flatten() for purpose in ("noise", "strength noise")])
    assert abs(float(torch.corrcoef(both)[0, 1])) < 5 / both.shape[1] ** 0.5


def test_rows_leave_torchs_generator_alone() -> None:
    torch.manual_seed(1)
    before, first = torch.get_rng_state(), drawn(rows())
    assert torch.equal(before, torch.get_rng_state())
    torch.manual_seed(2)
    assert all(torch.equal(a, b) for a, b in zip(first.values(), drawn(rows()).values(), strict=True))
