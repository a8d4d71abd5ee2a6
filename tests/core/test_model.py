"""A network and the conditioners of what it is conditioned on, one protocol for all kinds."""

import pytest
import torch
from torch import nn

from cases import cases
from ddpm.conditioning import LabelEmbedding, NumberEmbedding
from ddpm.core import Cond, Level, Parameterisation, prediction
from ddpm.core.model import Model
from ddpm.core.stream import RowStreams


class Words(nn.Module):
    """Captions (B, L) int64 as tokens, 0 for padding; what is dropped is all padding."""

    def encode(self, raw: torch.Tensor) -> Cond:
        return Cond(tokens=raw[..., None].float(), weights=(raw != 0).float(), raw={"caption": raw})

    def null(self, n: int) -> Cond:
        return self.encode(torch.zeros(n, 1, dtype=torch.int64))

    def drop(self, raw: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return raw.masked_fill(mask[:, None], 0)

    def augment(self, raw: torch.Tensor, streams: RowStreams) -> torch.Tensor:
        return raw


class Beside(nn.Module):
    """An image that is always given; its augmentation is noise."""

    def encode(self, raw: torch.Tensor) -> Cond:
        return Cond(image=raw)

    def null(self, n: int) -> None:
        return None

    def drop(self, raw: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        return raw

    def augment(self, raw: torch.Tensor, streams: RowStreams) -> torch.Tensor:
        return raw + streams.normal("beside", raw.shape[1:])


LABELS, CAPTIONS, IMAGES = torch.tensor([2, 0]), torch.tensor([[5, 3, 0], [7, 0, 0]]), torch.randn(2, 1, 4)
RAW = {"label": LABELS, "caption": CAPTIONS, "beside": IMAGES}
STREAMS = RowStreams(0, 3, 2, range(2))


@pytest.fixture
def model() -> Model:
    return Model(nn.Identity(), {"label": LabelEmbedding(3, 4), "caption": Words(), "beside": Beside()})


def test_every_kind_reaches_the_network_in_its_own_part(model):
    cond = model.cond(RAW, 2)
    assert torch.equal(cond.vector, model.conditioners["label"].table.weight[LABELS])
    assert torch.equal(cond.tokens, CAPTIONS[..., None].float())
    assert cond.weights.tolist() == [[1, 1, 0], [1, 0, 0]]
    assert cond.image is IMAGES
    assert cond.raw == {"label": LABELS, "caption": CAPTIONS}


@cases("absent", ["label", "caption"])
def test_a_kind_that_is_not_given_is_null(model, absent):
    """As if all of it were dropped, and the other kinds as they are."""
    given = {kind: raw for kind, raw in RAW.items() if kind != absent}
    found, all_dropped = model.cond(given, 2), model.drop(RAW, torch.ones(2, dtype=torch.bool), STREAMS)
    dropped = model.cond({**given, absent: all_dropped[absent]}, 2)
    assert torch.equal(found.vector, dropped.vector)
    assert torch.equal(found.tokens.sum(1), dropped.tokens.sum(1))  # of padding alone, of any number
    assert torch.equal(found.weights.sum(1), dropped.weights.sum(1))
    assert found.image is IMAGES


def test_what_is_dropped_is_the_masked_rows_of_every_kind_that_has_a_null(model):
    dropped = model.drop(RAW, torch.tensor([False, True]), STREAMS)
    assert dropped["label"].tolist() == [2, 3]
    assert dropped["caption"].tolist() == [[5, 3, 0], [0, 0, 0]]
    assert dropped["beside"] is IMAGES
    assert RAW["label"].tolist() == [2, 0]
    assert model.requires == ("beside",)


def test_each_of_several_kinds_is_also_dropped_by_itself(model):
    """One in ten, independently of the others and of the common mask, and of how the batch is split."""
    n = 20_000
    streams = RowStreams(0, 3, n, range(n))
    raw = {kind: values[:1].expand(n, *values.shape[1:]) for kind, values in RAW.items()}
    mask = torch.arange(n) % 2 == 0
    dropped = model.drop(raw, mask, streams)
    label, caption = dropped["label"] == 3, (dropped["caption"] == 0).all(1)
    assert (label & caption)[mask].all()
    for p, among in ((label, ~mask), (caption, ~mask), (label, ~mask & caption), (caption, ~mask & label)):
        # four standard deviations
        assert abs(p[among].float().mean() - 0.1) < 4 * (0.09 / among.sum()) ** 0.5
    part = model.drop({kind: values[5:9] for kind, values in raw.items()}, mask[5:9], streams.part(slice(5, 9)))
    assert torch.equal(part["label"], dropped["label"][5:9])
    assert dropped["beside"] is raw["beside"]


def test_a_single_kind_is_dropped_by_the_mask_alone():
    """Whatever else is always given."""
    number = NumberEmbedding(nn.Linear(1, 4), 0, 1)
    model = Model(nn.Identity(), {"label": LabelEmbedding(3, 4), "beside": Beside(), "number": number})
    n = 200
    raw = {"label": torch.full((n,), 2), "beside": torch.randn(n, 1, 4), "number": torch.rand(n)}
    mask = torch.arange(n) % 2 == 0
    assert torch.equal(model.drop(raw, mask, RowStreams(0, 3, n, range(n)))["label"] == 3, mask)


def test_each_kind_is_augmented_as_its_conditioner_says(model):
    shown = model.augment(RAW, STREAMS)
    assert torch.equal(shown["beside"], IMAGES + STREAMS.normal("beside", (1, 4)))
    assert shown["label"] is LABELS
    assert shown["caption"] is CAPTIONS


def test_kinds_that_the_model_does_not_know_are_ignored():
    plain, none = Model(nn.Identity()), torch.ones(2, dtype=torch.bool)
    assert plain.cond(RAW, 2) is None
    assert plain.drop(RAW, none, STREAMS) == plain.augment(RAW, STREAMS) == RAW
    assert Model(nn.Identity(), {"beside": Beside()}).cond({}, 2) is None


def test_all_that_is_learned_is_in_it():
    model = Model(nn.Conv1d(1, 1, 1), {"label": LabelEmbedding(3, 4)})
    assert set(model.state_dict()) == {"net.weight", "net.bias", "conditioners.label.table.weight"}


def test_as_a_denoiser():
    class Half(nn.Module):
        def forward(self, x, t, cond=None):
            return x / 2

    x = torch.randn(2, 1, 3)
    assert torch.equal(Model(Half()).denoiser(Parameterisation(prediction.x0))(x, Level(0.0, 0.8, 0.6)).x0, x / 2)
