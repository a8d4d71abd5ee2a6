import weakref
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from accelerate import Accelerator
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from cases import cases
from ddpm.codec import PixelCodec
from ddpm.conditioning.label import LabelEmbedding
from ddpm.config.network import UNetSettings
from ddpm.config.training import TrainSettings
from ddpm.core import Parameterisation, discrete, prediction
from ddpm.core.model import Model
from ddpm.core.stream import RowStreams
from ddpm.data.dataset import Dataset
from ddpm.data.loader import batch_of
from ddpm.networks import UNet
from ddpm.objectives import SimpleLoss
from ddpm.objectives.denoising import Denoising
from ddpm.objectives.level_sampling import Uniform
from ddpm.objectives.noised import NoiseLevels
from ddpm.system import threads as threads_module
from ddpm.training import measure
from ddpm.training.measure import Memory, available_bytes, memory
from ddpm.training.trainer import Trainer


class Live(TorchDispatchMode):
    """Bytes of all storages made under it that are still referred to by someone: a count by lifetime, op by op."""

    def __init__(self) -> None:
        super().__init__()
        self.now = self.peak = 0
        self._seen: set[int] = set()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        before = {t.untyped_storage().data_ptr() for t in tree_iter((args, kwargs)) if isinstance(t, torch.Tensor)}
        out = func(*args, **(kwargs or {}))
        for t in tree_iter(out):
            if isinstance(t, torch.Tensor):
                storage = t.untyped_storage()
                address = storage.data_ptr()
                if address in before or address in self._seen or not storage.nbytes():
                    continue
                self._seen.add(address)
                self.now += storage.nbytes()
                self.peak = max(self.peak, self.now)
                weakref.finalize(storage, self._freed, address, storage.nbytes())
        return out

    def _freed(self, address: int, size: int) -> None:
        self._seen.discard(address)
        self.now -= size


@pytest.fixture
def model() -> Model:
    """Deep and fine enough that activations outweigh the weights."""
    settings = UNetSettings(in_channels=3, out_channels=3, width=16, multipliers=(1, 2), attention=(2,), cond_width=16)
    return Model(UNet(settings), {"label": LabelEmbedding(2, 16)})


@pytest.fixture
def objective() -> Denoising:
    noise = NoiseLevels(discrete.cosine(20), Uniform())
    return Denoising(noise, SimpleLoss(Parameterisation(prediction.v)), PixelCodec().sample)


@pytest.fixture
def data() -> Dataset:
    """Six images of 32 × 32."""
    return Dataset(np.zeros((6, 32, 32, 3), np.uint8), np.zeros(6, np.int64), ("cat", "dog"))


def kept_for_the_gradient(model: Model, objective: Denoising, data: Dataset, n: int) -> int:
    batch, draws = batch_of(data, np.arange(n)), objective.draws(RowStreams(0, 0, n, range(n)), None)
    with Live() as live:
        loss = objective.losses(model, batch.images, batch.conditions, draws).sum()
        kept = live.now
    del loss
    return kept


def test_activations_are_those_that_stay_alive(
    model: Model, objective: Denoising, data: Dataset, accelerator: Accelerator
) -> None:
    settings = TrainSettings(images=100)
    counted = memory(model, objective, settings, data, accelerator)
    lived = (kept_for_the_gradient(model, objective, data, 6) - kept_for_the_gradient(model, objective, data, 2)) / 4
    assert lived > 1e6
    assert counted.per_image == pytest.approx(lived, rel=0.05)


def test_weights_are_counted_with_all_that_is_kept_of_them(
    model: Model, objective: Denoising, data: Dataset, accelerator: Accelerator
) -> None:
    """Weights, gradients, two moments and the average, in float32; and two averages to make others of, if saved."""
    for averages, copies in ((0, 5), (16, 7)):
        settings = TrainSettings(images=100, averages=averages)
        counted = memory(model, objective, settings, data, accelerator)
        assert counted.fixed == copies * sum(p.numel() * p.element_size() for p in model.parameters())


@cases("n", [4, 12])
def test_the_peak_covers_a_real_step(
    n: int, model: Model, objective: Denoising, data: Dataset, accelerator: Accelerator
) -> None:
    settings = TrainSettings(images=100, batch=n, micro_batch=n)
    foreseen = memory(model, objective, settings, data, accelerator)
    trainer = Trainer(model, objective, settings, accelerator)
    batch = batch_of(data, np.arange(n) % len(data))
    weights = sum(p.numel() * p.element_size() for p in model.parameters())
    with Live() as live:
        trainer.step(0, batch.images, batch.conditions)
        trainer.step(1, batch.images, batch.conditions)
    real = live.peak + 2 * weights  # the weights and their average were there before
    assert real <= foreseen.peak(n) <= 1.5 * real


def test_counting_leaves_the_model_as_it_was(
    model: Model, objective: Denoising, data: Dataset, accelerator: Accelerator
) -> None:
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    memory(model, objective, TrainSettings(images=100), data, accelerator)
    assert all(torch.equal(p, before[name]) for name, p in model.named_parameters())
    assert all(p.grad is None for p in model.parameters())


def test_half_precision_keeps_less(model: Model, objective: Denoising, data: Dataset) -> None:
    full = memory(model, objective, TrainSettings(images=100), data, Accelerator(cpu=True))
    from accelerate.state import AcceleratorState

    AcceleratorState._reset_state(True)
    half = Accelerator(cpu=True, mixed_precision="bf16")
    less = memory(model, objective, TrainSettings(images=100, precision="bf16"), data, half)
    assert less.per_image < 0.8 * full.per_image
    assert less.fixed > full.fixed


def test_peak_is_a_fifth_more() -> None:
    assert Memory(fixed=1000, per_image=10).peak(4) == 1248


@cases(
    ("available", "batch", "micro"),
    [
        (1200 + 12 * 100, 100, 100),
        (1200 + 12 * 100 - 1, 100, 50),
        (1200 + 12 * 50 - 1, 100, 25),
        (1200 + 12 * 13, 100, 13),
        (1200 + 12 * 13 - 1, 100, 7),
        (0, 100, 1),
        (10**9, 1, 1),
    ],
)
def test_fitting_halves(available: int, batch: int, micro: int) -> None:
    assert Memory(fixed=1000, per_image=10).fitting(available, batch) == micro


def test_the_time_of_a_step_is_that_of_the_fastest_number_of_threads(
    make_trainer: Callable[..., Trainer], dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a clock of our own: 2 s a step with 4 threads, 0.5 s with 2, 0.7 s with one, and 100 s for the first."""
    clock = [0.0]
    steps: list[int] = []
    ours = threads_module.Threads([4, 2, 1], lambda count: None, lambda: 1.0)
    seconds = {4: 2.0, 2: 0.5, 1: 0.7}

    def step(*_: object) -> None:
        clock[0] += seconds[ours._applied] if steps else 100.0
        steps.append(ours._applied)

    monkeypatch.setattr(measure, "threads", lambda: ours)
    monkeypatch.setattr(threads_module.time, "perf_counter", lambda: clock[0])
    monkeypatch.setattr(Trainer, "step", step)
    batch = batch_of(dataset, np.arange(8))
    assert measure.seconds_a_step(make_trainer(), batch, 3.0) == pytest.approx(0.5)
    assert steps == [4, 4, 2, 2, 1, 1]


def test_available_memory_leaves_a_tenth(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    monkeypatch.setattr(measure.psutil, "virtual_memory", lambda: SimpleNamespace(available=1000))
    assert available_bytes(torch.device("cpu")) == 900
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (2000, 9000))
    assert available_bytes(torch.device("cuda")) == 1800
