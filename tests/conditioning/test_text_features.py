import pytest
import torch

from ddpm.conditioning import TextFeatures
from ddpm.core.stream import RowStreams

E, D, L = 6, 8, 5


@pytest.fixture
def conditioner() -> TextFeatures:
    torch.manual_seed(0)
    return TextFeatures(E, D, L)


def captions(*weights: list[float]) -> torch.Tensor:
    """Random features of tokens with these weights, and padding."""
    w = torch.tensor([[*row, *[0.0] * (L - len(row))] for row in weights])
    features = torch.randn(len(w), L, E, generator=torch.Generator().manual_seed(1))
    return torch.cat([features * (w != 0)[..., None], w[..., None]], -1)


def test_tokens_are_projected_and_weighed(conditioner: TextFeatures) -> None:
    raw = captions([1, 1.5, -1], [1])
    cond, plain = conditioner.encode(raw), conditioner.encode(captions([1, 1, 1], [1]))
    assert cond.weights.tolist() == [[1, 1.5, -1, 0, 0], [1, 0, 0, 0, 0]]
    assert not cond.tokens[cond.weights == 0].any()
    torch.testing.assert_close(cond.tokens, plain.tokens * raw[..., -1:])
    torch.testing.assert_close(cond.vector[0], cond.tokens[0].sum(0) / 3.5)
    torch.testing.assert_close(cond.vector[1], cond.tokens[1, 0])


def test_the_scale_of_features_makes_no_difference(conditioner: TextFeatures) -> None:
    raw = captions([1, 1])
    larger = torch.cat([200 * raw[..., :-1], raw[..., -1:]], -1)
    torch.testing.assert_close(conditioner.encode(larger).tokens, conditioner.encode(raw).tokens, rtol=1e-4, atol=1e-4)


def test_dropped_and_empty_captions_are_null(conditioner: TextFeatures) -> None:
    raw = captions([1, 1], [1, 1, 1], [])
    dropped = conditioner.drop(raw, torch.tensor([True, False, False]))
    cond, null = conditioner.encode(dropped), conditioner.null(1)
    assert torch.equal(dropped[1], raw[1])
    assert raw[0].any()
    assert null.weights.tolist() == [[1, 0, 0, 0, 0]]
    for row in (0, 2):
        for mine, other in zip(
            (cond.vector, cond.tokens, cond.weights), (null.vector, null.tokens, null.weights), strict=True
        ):
            assert torch.equal(mine[row], other[0])
    assert torch.equal(null.vector[0], conditioner.null_token)
    assert not torch.equal(cond.vector[1], null.vector[0])
    assert cond.weights.any(1).all()


def test_null_and_given_captions_concatenate(conditioner: TextFeatures) -> None:
    cond = conditioner.encode(captions([1, 1])).cat(conditioner.null(2))
    again = conditioner.encode(cond.raw["caption"])  # as another model does
    assert torch.equal(again.tokens, cond.tokens)
    assert torch.equal(again.weights, cond.weights)


def test_all_parameters_learn(conditioner: TextFeatures) -> None:
    cond = conditioner.encode(captions([1, 1.2], []))
    (cond.tokens.square().sum() + cond.vector.square().sum()).backward()
    assert all(p.grad is not None and p.grad.any() for p in conditioner.parameters())


def test_captions_are_not_augmented(conditioner: TextFeatures) -> None:
    raw = captions([1])
    assert conditioner.augment(raw, RowStreams(0, 0, 1, range(1))) is raw
