"""Under an exact linear codec, a run in latents is the run of pixels: its samples, its likelihood, its editing.

The codec rotates the values of each block, so that the perfect denoiser of its coefficients is that of pixels, rotated.
"""

from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image
from tests import tiny

from cases import cases
from ddpm.core import discrete
from ddpm.core.stream import Stream
from ddpm.metrics.likelihood import ProbabilityFlow
from ddpm.objectives.bound import bound, every_pair
from ddpm.pipeline import Pipeline
from ddpm.sampling import sample
from ddpm.sampling.grid import trailing, uniform
from refusal import refuses

from .every import SOLVERS
from .exact import Gaussian
from .patches import HAAR, OfPatches, in_patches, to_patches, to_pixels

MEAN = torch.linspace(-0.4, 0.4, 16, dtype=torch.float64)
ROOT = torch.randn(16, 16, generator=torch.Generator().manual_seed(0), dtype=torch.float64) / 8
COV = ROOT @ ROOT.mT + 0.01 * torch.eye(16)


class Blocks:
    """The perfect denoiser of Gaussian images of 4 × 4."""

    def __call__(self, x, level, cond=None):
        out = Gaussian(MEAN, COV)(x.reshape(-1, 16, 1), level)
        return out._replace(x0=out.x0.reshape(x.shape))


def test_the_transform_is_orthonormal():
    x = torch.randn(2, 3, 4, 6, dtype=torch.float64)
    torch.testing.assert_close(HAAR @ HAAR.mT, torch.eye(4, dtype=torch.float64))
    torch.testing.assert_close(to_pixels(to_patches(x)), x)
    torch.testing.assert_close(to_patches(x).square().sum(), x.square().sum())


@cases("name", SOLVERS)
def test_the_perfect_denoiser_draws_the_same_samples(name):
    def drawn(denoise, rotate):
        stream, schedule = Stream(0, "noise"), discrete.cosine(100)
        randn = lambda: rotate(stream.normal(5, 1, 4, 4).double())  # noqa: E731
        return sample(denoise, SOLVERS[name], trailing(schedule, 8), randn)

    there = drawn(Blocks(), lambda x: x)
    torch.testing.assert_close(to_pixels(drawn(OfPatches(Blocks()), to_patches)), there, rtol=1e-6, atol=1e-6)


def test_the_perfect_denoiser_has_the_same_likelihood():
    """The density along the probability flow, and the terms of the bound but the last, which counts 8-bit values."""
    x0 = torch.randn(3, 1, 4, 4, generator=torch.Generator().manual_seed(1), dtype=torch.float64) / 4
    probes = torch.eye(16, dtype=torch.float64).reshape(16, 1, 1, 4, 4).expand(-1, 3, -1, -1, -1) * 4  # exact
    schedule = discrete.cosine(50)
    there, _ = ProbabilityFlow(Blocks(), schedule, 1e-8, 1e-8).log_density(x0, probes)
    rotated = torch.stack([to_patches(probe) for probe in probes])
    here, _ = ProbabilityFlow(OfPatches(Blocks()), schedule, 1e-8, 1e-8).log_density(to_patches(x0), rotated)
    torch.testing.assert_close(here, there, rtol=1e-5, atol=1e-5)

    def parts(denoise, x0, rotate):
        stream, grid = Stream(0, "noise"), uniform(schedule, 10)
        made = bound(denoise, x0, grid, lambda: rotate(stream.normal(3, 1, 4, 4).double()), None, 0.0, every_pair(grid))
        return made.prior, made.terms, made.x0_mse

    pixels, patches = parts(Blocks(), x0, lambda x: x), parts(OfPatches(Blocks()), to_patches(x0), to_patches)
    assert pixels[1].shape[1] > 8
    torch.testing.assert_close(patches[0], pixels[0], check_dtype=False)
    torch.testing.assert_close(patches[1][:, :-1], pixels[1][:, :-1], check_dtype=False)
    torch.testing.assert_close(patches[2], pixels[2], check_dtype=False)


@pytest.fixture(scope="module")
def pair() -> tuple[Pipeline, Pipeline]:
    """The run of pixels and that of their coefficients, whose spread both take for 1."""
    run = tiny.loaded("RGB", steps=5)
    data = run.config.data.model_copy(update={"mean": (0.0,) * 3, "std": (1.0,) * 3})
    config = run.config.model_copy(update={"data": data})
    loaded = replace(run, config=config)
    return Pipeline(loaded), Pipeline(in_patches(loaded))


def picture(seed: int, side: int = 8) -> Image.Image:
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (side, side, 3), np.uint8))


def mask(side: int = 8) -> Image.Image:
    """Blocks of 2 × 2 to fill, at the right."""
    fill = np.zeros((side, side), np.uint8)
    fill[2:, side // 2 :] = 255
    return Image.fromarray(fill)


COMMON = {"seed": 3, "label": "star", "guidance": 2.0}
TASKS = {
    "sample": lambda pipe, **how: pipe.sample(3, **COMMON, **how),
    "stochastic": lambda pipe, **how: pipe.sample(3, **COMMON, solver="ancestral", **how),
    "whole": lambda pipe, **how: pipe.sample(2, **COMMON, size=(8, 12), whole=True, **how),
    "mmps": lambda pipe, **how: pipe.inpaint(picture(0), mask(), n=2, **COMMON, **how),
    "ddnm": lambda pipe, **how: pipe.inpaint(picture(0), mask(), n=2, method="ddnm", **COMMON, **how),
    "repaint": lambda pipe, **how: pipe.inpaint(picture(0), mask(), n=2, repaint="2x2", **COMMON, **how),
    "outpaint": lambda pipe, **how: [pipe.outpaint(picture(0), left=4, method="ddnm", whole=True, **COMMON, **how)],
    "edit": lambda pipe, **how: pipe.edit(picture(0), 0.6, n=2, **COMMON, **how),
    "interpolate": lambda pipe, **how: pipe.interpolate(picture(0), picture(1), n=3, steps=6, label="star"),
    "trajectory": lambda pipe, **how: [
        Image.fromarray(stage) for one in pipe.trajectory(1, **COMMON, **how).stages for stage in (one.x[0], one.x0[0])
    ],
}


@cases("task", TASKS)
def test_every_task_of_a_run_in_latents_is_that_of_pixels(pair, task):
    """To the last of 8 bits, as sums are taken in another order."""
    pixels, patches = (
        [np.asarray(image).astype(int) for image in TASKS[task](pipe, **how)]
        for pipe, how in zip(pair, ({"clip": False}, {}), strict=True)
    )
    assert np.stack(pixels).std() > 10
    for one, other in zip(pixels, patches, strict=True):
        assert np.abs(one - other).max() <= 1


def test_windows_of_latents_are_drawn(pair):
    """Not those of pixels, whose weights are the pixels' own."""
    [image] = pair[1].sample(1, **COMMON, size=(8, 12))
    assert image.size == (12, 8)


def test_what_needs_pixels_is_refused(pair):
    pipe = pair[1]
    with refuses("incompatible", "patches", "pixels"):
        pipe.restore(picture(0), "grey")
    with refuses("incompatible", "patches", "pixel codec"):
        pipe.bits_per_dim(picture(0))
    for option in ({"clip": True}, {"threshold": 0.9}):
        with refuses("conflict", "patches", "clip"):
            pipe.sample(1, **option)
    with refuses("invalid", "size 8x13", "8x12"):
        pipe.sample(1, size=(8, 13))
