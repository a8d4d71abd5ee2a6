"""How well a run follows captions: laws of the losses on models whose loss is a formula, and what is measured."""

from collections.abc import Sequence
from dataclasses import replace
from functools import cache
from typing import Any, cast

import numpy as np
import pytest
import torch
from torch import nn

from ddpm import build
from ddpm.core import Cond
from ddpm.core.model import Model
from ddpm.data.dataset import Dataset
from ddpm.engine.run import LoadedRun
from ddpm.evaluation import alignment
from ddpm.evaluation.alignment import measure_alignment
from ddpm.evaluation.caption_losses import (
    CaptionLosses,
    first_captions,
    most_others,
    others,
    own_captions,
    share_found,
    wrong_captions,
)
from ddpm.evaluation.options import EvaluationOptions
from ddpm.evaluation.reference import Real
from ddpm.records.alignment import AlignmentRecord
from ddpm.text.encoder import PromptEncoder
from refusal import refuses
from tiny import CLASSES, loaded

CAPTIONS = tuple(f"shape {i}" for i in range(12))
CPU = torch.device("cpu")


class Numbers:
    """An encoder of prompts as their number among ``CAPTIONS``, from 1; (B, 1, 2)."""

    def __call__(self, prompts: Sequence[str]) -> Any:
        found = [[[CAPTIONS.index(prompt.lower()) + 1, 1.0]] if prompt else [[0.0, 0.0]] for prompt in prompts]
        return np.array(found, np.float32)

    def notes(self, prompt: str) -> list[str]:
        return []


class Told(nn.Module):
    """A conditioner whose vector is the number of a caption."""

    def encode(self, raw: torch.Tensor) -> Cond:
        return Cond(vector=raw[:, 0, :1].float())

    def null(self, n: int) -> Cond:
        return Cond(vector=torch.zeros(n, 1))


class Believes(nn.Module):
    """A network that takes the image of a caption for the clean one: of one grey, ``16 · number``."""

    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: Cond) -> torch.Tensor:
        assert cond.vector is not None
        return (cond.vector * 16 / 127.5 - 1)[..., None, None].expand_as(x)


class Deaf(nn.Module):
    """A network that ignores captions."""

    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: Cond) -> torch.Tensor:
        return x * 0.5


def run_of(net: nn.Module) -> LoadedRun:
    """A run of grey images of 8 × 8 with captions, without classes, that predicts x0."""
    small = loaded("L", text=True)
    config = small.config
    data = config.data.model_copy(update={"classes": ()})
    config = config.model_copy(
        update={"data": data, "diffusion": config.diffusion.model_copy(update={"prediction": "x0"})}
    )
    engine = replace(
        small.engine,
        model=Model(net, {"caption": Told()}),
        parameterisation=build.build_parameterisation(config.diffusion),
    )
    return replace(small, engine=engine, config=config, text=cast(PromptEncoder, Numbers()))


@cache
def greys(n: int = 24, several: bool = False) -> Dataset:
    """Image i is of the grey of caption i, in turn."""
    numbers = np.arange(n) % len(CAPTIONS)
    pixels = np.broadcast_to((16 * (numbers + 1))[:, None, None, None], (n, 8, 8, 1)).astype(np.uint8)
    captions = tuple(CAPTIONS[i] for i in numbers)
    if several:
        captions = tuple(f"{caption}\n{CAPTIONS[(i + 1) % 12].upper()}" for i, caption in enumerate(captions))
    return Dataset(pixels, captions=captions, names=tuple(map(str, range(n))))


