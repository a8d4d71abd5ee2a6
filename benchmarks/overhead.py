"""Overhead of sampling beyond its network calls, for every solver and every kind of guidance.

    OMP_NUM_THREADS=1 python benchmarks/overhead.py

Each way of sampling draws a batch of 16 through the sampling loop: the noise of each image from its own stream, the
solver's arithmetic, and the denoiser with its clipping and guidance. The network is timed, and overhead is the time of
the loop outside it over the time within it, in the same run. Figures are medians over rounds in which every way takes
its turn. Times are the thread's CPU times, so that other programs matter little; hence CPUs, and one thread.
"""

import argparse
import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from statistics import median

import torch
from side_by_side.machine import machine
from torch import nn

from ddpm import build
from ddpm.conditioning import LabelEmbedding
from ddpm.config.network import UNetSettings
from ddpm.config.sampling import SamplingConfig
from ddpm.core import Cond, Discrete, Parameterisation, discrete, prediction
from ddpm.core.model import Model
from ddpm.core.schedule import level_of
from ddpm.networks import UNet
from ddpm.sampling import SampleNoise, Solver, rows_of, sample
from ddpm.sampling.adaptive import Adaptive
from ddpm.system.allocator import keep_freed_memory

BATCH = 16
CLASSES = 10


@dataclass(frozen=True)
class Subject:
    """A network and how it is sampled.

    Attributes:
        network: its shape.
        size: pixels a side.
        steps: of the grid.
        aim: highest overhead, as a share of the time in the network; None for none.
    """

    network: UNetSettings
    size: int
    steps: int
    aim: float | None


SUBJECTS = {
    "ho2020": Subject(UNetSettings(), 32, 6, 0.01),
    "auto": Subject(UNetSettings(width=32, multipliers=(1, 2, 2), blocks=1, attention=(4, 8), patch=2), 32, 6, None),
    "digits": Subject(
        UNetSettings(in_channels=1, out_channels=1, width=48, multipliers=(1, 2), blocks=1, attention=(2,)), 8, 6, 0.05
    ),
}
"""Ho et al.'s network for CIFAR-10; the smallest that the recipe "auto" makes for it; that of ``make demo``."""

GUIDED = {
    "no clipping": {"clip": False},
    "dynamic thresholding": {"threshold": 0.995},
    "guidance": {"guidance": 2.0},
    "… in an interval": {"guidance": 2.0, "guidance_interval": (0.2, 5.0)},
    "… rescaled": {"guidance": 2.0, "guidance_rescale": 0.7},
    "… projected": {"guidance": 2.0, "guidance_parallel": 0.0, "guidance_norm": 10.0},
    "… by a worse model": {"guidance": 2.0},
}
"""The kinds of guidance, each with DDIM."""


