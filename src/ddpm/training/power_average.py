"""Averages of the weights whose length is chosen after training (Karras et al. 2024, sec. 3.2 and app. C).

The power-function average of weights θ up to time t is ``(γ + 1) / t^(γ + 1) ∫₀ᵗ τ^γ θ(τ) dτ``. Its *length*, the
standard deviation of its profile relative to t, is the same at any time: an average of length 0.1 covers about the last
tenth of training. Two averages are tracked during training and saved now and then; an average of any other length is
afterwards a linear combination of those saved.
"""

from collections.abc import Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from safetensors.torch import save as tensors_to_bytes

from ddpm.core.model import Model
from ddpm.system.tensors import finite, load_tensors
from ddpm.training.sharding import gathered, own

TRACKED = (0.05, 0.1)
"""The lengths that are tracked."""
UPDATES = 1000
"""The averages are updated about this often, at even intervals."""

Profiles = tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]
"""(n,) times and (n,) exponents of some averages."""


def length(exponent: float) -> float:
    """The length of an average with exponent γ: ``√(γ + 1) / ((γ + 2) √(γ + 3))``."""
    return float(np.sqrt(exponent + 1) / ((exponent + 2) * np.sqrt(exponent + 3)))


def exponent(length: float) -> float:
    """The exponent γ ≥ 0 of an average of this length, at most 1 / √12: the plain mean (Karras et al. 2024, alg. 2)."""
    square = length**-2
    roots = np.roots([1.0, 7.0, 16.0 - square, 12.0 - square])
    return float(max(roots[np.isreal(roots)].real))


def products(a: Profiles, b: Profiles) -> npt.NDArray[np.float64]:
    """The inner products ``∫ p_a(τ) p_b(τ) dτ`` of all pairs of profiles, (n, m)."""
    (s, g), (t, h) = (x[:, None] for x in a), (x[None, :] for x in b)
    logs = np.log((g + 1) * (h + 1) / (g + h + 1)) + (g + h + 1) * np.log(np.minimum(s, t))
    return np.asarray(np.exp(logs - (g + 1) * np.log(s) - (h + 1) * np.log(t)))


def combination(saved: Profiles, length: float) -> npt.NDArray[np.float64]:
    """The factors of the saved averages whose sum is closest to the average of a length at the last saved time, (n,).

    Least squares in the profiles (Karras et al. 2024, alg. 3), here under the constraint that the factors add up to 1,
    so that weights that stand still are met exactly.
    """
    times, exponents = saved
    scaled = times / times.max(), exponents  # the profiles at time 1, so that no power overflows
    inner, wanted = products(scaled, scaled), (np.ones(1), np.array([exponent(length)]))
    ones = np.ones((len(times), 1))
    system = np.block([[inner, ones], [ones.T, np.zeros((1, 1))]])
    right = np.concatenate([products(scaled, wanted), np.ones((1, 1))])
    return np.asarray(np.linalg.lstsq(system, right, rcond=None)[0][:-1, 0])


class PowerAverages:
    """The tracked averages of a model.

    Attributes:
        every: the optimiser steps between updates; time is counted in updates.
    """

    def __init__(self, model: Model, steps: int) -> None:
        self.every = max(1, steps // UPDATES)
        self._weights = dict(model.named_parameters())
        self._averages = {length: [p.detach().clone() for p in self._weights.values()] for length in TRACKED}

    @torch.no_grad()
    def update(self, done: int) -> None:
        """Update the averages after ``done`` = 1, 2, … optimiser steps, if it is time."""
        time, off = divmod(done, self.every)
        if off:
            return
        weights = [own(p.detach()) for p in self._weights.values()]
        for length, average in self._averages.items():
            decay = (1 - 1 / time) ** (exponent(length) + 1)
            torch._foreach_lerp_([own(a) for a in average], weights, 1 - decay)

    def tensors(self) -> dict[str, torch.Tensor]:
        """The averages, by names such as "0.05/net.conv_in.weight"."""
        return {
            f"{length}/{name}": tensor
            for length, average in self._averages.items()
            for name, tensor in zip(self._weights, average, strict=True)
        }

    def to_bytes(self, keep: bool = True) -> bytes:
        """The averages as a safetensors file, in half precision: rounding changes a combination by less than 0.1 %.

        All processes must call this together if the model is divided among them.

        Args:
            keep: whether this process needs the file; otherwise it may be empty.
        """
        found = gathered(self.tensors(), keep)
        return tensors_to_bytes({n: t.half().cpu().contiguous() for n, t in found.items()}) if keep else b""


def saved_after(steps: int, every: int, number: int) -> set[int]:
    """The numbers of steps after which the averages are saved: ``number`` of them, evenly spread up to the end."""
    updates = steps // every
    return {every * time for k in range(1, number + 1) if (time := round(updates * k / number))}


def combine(files: Mapping[int, Path], length: float) -> dict[str, torch.Tensor]:
    """The average of a length at the last of the saved times, float32 by name.

    Args:
        files: what :meth:`PowerAverages.to_bytes` wrote, by the number of steps.

    Raises:
        OSError, ValueError: one cannot be read, is damaged, or belongs to another model.
    """
    saved = [(done, tracked) for done in files for tracked in TRACKED]
    profiles = np.array([float(done) for done, _ in saved]), np.array([exponent(tracked) for _, tracked in saved])
    total: dict[str, torch.Tensor] = {}
    for (done, tracked), factor in zip(saved, combination(profiles, length), strict=True):
        for name, tensor in read(files[done], tracked).items():
            part = factor * tensor.double()
            if name in total and total[name].shape != part.shape:
                raise ValueError(f"{name} has the shapes {tuple(total[name].shape)} and {tuple(part.shape)}")
            total[name] = total[name] + part if name in total else part
    return {name: tensor.float() for name, tensor in total.items()}


def read(file: Path, tracked: float) -> dict[str, torch.Tensor]:
    """One of the averages that :meth:`PowerAverages.to_bytes` wrote, float32 by name."""
    found = load_tensors(file, f"{tracked}/")
    for name, tensor in found.items():
        if not tensor.is_floating_point() or not finite(tensor):
            raise ValueError(f"{name} has values that are not finite numbers")
    return {name: tensor.float() for name, tensor in found.items()}
