from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from tests.training.conftest import ASK, dropping

from cases import cases
from ddpm.codec import PixelCodec
from ddpm.config.training import TrainSettings
from ddpm.core.model import Model
from ddpm.core.stream import RowStreams
from ddpm.data.dataset import Dataset
from ddpm.data.loader import batch_of
from ddpm.objectives.classification import Classification
from ddpm.objectives.denoising import Denoising
from ddpm.objectives.level_sampling import Importance, LossHistory
from ddpm.training.checkpoint import Checkpoint
from ddpm.training.rate import learning_rate
from ddpm.training.trainer import Trainer, refuse_undivided
from refusal import refuses

Make = Callable[..., Trainer]


def poisoned(images: torch.Tensor, streams: RowStreams) -> torch.Tensor:
    """White images become NaN."""
    x = PixelCodec().encode(images)
    return torch.where((x == 1).flatten(1).all(1)[:, None, None, None], torch.nan, x)


def batch(dataset: Dataset, first: int = 0) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:
    found = batch_of(dataset, np.arange(first, first + 8))
    return found.images, found.conditions


def flat(checkpoint: Checkpoint) -> dict[str, torch.Tensor]:
    return {f"{stem}/{name}": t.clone() for stem, named in checkpoint.tensors.items() for name, t in named.items()}


def equal_tensors(a: Checkpoint, b: Checkpoint) -> bool:
    x, y = flat(a), flat(b)
    return x.keys() == y.keys() and all(torch.equal(x[k], y[k]) for k in x)


def equal(a: Checkpoint, b: Checkpoint) -> bool:
    return a.state == b.state and equal_tensors(a, b)


def largest(moments: dict[str, torch.Tensor]) -> float:
    return max(float(t.abs().max()) for name, t in moments.items() if name.startswith("exp_avg."))


def assert_weights_agree(a: Model, b: Model, moments: dict[str, torch.Tensor]) -> None:
    """Adam divides a gradient by its own size: where that is all but zero, rounding decides the direction."""
    known = 0
    for (name, p), q in zip(a.named_parameters(), b.parameters(), strict=True):
        clear = moments[f"exp_avg.{name}"].abs() > 1e-3 * largest(moments)
        torch.testing.assert_close(p[clear], q[clear], rtol=0, atol=2e-6)
        known += int(clear.sum())
    assert known > 0.75 * sum(p.numel() for p in a.parameters())


def test_a_step_is_the_gradient_of_the_mean_loss(
    make_trainer: Make, make_model: Callable[[], Model], objective: Denoising, dataset: Dataset, settings: TrainSettings
) -> None:
    """Against one backward pass written out here, and torch's own AdamW."""
    images, conditions = batch(dataset)
    trainer = make_trainer(weight_decay=0.01, label_dropout=0.5, clip=0.1)
    model, s = make_model(), replace(settings, weight_decay=0.01, label_dropout=0.5, clip=0.1)
    adam = torch.optim.AdamW(model.parameters(), betas=s.betas, weight_decay=0.01)
    for i in (0, 1):
        report = trainer.step(i, images, conditions)
        streams = RowStreams(s.seed, i, 8, range(8))
        x0 = objective.encode(images, streams)
        draws = dropping(objective, 0.5).draws(streams, None)
        assert draws.hidden is not None
        assert 0 < int(draws.hidden.sum()) < 8
        seen = {"label": torch.where(draws.hidden, 2, conditions["label"])}
        levels = objective.noise.schedule.levels(draws.timesteps)
        losses = objective.loss(model.net, x0, streams.normal("noise", (3, 8, 8)), levels, levels, model.cond(seen, 8))
        adam.zero_grad()
        losses.mean().backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.1)
        adam.param_groups[0]["lr"] = learning_rate(s, i)
        adam.step()
        assert float(report.loss) == pytest.approx(float(losses.detach().sum()), rel=1e-5)
        assert report.grad_norm == pytest.approx(float(norm), rel=1e-5)
        assert report.grad_norm > 0.1  # so that clipping is at work
        assert not report.skipped
        if i == 0:
            assert_weights_agree(trainer.model, model, trainer.state(1).tensors["optimizer"])
    moments = trainer.state(2).tensors["optimizer"]
    for name, p in model.named_parameters():
        torch.testing.assert_close(moments[f"exp_avg.{name}"], adam.state[p]["exp_avg"], rtol=1e-4, atol=1e-7)
        torch.testing.assert_close(moments[f"exp_avg_sq.{name}"], adam.state[p]["exp_avg_sq"], rtol=1e-3, atol=1e-10)


