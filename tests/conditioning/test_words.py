"""Captions as tokens: weights, padding, the null, and training."""

import pytest
import torch

from ddpm.conditioning import WordTokens
from ddpm.core.stream import RowStreams
from ddpm.text.words import WordEncoder

CAPTIONS = ["a red heart", "a red car", "a blue heart on a red car", "a blue car", "car"]
ENCODER = WordEncoder.of(CAPTIONS)
ROWS = 8


def raw(*prompts: str) -> torch.Tensor:
    return torch.from_numpy(ENCODER(prompts))


def filled(*prompts: str) -> torch.Tensor:
    """A batch of the same size for any prompts: its size may change how a product is rounded."""
    return raw(*prompts, *["a blue heart on a red car"] * (ROWS - len(prompts)))


@pytest.fixture
def words() -> WordTokens:
    """With weights of a trained model, none of them zero."""
    torch.manual_seed(0)
    made = WordTokens(ENCODER.size, ENCODER.length, width=32, layers=2, heads=2)
    for p in made.parameters():
        torch.nn.init.normal_(p, std=0.3)
    return made


def test_shapes(words):
    given = raw("a red heart", "", "a (blue:2) car")
    cond = words(given)
    assert cond.vector.shape == (3, 32)
    assert cond.tokens.shape == (3, ENCODER.length, 32)
    assert cond.weights.sum(1).tolist() == [3, 1, 4]
    assert cond.raw["caption"] is given


def test_a_prompt_means_the_same_beside_others(words):
    """Bit for bit, in a batch of the same size."""
    one, other = (words(filled(*prompts)) for prompts in (["a red heart"], ["a red heart", "a blue car", ""]))
    for part in ("vector", "tokens", "weights"):
        assert torch.equal(getattr(one, part)[0], getattr(other, part)[0])


def test_padding_changes_nothing(words):
    given = filled("a red heart", "car", "")
    strange = given.clone()
    strange[..., 0] += 5 * (given[..., 1] == 0)
    one, other = words(given), words(strange)
    for part in ("vector", "tokens", "weights"):
        assert torch.equal(getattr(one, part), getattr(other, part))
    assert not one.tokens[one.weights == 0].any()
    shorter = words(raw("a red heart")[:, :3])
    torch.testing.assert_close(shorter.tokens[0], one.tokens[0, :3])
    torch.testing.assert_close(shorter.vector[0], one.vector[0])


def test_tokens_and_vector_are_weighted(words):
    plain, weighted = words(filled("a red heart")), words(filled("a (red:1.5) (heart:-0.5)"))
    w = torch.tensor([1, 1.5, -0.5])[:, None]
    tokens = plain.tokens[0, :3]
    torch.testing.assert_close(weighted.tokens[0, :3], w * tokens)
    torch.testing.assert_close(weighted.vector[0], (w * tokens).sum(0) / 3)
    absent = words(filled("a (red:0) heart"))
    assert torch.equal(absent.tokens, words(filled("a heart")).tokens)


def test_the_order_of_words_matters(words):
    one, other = words(filled("red heart blue car")), words(filled("blue heart red car"))
    assert (one.vector - other.vector)[0].abs().max() > 1e-3


def test_an_empty_prompt_is_the_null_token(words):
    empty, null = words(filled("")), words.null(ROWS)
    assert torch.equal(empty.tokens[0], null.tokens[0])
    assert torch.equal(empty.vector[0], null.tokens[0, 0])
    assert null.weights.tolist() == [[1] + [0] * (ENCODER.length - 1)] * ROWS
    null.vector.sum().backward()
    assert words.embedding.weight.grad[0].any()
    assert not words.embedding.weight.grad[1:].any()


def test_drop_and_augment(words):
    given = raw("a red heart", "a blue car")
    dropped = words.drop(given, torch.tensor([False, True]))
    assert torch.equal(dropped, raw("a red heart", ""))
    assert torch.equal(given, raw("a red heart", "a blue car"))
    assert words.augment(given, RowStreams(0, 0, 2, range(2))) is given


def test_in_bfloat16(words):
    with torch.autocast("cpu", torch.bfloat16):
        narrow = words(filled("a red heart", ""))
    wide = words(filled("a red heart", ""))
    assert narrow.vector.dtype == torch.float32
    torch.testing.assert_close(narrow.vector, wide.vector, rtol=0, atol=0.1)
    cast = words.bfloat16()(filled("a red heart", ""))
    assert cast.tokens.dtype == torch.bfloat16
    torch.testing.assert_close(cast.vector.float(), wide.vector, rtol=0, atol=0.2)


def test_words_and_their_order_are_learnt_at_a_high_rate():
    """At the rate of the default recipe, which Muon leaves to AdamW; which noun is blue is a matter of order."""
    torch.manual_seed(0)
    prompts = [f"a {one} heart on a {other} car" for one in ("red", "blue") for other in ("red", "blue")]
    encoder = WordEncoder.of(prompts)
    words = WordTokens(encoder.size, encoder.length, width=32, layers=2, heads=2)
    head = torch.nn.Linear(32, 1)
    optimiser = torch.optim.AdamW([*words.parameters(), *head.parameters()], 6e-3, (0.9, 0.99))
    given, target = torch.from_numpy(encoder(prompts)), torch.tensor([0.0, 1.0, -1.0, 0.0])
    for _ in range(200):
        loss = (head(words(given).vector)[:, 0] - target).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
    assert loss < 0.01
