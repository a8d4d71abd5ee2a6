"""A batch of encoded conditions: chosen, joined, added, cropped, mixed."""

from dataclasses import fields

import torch

from cases import cases
from ddpm.core import Cond

VECTOR, IMAGE = torch.arange(6.0).reshape(3, 2), torch.arange(3 * 2 * 4 * 5.0).reshape(3, 2, 4, 5)
TOKENS = torch.arange(1.0, 3 * 4 * 2 + 1).reshape(3, 4, 2)
WEIGHTS = (torch.arange(4) < torch.tensor([[4], [1], [2]])).float()
BOTH = Cond(VECTOR, IMAGE)
CAPTIONS = Cond(tokens=TOKENS, weights=WEIGHTS)
KINDS = {
    "vector": Cond(VECTOR),
    "image": Cond(image=IMAGE),
    "both": BOTH,
    "tokens": Cond(tokens=TOKENS),
    "masked tokens": CAPTIONS,
    "between": Cond(VECTOR, IMAGE, between=Cond(VECTOR + 50, IMAGE)),
    "all": Cond(VECTOR, IMAGE, TOKENS, WEIGHTS, {"label": torch.tensor([4, 0, 9]), "caption": torch.eye(3)}),
}


def same(a: Cond, b: Cond) -> bool:
    """Bit for bit, part by part."""

    def parts(cond: Cond) -> dict[str, torch.Tensor]:
        named = {f.name: getattr(cond, f.name) for f in fields(cond) if f.name not in ("raw", "between")}
        return {name: part for name, part in {**named, **(cond.raw or {})}.items() if part is not None}

    x, y = parts(a), parts(b)
    alike = x.keys() == y.keys() and all(torch.equal(x[name], y[name]) for name in x)
    if a.between is None or b.between is None:
        return alike and a.between is b.between
    return alike and same(a.between, b.between)


@cases("kind", KINDS)
def test_halves_of_a_pair_are_the_two(kind):
    cond = KINDS[kind]
    twice = cond.cat(cond.rows(torch.tensor([2, 1, 0])))
    assert (len(cond), len(twice)) == (3, 6)
    assert same(twice.rows(slice(0, 3)), cond)
    assert same(twice.rows(torch.tensor([5, 4, 3])), cond)


@cases("kind", KINDS)
def test_rows_may_be_named_often(kind):
    chosen, each = KINDS[kind].rows(torch.tensor([1, 1, 0])), KINDS[kind].rows
    assert same(chosen, each(slice(1, 2)).cat(each(slice(1, 2))).cat(each(slice(0, 1))))


@cases("weights", [None, WEIGHTS])
def test_shorter_tokens_are_padded_and_their_padding_masked(weights):
    longer, shorter = Cond(tokens=TOKENS, weights=weights), Cond(tokens=TOKENS[:2, :3] + 50)
    real = torch.ones(3, 4) if weights is None else weights
    for whole, first, padded in ((longer.cat(shorter), 0, 3), (shorter.cat(longer), 2, 0)):
        assert torch.equal(whole.tokens[first : first + 3], TOKENS)
        assert torch.equal(whole.weights[first : first + 3], real)
        assert torch.equal(whole.tokens[padded : padded + 2, :3], shorter.tokens)
        assert whole.weights[padded : padded + 2].tolist() == [[1, 1, 1, 0]] * 2


def test_raw_conditions_of_a_pair_are_of_the_kinds_that_both_have():
    labelled = Cond(VECTOR, raw={"label": torch.tensor([7, 8, 9])})
    assert KINDS["all"].raw.keys() == {"label", "caption"}
    joined = Cond(VECTOR, raw=KINDS["all"].raw).cat(labelled)
    assert {kind: raw.tolist() for kind, raw in joined.raw.items()} == {"label": [4, 0, 9, 7, 8, 9]}
    assert Cond(VECTOR).cat(labelled).raw is None


def test_a_window_is_of_the_image_alone():
    window = KINDS["all"].crop((slice(1, 3), slice(2, 5)))
    assert same(window, Cond(VECTOR, IMAGE[:, :, 1:3, 2:5], TOKENS, WEIGHTS, KINDS["all"].raw))
    assert CAPTIONS.crop((slice(1, 3), slice(2, 5))) is CAPTIONS
    assert torch.equal(KINDS["between"].crop((slice(1, 3), slice(2, 5))).between.image, IMAGE[:, :, 1:3, 2:5])


def test_vectors_add_up_and_one_image_stays():
    assert same(KINDS["vector"].plus(BOTH), Cond(2 * VECTOR, IMAGE))
    assert same(BOTH.plus(KINDS["vector"]), Cond(2 * VECTOR, IMAGE))
    assert same(KINDS["image"].plus(KINDS["vector"]), BOTH)