@cases("micro_batch", [1, 3, 4])
def test_micro_batches_change_nothing(micro_batch: int, make_trainer: Make, dataset: Dataset) -> None:
    images, conditions = batch(dataset)
    whole, parts = make_trainer(), make_trainer(micro_batch=micro_batch)
    a, b = whole.step(0, images, conditions), parts.step(0, images, conditions)
    assert float(b.loss) == pytest.approx(float(a.loss), rel=1e-6)
    assert b.grad_norm == pytest.approx(a.grad_norm, rel=1e-6)
    one, other = whole.state(1).tensors["optimizer"], parts.state(1).tensors["optimizer"]
    for name in one:
        if name.startswith("exp_avg."):
            # float32 sums in another order
            torch.testing.assert_close(one[name], other[name], rtol=0, atol=1e-6 * largest(one))
    assert_weights_agree(whole.model, parts.model, one)


def test_every_process_needs_an_image(objective: Denoising, settings: TrainSettings) -> None:
    with refuses("invalid", "8", "9"):
        refuse_undivided(objective, settings, 9)


def test_what_divides_the_weights(objective: Denoising, settings: TrainSettings) -> None:
    divided = replace(settings, shard=True)
    with refuses("invalid", "8", "3"):
        refuse_undivided(objective, divided, 3)
    with refuses("conflict", "--shard"):
        refuse_undivided(Classification(objective.noise, ASK, objective.encode), divided, 2)
    for fits in (divided, settings):
        refuse_undivided(objective, fits, 4)
        refuse_undivided(objective, fits, 1)


def test_a_step_depends_on_its_number_not_on_torchs_generator(make_trainer: Make, dataset: Dataset) -> None:
    images, conditions = batch(dataset)
    a, b, c = make_trainer(), make_trainer(), make_trainer()
    a.step(3, images, conditions)
    torch.manual_seed(99)
    b.step(3, images, conditions)
    c.step(4, images, conditions)
    assert equal(a.state(1), b.state(1))
    assert not equal(a.state(1), c.state(1))


def test_dropped_labels_are_not_seen(make_trainer: Make, dataset: Dataset) -> None:
    images, conditions = batch(dataset)
    others = {"label": 1 - conditions["label"]}
    a, b = make_trainer(label_dropout=1.0), make_trainer(label_dropout=1.0)
    a.step(0, images, conditions)
    b.step(0, images, others)
    assert equal(a.state(1), b.state(1))
    a, b = make_trainer(label_dropout=0.0), make_trainer(label_dropout=0.0)
    a.step(0, images, conditions)
    b.step(0, images, others)
    assert not equal(a.state(1), b.state(1))


@cases("micro_batch", [8, 3])
def test_a_poisoned_step_changes_nothing_and_is_counted(
    micro_batch: int, make_model: Callable[[], Model], objective: Denoising, dataset: Dataset, settings: TrainSettings
) -> None:
    fragile = replace(objective, encode=poisoned)
    trainer = Trainer(make_model(), fragile, replace(settings, micro_batch=micro_batch), Accelerator(cpu=True))
    images, conditions = batch(dataset)
    trainer.step(0, images, conditions)
    before = trainer.state(1)
    kept = Checkpoint(
        1, {s: {n: t.clone() for n, t in named.items()} for s, named in before.tensors.items()}, before.state
    )
    bad = images.clone()
    bad[5] = 255
    report = trainer.step(1, bad, conditions)
    assert report.skipped
    assert not np.isfinite(report.grad_norm)
    after = trainer.state(1)
    assert after.state == kept.state | {"skipped": 1}
    assert equal_tensors(after, kept)
    # and the next step is as if there had been none
    other = Trainer(make_model(), fragile, replace(settings, micro_batch=micro_batch), Accelerator(cpu=True))
    other.restore(kept)
    assert not trainer.step(2, images, conditions).skipped
    other.step(2, images, conditions)
    assert equal_tensors(other.state(2), trainer.state(2))


@cases("value", [float("nan"), float("inf")])
def test_a_poisoned_gradient_is_skipped_whatever_the_loss(value: float, make_trainer: Make, dataset: Dataset) -> None:
    trainer = make_trainer()
    before = {name: p.detach().clone() for name, p in trainer.model.named_parameters()}
    next(iter(trainer.model.parameters())).register_hook(lambda grad: grad * value)
    report = trainer.step(0, *batch(dataset))
    assert report.skipped
    assert torch.isfinite(report.loss)
    assert all(torch.equal(p, before[name]) for name, p in trainer.model.named_parameters())
    assert trainer.skipped == 1
    assert trainer.ema.updates == 0


