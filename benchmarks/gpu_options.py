"""One option of training or sampling on a device, measured in a process of its own; see gpu.py."""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

import torch
from accelerate.state import AcceleratorState
from side_by_side import theirs
from side_by_side.ours import trainer_of
from side_by_side.subject import Subject
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from ddpm.core import Cond, NetworkDenoiser, Parameterisation, discrete, prediction
from ddpm.core.precision import Autocast
from ddpm.networks import UNet
from ddpm.sampling import DDIM, SampleNoise, grid, rows_of, sample
from ddpm.training import trainer as trainers
from ddpm.training.measure import peak_bytes

FIRST = 3
"""The number of steps whose losses are compared."""


@dataclass(frozen=True)
class Option:
    """How a step of training, or of sampling, is computed.

    Attributes:
        precision: of the network; weights are float32 in training.
        channels_last: the memory layout.
        half_weights: sample with weights in the precision of the network.
        compile: the mode of torch.compile; None for none.
        graph: replay the network's call as a CUDA graph.
        checkpoint: recompute the blocks' activations for the gradient.
        micro_batches: the parts of a batch.
        fused: the optimiser is one kernel.
        theirs: measure diffusers instead.
    """

    precision: str = "bf16"
    channels_last: bool = True
    half_weights: bool = False
    compile: str | None = None
    graph: bool = False
    checkpoint: bool = False
    micro_batches: int = 1
    fused: bool = True
    theirs: bool = False


class Graphed:
    """A network whose call is captured as a CUDA graph, for inputs of one shape."""

    def __init__(self, net: nn.Module, half: torch.dtype | None) -> None:
        self.net, self.half = net, half
        self.graph: torch.cuda.CUDAGraph | None = None

    def __call__(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        if self.graph is None:
            self.x, self.t = x.clone(), t.clone()
            side = torch.cuda.Stream()
            side.wait_stream(torch.cuda.current_stream())
            with torch.cuda.stream(side):
                for _ in range(3):
                    self._call(cond)
            torch.cuda.current_stream().wait_stream(side)
            self.graph = torch.cuda.CUDAGraph()
            with torch.cuda.graph(self.graph):
                self.out = self._call(cond)
        self.x.copy_(x)
        self.t.copy_(t)
        self.graph.replay()
        return self.out.clone()

    def _call(self, cond: Cond | None) -> torch.Tensor:
        # casts of weights that autocast keeps would be freed before the graph is replayed
        with torch.autocast("cuda", self.half, enabled=self.half is not None, cache_enabled=False):
            out: torch.Tensor = self.net(self.x, self.t, cond)
        return out.to(self.x.dtype)


def measured(act: str, option: Option, subject: Subject, steps: int, seconds: float) -> dict[str, Any]:
    """The speed, memory and error of an option.

    Args:
        act: "train" or "sample".
        steps: the network calls of sampling.
        seconds: how long to measure.
    """
    subject = replace(subject, precision=option.precision, channels_last=option.channels_last)
    if option.checkpoint:
        subject = replace(subject, network=subject.network | {"checkpoint": True})
    return (_training if act == "train" else _sampling)(option, subject, steps, seconds)


def _training(option: Option, subject: Subject, steps: int, seconds: float) -> dict[str, Any]:
    """Steps of an optimiser; the error is that of the first losses from those in float32."""
    if option.theirs:
        return _timed(theirs.training(subject).acts["step"], subject, seconds)
    plain = replace(subject, precision="fp32", channels_last=False, network=subject.network | {"checkpoint": False})
    expected = _losses(_trainer(plain, _net(plain), plain.batch), plain)
    _forget(subject)
    net = _net(subject)
    if option.compile is not None:
        net.compile(mode=option.compile)
    with patch.object(trainers, "make_optimizer", trainers.make_optimizer if option.fused else _unfused):
        trainer = _trainer(subject, net, -(-subject.batch // option.micro_batches))
    began = time.perf_counter()
    found = _losses(trainer, subject)
    ready = time.perf_counter() - began
    images, number = subject.images(), iter(range(FIRST, 10**9))
    timed = _timed(lambda: trainer.step(next(number), images, {}), subject, seconds)
    return timed | {"ready_s": ready, "error": max(abs(a / b - 1) for a, b in zip(found, expected, strict=True))}


def _trainer(subject: Subject, net: nn.Module, micro_batch: int) -> trainers.Trainer:
    AcceleratorState._reset_state(reset_partial_state=True)  # it keeps one precision per process
    return trainer_of(subject, net, micro_batch)


def _losses(trainer: trainers.Trainer, subject: Subject) -> list[float]:
    return [float(trainer.step(i, subject.images(), {}).loss) for i in range(FIRST)]


def _unfused(model: nn.Module, settings: Any, device: torch.device) -> torch.optim.Optimizer:
    return torch.optim.AdamW(model.parameters(), settings.learning_rate, settings.betas, foreach=False, fused=False)


def _sampling(option: Option, subject: Subject, steps: int, seconds: float) -> dict[str, Any]:
    """Batches of DDIM; the error is the root mean square of the difference from the images in float32."""
    if option.theirs:
        return _timed(theirs.sampling(subject, steps=steps).acts["loop"], subject, seconds)
    net = _net(subject).eval().requires_grad_(False).to(subject.device)
    expected = _drawn(net, subject, steps)
    _forget(subject)
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(option.precision)
    net.to(memory_format=subject.layout)
    if option.half_weights:
        net.to(half)
    if option.compile is not None:
        net.compile(mode=option.compile)
    call = Graphed(net, half) if option.graph else net if half is None else Autocast(net, half)
    began = time.perf_counter()
    found = _drawn(call, subject, steps)
    ready = time.perf_counter() - began
    error = float((found - expected).square().mean().sqrt())
    return _timed(lambda: _drawn(call, subject, steps), subject, seconds) | {"ready_s": ready, "error": error}


def _net(subject: Subject) -> UNet:
    """The same weights in every process; the output of new ones is zero."""
    torch.manual_seed(0)
    net = UNet(subject.settings)
    with torch.no_grad():
        for p in net.parameters():
            p.add_(0.02 * torch.randn_like(p))
    return net


def _drawn(net: Callable[..., torch.Tensor], subject: Subject, steps: int) -> torch.Tensor:
    noise = SampleNoise(rows_of(0, range(subject.batch)), subject.shape[1:], torch.device(subject.device))
    denoise = NetworkDenoiser(net, Parameterisation(prediction.v))
    with torch.no_grad():
        return sample(denoise, DDIM(), grid.uniform(discrete.cosine(), steps), noise).float().cpu()


def _timed(act: Callable[[], object], subject: Subject, seconds: float) -> dict[str, Any]:
    """Images per second and peak memory, after two warm-up rounds."""
    for _ in range(2):
        act()
    _wait(subject)
    times, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds:
        act()
        _wait(subject)
        times += 1
    took = time.perf_counter() - began
    return {"images_per_s": times * subject.batch / took, "peak": peak_bytes(torch.device(subject.device))}


def _wait(subject: Subject) -> None:
    if subject.device == "cuda":
        torch.cuda.synchronize()


def _forget(subject: Subject) -> None:
    """Exclude from the peak what was computed for comparison."""
    if subject.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def sampling_flops(subject: Subject, steps: int) -> int:
    """Floating-point operations of drawing one image."""
    net = UNet(subject.settings).to(subject.device)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        net(torch.zeros(1, *subject.shape[1:], device=subject.device), torch.ones(1, device=subject.device))
    return steps * counter.get_total_flops()
