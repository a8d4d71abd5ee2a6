"""Numbers as conditions."""

import pytest
import torch

from ddpm.conditioning import NumberEmbedding
from ddpm.core.stream import RowStreams
from ddpm.networks.embeddings import TimeEmbedding


class Scale(torch.nn.Module):
    """The place on the scale of time embeddings, as a vector."""

    def __init__(self):
        super().__init__()
        self.one = torch.nn.Parameter(torch.ones(1))

    def forward(self, t):
        return self.one * t[:, None]


def test_the_interval_is_the_scale_of_time_embeddings():
    made = NumberEmbedding(Scale(), 2, 5)
    cond = made.encode(torch.tensor([2.0, 3.5, 5.0]))
    assert cond.vector is not None
    assert cond.vector[:, 0].tolist() == [0, 500, 1000]
    assert NumberEmbedding(Scale(), 2, 5, gain=16).encode(torch.tensor([5.0])).vector.tolist() == [[16_000]]
    assert made.null(2).vector.tolist() == [[0], [0]]


def test_numbers_differ_and_are_neither_dropped_nor_augmented():
    torch.manual_seed(0)
    made, raw = NumberEmbedding(TimeEmbedding(8, 8), 1, 4), torch.tensor([1.0, 2.0, 3.0, 4.0])
    vectors = made(raw).vector
    assert all(not torch.allclose(a, b) for i, a in enumerate(vectors) for b in vectors[:i])
    assert made.drop(raw, torch.ones(4, dtype=torch.bool)) is raw
    assert made.augment(raw, RowStreams(0, 0, 4, range(4))) is raw


def test_an_interval_has_a_length():
    with pytest.raises(ValueError, match="below"):
        NumberEmbedding(TimeEmbedding(8, 8), 3, 3)
