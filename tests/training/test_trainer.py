from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from ddpm.training.randomness import draw, noise

from ddpm.codec import PixelCodec
from ddpm.config.training import TrainSettings
from ddpm.core.model import Model
from ddpm.data.dataset import Dataset
from ddpm.objectives.level_sampling import Importance, LossHistory, Uniform
from ddpm.system.errors import InputError
from ddpm.training.checkpoint import Checkpoint
from ddpm.training.rate import learning_rate
from ddpm.training.trainer import Learner, Problem

Make = Callable[..., Learner]


@dataclass(frozen=True, slots=True)
class Poisoned(PixelCodec):
    """White images become NaN."""

    def encode(self, images: torch.Tensor) -> torch.Tensor:
        x = PixelCodec.encode(self, images)
        return torch.where((x == 1).flatten(1).all(1)[:, None, None, None], torch.nan, x)


def batch(dataset: Dataset, first: int = 0) -> tuple[torch.Tensor, torch.Tensor]:
    rows = np.arange(first, first + 8)
    assert dataset.labels is not None
    return torch.from_numpy(dataset.read(rows)), torch.from_numpy(dataset.labels[rows])


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
    make_learner: Make, make_model: Callable[[], Model], problem: Problem, dataset: Dataset, settings: TrainSettings
) -> None:
    """Against one backward pass written out here, and torch's own AdamW."""
    images, labels = batch(dataset)
    learner = make_learner(weight_decay=0.01, label_dropout=0.5, clip=0.1)
    model, s = make_model(), replace(settings, weight_decay=0.01, label_dropout=0.5, clip=0.1)
    adam = torch.optim.AdamW(model.parameters(), betas=s.betas, weight_decay=0.01)
    for i in (0, 1):
        report = learner.step(i, images, labels)
        x0 = problem.codec.encode(images)
        draws = draw(s, i, lambda n, stream: Uniform().draw(problem.schedule, n, stream, None))
        eps = noise(s, i, slice(None), (3, 8, 8))
        seen = torch.where(draws.hidden, 2, labels)
        levels = problem.schedule.levels(draws.places)
        losses = problem.loss(model.net, x0, eps, levels, levels, model.cond(seen))
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
            assert_weights_agree(learner.model, model, learner.state(1).tensors["optimizer"])
    moments = learner.state(2).tensors["optimizer"]
    for name, p in model.named_parameters():
        torch.testing.assert_close(moments[f"exp_avg.{name}"], adam.state[p]["exp_avg"], rtol=1e-4, atol=1e-7)
        torch.testing.assert_close(moments[f"exp_avg_sq.{name}"], adam.state[p]["exp_avg_sq"], rtol=1e-3, atol=1e-10)


@pytest.mark.parametrize("micro_batch", [1, 3, 4])
def test_micro_batches_change_nothing(micro_batch: int, make_learner: Make, dataset: Dataset) -> None:
    images, labels = batch(dataset)
    whole, parts = make_learner(), make_learner(micro_batch=micro_batch)
    a, b = whole.step(0, images, labels), parts.step(0, images, labels)
    assert float(b.loss) == pytest.approx(float(a.loss), rel=1e-6)
    assert b.grad_norm == pytest.approx(a.grad_norm, rel=1e-6)
    one, other = whole.state(1).tensors["optimizer"], parts.state(1).tensors["optimizer"]
    for name in one:
        if name.startswith("exp_avg."):
            # float32 sums in another order
            torch.testing.assert_close(one[name], other[name], rtol=0, atol=1e-6 * largest(one))
    assert_weights_agree(whole.model, parts.model, one)


def test_a_step_depends_on_its_number_not_on_torchs_generator(make_learner: Make, dataset: Dataset) -> None:
    images, labels = batch(dataset)
    a, b, c = make_learner(), make_learner(), make_learner()
    a.step(3, images, labels)
    torch.manual_seed(99)
    b.step(3, images, labels)
    c.step(4, images, labels)
    assert equal(a.state(1), b.state(1))
    assert not equal(a.state(1), c.state(1))


def test_hidden_labels_are_not_seen(make_learner: Make, dataset: Dataset) -> None:
    images, labels = batch(dataset)
    a, b = make_learner(label_dropout=1.0), make_learner(label_dropout=1.0)
    a.step(0, images, labels)
    b.step(0, images, 1 - labels)
    assert equal(a.state(1), b.state(1))
    a, b = make_learner(label_dropout=0.0), make_learner(label_dropout=0.0)
    a.step(0, images, labels)
    b.step(0, images, 1 - labels)
    assert not equal(a.state(1), b.state(1))