@pytest.fixture
def measure(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Measure a run that is not on disk."""

    def measured(
        run: LoadedRun, data: Dataset | None = None, own: bool = True, **given: Any
    ) -> tuple[AlignmentRecord, bytes | None]:
        monkeypatch.setattr(alignment, "load", lambda path, device: run)
        real = Real("greys", greys() if data is None else data)
        monkeypatch.setattr(alignment, "held_out", lambda config, progress: real.data)
        monkeypatch.setattr(alignment, "reference", lambda options, config, progress: real)
        asked = {name: given.pop(name) for name in ("n", "seed") if name in given}
        options = EvaluationOptions(None if own else "greys", device="cpu", **asked)
        return measure_alignment(run.source, options, **given)

    return measured


def test_a_model_that_believes_captions_finds_all_of_them(measure: Any) -> None:
    record, sheet = measure(run_of(Believes()), samples=8)
    assert record.retrieval is not None
    assert (record.retrieval.among, record.retrieval.samples, record.retrieval.images) == (10, 8, 8)
    assert record.retrieval.drawn.value == record.retrieval.real.value == 1
    for level in record.levels:
        assert level.right == pytest.approx(0, abs=1e-9)
        assert level.shuffled.value > 1
        assert level.null.value > 1
    assert [(level.first, level.last) for level in record.levels] == [(7, 19), (32, 44), (57, 69), (82, 94)]
    assert len(set(record.prompts)) == 8
    assert sheet is not None


def test_a_model_that_ignores_captions_finds_them_by_chance_and_loses_nothing_without(measure: Any) -> None:
    """Exactly: equal losses share a hit."""
    record, _ = measure(run_of(Deaf()), samples=20)
    assert record.retrieval is not None
    assert record.retrieval.drawn.value == pytest.approx(0.1, abs=1e-12)
    assert record.retrieval.real.value == pytest.approx(0.1, abs=1e-12)
    for level in record.levels:
        assert level.right > 0
        for rise in (level.null, level.shuffled):
            assert (rise.value, rise.low, rise.high) == (0, 0, 0)


def test_the_seed_alone_decides(measure: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(alignment, "SEEDS", 1)
    run = replace(loaded("RGB", text=True))
    pixels = np.random.default_rng(0).integers(0, 256, (16, 8, 8, 3), np.uint8)
    data = replace(greys(16), pixels=pixels, captions=tuple(f"{c} red" for c in greys(16).captions or ()))
    first, again = (measure(run, data, samples=2, seed=1) for _ in range(2))
    assert first == again
    assert first[0].levels != measure(run, data, samples=0, seed=2)[0].levels


@pytest.mark.parametrize("kind", ["unet", "dit"])
def test_the_batch_size_changes_nothing(kind: str) -> None:
    run = loaded("L", kind=kind, text=True)
    data = greys(70)
    each = [first_captions(data), None, wrong_captions(data, first_captions(data), 0)]
    whole, parts = (CaptionLosses(run, 3, 4, batch)(data, each) for batch in (70, 32))
    assert whole.shape == (3, 4, 70)
    assert torch.equal(whole, parts)
    assert len({float(losses) for losses in whole.mean((1, 2))}) == 3


def test_the_losses_are_those_of_the_objective_on_batches_of_training() -> None:
    """With the labels of the images, at the levels that training logs."""
    from ddpm.data.loader import batch_of
    from ddpm.text.encoder import CaptionEncoder

    run = loaded("L", text=True)
    assert run.text is not None
    data = replace(greys(20), labels=np.arange(20) % 3, classes=CLASSES, captions=("at night (3:4)",) * 20, encode=None)
    own = replace(data, encode=CaptionEncoder(run.text))
    batch, objective = batch_of(own, np.arange(20)), build.build_objective(run.config)
    expected = [
        objective.losses(run.engine.model, batch.images, batch.conditions, draws).double()
        for _, draws in objective.held_out(5, 20, 4)
    ]
    assert torch.equal(CaptionLosses(run, 5, 4)(data, [first_captions(data)])[0], torch.stack(expected))


def test_latents_are_encoded_once_and_drawn_as_in_training() -> None:
    class Halves:
        """Moments of latents of one pixel's size: the grey, and no variance to speak of."""

        calls = 0

        def moments(self, images: torch.Tensor) -> torch.Tensor:
            self.calls += 1
            x = images.movedim(-1, 1).float() / 127.5 - 1
            return torch.cat([x, torch.full_like(x, -30)], 1)

        def sample(self, stored: torch.Tensor, streams: Any) -> torch.Tensor:
            assert stored.shape[1] == 2
            return stored[:, :1]

    run, codec, data = loaded("L", text=True), Halves(), greys(20)
    latent = replace(run, engine=replace(run.engine, codec=codec))
    each = [first_captions(data), None]
    assert torch.equal(CaptionLosses(latent, 0, 2)(data, each), CaptionLosses(run, 0, 2)(data, each))
    assert codec.calls == 1


def test_wrong_captions_are_never_among_ones_own() -> None:
    """Of several captions, and whatever the case; the pool's proportions are kept."""
    data = greys(60, several=True)
    pool = first_captions(data)
    for seed in range(5):
        wrong = wrong_captions(data, pool, seed)
        assert all(caption.lower() not in own for caption, own in zip(wrong, own_captions(data), strict=True))
    assert most_others(data, pool) == 10
    for own, each in zip(own_captions(data), others(data, pool, 10, 0), strict=True):
        assert len({caption.lower() for caption in each} - own) == 10
    # one in a hundred has another caption
    rare = Dataset(np.zeros((100, 8, 8, 1), np.uint8), captions=("a",) * 99 + ("b",))
    assert wrong_captions(rare, first_captions(rare), 0) == ["b"] * 99 + ["a"]
    assert others(rare, ["A", "a", "b", "B"], 1, 0)[0] == ["B"]


def test_candidates_differ_from_image_to_image_and_from_seed_to_seed() -> None:
    data = greys(12)
    pool = [*CAPTIONS, *(f"more {i}" for i in range(88))]
    found, again, other = (others(data, pool, 9, seed) for seed in (0, 0, 1))
    assert found == again != other
    assert len({tuple(each) for each in found}) == 12
    assert len({caption for each in found for caption in each}) > 80


def test_ties_share_a_hit() -> None:
    losses = torch.tensor([[1.0, 1.0, 2.0, 1.0, torch.nan], [2.0, 1.0, 1.0, 3.0, 1.0], [2.0, 2.0, 2.0, 1.0, 1.0]])
    assert share_found(losses) == pytest.approx((1 + 1 / 2 + 0 + 1 / 2 + 0) / 5)


def test_few_images_are_not_counted_twice(measure: Any) -> None:
    """Samples may be more than images; the share of images is that of different ones."""
    record, _ = measure(run_of(Believes()), greys(16), samples=20)
    assert record.retrieval is not None
    assert (record.n, record.retrieval.samples, record.retrieval.images) == (16, 20, 16)
    assert record.retrieval.real.low < record.retrieval.drawn.low


def test_the_right_one_is_found_among_fewer_captions_if_there_are_few(measure: Any) -> None:
    data = replace(greys(), captions=tuple(CAPTIONS[i % 3] for i in range(24)))
    record, _ = measure(run_of(Deaf()), data, samples=5)
    assert record.retrieval is not None
    assert record.retrieval.among == 3
    assert record.retrieval.real.value == pytest.approx(1 / 3)


def test_labels_are_matched_by_name(measure: Any) -> None:
    run = loaded("L", text=True)
    words = replace(greys(), captions=tuple(f"red shape {i}" for i in range(24)))
    data = replace(words, labels=np.arange(24) % 2, classes=("star", "circle"))
    renamed = replace(data, labels=np.array([2, 0])[np.arange(24) % 2], classes=CLASSES)
    record, _ = measure(run, data, samples=0)
    assert record.labels
    assert record == measure(run, renamed, samples=0)[0]
    unknown = replace(data, classes=("star", "heart"))
    record, sheet = measure(run, unknown, samples=0)
    assert (record.labels, record.retrieval, record.prompts, sheet) == (False, None, (), None)
    always = replace(run.config.training, label_dropout=0.0)
    strict = replace(run, config=run.config.model_copy(update={"training": always}))
    with refuses("incompatible", "circle, square, star"):
        measure(strict, unknown, samples=0)
    record, _ = measure(strict, data, samples=0)
    assert [level.null for level in record.levels] == [None] * 4  # it was never trained without captions


def test_what_cannot_be_measured_is_refused(measure: Any) -> None:
    run = run_of(Deaf())
    few = greys().subset(np.arange(9))
    with refuses("invalid", "shapes holds out 9", "--data"):
        measure(run, few)
    with refuses("invalid", "greys has 9"):
        measure(run, few, own=False)
    with refuses("invalid", "1 different"):
        measure(run, replace(greys(), captions=("shape 1",) * 24))
    with refuses("invalid", "0 captioned"):
        measure(run, replace(greys(), captions=None))
    with refuses("invalid", "-n 3"):
        measure(run, n=3)
    with refuses("invalid", "--samples -1"):
        measure(run, samples=-1)
    with refuses("conflict", "--samples 0"):
        measure(run, samples=0, clip="folder")
    with refuses("incompatible", "without captions"):
        measure(replace(run, text=None))


def test_progress_reaches_the_end_of_each_part(measure: Any) -> None:
    seen: dict[str, tuple[int, int]] = {}

    def progress(done: int, total: int, what: str = "", /) -> None:
        assert done <= total
        seen[what] = (done, total)

    measure(run_of(Deaf()), samples=4, progress=progress)
    assert list(seen) == ["losses", "sampling", "captions of samples", "captions of images", "drawing the sheet"]
    assert all(done == total for done, total in seen.values())
    assert seen["losses"] == (24, 24)