def test_tokens_follow_each_other_each_with_its_weight():
    """Those of a kind without weights have one of 1 each, whichever of the two it is."""
    plain, real = Cond(tokens=TOKENS[:, :2] + 50), torch.ones(3, 2)
    assert same(CAPTIONS.plus(CAPTIONS), Cond(tokens=TOKENS.repeat(1, 2, 1), weights=WEIGHTS.repeat(1, 2)))
    assert same(
        CAPTIONS.plus(plain), Cond(tokens=torch.cat([TOKENS, plain.tokens], 1), weights=torch.cat([WEIGHTS, real], 1))
    )
    assert same(
        plain.plus(CAPTIONS), Cond(tokens=torch.cat([plain.tokens, TOKENS], 1), weights=torch.cat([real, WEIGHTS], 1))
    )
    assert plain.plus(plain).weights is None
    assert same(CAPTIONS.plus(BOTH), Cond(VECTOR, IMAGE, TOKENS, WEIGHTS))


def test_raw_conditions_of_two_kinds_are_kept_together():
    a, b = Cond(VECTOR, raw={"label": torch.tensor([4, 0, 9])}), Cond(VECTOR, raw={"style": torch.tensor([1, 2, 3])})
    assert a.plus(b).raw == {**a.raw, **b.raw}
    assert a.plus(Cond(image=IMAGE)).raw == Cond(image=IMAGE).plus(a).raw == a.raw
    assert BOTH.plus(KINDS["vector"]).raw is None


def test_rows_instead_of_others_leave_the_images():
    """One row for all, or a row for each."""
    null = Cond(VECTOR[:1], tokens=TOKENS[:1, :2], weights=WEIGHTS[1:2, :2], raw={"label": torch.tensor([7])})
    found = null.instead_of(KINDS["all"])
    rows = torch.zeros(3, dtype=torch.int64)
    assert same(
        found, Cond(VECTOR[rows], IMAGE, TOKENS[rows, :2], WEIGHTS[1:2, :2][rows], {"label": torch.full((3,), 7)})
    )
    assert same(Cond(VECTOR[:1]).instead_of(KINDS["vector"]), Cond(VECTOR[rows]))
    own = {"label": torch.tensor([7, 8, 9])}
    assert same(Cond(VECTOR + 1, raw=own).instead_of(KINDS["between"]), Cond(VECTOR + 1, IMAGE, raw=own))
    # and so both stand in one batch
    assert len(KINDS["all"].cat(found)) == 6


def test_between_two_conditions():
    other = Cond(VECTOR.flip(0) ** 2, IMAGE.flip(0), TOKENS.flip(0), WEIGHTS.flip(0))
    this = Cond(VECTOR, IMAGE, TOKENS, WEIGHTS)
    quarter = this.lerp(other, 0.25)
    for part in ("vector", "image", "tokens"):
        a, b = getattr(this, part), getattr(other, part)
        torch.testing.assert_close(getattr(quarter, part), 0.75 * a + 0.25 * b)
    torch.testing.assert_close(quarter.weights, 0.75 * WEIGHTS + 0.25 * WEIGHTS.flip(0))
    assert same(this.lerp(other, 0.0), this)
    assert same(this.lerp(other, 1.0), other)
    each = this.lerp(other, torch.tensor([0.0, 0.5, 1.0], dtype=torch.float64))
    torch.testing.assert_close(each.vector, torch.stack([VECTOR[0], (VECTOR[1] + other.vector[1]) / 2, VECTOR[0] ** 2]))
    assert torch.equal(each.weights, torch.stack([WEIGHTS[0], WEIGHTS[1], WEIGHTS[0]]))
    assert KINDS["vector"].lerp(KINDS["vector"], 0.5).image is None


def test_between_captions_of_two_lengths():
    """At the ends the very tokens of either, with padding of weight 0; between them it fades."""
    shorter = Cond(tokens=TOKENS[:, :2] + 50)
    start, half, end = (Cond(tokens=TOKENS).lerp(shorter, share) for share in (0.0, 0.5, 1.0))
    assert torch.equal(start.tokens, TOKENS)
    assert (start.weights == 1).all()
    assert torch.equal(end.tokens[:, :2], shorter.tokens)
    assert end.weights.tolist() == [[1, 1, 0, 0]] * 3
    torch.testing.assert_close(half.tokens[:, :2], TOKENS[:, :2] + 25)
    assert half.weights.tolist() == [[1, 1, 0.5, 0.5]] * 3


def test_between_two_conditions_both_raw_ones_remain():
    """What is mixed cannot be encoded again, but its ends can."""
    this, other = KINDS["all"], KINDS["all"].rows(torch.tensor([2, 0, 1]))
    mixed = this.lerp(other, 0.25)
    assert mixed.raw == this.raw
    assert mixed.towards is not None
    assert mixed.towards[0] == other.raw
    assert mixed.towards[1].tolist() == [0.25] * 3
