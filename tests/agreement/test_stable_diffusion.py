"""Pipelines of Stable Diffusion, imported, against diffusers' own."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from diffusers import DPMSolverMultistepScheduler, StableDiffusionInpaintPipeline, StableDiffusionPipeline
from PIL import Image

import ddpm
from ddpm.engine.diffusion import Diffusion
from ddpm.exchange.diffusers.export import export_diffusers
from ddpm.exchange.diffusers.stable_diffusion import read_model
from ddpm.pipeline import Pipeline
from ddpm.sampling.follow import Moment
from pipelines import NEGATIVE, PROMPT, saved, scheduler, unet

STEPS, SCALE = 5, 3.0


@pytest.fixture(scope="module", params=["epsilon", "v_prediction"])
def both(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, Pipeline]:
    """A pipeline of diffusers, and ours after an import: of version 1, and as version 2 is."""
    root = tmp_path_factory.mktemp("sd")
    later = {"use_linear_projection": True, "attention_head_dim": (2, 4)} if request.param == "v_prediction" else {}
    path = saved(root, scheduler=scheduler(prediction_type=request.param), unet=unet(**later))
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
        assert (found.vector, found.weights) == (None, None)


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
        torch.testing.assert_close(end, expected, rtol=1e-4, atol=1e-4)
        pixels = theirs(PROMPT, output_type="np", **given).images[0]
        assert np.abs(image / 255 - pixels).max() <= 0.51 / 255


@torch.no_grad()
def test_an_export_samples_as_the_run(both: tuple[Any, Pipeline], tmp_path: Path) -> None:
    _, ours = both
    export_diffusers(ours.run, tmp_path / "out")
    theirs = StableDiffusionPipeline.from_pretrained(tmp_path / "out")
    theirs.set_progress_bar_config(disable=True)
    start, end, image = drawn(ours, solver="ddim", guidance=SCALE)
    given = {"guidance_scale": SCALE, "num_inference_steps": STEPS, "latents": start}
    torch.testing.assert_close(end, theirs(PROMPT, output_type="latent", **given).images, rtol=1e-4, atol=1e-4)
    assert np.abs(image / 255 - theirs(PROMPT, output_type="np", **given).images[0]).max() <= 0.51 / 255


@torch.no_grad()
def test_inpainting_is_that_of_diffusers(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = saved(tmp_path, inpainting=True)
    theirs = StableDiffusionInpaintPipeline.from_pretrained(path, safety_checker=None)
    theirs.set_progress_bar_config(disable=True)
    bias = theirs.vae.quant_conv.bias  # they draw the latents of the masked image, and we take their mean
    bias[len(bias) // 2 :] = -60.0
    theirs.save_pretrained(path)
    read_model(path, None).write(tmp_path / "run")
    ours = ddpm.load(tmp_path / "run", "cpu")
    assert ours.config.inpainting
    values = np.random.default_rng(0).integers(0, 256, (32, 32, 3), np.uint8)
    hidden = np.zeros((32, 32), np.uint8)
    hidden[5:27, 8:25] = 255
    photo, mask = Image.fromarray(values), Image.fromarray(hidden)
    latents: list[torch.Tensor] = []
    draw = Diffusion.draw

    def watched(self: Diffusion, *given: Any, **how: Any) -> Any:
        return draw(self, *given, **{**how, "watch": lambda moment: latents.append(moment.x.clone())})

    monkeypatch.setattr(Diffusion, "draw", watched)
    how = {"steps": STEPS, "grid": "trailing", "solver": "ddim", "guidance": SCALE}
    image = np.asarray(ours.inpaint(photo, mask, prompt=PROMPT, **how))
    assert np.array_equal(image[hidden == 0], values[hidden == 0])
    given = {"guidance_scale": SCALE, "num_inference_steps": STEPS, "latents": latents[0], "height": 32, "width": 32}
    expected = theirs(PROMPT, photo, mask, output_type="latent", **given).images
    torch.testing.assert_close(latents[-1], expected, rtol=1e-4, atol=1e-4)

    latents.clear()
    ours.sample(1, prompt=PROMPT, **how)
    grey, everything = Image.new("RGB", (32, 32)), Image.new("L", (32, 32), 255)
    given["latents"] = latents[0]
    expected = theirs(PROMPT, grey, everything, output_type="latent", **given).images
    torch.testing.assert_close(latents[-1], expected, rtol=1e-4, atol=1e-4)

    export_diffusers(ours.run, tmp_path / "out")
    again = StableDiffusionInpaintPipeline.from_pretrained(tmp_path / "out")
    assert all(torch.equal(tensor, again.unet.state_dict()[name]) for name, tensor in theirs.unet.state_dict().items())