def test_the_average_follows_the_weights(make_trainer: Make, dataset: Dataset) -> None:
    trainer = make_trainer(ema=0.5)
    average = [p.clone() for p in trainer.ema.model.parameters()]
    for i in range(6):
        trainer.step(i, *batch(dataset))
        d = min(0.5, (1 + i) / (10 + i))
        average = [d * a + (1 - d) * p.detach() for a, p in zip(average, trainer.model.parameters(), strict=True)]
    for a, b in zip(average, trainer.ema.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


@cases("optimizer", ["adamw", "muon"])
def test_state_and_restore(optimizer: str, make_trainer: Make, dataset: Dataset) -> None:
    one, other = make_trainer(optimizer=optimizer), make_trainer(optimizer=optimizer)
    for i in range(3):
        one.step(i, *batch(dataset, i))
    one.skipped = 2
    other.step(7, *batch(dataset, 9))  # something else, to be overwritten
    other.restore(one.state(3))
    assert equal(one.state(3), other.state(3))
    for i in range(3, 6):
        one.step(i, *batch(dataset, i))
        other.step(i, *batch(dataset, i))
    assert equal(one.state(6), other.state(6))


@cases("optimizer", ["adamw", "muon"])
def test_restoring_before_the_first_step(optimizer: str, make_trainer: Make, dataset: Dataset) -> None:
    one, other = make_trainer(optimizer=optimizer), make_trainer(optimizer=optimizer)
    one.step(0, *batch(dataset))
    other.restore(one.state(1))
    assert equal(one.state(1), other.state(1))


@cases("part", ["model", "ema", "optimizer"])
def test_a_checkpoint_without_a_part_is_refused(part: str, make_trainer: Make, dataset: Dataset) -> None:
    trainer = make_trainer()
    trainer.step(0, *batch(dataset))
    state = trainer.state(1)
    lacking = replace(state, tensors={k: v for k, v in state.tensors.items() if k != part})
    with refuses("incompatible"):
        make_trainer().restore(lacking)


@pytest.fixture
def make_importance(
    make_model: Callable[[], Model], objective: Denoising, settings: TrainSettings, accelerator: Accelerator
) -> Make:
    """A trainer whose history of six levels is full after few steps."""
    sampled = replace(objective, noise=replace(objective.noise, sampling=Importance(per_level=2)))

    def make(**changes: object) -> Trainer:
        own = replace(settings, **changes)  # type: ignore[arg-type]
        return Trainer(make_model(), dropping(sampled, own.label_dropout), own, accelerator)

    return make


def test_importance_weighs_the_gradient_and_remembers_the_plain_losses(
    make_importance: Make,
    make_model: Callable[[], Model],
    objective: Denoising,
    settings: TrainSettings,
    dataset: Dataset,
) -> None:
    trainer, (images, conditions) = make_importance(label_dropout=0.0), batch(dataset)
    assert trainer.history is not None
    number = 0
    while not trainer.history.warm:
        trainer.step(number, images, conditions)
        number += 1
    before = {name: t.clone() for name, t in trainer.history.tensors().items()}
    model = make_model()
    model.load_state_dict(trainer.model.state_dict())
    report = trainer.step(number, images, conditions)

    known = LossHistory(before["losses"], before["counts"])
    draws = trainer.objective.draws(RowStreams(settings.seed, number, 8, range(8)), known)
    assert draws.weights.unique().numel() > 1
    losses = trainer.objective.losses(model, images, conditions, draws)
    assert float(report.loss) == pytest.approx(float((losses * draws.weights).sum().detach()), rel=1e-5)
    (losses * draws.weights).mean().backward()
    norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    assert report.grad_norm == pytest.approx(float(norm), rel=1e-4)

    known.add(draws.timesteps, losses.detach().double())
    torch.testing.assert_close(trainer.history.losses, known.losses, rtol=1e-5, atol=1e-7)


def test_importance_goes_on_as_if_not_interrupted(make_importance: Make, dataset: Dataset) -> None:
    whole, parts = make_importance(), make_importance()
    for i in range(12):
        whole.step(i, *batch(dataset, i))
    for i in range(7):
        parts.step(i, *batch(dataset, i))
    again = make_importance()
    again.restore(parts.state(7))
    for i in range(7, 12):
        again.step(i, *batch(dataset, i))
    assert whole.history is not None
    assert whole.history.warm
    assert equal(whole.state(12), again.state(12))
    lacking = replace(parts.state(7), tensors={k: t for k, t in parts.state(7).tensors.items() if k != "levels"})
    with refuses("incompatible"):
        make_importance().restore(lacking)


def test_a_skipped_step_is_not_remembered(
    make_importance: Make, make_model: Callable[[], Model], accelerator: Accelerator, dataset: Dataset
) -> None:
    trainer = make_importance()
    trainer.step(0, *batch(dataset))
    assert trainer.history is not None
    before = trainer.history.losses.clone()
    with torch.no_grad():
        next(trainer.model.parameters()).fill_(torch.nan)
    assert trainer.step(1, *batch(dataset)).skipped
    assert torch.equal(trainer.history.losses, before)