class Timed(nn.Module):
    """A network that counts the time spent in it."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net
        self.seconds, self.calls = 0.0, 0

    def forward(self, x: torch.Tensor, t: torch.Tensor, cond: Cond | None = None) -> torch.Tensor:
        began = time.thread_time()
        out: torch.Tensor = self.net(x, t, cond)
        self.seconds += time.thread_time() - began
        self.calls += 1
        return out


def distinct(schedule: Discrete) -> dict[str, Solver]:
    """List every solver by all of its names; the adaptive one takes few sub-steps."""
    names: dict[Solver, list[str]] = {}
    between = partial(level_of, schedule)
    for name, make in build.SOLVERS.items():
        made = make(between)
        names.setdefault(replace(made, limit=2) if isinstance(made, Adaptive) else made, []).append(name)
    return {", ".join(shared): solver for solver, shared in names.items()}


def ways(subject: Subject) -> dict[str, Callable[[], tuple[float, float]]]:
    """Build the ways of sampling: name -> a run that returns seconds outside the network, and within."""
    torch.manual_seed(0)
    schedule, ask = discrete.linear(), Parameterisation(prediction.v)
    s = subject.network

    def made(settings: UNetSettings, *, labels: bool = False) -> Model:
        conditioner = {"label": LabelEmbedding(CLASSES, settings.width)} if labels else None
        model = Model(Timed(UNet(replace(settings, cond_width=settings.width if labels else None))), conditioner)
        return model.eval().requires_grad_(False)

    plain, labelled = made(s), made(s, labels=True)
    varied, worse = made(replace(s, out_channels=2 * s.out_channels)), made(s)
    cond, away = labelled.cond({"label": torch.arange(BATCH) % CLASSES}, BATCH), labelled.cond({}, 1)
    levels = build.build_grid(SamplingConfig.of(steps=subject.steps, grid="uniform"), schedule)
    ddim = build.build_solver(SamplingConfig.of(solver="ddim"), schedule)

    def run(solver: Solver, how: SamplingConfig, model: Model, asked: Parameterisation) -> tuple[float, float]:
        guided = how.guidance is not None and model is labelled
        other = worse if how.guidance is not None and not guided else None
        denoise = build.build_clipped(how, build.build_guided(how, model, asked, away if guided else None, other))
        for each in (model.net, worse.net):
            each.seconds = 0.0  # type: ignore[assignment]
        began = time.thread_time()
        noise = SampleNoise(rows_of(0, range(BATCH)), (s.in_channels, subject.size, subject.size))
        sample(denoise, solver, levels, noise, cond if guided else None)
        whole = time.thread_time() - began
        within = float(model.net.seconds) + (float(worse.net.seconds) if other else 0.0)  # type: ignore[arg-type]
        return whole - within, within

    clipped = SamplingConfig()
    found = {name: partial(run, solver, clipped, plain, ask) for name, solver in distinct(schedule).items()}
    ancestral = build.build_solver(SamplingConfig.of(solver="ancestral"), schedule)
    found["learned variance"] = partial(run, ancestral, clipped, varied, replace(ask, learned_variance=True))
    for name, options in GUIDED.items():
        with_labels = "guidance" in options and name != "… by a worse model"
        found[name] = partial(run, ddim, SamplingConfig.of(**options), labelled if with_labels else plain, ask)
    return found


def measure(subject: Subject, rounds: int, only: Sequence[str] | None) -> dict[str, float]:
    """Measure overhead: way of sampling -> median over rounds after a warm-up round."""
    made = {name: run for name, run in ways(subject).items() if only is None or set(name.split(", ")) & set(only)}
    taken: dict[str, list[float]] = {name: [] for name in made}
    for number in range(rounds + 1):
        for name, run in made.items():
            outside, within = run()
            if number:
                taken[name].append(outside / within)
    return {name: median(shares) for name, shares in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="*", choices=SUBJECTS, default=list(SUBJECTS), help="these networks")
    parser.add_argument("--ways", nargs="*", help="these solvers and kinds of guidance; all by default")
    parser.add_argument("--rounds", type=int, default=9, help="rounds after the warm-up")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    given = parser.parse_args()
    torch.set_num_threads(1)
    keep_freed_memory()
    print(machine("cpu", 1), flush=True)
    found = {name: measure(SUBJECTS[name], given.rounds, given.ways) for name in given.only}
    print("| overhead, % | " + " | ".join(found) + " |")
    print("|---|" + "---:|" * len(found))
    for way in next(iter(found.values())):
        print(f"| {way} | " + " | ".join(f"{100 * shares[way]:.2f}" for shares in found.values()) + " |")
    for name, shares in found.items():
        aim, most = SUBJECTS[name].aim, max(shares.values())
        if aim is not None:
            print(f"{name}: at most {most:.2%}, aim {aim:.0%}: {'kept' if most <= aim else 'MISSED'}")
    if given.json is not None:
        given.json.write_text(json.dumps(found, indent=1))


if __name__ == "__main__":
    main()