@pytest.mark.parametrize("micro_batch", [8, 3])
def test_a_poisoned_step_changes_nothing_and_is_counted(
    micro_batch: int, make_model: Callable[[], Model], problem: Problem, dataset: Dataset, settings: TrainSettings
) -> None:
    poisoned = replace(problem, codec=Poisoned())
    learner = Learner(make_model(), poisoned, replace(settings, micro_batch=micro_batch), Accelerator(cpu=True))
    images, labels = batch(dataset)
    learner.step(0, images, labels)
    before = learner.state(1)
    kept = Checkpoint(
        1, {s: {n: t.clone() for n, t in named.items()} for s, named in before.tensors.items()}, before.state
    )
    bad = images.clone()
    bad[5] = 255
    report = learner.step(1, bad, labels)
    assert report.skipped
    assert not np.isfinite(report.grad_norm)
    after = learner.state(1)
    assert after.state == kept.state | {"skipped": 1}
    assert equal_tensors(after, kept)
    # and the next step is as if there had been none
    other = Learner(make_model(), poisoned, replace(settings, micro_batch=micro_batch), Accelerator(cpu=True))
    other.restore(kept)
    assert not learner.step(2, images, labels).skipped
    other.step(2, images, labels)
    assert equal_tensors(other.state(2), learner.state(2))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_poisoned_gradient_is_skipped_whatever_the_loss(value: float, make_learner: Make, dataset: Dataset) -> None:
    learner = make_learner()
    before = {name: p.detach().clone() for name, p in learner.model.named_parameters()}
    next(iter(learner.model.parameters())).register_hook(lambda grad: grad * value)
    report = learner.step(0, *batch(dataset))
    assert report.skipped
    assert torch.isfinite(report.loss)
    assert all(torch.equal(p, before[name]) for name, p in learner.model.named_parameters())
    assert learner.skipped == 1
    assert learner.ema.updates == 0


def test_the_average_follows_the_weights(make_learner: Make, dataset: Dataset) -> None:
    learner = make_learner(ema=0.5)
    average = [p.clone() for p in learner.ema.model.parameters()]
    for i in range(6):
        learner.step(i, *batch(dataset))
        d = min(0.5, (1 + i) / (10 + i))
        average = [d * a + (1 - d) * p.detach() for a, p in zip(average, learner.model.parameters(), strict=True)]
    for a, b in zip(average, learner.ema.model.parameters(), strict=True):
        torch.testing.assert_close(a, b, rtol=1e-6, atol=1e-7)


def test_state_and_restore(make_learner: Make, dataset: Dataset) -> None:
    one, other = make_learner(), make_learner()
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


def test_restoring_before_the_first_step(make_learner: Make, dataset: Dataset) -> None:
    one, other = make_learner(), make_learner()
    one.step(0, *batch(dataset))
    other.restore(one.state(1))
    assert equal(one.state(1), other.state(1))


@pytest.mark.parametrize("part", ["model", "ema", "optimizer"])
def test_a_checkpoint_without_a_part_is_refused(part: str, make_learner: Make, dataset: Dataset) -> None:
    learner = make_learner()
    learner.step(0, *batch(dataset))
    state = learner.state(1)
    lacking = replace(state, tensors={k: v for k, v in state.tensors.items() if k != part})
    with pytest.raises(InputError, match="the checkpoint of step 1 does not fit this configuration: it lacks "):
        make_learner().restore(lacking)


@pytest.fixture
def make_importance(
    make_model: Callable[[], Model], problem: Problem, settings: TrainSettings, accelerator: Accelerator
) -> Make:
    """A learner whose history of six levels is full after few steps."""
    sampled = replace(problem, level_sampling=Importance(per_level=2))

    def make(**changes: object) -> Learner:
        return Learner(make_model(), sampled, replace(settings, **changes), accelerator)  # type: ignore[arg-type]

    return make


def test_importance_weighs_the_gradient_and_remembers_the_plain_losses(
    make_importance: Make, make_model: Callable[[], Model], problem: Problem, settings: TrainSettings, dataset: Dataset
) -> None:
    learner, images_labels = make_importance(label_dropout=0.0), batch(dataset)
    assert learner.history is not None
    number = 0
    while not learner.history.warm:
        learner.step(number, *images_labels)
        number += 1
    before = {name: t.clone() for name, t in learner.history.tensors().items()}
    model = make_model()
    model.load_state_dict(learner.model.state_dict())
    sampling = learner.problem.level_sampling
    report = learner.step(number, *images_labels)

    known = LossHistory(before["losses"], before["counts"])
    s = replace(settings, label_dropout=0.0)
    draws = draw(s, number, lambda n, stream: sampling.draw(problem.schedule, n, stream, known))
    eps = noise(s, number, slice(None), (3, 8, 8))
    assert draws.weights.unique().numel() > 1
    now, next = problem.levels(draws.places)
    x0 = problem.codec.encode(images_labels[0])
    losses = problem.loss(model.net, x0, eps, now, next, model.cond(images_labels[1]))
    assert float(report.loss) == pytest.approx(float((losses * draws.weights).sum().detach()), rel=1e-5)
    (losses * draws.weights).mean().backward()
    norm = torch.nn.utils.get_total_norm([p.grad for p in model.parameters() if p.grad is not None])
    assert report.grad_norm == pytest.approx(float(norm), rel=1e-4)

    known.add(draws.places, losses.detach().double())
    torch.testing.assert_close(learner.history.losses, known.losses, rtol=1e-5, atol=1e-7)


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
    with pytest.raises(InputError, match="it lacks counts, losses"):
        make_importance().restore(lacking)


def test_a_skipped_step_is_not_remembered(
    make_importance: Make, make_model: Callable[[], Model], accelerator: Accelerator, dataset: Dataset
) -> None:
    learner = make_importance()
    learner.step(0, *batch(dataset))
    assert learner.history is not None
    before = learner.history.losses.clone()
    with torch.no_grad():
        next(learner.model.parameters()).fill_(torch.nan)
    assert learner.step(1, *batch(dataset)).skipped
    assert torch.equal(learner.history.losses, before)
