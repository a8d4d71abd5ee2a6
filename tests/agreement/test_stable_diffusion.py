"""Pipelines of Stable Diffusion, imported, against diffusers' own."""

from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

import ddpm
from ddpm.exchange.diffusers.stable_diffusion import read_model
from ddpm.pipeline import Pipeline
from ddpm.sampling.follow import Moment
from pipelines import NEGATIVE, PROMPT, saved, scheduler

STEPS, SCALE = 5, 3.0


@pytest.fixture(scope="module", params=["epsilon", "v_prediction"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Pipeline]:
    """A pipeline of diffusers, and ours after an import."""
    root = tmp_path_factory.mktemp("sd")
    path = saved(root, scheduler=scheduler(prediction_type=request.param))
    read_model(path, None).write(root / "run")
    theirs = StableDiffusionPipeline.from_pretrained(path, safety_checker=None)
    theirs.set_progress_bar_config(disable=True)
    return theirs, ddpm.load(root / "run", "cpu")


def drawn(pipe: Pipeline, **how: Any) -> tuple[torch.Tensor, torch.Tensor, np.ndarray]:
    """The latents at the start and at the end, and the image."""
    found: list[torch.Tensor] = []

    def watch(moment: Moment) -> None:
        found.append(moment.x.clone())

    (image,) = pipe.sample(1, prompt=PROMPT, steps=STEPS, grid="trailing", watch=watch, **how)
    return found[0], found[-1], np.asarray(image)


@torch.no_grad()
def test_text_features_are_those_of_transformers(both: tuple[Any, Pipeline]) -> None:
    theirs, ours = both
    for prompt in (PROMPT, "a cat", "a red cat with a blue dog and a house on the small red house", ""):
        expected, _ = theirs.encode_prompt(prompt, "cpu", 1, False)
        raw = ours.run.conditions(ours.run.subjects(None, prompt))
        found = ours.run.engine.model.cond(raw, 1)
        torch.testing.assert_close(found.tokens, expected, rtol=1e-5, atol=1e-5)
        assert (found.vector, found.mask) == (None, None)


@pytest.mark.parametrize("solver", ["ddim", "dpm++-2m"])
@torch.no_grad()
def test_guided_samples_are_those_of_diffusers(both: tuple[Any, Pipeline], solver: str) -> None:
    theirs, ours = both
    prediction = theirs.scheduler.config.prediction_type
    theirs.scheduler = scheduler(prediction_type=prediction)
    if solver != "ddim":
        theirs.scheduler = DPMSolverMultistepScheduler.from_config(
            scheduler(prediction_type=prediction).config, final_sigmas_type="zero", lower_order_final=True
        )
    for negative in (None, NEGATIVE):
        how = {} if negative is None else {"negative_prompt": negative}
        start, end, image = drawn(ours, solver=solver, guidance=SCALE, **how)
        given = {"guidance_scale": SCALE, "num_inference_steps": STEPS, "latents": start, "negative_prompt": negative}
        expected = theirs(PROMPT, output_type="latent", **given).images
        torch.testing.assert_close(
            end, expected * theirs.vae.config.scaling_factor / theirs.vae.config.scaling_factor, rtol=1e-4, atol=1e-4
        )
        pixels = theirs(PROMPT, output_type="np", **given).images[0]
        assert np.abs(image / 255 - pixels).max() <= 0.51 / 255
