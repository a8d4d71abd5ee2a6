"""ddpm, as a contender."""

from collections.abc import Callable

import torch
from accelerate import Accelerator
from torch import nn

from ddpm.codec import PixelCodec
from ddpm.conditioning import LabelEmbedding
from ddpm.config.training import TrainSettings
from ddpm.core import Cond, Denoiser, Level, NetworkDenoiser, Parameterisation, discrete, prediction
from ddpm.core.model import Model
from ddpm.guidance import ClassifierFree, Clipped
from ddpm.networks import UNet
from ddpm.objectives import SimpleLoss
from ddpm.objectives.denoising import Denoising
from ddpm.objectives.level_sampling import Uniform
from ddpm.objectives.noised import NoiseLevels
from ddpm.sampling import DDIM, SampleNoise, grid, rows_of, sample
from ddpm.training.trainer import Trainer
from side_by_side.subject import Made, Subject, weights


class Peer(nn.Module):
    """Their network where ours would be."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        return self.net(x, t).sample


class Laid(Model):
    """A model in this layout; left alone it would be channels last."""

    def __init__(self, net: nn.Module, layout: torch.memory_format) -> None:
        super().__init__(net)
        self._layout = layout

    @property
    def layout(self) -> torch.memory_format:
        return self._layout


def training(subject: Subject, *, peer: bool = False) -> Made:
    """The act "step": one optimiser step as in ``ddpm train``, of our network or of theirs."""
    trainer = trainer_of(subject, Peer(subject.peer()) if peer else UNet(subject.settings), subject.batch)
    images, number = subject.images(), iter(range(10**9))

    def step() -> None:
        trainer.step(next(number), images, {})

    return Made({"step": step}, {"weights": weights(trainer.model)})


def trainer_of(subject: Subject, net: nn.Module, micro_batch: int) -> Trainer:
    """A trainer of this network as in ``ddpm train``."""
    accelerator = Accelerator(cpu=subject.device == "cpu", mixed_precision=_mixed(subject))
    noise = NoiseLevels(discrete.linear(), Uniform())
    objective = Denoising(noise, SimpleLoss(Parameterisation(prediction.eps)), PixelCodec().sample)
    s = TrainSettings(10**9, subject.batch, micro_batch, precision=subject.precision)
    return Trainer(Laid(net, subject.layout), objective, s, accelerator)


def _mixed(subject: Subject) -> str:
    return "no" if subject.precision == "fp32" else subject.precision


def sampling(subject: Subject, *, steps: int) -> Made:
    """The acts "loop" and "guided", by DDIM, and "calls" and "guided calls", their bare network calls."""
    from tests.agreement.diffusers_unet import copy_weights

    theirs = subject.peer().eval()
    net = copy_weights(theirs, UNet(subject.settings)).eval().requires_grad_(False)
    _check_same(theirs, net, subject)
    net.to(subject.device, memory_format=subject.layout)
    # the weights above know no classes
    s = subject.settings
    conditional = UNet(type(s)(**{**s.__dict__, "cond_width": s.width})).eval().requires_grad_(False)
    conditional.to(subject.device, memory_format=subject.layout)
    labels = LabelEmbedding(10, s.width).to(subject.device).requires_grad_(False)
    some = labels(torch.arange(subject.batch, device=subject.device) % 10)

    levels = grid.uniform(discrete.linear(), steps)
    plain = Clipped(NetworkDenoiser(net, Parameterisation(prediction.eps)))
    guided = Clipped(
        ClassifierFree(NetworkDenoiser(conditional, Parameterisation(prediction.eps)), labels.null(1), 2.0)
    )
    x = torch.randn(subject.shape, device=subject.device)
    both, cond = torch.cat([x, x]), some.cat(labels.null(subject.batch))
    return Made(
        {
            "loop": _autocast(subject, lambda: _sample(plain, levels, subject, None)),
            "calls": _autocast(subject, lambda: _call(net, levels, x, None)),
            "guided": _autocast(subject, lambda: _sample(guided, levels, subject, some)),
            "guided calls": _autocast(subject, lambda: _call(conditional, levels, both, cond)),
        },
        {"weights": weights(net)},
    )


def _autocast(subject: Subject, act: Callable[[], None]) -> Callable[[], None]:
    def run() -> None:
        with torch.autocast(subject.device, _HALF.get(subject.precision), enabled=subject.precision != "fp32"):
            act()

    return run


_HALF = {"bf16": torch.bfloat16, "fp16": torch.float16}


def _sample(denoise: Denoiser, levels: list[Level], subject: Subject, cond: Cond | None) -> None:
    noise = SampleNoise(rows_of(0, range(subject.batch)), subject.shape[1:], subject.device)
    sample(denoise, DDIM(), levels, noise, cond)


@torch.no_grad()
def _call(net: UNet, levels: list[Level], x: torch.Tensor, cond: Cond | None) -> None:
    t = torch.ones(len(x), device=x.device)
    for _ in levels[1:]:
        net(x, t, cond)


@torch.no_grad()
def _check_same(theirs: nn.Module, ours: UNet, subject: Subject) -> None:
    """That both networks say the same: what is compared is one network."""
    x, t = torch.randn(2, *subject.shape[1:]), torch.tensor([0.0, 999.0])
    torch.testing.assert_close(ours(x, t), theirs(x, t).sample, rtol=1e-4, atol=1e-4)
