import pytest
import torch

from ddpm.conditioning import FrozenTokens

E, L = 6, 5


@pytest.fixture
def conditioner() -> FrozenTokens:
    made = FrozenTokens(E, L)
    made.null_tokens.copy_(torch.randn(L, E, generator=torch.Generator().manual_seed(0)))
    return made


def captions(*weights: list[float]) -> torch.Tensor:
    """Random features of tokens with these weights."""
    w = torch.tensor(weights)
    features = torch.randn(len(w), L, E, generator=torch.Generator().manual_seed(1))
    return torch.cat([features, w[..., None]], -1)


def test_tokens_are_as_given_times_their_weights_and_never_masked(conditioner: FrozenTokens) -> None:
    raw = captions([1.0] * L, [1, 1.5, -1, 1, 1])
    cond = conditioner.encode(raw)
    assert (cond.vector, cond.weights) == (None, None)
    assert torch.equal(cond.tokens[0], raw[0, :, :-1])
    assert torch.equal(cond.tokens[1], raw[1, :, :-1] * raw[1, :, -1:])


def test_dropped_and_empty_captions_are_the_tokens_of_no_words(conditioner: FrozenTokens) -> None:
    raw = captions([1.0] * L, [1.0] * L, [0.0] * L)
    cond = conditioner.encode(conditioner.drop(raw, torch.tensor([True, False, False])))
    for row in (0, 2):
        assert torch.equal(cond.tokens[row], conditioner.null_tokens)
    assert torch.equal(cond.tokens[1], raw[1, :, :-1])
    assert torch.equal(conditioner.null(2).tokens[1], conditioner.null_tokens)
    both = cond.cat(conditioner.null(1))
    assert both.weights is None
    assert torch.equal(conditioner.encode(both.raw["caption"]).tokens, both.tokens)  # as another model does
